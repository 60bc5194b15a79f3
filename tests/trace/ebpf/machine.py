"""A machine that runs BPF programs as far as gates use it (RFC 9669), over memory of its own."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from netlab.trace.bpf.assembler import HELPERS

WORD = (1 << 64) - 1
STACK = 0x7F00_0000_0000
NAMES = {number: name for name, number in HELPERS.items()}
SIZES = {0x00: 4, 0x08: 2, 0x10: 1, 0x18: 8}


@dataclass
class Machine:
    """Memory, and the kernel's helpers; time stands still."""

    cpu: int = 0
    pid: int = 1
    regions: dict[int, bytearray] = field(default_factory=dict)
    """By where they begin."""
    values: dict[int, int] = field(default_factory=dict)
    """Of array maps, where their one value lies, by file descriptor."""
    keys: dict[int, set[bytes]] = field(default_factory=dict)
    """Of hash maps, what was put into them, by file descriptor."""
    records: list[bytes] = field(default_factory=list)
    reads: int = 0
    """How often the kernel's memory was read."""
    _next: int = 0x1000_0000

    # memory

    def place(self, data: bytes, at: int = 0) -> int:
        """Where it lies."""
        at = at or self._next
        self.regions[at] = bytearray(data)
        self._next = max(self._next, at) + (len(data) + 0xFFF & ~0xFFF) + 0x1000
        return at

    def map(self, kind: int, key: int, value: int, entries: int, name: str) -> int:
        """As ``Session.map``: what is asked of it is one value."""
        assert entries == 1, name
        fd = 100 + len(self.values)
        self.values[fd] = self.place(bytes(value))
        return fd

    def put(self, fd: int, key: bytes, value: bytes) -> None:
        """As ``calls.put``."""
        self.keys.setdefault(fd, set()).add(key)

    def read(self, at: int, size: int) -> bytes:
        for begin, data in self.regions.items():
            if begin <= at and at + size <= begin + len(data):
                return bytes(data[at - begin : at - begin + size])
        raise MemoryError(f"nothing lies at {at:#x}")

    def write(self, at: int, data: bytes) -> None:
        for begin, held in self.regions.items():
            if begin <= at and at + len(data) <= begin + len(held):
                held[at - begin : at - begin + len(data)] = data
                return
        raise MemoryError(f"nothing lies at {at:#x}")

    # programs

    def run(self, code: bytes, context: int) -> int:
        """What the program answers."""
        self.regions[STACK - 512] = bytearray(512)
        lines = [struct.unpack_from("<BBhi", code, at) for at in range(0, len(code), 8)]
        registers = [0] * 11
        registers[1], registers[10] = context, STACK
        at = 0
        for _ in range(100_000):
            operation, pair, offset, immediate = lines[at]
            to, source = pair & 15, pair >> 4
            at += 1
            kind = operation & 7
            if operation == 0x95:
                return registers[0]
            if operation == 0x85:
                self._call(NAMES[immediate], registers)
            elif operation == 0x18:
                below = lines[at][3]
                registers[to] = self.values[immediate] + below if source == 2 else immediate
                at += 1
            elif kind in (4, 7):
                value = registers[source] if operation & 8 else immediate & WORD
                registers[to] = _computed(operation & 0xF0, registers[to], value)
            elif kind == 1:
                size = SIZES[operation & 0x18]
                found = self.read(registers[source] + offset, size)
                registers[to] = int.from_bytes(found, "little")
            elif kind in (2, 3):
                size = SIZES[operation & 0x18]
                value = (registers[source] if kind == 3 else immediate) & WORD
                self.write(registers[to] + offset, value.to_bytes(8, "little")[:size])
            elif kind in (5, 6):
                value = registers[source] if operation & 8 else immediate & WORD
                if _jumps(operation, registers[to], value):
                    at += offset
            else:
                raise AssertionError(f"no such operation: {operation:#x}")
        raise AssertionError("it does not end")

    def _call(self, name: str, registers: list[int]) -> None:
        first, second, third = registers[1:4]
        answer = 0
        if name == "probe_read_kernel":
            self.reads += 1
            try:
                data = self.read(third, second)
            except MemoryError:
                data, answer = bytes(second), -14 & WORD
            self.write(first, data)
        elif name == "map_lookup_elem":
            held = self.keys.get(first, set())
            size = len(next(iter(held), b""))
            answer = int(self.read(second, size) in held)
        elif name == "get_smp_processor_id":
            answer = self.cpu
        elif name == "get_current_pid_tgid":
            answer = self.pid << 32 | self.pid
        elif name == "ringbuf_reserve":
            answer = self.place(bytes(second))
        elif name == "ringbuf_submit":
            self.records.append(bytes(self.regions[first]))
        elif name != "ktime_get_ns":
            raise AssertionError(f"nobody calls {name} here")
        registers[0] = answer
        registers[1:6] = [0xDEAD] * 5  # they are lost in a call


def _computed(operation: int, left: int, right: int) -> int:
    match operation:
        case 0x00:
            return left + right & WORD
        case 0x10:
            return left - right & WORD
        case 0x40:
            return left | right
        case 0x50:
            return left & right
        case 0x60:
            return left << right & WORD
        case 0x70:
            return left >> right
        case 0xA0:
            return left ^ right
        case 0xB0:
            return right
    raise AssertionError(f"no such operation: {operation:#x}")


def _jumps(operation: int, left: int, right: int) -> bool:
    if operation & 7 == 6:
        left, right = left & 0xFFFFFFFF, right & 0xFFFFFFFF
    return {
        0x00: True, 0x10: left == right, 0x20: left > right, 0x30: left >= right,
        0x50: left != right, 0xA0: left < right, 0xB0: left <= right,
    }[operation & 0xF0]  # fmt: skip
