"""Connections as the kernel tracks them, held against conntrack(8).

alice ── (lan) gw (wan) ── web, and gw masquerades, publishes alice's ports, counts, and marks UDP.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.catalog.witness import started
from tests.live.conftest import Write
from tests.live.world import NETLAB, done, eventually, inside, netlab, tool

TEXT = """\
nodes:
  alice: {routes: [{to: default, via: 192.168.1.1}, {to: default, via: "fd00:1::1"}]}
  gw:
    kind: router
    sysctls: {net.netfilter.nf_conntrack_acct: 1, net.netfilter.nf_conntrack_udp_timeout: 300}
    nftables: |
      table inet filter {
        chain forward {
          type filter hook forward priority filter
          meta l4proto udp ct mark set 42
        }
      }
      table ip nat {
        chain pre {
          type nat hook prerouting priority dstnat
          iifname "wan" tcp dport 8080 dnat to 192.168.1.2:80
        }
        chain post {
          type nat hook postrouting priority srcnat
          oifname "wan" masquerade
        }
      }
  web: {routes: [{to: "fd00:1::/64", via: "fd00:2::1"}]}
links:
  - ["alice:eth0 192.168.1.2/24 fd00:1::2/64", "gw:lan 192.168.1.1/24 fd00:1::1/64"]
  - ["gw:wan 203.0.113.1/24 fd00:2::1/64", "web:eth0 203.0.113.2/24 fd00:2::2/64"]
"""
MASQUERADED = "203.0.113.1"


@pytest.fixture
def up(write: Write, lab: str) -> str:
    done("up", write(TEXT))
    return lab


def connections(lab: str, node: str = "gw") -> list[dict[str, Any]]:
    (only,) = netlab("conntrack", lab, node, "--json").json["nodes"]
    assert only["node"] == node
    found: list[dict[str, Any]] = only["connections"]
    return found


# the judge


def judged(lab: str, node: str = "gw") -> list[str]:
    """What conntrack(8) lists, without times (they pass) and uses."""
    listed = tool("ip", "netns", "exec", f"{lab}.{node}", "conntrack", "-L", "-o", "extended")
    return sorted(re.sub(r" use=\d+", "", _timeless(line)) for line in listed.splitlines())


def _timeless(line: str) -> str:
    """``ipv4 2 tcp 6 119 SYN_SENT src=…`` → without the 119."""
    words = line.split()
    return " ".join([words[0], words[2], *words[5:]])


def as_conntrack(one: dict[str, Any]) -> str:
    """A connection of netlab's in conntrack(8)'s words."""
    there, back = one["original"], one["reply"]
    family = "ipv6" if ":" in there["source"]["address"] else "ipv4"
    words = [family, one["protocol"], one["state"], *_direction(there, "orig", back)]
    words += [] if "seen-reply" in one["status"] else ["[UNREPLIED]"]
    words += _direction(back, "reply", there)
    words += ["[ASSURED]"] if "assured" in one["status"] else []
    words += [f"mark={one['mark']}"]
    words += [f"zone={there['zone']}"] if there["zone"] and there["zone"] == back["zone"] else []
    words += [f"helper={one['helper']}"] if one["helper"] else []
    return " ".join(word for word in words if word)


def _direction(way: dict[str, Any], name: str, other: dict[str, Any]) -> list[str]:
    source, to, icmp = way["source"], way["destination"], way["icmp"]
    words = [f"src={source['address']}", f"dst={to['address']}"]
    if source["port"] is not None:
        words += [f"sport={source['port']}", f"dport={to['port']}"]
    if icmp:
        words += [f"type={icmp['type']}", f"code={icmp['code']}", f"id={icmp['id']}"]
    if way["zone"] and way["zone"] != other["zone"]:
        words += [f"zone-{name}={way['zone']}"]
    counted = way["packets"] is not None
    return words + ([f"packets={way['packets']}", f"bytes={way['bytes']}"] if counted else [])


def test_what_netlab_tells_is_what_conntrack_tells(up: str) -> None:
    fetch = ("busybox", "wget", "-qO-")
    with server(up, "web"), server(up, "alice"):
        assert inside(up, "alice", *fetch, "http://203.0.113.2:80/").out == "hello\n"
        assert inside(up, "web", *fetch, "http://203.0.113.1:8080/").out == "hello\n"
        assert inside(up, "alice", *fetch, "http://[fd00:2::2]:80/").out == "hello\n"
    send(up, "alice", "203.0.113.2", 1)
    for to in ("203.0.113.2", "fd00:2::2"):
        assert inside(up, "alice", "ping", "-c1", "-W2", to).code == 0
    eventually(lambda: " ".join(judged(up)).count("TIME_WAIT") == 3)
    found = connections(up)
    assert sorted(map(as_conntrack, found)) == judged(up)
    assert {c["protocol"] for c in found} == {"tcp", "udp", "icmp", "icmpv6"}
    assert len(found) == 6
    assert all(0 < c["timeout"] <= 300 for c in found)


def server(lab: str, node: str) -> Any:
    """Answers each TCP connection to port 80 of either family, until it is ended."""
    return started([*NETLAB, "exec", lab, node, "--", "python3", "-c", SERVER], until="open")


SERVER = """
import socket
with socket.create_server(("::", 80), family=socket.AF_INET6, dualstack_ipv6=True) as door:
    print("open", flush=True)
    while True:
        guest, _ = door.accept()
        with guest:
            guest.recv(4096)
            guest.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nhello\\n")
