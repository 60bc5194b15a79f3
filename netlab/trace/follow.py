"""Sightings → trails: whose each is, in which order they were, from node to node. Pure.

A *visit* is one coming of a packet to one node; a *trail* the visits of one packet in their order.
Frames (``taps``) have times, what nftables tells has only an order within its node: the two meet at
the devices, where a frame that came in stands before its ingress hook, and one that left behind its
egress hook. What the kernel tells (``bpf``) is put between them by its times, see ``moments``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from netlab.firewall.held import OF_TRACES
from netlab.trace import moments
from netlab.trace.cookie import Way, table_name, way_of
from netlab.trace.headers import ERRORS, NAMES, Headers, parse
from netlab.trace.model import Packet, Probe
from netlab.trace.sighting import Sighting
from netlab.trace.terrain import Terrain

FRAMES = frozenset({"rx", "tx"})
TIMED = FRAMES | {"freed"}
"""Points that have a time and the packet's bytes of their own."""


@dataclass(frozen=True)
class Seen:
    """A sighting of which it is known what it is a part of."""

    sighting: Sighting
    way: Way
    headers: Headers | None
    """Where it told any."""

    @property
    def packet(self) -> Packet | None:
        """The innermost one: what it is about, whatever wraps it."""
        return self.headers.innermost.packet if self.headers else None

    @property
    def outer(self) -> Packet | None:
        return self.headers.packet if self.headers else None

    @property
    def is_piece(self) -> bool:
        """A later fragment, which goes the way of the first one."""
        return self.sighting.known == "fragment"

    @property
    def is_between(self) -> bool:
        """Something that happened to the packet between two frames, as the kernel told it."""
        return self.is_piece or moments.is_moment(self.sighting)

    @property
    def is_own(self) -> bool:
        """Told by a chain of the trace itself."""
        return self.sighting.table.startswith(OF_TRACES)

    @property
    def hook(self) -> str:
        """Of an own chain, or where a program of the trace stands."""
        return self.sighting.chain.partition("_")[0] if self.is_own else self.sighting.hook

    @property
    def is_first(self) -> bool:
        """Whether the own chain is the one at the beginning of its hook."""
        return self.is_own and self.sighting.chain.split("_")[1] == "first"


@dataclass(frozen=True)
class Visit:
    """One coming of a packet to one node."""

    node: str
    way: Way
    seen: tuple[Seen, ...]
    entry: str = ""
    """The device it came in by; "" where it began here."""
    exits: tuple[str, ...] = ()
    """The devices it left by; several where it was flooded."""
    repeated: int = 0
    """How many times it came again the very same way."""

    @property
    def time(self) -> int:
        """Nanoseconds since the epoch, of the first frame; 0 where none has a time."""
        return next((s.sighting.time for s in self.seen if s.sighting.time), 0)

    @property
    def packet(self) -> Packet | None:
        return next((s.packet for s in self.seen if s.packet), None)


@dataclass(frozen=True)
class Trail:
    """The way of one packet, or of a copy of it."""

    way: Way
    visits: tuple[Visit, ...]
    is_clone: bool = False


def follow(sightings: Iterable[Sighting], probe: Probe, terrain: Terrain) -> list[Trail]:
    """Forward first, then what came back; copies last. What is not the probe's is left out."""
    trails: list[Trail] = []
    mine = attribute(sightings, probe)
    for way in ("forward", "reply", "error"):
        found = [seen for seen in mine if seen.way == way]
        by_node: dict[str, list[Seen]] = {}
        for seen in found:
            by_node.setdefault(seen.sighting.node, []).append(seen)
        visits = [v for node, some in by_node.items() for v in _visits(node, some, terrain)]
        trails += _trails(_without_repetitions(visits), probe, terrain)
    return sorted(trails, key=lambda trail: trail.is_clone)


# whose is it


