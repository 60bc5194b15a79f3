"""Which of a lab's own packets are followed: a filter, asked of the IP packet wherever it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from netlab.trace.filters import RAW_IP
from netlab.trace.filters.meaning import (
    BEHIND,
    BYTE,
    HALF,
    LENGTH,
    MASK,
    SKIP_IP,
    WORD,
    Always,
    Both,
    Check,
    Either,
    Load,
    Negated,
    Test,
    meaning,
)
from netlab.trace.filters.tree import (
    And,
    Bound,
    Bytes,
    Cast,
    Expression,
    Hosts,
    Is,
    Mac,
    Not,
    Or,
    Proto,
    Vlan,
)

SIZES = {BYTE: 1, HALF: 2, WORD: 4}
"""Bytes that a load takes, by its instruction."""
ALL = Always(True)


class NotOfIp(ValueError):
    """What is asked of the frame, or of the device, and cannot be asked of an IP packet."""


@dataclass(frozen=True)
class Choice:
    """``text`` is as it was written; no expression takes every packet."""

    text: str = ""
    expression: Expression | None = None
    most: int = 2000
    """Packets a second, of each protocol at each hook, of which rules are told."""

    @cached_property
    def test(self) -> Test:
        return ALL if self.expression is None else meaning(self.expression, RAW_IP)

    def takes(self, network: bytes, transport: bytes = b"") -> bool:
        """From the IP header on; ``transport`` where ``network`` holds the IP header alone."""
        data = network + transport
        try:
            return bool(data) and _holds(self.test, data, _length(data))
        except _TooShort:
            return False


def check(expression: Expression | None) -> None:
    """Raises NotOfIp."""
    for part in parts(expression):
        match part:
            case Mac() | Vlan() | Bound() | Cast(layer="ether") | Bytes(protocol="ether"):
                raise NotOfIp("what the frame or the interface says cannot be asked of a packet")
            case Is(protocol="arp" | "rarp") | Hosts(protocol="arp" | "rarp"):
                raise NotOfIp("it follows IP packets, and ARP is none")
            case Proto(layer="ether"):
                raise NotOfIp("it follows IP packets, whatever is below")


def parts(expression: Expression | None) -> Iterator[Expression]:
    """All that is no joint."""
    match expression:
        case And(left, right) | Or(left, right):
            yield from parts(left)
            yield from parts(right)
        case Not(inner):
            yield from parts(inner)
        case None:
            return
        case _:
            yield expression


class _TooShort(Exception):
    """As the kernel does: a filter that looks behind the packet's end says no."""


def _length(data: bytes) -> int:
    """As the IP header tells it: what was seen may be cut off."""
    if data[0] >> 4 == 6:
        return int.from_bytes(data[4:6], "big") + 40
    return int.from_bytes(data[2:4], "big")


def _holds(test: Test, data: bytes, length: int) -> bool:
    match test:
        case Always(holds):
            return holds
        case Negated(inner):
            return not _holds(inner, data, length)
        case Both(left, right):
            return _holds(left, data, length) and _holds(right, data, length)
        case Either(left, right):
            return _holds(left, data, length) or _holds(right, data, length)
        case Check(loads, relation, value):
            found = _loaded(loads, data, length)
            return {
                "==": found == value, ">": found > value, ">=": found >= value,
                "&": bool(found & value),
            }[relation]  # fmt: skip


def _loaded(loads: tuple[Load, ...], data: bytes, length: int) -> int:
    found = behind = 0
    for code, operand in loads:
        if code == SKIP_IP:
            behind = 4 * (_bytes(data, operand, 1) & 15)
        elif code == LENGTH:
            found = length
        elif code == MASK:
            found &= operand
        elif code in SIZES:
            found = _bytes(data, operand, SIZES[code])
        else:
            found = _bytes(data, behind + operand, SIZES[code - BEHIND])
    return found


def _bytes(data: bytes, at: int, size: int) -> int:
    found = data[at : at + size]
    if len(found) < size:
        raise _TooShort
    return int.from_bytes(found, "big")
