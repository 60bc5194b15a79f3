"""What the kernel told of a packet while it was there → whose it is, and its place among the rest.

Each has a time. Frames have one as well; what nftables tells has none, but it stands between two
programs at the same hook that have: its first chain before the one, its last behind the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from netlab.trace.cookie import Way, way_of
from netlab.trace.headers import NAMES, Headers, parse
from netlab.trace.model import Packet, Probe, Socket
from netlab.trace.sighting import Sighting

if TYPE_CHECKING:
    from netlab.trace.follow import Seen

BACKEND = "bpf"
FRAMES = frozenset({"rx", "tx"})
ENDS = frozenset({"freed"})
HIDING = frozenset({"buffer", "program"})
"""Known by these, the packet is within what is seen."""
ARRIVALS = frozenset({"backlog", "gro", "gro-frags"})
"""What becomes of a frame before its device gives it on."""
BEFORE_ARRIVAL = ARRIVALS | {"used"}
"""XDP in a veth's poll may copy the bytes, and gives the buffer back that they came in."""
ANSWERS = frozenset({"answered-again"})
"""What the target's kernel does by itself, some time later."""


def is_moment(sighting: Sighting) -> bool:
    """Neither a frame nor an end: something that happened to the packet in between."""
    return sighting.by == BACKEND and sighting.point not in FRAMES | ENDS


# whose is it


Known: TypeAlias = tuple[Sighting, Way, Headers | None]


def attributed(sightings: Iterable[Sighting], probe: Probe) -> Iterator[Known]:
    """Those of the kernel, with their way and their headers; what is another packet's is gone."""
    buffers: dict[int, tuple[Way, Headers | None]] = {}
    pieces: dict[tuple[object, ...], tuple[Way, Headers | None]] = {}
    for seen in sorted((s for s in sightings if s.by == BACKEND), key=lambda s: s.time):
        headers = parse(seen.network, link=seen.link) if seen.network else None
        way = way_of(headers, probe) if headers else None
        before = buffers.get(seen.buffer) or buffers.get(seen.source_buffer)
        if headers is not None and way is not None:
            pieces.setdefault(_piece(headers.packet), (way, headers))
        elif headers is not None and seen.known == "fragment":
            way = pieces.get(_piece(headers.packet), before or (None, None))[0]
        elif headers is not None and before and seen.known in HIDING:
            way, headers = before[0], _around(headers, before[1])
        elif before and not seen.network:
            way = before[0]
        elif not seen.buffer:
            way = _by_node(seen, probe)
        if way is None:
            continue
        if seen.buffer and headers is not None and not headers.packet.fragment.strip("0+"):
            buffers[seen.buffer] = way, headers
        yield seen, way, headers


def _piece(packet: Packet) -> tuple[object, ...]:
    """What all fragments of a packet have in common."""
    return packet.source, packet.destination, packet.protocol, packet.identification


def _around(outer: Headers, inner: Headers | None) -> Headers:
    """What cannot be read is known from before it was wrapped."""
    if inner is None:
        return outer
    held = inner.innermost
    packet = outer.packet
    name = packet.protocol if packet.protocol in NAMES.values() else f"protocol {packet.protocol}"
    within = f"{name} {packet.source} → {packet.destination}"
    return replace(outer, inner=replace(held, packet=replace(held.packet, within=within)))


def _by_node(seen: Sighting, probe: Probe) -> Way | None:
    """Of what the node's own sockets do, with no packet at hand."""
    if seen.point in ANSWERS:
        return "reply"
    return "forward" if seen.node in (probe.sender, probe.target) else None


# where is it


Flow: TypeAlias = tuple[object, ...]
IP = frozenset({"inet", "ip", "ip6"})


@dataclass
class _Window:
    """A hook, passed once."""

    flow: Flow
    """What packet it was: in a tunnel, that around it."""
    first: int
    tracked: int = 0
    last: int = 0
    chains: set[tuple[str, str, str]] = field(default_factory=set)
    """That it has gone through there."""

    def at(self, chain: Sighting) -> int:
        """Chains that know the state of a connection stand behind connection tracking."""
        return self.tracked if chain.ct_state and self.tracked else self.first


@dataclass
class _Windows:
    """Of one packet in one node, by hook, in order."""

    waiting: dict[str, list[_Window]] = field(default_factory=dict)
    current: dict[str, _Window] = field(default_factory=dict)

    def time(self, messages: Sequence[Seen]) -> int:
        """Of what one chain told; 0 for what no program stands beside."""
        first = messages[0]
        if first.sighting.family not in IP:
            return 0
        if not first.is_own:
            window = self._of_chain(first)
            return window.at(first.sighting) if window else 0
        if first.is_first:
            window = self._next(first)
            return window.first - 1 if window else 0
        window = self.current.pop(first.hook, None)
        return window.last + 1 if window and window.last else 0

    def _of_chain(self, first: Seen) -> _Window | None:
        """That a chain of the node's own stands in: where it has been gone through, the next."""
        seen = first.sighting
        chain = seen.family, seen.table, seen.chain
        if not first.hook:  # who told does not know where it stands
            return max(self.current.values(), key=lambda w: w.first, default=None)
        window = self.current.get(first.hook)
        if window is None or chain in window.chains:
            window = self._next(first) or window
        if window is not None:
            window.chains.add(chain)
        return window

    def _next(self, first: Seen) -> _Window | None:
        waiting, flow = self.waiting.get(first.hook, []), _flow(first.outer)
        found = next((w for w in waiting if w.flow == flow or not flow), None)
        if found is not None:
            waiting.remove(found)
            self.current[first.hook] = found
        return found


