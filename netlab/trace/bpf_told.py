"""Records of BPF programs → sightings: whose node it was, which of the probe's buffers, in words.

What a program knew by the packet's bytes is the probe's. What it knew by a buffer, or by who sends,
is held against the way of that buffer: it may be another packet by now, since the kernel gives
buffers out again at once.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from netlab.kernel.lookup import NUD, ROUTE_TYPES, TABLES
from netlab.trace import anatomy
from netlab.trace.bpf.events import Head
from netlab.trace.bpf_gate import BY_BUFFER, BY_FRAGMENT, BY_PROGRAM
from netlab.trace.headers import NAMES, parse
from netlab.trace.sighting import Sighting
from netlab.trace.terrain import Terrain

Fields = Mapping[str, int | bytes]

REASON = "SKB_DROP_REASON_"
RESET_REASON = "SK_RST_REASON_"
KNOWN = {BY_BUFFER: "buffer", BY_FRAGMENT: "fragment", BY_PROGRAM: "program"}
HOOKS = ("prerouting", "input", "forward", "output", "postrouting")
TO = {0: "host", 1: "broadcast", 2: "multicast", 3: "other"}
TRACKED = {
    0: ("established", "original"), 1: ("related", "original"), 2: ("new", "original"),
    3: ("established", "reply"), 4: ("related", "reply"),
}  # fmt: skip
"""``enum ip_conntrack_info`` (linux/netfilter/nf_conntrack_common.h)."""
UNTRACKED = 7
STATES = (
    "", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE",
    "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV",
)  # fmt: skip
"""net/tcp_states.h."""
AF_PACKET = 17
PLAIN = frozenset({"veth", "bridge", ""})
"""Kinds of devices that pass a packet on as it is; others may put it into another one."""
RTF_REJECT = 0x200
REFUSALS = {"blackhole": 22, "unreachable": 113, "prohibit": 13}
"""What the kernel answers to who looks up such a route (``ip6_rt_type_to_error``)."""
NOWHERE = 255
"""RT_SCOPE_NOWHERE: behind a route that is the node's own, there is nothing any more."""
ENETUNREACH = 101
TUPLE_BYTES = 56
"""``struct nf_conntrack_tuple_hash``: a list's node, then one direction."""


@dataclass
class Buffer:
    """One of the probe's, as far as it is known."""

    number: int
    node: str = ""
    device: str = ""
    point: str = ""
    hidden: bool = False
    """Whether the probe cannot be read in it any more."""
    source: int = 0


