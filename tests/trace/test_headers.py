"""Headers of packets, and by what a packet of a probe is known."""

from __future__ import annotations

import socket
import struct

import pytest

from netlab.trace.backends.taps import program
from netlab.trace.cookie import marks, way_of
from netlab.trace.headers import Headers, parse
from netlab.trace.model import Probe
from tests.trace import classic

COOKIE = 0x51442623
MACS = bytes.fromhex("0200000000020200000000010800")
TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58


def ip(protocol: int, above: bytes, *, ttl: int = 64, fragment: int = 0) -> bytes:
    head = struct.pack(">BBHHHBBH", 0x45, 8, 20 + len(above), 7, fragment, ttl, protocol, 0)
    return head + socket.inet_aton("10.0.0.1") + socket.inet_aton("10.0.0.2") + above


def ip6(protocol: int, above: bytes, *between: bytes) -> bytes:
    """``between``: further headers, each with its own number at the place of the next one's."""
    kinds = [*(b[0] for b in between), protocol]
    chain = b"".join(bytes((kind,)) + b[1:] for kind, b in zip(kinds[1:], between, strict=True))
    ends = b"".join(socket.inet_pton(socket.AF_INET6, a) for a in ("fd00::1", "fd00::2"))
    length = len(chain) + len(above)
    head = struct.pack(">IHBB", 6 << 28 | 8 << 20, length, kinds[0], 64)
    return head + ends + chain + above


def tcp(seq: int, ack: int, flags: int = 2, ports: tuple[int, int] = (40000, 80)) -> bytes:
    return struct.pack(">HHIIBBHHH", *ports, seq, ack, 5 << 4, flags, 0, 0, 0)


def udp(payload: bytes, ports: tuple[int, int] = (40000, 53)) -> bytes:
    return struct.pack(">HHHH", *ports, 8 + len(payload), 0) + payload


def icmp(kind: int, code: int, payload: bytes) -> bytes:
    return struct.pack(">BBHHH", kind, code, 0, 1, 1) + payload


def vxlan(frame: bytes) -> bytes:
    return udp(struct.pack(">BxxxI", 8, 7 << 8) + frame, (50000, 4789))


def of(data: bytes, link: bytes = b"") -> Headers:
    found = parse(data, link=link)
    assert found is not None
    return found


def test_a_tcp_packet() -> None:
    packet = of(ip(TCP, tcp(1, 2, 0x12)), MACS).packet
    assert (packet.protocol, packet.source, packet.destination) == ("tcp", "10.0.0.1", "10.0.0.2")
    assert (packet.source_port, packet.destination_port, packet.flags) == (40000, 80, "S.")
    assert (packet.ttl, packet.tos, packet.length, packet.identification) == (64, 8, 40, 7)
    assert (packet.source_mac, packet.destination_mac) == ("02:00:00:00:00:01", "02:00:00:00:00:02")


@pytest.mark.parametrize(
    ("field", "told", "ports"),
    [(0x2000, "0+", 40000), (0x2003, "24+", 0), (0x0003, "24", 0), (0x4000, "", 40000)],
)
def test_fragments_have_ports_only_at_the_beginning(field: int, told: str, ports: int) -> None:
    packet = of(ip(UDP, udp(b"x" * 16), fragment=field)).packet
    assert (packet.fragment, packet.source_port) == (told, ports)
    assert packet.dont_fragment == bool(field & 0x4000)


def test_headers_between_are_passed_over_in_ipv6() -> None:
    options, fragment = b"\x00\x00" + bytes(6), b"\x2c\x00" + struct.pack(">HI", 1, 9)
    plain = of(ip6(UDP, udp(b"abcd"))).packet
    assert (plain.destination_port, plain.tos, plain.fragment) == (53, 8, "")
    assert of(ip6(UDP, udp(b"abcd"), options)).packet.destination_port == 53
    packet = of(ip6(UDP, udp(b"abcd"), options, fragment)).packet
    assert (packet.destination_port, packet.fragment) == (53, "0+")


def test_an_error_quotes_the_packet_it_is_about() -> None:
    found = of(ip(ICMP, icmp(3, 1, ip(TCP, tcp(5, 0)))))
    assert (found.packet.icmp, found.is_error) == ("3/1", True)
    assert found.quoted and (found.quoted.protocol, found.quoted.destination_port) == ("tcp", 80)
    assert not of(ip(ICMP, icmp(8, 0, b"abcd"))).is_error


def test_a_tunnel_holds_a_frame() -> None:
    found = of(ip(UDP, vxlan(MACS + ip(UDP, udp(b"abcd")))))
    assert found.packet.destination_port == 4789
    inner = found.innermost.packet
    assert (inner.destination_port, inner.within) == (53, "vxlan 7 10.0.0.1 → 10.0.0.2")


@pytest.mark.parametrize("data", [b"", b"\x45", b"\x60" * 39, b"\x00" * 60, ip(TCP, b"")[:19]])
def test_what_is_cut_short_or_no_ip_is_nothing(data: bytes) -> None:
    assert parse(data) is None


