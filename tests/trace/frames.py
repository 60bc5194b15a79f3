"""Packets, built byte by byte."""

from __future__ import annotations

from ipaddress import ip_address
from struct import pack

MACS = bytes.fromhex("020000000002020000000001")
"""Destination, source."""
ALL = b"\xff" * 6


def ethernet(kind: int, payload: bytes, macs: bytes = MACS, tags: bytes = b"") -> bytes:
    return macs + tags + pack(">H", kind) + payload


def tag(number: int, kind: int = 0x8100) -> bytes:
    return pack(">HH", kind, number)


def ip(
    payload: bytes,
    protocol: int,
    source: str = "10.0.0.1",
    destination: str = "10.0.0.2",
    *,
    fragment: int = 0,
    options: bytes = b"",
    ttl: int = 64,
    length: int = 0,
    identification: int = 1,
) -> bytes:
    """``fragment``: flags and offset in eights, as they stand in the header."""
    size = 20 + len(options)
    head = pack(">BBHHHBBH", 0x40 | size // 4, 0, length or size + len(payload),
                identification, fragment, ttl, protocol, 0)  # fmt: skip
    return head + ip_address(source).packed + ip_address(destination).packed + options + payload


def ip6(
    payload: bytes, following: int, source: str = "fd00::1", destination: str = "fd00::2"
) -> bytes:
    head = pack(">IHBB", 0x60000000, len(payload), following, 64)
    return head + ip_address(source).packed + ip_address(destination).packed + payload


def fragment6(payload: bytes, following: int, offset: int, more: bool) -> bytes:
    return pack(">BBHI", following, 0, offset | more, 0x1234) + payload


def tcp(
    source: int,
    destination: int,
    flags: int = 0x10,
    payload: bytes = b"",
    *,
    sequence: int = 100,
    acknowledged: int = 200,
    window: int = 64240,
    options: bytes = b"",
    urgent: int = 0,
) -> bytes:
    words = 5 + len(options) // 4
    return pack(">HHIIBBHHH", source, destination, sequence, acknowledged, words << 4, flags,
                window, 0, urgent) + options + payload  # fmt: skip


def udp(source: int, destination: int, payload: bytes = b"") -> bytes:
    return pack(">HHHH", source, destination, 8 + len(payload), 0) + payload


def icmp(kind: int, code: int = 0, rest: bytes = b"\0\1\0\2", payload: bytes = b"") -> bytes:
    return pack(">BBH", kind, code, 0) + rest + payload


def arp(
    operation: int, source: str, destination: str, kind: int = 0x0800, mac: bytes = b"\0" * 6
) -> bytes:
    """``mac``: of the target."""
    return (
        pack(">HHBBH", 1, kind, 6, 4, operation)
        + MACS[6:] + ip_address(source).packed
        + mac + ip_address(destination).packed
    )  # fmt: skip
