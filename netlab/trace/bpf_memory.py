"""What BPF programs remember between two events, without a call: small tables of numbers.

A table is the one value of an array map, which a program reads and writes as its own memory. A
number lies where some bits of it say; another one that belongs there takes its place, so that what
is old goes by itself and a table is never full.
"""

from __future__ import annotations

from dataclasses import dataclass

from netlab.trace.bpf.assembler import R1, R2, R3, R4, Code
from netlab.trace.bpf.calls import ARRAY
from netlab.trace.bpf.session import Session

WIDTH = 8
"""Bytes of a number."""


@dataclass(frozen=True)
class Table:
    fd: int
    entries: int
    """A power of two."""
    shift: int
    """How many of a number's lowest bits do not tell two of them apart."""

    def look_up(self, code: Code, found: str) -> None:
        """Whether the number in R1 is there: jumps if it is, else goes on. R1 is kept."""
        self._find(code)
        code.load(8, R4, R3)
        code.jump_if(R4, "==", R1, found)

    def put(self, code: Code) -> None:
        """The number in R1, which is kept."""
        self._find(code)
        code.store(8, R3, 0, R1)

    def forget(self, code: Code) -> None:
        """The number in R1, if it is there."""
        absent = code.fresh("not there")
        self._find(code)
        code.load(8, R4, R3)
        code.jump_if(R4, "!=", R1, absent)
        code.store(8, R3, 0, 0)
        code.label(absent)

    def _find(self, code: Code) -> None:
        """R3 is the address of its place then."""
        code.set(R2, R1)
        if self.shift:
            code.shift_right(R2, self.shift)
        code.mask(R2, self.entries - 1)
        code.shift_left(R2, 3)
        code.set_map_value(R3, self.fd)
        code.add(R3, R2)


@dataclass(frozen=True)
class Slots:
    """A number for each of something that is counted from 0, as CPUs are."""

    fd: int
    entries: int
    """A power of two; what is beyond shares."""

    def find(self, code: Code) -> None:
        """R3 is the address of the place of the one in R1."""
        code.mask(R1, self.entries - 1)
        code.shift_left(R1, 3)
        code.set_map_value(R3, self.fd)
        code.add(R3, R1)


def table(session: Session, name: str, entries: int, shift: int = 0) -> Table:
    """Raises BpfRefused."""
    return Table(session.map(ARRAY, 4, entries * WIDTH, 1, name), entries, shift)


def slots(session: Session, name: str, entries: int) -> Slots:
    """Raises BpfRefused."""
    return Slots(session.map(ARRAY, 4, entries * WIDTH, 1, name), entries)
