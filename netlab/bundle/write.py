"""A bundle, written: its index, and a directory for each node."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from netlab.bundle import words
from netlab.bundle.index import NodePage, Page, Why, text
from netlab.firewall.show import table as table_lines
from netlab.firewall.syntax import Chain, Table
from netlab.kernel.connection import Tracked
from netlab.kernel.holding import Holding
from netlab.kernel.opened import Socket
from netlab.kernel.ring import Frame
from netlab.kernel.traffic import Traffic
from netlab.lab.portrait import Node, Portrait
from netlab.render.json import JsonRenderer
from netlab.render.text import TextRenderer
from netlab.render.words import count
from netlab.trace.packets import Teller
from netlab.trace.recording import Head, PlainFile, Recording, Rotation
from netlab.trace.rings import Source

INDEX = "index.md"
PACKETS = "packets.pcapng"
TOLD = 2000
"""The last packets that are told in words as well."""


@dataclass(frozen=True)
class Held:
    """What was found in one node."""

    holding: Holding
    carried: Mapping[str, Traffic] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)
    tracked: Tracked | None = None
    sockets: Sequence[Socket] | None = None
    logs: Mapping[str, str] = field(default_factory=dict)
    """By process."""


@dataclass(frozen=True)
class Packets:
    """Those that were heard, and by whom."""

    head: Head
    sources: Sequence[Source]
    frames: Sequence[Frame]
    names: Mapping[str, str]
    """Nodes by address."""
    note: str = ""
    """Why there are no more of them."""


@dataclass(frozen=True)
class Scene:
    """A lab at a moment."""

    portrait: Portrait
    why: Why
    facts: Mapping[str, str]
    nodes: Mapping[str, Held]
    owners: Mapping[str, str]
    """Whose an address is."""
    missing: Sequence[str]
    gaps: Sequence[str]
    topology: str
    """The file's text."""
    packets: Packets | None = None


def write(directory: str, scene: Scene) -> str:
    """The path of the index, which is written last. Raises OSError."""
    os.makedirs(directory, exist_ok=True)
    files = dict(_whole(directory, scene))
    nodes = [_node(directory, scene, node) for node in scene.portrait.nodes.values()]
    page = Page(
        scene.portrait.lab, scene.why, scene.facts, nodes, files, scene.missing,
        _counts(scene.packets), _gaps(scene),
    )  # fmt: skip
    index = f"{directory}/{INDEX}"
    _put(index, text(page))
    return index


def _whole(directory: str, scene: Scene) -> Iterator[tuple[str, str]]:
    """Files of the lab as a whole, written: title, path."""
    if scene.why.text:
        yield "what was said of the failure", _put(f"{directory}/failure.txt", scene.why.text)
    drawn = _rendered(lambda put: put.lab(scene.portrait))
    yield "the lab", _put(f"{directory}/lab.txt", drawn)
    document = io.StringIO()
    JsonRenderer(document, document).lab(scene.portrait)
    resolved = _put(f"{directory}/lab.json", document.getvalue())
    yield "the topology as resolved", resolved
    if scene.topology:
        yield "the topology as written", _put(f"{directory}/topology.yaml", scene.topology)
    if scene.packets and scene.packets.sources:
        record(f"{directory}/{PACKETS}", scene.packets)
        yield "the last packets of every interface", PACKETS
    if scene.packets and scene.packets.frames:
        yield "in words", _put(f"{directory}/packets.txt", _told(scene.packets))


def _told(packets: Packets) -> str:
    teller = Teller(packets.sources, packets.names, numeric=False)
    width = max(len(source.name) for source in packets.sources)
    seen = [teller.tell(frame) for frame in packets.frames[-TOLD:]]
    return _rendered(lambda put: put.packets(seen, width))


def record(path: str, packets: Packets) -> None:
    """Raises UsageError, NetlabError."""
    recording = Recording(packets.head, lambda number: PlainFile(path), Rotation(), packets.sources)
    recording.add(packets.frames)
    recording.close()


