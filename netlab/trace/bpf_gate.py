"""Which packets a BPF program tells of: those with a mark of the probe, and what becomes of them.

A packet is known by its bytes, wherever it is. Where these cannot be read any more, as within a
tunnel, its buffer is known from before: the kernel's note about it (``struct sk_buff``), or its
bytes' place, which copies share. Later fragments have no mark and are known by the first one's
identification. A program that read the packet from a tun device sends it on in one of its own:
the next that it sends. What has no packet, as a look into the routing table, belongs to the packet
that this CPU is busy with.

All of it stands before every packet of the machine while a trace runs. What is not the probe's
costs two reads, a few comparisons, and no call besides.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from netlab.trace.bpf.assembler import FP, R0, R1, R2, R3, R6, R7, R8, R9, Code, Size
from netlab.trace.bpf.btf import NoSuchType
from netlab.trace.bpf.events import GATE, HOOK, Event, Gate, current_pid, read
from netlab.trace.bpf.session import Session
from netlab.trace.bpf.types import Types
from netlab.trace.bpf_memory import slots, table
from netlab.trace.cookie import Mark
from netlab.trace.headers import FRAGMENT, UDP
from netlab.trace.tracepoints import BUFFER, CONNECTION, LINK, NETWORK, TRACKED, Point

_HEAD, KEY, _SPAN, _SPAN_BYTES = GATE - 40, GATE - 48, GATE - 112, 64
"""On the stack, below what is left there for fields, see ``tracepoints``."""
_POINTERS: dict[str, Size] = {"network_header": 2, "mac_header": 2, "head": 8, "data": 8}
_INFO = 7
"""Bits of ``sk_buff._nfct`` that are no part of the address."""

LATER_FRAGMENT = {4: 0x1FFF, 6: 0xFFF8}
MORE_FRAGMENTS = {4: 0x2000, 6: 0x0001}
IP_BYTES = {4: 20, 6: 40}
FRAGMENT_BYTES = 8

BY_BUFFER, BY_FRAGMENT, BY_PROGRAM = 1, 2, 4
"""In a record's ``more``: by what it is known, if not by its own bytes."""

BUFFERS, FRAGMENTS, PROGRAMS, SOCKETS, CPUS = 4096, 64, 64, 64, 1024
FAMILIES = (2, 10)
"""``AF_INET``, ``AF_INET6``."""
OUTPUT = 3
"""``NF_INET_LOCAL_OUT``."""
PEEK = 2
"""``MSG_PEEK``: who only looks leaves it where it is."""



@dataclass(frozen=True)
class Ports:
    """Of the probe's sockets, where it has any."""

    own: int = 0
    other: int = 0