def test_any_bytes_are_parsed_without_a_failure() -> None:
    import random

    chance = random.Random(1)
    whole = ip(UDP, vxlan(MACS + ip(ICMP, icmp(3, 3, ip(UDP, udp(b"abcd"))))))
    for _ in range(3000):
        data = bytearray(whole[: chance.randrange(len(whole) + 1)])
        for _ in range(chance.randrange(4)):
            if data:
                data[chance.randrange(len(data))] = chance.randrange(256)
        parse(bytes(data))


# what a probe is known by

C = COOKIE.to_bytes(4, "big")
NEXT = (COOKIE + 1).to_bytes(4, "big")
WAYS = [
    ("tcp", "forward", ip(TCP, tcp(COOKIE - 1, 0))),
    ("tcp", "reply", ip(TCP, tcp(9, COOKIE, 0x12))),
    ("tcp", "reply", ip(TCP, tcp(0, COOKIE, 0x14))),
    ("tcp", "error", ip(ICMP, icmp(3, 1, ip(TCP, tcp(COOKIE - 1, 0))))),
    ("tcp", None, ip(TCP, tcp(COOKIE, 77, 0x10))),
    ("tcp", None, ip(UDP, udp(b"\0\0\0\0" + C))),
    ("udp", "forward", ip(UDP, udp(C + b"netlab"))),
    ("udp", "reply", ip(UDP, udp(NEXT + b"netlab", (53, 40000)))),
    ("udp", "reply", ip(UDP, udp(C + b"netlab", (53, 40000)))),
    ("udp", "reply", ip(UDP, udp(b"what a program says", (53, 40000)))),
    ("udp", None, ip(UDP, udp(b"what a program says", (53, 40001)))),
    ("udp", "error", ip(ICMP, icmp(3, 3, ip(UDP, udp(C + b"netlab"))))),
    ("udp", "error", ip(ICMP, icmp(11, 0, ip(UDP, udp(C + b"netlab"), ttl=1)))),
    ("udp", "forward", ip(UDP, vxlan(MACS + ip(UDP, udp(C + b"netlab"))))),
    ("udp", "forward", ip(UDP, udp(C + b"netlab"), fragment=0x2000)),
    ("udp", None, ip(UDP, udp(C + b"netlab"), fragment=0x2001)),
    ("udp", None, ip(TCP, tcp(9, COOKIE))),
    ("icmp", "forward", ip(ICMP, icmp(8, 0, C + b"netlab"))),
    ("icmp", "reply", ip(ICMP, icmp(0, 0, C + b"netlab"))),
    ("icmp", "error", ip(ICMP, icmp(3, 1, ip(ICMP, icmp(8, 0, C + b"netlab"))))),
    ("icmp", None, ip(ICMP, icmp(8, 0, NEXT + b"netlab"))),
]


def probe_of(protocol: str, destination: str = "10.0.0.2") -> Probe:
    port = 0 if protocol == "icmp" else {"tcp": 80, "udp": 53}[protocol]
    return Probe(
        "a", "b", protocol, "10.0.0.1", destination, port, 40000, cookie=COOKIE,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize(("protocol", "way", "data"), WAYS)
def test_a_packet_is_known_by_its_cookie(protocol: str, way: str | None, data: bytes) -> None:
    assert way_of(of(data), probe_of(protocol)) == way


@pytest.mark.parametrize(("protocol", "way", "data"), WAYS)
def test_the_filter_of_taps_lets_through_the_same(
    protocol: str, way: str | None, data: bytes
) -> None:
    assert bool(kept(protocol, "10.0.0.2", MACS + data)) == (way is not None)


def test_the_filter_of_taps_knows_ipv6() -> None:
    probe = ip6(UDP, udp(C + b"netlab"))
    fragment = b"\x2c\x00" + struct.pack(">HI", 1, 9)
    error = ip6(ICMPV6, icmp(1, 4, probe))
    for data in (probe, ip6(UDP, udp(C + b"netlab"), fragment), error):
        assert kept("udp", "fd00::2", MACS + data), data.hex()
    later = b"\x2c\x00" + struct.pack(">HI", 16, 9)
    for data in (ip6(UDP, udp(b"other")), ip6(UDP, udp(C), later), ip6(TCP, tcp(1, COOKIE))):
        assert not kept("udp", "fd00::2", MACS + data), data.hex()


def kept(protocol: str, destination: str, frame: bytes) -> int:
    """What the kernel would do: offsets that count from the IP header, which is at 14 here."""
    code = program(marks(probe_of(protocol, destination), tunnels=True))
    lines = [struct.unpack_from("=HBBI", code, at) for at in range(0, len(code), 8)]
    shifted = [
        (kind, yes, no, k - 0xFFF00000 + 14 if 0xFFF00000 <= k < 0xFFFFF000 else k)
        for kind, yes, no, k in lines
    ]
    return classic.run(shifted, frame)


def test_a_tunnel_is_looked_into_only_where_there_is_one() -> None:
    probe = probe_of("udp")
    assert len(marks(probe, tunnels=True)) == 2 * len(marks(probe))
