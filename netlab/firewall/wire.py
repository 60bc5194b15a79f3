"""Netlink attributes as bytes, both ways."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from struct import Struct, pack

_HEAD = Struct("=HH")
NESTED = 0x8000


def attribute(number: int, data: bytes) -> bytes:
    length = len(data) + 4
    return _HEAD.pack(length, number) + data + b"\0" * (-length & 3)


def nest(number: int, *parts: bytes) -> bytes:
    return attribute(number | NESTED, b"".join(parts))


@cache
def u32(number: int, value: int) -> bytes:
    return _HEAD.pack(8, number) + pack(">I", value & 0xFFFFFFFF)


def u64(number: int, value: int) -> bytes:
    return _HEAD.pack(12, number) + pack(">Q", value)


def u16(number: int, value: int) -> bytes:
    return _HEAD.pack(6, number) + pack(">H", value) + b"\0\0"


def u8(number: int, value: int) -> bytes:
    return _HEAD.pack(5, number) + bytes((value, 0, 0, 0))


@cache
def text(number: int, value: str) -> bytes:
    return attribute(number, value.encode() + b"\0")


def attributes(data: bytes) -> dict[int, bytes]:
    """What a run of attributes holds; of several with one number, the last."""
    return dict(each(data))


def each(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Attributes one after the other; what is cut off ends the run."""
    at, end = 0, len(data)
    while at + 4 <= end:
        length, number = _HEAD.unpack_from(data, at)
        if length < 4 or at + length > end:
            return
        yield number & 0x3FFF, data[at + 4 : at + length]
        at += (length + 3) & ~3


def number(data: bytes) -> int:
    """A big-endian number."""
    return int.from_bytes(data, "big")


def string(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode(errors="replace")


def userdata(*pairs: tuple[int, bytes]) -> bytes:
    """nft's own notes on an object: type, length, value, a byte each."""
    return b"".join(bytes((kind, len(data))) + data for kind, data in pairs)


def notes(data: bytes) -> dict[int, bytes]:
    """``userdata``, read."""
    found = {}
    at = 0
    while at + 2 <= len(data):
        kind, length = data[at], data[at + 1]
        found[kind] = data[at + 2 : at + 2 + length]
        at += 2 + length
    return found
