"""Packets as a pcapng file (draft-ietf-opsawg-pcapng): each function makes one block of it.

A file is a section, then the interfaces in the order of their numbers, from 0; names, packets,
statistics and further interfaces follow in any order::

    file.write(section("lab nat"))
    file.write(interface(ETHERNET, "gw:wan"))
    file.write(packet(0, time_ns(), frame, len(frame), OUTBOUND, ["leaves by wan"]))

Times are nanoseconds since the epoch. Texts longer than an option can hold are cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from socket import AF_INET, AF_INET6, inet_pton
from struct import Struct

ETHERNET, RAW_IP = 1, 101
"""Link types: what the bytes of a packet begin with (tcpdump.org/linktypes.html)."""

INBOUND, OUTBOUND = 1, 2
"""Which way a packet went through the interface: a packet's flags are one of these, and …"""
UNICAST, MULTICAST, BROADCAST, PROMISCUOUS = 1 << 2, 2 << 2, 3 << 2, 4 << 2
"""… one of these, where it is known whom it was for."""

SECTION, INTERFACE, NAMES, STATISTICS, PACKET = 0x0A0D0D0A, 1, 4, 5, 6
BYTE_ORDER, VERSION = 0x1A2B3C4D, (1, 0)
UNKNOWN_LENGTH = -1
COMMENT, HARDWARE, SYSTEM, PROGRAM = 1, 2, 3, 4
NAME, DESCRIPTION, MAC, RESOLUTION, FILTER = 2, 3, 6, 9, 11
FLAGS = 2
START, END, RECEIVED, DROPPED = 2, 3, 4, 5
NANOSECONDS = b"\x09"
"""Negative power of ten."""

LONGEST = 0xFFFF
"""Bytes of an option's value."""

IPV4_NAME, IPV6_NAME = 1, 2

_HEAD = Struct("=II")
_LENGTH = Struct("=I")
_OPTION = Struct("=HH")
_PACKET = Struct("=7I")
_FLAGS = Struct("=HHIHHI")
_TIME = Struct("=II")
_COUNT = Struct("=Q")
_WITHOUT_DATA = 32
"""Bytes of a packet's block without data and options."""
_WITH_FLAGS = 12
"""Bytes of its options where the flags are the only one."""


def section(comment: str = "", program: str = "", system: str = "", hardware: str = "") -> bytes:
    """How a file begins. ``comment``: of the file as a whole."""
    body = Struct("=IHHq").pack(BYTE_ORDER, *VERSION, UNKNOWN_LENGTH)
    texts = {COMMENT: comment, HARDWARE: hardware, SYSTEM: system, PROGRAM: program}
    return _block(SECTION, body, _texts(texts))


def interface(
    link: int,
    name: str = "",
    description: str = "",
    mac: bytes = b"",
    filter: str = "",
    snaplen: int = 0,
) -> bytes:
    """``snaplen``: bytes that are kept of each packet at most; 0 for all."""
    body = Struct("=HHI").pack(link, 0, snaplen)
    options = _texts({NAME: name, DESCRIPTION: description})
    if len(mac) == 6:
        options += _option(MAC, mac)
    options += _option(RESOLUTION, NANOSECONDS)
    if filter:
        # the first byte tells that it is a text
        options += _option(FILTER, b"\0" + filter.encode()[: LONGEST - 1])
    return _block(INTERFACE, body, options)


def names(known: Mapping[str, Sequence[str]]) -> bytes:
    """By address. Wireshark shows the first name of each, if it is told to resolve any."""
    records = b"".join(_record(address, names) for address, names in known.items() if names)
    return _block(NAMES, records + _OPTION.pack(0, 0))


def packet(
    interface: int,
    time: int,
    data: bytes,
    length: int,
    flags: int = 0,
    comments: Sequence[str] = (),
) -> bytes:
    """``length``: bytes it had, of which ``data`` may hold only the first."""
    body = _PACKET.pack(PACKET, 0, interface, time >> 32, time & 0xFFFFFFFF, len(data), length)[8:]
    options = b"".join(_option(COMMENT, _cut(text)) for text in comments)
    if flags:
        options += _option(FLAGS, _LENGTH.pack(flags))
    return _block(PACKET, body + data + _padding(data), options)


Frame = tuple[int, int, int, int, bytes]
"""Time, interface, what its flags are chosen by, length, data."""

_tails: dict[tuple[int, int], bytes] = {}


def packets(frames: Iterable[Frame], flags: Mapping[int, int]) -> bytes:
    """``packet`` for many, fast. ``flags``: never 0; by the third item of a frame."""
    blocks: list[bytes] = []
    add, pack, tail_of = blocks.append, _PACKET.pack, _tails.get
    for time, interface, sort, length, data in frames:
        kept = len(data)
        tail = tail_of((kept, flags[sort])) or _tail(kept, flags[sort])
        size = _WITHOUT_DATA - 4 + kept + len(tail)
        add(pack(PACKET, size, interface, time >> 32, time & 0xFFFFFFFF, kept, length))
        add(data)
        add(tail)
    return b"".join(blocks)


def _tail(kept: int, flags: int) -> bytes:
    """What follows so many bytes of data."""
    padding = b"\0" * (-kept & 3)
    size = _WITHOUT_DATA + kept + len(padding) + _WITH_FLAGS
    made = _tails[kept, flags] = padding + _FLAGS.pack(FLAGS, 4, flags, 0, 0, size)
    return made


def size(kept: int) -> int:
    """Bytes that one of the ``packets`` takes, of so many bytes of data."""
    return _WITHOUT_DATA + _WITH_FLAGS + kept + (-kept & 3)


def statistics(
    interface: int, time: int, start: int, end: int, received: int, dropped: int
) -> bytes:
    """Since the start: what came in by the filter, and what of it was lost for lack of room."""
    body = _LENGTH.pack(interface) + _stamp(time)
    options = _option(START, _stamp(start)) + _option(END, _stamp(end))
    options += _option(RECEIVED, _COUNT.pack(received)) + _option(DROPPED, _COUNT.pack(dropped))
    return _block(STATISTICS, body, options)


def _block(kind: int, body: bytes, options: bytes = b"") -> bytes:
    if options:
        options += _OPTION.pack(0, 0)
    size = 12 + len(body) + len(options)
    return _HEAD.pack(kind, size) + body + options + _LENGTH.pack(size)


def _stamp(time: int) -> bytes:
    return _TIME.pack(time >> 32, time & 0xFFFFFFFF)


def _texts(texts: Mapping[int, str]) -> bytes:
    return b"".join(_option(code, _cut(text)) for code, text in texts.items() if text)


def _cut(text: str) -> bytes:
    """In UTF-8, no longer than an option can be, and no character of it halved."""
    return text.encode()[:LONGEST].decode(errors="ignore").encode()


def _option(code: int, value: bytes) -> bytes:
    return _OPTION.pack(code, len(value)) + value + _padding(value)


def _padding(data: bytes) -> bytes:
    return b"\0" * (-len(data) & 3)


def _record(address: str, names: Sequence[str]) -> bytes:
    kind, family = (IPV6_NAME, AF_INET6) if ":" in address else (IPV4_NAME, AF_INET)
    value = inet_pton(family, address) + b"".join(name.encode() + b"\0" for name in names)
    return _option(kind, value)