def attribute(sightings: Iterable[Sighting], probe: Probe) -> list[Seen]:
    """Each with its way; those of other packets are gone."""
    found = _once(sightings)
    kernel = [Seen(*known) for known in moments.attributed(found, probe)]
    frames: list[Seen | None] = [
        _frame(s, probe) for s in found if s.point in TIMED and s.by != moments.BACKEND
    ]
    frames += [seen for seen in kernel if not seen.is_between]
    known = {}
    for frame in frames:
        if frame is not None and frame.headers is not None and frame.sighting.point in FRAMES:
            known[frame.sighting.node, _key(frame.headers.packet)] = frame
    hidden: Mapping[tuple[str, tuple[object, ...]], Seen] = known
    told = list(_told([s for s in found if s.table], probe, hidden))
    between = [seen for seen in kernel if seen.is_between]
    return [f for f in frames if f is not None] + told + between


def _once(sightings: Iterable[Sighting]) -> list[Sighting]:
    """A frame that two saw is told by who has the time of all that was between two of them."""
    found = list(sightings)
    if not any(s.by == moments.BACKEND and s.point in FRAMES for s in found):
        return found
    return [s for s in found if s.by == moments.BACKEND or s.point not in FRAMES]


def _frame(sighting: Sighting, probe: Probe) -> Seen | None:
    headers = parse(sighting.network, link=sighting.link)
    way = way_of(headers, probe) if headers else None
    return Seen(sighting, way, headers) if way else None


def _key(packet: Packet) -> tuple[object, ...]:
    """By which a frame and a hook's message are known to be of one packet."""
    return (
        packet.protocol, packet.source, packet.destination, packet.source_port,
        packet.destination_port, packet.identification, packet.icmp,
    )  # fmt: skip


def _told(
    sightings: Sequence[Sighting],
    probe: Probe,
    frames: Mapping[tuple[str, tuple[object, ...]], Seen],
) -> Iterator[Seen]:
    """Messages that belong together have one id, and the first of a chain has the headers."""
    own = table_name(probe.cookie)
    ours: set[tuple[str, int]] = set()
    now: dict[tuple[str, int], Way | None] = {}
    for sighting in sightings:
        if sighting.table.startswith(OF_TRACES) and sighting.table != own:
            continue  # somebody traces beside
        group = sighting.node, sighting.id
        headers = parse(sighting.network, sighting.transport, sighting.link)
        if sighting.table == own and sighting.point == "rule" and sighting.handle:
            ours.add(group)
        if headers is not None:
            frame = frames.get((sighting.node, _key(headers.packet)))
            now[group] = _way_told(headers, probe, frame, group in ours)
            if frame is not None and frame.headers and frame.headers.inner:
                headers = frame.headers  # what the tunnel holds was seen there
        way = now.get(group)
        if way is not None:
            yield Seen(sighting, way, headers)


def _way_told(headers: Headers, probe: Probe, frame: Seen | None, marked: bool) -> Way | None:
    """Of an error and of a tunnel 20 bytes do not tell; the mark, or a frame, does."""
    if frame is not None:
        return frame.way
    way = way_of(headers, probe)
    if way is None and marked and _is_error(headers.packet):
        return "error"
    return way


def _is_error(packet: Packet) -> bool:
    kind = int(packet.icmp.partition("/")[0] or -1)
    return any(NAMES[n] == packet.protocol and kind in types for n, types in ERRORS.items())


# in which order, within a node


@dataclass
class _Burst:
    """What one base chain told of one packet: a message with headers, and those behind it."""

    messages: list[Seen] = field(default_factory=list)

    @property
    def first(self) -> Seen:
        return self.messages[0]


def bursts(told: Sequence[Seen]) -> list[_Burst]:
    """By chain; the messages of two packets may alternate (a reject sends within a rule)."""
    found: list[_Burst] = []
    at: dict[int, _Burst] = {}
    for seen in told:
        last = at[seen.sighting.id].messages[-1] if seen.sighting.id in at else None
        if seen.headers is not None or last is None or _ends_chain(last.sighting):
            at[seen.sighting.id] = _Burst()
            found.append(at[seen.sighting.id])
        at[seen.sighting.id].messages.append(seen)
    return found


def _ends_chain(told: Sighting) -> bool:
    """What comes next is of another one, though it shows no headers (synproxy takes them away)."""
    return told.point == "policy" or told.verdict in ("accept", "drop", "stolen", "queue")