def _counts(packets: Packets | None) -> list[tuple[str, int, int]]:
    if packets is None:
        return []
    kept = dict.fromkeys((s.number for s in packets.sources), 0)
    for frame in packets.frames:
        kept[frame[1]] += 1
    return [(s.name, kept[s.number], s.dropped) for s in packets.sources]


def _gaps(scene: Scene) -> list[str]:
    note = scene.packets.note if scene.packets else ""
    return [*scene.gaps, *([f"packets: {note}"] if note else [])]


def _node(directory: str, scene: Scene, node: Node) -> NodePage:
    held = scene.nodes.get(node.name)
    if held is None:
        return NodePage(node.name, node.kind, (), ["it could not be looked at"], {})
    files = {}
    for title, (name, said) in _texts(scene, node, held).items():
        if said.strip():
            path = f"{directory}/nodes/{node.name}/{name}"
            files[title] = f"nodes/{node.name}/{_put(path, said)}"
    notable = [*words.notable(held.holding, held.carried), *_ended(node)]
    return NodePage(node.name, node.kind, _facts(held, node), notable, files)


def _texts(scene: Scene, node: Node, held: Held) -> dict[str, tuple[str, str]]:
    """By title: the file's name, and what it says."""
    name, lab, owners = node.name, scene.portrait.lab, scene.owners
    tracked, sockets = held.tracked, held.sockets
    return {
        "links and addresses": ("links.txt", words.links(held.holding, held.carried)),
        "routes": ("routes.txt", words.routes(held.holding)),
        "neighbours": ("neighbours.txt", words.neighbours(held.holding)),
        "rules with counters": ("rules.nft", _ruleset(held.holding.tables.trees)),
        "conntrack": ("conntrack.txt", _rendered(
            lambda put: put.connections(lab, {name: tracked}, owners, ())
            if tracked and tracked.connections else None)),
        "sockets": ("sockets.txt", _rendered(
            lambda put: put.sockets(lab, {name: sockets}, owners, ()) if sockets else None)),
        "counters": ("counters.txt", words.pairs((n, v) for n, v in held.counters.items() if v)),
        "switches": ("switches.txt", words.switches(held.holding)),
        "as the topology wants it": ("wanted.txt", _rendered(
            lambda put: put.node(scene.portrait, node))),
        **{f"log of {log}": (f"{log}.log", said) for log, said in held.logs.items()},
    }  # fmt: skip


def _rendered(say: Callable[[TextRenderer], None]) -> str:
    out = io.StringIO()
    say(TextRenderer(out, out))
    return out.getvalue()


def _ruleset(trees: Sequence[Table]) -> str:
    return "".join(f"{line}\n" for tree in trees for line in table_lines(tree))


def _facts(held: Held, node: Node) -> list[str]:
    holding = held.holding
    devices = [link for link in holding.links if link.name != "lo"]
    rules = sum(len(p.rules) for t in holding.tables.trees for p in t.parts if isinstance(p, Chain))
    counts = {
        "route": sum(route.table != words.LOCAL for route in holding.routes),
        "rule": rules,
        "connection": len(held.tracked.connections) if held.tracked else 0,
        "socket": len(held.sockets or ()),
    }
    told = ", ".join(count(number, noun) for noun, number in counts.items() if number)
    return [
        *(f"`{d.name}` {words.state(d)}  {_addresses(holding, d.name)}".strip() for d in devices),
        *([told] if told else []),
        *(f"process {p.name}: {p.state}" for p in node.processes),
    ]


def _addresses(holding: Holding, device: str) -> str:
    return " ".join(words.addresses(holding, device))


def _ended(node: Node) -> list[str]:
    """Processes that do not run, other than those that ended well."""
    return [
        f"process {p.name} is {p.state}" + (f", exit code {p.code}" if p.code is not None else "")
        for p in node.processes
        if p.state not in ("running", "exited")
    ]


def _put(path: str, said: str) -> str:
    """The file's name."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(said)
    return os.path.basename(path)
