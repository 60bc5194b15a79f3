"""What a node holds that decides about packets: devices, addresses, neighbours, routes, chains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netlab.kernel.listeners import Listener
from netlab.kernel.opened import Socket
from netlab.trace.model import Route, Rule


@dataclass(frozen=True)
class LinkFact:
    """A device, as it is now."""

    name: str
    kind: str
    """``veth``, ``bridge``, ``vxlan``, ``tun`` …; "" for lo."""
    up: bool
    carrier: bool
    """Whether the other end is there and up; of a tun device, whether a program has it open."""
    mtu: int
    mac: str = ""
    master: str = ""
    """The bridge it is a port of."""
    state: str = ""
    """Of a port: ``disabled``, ``listening``, ``learning``, ``forwarding``, ``blocking``."""
    isolated: bool = False
    hairpin: bool = False
    remote: str = ""
    """Of a tunnel: the other end."""
    xdp: str = ""
    """How a program of XDP is attached: ``native``, ``generic``, ``offloaded``; "" for none."""
    unflooded: tuple[str, ...] = ()
    """Of a port: what is flooded to others alone: ``unicast``, ``multicast``, ``broadcast``."""
    locked: bool = False
    """Of a port: whether it takes frames of known MACs alone."""
    arp: bool = True
    """Whether it asks for neighbours, and answers."""
    vni: int = 0
    """Of a vxlan device: the number of its network."""


@dataclass(frozen=True)
class AddressFact:
    device: str
    address: str
    length: int
    flags: tuple[str, ...] = ()
    """``tentative``, ``dadfailed``."""


@dataclass(frozen=True)
class NeighbourFact:
    address: str
    device: str
    mac: str
    state: str


@dataclass(frozen=True)
class FdbFact:
    """An entry of a forwarding database."""

    mac: str
    device: str
    """The port; of a tunnel, the tunnel device."""
    bridge: str = ""
    local: bool = False
    remote: str = ""
    """The tunnel's other end that has it."""


@dataclass(frozen=True)
class ConnectionFact:
    """A connection of the probe, as it is tracked."""

    original: str
    """``10.1.0.2:50106 → 203.0.113.1:8080``; of an echo the two addresses."""
    reply: str
    state: str = ""
    """Of TCP: ``SYN_SENT``."""
    status: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChainFact:
    """A chain of nftables, with all its rules."""

    family: str
    table: str
    name: str
    hook: str = ""
    """"" for one that is only jumped to."""
    type: str = ""
    priority: int = 0
    policy: str = "accept"
    devices: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    """``matched`` of each is None."""
    place: str = ""
    """``file:line`` of what made it."""

    @property
    def key(self) -> tuple[str, str, str]:
        return self.family, self.table, self.name


@dataclass(frozen=True)
class Ask:
    """What a route is looked up by."""

    destination: str
    source: str = ""
    device: str = ""
    """Where the packet came in; "" for one of the node's own."""
    mark: int = 0
    tos: int = 0
    protocol: str = ""
    source_port: int = 0
    destination_port: int = 0


@dataclass(frozen=True)
class Facts:
    """All of one node that was asked for."""

    node: str
    links: Mapping[str, LinkFact] = field(default_factory=dict)
    """By name."""
    addresses: tuple[AddressFact, ...] = ()
    neighbours: tuple[NeighbourFact, ...] = ()
    fdb: tuple[FdbFact, ...] = ()
    chains: tuple[ChainFact, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    """Those that were asked for and are there."""
    routes: tuple[tuple[Ask, Route], ...] = ()
    listening: frozenset[int] = frozenset()
    """The ports of the probe's protocol that programs wait on; only of who may answer."""
    waiting: tuple[Listener, ...] = ()
    """Who waits on them."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """By how much counters grew while the probe was on its way: ``TcpExt.IPReversePathFilter``."""

    connections: tuple[ConnectionFact, ...] = ()
    """Those that the probe belongs to."""
    sockets: tuple[Socket, ...] = ()
    """Only of the two ends, and only where they are to be taught."""

    def route(self, ask: Ask) -> Route | None:
        return next((route for asked, route in self.routes if asked == ask), None)

    def neighbour(self, address: str, device: str) -> NeighbourFact | None:
        found = (n for n in self.neighbours if n.address == address and n.device == device)
        return next(found, None)

    def holds(self, address: str) -> AddressFact | None:
        return next((a for a in self.addresses if a.address == address), None)

    def chain(self, family: str, table: str, name: str) -> ChainFact | None:
        return next((c for c in self.chains if c.key == (family, table, name)), None)
