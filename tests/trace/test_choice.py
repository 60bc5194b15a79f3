"""Which packets a filter means, asked of IP packets: in Python, and within a BPF program."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address
from struct import pack
from typing import Any, cast

import pytest

from netlab.trace import bpf_choice
from netlab.trace.bpf import calls
from netlab.trace.bpf.btf import Way
from netlab.trace.bpf.events import Event, Maps, lay_out, program
from netlab.trace.bpf_choice import DEEP, DEVICE, Chosen
from netlab.trace.bpf_gate import BY_BUFFER
from netlab.trace.choice import Choice, NotOfIp, check
from netlab.trace.filters import RAW_IP, compiled, parse
from netlab.trace.headers import FRAGMENT
from netlab.trace.tracepoints import Known, Point
from tests.trace.classic import run
from tests.trace.ebpf.machine import Machine
from tests.trace.frames import ip, ip6, tcp, udp
from tests.trace.test_bpf_gate import ARGUMENTS, PLACES
from tests.trace.test_filters import FILTERS, NODES, PACKETS

LAB, ELSEWHERE = 4026531840, 4026532999
"""Inodes of namespaces."""


def of(text: str) -> Choice:
    return Choice(text, parse(text, NODES))


def is_of_ip(text: str) -> bool:
    try:
        check(of(text).expression)
    except NotOfIp:
        return False
    return True


OF_IP = [text for text in FILTERS if is_of_ip(text)]


def whole(frame: bytes) -> bytes:
    """The IP packet in a frame, without what only fills that up; b"" where there is none."""
    data = frame[14:]
    kind = frame[12:14]
    if kind == b"\x08\x00":
        return data[: int.from_bytes(data[2:4], "big")]
    return data[: 40 + int.from_bytes(data[4:6], "big")] if kind == b"\x86\xdd" else b""


IP_PACKETS = [data for data in map(whole, PACKETS) if data]


@pytest.mark.parametrize("text", OF_IP)
def test_it_takes_what_the_kernel_would_of_the_same_filter(text: str) -> None:
    code, choice = compiled(parse(text, NODES), RAW_IP), of(text)
    wrong = [p.hex() for p in IP_PACKETS if choice.takes(p) != bool(run(code, p))]
    assert wrong == []


def test_without_a_filter_it_takes_all() -> None:
    assert all(Choice().takes(data) for data in IP_PACKETS)


def test_of_a_chain_of_nftables_both_headers_are_known_apart() -> None:
    data = ip(tcp(40000, 80, 2), 6)
    assert of("tcp dst port 80").takes(data[:20], data[20:])
    assert not of("tcp dst port 81").takes(data[:20], data[20:])


@pytest.mark.parametrize(
    "text",
    ["ether host 02:00:00:00:00:01", "tcp and vlan 5", "arp", "not arp host 10.0.0.1", "inbound",
     "broadcast or icmp", "ether[0] = 1", "ether proto 0x88cc"],
)  # fmt: skip
def test_what_is_asked_of_the_frame_is_refused(text: str) -> None:
    with pytest.raises(NotOfIp):
        check(of(text).expression)


# within a program


class Types:
    """Of a kernel that is written here: a device points to its namespace."""

    def way(self, path: str, tracepoint: str = "") -> Way:
        if path == DEVICE:
            return Way((16, 8, 4), 4)
        if path == "sk_buff.protocol":
            return Way((176,), 2)
        offset, size = PLACES[path]
        return Way((offset,), size)

    def arguments(self, name: str) -> tuple[str, ...]:
        return ARGUMENTS[name]


@dataclass
class Kernel:
    """A program at a tracepoint that tells of what a filter takes in one namespace."""

    choice: Choice
    machine: Machine = field(default_factory=Machine)

    def __post_init__(self) -> None:
        types = cast(Any, Types())
        self.gates = Chosen(cast(Any, self.machine), types, self.choice.test, [LAB])
        self.maps = Maps(1, self.machine.map(0, 4, 8, 1, "lost"), 3)
        self.codes = {}
        for name, known in (("rx", "network"), ("", "hook")):
            event = Event(name, "sk_buff *")
            layout, fields, at = lay_out(event, types)
            gate = self.gates.of(Point(event, cast(Known, known), ""))
            self.codes[name] = program(fields, at, layout, 0, gate, self.maps)

    def tells(self, buffer: int, name: str = "rx") -> int | None:
        """By what it is known; None for what is not told. ``name`` "" is a hook."""
        self.machine.records.clear()
        arguments = [buffer] if name else [self.machine.place(bytes(64)), buffer]
        context = self.machine.place(b"".join(pack("<Q", a) for a in arguments))
        self.machine.run(self.codes[name], context)
        return self.machine.records[0][28] if self.machine.records else None

    def track(self, buffer: int, *ends: tuple[str, int, str, int]) -> None:
        """A connection's two directions: ``struct nf_conn``."""
        held = bytes(16)
        for source, port, destination, other in ends:
            near, far = (ip_address(a).packed.ljust(16, b"\0") for a in (source, destination))
            held += bytes(16) + near + pack(">H", port) + pack("<H", 2) + far + pack(">H", other)
            held += bytes((6, 0))
        self.machine.write(buffer + 104, pack("<Q", self.machine.place(held)))

    def packet(self, data: bytes, inode: int = LAB, kind: int = 0) -> int:
        """A ``struct sk_buff``, with its bytes and its device."""
        kind = kind or (0x0800 if data[0] >> 4 == 4 else 0x86DD)
        space = self.machine.place(bytes(4) + pack("<I", inode))
        device = self.machine.place(bytes(8) + pack("<Q", space))
        lies = self.machine.place(bytes(14) + data + bytes(320))
        note = bytearray(256)
        note[16:24] = pack("<Q", device)
        note[176:178] = pack(">H", kind)
        note[180:184] = pack("<HH", 14, 0)
        note[192:208] = pack("<QQ", lies, lies + 14)
        return self.machine.place(bytes(note))

    def rewrite(self, buffer: int, data: bytes) -> None:
        lies = int.from_bytes(self.machine.read(buffer + 192, 8), "little")
        self.machine.write(lies + 14, data)


