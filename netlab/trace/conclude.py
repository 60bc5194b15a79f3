"""A record → the trace: every trail told, how it ended, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address

from netlab.trace.assemble import Builder
from netlab.trace.causes_sockets import BY_WORD
from netlab.trace.clues import from_another_address
from netlab.trace.clues_sockets import in_vain
from netlab.trace.cookie import Picked
from netlab.trace.evidence import Evidence
from netlab.trace.facts import Ask, Facts
from netlab.trace.follow import Trail, follow
from netlab.trace.headers import ICMP_NAMES
from netlab.trace.model import (
    REACHED,
    Cause,
    Disposition,
    Dropped,
    Hop,
    Leg,
    Made,
    Moment,
    Packet,
    Place,
    Probe,
    Route,
    Socket,
    Step,
    Trace,
)
from netlab.trace.moments import ARRIVALS
from netlab.trace.reasons import TAKEN
from netlab.trace.record import Record
from netlab.trace.terrain import Terrain, plain
from netlab.trace.why import by_name, explain

ANSWERS = frozenset({"connected", "answered"})
"""Results of a sender that got what it asked for."""
CALLS = {"tcp": "connect()", "udp": "send()", "icmp": "echo request"}


@dataclass(frozen=True)
class Told:
    """A trail whose steps are known."""

    trail: Trail
    hops: tuple[Hop, ...]
    last: Builder
    """Of its last visit."""

    @property
    def node(self) -> str:
        return self.trail.visits[-1].node

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(visit.node for visit in self.trail.visits)

    @property
    def first_packet(self) -> Packet | None:
        return self.trail.visits[0].packet


def conclude(record: Record) -> Trace:
    trails = follow(record.sightings, record.probe, record.terrain)
    told = [_told(trail, record, _zero(trails)) for trail in trails]
    scene = _Scene(record, told)
    legs = [scene.leg(one) for one in told]
    if not any(leg.kind == "forward" for leg in legs):
        legs.insert(0, scene.unsent())
    return scene.whole(tuple(legs))


def _zero(trails: Sequence[Trail]) -> int:
    times = [v.time for trail in trails for v in trail.visits if v.time]
    return min(times, default=0)


def _told(trail: Trail, record: Record, zero: int) -> Told:
    """Without visits of which nothing can be told, as where only a bridge's own hook was seen.

    Or, at the end, where it was but on its way into a node: of what TCP sends again as the trace
    ends there may be no more.
    """
    builders = [
        Builder(v, record.facts.get(v.node, Facts(v.node)), record.terrain, zero)
        for v in trail.visits
    ]
    steps = [tuple(builder.build()) for builder in builders]
    kept = [n for n, some in enumerate(steps) if some] or [0]
    while len(kept) > 1 and all(map(_is_arrival, steps[kept[-1]])):
        kept.pop()
    visits = tuple(trail.visits[n] for n in kept)
    hops = tuple(
        Hop(v.node, record.terrain.role(v.node), steps[n])
        for n, v in zip(kept, visits, strict=True)
    )
    return Told(replace(trail, visits=visits), hops, builders[kept[-1]])


def _is_arrival(step: Step) -> bool:
    return isinstance(step, Moment) and step.what in ARRIVALS


class _Scene:
    """All trails side by side: one explains the other."""

    def __init__(self, record: Record, told: Sequence[Told]) -> None:
        self._record = record
        self._probe = record.probe
        self._told = {t.trail.way: t for t in reversed(told) if not t.trail.is_clone}

    # legs

    def leg(self, told: Told) -> Leg:
        hops = told.hops
        evidence = self._evidence(told)
        disposition, cause = self._ended(told, evidence)
        if cause is not None and not isinstance(hops[-1].steps[-1:], Dropped):
            hops = _with_last(hops, self._last_words(told, disposition, cause))
        if told.trail.is_clone:
            disposition, cause = self._clone_ended(told)
        elif disposition == Disposition.DELIVERED and told.trail.way != "error":
            hops = _with_last(hops, self._arrived_words(told))
        hops = self._with_made(told, hops)
        is_probe = not isinstance(self._probe, Picked)
        if is_probe and told.trail.way == "forward" and not told.trail.is_clone:
            hops = self._with_sender(hops)
        place = Place(told.node, _where(told.last), evidence.inside, told.trail.way)
        kind = "clone" if told.trail.is_clone else told.trail.way
        return Leg(kind, hops, disposition, told.first_packet, place, cause)

    def unsent(self) -> Leg:
        """Of a probe of which nothing was seen."""
        probe = self._probe
        facts = self._facts(probe.sender)
        ask = first_ask(probe)
        route = facts.route(ask)
        evidence = Evidence(
            probe, self._record.terrain, "forward", probe.sender, facts, route=route,
            passed=(probe.sender,), all_facts=self._record.facts,
        )  # fmt: skip
        disposition, cause = explain(evidence)
        steps: list[Step] = [self._call(), *([route] if route else [])]
        if cause is not None:
            steps.append(Dropped(cause.sentence))
        hop = Hop(probe.sender, self._record.terrain.role(probe.sender), tuple(steps))
        return Leg("forward", (hop,), disposition, None, Place(probe.sender), cause)

    def _ended(self, told: Told, evidence: Evidence) -> tuple[Disposition, Cause | None]:
        is_picked = isinstance(self._probe, Picked)
        if is_picked and evidence.freed and ip_address(evidence.destination).is_multicast:
            return Disposition.DROPPED, by_name("kernel-drop", evidence)
        if is_picked and (self._has_arrived(told) or _known_end(evidence)):
            return _taken_in(evidence)
        if not self._has_arrived(told):
            return explain(evidence)
        at_goal = told.trail.way == "reply" and told.node == self._probe.sender
        of_use = not (from_another_address(evidence) or in_vain(evidence))
        if told.trail.way == "error" or (at_goal and of_use):
            return Disposition.DELIVERED, None
        disposition, cause = explain(evidence)
        return (disposition, cause) if cause else (Disposition.DELIVERED, None)

    def _has_arrived(self, told: Told) -> bool:
        """Taken in by the IP of the node, and not only the wrapping of a tunnel."""
        last, packet = told.last, told.trail.visits[-1].packet
        if packet is None or last.packet_within:
            return False
        if not self._record.sees_hooks:
            return last.stage == "rx" and bool(self._facts(told.node).holds(last.destination))
        return last.stage == "input" and not last.inside

    def _clone_ended(self, told: Told) -> tuple[Disposition, Cause | None]:
        """A copy that a bridge sent elsewhere is let fall there, as it should be."""
        return (
            (Disposition.DELIVERED, None)
            if self._has_arrived(told)
            else (Disposition.NOT_FOR_ME, None)
        )

    # what is known where it ended

    def _evidence(self, told: Told) -> Evidence:
        last, way = told.last, told.trail.way
        terrain = self._record.terrain
        peer, peer_device = terrain.peer(told.node, last.device) if last.stage == "tx" else ("", "")
        error = self._told.get("error")
        forward = self._told.get("forward")
        back = self._way_back(told)
        reply = self._told.get("reply")
        return Evidence(
            probe=self._probe,
            terrain=terrain,
            leg=way,
            node=told.node,
            facts=self._facts(told.node),
            stage=last.stage,
            inside=last.inside,
            device=last.device,
            packet=last.packet,
            chain=last.dropped[0] if last.dropped else None,
            rule=last.dropped[1] if last.dropped else None,
            route=back or last.route,
            steps=told.hops[-1].steps,
            passed=told.nodes,
            beyond=self._facts(peer) if peer else None,
            beyond_device=peer_device,
            error=_icmp(error.first_packet) if error else "",
            error_maker=error.trail.visits[0].node if error else "",
            error_lost=error.node if error and not self._has_arrived(error) else "",
            answered=reply is not None,
            forward_way=forward.nodes if forward else (),
            hooks_seen=self._record.sees_hooks,
            arrived=self._has_arrived(told),
            reset=bool(reply and reply.first_packet and "R" in reply.first_packet.flags),
            freed=last.freed,
            all_facts=self._record.facts,
        )

    def _way_back(self, told: Told) -> Route | None:
        """Of a packet that arrived and was not answered: the route that the answer would take."""
        if told.trail.way != "forward" or "reply" in self._told or not self._has_arrived(told):
            return None
        packet = told.last.packet
        return self._facts(told.node).route(answer_ask(packet)) if packet else None

    def _facts(self, node: str) -> Facts:
        return self._record.facts.get(node, Facts(node))

    # words

    def _call(self) -> Socket:
        probe = self._probe
        port = f":{probe.from_port}" if probe.protocol != "icmp" else ""
        source = f"[{probe.source}]" if port and ":" in probe.source else probe.source
        words = f"{CALLS[probe.protocol]} from {source}{port}" if source else CALLS[probe.protocol]
        return Socket(words, probe.result)

    def _with_sender(self, hops: tuple[Hop, ...]) -> tuple[Hop, ...]:
        first, *rest = hops
        return (replace(first, steps=(self._call(), *first.steps)), *rest)

    def _arrived_words(self, told: Told) -> Step:
        probe = self._probe
        if told.trail.way == "reply":
            return Socket("the sender's socket", probe.result)
        if told.last.delivered is not None:
            return told.last.delivered
        packet = told.last.packet
        if packet is None or not packet.destination_port:
            return Socket("taken in by the node itself")
        port = f"{probe.protocol}/{packet.destination_port}"
        heard = packet.destination_port in self._facts(told.node).listening
        return Socket(f"a program waits on {port}" if heard else f"taken in, for {port}")

    def _last_words(self, told: Told, disposition: Disposition, cause: Cause) -> Step | None:
        if told.last.dropped is not None:
            return None
        freed = told.last.freed
        if disposition == Disposition.REFUSED:
            return Socket(cause.sentence)
        return replace(freed, words=cause.sentence) if freed else Dropped(cause.sentence)

    def _with_made(self, told: Told, hops: tuple[Hop, ...]) -> tuple[Hop, ...]:
        """What came of it is told where it came from: the last hop's node answered."""
        if told.trail.way != "forward" or told.trail.is_clone:
            return hops
        for way in ("reply", "error"):
            other = self._told.get(way)
            if other is None or other.trail.visits[0].entry or other.first_packet is None:
                continue
            node = other.trail.visits[0].node
            words = made_words(other.first_packet)
            if words and node == hops[-1].node:
                hops = _with_last(hops, Made(words, other.first_packet))
        return hops

    # the whole

    def whole(self, legs: tuple[Leg, ...]) -> Trace:
        record, probe = self._record, self._probe
        forward = next(leg for leg in legs if leg.kind == "forward")
        reply = next((leg for leg in legs if leg.kind == "reply"), None)
        gaps = [*record.gaps]
        decisive = forward
        disposition = forward.disposition
        if probe.result in ANSWERS and disposition != Disposition.MISDIRECTED:
            disposition = Disposition.ANSWERED
            if forward.disposition not in REACHED:
                gaps.append("the sender got an answer, yet the way there was not seen to its end")
        elif disposition == Disposition.DELIVERED and reply and reply.cause:
            decisive, disposition = reply, reply.disposition
        is_fine = disposition in REACHED
        return Trace(
            record.terrain.lab,
            record.terrain.file,
            Probe(**vars(probe) | {"cookie": 0}) if isinstance(probe, Picked) else probe,
            "observed",
            disposition,
            legs,
            (reply or forward).end if is_fine else decisive.end,
            None if is_fine else decisive.cause,
            record.backends,
            tuple(gaps),
            milliseconds=record.milliseconds,
        )