class Gates:
    """For all programs of one session; they share what they remember."""

    def __init__(
        self, session: Session, types: Types, marks: Sequence[Mark], pid: int, ports: Ports
    ) -> None:
        """``pid``: of the process that sends the probe, whose looks around count as well.

        Raises BpfRefused, NoSuchType.
        """
        self._marks, self._pid, self._ports = marks, pid, ports
        self._offsets = {
            name: types.way(f"sk_buff.{name}").offsets[0]
            for name in (*_POINTERS, "sk")
        }
        self._types = types
        self._protocol = types.way("sock.sk_protocol")
        self._family = types.way("sock.__sk_common.skc_family").offsets[0]
        self._queue = types.way("sock.sk_receive_queue.qlen").offsets[0]
        self._second_queue = _second_queue(types)
        self._reads = _reads(self._offsets)
        self._port_pair = types.way("sock.__sk_common.skc_dport").offsets[0]
        self._buffers = table(session, "netlab_buffers", BUFFERS, 8)
        self._heads = table(session, "netlab_heads", BUFFERS, 9)
        self._fragments = table(session, "netlab_pieces", FRAGMENTS)
        self._relays = table(session, "netlab_relays", PROGRAMS)
        self._waits = table(session, "netlab_waits", SOCKETS, 6)
        self._turns = slots(session, "netlab_turns", SOCKETS)
        self._current = slots(session, "netlab_current", CPUS)

    def of(self, point: Point) -> Gate:
        kinds: dict[str, Gate] = {
            "network": partial(self._packet, point, "network_header"),
            "data": partial(self._packet, point, "data"),
            "hook": partial(self._packet, point, "network_header"),
            "context": partial(self._context, point),
            "socket": partial(self._socket, point),
            "waiting": self._waiting,
            "reader": self._reader,
        }
        return kinds[point.known]

    # with a packet

    def _packet(self, point: Point, begins: str, code: Code, event: Event) -> None:
        self._find_headers(code, begins)
        self._compare(code)
        code.label("miss")
        self._look_up(code, point)
        if not event.last:
            self._be_busy(code, busy=False)
        code.jump("out")
        self._later_fragments(code)
        code.label("hit")
        code.set(R9, 0)
        code.label("known")
        if point.known == "hook":
            self._number_of_packet(code)
        if event.last:
            self._forget(code)
        else:
            self._remember(code)
        if point.reads:
            self._expect_of_reader(code)
        if point.known == "hook":
            self._find_connection(code)
        self._be_busy(code, busy=not (event.last or point.leaves))

    def _find_headers(self, code: Code, begins: str) -> None:
        """R8 is where the IP header begins then."""
        for at, size, offset in self._reads:
            read(code, FP, at, size, R7, offset)
        places = _places(self._reads, self._offsets)
        code.load(8, R9, FP, places["head"])
        code.store(8, FP, _HEAD, R9)
        code.load(2, R1, FP, places["mac_header"])
        code.add(R1, R9)
        code.store(8, FP, LINK, R1)
        if begins == "data":
            code.load(8, R8, FP, places["data"])
        else:
            code.load(2, R8, FP, places["network_header"])
            code.add(R8, R9)
        code.store(8, FP, NETWORK, R8)

    def _number_of_packet(self, code: Code) -> None:
        """With a pointer that has a type nothing can be computed; what is read has none."""
        read(code, FP, KEY, 8, R6, 8 * HOOK.index("sk_buff *"))
        code.load(8, R7, FP, KEY)

    # by its bytes

    @property
    def _deep(self) -> int:
        """Bytes of a transport header that are looked at."""
        return max((mark.offset + 4 for mark in self._marks), default=FRAGMENT_BYTES)

    def _versions(self) -> list[int]:
        found = {mark.version for mark in self._marks}
        return [4, 6] if 0 in found or not found else sorted(found)

    def _compare(self, code: Code) -> None:
        versions = self._versions()
        size = IP_BYTES[versions[-1]] + self._deep
        start = _SPAN - (size + 7 & ~7)
        read(code, FP, start, size, R8, 0)
        code.load(1, R2, FP, start)
        code.set(R1, R2)
        code.shift_right(R2, 4)
        for version in versions:
            code.jump_if(R2, "==", version, f"version {version}")
        code.jump("miss")
        for version in versions:
            code.label(f"version {version}")
            self._find_transport(code, version, start)
            self._compare_marks(code, version, start + IP_BYTES[version])

    def _find_transport(self, code: Code, version: int, start: int) -> None:
        """R9 is the protocol then, and what is behind the IP header lies there on the stack."""
        if version == 4:
            code.load(2, R2, FP, start + 6)
            code.mask(R2, _network_order(LATER_FRAGMENT[4], 2))
            code.jump_if(R2, "!=", 0, "later fragment 4")
            code.load(1, R9, FP, start + 9)
            code.mask(R1, 15)
            code.jump_if(R1, "==", 5, "transport 4")
            code.shift_left(R1, 2)
        else:
            code.load(1, R9, FP, start + 6)
            code.jump_if(R9, "!=", FRAGMENT, "transport 6")
            code.load(2, R2, FP, start + 42)
            code.mask(R2, _network_order(LATER_FRAGMENT[6], 2))
            code.jump_if(R2, "!=", 0, "later fragment 6")
            code.load(1, R9, FP, start + 40)
            self._keep_fragment(code, 6, start)
            code.set(R1, IP_BYTES[6] + FRAGMENT_BYTES)
        # options, or a header for fragments: once more, from where it really begins
        code.set(R3, R8)
        code.add(R3, R1)
        code.set(R1, FP)
        code.add(R1, start + IP_BYTES[version])
        code.set(R2, self._deep)
        code.call("probe_read_kernel")
        code.label(f"transport {version}")

    def _compare_marks(self, code: Code, version: int, at: int) -> None:
        for protocol, found in _by_protocol(self._marks, version).items():
            other = code.fresh("other protocol")
            code.jump_if(R9, "!=", protocol, other)
            for mark in found:
                self._compare_mark(code, at + mark.offset, mark.value, f"hit {version}")
            code.jump("miss")
            code.label(other)
        code.jump("miss")
        code.label(f"hit {version}")
        self._keep_first(code, version, at)

    def _keep_first(self, code: Code, version: int, at: int) -> None:
        """Of a packet that is told of: where it is a first fragment, by what the later ones are."""
        if version == 4:
            start = at - IP_BYTES[4]
            code.load(2, R2, FP, start + 6)
            code.mask(R2, _network_order(MORE_FRAGMENTS[4], 2))
            code.jump_if(R2, "==", 0, "hit")
            self._keep_fragment(code, 4, start)
            code.load(8, R1, FP, KEY)
            self._fragments.put(code)
        else:
            code.load(1, R1, FP, at - IP_BYTES[6] + 6)
            code.jump_if(R1, "!=", FRAGMENT, "hit")
            code.load(8, R1, FP, KEY)
            self._fragments.put(code)
        code.jump("hit")

    def _compare_mark(self, code: Code, at: int, value: int, found: str) -> None:
        """By halves where it does not lie on a multiple of its size: behind an Ethernet header."""
        if at % 4 == 0:
            code.load(4, R1, FP, at)
            code.jump_if(R1, "==", _network_order(value, 4), found, bits=32)
            return
        other = code.fresh("another value")
        code.load(2, R1, FP, at)
        code.jump_if(R1, "!=", _network_order(value >> 16, 2), other)
        code.load(2, R1, FP, at + 2)
        code.jump_if(R1, "==", _network_order(value & 0xFFFF, 2), found)
        code.label(other)

    # later fragments

    def _keep_fragment(self, code: Code, version: int, start: int) -> None:
        """What all fragments of a packet have in common, as one number."""
        if version == 4:
            code.load(4, R1, FP, start + 16)
            code.shift_left(R1, 32)
            code.load(4, R2, FP, start + 12)
            code.toggle(R1, R2)
            code.load(2, R2, FP, start + 4)
        else:
            code.load(4, R1, FP, start + 36)
            code.shift_left(R1, 32)
            code.load(4, R2, FP, start + 20)
            code.toggle(R1, R2)
            code.load(4, R2, FP, start + 44)
        code.toggle(R1, R2)
        code.store(8, FP, KEY, R1)

    def _later_fragments(self, code: Code) -> None:
        size = IP_BYTES[self._versions()[-1]] + self._deep
        start = _SPAN - (size + 7 & ~7)
        for version in self._versions():
            code.label(f"later fragment {version}")
            self._keep_fragment(code, version, start)
            code.load(8, R1, FP, KEY)
            code.set(R9, BY_FRAGMENT)
            self._fragments.look_up(code, "known")
            code.jump("miss")

    # by what is remembered

    def _look_up(self, code: Code, point: Point) -> None:
        code.set(R9, BY_BUFFER)
        if point.known != "hook":
            code.set(R1, R7)
            self._buffers.look_up(code, "known")
        code.load(8, R1, FP, _HEAD)
        self._heads.look_up(code, "known")
        if point.begins:
            self._of_reader(code, self._at_output if point.known == "hook" else None)

    def _remember(self, code: Code) -> None:
        code.set(R1, R7)
        self._buffers.put(code)
        code.load(8, R1, FP, _HEAD)
        self._heads.put(code)

    def _forget(self, code: Code) -> None:
        """The place of its bytes as well: copies that are left are told by the marks."""
        code.set(R1, R7)
        self._buffers.forget(code)
        code.load(8, R1, FP, _HEAD)
        self._heads.forget(code)

    # by the program that reads one and sends another

    def _expect_of_reader(self, code: Code) -> None:
        """Of who reads it from a tun device, where a packet has no socket; or reads what it is in.

        A program that it was sent to is another matter: what that sends is its own.
        """
        theirs = code.fresh("its own")
        relayed = code.fresh("relayed")
        code.jump_if(R9, "!=", 0, relayed)
        read(code, FP, KEY, 8, R7, self._offsets["sk"])
        code.load(8, R1, FP, KEY)
        code.jump_if(R1, "!=", 0, theirs)
        code.label(relayed)
        self._pid_of_reader(code)
        self._relays.put(code)
        code.label(theirs)

    def _of_reader(self, code: Code, where: Callable[[Code, str], None] | None) -> None:
        """What it forwards for others, while it runs, has no socket."""
        other = code.fresh("nobody's")
        sends = code.fresh("sends")
        if where is not None:
            where(code, other)
        self._pid_of_reader(code)
        self._relays.look_up(code, sends)
        code.jump(other)
        code.label(sends)
        read(code, FP, KEY, 8, R7, self._offsets["sk"])
        code.load(8, R2, FP, KEY)
        code.jump_if(R2, "==", 0, other)
        self._pid_of_reader(code)
        self._relays.forget(code)
        code.set(R9, BY_PROGRAM)
        code.jump("known")
        code.label(other)

    def _at_output(self, code: Code, elsewhere: str) -> None:
        sizes: dict[int, Size] = {1: 1, 2: 2, 4: 4, 8: 8}
        code.load(8, R1, R6, 8 * HOOK.index("nf_hook_state *"))
        hook = self._types.way("nf_hook_state.hook")
        code.load(sizes[hook.size], R1, R1, hook.offsets[0])
        code.jump_if(R1, "!=", OUTPUT, elsewhere)

    def _pid_of_reader(self, code: Code) -> None:
        current_pid(code, KEY)
        code.set(R1, R0)

    # at a hook

    def _find_connection(self, code: Code) -> None:
        try:
            read(code, FP, CONNECTION, 8, R7, self._types.way("sk_buff._nfct").offsets[0])
        except NoSuchType:  # a kernel without connection tracking
            code.store(8, FP, CONNECTION, 0)
        code.load(8, R1, FP, CONNECTION)
        code.set(R2, R1)
        code.mask(R1, _INFO)
        code.store(8, FP, TRACKED, R1)
        code.mask(R2, ~_INFO)
        code.store(8, FP, CONNECTION, R2)

    # what the CPU is busy with

    def _be_busy(self, code: Code, *, busy: bool) -> None:
        """With the packet in R7, or with nothing. What is so already is not written."""
        same = code.fresh("same")
        self._find_current(code)
        if busy:
            code.store(8, R3, 0, R7)
        else:
            code.load(8, R1, R3)
            code.jump_if(R1, "==", 0, same)
            code.store(8, R3, 0, 0)
        code.label(same)

    def _find_current(self, code: Code) -> None:
        code.call("get_smp_processor_id")
        code.set(R1, R0)
        self._current.find(code)

    # without a packet

    def _context(self, point: Point, code: Code, event: Event) -> None:
        self._find_current(code)
        code.load(8, R7, R3)
        if point.leaves:
            code.jump_if(R7, "==", 0, "out")
            code.store(8, R3, 0, 0)
        else:
            code.jump_if(R7, "!=", 0, "mine")
            self._by_sender(code, "mine")
            code.jump("out")
            code.label("mine")
        code.set(R9, 0)

    def _by_sender(self, code: Code, found: str) -> None:
        current_pid(code, KEY)
        code.jump_if(R0, "==", self._pid, found)

    def _socket(self, point: Point, code: Code, event: Event) -> None:
        """One that the packet is just at, or the sender's, or whose ports are the probe's."""
        self._find_current(code)
        code.load(8, R1, R3)
        code.store(8, FP, BUFFER, R1)
        code.jump_if(R1, "!=", 0, "mine")
        self._by_sender(code, "mine")
        if self._ports.own and self._ports.other:
            read(code, FP, KEY, 4, R7, self._port_pair)
            code.load(4, R1, FP, KEY)
            ends = self._ports.own, self._ports.other
            for local, remote in (ends, ends[::-1]):
                code.jump_if(R1, "==", _port_pair(local, remote), "mine", bits=32)
        code.jump("out")
        code.label("mine")
        code.set(R9, 0)

    # in a socket's queue

    def _waiting(self, code: Code, event: Event) -> None:
        """What stands before it there is read first: the nth to be read is the probe."""
        self._find_current(code)
        code.load(8, R1, R3)
        code.store(8, FP, BUFFER, R1)
        code.jump_if(R1, "==", 0, "out")
        read(code, FP, KEY, 2, R7, self._family)
        code.load(2, R1, FP, KEY)
        for family in FAMILIES:
            code.jump_if(R1, "==", family, "internet")
        code.jump("out")  # as netlink's, which may tell of the packet
        code.label("internet")
        read(code, FP, KEY, 4, R7, self._queue)
        code.load(4, R9, FP, KEY)
        if self._second_queue:
            code.store(8, FP, KEY, 0)
            read(code, FP, KEY, self._protocol.size, R7, self._protocol.offsets[0])
            code.load(2, R1, FP, KEY)
            code.jump_if(R1, "!=", UDP, "counted")
            read(code, FP, KEY, 4, R7, self._second_queue)
            code.load(4, R1, FP, KEY)
            code.add(R9, R1)
            code.label("counted")
        code.jump_if(R9, "==", 0, "mine")
        code.set(R1, R7)
        self._waits.put(code)
        self._find_turn(code)
        code.store(8, R3, 0, R9)
        code.label("mine")
        code.set(R9, 0)

    def _reader(self, code: Code, event: Event) -> None:
        code.set(R1, R7)
        self._waits.look_up(code, "its turn")
        code.jump("out")
        code.label("its turn")
        code.load(4, R1, R6, 8 * _FLAGS)
        code.mask(R1, PEEK)
        code.jump_if(R1, "!=", 0, "out")
        self._find_turn(code)
        code.load(8, R1, R3)
        code.add(R1, -1)
        code.store(8, R3, 0, R1)
        code.jump_if(R1, "!=", 0, "out")
        code.set(R1, R7)
        self._waits.forget(code)
        code.store(8, FP, BUFFER, 0)
        code.set(R9, 0)

    def _find_turn(self, code: Code) -> None:
        """R3 is where it stands how many are to be read yet."""
        code.set(R1, R7)
        code.shift_right(R1, self._waits.shift)
        self._turns.find(code)


