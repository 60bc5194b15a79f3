"""What the labs that translate addresses say of themselves, checked; see ``claims``."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from tests.catalog.witness import Lab
from tests.live.sockets import (
    REFUSED,
    SILENT,
    UNREACHABLE,
    accepted,
    connected,
    listening,
    spoken,
    tcp,
)
from tests.live.world import done, eventually, netlab, tool

FETCHED = "200 OK"
CONNECTIONS = 60
"""That a third of a die never falls in so many throws happens once in 10^10."""


def nat_gateway(lab: Lab) -> None:
    """alice, bob ── lan ── gw (wan) ── web"""
    web, inside = "203.0.113.2", "192.168.1.2"
    assert _fetch(lab, "alice", web) == FETCHED
    assert _askers(lab, "web/httpd", 1) == ["203.0.113.1"]
    with listening(lab.ns("web"), 7000) as door, ExitStack() as stack:
        ends = []
        for client in ("alice", "bob"):
            here = stack.enter_context(connected(lab.ns(client), web, 7000, source=40000))
            there, _ = stack.enter_context(accepted(door))
            assert spoken(here, there)
            ends.append(there.getpeername()[:2])
        assert {ip for ip, _ in ends} == {"::ffff:203.0.113.1"}
        assert ends[0][1] == 40000 != ends[1][1]
        assert _sources(lab, 40000) == {"192.168.1.2": "203.0.113.1", "192.168.1.3": "203.0.113.1"}
        assert tcp(lab.ns("web"), inside, 80, door) == UNREACHABLE
        tool("ip", "-n", lab.ns("web"), "route", "add", "192.168.1.0/24", "via", "203.0.113.1")
        assert tcp(lab.ns("web"), inside, 80, door) == REFUSED
        tool("ip", "-n", lab.ns("web"), "route", "del", "192.168.1.0/24")
        _nft(lab, "gw", "flush chain inet netlab_nat postrouting")
        with lab.watched("web", "eth0", "tcp port 7000") as seen:
            assert tcp(lab.ns("alice"), web, 7000, door) == SILENT
            assert eventually(lambda: seen("192.168.1.2"))


def _sources(lab: Lab, port: int) -> dict[str, str]:
    """Of the connections that begin at a port: who begins, and as whom the other side sees it."""
    return {
        c["original"]["source"]["address"]: c["source_nat"]["address"]
        for c in lab.connections("gw")
        if c["original"]["source"]["port"] == port
    }


def docker_network(lab: Lab) -> None:
    """web, client ── docker0 of host; app, db ── br-app of host; host ── peer"""
    published = {n: _fetch(lab, n, "203.0.113.1", 8080) for n in ("peer", "client", "web", "host")}
    assert published == dict.fromkeys(published, FETCHED)
    assert _askers(lab, "web/httpd", 4) == ["203.0.113.2", *["172.17.0.1"] * 3]
    assert _fetch(lab, "client", "172.17.0.2") == FETCHED
    assert _fetch(lab, "client", "172.17.0.1", 8080) == FETCHED
    assert lab.pings("app", "db") and lab.pings("app", "peer") and lab.pings("client", "peer")
    with listening(lab.ns("peer"), 7000) as door:
        assert {tcp(lab.ns(n), "203.0.113.2", 7000, door) for n in ("app", "client", "web")} == {
            "203.0.113.1"
        }
    assert not lab.pings("app", "client", "-W1") and not lab.pings("client", "app", "-W1")
    to_docker0, to_app = "from another bridge to docker0", "from another bridge to br-app"
    assert _counts(lab, "host", to_docker0) == _counts(lab, "host", to_app) == 1
    assert _fetch(lab, "app", "203.0.113.1", 8080) == SILENT
    assert _counts(lab, "host", to_docker0) > 1
    assert _counts(lab, "host", "direct access") == 0
    assert _fetch(lab, "peer", "172.17.0.2") == SILENT
    assert _counts(lab, "host", "direct access") > 0
    _nft(lab, "host", "flush chain ip raw PREROUTING")
    assert _fetch(lab, "peer", "172.17.0.2") == FETCHED
    assert not lab.pings("peer", "172.17.0.3", "-W1")
    assert _counts(lab, "host", "not published") == 1
    _nft(lab, "host", "insert rule ip filter DOCKER-USER ip saddr 203.0.113.2 drop")
    assert _fetch(lab, "peer", "203.0.113.1", 8080) == SILENT
    assert _fetch(lab, "client", "203.0.113.1", 8080) == FETCHED


def home_router(lab: Lab) -> None:
    """laptop, nas ── lan ── router ── isp ── web; phone ── (guest) router"""
    laptop, nas, router, web = (
        {4: "192.168.1.2", 6: "2001:db8:1:1::2"},
        {4: "192.168.1.3", 6: "2001:db8:1:1::3"},
        {4: "203.0.113.2", 6: "2001:db8::2"},
        {4: "198.51.100.2", 6: "2001:db8:ff::2"},
    )
    phone = {4: "192.168.2.2", 6: "2001:db8:1:2::2"}
    eventually(lambda: lab.pings("phone", web[6]) and lab.pings("laptop", web[6]), 10)
    for family in (4, 6):
        seen = [] if family == 4 else _askers(lab, "nas/httpd", 3)
        asked = {n: _fetch(lab, n, router[family], 8080) for n in ("web", "laptop", "phone")}
        assert asked == dict.fromkeys(asked, FETCHED)
        asker = {4: "192.168.1.1", 6: "2001:db8:1:1::1"}[family]
        assert _askers(lab, "nas/httpd", len(seen) + 3)[len(seen) :] == [
            web[family], asker, phone[family],
        ]  # fmt: skip
        with listening(lab.ns("web"), 7000) as door:
            as_whom = {4: router[4], 6: laptop[6]}[family]
            assert tcp(lab.ns("laptop"), web[family], 7000, door) == as_whom
        with listening(lab.ns("laptop"), 7000) as door:
            assert tcp(lab.ns("nas"), laptop[family], 7000, door) == nas[family]
            assert tcp(lab.ns("phone"), laptop[family], 7000, door) == SILENT
        assert lab.tcp("laptop", router[family], 22) == "refused"
        assert lab.tcp("web", router[family], 22) == "silence"
        assert lab.pings("web", router[family])
    with listening(lab.ns("laptop"), 7000) as door:
        assert tcp(lab.ns("web"), laptop[6], 7000, door) == SILENT
        _nft(lab, "router", "add chain inet filter forward { policy accept; }")
        assert tcp(lab.ns("web"), laptop[6], 7000, door) == web[6]


PASSED, DROPPED, FORBIDDEN = "passed", "dropped", "forbidden"
ZONES = {"office": "10.1.0.2", "db": "10.1.0.5", "www": "192.0.2.80", "mail": "192.0.2.25",
         "customer": "198.51.100.2", "villain": "198.51.100.200"}  # fmt: skip

ALLOWED: dict[tuple[str, str, int], str] = {
    ("office", "customer", 80): PASSED,
    ("office", "customer", 443): PASSED,
    ("office", "customer", 25): FORBIDDEN,
    ("office", "www", 80): PASSED,
    ("office", "www", 22): PASSED,
    ("office", "www", 5432): DROPPED,
    ("customer", "www", 80): PASSED,
    ("customer", "www", 443): PASSED,
    ("customer", "www", 22): DROPPED,
    ("customer", "www", 25): DROPPED,
    ("customer", "mail", 25): PASSED,
    ("customer", "mail", 80): DROPPED,
    ("customer", "mail", 110): DROPPED,
    ("customer", "office", 80): DROPPED,
    ("customer", "db", 5432): DROPPED,
    ("villain", "www", 80): DROPPED,
    ("villain", "customer", 80): PASSED,
    ("www", "db", 5432): PASSED,
    ("www", "db", 80): DROPPED,
    ("mail", "db", 5432): DROPPED,
    ("www", "office", 80): DROPPED,
    ("mail", "customer", 25): PASSED,
    ("www", "customer", 25): DROPPED,
    ("mail", "customer", 80): DROPPED,
    ("www", "mail", 80): PASSED,
}


def dmz_firewall(lab: Lab) -> None:
    """office, db ── inside ── fw ── dmz ── www, mail; fw ── world ── customer, villain"""
    with ThreadPoolExecutor(8) as several:
        found = several.map(lambda way: _passes(lab, *way), ALLOWED)
    assert dict(zip(ALLOWED, found, strict=True)) == ALLOWED
    assert lab.pings("office", "customer") and not lab.pings("customer", "office", "-W1")
    dropped = _counts(lab, "fw", "unwelcome")
    assert dropped > 0 < _counts(lab, "fw", "a pair that may not begin")
    _nft(lab, "fw", "add element inet filter public { 192.0.2.25 . 110 }")
    _nft(lab, "fw", "delete element inet filter unwelcome { 198.51.100.128/25 }")
    assert _passes(lab, "customer", "mail", 110) == _passes(lab, "villain", "www", 80) == PASSED
    assert _counts(lab, "fw", "unwelcome") == dropped


def _passes(lab: Lab, one: str, other: str, port: int) -> str:
    """Whether a SYN arrives: what is not listened to is refused by the other, not by fw."""
    try:
        with connected(lab.ns(one), ZONES[other], port):
            return PASSED
    except TimeoutError:
        return DROPPED
    except ConnectionRefusedError:
        return PASSED
    except OSError:
        return FORBIDDEN


def kube_proxy(lab: Lab) -> None:
    """client, pod1, pod2 ── node1 ── lan ── node2 ── pod3; world ── lan"""
    service = "10.96.0.10"
    for node, to, port, through in (
        ("client", service, 80, "node1"),
        ("world", "192.168.0.1", 30080, "node1"),
        ("world", "192.168.0.2", 30080, "node2"),
        ("node1", service, 80, "node1"),
        ("pod1", service, 80, "node1"),
    ):
        before = _endpoints(lab, through)
        asked = Counter(_fetch(lab, node, to, port) for _ in range(CONNECTIONS))
        assert asked == {FETCHED: CONNECTIONS}, node
        spread = _endpoints(lab, through) - before
        assert spread.total() == CONNECTIONS and len(spread) == 3, (node, spread)
    seen = {pod: set(_askers(lab, f"{pod}/httpd", 1)) for pod in ("pod1", "pod2", "pod3")}
    assert seen["pod1"] == {"10.244.1.1", "10.244.1.2", "192.168.0.2"}
    assert seen["pod2"] == {"10.244.1.1", "10.244.1.3", "10.244.1.4", "192.168.0.2"}
    assert seen["pod3"] == {"10.244.1.1", "10.244.1.3", "10.244.2.0", "192.168.0.1"}
    for node in ("client", "node1"):
        assert _fetch(lab, node, service, 81) == _fetch(lab, node, "10.96.0.20") == REFUSED
    assert _counts(lab, "node1", "no such port") == _counts(lab, "node1", "no endpoints") == 2
    tracked = lab.connections("node1")
    assert any(c["destination_nat"] and c["source_nat"] for c in tracked)
    _nft(lab, "node1", "flush chain ip kube-proxy masquerading")
    met: set[str] = set()
    for _ in range(60):  # the die chooses pod1 for itself once in three times
        met.add(_fetch(lab, "pod1", service))
        if len(met) > 1:
            break
    assert met == {FETCHED, SILENT}


def _endpoints(lab: Lab, node: str) -> Counter[str]:
    """By chain, how many connections went to an endpoint."""
    return Counter(
        {r["chain"]: r["packets"] for r in _rules(lab, node) if r["chain"].startswith("endpoint-")}
    )


# what all of them ask


def _fetch(lab: Lab, node: str, to: str, port: int = 80) -> str:
    """How a web server answers, or why none does."""
    try:
        with connected(lab.ns(node), to, port) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            said = b""
            while part := sock.recv(1 << 16):
                said += part
    except TimeoutError:
        return SILENT
    except ConnectionRefusedError:
        return REFUSED
    return said.partition(b"\r\n")[0].decode().partition(" ")[2]


def _askers(lab: Lab, process: str, least: int) -> list[str]:
    """Who has asked a web server, in order; there are so many at least."""

    def told() -> list[str]:
        lines = done("logs", lab.name, process).splitlines()
        asked = [line.split(" - - ")[0] for line in lines if '"GET ' in line]
        return [ip.removeprefix("::ffff:") for ip in asked]

    found: list[str] = eventually(lambda: len(asked := told()) >= least and asked)
    return found


def _counts(lab: Lab, node: str, comment: str) -> int:
    """Packets of the rules with a comment."""
    return sum(r["packets"] for r in _rules(lab, node) if f'comment "{comment}"' in r["text"])


def _rules(lab: Lab, node: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = netlab("show", lab.name, node, "--rules", "--json").json["rules"]
    return [rule for rule in found if rule["packets"] is not None]


def _nft(lab: Lab, node: str, command: str) -> None:
    tool("ip", "netns", "exec", lab.ns(node), "nft", command)


TRANSLATORS = (dmz_firewall, docker_network, home_router, kube_proxy, nat_gateway)
