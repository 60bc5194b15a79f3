"""A probe's whole story, foretold: the way there, the way back, and all ways that it may go."""

from __future__ import annotations

import errno
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import ip_address
from typing import NamedTuple

from netlab.model.words import IP
from netlab.trace import model
from netlab.trace.chains import dropped_words
from netlab.trace.explain import route
from netlab.trace.explain.choices import Choice, Choices, Told, each
from netlab.trace.explain.internet import ENDS, OF_ERRNO, mtu
from netlab.trace.explain.judging import judged, with_last
from netlab.trace.explain.packet import (
    ECHO,
    RST,
    SYN,
    SYN_BYTES,
    Packet,
    Span,
    as_told,
    exactly,
    icmp_of,
)
from netlab.trace.explain.route import Decision, Flow, decide, said
from netlab.trace.explain.state import World
from netlab.trace.explain.story import Fate, Next, Send, Story, Trail, furthest
from netlab.trace.explain.walk import run
from netlab.trace.model import (
    REACHED,
    Disposition,
    Leg,
    Place,
    Probe,
    Trace,
)
from netlab.trace.probe import FILLER, smallest
from netlab.trace.terrain import plain

CALLS = {"tcp": "connect()", "udp": "send()", "icmp": "echo request"}
ANY_ID = Span(0, 0xFFFF, "an echo's id")
DEFAULT_PORTS = (32768, 60999)


class Foreseen(NamedTuple):
    trace: Trace
    ways: tuple[Trace, ...]
    """All that it may go; none where they are too many to go through."""


def foretell(world: World, probe: Probe) -> Trace:
    """What is foretold; where that hangs on what cannot be known, the trace says on what."""
    return foreseen(world, probe).trace


def foreseen(world: World, probe: Probe) -> Foreseen:
    start = time.perf_counter()
    told, whole = journeys(world, probe)
    spent = round((time.perf_counter() - start) * 1000, 1)
    ways = tuple(one.story for one in told) if whole else ()
    return Foreseen(replace(_summed_up(told, whole), milliseconds=spent), ways)


def journeys(world: World, probe: Probe) -> tuple[list[Told[Trace]], bool]:
    """All that may happen, what is usual first; whether that is all."""
    return each(partial(_journey, world, probe))


def _journey(world: World, probe: Probe, choices: Choices) -> Trace:
    story = Story(world, choices, probe.sender, time.time(), run=run)
    return _Journey(story, probe).tell()