_FLAGS = 2
"""Which argument of ``sock_recv_length`` that is."""


def _second_queue(types: Types) -> int:
    """To which UDP moves what waits, and from which it is read; 0 for none."""
    try:
        return types.way("udp_sock.reader_queue.qlen").offsets[0]
    except NoSuchType:
        return 0


def _reads(offsets: Mapping[str, int]) -> list[tuple[int, int, int]]:
    """Place on the stack, size, offset: all at once where they lie together, as they do."""
    first = min(offsets[name] for name in _POINTERS) & ~7  # as aligned there as here
    end = max(offsets[name] + size for name, size in _POINTERS.items())
    if end - first <= _SPAN_BYTES:
        return [(_SPAN, end - first, first)]
    found = []
    for place, (name, size) in enumerate(_POINTERS.items()):
        found.append((_SPAN + 8 * place, int(size), offsets[name]))
    return found


def _places(
    reads: Sequence[tuple[int, int, int]], offsets: Mapping[str, int]
) -> Mapping[str, int]:
    """Where on the stack each pointer lies."""
    return {
        name: at + offsets[name] - offset
        for name, size in _POINTERS.items()
        for at, length, offset in reads
        if offset <= offsets[name] and offsets[name] + size <= offset + length
    }


def _by_protocol(marks: Sequence[Mark], version: int) -> Mapping[int, Sequence[Mark]]:
    found: dict[int, list[Mark]] = {}
    for mark in marks:
        if mark.version in (0, version):
            found.setdefault(mark.protocol, []).append(mark)
    return found


def _network_order(value: int, size: int) -> int:
    """The number that this machine reads where ``value`` was written in network order."""
    return int.from_bytes(value.to_bytes(size, "big"), sys.byteorder)


def _port_pair(local: int, remote: int) -> int:
    """As they lie in a socket: the other's in network order, and its own (``skc_portpair``)."""
    data = remote.to_bytes(2, "big") + local.to_bytes(2, sys.byteorder)
    return int.from_bytes(data, sys.byteorder)
