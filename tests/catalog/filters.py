"""What the labs that filter say of themselves, checked; see ``claims``."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Sequence
from contextlib import AbstractContextManager
from ipaddress import ip_address
from typing import Any

from tests.catalog.witness import Lab, started
from tests.live.world import NETLAB, ROOT, done, eventually, inside, netlab, tool

UDP_ERROR = """
import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect(("203.0.113.2", 9999))
sock.settimeout(5)
sock.send(b"x")
try:
    sock.recv(1)
except ConnectionRefusedError:
    print("refused")
"""

FORGED_ERROR = """
import socket, struct
quoted = struct.pack("!BBHHHBBH4s4sHHI", 69, 0, 28, 0, 0, 64, 17, 0,
    socket.inet_aton("192.168.1.2"), socket.inet_aton("203.0.113.2"), 4444, 4444, 8 << 16)
head = struct.pack("!BBHI", 3, 3, 0, 0)
total = sum(struct.unpack(f"!{len(head + quoted) // 2}H", head + quoted))
total = (total & 65535) + (total >> 16)
head = struct.pack("!BBHI", 3, 3, ~(total + (total >> 16)) & 65535, 0)
socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).sendto(head + quoted, ("192.168.1.2", 0))
"""
"""Port unreachable, about a datagram that nobody sent."""

ECHO_SERVER = """
import socket
with socket.create_server(("", 7000)) as door:
    print("open", flush=True)
    while True:
        guest, _ = door.accept()
        while data := guest.recv(99):
            guest.sendall(data)
"""

ECHO_CLIENT = """
import socket, time
with socket.create_connection(("203.0.113.2", 7000), 5) as sock:
    sock.settimeout(0.1)
    while True:
        sock.sendall(b"x")
        try:
            sock.recv(99) and print("answered", flush=True)
        except TimeoutError:
            print("silence", flush=True)
        time.sleep(0.05)
"""


def stateful(lab: Lab) -> None:
    """alice ── fw ── web"""
    assert lab.pings("alice", "web", "-c3", "-i0.2")
    assert _states(lab) == {"new: alice begins": 1, "established": 5}
    assert inside(lab.name, "alice", "python3", "-c", UDP_ERROR).out == "refused\n"
    assert _states(lab) == {"new: alice begins": 2, "established": 5, "related": 1}
    with lab.watched("alice", "eth0", "icmp") as seen:
        assert inside(lab.name, "web", "python3", "-c", FORGED_ERROR).code == 0
        assert not lab.pings("web", "alice", "-W1")
        assert seen("ICMP") == []
    assert _states(lab) == {
        "new: alice begins": 2, "established": 5, "related": 1, "invalid": 1, "new: web begins": 1,
    }  # fmt: skip
    log = "import socket; socket.socket(2, 2).sendto(b'x', ('203.0.113.2', 514))"
    assert inside(lab.name, "alice", "python3", "-c", log).code == 0
    eventually(lambda: (_states(lab)["untracked"], _states(lab)["invalid"]) == (1, 2))
    assert {c["original"]["destination"]["port"] for c in lab.connections("fw")} == {None, 9999}
    _forgotten_connection(lab)


def _states(lab: Lab) -> dict[str, int]:
    """By the comments of fw's rules, what they explain left out; only those that have counted."""
    counts = {text if "begins" in text and text[:3] == "new" else text.partition(":")[0]: n
              for text, n in lab.counted("fw").items()}  # fmt: skip
    return {state: count for state, count in counts.items() if count}


def _forgotten_connection(lab: Lab) -> None:
    with (
        lab.python("web", ECHO_SERVER, until="open"),
        lab.python("alice", ECHO_CLIENT, until="answered") as said,
    ):
        assert _tcp_states(lab) == ["ESTABLISHED"]
        before = _states(lab)["invalid"]
        done("conntrack", lab.name, "fw", "--flush")
        eventually(lambda: _states(lab)["invalid"] > before and said("silence"))
        answered, silences = len(said("answered")), len(said("silence"))
        eventually(lambda: len(said("silence")) > silences + 3)
        assert len(said("answered")) == answered
        assert _tcp_states(lab) == []
        loose = ("sysctl", "-w", "net.netfilter.nf_conntrack_tcp_loose=1")
        assert inside(lab.name, "fw", *loose).code == 0
        eventually(lambda: len(said("answered")) > answered)


def _tcp_states(lab: Lab) -> list[str]:
    return [c["state"] for c in lab.connections("fw") if c["protocol"] == "tcp"]