def _taken_in(evidence: Evidence) -> tuple[Disposition, Cause | None]:
    """Of a packet that nobody waits for an answer to: only what the kernel says then is known."""
    freed, flags = evidence.freed, evidence.packet.flags if evidence.packet else ""
    if freed is None or freed.reason in TAKEN or "R" in flags or _is_read(evidence, freed):
        return Disposition.DELIVERED, None  # resets are read by nobody
    disposition, cause = explain(evidence, BY_WORD)
    if cause is not None:
        return disposition, cause
    name = _known_end(evidence)
    cause = by_name(name, evidence) if name else None
    if cause is None:
        return explain(replace(evidence, arrived=False))
    if flags not in ("", "S"):
        sentence = f"{evidence.node} knows no such connection any more, and said so by a reset"
        cause = replace(cause, sentence=sentence, advice="the program has closed it")
    return Disposition.REFUSED, cause


def _is_read(evidence: Evidence, freed: Dropped) -> bool:
    """Echoes are read by raw sockets; of what ends a connection, TCP keeps nothing."""
    if evidence.probe.protocol == "icmp":
        return freed.reason == "NO_SOCKET"
    return freed.reason == "NOT_SPECIFIED" and freed.function.startswith("tcp_")


def _known_end(evidence: Evidence) -> str:
    """A cause that the kernel's own word is enough for, whatever was not seen before it."""
    reason = evidence.freed.reason if evidence.freed else ""
    return BY_REASON.get((evidence.probe.protocol, reason), "")


