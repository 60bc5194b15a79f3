"""Each end of a link is an interface of its own, and each interface that is a veth has its link."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from netlab.model.sentences import Wrong
from netlab.model.source import Path
from netlab.model.topology import BridgeSettings, Link, Node

Spot = tuple[str, str]
"""node, interface"""

BRIDGE = "br0"
"""The interface that a node which is a bridge has by itself."""


def check_ends(
    nodes: Mapping[str, Node], links: Sequence[tuple[int, Link]], doubtful: Collection[str]
) -> Iterator[Wrong]:
    """``links`` come with their places in the file."""
    ends: dict[Spot, int] = {}
    for place, link in links:
        for side, end in enumerate(link.endpoints):
            if end.interface is not None:
                path = ("links", place, "endpoints", side, "interface")
                yield from _end(path, (end.node, end.interface), place, ends, nodes[end.node])
    for name, node in nodes.items():
        if name not in doubtful:
            yield from _without_link(name, node, ends)


def _end(path: Path, spot: Spot, place: int, ends: dict[Spot, int], node: Node) -> Iterator[Wrong]:
    where, interface = f"{spot[0]}:{spot[1]}", spot[1]
    settings = node.interfaces.get(interface)
    if interface == "lo":
        yield Wrong(path, "no link can end at lo, the loopback device")
    elif interface == BRIDGE and isinstance(node, BridgeSettings):
        yield Wrong(path, f"{where} is the bridge itself; a link ends at a port of it")
    elif ends.get(spot) == place:
        yield Wrong(path, f"both ends of this link are {where}")
    elif spot in ends:
        yield Wrong(path, f"links[{ends[spot]}] ends at {where} already")
    elif settings is not None and settings.kind != "veth":
        yield Wrong(path, f"{where} is a {settings.kind}; a link makes a veth")
    ends.setdefault(spot, place)


def _without_link(name: str, node: Node, ends: Collection[Spot]) -> Iterator[Wrong]:
    own = {"lo", BRIDGE} if isinstance(node, BridgeSettings) else {"lo"}
    for interface, settings in node.interfaces.items():
        if settings.kind == "veth" and interface not in own and (name, interface) not in ends:
            hint = f"name it in a link, as `{name}:{interface}`, or give it a `kind`"
            path = ("nodes", name, "interfaces", interface)
            yield Wrong(path, f"no link ends at {name}:{interface}", hint, True)
