"""A pcapng file, read by the letter of draft-ietf-opsawg-pcapng: anything amiss is an error."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from ipaddress import ip_address

SECTION, INTERFACE, NAMES, STATISTICS, PACKET = 0x0A0D0D0A, 1, 4, 5, 6


@dataclass(frozen=True)
class Block:
    kind: int
    body: bytes
    options: dict[int, list[bytes]]

    def text(self, code: int) -> str:
        return self.options[code][0].decode() if code in self.options else ""


@dataclass(frozen=True)
class Packet:
    interface: int
    time: int
    data: bytes
    length: int
    flags: int
    comments: list[str]


@dataclass
class File:
    """One section and what is in it."""

    section: Block
    interfaces: list[Block] = field(default_factory=list)
    names: dict[str, list[str]] = field(default_factory=dict)
    packets: list[Packet] = field(default_factory=list)
    statistics: dict[int, Block] = field(default_factory=dict)

    @property
    def interface_names(self) -> list[str]:
        return [interface.text(2) for interface in self.interfaces]

    @property
    def times(self) -> list[int]:
        return [packet.time for packet in self.packets]

    @property
    def counts(self) -> dict[str, tuple[int, int]]:
        """By interface: packets that came, and that were lost."""
        return {
            self.interface_names[n]: (number(block.options[4][0]), number(block.options[5][0]))
            for n, block in self.statistics.items()
        }


def number(data: bytes) -> int:
    return int.from_bytes(data, "little")


def read(data: bytes) -> File:
    first, *blocks = _blocks(data)
    assert first.kind == SECTION
    assert struct.unpack("<IHHq", first.body[:16]) == (0x1A2B3C4D, 1, 0, -1)
    file = File(first)
    for block in blocks:
        match block.kind:
            case 1:
                assert block.options[9] == [b"\x09"]
                file.interfaces.append(block)
            case 4:
                file.names.update(_names(block.body))
            case 5:
                (interface,) = struct.unpack_from("<I", block.body)
                assert interface < len(file.interfaces)
                file.statistics[interface] = block
            case 6:
                file.packets.append(_packet(block, len(file.interfaces)))
            case _:
                raise AssertionError(block)
    return file


def link_type(interface: Block) -> int:
    return number(interface.body[:2])


def _blocks(data: bytes) -> list[Block]:
    found = []
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        assert size % 4 == 0 and size >= 12
        assert at + size <= len(data), "cut off"
        assert struct.unpack_from("<I", data, at + size - 4) == (size,)
        content = data[at + 8 : at + size - 4]
        fixed = _fixed(kind, content)
        found.append(Block(kind, content[:fixed], _options(content[fixed:])))
        at += size
    return found


def _fixed(kind: int, content: bytes) -> int:
    """Bytes before the options."""
    if kind == PACKET:
        kept = struct.unpack_from("<I", content, 12)[0]
        return 20 + kept + (-kept & 3)
    return {SECTION: 16, INTERFACE: 8, STATISTICS: 12}.get(kind, len(content))


def _options(data: bytes) -> dict[int, list[bytes]]:
    found: dict[int, list[bytes]] = {}
    at = 0
    while at < len(data):
        code, length = struct.unpack_from("<HH", data, at)
        if code == 0:
            assert (length, at + 4) == (0, len(data))
            return found
        value = data[at + 4 : at + 4 + length]
        assert len(value) == length
        padding = data[at + 4 + length : at + 4 + length + (-length & 3)]
        assert padding == b"\0" * (-length & 3)
        found.setdefault(code, []).append(value)
        at += 4 + length + len(padding)
    assert not data, "options without an end"
    return found


def _names(body: bytes) -> dict[str, list[str]]:
    found = {}
    at = 0
    while True:
        kind, length = struct.unpack_from("<HH", body, at)
        value = body[at + 4 : at + 4 + length]
        at += 4 + length + (-length & 3)
        if kind == 0:
            assert at == len(body)
            return found
        size = {1: 4, 2: 16}[kind]
        *names, rest = value[size:].split(b"\0")
        assert rest == b""
        found[str(ip_address(value[:size]))] = [name.decode() for name in names]


def _packet(block: Block, interfaces: int) -> Packet:
    interface, high, low, kept, length = struct.unpack_from("<5I", block.body)
    assert interface < interfaces
    assert kept <= length
    flags = number(block.options.get(2, [b"\0"])[0])
    comments = [text.decode() for text in block.options.get(1, [])]
    data = block.body[20 : 20 + kept]
    return Packet(interface, high << 32 | low, data, length, flags, comments)