"""


def send(lab: str, node: str, to: str, count: int) -> None:
    """One datagram each from so many ports."""
    code = f"""
import socket
for port in range(10000, 10000 + {count}):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("", port))
        sock.sendto(b"x", ("{to}", 9))
"""
    assert inside(lab, node, "python3", "-c", code).code == 0


def test_translations_are_told_both_ways(up: str) -> None:
    with server(up, "alice"), server(up, "web"):
        inside(up, "web", "busybox", "wget", "-qO-", "http://203.0.113.1:8080/")
        inside(up, "alice", "busybox", "wget", "-qO-", "http://203.0.113.2/")
    by_source = {c["original"]["source"]["node"]: c for c in connections(up)}
    published, masqueraded = by_source["web"], by_source["alice"]
    assert published["destination_nat"] == {"address": "192.168.1.2", "port": 80, "node": "alice"}
    assert published["source_nat"] is None
    port = masqueraded["source_nat"]["port"]
    assert masqueraded["source_nat"] == {"address": MASQUERADED, "port": port, "node": "gw"}
    assert masqueraded["destination_nat"] is None
    said = done("show", up, "gw", "--conntrack")
    assert re.search(r"^web:\d+ → gw:8080  to alice:80 +tcp ", said, re.M)
    assert re.search(rf"^alice:\d+ → web:80  as {MASQUERADED}:{port} +tcp ", said, re.M)


def test_udp_is_unreplied_until_it_is_replied(up: str) -> None:
    send(up, "alice", "203.0.113.2", 1)
    (one,) = connections(up)
    assert (one["mark"], one["original"]["packets"], one["reply"]["packets"]) == (42, 1, 0)
    assert re.search(r" udp +unreplied +\d+ s +0x2a +1/0 +29/0$", done("conntrack", up), re.M)
    echo = "import socket; s = socket.socket(2, 2); s.bind(('', 9)); print('open', flush=True)\n"
    echo += "data, whence = s.recvfrom(9); s.sendto(data, whence)"
    with started([*NETLAB, "exec", up, "web", "--", "python3", "-c", echo], until="open"):
        send(up, "alice", "203.0.113.2", 1)
        eventually(lambda: connections(up)[0]["reply"]["packets"] == 1)
    assert re.search(r" udp +replied +\d+ s +0x2a +2/1 +58/29$", done("conntrack", up), re.M)


def test_marks_zones_helpers_and_labels(write: Write, lab: str) -> None:
    """gw ── web"""
    done("up", write("""\
nodes:
  gw:
    nftables: |
      table ip t {
        ct helper ftp { type "ftp" protocol tcp; l3proto ip; }
        chain raw { type filter hook prerouting priority raw; ct zone set 5; }
        chain out { type filter hook output priority raw; ct original zone set 7; }
        chain in {
          type filter hook input priority filter
          tcp dport 21 ct helper set "ftp"
          ct label set 3
        }
      }
  web:
links: [["gw 203.0.113.1/24", "web 203.0.113.2/24"]]
"""))
    inside(lab, "web", "busybox", "nc", "-w1", "203.0.113.1", "21")
    inside(lab, "gw", "ping", "-c1", "-W1", "203.0.113.2")
    ftp, ping = sorted(connections(lab), key=lambda c: str(c["helper"]), reverse=True)
    assert (ftp["helper"], ftp["labels"]) == ("ftp", [3])
    assert [ftp[way]["zone"] for way in ("original", "reply")] == [5, 5]
    assert [ping[way]["zone"] for way in ("original", "reply")] == [7, 0]
    assert sorted(map(as_conntrack, (ftp, ping))) == judged(lab)


def test_two_thousand_are_told_and_forgotten(up: str) -> None:
    send(up, "alice", "203.0.113.2", 2000)
    assert len(connections(up)) == len(judged(up)) == 2000
    assert done("conntrack", up, "alice", "--flush") == "no connection was tracked in alice\n"
    assert netlab("conntrack", up, "--flush", "--json").json == {
        "lab": up, "lost": [], "forgotten": {"alice": 0, "gw": 2000, "web": 0},
    }  # fmt: skip
    assert connections(up) == judged(up) == []
    send(up, "alice", "203.0.113.2", 3)
    assert done("conntrack", up, "gw", "--flush") == "gw: 3 connections forgotten\n"
    assert judged(up) == []


def test_where_nothing_looks_nothing_is_tracked(up: str) -> None:
    assert inside(up, "alice", "ping", "-c1", "-W2", "203.0.113.2").code == 0
    assert done("show", up, "alice", "--conntrack") == (
        "nothing is tracked in alice: no nftables rule there looks at connections\n"
    )
    assert judged(up, "alice") == []
    assert done("conntrack", up).endswith(
        "\n\nnothing is tracked in alice and web: no nftables rule there looks at connections\n"
    )
    done("conntrack", up, "--flush")
    assert done("conntrack", up, "gw") == "no connection in gw\n"


LOOKING = [
    "ct state new accept", "masquerade", "snat to 10.0.0.9", "tcp flags syn ct count over 9 drop",
    "add @s { ip saddr ct count over 9 } drop", 'ct helper set "ftp"', "udp dport 9 ct mark set 1",
]  # fmt: skip
BLIND = ["accept", "ip saddr 10.0.0.0/8 counter drop", 'log prefix "ct masq nat "', "notrack"]


@pytest.mark.parametrize("rule", [*LOOKING, *BLIND])
def test_which_rules_make_the_kernel_track(write: Write, lab: str, rule: str) -> None:
    sort = "nat" if "nat to" in rule or rule == "masquerade" else "filter"
    done("up", write(f"""\
nodes:
  a:
    nftables: |
      table ip t {{
        set s {{ type ipv4_addr; flags dynamic; }}
        ct helper ftp {{ type "ftp" protocol tcp; l3proto ip; }}
        chain c {{
          type {sort} hook postrouting priority 0
          {rule}
        }}
      }}
"""))
    inside(lab, "a", "ping", "-c1", "-W1", "127.0.0.1")
    (node,) = netlab("conntrack", lab, "--json").json["nodes"]
    assert node["asked_for"] == (rule in LOOKING)
    assert bool(node["connections"]) == bool(judged(lab, "a"))


def test_what_is_not_there_is_told(up: str) -> None:
    for words in (("conntrack", up, "bob"), ("show", up, "bob", "--conntrack")):
        said = netlab(*words)
        assert (said.code, said.err.splitlines()[0]) == (5, f"lab {up} has no node bob")
    for options in ((), ("--flush",), ("--json",)):
        assert netlab("conntrack", f"{up}-no", *options).code == 5
    said = netlab("show", up, "gw", "--rules", "--conntrack")
    assert (said.code, said.out) == (2, "")


def test_a_node_that_somebody_deleted_is_told(up: str) -> None:
    tool("ip", "netns", "del", f"{up}.web")
    gone = f"{up}.web has been deleted by somebody else"
    assert netlab("conntrack", up, "--json").json["lost"] == [f"{up}.web"]
    assert done("conntrack", up).splitlines()[0] == gone
    for words in (["conntrack", up, "web"], ["show", up, "web", "--rules"]):
        said = netlab(*words)
        assert (said.code, said.err) == (4, f"namespace {gone}\n")