@dataclass
class Telling:
    """What is known of the kernel, of the lab, and of all records up to now."""

    nodes: Mapping[int, str]
    """By the inodes of their namespaces."""
    sender: str
    own: int
    """The process that sends the probe, and may answer it."""
    terrain: Terrain
    reasons: Mapping[int, str]
    resets: Mapping[int, str]
    offset: int
    """Nanoseconds from CLOCK_MONOTONIC to the epoch."""
    _buffers: dict[int, Buffer] = field(default_factory=dict)
    _heads: dict[int, Buffer] = field(default_factory=dict)
    """By where their bytes lie."""
    _sockets: dict[int, Buffer] = field(default_factory=dict)
    """In whose queue one is, by the sockets' addresses."""
    _readers: dict[int, Buffer] = field(default_factory=dict)
    """What programs have read, by their process ids."""
    _memories: dict[int, int] = field(default_factory=dict)
    """Numbers of the pieces of memory that buffers have their bytes in, by where they begin."""
    _memory: int = 0
    """How many there were."""
    _count: int = 0

    def sighting(self, point: str, head: Head, fields: Fields) -> Sighting | None:
        """None for what is another packet's, or is in no node of the lab."""
        tell = _TOLD.get(point, Telling._packet)
        seen = tell(self, point, head, fields)
        if seen is None or not seen.node:
            return None
        return seen if seen.point else replace(seen, point=point)

    # packets

    def _packet(self, point: str, head: Head, fields: Fields) -> Sighting | None:
        data = _cut(bytes(fields.get("network", b"")))
        node = self._node(fields)
        known = self._buffers.get(head.subject)
        if head.more:
            buffer = self._known(head, fields, node)
        else:
            buffer = self._mine(head.subject, fields, node)
        if buffer is None or not self._fits(buffer, node, point, head.more, data):
            return None
        node = node or buffer.node
        buffer.node, buffer.device, buffer.point = node, _text(fields, "device"), point
        buffer.hidden = head.more in (BY_BUFFER, BY_PROGRAM) and _is_ip(data)
        inside = self._anatomy(point, head, fields)
        if point == "read":
            self._readers[head.pid] = buffer
        if point in ("freed", "used"):
            self._gone(head.subject, buffer)
        elif known is not buffer:
            self._buffers[head.subject] = buffer
        if not node:
            return None
        return Sighting(
            node,
            "bpf",
            point,
            device=_text(fields, "device"),
            time=head.time + self.offset,
            network=data,
            mark=_number(fields, "mark"),
            buffer=buffer.number,
            source_buffer=buffer.source,
            known=KNOWN.get(head.more, ""),
            cpu=head.cpu,
            anatomy=inside,
        )

    def _anatomy(self, point: str, head: Head, fields: Fields) -> anatomy.Anatomy | None:
        if "running" not in fields:
            return None
        lies = _number(fields, "bytes") if "data" in fields else 0
        if lies and lies not in self._memories:
            self._memory += 1
            self._memories[lies] = self._memory
        running = "netlab itself" if head.pid == self.own else _text(fields, "running")
        found = anatomy.of(fields, self._memories.get(lies, 0), running, head.pid)
        if point in ("freed", "used") and found.shares < 2:
            self._memories.pop(lies, None)  # it is given out again
        return found

    def _mine(self, address: int, fields: Fields, node: str) -> Buffer:
        """The packet is in it for certain. What shares its bytes in the same node is a copy."""
        found = self._buffers.get(address)
        lies = _number(fields, "bytes")
        if found is None:
            shared = self._heads.get(lies)
            is_copy = shared is not None and shared.node == node
            found = self._another(shared.number if shared and is_copy else 0)
        self._buffers[address] = found
        if lies:
            self._heads[lies] = found
        return found

    def _another(self, source: int = 0) -> Buffer:
        self._count += 1
        return Buffer(self._count, source=source)

    def _known(self, head: Head, fields: Fields, node: str) -> Buffer | None:
        if head.more == BY_FRAGMENT:
            return self._mine(head.subject, fields, node)
        if head.more == BY_PROGRAM:
            read = self._readers.get(head.pid)
            if read is None:
                return None
            sent = self._another(read.number)
            sent.node, sent.point, sent.hidden = read.node, read.point, True
            return sent
        found = self._buffers.get(head.subject)
        shared = self._heads.get(_number(fields, "bytes"))
        if found is None and shared is not None:
            found = replace(shared, number=self._another().number, source=shared.number)
        return found

    def _fits(self, buffer: Buffer, node: str, point: str, known: int, data: bytes) -> bool:
        """Whether what is known by its buffer alone can be what that buffer had in it."""
        if known != BY_BUFFER:
            return True
        if not _is_ip(data) and not (buffer.hidden and point in ("freed", "used")):
            return False
        if buffer.hidden:
            links = (buffer.node, self.terrain.peer(buffer.node, buffer.device)[0])
            return node in ("", *links)
        return node in ("", buffer.node) and self._wraps(buffer)

    def _wraps(self, buffer: Buffer) -> bool:
        """Whether it was handed to a device that may put it into another packet."""
        spot = self.terrain.spots.get(buffer.node)
        device = spot.device(buffer.device) if spot else None
        return buffer.point == "tx" and device is not None and device.kind not in PLAIN

    def _gone(self, address: int, buffer: Buffer) -> None:
        """A buffer that a copy is left of has a copy's number."""
        self._buffers.pop(address, None)
        for lies in [lies for lies, found in self._heads.items() if found is buffer]:
            del self._heads[lies]

    def _node(self, fields: Fields) -> str:
        for name in ("namespace", "socket namespace", "queue namespace"):
            node = self.nodes.get(_number(fields, name), "")
            if node:
                return node
        return ""

    def program(self, head: Head, fields: Fields) -> str:
        return "netlab itself" if head.pid == self.own else _text(fields, "program")

    # what stands beside a packet

    def _beside(self, address: int, head: Head, fields: Fields) -> Sighting | None:
        """Of the packet that the CPU is busy with; else of the sender's own doings."""
        buffer = self._buffers.get(address)
        node = self._node(fields)
        if buffer is not None:
            node = node or buffer.node
        elif address:
            return None
        else:
            node = node or self.sender
        return Sighting(
            node,
            "bpf",
            "",
            device=_text(fields, "device"),
            time=head.time + self.offset,
            buffer=buffer.number if buffer else 0,
            cpu=head.cpu,
            anatomy=self._anatomy("", head, fields),
        )