def _visits(node: str, seen: Sequence[Seen], terrain: Terrain) -> Iterator[Visit]:
    """What was seen of one way in one node, by the times that the packet came there."""
    ordered = _merged(seen)
    current: list[Seen] = []
    for one in ordered:
        if current and _begins_anew(one, current, node, terrain):
            if _has_come(current):
                yield _visit(node, current, terrain)
            current = []
        current.append(one)
    if _has_come(current):
        yield _visit(node, current, terrain)


def _has_come(seen: Sequence[Seen]) -> bool:
    """Whether there is anything of the packet itself, and not of a buffer that it has left."""
    return any(one.headers and one.sighting.point != "used" for one in seen)


def _merged(seen: Sequence[Seen]) -> list[Seen]:
    """Frames in the order of their times, each at the hook of its device."""
    frames = sorted(
        (s for s in seen if s.sighting.point in TIMED and not s.is_between),
        key=lambda s: s.sighting.time,
    )
    merged: list[Sequence[Seen]] = []
    waiting = list(frames)
    between = [s for s in seen if s.is_between]
    told = bursts([s for s in seen if s.sighting.table])
    has_ingress = any(burst.first.hook == "ingress" for burst in told)
    for burst in told:
        first = burst.first
        bare = first.sighting.device == "lo" or not has_ingress
        if first.hook == "ingress" or (first.hook == "prerouting" and first.is_first and bare):
            merged += [[frame] for frame in _up_to(waiting, "rx", first.sighting.device)]
        merged.append(burst.messages)
        if first.is_own and first.hook == "egress":
            merged += [[frame] for frame in _up_to(waiting, "tx", first.sighting.to_device)]
    if between:  # what stands between frames has a time, as they have
        return moments.placed(merged, [*waiting, *between])
    return moments.placed([*merged, *([frame] for frame in waiting)], [])


def _up_to(waiting: list[Seen], point: str, device: str) -> list[Seen]:
    """Take the frames from the queue up to that one; none where it is not among them."""
    for place, frame in enumerate(waiting):
        if (frame.sighting.point, frame.sighting.device) == (point, device):
            found = waiting[: place + 1]
            del waiting[: place + 1]
            return found
    return []


def _begins_anew(one: Seen, current: Sequence[Seen], node: str, terrain: Terrain) -> bool:
    """Whether the packet comes to the node again: over a link, or sent a second time."""
    if one.is_piece:
        return False
    if one.sighting.point == "rx" or one.sighting.point in moments.ARRIVALS:
        return not _arrives(one, current) and terrain.peer(node, one.sighting.device) != ("", "")
    if one.is_between:
        return _sent_again(one, current)
    if one.is_own and one.headers and one.is_first:
        device = one.sighting.device
        if one.hook == "ingress" and terrain.peer(node, device) != ("", ""):
            told = [s for s in current if not s.is_between]
            last = told[-1].sighting if told else None
            return last is not None and (last.point, last.device) != ("rx", device)
        if one.hook == "output" and one.sighting.family == "inet":
            return any(
                s.hook == "output" and s.is_first and s.sighting.family == "inet"
                and s.outer and one.outer and _flow(s.outer) == _flow(one.outer)
                for s in current
            )  # fmt: skip
    return False


def _arrives(one: Seen, current: Sequence[Seen]) -> bool:
    """Whether it is just coming by that device; of that more than one may tell."""
    frames = [s.sighting for s in current if s.sighting.point in FRAMES and not s.is_piece]
    if not frames:
        return all(s.sighting.point in moments.BEFORE_ARRIVAL for s in current)
    is_rx = one.sighting.point == "rx"
    return not is_rx and (frames[-1].point, frames[-1].device) == ("rx", one.sighting.device)


def _sent_again(one: Seen, current: Sequence[Seen]) -> bool:
    """Whether what passes the first hook has passed it already."""
    if (one.sighting.hook, one.sighting.stage) != ("output", "first") or one.outer is None:
        return False
    return any(
        (s.sighting.hook, s.sighting.stage) == ("output", "first")
        and s.outer and _flow(s.outer) == _flow(one.outer)
        for s in current
    )  # fmt: skip


def _flow(packet: Packet) -> tuple[object, ...]:
    return packet.protocol, packet.source, packet.destination, packet.icmp