@dataclass
class _Journey:
    story: Story
    probe: Probe

    def tell(self) -> Trace:
        started = self._start()
        if isinstance(started, Fate):
            return self._whole(started, None)
        forward = furthest(run(self.story, started))
        return self._whole(forward, self._back(forward))

    # the probe

    def _start(self) -> list[Next] | Fate:
        """Its packet, or why it cannot be sent."""
        probe, story = self.probe, self.story
        state = story.state(probe.sender)
        bare, _, device = probe.destination.partition("%")
        destination = ip_address(bare)
        flow = Flow(destination, _given(probe.source), "", device, 0, probe.tos)
        decided = decide(state, flow, story.choices)
        trail = Trail().enter(probe.sender, state.role)
        source = flow.source or decided.source
        if not decided.error and source is None:
            decided = replace(decided, error=errno.EADDRNOTAVAIL)
        if decided.error or source is None:
            return self._unsent(decided, trail, destination)
        packet = self._packet(source, destination, decided)
        self.probe = replace(probe, source=str(source))
        trail = trail.then(model.Socket(self._call(packet)))
        if packet.dont_fragment and packet.length > mtu(state, decided):
            return Fate(
                probe.sender, packet, trail.then(route.as_told(state, decided)),
                Disposition.TOO_BIG, "mtu", decided=decided, errno=errno.EMSGSIZE,
            )  # fmt: skip
        return [Send(probe.sender, packet, trail, user=0, outgoing=device)]

    def _unsent(self, decided: Decision, trail: Trail, destination: IP) -> Fate:
        probe, state = self.probe, self.story.state(self.probe.sender)
        kind = decided.type or (OF_ERRNO.get(decided.error, "") if decided.policy else "")
        disposition, cause = ENDS.get(kind, (Disposition.NO_ROUTE, "no-route"))
        nobody = ip_address("0.0.0.0" if destination.version == 4 else "::")
        packet = Packet(nobody, destination, _protocol(probe, destination))
        trail = trail.then(model.Socket(CALLS[probe.protocol]), route.as_told(state, decided))
        return Fate(
            probe.sender, packet, trail, disposition, cause, decided=decided,
            errno=decided.error, words=said(decided.error),
        )  # fmt: skip

    def _packet(self, source: IP, destination: IP, decided: Decision) -> Packet:
        probe, state = self.probe, self.story.state(self.probe.sender)
        version = destination.version
        length = SYN_BYTES[version]
        if probe.protocol != "tcp":
            length = probe.size or smallest(probe) + len(FILLER)
        port = exactly(probe.from_port) if probe.from_port else self._any_port()
        identity = exactly(probe.from_port) if probe.from_port else ANY_ID
        is_echo = probe.protocol == "icmp"
        usual = state.switch("net.ipv4.ip_default_ttl", 64)
        hops = state.conf(6, decided.device, "hop_limit") or 64
        whole = probe.dont_fragment
        if whole is None:
            whole = length <= mtu(state, decided)
        return Packet(
            source,
            destination,
            _protocol(probe, destination),
            exactly(0) if is_echo else port,
            exactly(probe.port),
            SYN if probe.protocol == "tcp" else 0,
            (ECHO[version], 0) if is_echo else (0, 0),
            identity if is_echo else exactly(0),
            probe.ttl or (usual if version == 4 else hops),
            probe.tos,
            length,
            whole,
        )

    def _any_port(self) -> Span:
        state = self.story.state(self.probe.sender)
        words = state.holding.switches.get("net.ipv4.ip_local_port_range", "").split()
        low, high = (int(words[0]), int(words[1])) if len(words) == 2 else DEFAULT_PORTS
        return Span(low, high, "the source port is chosen when it is sent")

    def _call(self, packet: Packet) -> str:
        call = CALLS[self.probe.protocol]
        if packet.has_ports and packet.source_port.known:
            name = f"[{packet.source}]" if packet.version == 6 else str(packet.source)
            return f"{call} from {name}:{packet.source_port}"
        return f"{call} from {packet.source}"

    # what comes back

    def _back(self, forward: Fate) -> Fate | None:
        made, node = forward.made, forward.node
        if made is None or (node == self.probe.sender and not forward.arrived):
            return None
        trail = Trail().enter(node, self.story.state(node).role)
        return furthest(run(self.story, [Send(node, made.packet, trail, made.seen)]))

    # the trace

    def _whole(self, forward: Fate, back: Fate | None) -> Trace:
        probe, world = self.probe, self.story.world
        disposition, cause = judged(self.story, probe, "forward", forward, back)
        there = self._leg("forward", forward, disposition, cause, None)
        legs = [there]
        if back is not None and (back.stage or back.hook):
            kind = "error" if forward.made and forward.made.packet.is_error else "reply"
            legs.append(self._return(kind, back, forward))
        result = self._result(forward, back)
        reply = next((leg for leg in legs if leg.kind == "reply"), None)
        decisive = there
        if result in ("connected", "answered"):
            disposition = Disposition.ANSWERED
        elif disposition == Disposition.DELIVERED and reply and reply.disposition not in REACHED:
            decisive, disposition = reply, reply.disposition
        is_fine = disposition in REACHED
        return Trace(
            world.terrain.lab,
            world.terrain.file,
            replace(probe, result=result),
            "predicted",
            disposition,
            tuple(legs),
            (reply or there).end if is_fine else decisive.end,
            None if is_fine else decisive.cause,
            (),
            (*world.gaps, *self.story.gaps),
        )

    def _return(self, kind: str, back: Fate, forward: Fate) -> Leg:
        if self._is_home(back):
            back = replace(back, trail=Trail((*self.story.before.hops, *back.trail.hops)))
            return self._leg(kind, back, Disposition.DELIVERED, None, forward)
        disposition, cause = judged(self.story, self.probe, kind, back, None, forward.trail.nodes)
        return self._leg(kind, back, disposition, cause, forward)

    def _is_home(self, back: Fate) -> bool:
        """At the sender, and from where that had sent to: for others no socket waits."""
        asked = ip_address(plain(self.probe.destination))
        known = back.packet.is_error or back.packet.source == asked or asked.is_multicast
        return back.arrived and back.node == self.probe.sender and known

    def _leg(
        self,
        kind: str,
        fate: Fate,
        disposition: Disposition,
        cause: model.Cause | None,
        because: Fate | None,
    ) -> Leg:
        hops = fate.trail.hops
        if fate.chain is not None:
            hops = with_last(hops, model.Dropped(dropped_words(fate.chain, fate.rule)))
        elif cause is not None:
            step = model.Socket if disposition == Disposition.REFUSED else model.Dropped
            hops = with_last(hops, step(cause.sentence))
        elif disposition not in REACHED:
            hops = with_last(hops, model.Dropped(fate.words or str(disposition)))
        if fate.made is not None and fate.made.words and kind == "forward":
            hops = with_last(hops, model.Made(fate.made.words, as_told(fate.made.packet)))
        first = because.made.packet if because and because.made else None
        packet = as_told(first) if first else self._first(fate)
        end = Place(fate.node, fate.device, fate.hook, kind)
        named = {"forward": "forward", "reply": "reply", "error": "error"}[kind]
        return Leg(named, hops, disposition, packet, end, cause)  # type: ignore[arg-type]

    def _first(self, fate: Fate) -> model.Packet | None:
        """As it was when it began, as far as a step tells."""
        steps = (s for hop in fate.trail.hops for s in hop.steps)
        found = (p for s in steps if (p := getattr(s, "packet", None)) is not None)
        return next(found, None) or as_told(fate.packet)

    def _result(self, forward: Fate, back: Fate | None) -> str:
        """What the sender's program is told in the end."""
        if forward.node == self.probe.sender and not forward.arrived and forward.errno:
            return errno.errorcode.get(forward.errno, str(forward.errno))
        if back is None or not self._is_home(back):
            return "no answer"
        packet = back.packet
        if packet.is_error:
            return RESULTS.get((packet.version, *packet.icmp), "no answer")
        if packet.protocol == "tcp":
            return "ECONNREFUSED" if packet.flags & RST else "connected"
        return "answered"


