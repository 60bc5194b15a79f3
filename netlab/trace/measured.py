"""What was measured at each step of a trace, found again among all that was seen. Pure.

A step and a sighting belong together by node, time and sort. What has no time of its own, as a
rewriting by NAT, is looked at where its hook was left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from netlab.kernel.opened import Socket
from netlab.trace import model as m
from netlab.trace.conclude import CALLS
from netlab.trace.facts import Facts, LinkFact
from netlab.trace.follow import Trail, Visit, follow
from netlab.trace.record import Record
from netlab.trace.sighting import Sighting

Place: TypeAlias = tuple[int, int, int]
"""Of a step: its leg, its hop in that, and itself in that, counted from 0."""


@dataclass(frozen=True)
class Measured:
    """At one step. What nobody saw stays empty."""

    now: Sighting | None = None
    before: Sighting | None = None
    """Of a step before it on the same leg, the last one that tells where the packet lay."""
    is_first: bool = False
    """Whether it is the first step of its kind: what is the same with all is said once."""
    waited: float | None = None
    """Microseconds in a CPU's backlog, of a frame that came by one."""
    by_gro: bool = False
    """Whether GRO was given it."""
    copies: int = 0
    """Ports that a bridge has sent it out by."""
    link: LinkFact | None = None
    """The device, as it was then."""
    listener: Socket | None = None
    """Who waits for it."""
    socket: Socket | None = None
    """Whose it is, or has become."""
    stays: tuple[tuple[int, tuple[str, ...]], ...] = ()
    """At the end: each piece of memory that its bytes lay in, with the nodes of that time."""


def measure(record: Record, trace: m.Trace) -> dict[Place, Measured]:
    """Copies are not gone into."""
    trails = follow(record.sightings, record.probe, record.terrain)
    zero = min((v.time for t in trails for v in t.visits if v.time), default=0)
    ways: dict[str, Trail] = {t.way: t for t in reversed(trails) if not t.is_clone}
    found: dict[Place, Measured] = {}
    known: set[str] = set()
    for number, leg in enumerate(trace.legs):
        trail = ways.get(leg.kind)
        if trail is not None:
            found |= dict(_leg(number, leg, trail, record, zero, known))
    return found


def _leg(
    number: int, leg: m.Leg, trail: Trail, record: Record, zero: int, known: set[str]
) -> Iterator[tuple[Place, Measured]]:
    before: Sighting | None = None
    stays: dict[int, dict[str, None]] = {}
    for place, (hop, visit) in enumerate(_beside(leg.hops, trail.visits)):
        seen = sorted(
            (s.sighting for s in visit.seen if s.sighting.cpu or s.sighting.anatomy),
            key=lambda s: s.time,
        ) if visit else []  # fmt: skip
        for one in seen:
            if one.anatomy and one.anatomy.memory:
                stays.setdefault(one.anatomy.memory, {})[one.node] = None
        facts = record.facts.get(hop.node, Facts(hop.node))
        last = place == len(leg.hops) - 1
        for at, step in enumerate(hop.steps):
            now = _now(step, seen, zero)
            is_end = last and at == len(hop.steps) - 1
            yield (number, place, at), Measured(
                now,
                before,
                step.kind not in known,
                *_arrival(step, seen, now),
                len([s for s in seen if s.point == "tx"]) if step.kind == "switched" else 0,
                facts.links.get(getattr(step, "device", "")),
                *_sockets(step, hop, leg, facts, record.probe),
                tuple((n, tuple(nodes)) for n, nodes in stays.items()) if is_end else (),
            )
            known.add(step.kind)
            lies = now.anatomy if now is not None and step.kind != "switched" else None
            if lies is not None and lies.headroom is not None:
                before = now


def _beside(
    hops: Sequence[m.Hop], visits: Sequence[Visit]
) -> Iterator[tuple[m.Hop, Visit | None]]:
    """Of some visits there is nothing to tell."""
    waiting = list(visits)
    for hop in hops:
        place = next((n for n, v in enumerate(waiting) if v.node == hop.node), None)
        yield hop, None if place is None else waiting[place]
        if place is not None:
            del waiting[: place + 1]


# the moment


def _now(step: m.Step, seen: Sequence[Sighting], zero: int) -> Sighting | None:
    fits = _FITS.get(step.kind)
    if fits is None:
        return None
    fitting = [s for s in seen if fits(step, s)]
    time = getattr(step, "time", None)
    if time is not None:
        fitting = [s for s in fitting if round((s.time - zero) / 1000, 1) == time]
    if not fitting:
        return None
    return fitting[-1 if step.kind == "tunnelled" else 0]  # the node may have sent what it wraps


def _at_socket(step: Any, seen: Sighting) -> bool:
    """Where it is sent, that is its first hook; where it is taken in, who reads it, or the last."""
    if is_sent(step):
        return (seen.hook, seen.stage) == ("output", "first")
    return seen.point == "read" if step.time else (seen.hook, seen.stage) == ("input", "last")


def is_sent(step: m.Socket) -> bool:
    return step.words.startswith(tuple(f"{call} from " for call in CALLS.values()))


_FITS: Mapping[str, Callable[[Any, Sighting], bool]] = {
    "socket": _at_socket,
    "rx": lambda step, s: s.point == "rx" and s.device == step.device,
    "tx": lambda step, s: s.point == "tx" and s.device == step.device,
    "hook": lambda step, s: (s.hook, s.stage) == (step.hook, "first"),
    "nat": lambda step, s: (s.hook, s.stage) == (step.hook, "last"),
    "route": lambda step, s: s.point == "route",
    "neighbour": lambda step, s: s.point.startswith("neighbour"),
    "switched": lambda step, s: s.point == "tx" and s.device in step.ports,
    "tunnelled": lambda step, s: step.wrapped and (s.hook, s.stage) == ("output", "first"),
    "dropped": lambda step, s: s.point == "freed",
}


def _arrival(
    step: m.Step, seen: Sequence[Sighting], now: Sighting | None
) -> tuple[float | None, bool]:
    if now is None or not isinstance(step, m.Rx):
        return None, False
    here = [s for s in seen if s.device == step.device and s.time < now.time]
    queued = [s.time for s in here if s.point == "backlog"]
    waited = round((now.time - queued[-1]) / 1000, 1) if queued else None
    return waited, any(s.point in ("gro", "gro-frags") for s in here)


# sockets


def _sockets(
    step: m.Step, hop: m.Hop, leg: m.Leg, facts: Facts, probe: m.Probe
) -> tuple[Socket | None, Socket | None]:
    """Who listens, and whose it is."""
    if not isinstance(step, m.Socket):
        return None, None
    of_protocol = [s for s in facts.sockets if s.protocol == probe.protocol]
    if is_sent(step):
        found = (s for s in of_protocol if s.port == probe.from_port and s.state != "LISTEN")
        return None, next(found, None)
    arrived = [s.packet for s in hop.steps if isinstance(s, m.Rx)]
    packet = arrived[-1] if arrived else leg.packet
    if packet is None or leg.kind != "forward":
        return None, None
    here = [s for s in of_protocol if s.port == packet.destination_port]
    waits = (s for s in here if s.state in ("LISTEN", "") and not s.peer)
    talks = (s for s in here if s.peer_port == packet.source_port)
    return next(waits, None), next(talks, None)
