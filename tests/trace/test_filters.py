"""Filter expressions: read, compiled, and held against tcpdump's own programs."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache

import pytest

from netlab.trace.filters import ETHERNET, RAW_IP, WrongFilter, compiled, is_filter, parse
from netlab.trace.filters.program import LONGEST
from tests.trace.classic import Instruction, run
from tests.trace.frames import (
    ALL,
    MACS,
    arp,
    ethernet,
    fragment6,
    icmp,
    ip,
    ip6,
    tag,
    tcp,
    udp,
)

NODES = {
    "web": ("10.0.0.2", "fd00::2"),
    "gw": ("10.0.0.1", "10.0.1.1", "fd00::1"),
    "lan": (),
    "tcp": ("10.0.0.9",),
}

FILTERS = """\
ip
ip6
arp
rarp
tcp
udp
sctp
icmp
icmp6
igmp
esp
ah
host 10.0.0.2
src host 10.0.0.1
dst host 10.0.0.1
src or dst host 10.0.0.1
src and dst host 10.0.0.1
src 10.0.0.1
ip host 10.0.0.2
arp host 10.0.0.2
arp src host 10.0.0.1
rarp host 10.0.0.2
host fd00::2
ip6 src host fd00::1
net 10.0.0.0/8
net 10
net 10.0
src net 10.0.1
net 10.0.0.0 mask 255.255.0.0
dst net 10.0.0.0/31
net 0.0.0.0/0
ip net 10.0.0.0/30
net fd00::/16
net fd00::/64
dst net fd00::2/127
net ::/0
port 80
tcp port 80
udp port 53
sctp port 80
src port 80
dst port 80
src and dst port 80
tcp dst port 80
udp src port 53
portrange 50-90
tcp src portrange 70-80
port 80 or 443
port (80 or 443)
tcp dst port (80 or 443) and not host 10.0.0.9
ether host 02:00:00:00:00:01
ether src 02:00:00:00:00:01
ether dst host 2:0:0:0:0:2
ether broadcast
broadcast
multicast
ether multicast
ip multicast
ip6 multicast
ip proto 6
ip proto 17 or ip6 proto 58
proto 89
ip proto \\icmp
ether proto 0x88cc
ether proto \\ip
less 60
greater 61
len > 60
len <= 74
len != 42
vlan
vlan 5
vlan 5 and host 10.0.0.2
vlan and tcp port 80
vlan and (udp or icmp)
vlan 5 and vlan 6
vlan 5 and vlan 6 and tcp
tcp or udp
tcp or udp and host 10.0.0.9
not tcp
! ( tcp or arp )
not (host 10.0.0.1 and port 80)
host 10.0.0.1 and not 10.0.0.2
ip and not (tcp port 80 or udp port 53)
tcp[13] & 2 != 0
tcp[tcpflags] & tcp-syn != 0
tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn
tcp[tcpflags] == tcp-syn
tcp[0:2] = 80
tcp[4:4] > 99
udp[4:2] >= 10
icmp[icmptype] = icmp-echo
icmp[0] != 8
icmp6[icmp6type] = icmp6-echo
icmp6[0] == 135
ip[8] < 64
ip[6:2] & 0x1fff != 0
ip6[6] = 44
arp[6:2] = 1
ether[12:2] = 0x800
ether[0] & 1 = 0 and ip[16] >= 224
""".splitlines()


def _packets() -> Iterator[bytes]:
    """Every sort of packet there is a filter for, and its neighbours."""
    payloads = [
        (6, tcp(40000, 80, 2)), (6, tcp(80, 40000, 0x12)), (6, tcp(80, 80, 0x18, b"x" * 30)),
        (6, tcp(443, 60, 0x11)), (17, udp(53, 5353, b"hello")), (17, udp(40000, 53)),
        (17, udp(80, 443)), (132, udp(80, 5)), (1, icmp(8)), (1, icmp(0)), (1, icmp(3, 1)),
        (58, icmp(128)), (58, icmp(135, payload=b"\0" * 16)), (2, icmp(0x16)), (50, b"\0" * 20),
        (51, b"\0" * 20), (89, b"\0" * 20), (47, b"\0" * 20),
    ]  # fmt: skip
    v4 = [("10.0.0.1", "10.0.0.2"), ("10.0.0.2", "10.0.0.1"), ("10.0.1.1", "10.0.0.9"),
          ("10.0.0.1", "10.0.0.1"), ("192.0.2.1", "224.0.0.5"),
          ("10.1.0.1", "255.255.255.255")]  # fmt: skip
    v6 = [("fd00::1", "fd00::2"), ("fd00::2", "fd00::1"), ("fd00::3", "fd01::1"),
          ("fe80::1", "ff02::1"), ("::1", "::1")]  # fmt: skip
    networks = []
    for number, payload in payloads:
        for ends in v4 if number in (1, 6, 17) else v4[:1]:
            networks.append((0x0800, ip(payload, number, *ends)))
        networks.append((0x0800, ip(payload, number, options=b"\x01" * 8, ttl=3)))
        networks.append((0x0800, ip(payload, number, fragment=0x2000)))
        networks.append((0x0800, ip(payload, number, fragment=0x00B9)))
        for six in v6 if number in (6, 58) else v6[:1]:
            networks.append((0x86DD, ip6(payload, number, *six)))
        networks.append((0x86DD, ip6(fragment6(payload, number, 0, True), 44)))
        networks.append((0x86DD, ip6(fragment6(payload, number, 1480, False), 44)))
        networks.append((0x86DD, ip6(pack_options(number) + payload, 0)))
    for operation in (1, 2):
        networks.append((0x0806, arp(operation, "10.0.0.1", "10.0.0.2")))
        networks.append((0x0806, arp(operation, "10.0.0.2", "10.0.1.7")))
        networks.append((0x8035, arp(operation + 2, "10.0.0.2", "10.0.0.1")))
    networks += [(0x88CC, b"\0" * 50), (0x0026, b"\x42\x42\x03" + b"\0" * 46)]
    for kind, network in networks:
        padded = network.ljust(46, b"\0")
        yield ethernet(kind, padded)
    yield ethernet(0x0806, arp(1, "10.0.0.1", "10.0.0.2"))
    for kind, network in networks[::7]:
        padded = network.ljust(46, b"\0")
        yield ethernet(kind, padded + b"\0" * 4, MACS[6:] + MACS[:6])
        yield ethernet(kind, padded, ALL + MACS[6:])
        yield ethernet(kind, padded, bytes.fromhex("01005e000005020000000009"))
        yield ethernet(kind, padded, tags=tag(5))
        yield ethernet(kind, padded, tags=tag(0xE006, 0x88A8))
        yield ethernet(kind, padded, tags=tag(5) + tag(6))
        yield ethernet(kind, padded, tags=tag(6, 0x9100) + tag(5))


def pack_options(following: int) -> bytes:
    """Eight bytes of hop-by-hop options."""
    return bytes((following, 0, 1, 4, 0, 0, 0, 0))


PACKETS = list(_packets())


def program(text: str, link: int = ETHERNET) -> list[Instruction]:
    return compiled(parse(text, NODES), link)


@cache
def judge(text: str) -> list[Instruction]:
    """What tcpdump makes of it."""
    if shutil.which("tcpdump") is None:
        pytest.skip("needs tcpdump")
    command = ["tcpdump", "-y", "EN10MB", "-ddd", text]
    said = subprocess.run(command, capture_output=True, text=True)
    if "expression rejects all packets" in said.stderr:
        return [(6, 0, 0, 0)]
    _, *lines = said.stdout.splitlines()
    return [tuple(map(int, line.split())) for line in lines]  # type: ignore[misc]


def differing(text: str) -> list[str]:
    ours, theirs = program(text), judge(text)
    return [p.hex() for p in PACKETS if bool(run(ours, p)) != bool(run(theirs, p))]


@pytest.mark.parametrize("text", FILTERS)
def test_a_filter_takes_what_tcpdump_would(text: str) -> None:
    assert differing(text) == []


def test_every_filter_takes_some_packets_and_leaves_some() -> None:
    taken = {text: sum(bool(run(program(text), p)) for p in PACKETS) for text in FILTERS}
    assert [text for text, count in taken.items() if count in (0, len(PACKETS))] == []


@pytest.mark.parametrize("seed", range(30))
def test_what_is_joined_at_random_is_taken_alike(seed: int) -> None:
    dice = random.Random(seed)
    simple = [f for f in FILTERS if "vlan" not in f]

    def some(depth: int) -> str:
        if depth == 0 or dice.random() < 0.3:
            return dice.choice(simple)
        inner = f"{some(depth - 1)} {dice.choice(('and', 'or', '&&', '||'))} {some(depth - 1)}"
        return dice.choice(("{}", "({})", "not ({})")).format(inner)

    assert differing(some(3)) == []


def test_a_node_stands_for_all_its_addresses() -> None:
    named = program("host web")
    numbered = program("host 10.0.0.2 or host fd00::2")
    assert [run(named, p) for p in PACKETS] == [run(numbered, p) for p in PACKETS]
    assert program("ip6 host gw") == program("ip6 host fd00::1")
    assert program("src web or gw") == program("src web or src gw")
    assert program("host tcp") == program("host 10.0.0.9")


@pytest.mark.parametrize("text", FILTERS)
def test_a_packet_without_a_link_header_is_taken_as_with_one(text: str) -> None:
    """But for what is asked of the link header, and of lengths."""
    with_ethernet, without = program(text), program(text, RAW_IP)
    linked = any(word in text for word in ("ether", "cast", "vlan", "len", "less", "greater"))
    for packet in PACKETS:
        if packet[12:14] in (b"\x08\0", b"\x86\xdd") and not linked:
            assert bool(run(without, packet[14:])) == bool(run(with_ethernet, packet))
    for never in ("ether host 02:00:00:00:00:01", "broadcast", "arp", "vlan", "ether[0] = 0"):
        assert not any(run(program(never, RAW_IP), packet[14:]) for packet in PACKETS)


TAG, HAS_TAG, WHOM_FOR = 44, 48, 4


@pytest.mark.parametrize("text", [f for f in FILTERS if "vlan" in f])
def test_a_tag_that_the_kernel_keeps_beside_the_packet_counts(text: str) -> None:
    """It takes the first tag out of the bytes, and both ways the packet is the same one."""
    ours = program(text)
    for packet in PACKETS:
        if packet[12:14] in (b"\x81\0", b"\x88\xa8", b"\x91\0"):
            held = {TAG: int.from_bytes(packet[14:16], "big"), HAS_TAG: 1}
            without = packet[:12] + packet[16:]
            assert bool(run(ours, without, held)) == bool(run(ours, packet))


def test_which_way_a_packet_goes_is_told_by_the_kernel() -> None:
    inward, outward = program("inbound and tcp"), program("outbound")
    packet = ethernet(0x0800, ip(tcp(1, 2), 6))
    assert [bool(run(inward, packet, {WHOM_FOR: n})) for n in range(5)] == [*[True] * 4, False]
    assert [bool(run(outward, packet, {WHOM_FOR: n})) for n in range(5)] == [*[False] * 4, True]


def test_what_is_kept_of_a_packet_is_the_result() -> None:
    assert run(compiled(parse("ip", {}), ETHERNET, 96), PACKETS[0]) == 96
    assert run(compiled(None, ETHERNET, 96), b"") == 96


def test_a_long_filter_jumps_as_far_as_it_has_to() -> None:
    hosts = " or ".join(f"host 10.0.{n}.7" for n in range(120))
    last = ethernet(0x0800, ip(udp(1, 2), 17, "10.0.119.7"))
    ours = program(f"udp and ({hosts}) and not port 3")
    assert len(ours) > 1000
    assert run(ours, last)
    assert differing(f"udp and ({hosts}) and not port 3") == []
    with pytest.raises(ValueError, match=rf"\d+ instructions; a kernel takes {LONGEST}"):
        program(" or ".join(f"port {n}" for n in range(1, 400)))


WRONG = {
    "prot 80": "column 1: 'prot' means nothing here; did you mean 'proto'?",
    "tcp prot 80": "column 5: expected `and` or `or` before 'prot'; did you mean 'proto'?",
    "host wbe": "column 6: 'wbe' is no address, and no node; did you mean 'web'?",
    "host 10.0.0": "column 6: '10.0.0' is no address, and no node",
    "host lan": "column 6: node lan has no address",
    "ip6 host 10.0.0.1": "column 10: 10.0.0.1 has no address of IPv6",
    "host": "column 5: expected an address or a node",
    "host and tcp": "column 6: expected an address or a node, not 'and'",
    "tcp host web": "column 1: `host` goes with `ether`, `ip`, `ip6`, `arp`, `rarp`, or with none"
    " of them; write `tcp and host …`",
    "ether host web": "column 12: 'web' is no MAC: write 02:00:00:00:00:01",
    "ether": "column 6: expected `host`, `proto`, `broadcast` or `multicast` after `ether`",
    "ether tcp": "column 10: `ether` is followed by `host`, `proto`, `broadcast` or `multicast`",
    "net 10.0.0.1/8": "column 5: '10.0.0.1/8' has bits set beyond its mask",
    "net ten": "column 5: 'ten.0.0.0/8' is no network: write 10.0.0.0/8",
    "port 65536": "column 6: 65536 is no port: they go up to 65535",
    "port nosuch": "column 6: 'nosuch' is no port, and no service of /etc/services",
    "portrange 80": "column 11: '80' is no range of ports: write 1000-2000",
    "icmp port 80": "column 1: `port` goes with `tcp`, `udp`, `sctp`, or with none of them;"
    " write `icmp and port …`",
    "proto nosuch": "column 7: 'nosuch' is no number; names: icmp, igmp, ipip, tcp, udp, ip6, gre,"
    " esp, ah, icmp6, ospf, pim, vrrp, sctp",
    "ip proto 256": "column 10: 256 is not between 0 and 255",
    "port 80 443": "column 9: expected `and` or `or` before '443'",
    "(port 80": "column 9: expected ')'",
    "port 80)": "column 8: expected `and` or `or` before ')'",
    "tcp and": "column 8: expected an address or a node",
    "src or src host web": "column 12: after `src or` comes `dst`",
    "ip broadcast": "column 13: `ip broadcast` is not known here; write `ether broadcast`"
    " or `host 10.0.0.255`",
    "tcp[4:3] = 1": "column 5: '3' bytes cannot be compared: 1, 2 or 4 can",
    "tcp[flags] = 1": "column 5: 'flags' is no number; names: tcpflags, icmptype, icmpcode,"
    " icmp6type, icmp6code",
    "tcp[13] & tcp-sin != 0": "column 11: 'tcp-sin' is no number; did you mean 'tcp-syn'?",
    "tcp[13] & 2": "column 12: expected one of = == != > < >= <=",
    "tcp[13": "column 7: expected ']'",
    "less than 5": "column 6: 'than' is no number",
    "vlan 5000": "column 6: 5000 is not between 0 and 4095",
    "§": "column 1: '§' means nothing here",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_told_with_its_column(text: str) -> None:
    with pytest.raises(WrongFilter) as failure:
        parse(text, NODES)
    assert str(failure.value) == WRONG[text]


def test_what_a_filter_can_begin_with_is_known() -> None:
    assert [w for w in ("tcp", "host", "not", "(", "!tcp", "tcp port 80", "10.0.0.1", "fd00::1")
            if not is_filter(w)] == []  # fmt: skip
    assert [w for w in ("web", "gw:eth0", "eth0") if is_filter(w)] == []
    assert parse("", {}) is None