RESULTS = {
    (4, 3, 0): "ENETUNREACH", (4, 3, 1): "EHOSTUNREACH", (4, 3, 2): "ENOPROTOOPT",
    (4, 3, 3): "ECONNREFUSED", (4, 3, 4): "EMSGSIZE", (4, 3, 9): "ENETUNREACH",
    (4, 3, 10): "EHOSTUNREACH", (4, 3, 13): "EHOSTUNREACH", (4, 11, 0): "EHOSTUNREACH",
    (6, 1, 0): "ENETUNREACH", (6, 1, 1): "EACCES", (6, 1, 3): "EHOSTUNREACH",
    (6, 1, 4): "ECONNREFUSED", (6, 1, 5): "EACCES", (6, 1, 6): "EACCES", (6, 2, 0): "EMSGSIZE",
    (6, 3, 0): "EHOSTUNREACH",
}  # fmt: skip
"""What an ICMP error tells a program, by IP version, type and code (icmp_err_convert)."""


def _given(source: str) -> IP | None:
    return ip_address(source) if source else None


def _protocol(probe: Probe, destination: IP) -> str:
    return icmp_of(destination.version) if probe.protocol == "icmp" else probe.protocol


# several ways


def _summed_up(told: Sequence[Told[Trace]], whole: bool) -> Trace:
    """The usual one; where others end otherwise, nothing is said of how it ends."""
    first = told[0].story
    gaps = list(first.gaps)
    ends = {end_words(one.story) for one in told}
    if not whole:
        gaps.append("there are more ways than were gone through")
    if len(ends) == 1:
        gaps += [_alike(choice) for choice in told[0].choices]
        return replace(first, gaps=tuple(gaps))
    by_end: dict[str, Told[Trace]] = {}
    for one in told:
        by_end.setdefault(end_words(one.story), one)
    gaps += [f"{end}, if {_conditions(one.choices)}" for end, one in by_end.items()]
    return replace(first, disposition=Disposition.UNKNOWN, place=None, cause=None, gaps=tuple(gaps))


def end_words(trace: Trace) -> str:
    """``denied at gw``."""
    where = f" at {trace.place.node}" if trace.place and trace.disposition not in REACHED else ""
    return f"{trace.disposition}{where}"


def _alike(choice: Choice) -> str:
    return f"{choice.why}; told is: {choice.way}. All of {len(choice.options)} end alike"


def _conditions(choices: Sequence[Choice]) -> str:
    return " and ".join(f"{choice.why}: {choice.way}" for choice in choices) or "all goes as usual"
