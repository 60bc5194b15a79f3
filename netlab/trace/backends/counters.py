"""The kernel's counters of each namespace, before and after: what it counted and did not say.

They count all packets, the probe's among them: a clue beside the place where the probe was last
seen, and no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise

from netlab.kernel.visits import Visits
from netlab.trace.backends.base import Backend, CannotWatch, Scene
from netlab.trace.sighting import Sighting

HERE = "/proc/thread-self/net"
PAIRED = ("snmp", "netstat")
"""A line of names, then a line of numbers, by protocol."""
HEX_TABLES = {"nf_conntrack": "Conntrack", "arp_cache": "Arp", "ndisc_cache": "Ndisc"}
"""In ``stat``: a line of names, then a line of numbers in base 16 for each processor."""
SIZES = frozenset({"entries"})
"""What is no counter."""
DEVICE = {2: "rx_errors", 3: "rx_dropped", 10: "tx_errors", 11: "tx_dropped", 13: "collisions"}
"""Columns of ``dev`` that tell of trouble."""
SOFTNET = {1: "dropped", 2: "squeezed"}
"""Columns of ``softnet_stat``: of the whole machine, not of one namespace."""

Counts = Mapping[str, int]
MOST = 64
"""Nodes: reading the counters of one takes half a millisecond, twice."""


def counts() -> Counts:
    """Of the namespace that the thread stands in."""
    found: dict[str, int] = {}
    for name, value in _all():
        found[name] = found.get(name, 0) + value
    return found


def _all() -> Iterator[tuple[str, int]]:
    for name in PAIRED:
        yield from paired(_text(name))
    for line in _text("snmp6").splitlines():
        key, _, value = line.partition(" ")
        if key.startswith(("Ip6", "Icmp6", "Udp6")):
            yield _dotted(key), int(value)
    yield from policies(_text("xfrm_stat"))
    yield from devices(_text("dev"))
    for name, title in HEX_TABLES.items():
        yield from hexadecimal(_text(f"stat/{name}"), title)
    yield from softnet(_text("softnet_stat"))


def _text(name: str) -> str:
    """"" for what this kernel has not."""
    try:
        with open(f"{HERE}/{name}") as file:
            return file.read()
    except OSError:
        return ""


def paired(text: str) -> Iterator[tuple[str, int]]:
    """``Ip: Forwarding DefaultTTL …`` and below it ``Ip: 1 64 …``."""
    for names, values in pairwise(text.splitlines()):
        title, _, rest = names.partition(":")
        other, _, numbers = values.partition(":")
        if title == other and not rest.split()[0].lstrip("-").isdigit():
            for name, value in zip(rest.split(), numbers.split(), strict=False):
                yield f"{title}.{name}", int(value)


def _dotted(key: str) -> str:
    """``Ip6InDiscards`` → ``Ip6.InDiscards``."""
    title = key[: key.index("6") + 1]
    return f"{title}.{key[len(title) :]}"


def policies(text: str) -> Iterator[tuple[str, int]]:
    """``XfrmInPolBlock 3`` → ``Xfrm.InPolBlock``: of IPsec, where the kernel has it."""
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        yield f"Xfrm.{key.removeprefix('Xfrm')}", int(value)


def devices(text: str) -> Iterator[tuple[str, int]]:
    for line in text.splitlines()[2:]:
        name, _, numbers = line.partition(":")
        columns = numbers.split()
        for place, word in DEVICE.items():
            yield f"{name.strip()}.{word}", int(columns[place])


def hexadecimal(text: str, title: str) -> Iterator[tuple[str, int]]:
    names, *lines = text.splitlines() or [""]
    for line in lines:
        for name, value in zip(names.split(), line.split(), strict=False):
            if name not in SIZES:
                yield f"{title}.{name}", int(value, 16)


def softnet(text: str) -> Iterator[tuple[str, int]]:
    for line in text.splitlines():
        columns = line.split()
        for place, word in SOFTNET.items():
            yield f"Softnet.{word}", int(columns[place], 16)


@dataclass
class Counting:
    """See ``netlab.trace.backends.base.Watch``."""

    visits: Visits
    nodes: Mapping[str, str]
    """Namespace by node."""
    ends: Set[str]
    """The namespaces of sender and target."""
    before: Mapping[str, Counts]
    """By namespace."""

    def files(self) -> Sequence[int]:
        return ()

    def read(self) -> list[Sighting]:
        return []

    def end(self, seen: Sequence[Sighting]) -> list[Sighting]:
        """Of the nodes that it came to, and of both ends."""
        passed = {self.nodes[s.node] for s in seen} | self.ends
        after = self.visits.each(dict.fromkeys(passed & self.before.keys(), counts))
        return [
            Sighting(node, "counters", "count", name=name, count=value - was)
            for node, ns in self.nodes.items()
            for name, value in after.get(ns, {}).items()
            if value > (was := self.before[ns].get(name, 0))
        ]

    def gaps(self) -> list[str]:
        return []

    def close(self) -> None:
        """Nothing was opened."""


def watch(scene: Scene) -> Counting:
    probe, nodes = scene.probe, scene.nodes
    near = scene.terrain.between(probe.sender, probe.target)[:MOST]
    try:
        before = scene.visits.each({nodes[node]: counts for node in near})
    except OSError as problem:
        raise CannotWatch(problem.strerror or str(problem)) from problem
    ends = {nodes[node] for node in (probe.sender, probe.target) if node in nodes}
    return Counting(scene.visits, nodes, ends, before)


def obstacle() -> str:
    return "" if _text("snmp") else f"{HERE}/snmp cannot be read"


backend = Backend(
    about="what the kernel counted: drops of devices, of IP, of sockets",
    option="/proc",
    obstacle=obstacle,
    watch=watch,
    sees_ways=False,
)
