"""Plain values in a row → bytes, without a tree in between: they fill large sets.

Whatever is not plain after all is left to those who can say what is wrong with it: None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from socket import AF_INET6, inet_aton, inet_pton
from typing import Literal

from .datatypes import Type
from .lexer import integer

Read = Callable[[str], bytes]


def keys(kind: Type, texts: Sequence[str]) -> list[bytes] | None:
    """What a register would hold for each."""
    read = _reader(kind)
    if read is None:
        return None
    try:
        return list(map(read, texts))
    except (OSError, ValueError, OverflowError):
        return None


def spans(kind: Type, texts: Sequence[str]) -> list[tuple[int, int]] | None:
    """First and last number of each, prefixes and ranges too."""
    read = _reader(kind)
    if read is None:
        return None
    try:
        found = [_span(read, kind, text) for text in texts]
    except (OSError, ValueError, OverflowError):
        return None
    return found if all(low <= high for low, high in found) else None


def _span(read: Read, kind: Type, text: str) -> tuple[int, int]:
    order = _order(kind)
    if "/" in text:
        base, _, length = text.partition("/")
        rest = (1 << kind.bits - int(length)) - 1
        low = int.from_bytes(read(base), order) & ~rest
        return low, low | rest
    first, _, last = text.partition("-")
    low = int.from_bytes(read(first), order)
    return low, int.from_bytes(read(last), order) if last else low


def _order(kind: Type) -> Literal["big", "little"]:
    return "big" if kind.order == ">" else "little"


@cache
def _reader(kind: Type) -> Read | None:
    if kind.form == "ipv4":
        return inet_aton
    if kind.form == "ipv6":
        return partial(inet_pton, AF_INET6)
    if kind.form == "ether":
        return _ether
    if kind.form in _NUMBERS and kind.bits and not kind.bits % 8:
        width, order = kind.bytes, _order(kind)
        return lambda text: integer(text).to_bytes(width, order)
    return None


def _ether(text: str) -> bytes:
    found = bytes.fromhex(text.replace(":", ""))
    if len(text) != 17 or len(found) != 6:
        raise ValueError(text)
    return found


_NUMBERS = ("integer", "service", "mark", "hex", "0x")
