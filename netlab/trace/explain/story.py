"""A packet under way: where it is, what it has met, how it ended; and what changes by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from netlab.model.words import IP
from netlab.trace import model
from netlab.trace.explain.choices import Choices
from netlab.trace.explain.packet import Packet
from netlab.trace.explain.route import Decision
from netlab.trace.explain.ruleset import Rule
from netlab.trace.explain.sets import Put
from netlab.trace.explain.state import NodeState, World
from netlab.trace.explain.tracking import NOTHING, Seen, Tracker, Tuple
from netlab.trace.model import Disposition, Hop, Step


@dataclass(frozen=True)
class Trail:
    """The nodes that it came through, with what it met there."""

    hops: tuple[Hop, ...] = ()

    def enter(self, node: str, role: str) -> Trail:
        return Trail((*self.hops, Hop(node, role, ())))

    def then(self, *steps: Step) -> Trail:
        last = self.hops[-1]
        return Trail((*self.hops[:-1], replace(last, steps=(*last.steps, *steps))))

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(hop.node for hop in self.hops)


@dataclass(frozen=True)
class Send:
    """A node sends a packet of its own."""

    node: str
    packet: Packet
    trail: Trail
    seen: Seen = NOTHING
    """What tracking takes it for, where it was made because of another packet."""
    user: int | None = None
    """Whose socket sends it; None where none does."""
    outgoing: str = ""
    """The device that it has to leave by; "" for any."""


@dataclass(frozen=True)
class Leave:
    """A frame is handed to a device."""

    node: str
    device: str
    packet: Packet
    trail: Trail
    seen: Seen = NOTHING
    decided: Decision | None = None


@dataclass(frozen=True)
class Arrive:
    """A frame comes in by a device."""

    node: str
    device: str
    packet: Packet
    trail: Trail
    seen: Seen = NOTHING
    """What tracking took it for: only within a node, over lo, does it keep that."""
    decided: Decision | None = None
    """Over lo it keeps its route, too."""


@dataclass(frozen=True)
class Up(Arrive):
    """A frame is handed to what is above a device: to the node's IP, to its ARP."""

    to: str = "host"
    """Whom it is for: ``host``, ``other``, ``broadcast``, ``multicast``."""
    shown: bool = False
    """Whether a bridge has shown it to the first hook of IP already."""


@dataclass(frozen=True)
class Taken(Arrive):
    """A packet has got through the input hook of the node that it is for."""


@dataclass(frozen=True)
class Made:
    """What a node sends because of a packet."""

    packet: Packet
    words: str
    """Of an error or a reset; "" for an ordinary answer."""
    seen: Seen = NOTHING


@dataclass(frozen=True)
class Fate:
    """How it ended."""

    node: str
    packet: Packet
    trail: Trail
    disposition: Disposition
    cause: str = ""
    """Its name in the table of causes; "" where there is none."""
    stage: str = ""
    """How far it came, in the words of ``assemble``."""
    device: str = ""
    hook: str = ""
    """The hook that it did not come out of."""
    decided: Decision | None = None
    chain: model.Chain | None = None
    rule: model.Rule | None = None
    made: Made | None = None
    errno: int = 0
    """What the kernel says to the program that sends it."""
    words: str = ""
    """What is to be said of it beyond its cause."""

    @property
    def arrived(self) -> bool:
        return self.stage == "input" and not self.hook


Next: TypeAlias = Send | Leave | Up | Taken | Arrive | Fate


@dataclass
class Story:
    """What one exchange of packets is told in; it changes as they go."""

    world: World
    choices: Choices
    sender: str = ""
    """The node whose program waits for the answer."""
    seconds: float = 0.0
    trackers: dict[str, Tracker] = field(default_factory=dict)
    learned: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """By node, bridge (or vxlan device) and MAC: the port, or the tunnel's other end."""
    neighbours: dict[tuple[str, str, IP], str] = field(default_factory=dict)
    """By node, device and address: the MAC; "" where nobody answered."""
    puts: dict[tuple[str, ...], list[Put]] = field(default_factory=dict)
    """By node, family, table and set: what rules have put into it."""
    met: set[tuple[object, ...]] = field(default_factory=set)
    """Where which packet has been."""
    gaps: list[str] = field(default_factory=list)
    counted: list[tuple[str, str, str, Rule]] = field(default_factory=list)
    """The rules whose counters were moved, with node, family and table."""
    proxied: set[Tuple] = field(default_factory=set)
    """The connections that some synproxy has begun in a client's place."""
    before: Trail = Trail()
    """The way of what such a proxy answered, before the server could."""
    run: Callable[[Story, list[Next]], list[Fate]] = field(default=lambda story, states: [])
    """Goes on from some states to their ends."""

    def state(self, node: str) -> NodeState:
        return self.world.nodes[node]

    def tracker(self, node: str) -> Tracker:
        if node not in self.trackers:
            loose = self.state(node).switch("net.netfilter.nf_conntrack_tcp_loose", 1)
            self.trackers[node] = Tracker(bool(loose))
        return self.trackers[node]

    def gap(self, words: str) -> None:
        if words not in self.gaps:
            self.gaps.append(words)


def furthest(fates: list[Fate]) -> Fate:
    """Of a packet and its copies, the one that the story is about."""
    return max(fates, key=_worth)


def _worth(fate: Fate) -> tuple[bool, bool, bool, int]:
    copy = fate.disposition == Disposition.NOT_FOR_ME
    lost_copy = fate.disposition == Disposition.NOT_SWITCHED
    return fate.arrived, not copy, not lost_copy, len(fate.trail.hops)
