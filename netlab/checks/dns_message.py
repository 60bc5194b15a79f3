"""Messages of DNS (RFC 1035): a question, and what its answer says."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from netlab.model.checks_measures import DNS_TYPES

HEADER = struct.Struct("!HHHHHH")
RECORD = struct.Struct("!HHIH")
ANSWER, CUT, RECURSE = 0x8000, 0x0200, 0x0100
INTERNET = 1
DEEPEST = 32
"""Labels and pointers that are followed in a name."""
CODES = {0: "answered", 1: "formerr", 2: "servfail", 3: "nxdomain", 4: "notimp", 5: "refused"}


class Answer(NamedTuple):
    code: str
    """``answered``, ``empty``, ``nxdomain``, ``refused`` …"""
    is_cut: bool
    """Whether it was too long for UDP."""
    records: tuple[str, ...] = ()
    """Of the type that was asked for."""


def question(name: str, kind: str, number: int) -> bytes:
    labels = [label.encode() for label in name.rstrip(".").split(".") if label]
    wire = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    asked = struct.pack("!HH", DNS_TYPES[kind], INTERNET)
    return HEADER.pack(number, RECURSE, 1, 0, 0, 0) + wire + asked


def answer(data: bytes, kind: str, number: int) -> Answer | None:
    """None for what is no answer to that question. Raises ValueError for what is no DNS."""
    try:
        return _answer(data, kind, number)
    except (struct.error, IndexError) as problem:
        raise ValueError("the message is cut off in the middle of a record") from problem


def _answer(data: bytes, kind: str, number: int) -> Answer | None:
    known, flags, questions, answers, _, _ = HEADER.unpack_from(data)
    if known != number or not flags & ANSWER:
        return None
    at = HEADER.size
    for _ in range(questions):
        at = _name(data, at)[1] + 4
    found = []
    for _ in range(answers):
        at = _name(data, at)[1]
        sort, _, _, size = RECORD.unpack_from(data, at)
        at += RECORD.size
        if sort == DNS_TYPES[kind]:
            found.append(_said(data, at, size, kind))
        at += size
    code = CODES.get(flags & 15, f"code {flags & 15}")
    is_empty = code == "answered" and not found and not flags & CUT
    return Answer("empty" if is_empty else code, bool(flags & CUT), tuple(found))


def _said(data: bytes, at: int, size: int, kind: str) -> str:
    """A record's data as zone files write it."""
    match kind:
        case "A":
            return str(IPv4Address(data[at : at + 4]))
        case "AAAA":
            return str(IPv6Address(data[at : at + 16]))
        case "CNAME" | "NS" | "PTR":
            return _name(data, at)[0]
        case "MX":
            return f"{struct.unpack_from('!H', data, at)[0]} {_name(data, at + 2)[0]}"
        case "SRV":
            numbers = struct.unpack_from("!HHH", data, at)
            return f"{' '.join(map(str, numbers))} {_name(data, at + 6)[0]}"
        case "TXT":
            return _texts(data[at : at + size])
    first, at = _name(data, at)
    second, at = _name(data, at)
    return f"{first} {second} {' '.join(map(str, struct.unpack_from('!IIIII', data, at)))}"


def _texts(data: bytes) -> str:
    parts, at = [], 0
    while at < len(data):
        parts.append(data[at + 1 : at + 1 + data[at]].decode(errors="replace"))
        at += 1 + data[at]
    return "".join(parts)


def _name(data: bytes, at: int) -> tuple[str, int]:
    """And where it ends. Raises ValueError for one that turns in a circle."""
    labels: list[str] = []
    end = 0
    for _ in range(DEEPEST):
        size = data[at]
        if size == 0:
            return ".".join(labels) or ".", end or at + 1
        if size & 0xC0:
            end = end or at + 2
            at = struct.unpack_from("!H", data, at)[0] & 0x3FFF
            continue
        labels.append(data[at + 1 : at + 1 + size].decode("ascii", "replace"))
        at += 1 + size
    raise ValueError("a name of it has no end")