BY_REASON = {
    ("tcp", "NO_SOCKET"): "no-listener-tcp",
    ("udp", "NO_SOCKET"): "no-listener-udp",
}
"""Causes, by protocol and the kernel's own word."""


def _where(last: Builder) -> str:
    """The device that it was last at, or was to leave by."""
    is_leaving = last.stage == "postrouting" and last.route is not None
    return last.route.device if is_leaving and last.route else last.device


def _icmp(packet: Packet | None) -> str:
    """``icmp 3/1``."""
    return f"{packet.protocol} {packet.icmp}" if packet else ""


def _with_last(hops: tuple[Hop, ...], step: Step | None) -> tuple[Hop, ...]:
    if step is None:
        return hops
    return (*hops[:-1], replace(hops[-1], steps=(*hops[-1].steps, step)))


def made_words(packet: Packet) -> str:
    """What a node sends of its own; "" for an ordinary answer."""
    if packet.protocol == "tcp" and "R" in packet.flags:
        return "TCP reset"
    if packet.icmp in ICMP_NAMES.get(packet.protocol, {}):
        return f"ICMP {ICMP_NAMES[packet.protocol][packet.icmp]}"
    return ""


# what has to be asked


def first_ask(probe: Probe) -> Ask:
    """As the sender's kernel looks up where the probe goes."""
    protocol = "icmpv6" if probe.protocol == "icmp" and probe.version == 6 else probe.protocol
    ports = (0, 0) if probe.protocol == "icmp" else (probe.from_port, probe.port)
    return Ask(plain(probe.destination), probe.source, "", 0, probe.tos, protocol, *ports)