def _frame(telling: Telling, point: str, head: Head, fields: Fields) -> Sighting | None:
    seen = telling._packet(point, head, fields)
    if seen is None:
        return None
    link = bytes(fields.get("link", b""))
    to = TO.get(_number(fields, "to") & 7, "") if point == "rx" and "to" in fields else ""
    return replace(seen, link=link if _has_link(link, seen.network) else b"", to=to)


def _has_link(link: bytes, network: bytes) -> bool:
    """Whether there is an Ethernet header: a device that has none, has the IP header there."""
    return any(link) and link != network[: len(link)]


def _hook(telling: Telling, point: str, head: Head, fields: Fields) -> Sighting | None:
    seen = telling._packet(point, head, fields)
    if seen is None:
        return None
    number = _number(fields, "hook")
    state, direction = "", ""
    connection, tracked = _number(fields, "connection"), _number(fields, "tracked")
    original = reply = ""
    if connection:
        state, direction = TRACKED.get(tracked, ("", ""))
        original, reply = _tuples(bytes(fields.get("tuples", b"")))
    elif tracked == UNTRACKED:
        state = "untracked"
    return replace(
        seen,
        family={2: "ip", 10: "ip6"}.get(_number(fields, "family"), ""),
        hook=HOOKS[number] if number < len(HOOKS) else str(number),
        to_device=_text(fields, "to device"),
        ct_state=state,
        ct_direction=direction,
        ct_status=_number(fields, "status") if connection else 0,
        original=original,
        reply=reply,
    )


def _tuples(data: bytes) -> tuple[str, str]:
    """Both directions of a connection; ("", "") where they are written otherwise."""
    if len(data) != 2 * TUPLE_BYTES:
        return "", ""
    first, second = (_tuple(data[at : at + TUPLE_BYTES]) for at in (0, TUPLE_BYTES))
    return first, second


def _tuple(data: bytes) -> str:
    """``struct nf_conntrack_tuple`` (net/netfilter/nf_conntrack_tuple.h), behind a list's node."""
    (family,) = struct.unpack_from("=H", data, 34)
    ports = data[54] in NAMES and NAMES[data[54]] in ("tcp", "udp")
    ends = []
    for address, port in ((data[16:32], data[32:34]), (data[36:52], data[52:54])):
        text = _address(address, family)
        ends.append(_end(text, int.from_bytes(port, "big") if ports else 0))
    return " → ".join(ends)


def _freed(telling: Telling, point: str, head: Head, fields: Fields) -> Sighting | None:
    seen = telling._packet(point, head, fields)
    if seen is None:
        return None
    number = _number(fields, "reason")
    name = telling.reasons.get(number, str(number)).removeprefix(REASON) if point == "freed" else ""
    return replace(seen, name=name, function=_text(fields, "function"))


def _answered(telling: Telling, point: str, head: Head, fields: Fields) -> Sighting | None:
    seen = telling._packet(point, head, fields)
    name = f"{_number(fields, 'type')}/{_number(fields, 'code')}"
    return replace(seen, name=name) if seen else None


def _reset(telling: Telling, point: str, head: Head, fields: Fields) -> Sighting | None:
    seen = telling._packet(point, head, fields)
    number = _number(fields, "reason")
    name = telling.resets.get(number, "").removeprefix(RESET_REASON)
    return replace(seen, name=name) if seen else None


def _read(telling: Telling, point: str, head: Head, fields: Fields) -> Sighting | None:
    if _number(fields, "socket family") == AF_PACKET:
        return None  # somebody looks on
    seen = telling._packet(point, head, fields)
    if seen is None:
        return None
    return replace(
        seen, device="", pid=head.pid, program=telling.program(head, fields),
        count=_number(fields, "read"),
    )  # fmt: skip


def _queued(telling: Telling, point: str, head: Head, fields: Fields) -> Sighting | None:
    seen = telling._packet(point, head, fields)
    if seen is None:
        return None
    device = _text(fields, "queue device") or seen.device
    return replace(
        seen, device=device, name=_text(fields, "kind"), count=_number(fields, "backlog")
    )


def _refused(telling: Telling, point: str, head: Head, fields: Fields) -> Sighting | None:
    seen = telling._packet(point, head, fields)
    return replace(seen, error=abs(_signed(_number(fields, "error")))) if seen else None


