"""Records of programs, as the kernel's memory was, and what they say."""

from __future__ import annotations

import socket
import sys
from ipaddress import ip_address
from struct import pack

import pytest

from netlab.trace.bpf.events import Head
from netlab.trace.bpf_gate import BY_BUFFER, BY_FRAGMENT, BY_PROGRAM
from netlab.trace.bpf_told import Fields, Telling
from netlab.trace.sighting import Sighting
from netlab.trace.terrain import Device, Spot, Terrain
from tests.trace.frames import ip, udp

A, GW, OUTSIDE = 11, 12, 99
"""Inodes of namespaces."""
OWN = 4711
DATA = ip(udp(4000, 53, b"the probe"), 17)
HIDDEN = ip(udp(7, 5555, b"nobody can read this"), 17, "10.9.0.1", "10.9.0.2")
TERRAIN = Terrain("lab", "lab.yaml", {
    "a": Spot("a", "host", "lab.a", (Device("eth0", "veth", peer=("gw", "a")),)),
    "gw": Spot("gw", "router", "lab.gw", (
        Device("a", "veth", peer=("a", "eth0")), Device("wg0", "wireguard"),
        Device("b", "veth", peer=("c", "eth0")),
    )),
})  # fmt: skip


@pytest.fixture
def telling() -> Telling:
    reasons = {6: "SKB_DROP_REASON_NO_SOCKET"}
    resets = {3: "SK_RST_REASON_NO_SOCKET"}
    return Telling({A: "a", GW: "gw"}, "a", OWN, TERRAIN, reasons, resets, 1_000_000)


def head(subject: int = 0xA0, time: int = 5, more: int = 0, cpu: int = 1, pid: int = 8) -> Head:
    return Head(time, subject, 0, cpu, pid, more)


def name(text: str, size: int = 16) -> bytes:
    return text.encode().ljust(size, b"\0")


def packet(
    device: str = "a", ns: int = GW, data: bytes = DATA, lies: int = 0xF00
) -> dict[str, int | bytes]:
    return {
        "device": name(device), "namespace": ns, "mark": 0, "length": len(data), "bytes": lies,
        "network": data.ljust(160, b"\0"),
    }  # fmt: skip


def said(telling: Telling, point: str, head: Head, fields: Fields) -> Sighting:
    found = telling.sighting(point, head, fields)
    assert found is not None
    return found


def number(address: str) -> int:
    """As the kernel's memory holds it."""
    return int.from_bytes(ip_address(address).packed, sys.byteorder)


# frames and buffers


def test_a_frame_has_its_node_its_device_and_whom_it_is_for(telling: Telling) -> None:
    link = bytes.fromhex("020000000002020000000001") + b"\x08\0"
    seen = said(telling, "rx", head(), packet() | {"link": link, "to": 0xFB})
    assert (seen.node, seen.device, seen.to, seen.link) == ("gw", "a", "other", link)
    assert (seen.time, seen.cpu, seen.buffer, seen.known) == (1_000_005, 1, 1, "")
    assert seen.network == DATA, "and nothing of what lies behind it"


def test_a_device_without_ethernet_has_no_link_header(telling: Telling) -> None:
    assert said(telling, "rx", head(), packet() | {"link": DATA[:14]}).link == b""


def test_what_is_in_no_node_is_not_told(telling: Telling) -> None:
    assert telling.sighting("rx", head(), packet(ns=OUTSIDE)) is None


def test_a_packet_without_a_device_is_where_its_socket_is(telling: Telling) -> None:
    fields = packet(ns=0) | {"socket namespace": GW, "program": name("dnsmasq"), "read": 9}
    seen = said(telling, "read", head(), fields)
    assert (seen.node, seen.program, seen.pid, seen.count) == ("gw", "dnsmasq", 8, 9)


def test_a_buffer_has_its_number_until_it_is_given_back(telling: Telling) -> None:
    assert said(telling, "tx", head(), packet()).buffer == 1
    copy = said(telling, "tx", head(0xB0), packet())
    assert (copy.buffer, copy.source_buffer) == (2, 1), "the same bytes in another buffer"
    assert said(telling, "rx", head(0xC0), packet(lies=0xE00)).source_buffer == 0
    freed = said(telling, "freed", head(), packet() | {"reason": 6, "function": name("f+1", 64)})
    assert (freed.buffer, freed.name, freed.function) == (1, "NO_SOCKET", "f+1")
    assert said(telling, "rx", head(), packet(lies=0xD00)).buffer == 4, "given out again"