def answer_ask(packet: Packet) -> Ask:
    """As a node looks up where the answer to a packet goes."""
    return Ask(
        packet.source, packet.destination, "", 0, packet.tos, packet.protocol,
        packet.destination_port, packet.source_port,
    )  # fmt: skip


def questions(record: Record) -> dict[str, list[Ask]]:
    """The nodes whose facts are needed to conclude, and the routes to look up in each.

    With the first answers there may be more to ask, of the nodes on a segment.
    """
    found: dict[str, list[Ask]] = {record.probe.sender: [first_ask(record.probe)]}
    for node, ask in _asked(record):
        some = found.setdefault(node, [])
        if ask is not None and ask not in some:
            some.append(ask)
    found.pop("", None)
    return found


def ends(record: Record) -> set[str]:
    """The nodes in which something may have ended: of those more is to be known."""
    trails = follow(record.sightings, record.probe, record.terrain)
    last = {trail.visits[-1].node for trail in trails if not trail.is_clone}
    return last | {record.probe.sender, record.probe.target} | set(_awaited(record, trails))


def _awaited(record: Record, trails: Sequence[Trail]) -> Iterator[str]:
    """Who has the address of a next hop that nothing was sent to yet."""
    for visit in (trail.visits[-1] for trail in trails):
        builder = Builder(visit, record.facts.get(visit.node, Facts(visit.node)), record.terrain, 0)
        builder.build()
        if builder.stage == "postrouting" and builder.route is not None:
            goal = builder.route.via or builder.route.destination
            yield from record.terrain.holders.get(goal, ())


def _asked(record: Record) -> Iterator[tuple[str, Ask | None]]:
    terrain, probe = record.terrain, record.probe
    yield probe.target, None
    trails = follow(record.sightings, probe, terrain)
    for trail in trails:
        for visit in trail.visits:
            facts = record.facts.get(visit.node, Facts(visit.node))
            builder = Builder(visit, facts, terrain, 0)
            builder.build()
            for ask in builder.asks:
                yield visit.node, ask
            if builder.packet is not None and builder.stage in ("input", "rx"):
                yield visit.node, answer_ask(builder.packet)
            for device in visit.exits:
                yield terrain.peer(visit.node, device)[0], None
            if builder.route is not None and not visit.exits:
                yield from _segment(visit.node, builder.route, terrain)
    if not trails and probe.sender in record.facts:
        route = record.facts[probe.sender].route(first_ask(probe))
        if route is not None:
            yield from _segment(probe.sender, route, terrain)


def _segment(node: str, route: Route, terrain: Terrain) -> Iterator[tuple[str, None]]:
    """Who has to do with the next hop."""
    yield terrain.peer(node, route.device)[0], None
    yield from ((end, None) for end, _ in terrain.tunnels(node, route.device))
    for goal in terrain.holders.get(route.via or route.destination, ()):
        for passed, _ in terrain.segment_way(node, route.device, goal):
            yield passed, None