@pytest.fixture(autouse=True)
def puts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps are those of the machine that a kernel has."""
    machines: list[Machine] = []
    made = Machine.map

    def noted(self: Machine, *words: Any) -> int:
        machines.append(self)
        return made(self, *words)

    monkeypatch.setattr(Machine, "map", noted)
    monkeypatch.setattr(calls, "put", lambda *words: machines[-1].put(*words))


@cache
def plain() -> list[bytes]:
    """Whole packets, and those whose headers stand where a filter looks."""
    return [
        data for data in IP_PACKETS[::3]
        if not (data[0] >> 4 == 4 and data[6] & 0x3F | data[7])
        and not (data[0] >> 4 == 6 and data[6] == FRAGMENT)
    ]  # fmt: skip


@pytest.mark.parametrize("text", OF_IP)
def test_a_program_tells_of_the_same_packets(text: str) -> None:
    choice = of(text)
    is_near = bpf_choice._is_near(choice.test)
    for data in plain():
        kernel = Kernel(choice)
        told = kernel.tells(kernel.packet(data)) is not None
        assert told == choice.takes(data) or (told and not is_near), data.hex()


def test_what_asks_for_more_than_is_looked_at_lets_all_through() -> None:
    far = of(f"tcp[{DEEP}] = 1")
    kernel = Kernel(far)
    data = ip(tcp(1, 2), 6)
    assert not far.takes(data)
    assert kernel.tells(kernel.packet(data)) == 0


def test_another_namespace_and_another_protocol_are_not_told_of() -> None:
    kernel = Kernel(of("udp"))
    data = ip(udp(1, 2), 17)
    assert kernel.tells(kernel.packet(data, ELSEWHERE)) is None
    assert kernel.tells(kernel.packet(data, kind=0x0806)) is None
    assert kernel.tells(kernel.packet(data)) == 0
    assert kernel.tells(kernel.packet(ip6(udp(1, 2), 17))) == 0


def test_what_was_told_once_is_told_whatever_nat_makes_of_it() -> None:
    kernel = Kernel(of("tcp dst port 8080"))
    buffer = kernel.packet(ip(tcp(40000, 8080, 2), 6))
    assert kernel.tells(buffer) == 0
    kernel.rewrite(buffer, ip(tcp(40000, 80, 2), 6, "10.0.0.1", "10.0.9.9"))
    assert kernel.tells(buffer) == BY_BUFFER
    assert kernel.tells(kernel.packet(ip(tcp(40000, 80, 2), 6))) is None


def test_the_other_packets_of_its_connection_are_told_of_as_nat_writes_them() -> None:
    kernel = Kernel(of("tcp port 8080"))
    answer = ip(tcp(80, 40000, 18), 6, "192.168.1.2", "192.168.1.1")
    assert kernel.tells(kernel.packet(answer)) is None
    first = kernel.packet(ip(tcp(40000, 8080, 2), 6, "10.0.0.1", "203.0.113.1"))
    kernel.track(
        first, ("10.0.0.1", 40000, "203.0.113.1", 8080), ("192.168.1.2", 80, "192.168.1.1", 40000)
    )
    assert kernel.tells(first, "") == 0
    assert kernel.tells(kernel.packet(answer)) == 0
    back = ip(tcp(40000, 80, 16), 6, "192.168.1.1", "192.168.1.2")
    assert kernel.tells(kernel.packet(back)) == 0
    other = ip(tcp(80, 40001, 18), 6, "192.168.1.2", "192.168.1.1")
    assert kernel.tells(kernel.packet(other)) is None
    assert kernel.tells(kernel.packet(answer, ELSEWHERE)) is None
