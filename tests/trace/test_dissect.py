"""A line per packet: in tcpdump's very words, and beyond them."""

from __future__ import annotations

import shutil
import subprocess
from ipaddress import ip_address
from pathlib import Path
from struct import pack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from netlab.trace import pcapng
from netlab.trace.dissect import Flows, told
from tests.trace.frames import (
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

TO, BY = MACS[:6], MACS[6:]


def four(payload: bytes, protocol: int, *ends: str, **more: int) -> bytes:
    return ethernet(0x0800, ip(payload, protocol, *ends, **more))  # type: ignore[arg-type]


def six(payload: bytes, following: int) -> bytes:
    return ethernet(0x86DD, ip6(payload, following))


QUOTED = ip(udp(1000, 5000, b"x" * 20), 17)
QUOTED6 = ip6(udp(1000, 5000, b"x" * 20), 17)
BACK = ("10.0.0.2", "10.0.0.1")
HOP_BY_HOP = b"\x3a\0\5\2\0\0\1\0"
BPDU = b"\x42\x42\x03" + b"\0\0\0\0\1\x80\0" + BY + b"\0\0\0\0\x80\0" + BY + b"\x80\1" + b"\0" * 8
NAME = b"\3web\3lab\0"

AS_TCPDUMP = {
    "syn": four(tcp(1000, 5001, 2, acknowledged=0,
                    options=bytes.fromhex("020405b40402080a000000010000000001030307")), 6),
    "syn-ack": four(tcp(5001, 1000, 0x12, sequence=500, acknowledged=101), 6, *BACK),
    "ack": four(tcp(1000, 5001, 0x10, sequence=101, acknowledged=501), 6),
    "data": four(tcp(1000, 5001, 0x18, b"hello", sequence=101, acknowledged=501), 6),
    "selective": four(tcp(5001, 1000, 0x10, sequence=501, acknowledged=101, options=bytes.fromhex(
        "0101050a") + pack(">II", 103, 105)), 6, *BACK),
    "fin": four(tcp(5001, 1000, 0x11, sequence=501, acknowledged=106), 6, *BACK),
    "reset": four(tcp(5001, 1000, 4, sequence=77), 6, *BACK),
    "no flags": four(tcp(1, 2, 0), 6),
    "all flags": four(tcp(1, 2, 0xFF, urgent=7), 6),
    "odd options": four(tcp(1, 2, 0x10, options=bytes.fromhex("fd040102000000001e04aabb")), 6),
    "http": four(tcp(1000, 80, 0x18, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), 6),
    "udp": four(udp(1000, 2000, b"hello"), 17),
    "empty udp": four(udp(1000, 2000), 17),
    "udp over IPv6": six(udp(1000, 2000, b"hello"), 17),
    "echo": four(icmp(8, payload=b"x" * 56), 1),
    "echo reply": four(icmp(0, payload=b"x" * 56), 1, *BACK),
    **{f"unreachable {code}": four(icmp(3, code, pack(">HH", 0, 1400), QUOTED), 1)
       for code in range(16)},
    "no tcp port": four(icmp(3, 3, payload=ip(tcp(1000, 5000), 6)), 1),
    "no other port": four(icmp(3, 3, payload=ip(icmp(8), 1)), 1),
    **{f"redirect {code}": four(icmp(5, code, bytes([10, 0, 0, 9]), QUOTED), 1)
       for code in range(4)},
    "ttl": four(icmp(11, 0, b"\0" * 4, QUOTED), 1),
    "reassembly": four(icmp(11, 1, b"\0" * 4, QUOTED), 1),
    "router solicitation": four(icmp(10, 0, b"\0" * 4), 1),
    "parameter": four(icmp(12, 0, b"\5\0\0\0", QUOTED), 1),
    "source quench": four(icmp(4, 0, payload=QUOTED), 1),
    "icmp 99": four(icmp(99, 0), 1),
    "echo 6": six(icmp(128, payload=b"x" * 56), 58),
    "echo reply 6": six(icmp(129, payload=b"x" * 56), 58),
    **{f"unreachable 6 {code}": six(icmp(1, code, b"\0" * 4, QUOTED6), 58)
       for code in (0, 2, 3, 4)},
    "too big": six(icmp(2, 0, pack(">I", 1400), QUOTED6), 58),
    "hop limit": six(icmp(3, 0, b"\0" * 4, QUOTED6), 58),
    "reassembly 6": six(icmp(3, 1, b"\0" * 4, QUOTED6), 58),
    **{f"parameter 6 {code}": six(icmp(4, code, pack(">I", 40), QUOTED6), 58)
       for code in range(3)},
    "neighbour solicitation": six(icmp(135, 0, b"\0" * 4, ip_address("fd00::2").packed), 58),
    "neighbour advertisement": six(icmp(136, 0, b"\x60\0\0\0", ip_address("fd00::2").packed), 58),
    "router solicitation 6": six(icmp(133, 0, b"\0" * 4), 58),
    "router advertisement": six(icmp(134, 0, pack(">BBH", 64, 0, 1800), b"\0" * 8), 58),
    "redirect 6": six(icmp(137, 0, b"\0" * 4, ip_address("fe80::9").packed
                           + ip_address("fd00::9").packed), 58),
    "multicast report": six(HOP_BY_HOP + icmp(143, 0, pack(">HH", 0, 1), b"\4\0\0\0"
                                              + ip_address("ff02::1:ff00:1").packed), 0),
    "no next header": six(b"", 59),
    "who has": ethernet(0x0806, arp(1, "10.0.0.1", "10.0.0.2")),
    "who has, padded": ethernet(0x0806, arp(1, "10.0.0.1", "10.0.0.2") + b"\0" * 18),
    "still has": ethernet(0x0806, arp(1, "10.0.0.1", "10.0.0.2", mac=TO)),
    "is at": ethernet(0x0806, arp(2, "10.0.0.2", "10.0.0.1", mac=TO)),
    "who is": ethernet(0x8035, arp(3, "0.0.0.0", "10.0.0.1")),
    "ipip": four(ip(icmp(8, payload=b"x" * 8), 1), 4),
    "sit": four(ip6(icmp(128, payload=b"x" * 8), 58), 41),
    "gre": four(pack(">HH", 0, 0x0800) + ip(icmp(8), 1), 47),
    "gre with key": four(pack(">HHI", 0x2000, 0x0800, 5) + ip(icmp(8), 1), 47),
    "ospf": four(pack(">BBHIIHHQ", 2, 1, 44, 1, 0, 0, 0, 0) + b"\0" * 20, 89),
    "igmp 3": four(pack(">BBHHH", 0x22, 0, 0, 0, 1) + bytes([4, 0, 0, 0, 224, 0, 0, 251]), 2),
    "igmp 2": four(pack(">BBH", 0x16, 0, 0) + bytes([224, 0, 0, 251]), 2),
    "igmp query": four(pack(">BBHI", 0x11, 100, 0, 0), 2),
    "igmp leave": four(pack(">BBH", 0x17, 0, 0) + bytes([224, 0, 0, 251]), 2),
    "esp": four(pack(">II", 0x1234, 7) + b"x" * 20, 50),
    "spanning tree": BY + BY + pack(">H", len(BPDU)) + BPDU,
    "topology change": BY + BY + pack(">H", 7) + b"\x42\x42\x03\0\0\0\x80",
    "lldp": ethernet(0x88CC, b"\x02\x07\x04" + BY + b"\x04\x02\x07\x31\x06\x02\0\x78\0\0"),
    "question": four(udp(1000, 53, pack(">6H", 4660, 0x0100, 1, 0, 0, 0) + NAME + b"\0\1\0\1"), 17),
    "question with option": four(udp(1000, 53, pack(">6H", 7, 0x0100, 1, 0, 0, 1) + NAME
                                     + b"\0\x1c\0\1" + b"\0\0\x29\5\xac\0\0\0\0\0\0"), 17),
    "answer": four(udp(53, 1000, pack(">6H", 4660, 0x8580, 1, 1, 0, 0) + NAME + b"\0\1\0\1"
                       + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\0\0\2"), 17),
    "no such name": four(udp(53, 1000, pack(">6H", 9, 0x8103, 1, 0, 0, 0) + NAME
                             + b"\0\1\0\1"), 17),
    "discover": four(udp(68, 67, b"\1\1\6\0" + b"\0" * 24 + BY + b"\0" * 202
                         + b"\x63\x82\x53\x63\x35\1\1\xff"), 17, "0.0.0.0", "255.255.255.255"),
    "offer": four(udp(67, 68, b"\2\1\6\0" + b"\0" * 232 + b"\x63\x82\x53\x63\x35\1\2\xff"), 17),
    "not ip at all": ethernet(0x0800, b"\x55" + b"\0" * 30),
    "cut": four(udp(1000, 2000), 17)[:30],
}  # fmt: skip


def line(frame: bytes, flows: Flows | None = None, **names: str) -> str:
    known = {address: name for name, address in names.items()}
    return told(frame, len(frame), pcapng.ETHERNET, known, flows or Flows())[0]


def test_the_words_are_those_of_tcpdump(tmp_path: Path) -> None:
    if shutil.which("tcpdump") is None:
        pytest.skip("needs tcpdump")
    blocks = [pcapng.packet(0, 10**18, frame, len(frame)) for frame in AS_TCPDUMP.values()]
    file = tmp_path / "all.pcapng"
    file.write_bytes(b"".join((pcapng.section(), pcapng.interface(pcapng.ETHERNET), *blocks)))
    command = ["tcpdump", "-nt", "-r", str(file)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    theirs = [line.strip().replace("  ", " ") for line in said.splitlines()]
    flows = Flows()
    ours = [line(frame, flows) for frame in AS_TCPDUMP.values()]
    assert dict(zip(AS_TCPDUMP, ours, strict=True)) == dict(zip(AS_TCPDUMP, theirs, strict=True))


INNER = four(icmp(8, payload=b"x" * 8), 1)
OURS = {
    four(udp(1000, 2000, b"x" * 64), 17, fragment=0x2000):
        "IP 10.0.0.1.1000 > 10.0.0.2.2000: frag (0|72) UDP, length 64",
    four(b"x" * 64, 17, fragment=9): "IP 10.0.0.1 > 10.0.0.2: frag (72|64) udp",
    six(fragment6(udp(1000, 2000, b"x" * 64), 17, 0, True), 44):
        "IP6 fd00::1.1000 > fd00::2.2000: frag (0|72) UDP, length 64",
    six(fragment6(b"x" * 64, 17, 72, False), 44): "IP6 fd00::1 > fd00::2: frag (72|64) udp",
    six(b"\x11\0\1\4\0\0\0\0" + udp(1, 2), 60): "IP6 fd00::1.1 > fd00::2.2: DSTOPT UDP, length 0",
    ethernet(0x0800, ip(udp(1, 2), 17), tags=tag(0xA005)):
        "vlan 5, IP 10.0.0.1.1 > 10.0.0.2.2: UDP, length 0",
    four(udp(40000, 4789, b"\x08\0\0\0\0\0\x64\0" + INNER), 17):
        "IP 10.0.0.1.40000 > 10.0.0.2.4789: VXLAN, vni 100: "
        "IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 1, seq 2, length 16",
    four(udp(40000, 4789, b"\0" * 30), 17): "IP 10.0.0.1.40000 > 10.0.0.2.4789: UDP, length 30",
    four(pack(">HH", 0, 0x6558) + INNER, 47): "IP 10.0.0.1 > 10.0.0.2: GREv0, length 54: "
        "IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 1, seq 2, length 16",
    four(pack(">HHII", 1, 2, 0, 0) + pack(">BBHI", 1, 0, 20, 1) + b"\0" * 12
         + pack(">BBHI", 0, 3, 7, 0), 132): "IP 10.0.0.1.1 > 10.0.0.2.2: sctp [INIT] [DATA], "
        "length 40",
    four(b"x" * 20, 253): "IP 10.0.0.1 > 10.0.0.2: ip-proto-253, length 20",
    ethernet(0x1234, b"x" * 46): "02:00:00:00:00:01 > 02:00:00:00:00:02, "
        "ethertype Unknown (0x1234), length 60",
    MACS + pack(">H", 20) + b"\xaa\xaa\x03" + b"\0" * 17:
        "02:00:00:00:00:01 > 02:00:00:00:00:02, 802.3, length 20",
    four(udp(1, 2), 17, length=15): "IP 10.0.0.1 > 10.0.0.2: bad header length 20 of 15",
    four(tcp(1, 2)[:12] + b"\x10\2" + b"\0" * 6, 6):
        "IP 10.0.0.1.1 > 10.0.0.2.2: Flags [S], bad header length 4",
    four(tcp(1, 2)[:10], 6): "IP 10.0.0.1.1 > 10.0.0.2.2: [|tcp]",
    four(tcp(1, 2)[:2], 6): "IP 10.0.0.1 > 10.0.0.2: [|tcp]",
    four(icmp(3, 1), 1): "IP 10.0.0.1 > 10.0.0.2: ICMP [|icmp]",
    ethernet(0x0806, b"\0\1\x08\0\6\4\0"): "ARP, [|arp]",
    b"\0" * 13: "[|ether]",
    four(icmp(3, 1, payload=ip(udp(1, 2), 17, "10.0.0.1", "10.0.0.9")), 1):
        "IP 10.0.0.1 > 10.0.0.2: ICMP host 10.0.0.9 unreachable, length 36",
}  # fmt: skip


@pytest.mark.parametrize("frame", OURS, ids=lambda frame: OURS[frame])
def test_what_tcpdump_does_not_tell_so_is_told_in_one_line(frame: bytes) -> None:
    assert line(frame) == OURS[frame]


def test_addresses_are_told_by_name() -> None:
    names = {"alice": "10.0.0.1", "web": "10.0.0.2", "gw": "fd00::2"}
    told_of = {
        "data": "IP alice.1000 > web.5001: Flags [P.], seq 101:106, ack 501, win 64240, length 5",
        "unreachable 3": "IP alice > web: ICMP web udp port 5000 unreachable, length 56",
        "who has": "ARP, Request who-has web tell alice, length 28",
        "is at": "ARP, Reply web is-at 02:00:00:00:00:01, length 28",
        "neighbour solicitation": "IP6 fd00::1 > gw: ICMP6, neighbor solicitation, who has gw, "
        "length 24",
        "too big": "IP6 fd00::1 > gw: ICMP6, packet too big, mtu 1400, length 76",
    }
    assert {key: line(AS_TCPDUMP[key], **names) for key in told_of} == told_of


def test_a_packet_without_a_link_header_is_told_as_with_one() -> None:
    for key in ("udp", "udp over IPv6", "echo"):
        frame = AS_TCPDUMP[key]
        raw = told(frame[14:], len(frame) - 14, pcapng.RAW_IP, {}, Flows())
        assert raw == told(frame, len(frame), pcapng.ETHERNET, {}, Flows())


def test_programs_are_told_the_ends_of_the_outermost_packet() -> None:
    frame = four(udp(40000, 4789, b"\x08\0\0\0\0\0\x64\0" + AS_TCPDUMP["udp over IPv6"]), 17)
    _, facts = told(frame, len(frame), pcapng.ETHERNET, {}, Flows())
    assert facts.protocols == ["ip", "udp", "vxlan", "ip6", "udp"]
    assert (facts.source, facts.source_port) == ("10.0.0.1", 40000)
    assert (facts.destination, facts.destination_port) == ("10.0.0.2", 4789)
    _, facts = told(AS_TCPDUMP["who has"], 42, pcapng.ETHERNET, {}, Flows())
    assert (facts.protocols, facts.source, facts.destination, facts.source_port) == (
        ["arp"], "10.0.0.1", "10.0.0.2", None)  # fmt: skip


@pytest.mark.parametrize("name", AS_TCPDUMP)
def test_a_packet_that_was_cut_anywhere_is_told_as_far_as_it_goes(name: str) -> None:
    frame = AS_TCPDUMP[name]
    for kept in range(len(frame)):
        text, _ = told(frame[:kept], len(frame), pcapng.ETHERNET, {}, Flows())
        assert text and "\n" not in text


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some.binary(max_size=120), some.sampled_from(sorted(AS_TCPDUMP)), some.integers(0, 60))
def test_whatever_the_bytes_are_there_is_a_line(noise: bytes, name: str, at: int) -> None:
    assert line(AS_TCPDUMP[name][:at] + noise)


def test_no_more_connections_are_remembered_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("netlab.trace.dissect.view.MOST_FLOWS", 2)
    flows = Flows()
    for port in (1, 2, 3):
        flows.relative(("a", port, "b", 80), 100, 200, begins=True)
    assert flows.relative(("b", 80, "a", 3), 200, 101, begins=False) == (1, 1)
    assert flows.relative(("a", 1, "b", 80), 101, 200, begins=False) == (101, 200)
