"""Connections read from netlink messages, built here from linux/netfilter/nfnetlink_conntrack.h."""

from __future__ import annotations

import errno
import socket
import struct

import pytest

from netlab.kernel import conntrack
from netlab.kernel.connection import Connection, Direction, End, Icmp
from netlab.kernel.conntrack import decoded
from netlab.kernel.wire import dump, open_socket

NLA_F_NESTED = 1 << 15


def attr(number: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack("=HH", 4 + len(body), number) + body + bytes(-len(body) % 4)


def nest(number: int, *parts: bytes) -> bytes:
    return attr(number | NLA_F_NESTED, *parts)


def be16(number: int, value: int) -> bytes:
    return attr(number, struct.pack(">H", value))


def be32(number: int, value: int) -> bytes:
    return attr(number, struct.pack(">I", value))


def be64(number: int, value: int) -> bytes:
    return attr(number, struct.pack(">Q", value))


def u8(number: int, value: int) -> bytes:
    return attr(number, bytes([value]))


def tuple_(
    which: int, source: str, to: str, protocol: int, *more: bytes, zone: bytes = b""
) -> bytes:
    """``CTA_TUPLE_ORIG`` (1) or ``CTA_TUPLE_REPLY`` (2)."""
    family, first = (socket.AF_INET6, 3) if ":" in source else (socket.AF_INET, 1)
    ends = [attr(first + n, socket.inet_pton(family, ip)) for n, ip in enumerate((source, to))]
    return nest(which, nest(1, *ends), nest(2, u8(1, protocol), *more), zone)


def ports(source: int, to: int) -> bytes:
    return be16(2, source) + be16(3, to)


def message(*attributes: bytes) -> bytes:
    body = struct.pack("=BBH", socket.AF_INET, 0, 0) + b"".join(attributes)
    return struct.pack("=IHHII", 16 + len(body), 1 << 8, 2, 1, 0) + body


def tcp(state: int, status: int, *more: bytes) -> bytes:
    """alice at 192.168.1.2 → 203.0.113.2:80, seen there as 203.0.113.1."""
    return message(
        tuple_(1, "192.168.1.2", "203.0.113.2", 6, ports(40312, 80)),
        tuple_(2, "203.0.113.2", "203.0.113.1", 6, ports(80, 40312)),
        be32(3, status),
        be32(7, 431999),
        nest(4, nest(1, u8(1, state), u8(2, 7), u8(3, 7), attr(4, b"\x23\0"), attr(5, b"\x23\0"))),
        *more,
    )


ALICE, WEB, GW = End("192.168.1.2", 40312), End("203.0.113.2", 80), End("203.0.113.1", 40312)


def test_a_masqueraded_tcp_connection() -> None:
    found = decoded(tcp(3, 0x19E))
    assert found == Connection(
        "tcp", Direction(ALICE, WEB), Direction(WEB, GW), "ESTABLISHED",
        ("seen-reply", "assured", "confirmed", "src-nat", "src-nat-done", "dst-nat-done"), 431999,
    )  # fmt: skip
    assert (found.source_nat, found.destination_nat) == (GW, None)


def test_the_states_of_tcp() -> None:
    assert [decoded(tcp(state, 8)).state for state in range(1, 10)] == [
        "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT",
        "CLOSE", "SYN_SENT2",
    ]  # fmt: skip
    assert decoded(tcp(0, 8)).state == decoded(tcp(200, 8)).state == ""


def test_what_is_counted_marked_helped_and_labelled() -> None:
    labels = struct.pack("=QQ", 1 << 3 | 1 << 63, 1)
    found = decoded(
        tcp(
            1, 8,
            be32(8, 0x2A),
            nest(9, be64(1, 3), be64(2, 2**40)),
            nest(10, be64(1, 0), be64(2, 0)),
            nest(5, attr(1, b"ftp\0")),
            attr(22, labels),
        )
    )  # fmt: skip
    assert (found.mark, found.helper, found.labels) == (42, "ftp", (3, 63, 64))
    assert (found.original.packets, found.original.bytes) == (3, 2**40)
    assert (found.reply.packets, found.reply.bytes) == (0, 0)


def test_a_published_port_that_is_reached_from_inside() -> None:
    """Both ends are translated: hairpin."""
    found = decoded(message(
        tuple_(1, "192.168.1.3", "203.0.113.1", 17, ports(5000, 53)),
        tuple_(2, "192.168.1.2", "192.168.1.1", 17, ports(5353, 5000)),
        be32(3, 0x1B8),
    ))  # fmt: skip
    assert found.source_nat == End("192.168.1.1", 5000)
    assert found.destination_nat == End("192.168.1.2", 5353)
    assert (found.protocol, found.state, found.timeout) == ("udp", "", None)


def test_an_echo_whose_id_is_translated() -> None:
    def echoes(asked: int, answered: int) -> Connection:
        return decoded(message(
            tuple_(1, "10.0.0.1", "10.0.0.2", 1, be16(4, asked), u8(5, 8), u8(6, 0)),
            tuple_(2, "10.0.0.2", "10.0.0.1", 1, be16(4, answered), u8(5, 0), u8(6, 0)),
        ))  # fmt: skip

    found = echoes(7, 9)
    there = Direction(End("10.0.0.1"), End("10.0.0.2"), Icmp(8, 0, 7))
    back = Direction(End("10.0.0.2"), End("10.0.0.1"), Icmp(0, 0, 9))
    assert found == Connection("icmp", there, back)
    assert found.source_nat == End("10.0.0.1")
    assert echoes(7, 7).source_nat is None


def test_an_echo_of_ipv6() -> None:
    def echo(which: int, source: str, to: str, kind: int) -> bytes:
        return tuple_(which, source, to, 58, be16(7, 11), u8(8, kind), u8(9, 0))

    found = decoded(message(echo(1, "fd00::1", "fd00::2", 128), echo(2, "fd00::2", "fd00::1", 129)))
    there = Direction(End("fd00::1"), End("fd00::2"), Icmp(128, 0, 11))
    assert found.original == there
    assert (found.protocol, found.source_nat, found.destination_nat) == ("icmpv6", None, None)


def test_zones_are_of_both_directions_or_of_one() -> None:
    both = tcp(3, 8, be16(18, 5))
    assert [d.zone for d in (decoded(both).original, decoded(both).reply)] == [5, 5]
    one = decoded(message(
        tuple_(1, "10.0.0.1", "10.0.0.2", 17, ports(1, 2), zone=be16(3, 7)),
        tuple_(2, "10.0.0.2", "10.0.0.1", 17, ports(2, 1)),
    ))  # fmt: skip
    assert [d.zone for d in (one.original, one.reply)] == [7, 0]


@pytest.mark.parametrize(
    ("number", "protoinfo", "state", "expected"),
    [
        (132, 3, 4, ("sctp", "ESTABLISHED")),
        (33, 2, 4, ("dccp", "OPEN")),
        (136, 0, 0, ("udplite", "")),
        (47, 0, 0, ("gre", "")),
        (50, 0, 0, ("50", "")),
    ],
)
def test_other_protocols(
    number: int, protoinfo: int, state: int, expected: tuple[str, str]
) -> None:
    info = nest(4, nest(protoinfo, u8(1, state))) if protoinfo else b""
    found = decoded(message(
        tuple_(1, "10.0.0.1", "10.0.0.2", number), tuple_(2, "10.0.0.2", "10.0.0.1", number), info,
    ))  # fmt: skip
    assert (found.protocol, found.state) == expected
    assert found.original.source == End("10.0.0.1", None)


def test_a_subsystem_that_the_kernel_lacks_is_named_by_its_option() -> None:
    """Asked of one that no kernel has: the answer is the one that is waited for."""
    nobody = 63 << 8 | 1
    with open_socket(conntrack.NETLINK_NETFILTER) as sock, pytest.raises(OSError) as refusal:
        dump(sock, nobody, conntrack.EVERY_FAMILY)
    assert refusal.value.errno == errno.EINVAL
    assert conntrack.lacking(errno.EINVAL) in ("CONFIG_NF_CT_NETLINK", "CONFIG_NF_CONNTRACK")
    assert conntrack.lacking(errno.EPROTONOSUPPORT) == "CONFIG_NETFILTER_NETLINK"
    assert conntrack.lacking(errno.EPERM) == ""
