"""Which packets a BPF program tells of: those with a mark of the probe, and what becomes of them.

A packet is known by its bytes, wherever it is. Where these cannot be read any more, as behind a
tunnel's header, its buffer is remembered from before (a map of addresses), until it is freed. What
has no packet, as a look into the routing table, belongs to the packet that this CPU is busy with.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from netlab.trace.bpf.assembler import FP, R0, R1, R2, R3, R4, R7, R8, R9, Code
from netlab.trace.bpf.calls import LRU_HASH, PERCPU_ARRAY
from netlab.trace.bpf.events import GATE, Event, Gate, read
from netlab.trace.bpf.session import Session
from netlab.trace.bpf.types import Types
from netlab.trace.cookie import Mark
from netlab.trace.headers import FRAGMENT

NETWORK = GATE
"""Where on the stack the address of the IP header is left, for fields (``@-24``)."""
_KEY, _VALUE, _HEAD, _OFFSET, _IP, _INDEX = -32, -40, -48, -56, -72, -80
_TRANSPORT_END = -80
LATER_FRAGMENT = {4: 0x1FFF, 6: 0xFFF8}
BUFFERS = 4096
"""As many are remembered at once."""
BY_BUFFER = 1
"""In a record's ``more``: known by its buffer only."""


class Gates:
    """For all programs of one session; they share what they remember."""

    def __init__(self, session: Session, types: Types, marks: Sequence[Mark], pid: int) -> None:
        """``pid``: of the process that sends the probe, whose looks around count as well."""
        self._marks = marks
        self._pid = pid
        self._offsets = {
            name: types.way(f"sk_buff.{name}").offsets[0] for name in ("head", "network_header")
        }
        self._buffers = session.map(LRU_HASH, 8, 8, BUFFERS, "netlab_buffers")
        self._current = session.map(PERCPU_ARRAY, 4, 8, 1, "netlab_current")

    def of(self, event: Event) -> Gate:
        return self._packet if event.subject == "sk_buff *" else self._context

    # with a packet

    def _packet(self, code: Code, event: Event) -> None:
        code.store(8, FP, _KEY, R7)
        read(code, FP, _HEAD, 8, R7, self._offsets["head"])
        code.store(8, FP, _OFFSET, 0)
        read(code, FP, _OFFSET, 2, R7, self._offsets["network_header"])
        code.load(8, R8, FP, _HEAD)
        code.load(8, R1, FP, _OFFSET)
        code.add(R8, R1)
        code.store(8, FP, NETWORK, R8)
        self._find_transport(code)
        self._compare(code)
        code.label("miss")
        self._look_up(code, self._buffers, _KEY)
        code.set(R9, BY_BUFFER)
        code.jump_if(R0, "!=", 0, "known")
        if not event.last:
            self._be_busy_with(code, 0)
        code.jump("out")
        code.label("hit")
        code.set(R9, 0)
        if not event.last:
            self._remember(code)
        code.label("known")
        if event.last:
            code.set_map(R1, self._buffers)
            code.set(R2, FP)
            code.add(R2, _KEY)
            code.call("map_delete_elem")
        self._be_busy_with(code, 0 if event.last else 1)

    def _find_transport(self, code: Code) -> None:
        """R9 is the protocol then, and R3 the address of its header."""
        read(code, FP, _IP, 16, R8, 0)
        code.load(1, R1, FP, _IP)
        code.set(R2, R1)
        code.shift_right(R2, 4)
        code.jump_if(R2, "==", 6, "version 6")
        code.jump_if(R2, "!=", 4, "miss")
        code.load(2, R2, FP, _IP + 6)
        code.mask(R2, _network_order(LATER_FRAGMENT[4], 2))
        code.jump_if(R2, "!=", 0, "miss")
        code.mask(R1, 15)
        code.shift_left(R1, 2)
        code.load(1, R9, FP, _IP + 9)
        code.jump("transport")
        code.label("version 6")
        code.set(R1, 40)
        code.load(1, R9, FP, _IP + 6)
        code.jump_if(R9, "!=", FRAGMENT, "transport")
        read(code, FP, _IP, 8, R8, 40)
        code.load(2, R2, FP, _IP + 2)
        code.mask(R2, _network_order(LATER_FRAGMENT[6], 2))
        code.jump_if(R2, "!=", 0, "miss")
        code.load(1, R9, FP, _IP)
        code.set(R1, 48)
        code.label("transport")
        code.set(R3, R8)
        code.add(R3, R1)

    def _compare(self, code: Code) -> None:
        size = (max((mark.offset + 4 for mark in self._marks), default=4) + 7) & ~7
        start = _TRANSPORT_END - size
        read(code, FP, start, size, R3, 0)
        for protocol, found in _by_protocol(self._marks).items():
            other = code.fresh("other protocol")
            code.jump_if(R9, "!=", protocol, other)
            for mark in found:
                code.load(4, R1, FP, start + mark.offset)
                code.jump_if(R1, "==", _network_order(mark.value, 4), "hit", bits=32)
            code.jump("miss")
            code.label(other)

    def _remember(self, code: Code) -> None:
        code.store(8, FP, _VALUE, 1)
        code.set_map(R1, self._buffers)
        code.set(R2, FP)
        code.add(R2, _KEY)
        code.set(R3, FP)
        code.add(R3, _VALUE)
        code.set(R4, 0)
        code.call("map_update_elem")

    def _be_busy_with(self, code: Code, subject: int) -> None:
        """This CPU: with nothing, or with the packet in R7."""
        absent = code.fresh("no map")
        code.store(4, FP, _INDEX, 0)
        self._look_up(code, self._current, _INDEX)
        code.jump_if(R0, "==", 0, absent)
        code.store(8, R0, 0, R7 if subject else 0)
        code.label(absent)

    # without one

    def _context(self, code: Code, event: Event) -> None:
        code.store(4, FP, _INDEX, 0)
        self._look_up(code, self._current, _INDEX)
        code.jump_if(R0, "==", 0, "out")
        code.load(8, R7, R0)
        code.jump_if(R7, "!=", 0, "mine")
        code.call("get_current_pid_tgid")
        code.shift_right(R0, 32)
        code.jump_if(R0, "!=", self._pid, "out")
        code.label("mine")
        code.set(R9, 0)

    def _look_up(self, code: Code, fd: int, key: int) -> None:
        code.set_map(R1, fd)
        code.set(R2, FP)
        code.add(R2, key)
        code.call("map_lookup_elem")


def _by_protocol(marks: Sequence[Mark]) -> Mapping[int, Sequence[Mark]]:
    found: dict[int, list[Mark]] = {}
    for mark in marks:
        found.setdefault(mark.protocol, []).append(mark)
    return found


def _network_order(value: int, size: int) -> int:
    """The number that this machine reads where ``value`` was written in network order."""
    return int.from_bytes(value.to_bytes(size, "big"), sys.byteorder)