def _full(telling: Telling, point: str, head: Head, fields: Fields) -> Sighting | None:
    seen = telling._packet(point, head, fields)
    words = f"{_number(fields, 'held')} of {_number(fields, 'limit')} bytes"
    return replace(seen, name=words) if seen else None


def _measured(telling: Telling, point: str, head: Head, fields: Fields) -> Sighting | None:
    seen = telling._packet(point, head, fields)
    trip = _number(fields, "round trip") >> 3  # kept in eighths
    words = f"window {_number(fields, 'window')}, round trip {trip} µs"
    return replace(seen, name=words) if seen else None


def _polled(telling: Telling, point: str, head: Head, fields: Fields) -> Sighting | None:
    seen = telling._beside(head.subject, head, fields)
    return replace(seen, count=_number(fields, "work")) if seen else None


def _action(telling: Telling, point: str, head: Head, fields: Fields) -> Sighting | None:
    seen = telling._beside(head.subject, head, fields)
    return replace(seen, name=str(_number(fields, "action"))) if seen else None


def _page(telling: Telling, point: str, head: Head, fields: Fields) -> Sighting | None:
    """A pool is filled with many at a time: without a packet at hand it is nobody's page."""
    seen = telling._beside(head.subject, head, fields)
    return replace(seen, count=_number(fields, "held")) if seen and seen.buffer else None


def _route(telling: Telling, point: str, head: Head, fields: Fields) -> Sighting | None:
    seen = telling._beside(head.subject, head, fields)
    if seen is None:
        return None
    table = _number(fields, "table")
    return replace(
        seen,
        family="ip",
        name=TABLES.get(table, str(table)),
        error=abs(_signed(_number(fields, "error"))),
        address=_ipv4(_number(fields, "address")),
        source=_ipv4(_number(fields, "source")),
        via=_via(fields),
        state="local" if _number(fields, "scope") == NOWHERE else "",
    )


def _route6(telling: Telling, point: str, head: Head, fields: Fields) -> Sighting | None:
    seen = telling._beside(head.subject, head, fields)
    if seen is None:
        return None
    table, number = _number(fields, "table"), _number(fields, "type")
    kind = ROUTE_TYPES[number] if number < len(ROUTE_TYPES) else str(number)
    error = REFUSALS.get(kind, 0)
    if kind == "unreachable" and _number(fields, "flags") & RTF_REJECT and seen.device == "lo":
        error = ENETUNREACH  # the entry for "none", ip6_null_entry
    return replace(
        seen,
        point="route",
        family="ip6",
        device="" if error else seen.device,
        name=TABLES.get(table, str(table)),
        state=kind,
        error=error,
        address=_ipv6(bytes(fields.get("address", b""))),
        source=_ipv6(bytes(fields.get("source", b""))),
        via=_via(fields),
    )


def _neighbour(telling: Telling, point: str, head: Head, fields: Fields) -> Sighting | None:
    seen = telling._beside(head.subject, head, fields)
    if seen is None:
        return None
    state = _number(fields, "state")
    mac = bytes(fields.get("mac", b""))
    return replace(
        seen,
        address=_address(bytes(fields.get("address", b"")), _number(fields, "family")),
        mac=mac.hex(":") if any(mac) else "",
        state=NUD.get(state, str(state)),
    )


def _learned(telling: Telling, point: str, head: Head, fields: Fields) -> Sighting | None:
    seen = telling._beside(head.subject, head, fields)
    if seen is None:
        return None
    mac = bytes(fields.get("mac", b"")).hex(":")
    return replace(seen, name=_text(fields, "bridge"), mac=mac, count=_number(fields, "vlan"))


def _socket(telling: Telling, point: str, head: Head, fields: Fields) -> Sighting | None:
    seen = telling._beside(_number(fields, "buffer"), head, fields)
    family = _number(fields, "family")
    if seen is None or family not in (socket.AF_INET, socket.AF_INET6):
        return None
    ends = []
    port = struct.pack("=H", _number(fields, "remote port"))
    ports = {"local": _number(fields, "local port"), "remote": int.from_bytes(port, "big")}
    for end in ("local", "remote"):
        four, six = _number(fields, end), bytes(fields.get(f"{end}6", b""))
        text = _ipv4(four) if family == socket.AF_INET else _ipv6(six)
        ends.append(_end(text, ports[end]) if ports[end] else "")
    protocol = _number(fields, "protocol")
    return replace(
        seen, address=ends[0], via=ends[1], family=NAMES.get(protocol, str(protocol))
    )