def test_what_a_tunnel_hides_is_followed_by_its_buffer(telling: Telling) -> None:
    said(telling, "tx", head(), packet("wg0"))
    wrapped = said(telling, "tx", head(more=BY_BUFFER), packet("b", data=HIDDEN))
    assert (wrapped.known, wrapped.buffer) == ("buffer", 1)
    onwards = packet("eth0", A, HIDDEN)
    assert telling.sighting("rx", head(more=BY_BUFFER), onwards) is None, "b leads elsewhere"


def test_a_buffer_that_went_by_a_cable_hides_nothing(telling: Telling) -> None:
    """The kernel gives buffers out again; what is in it then is somebody else's."""
    said(telling, "tx", head(), packet("b"))
    assert telling.sighting("tx", head(more=BY_BUFFER), packet("b", data=HIDDEN)) is None
    assert telling.sighting("rx", head(0x77, more=BY_BUFFER), packet(lies=0x88)) is None
    netlink = packet("", 0, b"a message of netlink's") | {"function": name("f+1", 64)}
    assert telling.sighting("used", head(more=BY_BUFFER), netlink) is None


def test_what_a_program_sends_on_is_the_packet_that_it_read(telling: Telling) -> None:
    said(telling, "tx", head(), packet("wg0"))
    said(telling, "read", head(pid=8), packet("wg0") | {"program": name("vpn")})
    sent = said(telling, "queue", head(0xB0, more=BY_PROGRAM), packet("b", data=HIDDEN, lies=2))
    assert (sent.buffer, sent.source_buffer, sent.known) == (2, 1, "program")
    left = said(telling, "tx", head(0xB0, more=BY_BUFFER), packet("b", data=HIDDEN, lies=2))
    assert left.buffer == 2
    assert telling.sighting("queue", head(0xC0, more=BY_PROGRAM, pid=9), packet("b")) is None


def test_a_later_fragment_is_told_as_one(telling: Telling) -> None:
    assert said(telling, "rx", head(more=BY_FRAGMENT), packet()).known == "fragment"


# at a hook


def tuple_of(source: str, destination: str, sport: int, dport: int, direction: int) -> bytes:
    ends = [ip_address(a).packed.ljust(16, b"\0") for a in (source, destination)]
    first = ends[0] + pack(">H", sport) + pack("=H", socket.AF_INET)
    return bytes(16) + first + ends[1] + pack(">H", dport) + bytes((17, direction))


def test_a_hook_tells_what_connection_tracking_took_it_for(telling: Telling) -> None:
    tuples = tuple_of("10.0.0.1", "10.0.0.2", 4000, 53, 0) + tuple_of(
        "10.0.0.2", "203.0.113.1", 53, 4000, 1
    )
    fields = packet() | {
        "hook": 0, "family": 2, "to device": name(""), "tracked": 3, "connection": 0xBEEF,
        "status": 18, "tuples": tuples,
    }  # fmt: skip
    seen = said(telling, "hook", head(), fields)
    assert (seen.hook, seen.family, seen.device) == ("prerouting", "ip", "a")
    assert (seen.ct_state, seen.ct_direction, seen.ct_status) == ("established", "reply", 18)
    assert seen.original == "10.0.0.1:4000 → 10.0.0.2:53"
    assert seen.reply == "10.0.0.2:53 → 203.0.113.1:4000"
    bare = said(telling, "hook", head(), fields | {"connection": 0, "tracked": 7})
    assert (bare.ct_state, bare.ct_status, bare.original) == ("untracked", 0, "")
    odd = said(telling, "hook", head(), fields | {"tuples": bytes(90)})
    assert (odd.original, odd.reply) == ("", ""), "written otherwise by that kernel"


# beside a packet


def test_a_route_is_told_with_its_table_and_its_error(telling: Telling) -> None:
    said(telling, "rx", head(), packet())
    fields = {
        "table": 254, "error": 0, "address": number("10.0.0.2"), "source": number("10.0.0.1"),
        "device": name("b"), "namespace": GW, "via": ip_address("10.9.0.1").packed.ljust(16, b"\0"),
        "via family": 2, "scope": 253,
    }  # fmt: skip
    seen = said(telling, "route", head(), fields)
    assert (seen.node, seen.buffer, seen.name, seen.device) == ("gw", 1, "main", "b")
    assert (seen.address, seen.source, seen.via) == ("10.0.0.2", "10.0.0.1", "10.9.0.1")
    none = said(telling, "route", head(), {"table": 9, "error": -11 & 0xFFFFFFFF})
    assert (none.node, none.name, none.error, none.via) == ("gw", "9", 11, "")
    own = said(telling, "route", head(), fields | {"scope": 255, "via family": 0})
    assert (own.state, own.via) == ("local", "")
    assert telling.sighting("route", head(0x123), fields) is None, "of a packet of somebody's"
    sender = said(telling, "route", head(0), fields | {"namespace": 0})
    assert (sender.node, sender.buffer) == ("a", 0)