def _visit(node: str, seen: Sequence[Seen], terrain: Terrain) -> Visit:
    entry = ""
    exits: dict[str, None] = {}
    for one in seen:
        sighting = one.sighting
        came = sighting.point == "rx" or (one.is_own and one.hook == "ingress")
        if came and sighting.device and not entry and not exits:
            entry = sighting.device
        left = sighting.device if sighting.point == "tx" else ""
        if one.is_own and one.hook == "egress":
            left = sighting.to_device
        if left:
            exits[left] = None
    outside = [d for d in exits if terrain.peer(node, d) != ("", "")]
    return Visit(node, seen[0].way, tuple(seen), entry, tuple(outside or exits))


def _without_repetitions(visits: Sequence[Visit]) -> list[Visit]:
    """A packet that was sent again, or goes in circles on a segment, is told once."""
    found: dict[tuple[object, ...], Visit] = {}
    count: dict[tuple[object, ...], int] = {}
    for visit in visits:
        packet = visit.packet
        key = (visit.node, visit.entry, packet.ttl if packet else 0, packet and packet.within)
        count[key] = count.get(key, -1) + 1
        found.setdefault(key, visit)
    return [
        Visit(v.node, v.way, v.seen, v.entry, v.exits, count[key]) for key, v in found.items()
    ]


# from node to node


def _trails(visits: Sequence[Visit], probe: Probe, terrain: Terrain) -> list[Trail]:
    if not visits:
        return []
    following = _following(visits, terrain)
    led_to = {id(v) for some in following.values() for v in some}
    starts = [v for v in visits if id(v) not in led_to]
    starts.sort(key=_rank)
    main, clones = _main_way(starts, following, probe)
    way = visits[0].way
    trails = [Trail(way, tuple(main))]
    return trails + [Trail(way, tuple(clone), is_clone=True) for clone in clones]


def _rank(visit: Visit) -> tuple[bool, int]:
    """Where it began comes first; what has no time last."""
    return bool(visit.entry), visit.time or 1 << 62


def _following(visits: Sequence[Visit], terrain: Terrain) -> dict[int, list[Visit]]:
    """Of each visit those that it led to: at the other ends of the devices it left by."""
    free = sorted(visits, key=lambda v: v.time or 1 << 62)
    found: dict[int, list[Visit]] = {id(v): [] for v in visits}
    for visit in sorted(visits, key=_rank):
        for device in visit.exits:
            node, entry = terrain.peer(visit.node, device)
            for other in free:
                if (other.node, other.entry) == (node, entry) and _can_follow(visit, other):
                    found[id(visit)].append(other)
                    free.remove(other)
                    break
    return found


def _can_follow(before: Visit, after: Visit) -> bool:
    if after is before or (after.time and before.time and after.time < before.time):
        return False
    left = next((s.packet for s in reversed(before.seen) if s.packet), None)
    came = after.packet
    return left is None or came is None or left.ttl == came.ttl or bool(left.within or came.within)


def _main_way(
    starts: Sequence[Visit], following: Mapping[int, Sequence[Visit]], probe: Probe
) -> tuple[list[Visit], list[list[Visit]]]:
    """The one that gets furthest; of pieces with a gap between them, all, one after the other."""
    main: list[Visit] = []
    clones: list[list[Visit]] = []
    for start in starts:
        ways = _ways(start, following)
        best = max(ways, key=lambda way: _worth(way, probe))
        main += best
        taken = {id(v) for v in best}
        clones += [rest for way in ways if (rest := [v for v in way if id(v) not in taken])]
    return main, clones


def _ways(start: Visit, following: Mapping[int, Sequence[Visit]]) -> list[list[Visit]]:
    """All from there to an end. Without recursion: a circle is as long as a TTL is high."""
    done: list[list[Visit]] = []
    open_ways = [[start]]
    while open_ways:
        way = open_ways.pop()
        further = following[id(way[-1])]
        open_ways += [[*way, visit] for visit in reversed(further)]
        if not further:
            done.append(way)
    return done


def _worth(way: Sequence[Visit], probe: Probe) -> tuple[bool, bool, int]:
    """To be taken in is worth more than to be let fall, a long way more than a short one."""
    last = way[-1]
    goal = probe.target if last.way == "forward" else probe.sender
    taken = any(s.hook == "input" and s.sighting.family != "bridge" for s in last.seen)
    return taken, last.node == goal, len(way)