def _ready(telling: Telling, point: str, head: Head, fields: Fields) -> Sighting | None:
    seen = _socket(telling, point, head, fields)
    buffer = telling._buffers.get(_number(fields, "buffer"))
    if buffer is not None and seen is not None:
        telling._sockets[head.subject] = buffer
    return seen


def _received(telling: Telling, point: str, head: Head, fields: Fields) -> Sighting | None:
    """The packet may be gone by now; its socket is known."""
    buffer = telling._sockets.pop(head.subject, None)
    if buffer is None:
        return None
    for address in [address for address, found in telling._buffers.items() if found is buffer]:
        telling._gone(address, buffer)
    return Sighting(
        telling._node(fields) or buffer.node,
        "bpf",
        "read",
        time=head.time + telling.offset,
        buffer=buffer.number,
        cpu=head.cpu,
        pid=head.pid,
        program=telling.program(head, fields),
        count=_number(fields, "read"),
    )


def _state(telling: Telling, point: str, head: Head, fields: Fields) -> Sighting | None:
    seen = _socket(telling, point, head, fields)
    before, after = _number(fields, "before"), _number(fields, "after")
    if seen is None or max(before, after) >= len(STATES):
        return seen
    return replace(seen, state=f"{STATES[before]} → {STATES[after]}")


def _failed(telling: Telling, point: str, head: Head, fields: Fields) -> Sighting | None:
    seen = _socket(telling, point, head, fields)
    return replace(seen, error=abs(_signed(_number(fields, "error")))) if seen else None


_TOLD: Mapping[str, Callable[[Telling, str, Head, Fields], Sighting | None]] = {
    "rx": _frame,
    "tx": _frame,
    "hook": _hook,
    "freed": _freed,
    "used": _freed,
    "answered": _answered,
    "reset": _reset,
    "read": _read,
    "enqueued": _queued,
    "dequeued": _queued,
    "refused": _refused,
    "full": _full,
    "measured": _measured,
    "polled": _polled,
    "xdp-failed": _action,
    "page": _page,
    "route": _route,
    "route6": _route6,
    **dict.fromkeys(
        ("neighbour", "neighbour-dead", "neighbour-new", "neighbour-updated"), _neighbour
    ),
    **dict.fromkeys(("learned", "learned-outside", "learned-added"), _learned),
    "state": _state,
    "failed": _failed,
    "ready": _ready,
    "received": _received,
    **dict.fromkeys(("again", "answered-again", "was-reset"), _socket),
}
"""By point; all others are packets and nothing else."""


# values


def _cut(data: bytes) -> bytes:
    """Without what lies in memory behind the packet, where its header tells the truth."""
    if len(data) >= 20 and data[0] >> 4 == 4:
        length = int.from_bytes(data[2:4], "big")
        return data[:length] if length >= 20 else data
    if len(data) >= 40 and data[0] >> 4 == 6:
        return data[: 40 + int.from_bytes(data[4:6], "big")]
    return data


def _is_ip(data: bytes) -> bool:
    return parse(data) is not None


def _number(fields: Fields, name: str) -> int:
    found = fields.get(name, 0)
    return found if isinstance(found, int) else 0


def _text(fields: Fields, name: str) -> str:
    found = fields.get(name, b"")
    return found.split(b"\0")[0].decode(errors="replace") if isinstance(found, bytes) else ""


def _signed(number: int) -> int:
    """Of 32 bits."""
    return number - (1 << 32) if number & 0x80000000 else number


def _ipv4(number: int) -> str:
    """As it lies in memory: in network order."""
    return socket.inet_ntop(socket.AF_INET, number.to_bytes(4, sys.byteorder))


def _ipv6(data: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET6, data) if len(data) == 16 else ""


def _address(data: bytes, family: int) -> str:
    if family == socket.AF_INET6:
        return _ipv6(data[:16])
    return socket.inet_ntop(socket.AF_INET, data[:4]) if len(data) >= 4 else ""


def _via(fields: Fields) -> str:
    family = _number(fields, "via family")
    return _address(bytes(fields.get("via", b"")), family) if family else ""


def _end(address: str, port: int) -> str:
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def ordered(seen: Iterator[Sighting]) -> list[Sighting]:
    """By their times: a ring has them in the order in which room was made for them."""
    return sorted(seen, key=lambda s: s.time)