@pytest.mark.parametrize(
    ("kind", "flags", "device", "error"),
    [(1, 0, "b", 0), (2, 0, "lo", 0), (6, 0, "lo", 22), (7, 0, "b", 113), (7, 0x200, "lo", 101),
     (8, 0, "lo", 13)],
)  # fmt: skip
def test_a_route_of_ipv6(
    telling: Telling, kind: int, flags: int, device: str, error: int
) -> None:
    fields = {
        "table": 255, "type": kind, "flags": flags, "device": name(device), "namespace": GW,
        "address": ip_address("fd00::2").packed, "source": ip_address("fd00::1").packed,
    }  # fmt: skip
    seen = said(telling, "route6", head(0), fields)
    assert (seen.point, seen.address, seen.name) == ("route", "fd00::2", "local")
    assert (seen.error, seen.device) == (error, "" if error else device)


def test_a_neighbour_and_what_a_bridge_learns(telling: Telling) -> None:
    fields = {
        "device": name("b"), "namespace": GW, "family": 10, "state": 8,
        "address": ip_address("fd00::9").packed, "mac": bytes.fromhex("020000000009"),
    }  # fmt: skip
    seen = said(telling, "neighbour", head(0), fields)
    assert (seen.point, seen.address, seen.mac, seen.state) == (
        "neighbour", "fd00::9", "02:00:00:00:00:09", "delay",
    )  # fmt: skip
    met = said(telling, "neighbour-new", head(0), fields | {"mac": bytes(6), "state": 0})
    assert (met.mac, met.state) == ("", "none")
    learned = said(telling, "learned", head(0), fields | {"bridge": name("br0"), "vlan": 5})
    assert (learned.name, learned.mac, learned.device, learned.count) == (
        "br0", "02:00:00:00:00:09", "b", 5,
    )  # fmt: skip


SOCKET: Fields = {
    "namespace": GW, "family": 2, "protocol": 17, "local": number("10.0.0.2"), "remote": 0,
    "local6": bytes(16), "remote6": bytes(16), "local port": 53, "remote port": 0, "buffer": 0xA0,
}  # fmt: skip


def test_a_socket_is_told_by_its_ends(telling: Telling) -> None:
    said(telling, "rx", head(), packet())
    seen = said(telling, "ready", head(0x50C), SOCKET)
    assert (seen.family, seen.address, seen.via, seen.buffer) == ("udp", "10.0.0.2:53", "", 1)
    port = int.from_bytes(pack(">H", 4000), sys.byteorder)
    both = {**SOCKET, "remote": number("10.0.0.1"), "remote port": port, "before": 2, "after": 1}
    state = said(telling, "state", head(0x50C), both)
    assert (state.via, state.state) == ("10.0.0.1:4000", "SYN_SENT → ESTABLISHED")
    six = {**SOCKET, "family": 10, "local6": ip_address("fd00::2").packed, "protocol": 6}
    assert said(telling, "again", head(0x50C), six).address == "[fd00::2]:53"
    assert telling.sighting("ready", head(0x50C), {**SOCKET, "family": 17}) is None


def test_who_reads_the_datagram_is_told(telling: Telling) -> None:
    said(telling, "rx", head(), packet())
    said(telling, "ready", head(0x50C), SOCKET)
    fields = {**SOCKET, "program": name("dnsmasq"), "read": 9}
    seen = said(telling, "received", head(0x50C, pid=3), fields)
    assert (seen.point, seen.program, seen.pid, seen.buffer) == ("read", "dnsmasq", 3, 1)
    assert telling.sighting("received", head(0x50C), fields) is None, "once"
    said(telling, "rx", head(), packet())
    said(telling, "ready", head(0x50C), SOCKET)
    assert said(telling, "received", head(0x50C, pid=OWN), fields).program == "netlab itself"


def test_who_only_looks_on_does_not_get_it(telling: Telling) -> None:
    fields = packet() | {"program": name("tcpdump"), "socket family": 17}
    assert telling.sighting("read", head(), fields) is None


@pytest.mark.parametrize(
    ("point", "fields", "named"),
    [
        ("answered", {"type": 3, "code": 1}, "3/1"),
        ("reset", {"reason": 3}, "NO_SOCKET"),
        ("full", {"held": 9000, "limit": 4096}, "9000 of 4096 bytes"),
        ("measured", {"window": 10, "round trip": 800}, "window 10, round trip 100 µs"),
        ("enqueued", {"kind": name("fq_codel"), "backlog": 3}, "fq_codel"),
    ],
)
def test_what_comes_of_a_packet(
    telling: Telling, point: str, fields: Fields, named: str
) -> None:
    assert said(telling, point, head(), packet() | fields).name == named