def syn_flood(lab: Lab) -> None:
    """client, attacker ── net ── fw ── server"""
    assert _fetches(lab)
    assert lab.counted("server") == {"SYNs to 80": 1, "SYNs to 8080": 0}
    with _flood(lab, "198.18.0.0/15", 80, 100_000, until="flooding"):
        eventually(lambda: lab.counted("fw")["SYNs for the proxy"] > 1000)
        before = lab.counted("fw")["SYNs for the proxy"]
        assert _fetches(lab)
        assert lab.counted("fw")["SYNs for the proxy"] > before + 100
    assert lab.counted("server")["SYNs to 80"] == 2
    assert _strangers(lab) == set()
    assert lab.counted("fw")["too many from one address"] == 0
    with _flood(lab, "198.18.0.7", 80, 2000, until="sent"):
        assert 1000 < lab.counted("fw")["too many from one address"] < 2000
    assert _fetches(lab)
    with _flood(lab, "198.18.0.0/15", 8080, 500, until="sent"):
        eventually(lambda: lab.counted("server") == {"SYNs to 80": 3, "SYNs to 8080": 500})
    assert _strangers(lab) == {8080}


def _fetches(lab: Lab) -> bool:
    fetch = ("busybox", "wget", "-qO-", "http://192.0.2.80/")
    return "<title>Directory listing" in inside(lab.name, "client", *fetch).out


def _flood(lab: Lab, source: str, port: int, count: int, until: str) -> AbstractContextManager[Any]:
    """As the description says it, with other numbers."""
    (told,) = (words for words in lab.told_commands() if "python3" in words)
    at = told.index("198.18.0.0/15")
    words = [*told[:at], source, "192.0.2.80", str(port), str(count)]
    return started([*NETLAB, *words], until=until)


def _strangers(lab: Lab) -> set[int]:
    """The ports at which fw remembers somebody who never answered."""
    return {
        int(c["original"]["destination"]["port"]) for c in lab.connections("fw")
        if c["original"]["source"]["address"].startswith("198.1")
        and not c["original"]["source"]["node"]
    }  # fmt: skip


FORGED_ARP = """
import socket, sys
sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sock.bind(("eth0", 0))
own, alice = sock.getsockname()[4], bytes.fromhex(sys.argv[1].replace(":", ""))
reply = bytes.fromhex("0806" "0001" "0800" "06" "04" "0002")
for _ in range(3):
    sock.send(alice + own + reply + own + bytes([10, 0, 0, 3]) + alice + bytes([10, 0, 0, 1]))
"""
"""To alice: 10.0.0.3, which is carol, has the sender's MAC."""


def bridge_filter(lab: Lab) -> None:
    """alice, bob, carol, guest1, guest2, mallory ── sw"""
    assert [lab.tcp("alice", "10.0.0.3", port) for port in (80, 81)] == ["connected", "silence"]
    assert lab.tcp("alice", "10.0.0.2", 81) == "refused"
    assert lab.counted("sw")["by IP and TCP"] >= 1
    assert lab.tcp("carol", "10.0.0.3", 81) == "refused"
    assert not lab.pings("guest1", "guest2", "-W1") and not lab.pings("guest2", "guest1", "-W1")
    assert all(lab.pings(guest, to) for guest in ("guest1", "guest2") for to in ("alice", "carol"))
    _mac_of_mallory(lab)
    _traffic_of_carol(lab)


def _mac_of_mallory(lab: Lab) -> None:
    def is_heard_as(mac: str) -> bool:
        tool("ip", "-n", lab.ns("mallory"), "link", "set", "eth0", "address", mac)
        return lab.pings("mallory", "carol", "-W1")

    known = lab.mac("mallory", "eth0")
    assert is_heard_as(known)
    assert lab.counted("sw")["by MAC"] == 0
    assert not is_heard_as("02:00:00:00:00:99")
    assert lab.counted("sw")["by MAC"] > 0
    assert is_heard_as(known)


def _traffic_of_carol(lab: Lab) -> None:
    locks = ("sysctl", "-w", "net.ipv4.neigh.eth0.locktime=0")
    assert inside(lab.name, "alice", *locks).code == 0  # else what is new is not heard for a second
    assert lab.pings("alice", "carol")
    assert lab.neighbours("alice")["10.0.0.3"] == lab.mac("carol", "eth0")
    forge = ("python3", "-c", FORGED_ARP, lab.mac("alice", "eth0"))
    assert inside(lab.name, "mallory", *forge).code == 0
    assert lab.counted("sw")["by ARP"] == 3
    assert lab.neighbours("alice")["10.0.0.3"] == lab.mac("carol", "eth0")
    assert inside(lab.name, "bob", *forge).code == 0
    assert lab.neighbours("alice")["10.0.0.3"] == lab.mac("bob", "eth0")
    with lab.watched("bob", "eth0", "icmp") as seen:
        assert not lab.pings("alice", "carol", "-W1")
        eventually(lambda: seen("10.0.0.1 > 10.0.0.3: ICMP echo request"))
    assert lab.counted("sw")["by ARP"] == 3


