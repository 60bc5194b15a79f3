"""BPF instructions, in order and with labels (RFC 9669; linux/bpf.h, linux/bpf_common.h).

code = Code()
code.load(8, R7, R6)
code.jump_if(R7, "==", 0, "out")
code.call("ktime_get_ns")
code.label("out")
code.set(R0, 0)
code.exit()
bytes(code)
"""

from __future__ import annotations

import struct
import sys
from typing import Literal, NamedTuple, TypeAlias


class Register(NamedTuple):
    number: int


R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, FP = map(Register, range(11))
"""R0 answers, R1 to R5 are arguments and lost in a call, R6 to R9 last; FP is the stack's top."""

Size: TypeAlias = Literal[1, 2, 4, 8]
"""Bytes."""

_SIZES = {4: 0x00, 2: 0x08, 1: 0x10, 8: 0x18}
_LD, _LDX, _ST, _STX, _JMP, _JMP32, _ALU64 = 0x00, 0x01, 0x02, 0x03, 0x05, 0x06, 0x07
_MEM, _IMM, _X = 0x60, 0x00, 0x08
_OPERATIONS = {"+": 0x00, "-": 0x10, "|": 0x40, "&": 0x50, "<<": 0x60, ">>": 0x70}
_OPERATIONS |= {"^": 0xA0, "=": 0xB0}
_COMPARISONS = {"==": 0x10, ">": 0x20, ">=": 0x30, "!=": 0x50, "<": 0xA0, "<=": 0xB0}
_CALL, _EXIT, _ALWAYS = 0x80, 0x90, 0x00
_PSEUDO_MAP_FD, _PSEUDO_MAP_VALUE = 1, 2

HELPERS = {
    "map_lookup_elem": 1,
    "map_update_elem": 2,
    "map_delete_elem": 3,
    "ktime_get_ns": 5,
    "get_smp_processor_id": 8,
    "get_current_pid_tgid": 14,
    "get_current_comm": 16,
    "probe_read_kernel": 113,
    "get_ns_current_pid_tgid": 120,
    "ringbuf_reserve": 131,
    "ringbuf_submit": 132,
    "ringbuf_discard": 133,
    "snprintf": 165,
}
"""By the kernel's numbers (linux/bpf.h, ``enum bpf_func_id``)."""

FARTHEST = 0x7FFF
"""Instructions that a jump can pass over."""


class _Instruction(NamedTuple):
    code: int
    to: int = 0
    source: int = 0
    offset: int = 0
    immediate: int = 0
    target: str = ""


class Code:
    """A program that is being written; ``bytes`` of it is what the kernel takes."""

    def __init__(self) -> None:
        self._instructions: list[_Instruction] = []
        self._labels: dict[str, int] = {}
        self._names = 0

    def __len__(self) -> int:
        """In instructions of 8 bytes."""
        return len(self._instructions)

    def __bytes__(self) -> bytes:
        """Raises KeyError for a jump to nowhere, OverflowError for one that is too far."""
        return b"".join(self._encoded(place) for place in range(len(self._instructions)))

    def _encoded(self, place: int) -> bytes:
        code, to, source, offset, immediate, target = self._instructions[place]
        if target:
            offset = self._labels[target] - place - 1
            if offset > FARTHEST:
                raise OverflowError(f"{target} is {offset} instructions away")
        registers = to | source << 4 if sys.byteorder == "little" else to << 4 | source
        return struct.pack("=BBhi", code, registers, offset, _signed(immediate))

    # places

    def label(self, name: str) -> None:
        if name in self._labels:
            raise ValueError(f"two places are called {name}")
        self._labels[name] = len(self._instructions)

    def fresh(self, word: str) -> str:
        """A label that nobody else has."""
        self._names += 1
        return f"{word} {self._names}"

    # values

    def set(self, to: Register, value: Register | int) -> None:
        """An int is 32 bits, extended by its sign."""
        self._compute("=", to, value)

    def add(self, to: Register, value: Register | int) -> None:
        self._compute("+", to, value)

    def mask(self, to: Register, value: Register | int) -> None:
        self._compute("&", to, value)

    def toggle(self, to: Register, value: Register | int) -> None:
        """Exclusive or."""
        self._compute("^", to, value)

    def shift_left(self, to: Register, bits: int) -> None:
        self._compute("<<", to, bits)

    def shift_right(self, to: Register, bits: int) -> None:
        self._compute(">>", to, bits)

    def _compute(self, operation: str, to: Register, value: Register | int) -> None:
        code = _ALU64 | _OPERATIONS[operation]
        if isinstance(value, Register):
            self._put(_Instruction(code | _X, to.number, value.number))
        else:
            self._put(_Instruction(code, to.number, immediate=value))

    def set_map(self, to: Register, fd: int) -> None:
        """To the address of a map, by its file descriptor."""
        code = _LD | _IMM | _SIZES[8]
        self._put(_Instruction(code, to.number, _PSEUDO_MAP_FD, 0, fd))
        self._put(_Instruction(0))

    def set_map_value(self, to: Register, fd: int, offset: int = 0) -> None:
        """To an address within the one value of an array map."""
        code = _LD | _IMM | _SIZES[8]
        self._put(_Instruction(code, to.number, _PSEUDO_MAP_VALUE, 0, fd))
        self._put(_Instruction(0, immediate=offset))

    # memory

    def load(self, size: Size, to: Register, base: Register, offset: int = 0) -> None:
        code = _LDX | _MEM | _SIZES[size]
        self._put(_Instruction(code, to.number, base.number, offset))

    def store(self, size: Size, base: Register, offset: int, value: Register | int) -> None:
        if isinstance(value, Register):
            code = _STX | _MEM | _SIZES[size]
            self._put(_Instruction(code, base.number, value.number, offset))
        else:
            code = _ST | _MEM | _SIZES[size]
            self._put(_Instruction(code, base.number, 0, offset, value))

    # ways

    def jump(self, to: str) -> None:
        self._put(_Instruction(_JMP | _ALWAYS, target=to))

    def jump_if(
        self, value: Register, comparison: str, other: Register | int, to: str, *, bits: int = 64
    ) -> None:
        """An int is extended by its sign to 64 bits, or compared as 32; both are unsigned."""
        code = (_JMP if bits == 64 else _JMP32) | _COMPARISONS[comparison]
        if isinstance(other, Register):
            self._put(_Instruction(code | _X, value.number, other.number, target=to))
        else:
            self._put(_Instruction(code, value.number, immediate=other, target=to))

    def call(self, helper: str) -> None:
        self._put(_Instruction(_JMP | _CALL, immediate=HELPERS[helper]))

    def exit(self) -> None:
        self._put(_Instruction(_JMP | _EXIT))

    def _put(self, instruction: _Instruction) -> None:
        self._instructions.append(instruction)


def _signed(value: int) -> int:
    """The same 32 bits, as a signed number."""
    return (value & 0xFFFFFFFF) - (1 << 32) if value & 0x80000000 and value > 0 else value
