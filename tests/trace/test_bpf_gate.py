"""Which packets a program tells of, run on a machine that is written here."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from struct import pack
from typing import Any, cast

import pytest

from netlab.trace.bpf.btf import NoSuchType, Way
from netlab.trace.bpf.events import Event, Maps, lay_out, program
from netlab.trace.bpf_gate import (
    BY_BUFFER,
    BY_FRAGMENT,
    BY_PROGRAM,
    OUTPUT,
    PEEK,
    Gates,
    Ports,
)
from netlab.trace.cookie import marks
from netlab.trace.model import Probe
from netlab.trace.tracepoints import Known, Point
from tests.trace.ebpf.machine import Machine
from tests.trace.frames import ethernet, fragment6, icmp, ip, ip6, tcp, udp

COOKIE = 0x51442623
PROBE = Probe("a", "b", "udp", "10.0.0.1", "10.0.0.2", 53, 4000, cookie=COOKIE)
TCP = replace(PROBE, protocol="tcp", port=80)
PROBE6 = replace(PROBE, source="fd00::1", destination="fd00::2")
OWN, OTHER = 77, 78
"""Process ids: the sender's, somebody's."""

PLACES = {
    "sk_buff.network_header": (180, 2), "sk_buff.mac_header": (182, 2), "sk_buff.head": (192, 8),
    "sk_buff.data": (200, 8), "sk_buff._nfct": (104, 8), "sk_buff.sk": (24, 8),
    "nf_hook_state.hook": (0, 1), "nf_conn.tuplehash": (16, 112),
    "sock.__sk_common.skc_dport": (12, 2),
    "sock.__sk_common.skc_family": (16, 2), "sock.sk_protocol": (40, 2),
    "sock.sk_receive_queue.qlen": (48, 4),
    "udp_sock.reader_queue.qlen": (56, 4),
}  # fmt: skip
ARGUMENTS = {
    "rx": ("sk_buff *",), "kfree_skb": ("sk_buff *",), "fib": ("int",),
    "sk": ("sock *", "int", "int"),
}  # fmt: skip


class Types:
    """Of a kernel that is written here."""

    def way(self, path: str, tracepoint: str = "") -> Way:
        if path not in PLACES:
            raise NoSuchType(path)
        offset, size = PLACES[path]
        return Way((offset,), size)

    def arguments(self, name: str) -> tuple[str, ...]:
        return ARGUMENTS[name]


@dataclass
class Kernel:
    """Programs of one gate, and what the kernel would call them with."""

    probe: Probe = PROBE
    tunnels: bool = False
    machine: Machine = field(default_factory=lambda: Machine(pid=OTHER))

    def __post_init__(self) -> None:
        found = marks(self.probe, tunnels=self.tunnels)
        ports = Ports(self.probe.from_port, self.probe.port)
        types = cast(Any, Types())
        self.gates = Gates(cast(Any, self.machine), types, found, OWN, ports)
        self.maps = Maps(1, self.machine.map(0, 4, 8, 1, "lost"), 3)
        self.codes: dict[tuple[object, ...], bytes] = {}

    def tells(self, known: Known, *arguments: int, last: bool = False, **more: bool) -> int | None:
        """By what it is known; None for what is not told."""
        names = {"hook": "", "context": "fib", "socket": "sk", "waiting": "sk", "reader": "sk"}
        name = names.get(known, "kfree_skb" if last else "rx")
        subject = {"context": "", "fib": ""}.get(name, "sock *" if name == "sk" else "sk_buff *")
        event = Event(name, "" if known == "context" else subject, (), last)
        key = (known, last, *more.items())
        if key not in self.codes:
            gate = self.gates.of(Point(event, known, "", **more))
            layout, fields, at = lay_out(event, Types())
            self.codes[key] = program(fields, at, layout, 0, gate, self.maps)
        context = self.machine.place(b"".join(pack("<Q", a) for a in arguments))
        self.machine.records.clear()
        self.machine.run(self.codes[key], context)
        return self.machine.records[0][28] if self.machine.records else None

    def packet(self, data: bytes, *, socket: int = 0, link: int = 14, head: int = 0) -> int:
        """A ``struct sk_buff``: room for a link header, then the packet."""
        lies = head or self.machine.place(bytes(link) + data + bytes(320))
        return self.buffer(lies, link, socket)

    def buffer(self, lies: int, link: int = 14, socket: int = 0) -> int:
        note = bytearray(256)
        note[180:184] = pack("<HH", link, 0)
        note[192:208] = pack("<QQ", lies, lies + link)
        note[24:32] = pack("<Q", socket)
        return self.machine.place(bytes(note))

    def lies(self, buffer: int) -> int:
        return int.from_bytes(self.machine.read(buffer + 192, 8), "little")

    def socket(
        self, *, local: int = 0, remote: int = 0, queued: int = 0, second: int = 0, family: int = 2
    ) -> int:
        note = bytearray(128)
        note[16:18] = pack("<H", family)
        note[12:16] = pack(">H", remote) + pack("<H", local)
        note[40:42] = pack("<H", 17)
        note[48:52], note[56:60] = pack("<I", queued), pack("<I", second)
        return self.machine.place(bytes(note))


def mine(payload: bytes = pack(">I", COOKIE)) -> bytes:
    return ip(udp(4000, 53, payload), 17)


def foreign() -> bytes:
    return ip(udp(4000, 53, b"something else"), 17)


WAYS = [
    (PROBE, mine()),
    (PROBE, ip(udp(53, 4000, pack(">I", COOKIE + 1)), 17, "10.0.0.2", "10.0.0.1")),
    (PROBE, ip(udp(53, 4000, b"an answer of its own"), 17, "10.9.0.9", "10.8.0.8")),
    (PROBE, ip(udp(4000, 53, pack(">I", COOKIE)), 17, options=b"\1" * 8)),
    (PROBE, ip(icmp(3, 3, payload=mine()), 1, "10.0.0.9", "10.0.0.1")),
    (TCP, ip(tcp(4000, 80, 2, sequence=COOKIE - 1), 6)),
    (TCP, ip(tcp(80, 4000, 18, sequence=9, acknowledged=COOKIE), 6)),
    (TCP, ip(tcp(8080, 5, 4, acknowledged=COOKIE), 6, "203.0.113.1")),
    (PROBE6, ip6(udp(4000, 53, pack(">I", COOKIE)), 17)),
    (PROBE6, ip6(icmp(1, 4, payload=ip6(udp(4000, 53, pack(">I", COOKIE)), 17)), 58)),
    (PROBE6, ip6(fragment6(udp(4000, 53, pack(">I", COOKIE)), 17, 0, True), 44)),
    (replace(PROBE, protocol="icmp"), ip(icmp(8, payload=pack(">I", COOKIE)), 1)),
]  # fmt: skip


PLAIN = [(probe, data) for probe, data in WAYS if b"\1" * 8 not in data and data[6] != 44]
"""Without options and fragments: through those nobody looks within a tunnel."""


@pytest.mark.parametrize(("probe", "data"), WAYS)
@pytest.mark.parametrize("known", ["network", "data"])
def test_what_bears_a_mark_is_told(probe: Probe, data: bytes, known: Known) -> None:
    kernel = Kernel(probe)
    assert kernel.tells(known, kernel.packet(data)) == 0


@pytest.mark.parametrize(("probe", "data"), PLAIN)
def test_the_same_in_a_tunnel(probe: Probe, data: bytes) -> None:
    frame = ethernet(0x0800 if data[0] >> 4 == 4 else 0x86DD, data)
    kernel = Kernel(probe, tunnels=True)
    outer = ip(udp(1, 4789, bytes.fromhex("0800000000000700") + frame), 17)
    assert kernel.tells("network", kernel.packet(outer)) == 0
    assert kernel.tells("network", kernel.packet(data)) == 0


def test_no_other_packet_is_told() -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    draw = random.Random(seed)
    for probe in (PROBE, TCP, PROBE6):
        kernel = Kernel(probe, tunnels=True)
        for _ in range(200):
            payload = draw.randbytes(draw.randrange(12, 120))
            data = draw.choice([
                ip(udp(1, 2, payload), 17), ip(tcp(3, 4, payload=payload), 6), payload,
                ip6(udp(1, 2, payload), 17), ip(icmp(8, payload=payload), 1), ip(payload, 47), b"",
                ip(udp(1, 4789, payload), 17), ip(udp(5, 6, payload), 17, fragment=0x2000),
            ])  # fmt: skip
            assert kernel.tells(draw.choice(["network", "data"]), kernel.packet(data)) is None


def test_what_is_not_the_probes_costs_two_reads() -> None:
    kernel = Kernel()
    buffer = kernel.packet(foreign())
    kernel.machine.reads = 0
    kernel.tells("network", buffer)
    assert kernel.machine.reads == 2


def test_at_a_hook_the_same_is_known_and_its_connection_is_found() -> None:
    kernel = Kernel()
    state = kernel.machine.place(bytes((OUTPUT,)))
    assert kernel.tells("hook", state, kernel.packet(mine())) == 0
    assert kernel.tells("hook", state, kernel.packet(foreign())) is None


# buffers


def test_a_buffer_is_known_until_it_is_given_back() -> None:
    kernel = Kernel()
    buffer = kernel.packet(mine())
    hidden = kernel.machine.place(bytes(14) + ip(b"nobody can read this", 50) + bytes(320))
    assert kernel.tells("network", buffer) == 0
    kernel.machine.write(buffer + 192, pack("<QQ", hidden, hidden + 14))
    assert kernel.tells("network", buffer) == BY_BUFFER
    assert kernel.tells("network", buffer, last=True) == BY_BUFFER
    assert kernel.tells("network", buffer) is None


def test_a_copy_is_known_by_where_its_bytes_lie() -> None:
    kernel = Kernel()
    buffer = kernel.packet(mine())
    lies = kernel.lies(buffer)
    assert kernel.tells("network", buffer) == 0
    kernel.machine.write(lies, bytes(14) + ip(b"nobody can read this", 50))
    assert kernel.tells("network", kernel.buffer(lies)) == BY_BUFFER
    assert kernel.tells("network", kernel.packet(foreign())) is None


def test_a_later_fragment_is_known_by_the_first_one() -> None:
    kernel = Kernel()
    late = ip(bytes(40), 17, fragment=185, identification=7)
    assert kernel.tells("network", kernel.packet(late)) is None
    first = ip(udp(4000, 53, pack(">I", COOKIE)), 17, fragment=0x2000, identification=7)
    assert kernel.tells("network", kernel.packet(first)) == 0
    assert kernel.tells("network", kernel.packet(late)) == BY_FRAGMENT
    other = ip(bytes(40), 17, fragment=185, identification=8)
    assert kernel.tells("network", kernel.packet(other)) is None


def test_and_in_ipv6() -> None:
    kernel = Kernel(PROBE6)
    first = ip6(fragment6(udp(4000, 53, pack(">I", COOKIE)), 17, 0, True), 44)
    late = ip6(fragment6(bytes(40), 17, 1448, False), 44)
    assert kernel.tells("network", kernel.packet(late)) is None
    assert kernel.tells("network", kernel.packet(first)) == 0
    assert kernel.tells("network", kernel.packet(late)) == BY_FRAGMENT


# programs


def test_what_reads_a_tun_device_sends_it_on() -> None:
    kernel = Kernel()
    assert kernel.tells("network", kernel.packet(mine()), reads=True) == 0
    sent = ip(udp(5555, 5555, b"scrambled"), 17)
    assert kernel.tells("network", kernel.packet(sent), begins=True) is None, "it is forwarded"
    assert kernel.tells("network", kernel.packet(sent, socket=9), begins=True) == BY_PROGRAM
    assert kernel.tells("network", kernel.packet(sent, socket=9), begins=True) is None, "once"


def test_what_reads_its_socket_sends_what_is_its_own() -> None:
    kernel = Kernel()
    assert kernel.tells("network", kernel.packet(mine(), socket=9), reads=True) == 0
    sent = ip(udp(5555, 5555, b"a question of its own"), 17)
    assert kernel.tells("network", kernel.packet(sent, socket=9), begins=True) is None


def test_another_program_sends_what_is_its_own() -> None:
    kernel = Kernel()
    assert kernel.tells("network", kernel.packet(mine()), reads=True) == 0
    kernel.machine.pid = OTHER + 1
    sent = ip(udp(5555, 5555, b"scrambled"), 17)
    assert kernel.tells("network", kernel.packet(sent, socket=9), begins=True) is None


# what has no packet


def test_what_happens_beside_a_packet_is_of_the_one_that_the_cpu_is_busy_with() -> None:
    kernel = Kernel()
    assert kernel.tells("context", 0) is None
    assert kernel.tells("network", kernel.packet(mine())) == 0
    assert kernel.tells("context", 0) == 0
    kernel.machine.cpu = 1
    assert kernel.tells("context", 0) is None
    kernel.machine.cpu = 0
    assert kernel.tells("network", kernel.packet(foreign())) is None
    assert kernel.tells("context", 0) is None


@pytest.mark.parametrize("ends", [{"last": True}, {"leaves": True}])
def test_a_cpu_can_be_done_with_it(ends: dict[str, bool]) -> None:
    kernel = Kernel()
    assert kernel.tells("network", kernel.packet(mine()), **ends) == 0
    assert kernel.tells("context", 0) is None


def test_a_poll_that_is_over_is_told_once() -> None:
    kernel = Kernel()
    kernel.tells("network", kernel.packet(mine()))
    assert kernel.tells("context", 0, leaves=True) == 0
    assert kernel.tells("context", 0, leaves=True) is None


def test_what_the_sender_looks_up_is_told() -> None:
    kernel = Kernel()
    kernel.machine.pid = OWN
    assert kernel.tells("context", 0) == 0
    assert kernel.tells("socket", kernel.socket()) == 0


def test_a_socket_is_known_by_its_ports() -> None:
    kernel = Kernel()
    for local, remote in ((4000, 53), (53, 4000)):
        assert kernel.tells("socket", kernel.socket(local=local, remote=remote)) == 0
    for local, remote in ((53, 4001), (4000, 0), (0, 0)):
        assert kernel.tells("socket", kernel.socket(local=local, remote=remote)) is None


@pytest.mark.parametrize(("queued", "second"), [(1, 0), (3, 0), (1, 2)])
def test_the_reader_of_the_probe_is_told_and_no_other(queued: int, second: int) -> None:
    kernel = Kernel()
    busy = kernel.socket(queued=queued, second=second)
    kernel.tells("network", kernel.packet(mine()))
    assert kernel.tells("waiting", busy) == 0
    assert kernel.tells("reader", busy, 20, PEEK) is None
    told = [kernel.tells("reader", busy, 20, 0) for _ in range(5)]
    assert told == [None] * (queued + second - 1) + [0] + [None] * (5 - queued - second)
    assert kernel.tells("reader", kernel.socket(), 20, 0) is None


def test_a_socket_of_netlink_that_tells_of_it_does_not_get_it() -> None:
    kernel = Kernel()
    netlink = kernel.socket(queued=1, family=16)
    kernel.tells("network", kernel.packet(mine()))
    assert kernel.tells("waiting", netlink) is None
    assert kernel.tells("reader", netlink, 96, 0) is None


def test_nobody_waits_for_what_is_not_the_probes() -> None:
    kernel = Kernel()
    assert kernel.tells("waiting", kernel.socket(queued=1)) is None
