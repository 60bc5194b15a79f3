"""A lab's own packets, followed as they go: who watches is set up, and each is told when it ended.

The same backends watch as for a probe, and each packet is concluded as a probe is: here it is the
packet that stands in the probe's place. What was lost is said: a packet that something may be
missing of is not taken for one that vanished.
"""

from __future__ import annotations

import selectors
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace

from netlab.errors import KernelRefused
from netlab.kernel.limits import raise_limit
from netlab.kernel.visits import Visits
from netlab.trace import taught
from netlab.trace.backends.base import Backend, Scene, Watch
from netlab.trace.choice import Choice
from netlab.trace.conclude import conclude
from netlab.trace.cookie import Picked, fresh
from netlab.trace.facts import AddressFact, Facts
from netlab.trace.follow import follow
from netlab.trace.gather import Followed, Gathering
from netlab.trace.headers import parse
from netlab.trace.journey import (
    close_watches,
    facts_for,
    kept_time,
    open_watches,
    with_sockets,
)
from netlab.trace.model import REACHED, Disposition, Trace
from netlab.trace.record import Record
from netlab.trace.sighting import Sighting
from netlab.trace.taught import Taught
from netlab.trace.terrain import Terrain

BACKENDS = ("bpf", "nft-trace", "taps")
"""Those that can follow what nobody sent for them."""
RULES = "nft-trace"
TICK, IDLE = 0.05, 0.5
"""Seconds."""
FRESH = 1.0
"""Seconds for which what a node holds is taken to be the same."""
MOST_KNOWN = 256
MOST_SORTS = 1000
PING = "ping_rcv"
"""Where the kernel lets a copy of each echo reply fall that only a raw socket is for."""
ELSEWHERE = frozenset({Disposition.LEFT, Disposition.UNKNOWN})
LESS = {
    "bpf": "without bpf ({why}) the kernel's own word on each end is not heard",
    "nft-trace": "without nft-trace ({why}) no rule is named",
}


@dataclass(frozen=True)
class Told:
    """A packet of the lab."""

    time: float
    """Seconds since the epoch; 0 where nobody has told a time."""
    trace: Trace
    terrain: Terrain
    sightings: tuple[Sighting, ...]
    microseconds: float = 0.0
    """From where it was first seen to where it was last seen."""
    taught: Taught | None = None
    """What was measured at its steps, where that is wanted."""

    @property
    def has_arrived(self) -> bool:
        return self.trace.disposition in REACHED

    @property
    def is_dropped(self) -> bool:
        """For certain, and not only out of sight."""
        return not self.has_arrived and self.trace.disposition not in ELSEWHERE