DATAGRAMS = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(100):
    for port in map(int, sys.argv[2:]):
        sock.sendto(b"x", (sys.argv[1], port))
"""


def netdev_ingress(lab: Lab) -> None:
    """alice ── gw ── web"""
    ports = ("1111", "2222", "3333")
    with lab.watched("gw", "lan", "udp") as seen, lab.watched("web", "eth0", "udp") as arrived:
        send = ("python3", "-c", DATAGRAMS, "203.0.113.2", *ports)
        assert inside(lab.name, "alice", *send).code == 0
        eventually(lambda: all(seen(f"> 203.0.113.2.{port}:") for port in ports))
        eventually(lambda: arrived("> 203.0.113.2.3333:"))
        assert arrived("> 203.0.113.2.1111:") + arrived("> 203.0.113.2.2222:") == []
    assert lab.counted("gw") == {
        "1111 dropped at ingress": 100, "1111 in prerouting": 0, "1111 forwarded": 0,
        "2222 at ingress": 100, "2222 dropped in prerouting": 100, "2222 forwarded": 0,
        "3333 at ingress": 100, "3333 in prerouting": 100, "3333 forwarded": 100,
    }  # fmt: skip


CROSSING = """
import socket, struct, sys
out, back, to, *numbers = sys.argv[1:]
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
tap.bind((back, 0x0800))
tap.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)  # SO_RCVBUFFORCE
for number in numbers:
    source, target = socket.inet_aton(number), socket.inet_aton(to)
    head = struct.pack("!BBHHHBBH4s4s", 69, 0, 28, 0, 0, 64, 17, 0, source, target)
    raw.sendto(head + struct.pack("!HHHH", 9, 9, 8, 0), (to, 0))
tap.settimeout(0.3)
try:
    while True:
        print(socket.inet_ntoa(tap.recv(99)[12:16]))
except TimeoutError:
    pass
"""
"""A datagram from each of the addresses; those whose came back are told."""


def sets_versus_rules(lab: Lab) -> None:
    """tester ══ none, set, rules ══ tester"""
    script = runpy.run_path(str(ROOT / "topologies/sets-versus-rules.py"))
    beside = ROOT / "topologies/sets-versus-rules"
    assert script["texts"]() == {file.name: file.read_text() for file in beside.iterdir()}
    unwanted = _elements(lab, "set", "unwanted")
    assert len(unwanted) == len(set(unwanted)) == 2000
    rules = netlab("show", lab.name, "rules", "--rules", "--json").json["rules"]
    assert [rule["text"] for rule in rules] == [f"ip saddr {a} drop" for a in script["addresses"]()]
    assert sorted(unwanted) == sorted(script["addresses"]())
    neighbours = {str(ip_address(a) + 1) for a in unwanted} - set(unwanted)
    sources = sorted([*unwanted, *neighbours])
    assert _crossing(lab, "none", "198.51.100.9", sources) == sources
    assert _crossing(lab, "set", "203.0.113.9", sources) == sorted(neighbours)
    assert _crossing(lab, "rules", "192.0.2.9", sources) == sorted(neighbours)
    (told,) = lab.told_commands()
    first, *rows = inside(lab.name, told[2], *told[4:], "0.05").out.splitlines()
    assert re.fullmatch(r"the set passes \d+\.\d times as many packets as the rules", first)
    assert [row.split()[0] for row in rows if "packets/s" in row] == ["none", "set", "rules"]


def _elements(lab: Lab, node: str, name: str) -> list[str]:
    listed = tool("ip", "netns", "exec", lab.ns(node), "nft", "-j", "list", "sets")
    found = (part["set"] for part in json.loads(listed)["nftables"] if "set" in part)
    return [str(e) for one in found if one["name"] == name for e in one["elem"]]


def _crossing(lab: Lab, router: str, to: str, sources: Sequence[str]) -> list[str]:
    words = (f"{router}-out", f"{router}-in", to, *sources)
    return sorted(inside(lab.name, "tester", "python3", "-c", CROSSING, *words).out.split())


FILTERS = (bridge_filter, netdev_ingress, sets_versus_rules, stateful, syn_flood)