def placed(groups: Sequence[Sequence[Seen]], moments: Sequence[Seen]) -> list[Seen]:
    """``groups``: frames, and what chains told, in order. What has no time stays where it was."""
    waiting = deque(sorted(moments, key=lambda m: m.sighting.time))
    windows = _windows(waiting)
    merged: list[Seen] = []
    time = 0
    for group in groups:
        told = group[0].sighting.time or windows.time(group)
        time = max(time, told)
        while waiting and told and waiting[0].sighting.time <= time:
            merged.append(waiting.popleft())
        merged += group
    return [*merged, *waiting]


def _windows(moments: Iterable[Seen]) -> _Windows:
    found = _Windows()
    now: dict[str, _Window] = {}
    for moment in moments:
        seen = moment.sighting
        if seen.point != "hook" or moment.is_piece:
            continue
        if seen.stage == "first":
            now[seen.hook] = _Window(_flow(moment.outer), seen.time)
            found.waiting.setdefault(seen.hook, []).append(now[seen.hook])
        elif seen.hook in now:
            setattr(now[seen.hook], seen.stage, seen.time)
    return found


def _flow(packet: Packet | None) -> Flow:
    if packet is None:
        return ()
    ports = packet.source_port, packet.destination_port
    return packet.protocol, packet.source, packet.destination, *ports, packet.icmp, packet.ttl


# in words


def words(seen: Sighting) -> str:
    """"" for what is told as a step of its own, or has nothing to say."""
    if seen.known == "fragment":
        return _piece_words(seen)
    tell = _WORDS.get(seen.point)
    return tell(seen) if tell else ""


DELIVERED = frozenset({"ready", "read"})


def delivered(seen: Sighting, before: Socket | None) -> str:
    """Who got it."""
    if seen.point == "read":
        return f"read by {program_words(seen)}"
    return before.words if before else f"delivered to {_socket(seen)}"


def program_words(seen: Sighting) -> str:
    return f"{seen.program} (pid {seen.pid})" if seen.program else f"pid {seen.pid}"


def _piece_words(seen: Sighting) -> str:
    headers = parse(seen.network)
    where = {"rx": "comes in by", "tx": "leaves by"}.get(seen.point, "")
    offset = headers.packet.fragment if headers else ""
    return f"a later fragment ({offset}) {where} {seen.device}" if where else ""


def _queue(seen: Sighting) -> str:
    kind = f" ({seen.name})" if seen.name else ""
    behind = f", behind {seen.count - 1} others" if seen.count > 1 else ""
    return f"into the queue of {seen.device}{kind}{behind}"


def _poll(seen: Sighting) -> str:
    of = seen.device or f"the backlog of CPU {seen.cpu}"
    frames = "frame" if seen.count == 1 else "frames"
    return f"a poll of {of} is over: {seen.count} {frames}"


def _socket(seen: Sighting) -> str:
    ends = f"{seen.address} → {seen.via}" if seen.via else seen.address
    return f"{seen.family} socket {ends}"


_WORDS: Mapping[str, Callable[[Sighting], str]] = {
    "queue": lambda s: f"handed to {s.device}",
    "backlog": lambda s: f"into the backlog of CPU {s.cpu}, for {s.device}",
    "gro": lambda s: f"given to GRO of {s.device}, which may join it to others",
    "gro-frags": lambda s: f"given to GRO of {s.device} in pieces",
    "enqueued": _queue,
    "dequeued": lambda s: f"out of the queue of {s.device}",
    "polled": _poll,
    "xdp-failed": lambda s: f"an XDP program of {s.device} failed (action {s.name})",
    "page": lambda s: "its bytes are in a page of a page pool",
    "neighbour-dead": lambda s: f"neighbour {s.address} does not answer",
    "neighbour-updated": lambda s: f"neighbour {s.address} is {s.mac or 'nobody'}: {s.state}",
    "learned": lambda s: f"{s.name} learns that {s.mac} is at {s.device}",
    "learned-outside": lambda s: f"{s.name} is taught that {s.mac} is at {s.device}",
    "learned-added": lambda s: f"{s.mac} is written down for {s.device}",
    "state": lambda s: f"{_socket(s)}: {s.state}",
    "ready": lambda s: f"{_socket(s)}: who reads it is woken",
    "refused": lambda s: f"the UDP socket does not take it (errno {s.error})",
    "full": lambda s: f"the socket's buffer is full: {s.name}",
    "bad-checksum": lambda s: "the TCP checksum is wrong",
    "measured": lambda s: f"TCP: {s.name}",
    "again": lambda s: f"{_socket(s)}: sent again, since no answer came",
    "answered-again": lambda s: f"{_socket(s)}: answered again, since nothing came after it",
    "was-reset": lambda s: f"{_socket(s)}: a reset came",
    "failed": lambda s: f"{_socket(s)}: told of the error (errno {s.error})",
    "answered": lambda s: f"makes an ICMP error {s.name}",
    "reset": lambda s: f"makes a TCP reset{f' ({s.name})' if s.name else ''}",
    "used": lambda s: f"the buffer is given back in {s.function.partition('/')[0]}",
}