@dataclass
class Sums:
    """What is said in the end; of each packet no more than where and why it ended is kept."""

    packets: int = 0
    arrived: int = 0
    left: int = 0
    """The lab, for where nobody looks."""
    unseen: int = 0
    """Of which events were lost, so that their end is not known."""
    ends: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Of the others: by node, in words, by the line of the topology."""
    sorts_left: int = 0
    """Ends of sorts that came when there were too many sorts already."""
    under_way: int = 0
    early: int = 0
    gaps: tuple[str, ...] = ()


class Live:
    """Open from the beginning on; ``close`` leaves nothing. Raises CannotWatch, MachineLacks."""

    def __init__(
        self,
        terrain: Terrain,
        visits: Visits,
        backends: Mapping[str, Backend],
        choice: Choice,
        *,
        in_depth: bool = False,
    ) -> None:
        """``in_depth``: what was measured at each step is to be taught as well."""
        self._terrain, self._visits, self._in_depth = terrain, visits, in_depth
        self._stack = ExitStack()
        raise_limit()
        try:
            self._stack.enter_context(kept_time())
            nobody = Picked("", "", "tcp", "", "", cookie=fresh())
            scene = Scene(terrain, nobody, visits, choice, in_depth)
            self._watches, self.told = open_watches(scene, backends)
            self._stack.callback(close_watches, self._watches)
        except BaseException:
            self._stack.close()
            raise
        self._cookie = nobody.cookie
        named = zip((name for name, why in self.told if not why), self._watches, strict=True)
        self._in_order = [watch for _, watch in sorted(named, key=lambda pair: pair[0] != RULES)]
        self._gathering = Gathering(
            choice, terrain.holders, tunnels=terrain.has_tunnels
        )
        self._losses = _Losses(self._watches)
        self._lacked = self._losses.now()
        self._known = _Known(terrain)
        self.sums = Sums()

    @property
    def lacks(self) -> list[str]:
        """What is not seen here, and why; in sentences."""
        told = dict(self.told)
        absent = {name: told.get(name, "not chosen") for name in LESS}
        said = [LESS[name].format(why=why) for name, why in absent.items() if why]
        return [*said, *self._losses.now()]

    @property
    def watches(self) -> bool:
        return bool(self._watches)

    @property
    def _sees_frames(self) -> bool:
        return any(not why and name != RULES for name, why in self.told)

    def packets(self, stop: Callable[[], bool], wakes: Sequence[int]) -> Iterator[Told]:
        """As they end, until it is to stop; ``wakes``: files that can be read when to ask that."""
        with selectors.DefaultSelector() as selector:
            for fd in (*wakes, *(fd for watch in self._watches for fd in watch.files())):
                selector.register(fd, selectors.EVENT_READ)
            while not stop():
                selector.select(TICK if self._gathering.waits else IDLE)
                now = self._take()
                yield from self._told(self._gathering.done(now))
        self._take()
        rest = self._gathering.rest()
        self.sums.under_way = sum(not p.is_settled for p in rest)
        yield from self._told([p for p in rest if p.is_settled])

    def count(self, told: Told) -> None:
        """It is one of those that were wanted."""
        sums, trace = self.sums, told.trace
        sums.packets += 1
        if told.has_arrived:
            sums.arrived += 1
        elif trace.disposition == Disposition.LEFT:
            sums.left += 1
        elif trace.disposition == Disposition.UNKNOWN:
            sums.unseen += 1
        else:
            cause = trace.cause
            words = cause.sentence if cause else str(trace.disposition)
            node = trace.place.node if trace.place else ""
            sort = node, words, cause.place if cause else ""
            if sort in sums.ends or len(sums.ends) < MOST_SORTS:
                sums.ends[sort] += 1
            else:
                sums.sorts_left += 1

    def close(self) -> Sums:
        """What is known in the end."""
        for watch in self._watches:
            watch.end(())
        self.sums.gaps = tuple(gap for gap in self._losses.now() if gap not in self._lacked)
        self.sums.early = self._gathering.early
        self._stack.close()
        return self.sums

    def _take(self) -> float:
        """What rules say is read first, and looked at last: by then it is known of which packet."""
        found = [watch.read() for watch in self._in_order]
        for some in reversed(found):
            self._gathering.add(some, time.monotonic())
        now = time.monotonic()
        self._losses.look(now)
        return now

    # one packet

    def _told(self, packets: Sequence[Followed]) -> Iterator[Told]:
        for packet in packets:
            found = self._one(packet)
            if found is not None:
                yield found

    def _one(self, packet: Followed) -> Told | None:
        """None where it was only seen where nothing can be told of it."""
        seen = tuple(packet.sightings)
        probe = self._stands_for(seen)
        if probe is None or (self._sees_frames and all(s.table for s in seen)):
            return None
        record = Record(self._terrain, probe, seen, self._known.least, tuple(self.told))
        trails = follow(seen, probe, self._terrain)
        if not trails:
            return None
        trace = conclude(record)
        if trace.disposition not in REACHED:
            place = trace.place.node if trace.place else ""
            trace = conclude(replace(record, facts=self._facts(record, place)))
        is_unsure = packet.is_early or self._losses.since(packet.first)
        is_told = trace.disposition != Disposition.LOST and _has_ended(seen)
        if is_unsure and trace.disposition not in REACHED and not is_told:
            gap = "something was lost while it was under way: of its end nothing is known"
            trace = replace(
                trace, disposition=Disposition.UNKNOWN, cause=None, gaps=(*trace.gaps, gap)
            )
        times = [s.time for s in seen if s.time]
        span = round((max(times) - min(times)) / 1000, 1) if times else 0.0
        began = round(min(times, default=0) / 1e9, 6)
        return Told(began, trace, self._terrain, seen, span)

    def in_full(self, told: Told) -> Told:
        """With all that nodes hold: which rules it passed, which routes it took."""
        probe = self._stands_for(told.sightings)
        is_whole = not told.has_arrived and not self._in_depth
        if probe is None or is_whole or told.trace.disposition == Disposition.UNKNOWN:
            return told
        record = Record(
            self._terrain, probe, told.sightings, self._known.least, tuple(self.told)
        )
        place = told.trace.place.node if told.trace.place else ""
        record = replace(record, facts=self._facts(record, place))
        trace = conclude(record)
        if not self._in_depth:
            return replace(told, trace=trace)
        record = replace(record, facts=with_sockets(record, self._visits))
        return replace(told, trace=trace, taught=taught.of(record, trace))

    def _stands_for(self, sightings: Sequence[Sighting]) -> Picked | None:
        """The packet as a probe: as it was seen first."""
        for sighting in sorted(sightings, key=lambda s: s.time or 1 << 62):
            headers = parse(sighting.network, sighting.transport, sighting.link)
            if headers is None:
                continue
            packet = headers.innermost.packet
            name = {"icmpv6": "icmp"}.get(packet.protocol, packet.protocol)
            return Picked(
                sighting.node, self._terrain.holder(packet.destination),
                name, packet.source, packet.destination,
                packet.destination_port, packet.source_port, ttl=packet.ttl, cookie=self._cookie,
            )  # fmt: skip
        return None

    def _facts(self, record: Record, place: str) -> Mapping[str, Facts]:
        """Asked for once a second for all packets that fare alike."""
        probe = record.probe
        flow = (
            probe.protocol, probe.source, probe.destination, probe.port, place,
            frozenset(s.node for s in record.sightings),
        )  # fmt: skip
        known = self._known.of(flow)
        if known is None:
            asked: Mapping[str, Facts] = {}
            with suppress(FileNotFoundError, KernelRefused):  # the lab, or a node, went down
                asked = facts_for(replace(record, facts={}), self._visits)
            known = {**self._known.least, **asked}
            self._known.keep(flow, known)
        return known


def _has_ended(sightings: Sequence[Sighting]) -> bool:
    """Whether somebody said so; that no ping socket waits for it says nothing of raw ones."""
    freed = [s for s in sightings if s.point == "freed" and not s.function.startswith(PING)]
    return bool(freed) or any(s.verdict == "drop" for s in sightings)


class _Losses:
    """When watches were last heard to have missed something.

    What was told before that is read at the next look only, so that moment counts as well.
    """

    def __init__(self, watches: Sequence[Watch]) -> None:
        self._watches = watches
        self._said = self.now()
        self._last = 0.0
        self._was_new = False

    def look(self, now: float) -> None:
        said = self.now()
        is_new = said != self._said
        if is_new or self._was_new:
            self._last = now
        self._said, self._was_new = said, is_new

    def since(self, moment: float) -> bool:
        return self._last >= moment

    def now(self) -> list[str]:
        return [gap for watch in self._watches for gap in watch.gaps()]


class _Known:
    """What nodes hold, as far as it was asked for lately."""

    def __init__(self, terrain: Terrain) -> None:
        self.least = {name: _addresses(terrain, name) for name in terrain.spots}
        """Of every node: what the topology says."""
        self._kept: dict[object, tuple[float, Mapping[str, Facts]]] = {}

    def of(self, flow: object) -> Mapping[str, Facts] | None:
        when, found = self._kept.get(flow, (0.0, None))
        return found if found is not None and time.monotonic() - when < FRESH else None

    def keep(self, flow: object, facts: Mapping[str, Facts]) -> None:
        if len(self._kept) >= MOST_KNOWN:
            self._kept.pop(next(iter(self._kept)))
        self._kept[flow] = time.monotonic(), facts


def _addresses(terrain: Terrain, node: str) -> Facts:
    found = []
    for device in terrain.spots[node].devices:
        for written in device.addresses:
            address, _, length = written.partition("/")
            found.append(AddressFact(device.name, address, int(length or 0)))
    return Facts(node, addresses=tuple(found))
