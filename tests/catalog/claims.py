"""What each lab's description says, checked on the lab: one function a lab, named as its file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

from tests.catalog.filters import FILTERS
from tests.catalog.translators import TRANSLATORS
from tests.catalog.witness import Lab, started
from tests.live.world import NETLAB, done, eventually, inside, ip, netlab, tool

ECHO = "icmp[icmptype] == icmp-echo"
"""Only the way there, so that a capture says which way a ping took."""


def two_hosts(lab: Lab) -> None:
    """alice ── bob"""
    assert lab.neighbours("alice") == {}
    with lab.watched("bob", "eth0", "arp or icmp") as seen:
        assert lab.pings("alice", "bob")
        asked, sent, *_ = eventually(lambda: len(found := seen("10.0.0.2")) > 3 and found)[0::2]
    assert "who-has 10.0.0.2 tell 10.0.0.1" in asked
    assert "echo request" in sent
    assert lab.neighbours("alice") == {"10.0.0.2": lab.mac("bob", "eth0")}


def lan(lab: Lab) -> None:
    """alice, bob and carol at sw"""
    bob = lab.mac("bob", "eth0")
    for family in ("-4", "-6"):
        assert lab.pings("alice", "bob", family) and lab.pings("alice", "carol", family)
    assert _ports_of(lab, "sw", "br0")[bob] == "bob"
    with lab.watched("bob", "eth0", ECHO) as at_bob, lab.watched("carol", "eth0", ECHO) as at_carol:
        eventually(lambda: _unknown_frame(lab, bob) and at_carol("length 108"))
        assert lab.pings("alice", "bob", "-4", "-s", "200")
        eventually(lambda: at_bob("length 208"))
        assert lab.pings("alice", "carol", "-4", "-s", "300")
        eventually(lambda: at_carol("length 308"))
        assert at_carol("length 208") == []


def _unknown_frame(lab: Lab, mac: str) -> bool:
    """One echo request to a MAC that the switch has just forgotten."""
    subprocess.run(
        ["bridge", "-n", lab.ns("sw"), "fdb", "del", mac, "dev", "bob", "master"],
        capture_output=True, timeout=10,
    )  # fmt: skip
    return lab.pings("alice", "bob", "-4", "-s", "100")


def _ports_of(lab: Lab, node: str, bridge: str) -> dict[str, str]:
    entries = json.loads(tool("bridge", "-n", lab.ns(node), "-json", "fdb", "show", "br", bridge))
    return {e["mac"]: e["ifname"] for e in entries if e.get("state") != "permanent"}


def two_lans(lab: Lab) -> None:
    """alice, bob ── left ── gw ── right ── dora"""
    with lab.watched("gw", "left", ECHO) as left, lab.watched("gw", "right", ECHO) as right:
        assert "ttl=63" in lab.ping_says("alice", "dora")
        (before,) = eventually(lambda: left("192.168.1.2 > 192.168.2.2"))
        (after,) = eventually(lambda: right("192.168.1.2 > 192.168.2.2"))
    macs = {n: lab.mac(n, "eth0") for n in ("alice", "dora")}
    assert f"{macs['alice']} > {lab.mac('gw', 'left')}" in before
    assert f"{lab.mac('gw', 'right')} > {macs['dora']}" in after
    assert "ttl=64" in lab.ping_says("alice", "bob")


def dual_stack(lab: Lab) -> None:
    """alice ── gw ── bob"""
    assert lab.pings("alice", "bob", "-4") and lab.pings("alice", "bob", "-6")
    gw = lab.mac("gw", "a")
    neighbours = {ip: mac for ip, mac in lab.neighbours("alice").items() if "fe80" not in ip}
    assert neighbours == {"10.1.0.1": gw, "2001:db8:1::1": gw}
    ways = [lab.routes("alice", family)["default"]["gateway"] for family in ("-4", "-6")]
    assert ways == ["10.1.0.1", "2001:db8:1::1"]


def ring(lab: Lab) -> None:
    """west ── r1 ══ two ways of three routers ══ r5 ── east"""
    assert "ttl=59" in lab.ping_says("west", "east")
    hops = lab.routes("r1")["192.168.5.0/24"]["nexthops"]
    assert [(hop["dev"], hop["weight"]) for hop in hops] == [("eth0", 1), ("eth1", 1)]
    ways = {port: _way(lab, port) for port in range(5000, 5040)}
    assert set(ways.values()) == {"eth0", "eth1"}
    assert ways == {port: _way(lab, port) for port in ways}


def _way(lab: Lab, port: int) -> str:
    flow = f"192.168.5.2 from 192.168.1.2 iif lan ipproto udp sport {port} dport 9"
    return str(ip(lab.ns("r1"), "route", "get", *flow.split())[0]["dev"])


def container_bridge(lab: Lab) -> None:
    """a, b ── docker0 of host ── peer"""
    assert "ttl=64" in lab.ping_says("a", "b")
    ports = _ports_of(lab, "host", "docker0")
    assert [ports[lab.mac(c, "eth0")] for c in ("a", "b")] == ["vetha", "vethb"]
    with lab.watched("peer", "eth0", "icmp") as seen:
        assert "ttl=63" in lab.ping_says("a", "peer", "-s", "100")
        eventually(lambda: seen("172.17.0.2 > 203.0.113.2: ICMP echo request"))
        eventually(lambda: seen("203.0.113.2 > 172.17.0.2: ICMP echo reply"))
        tool("ip", "-n", lab.ns("peer"), "route", "del", "172.17.0.0/16")
        assert not lab.pings("a", "peer", "-s", "200", "-W1")
        eventually(lambda: seen("length 208"))
        assert [line for line in seen("echo reply") if "length 208" in line] == []


def tun_vpn(lab: Lab) -> None:
    """laptop ── home ── internet ── office ── server"""
    assert not lab.pings("laptop", "server", "-W1")
    with (
        lab.running(lab.told_commands(), until="tunnel is open"),
        lab.watched("internet", "west", "ip") as seen,
    ):
        assert "ttl=62" in lab.ping_says("laptop", "server")
        assert eventually(lambda: seen("198.51.100.2.5555 > 203.0.113.2.5555: UDP"))
        assert eventually(lambda: seen("203.0.113.2.5555 > 198.51.100.2.5555: UDP"))
        assert seen("10.50.0.2") + seen("192.168.1.2") == []
    assert not {"10.50.0.0/24", "192.168.1.0/24", "default"} & lab.routes("internet").keys()


def tap_switch(lab: Lab) -> None:
    """h1, h2, h3 ── hub"""
    eventually(lambda: all("NO-CARRIER" in tap["flags"] for tap in _taps(lab)))
    assert not lab.pings("h1", "h2", "-W1")
    with (
        lab.running(lab.told_commands(), until="hub is running"),
        lab.watched("h3", "eth0", "icmp") as seen,
    ):
        assert lab.pings("h1", "h2")
        eventually(lambda: seen("10.7.0.1 > 10.7.0.2: ICMP echo request"))
        eventually(lambda: seen("10.7.0.2 > 10.7.0.1: ICMP echo reply"))


def _taps(lab: Lab) -> list[dict[str, Any]]:
    """The kernel's link watch lags: that nobody holds a tap shows within a second."""
    return [link for link in ip(lab.ns("hub"), "link") if link["ifname"].startswith("tap")]


def policy_routing(lab: Lab) -> None:
    """office, guest ── gw ── isp-a, isp-b ── internet ── web"""
    with lab.watched("gw", "wan-a", "icmp") as by_a, lab.watched("gw", "wan-b", "icmp") as by_b:
        assert lab.pings("office", "web") and lab.pings("guest", "web")
        assert eventually(lambda: by_a("10.1.0.2 > 203.0.113.80"))
        assert eventually(lambda: by_b("10.2.0.2 > 203.0.113.80"))
        assert lab.pings("office", "guest") and lab.pings("guest", "office")
        assert by_a("10.2.0.2") + by_b("10.1.0.2") == []
        tool("ip", "-n", lab.ns("gw"), "link", "set", "wan-a", "down")
        assert not lab.pings("office", "web", "-W1")
        assert lab.pings("guest", "web")
        assert by_b("10.1.0.2") == []


def proxy_arp(lab: Lab) -> None:
    """pod1, pod2 ── node ── far"""
    assert "ttl=63" in lab.ping_says("pod1", "pod2")
    assert "ttl=63" in lab.ping_says("pod1", "far")
    assert lab.neighbours("pod1") == {"169.254.1.1": lab.mac("node", "cali1")}
    held = {a["local"] for node in ("pod1", "pod2", "node", "far")
            for i in ip(lab.ns(node), "address") for a in i["addr_info"]}  # fmt: skip
    assert "169.254.1.1" not in held
    assert lab.routes("node")["10.65.0.1"]["dev"] == "cali1"


def pmtu(lab: Lab) -> None:
    """client ──1500── r1 ──1400── r2 ──1500── server"""
    assert lab.pings("client", "server", "-M", "do", "-s", "1372")
    assert "(mtu = 1400)" in lab.ping_says("client", "server", "-M", "do", "-s", "1472")
    assert ip(lab.ns("client"), "route", "get", "10.2.0.2")[0]["metrics"] == [{"mtu": 1400}]
    assert _sent(lab, 100_000) == 100_000
    tool("ip", "-n", lab.ns("client"), "route", "flush", "cache")
    _drop_icmp(lab, "client")
    assert _sent(lab, 1000) == 1000
    assert _sent(lab, 100_000) == 0


def _drop_icmp(lab: Lab, node: str) -> None:
    chain = "{ type filter hook input priority 0; }"
    rules = f"add table ip t; add chain ip t c {chain}; add rule ip t c ip protocol icmp drop"
    tool("ip", "netns", "exec", lab.ns(node), "nft", rules)


SINK = """
import socket
with socket.create_server(("", 7000)) as door:
    print("open", flush=True)
    guest, _ = door.accept()
    guest.settimeout(1)
    count = 0
    try:
        while data := guest.recv(65536):
            count += len(data)
    except TimeoutError:
        pass
    print("received", count, flush=True)
    guest.recv(1)
"""

SOURCE = """
import socket, sys
with socket.create_connection(("10.2.0.2", 7000), 5) as out:
    print("connected", flush=True)
    out.sendall(bytes(int(sys.argv[1])))
    out.shutdown(socket.SHUT_WR)
    out.recv(1)
"""


def _sent(lab: Lab, size: int) -> int:
    """How much of a TCP connection's data arrives before a second passes without any."""
    sink = [*NETLAB, "exec", lab.name, "server", "--", "python3", "-c", SINK]
    source = [*NETLAB, "exec", lab.name, "client", "--", "python3", "-c", SOURCE, str(size)]
    with started(sink, until="open") as said, started(source, until="connected"):
        (line,) = eventually(lambda: [text for text in said() if "received" in text])
    return int(line.split()[1])


def vxlan_overlay(lab: Lab) -> None:
    """g1 ── host1 ── fabric ── host2 ── g2"""
    with lab.watched("fabric", "a", "udp port 4789") as seen:
        # a bridge's port forwards as soon as the kernel has seen that it has a carrier
        eventually(lambda: lab.pings("g1", "g2", "-M", "do", "-s", "1422"))
        assert eventually(lambda: seen("vni 100"))
        assert eventually(lambda: seen("length 1514"))
    fdb = ["bridge", "-n", lab.ns("host1"), "-json", "fdb", "show", "dev", "vx100"]
    learned = {e["mac"]: e["dst"] for e in json.loads(tool(*fdb)) if "dst" in e}
    assert learned[lab.mac("g2", "eth0")] == "10.2.0.2"
    assert inside(lab.name, "g1", "ping", "-c1", "-M", "do", "-s", "1423", "g2").code != 0


def ospf(lab: Lab) -> None:
    """west ── r1 ── r2 ── east, and r1 ── r4 ── r3 ── r2"""
    assert [p["state"] for node in lab.shown() for p in node["processes"]] == ["running"] * 4
    eventually(lambda: lab.pings("west", "east"), 20)
    eventually(lambda: len(_told(lab, "r1")) == 6, 20)
    assert "ttl=62" in lab.ping_says("west", "east")
    (cut,) = lab.told_commands()[1:2]
    assert cut[2:] == ["r1", "--", "ip", "link", "set", "r2", "down"]
    assert inside(lab.name, "r1", *cut[4:]).code == 0
    eventually(lambda: "ttl=60" in lab.ping_says("west", "east"), 20)
    assert _told(lab, "r1")["192.168.2.0/24"]["dev"] == "r4"


def _told(lab: Lab, node: str) -> dict[str, Any]:
    return {to: r for to, r in lab.routes(node).items() if r["protocol"] == "bird"}


def dhcp_dns(lab: Lab) -> None:
    """gw, alice and bob at lan"""
    # udhcpc says what it has before its script sets it
    leased = {n: eventually(lambda n=n: _addresses(lab, n, "inet")) for n in ("alice", "bob")}
    assert all(one[0].startswith("192.168.1.1") and len(one) == 1 for one in leased.values())
    (ping,) = lab.told_commands()[:1]
    said = inside(lab.name, ping[2], *ping[4:], "-c1", "-n")
    assert (said.code, f"PING alice.lan ({leased['alice'][0]})" in said.out) == (0, True)
    assert "alice" not in inside(lab.name, "bob", "cat", "/etc/hosts").out
    told = done("logs", lab.name, "gw/dnsmasq")
    assert all(f"DHCPACK(lan) {leased[n][0]} {lab.mac(n, 'eth0')} {n}" in told for n in leased)
    done("stop", lab.name, "alice")
    released = f"DHCPRELEASE(lan) {leased['alice'][0]}"
    eventually(lambda: released in done("logs", lab.name, "gw"))
    assert _addresses(lab, "alice", "inet") == []


def _addresses(lab: Lab, node: str, family: str) -> list[str]:
    """Those that eth0 was given, not those it was made with."""
    (link,) = ip(lab.ns(node), "address", "show", "dev", "eth0")
    found = [a for a in link["addr_info"] if a["family"] == family and a.get("dynamic")]
    return [a["local"] for a in found]


def slaac(lab: Lab) -> None:
    """alice and bob ── lan ── gw ── web"""
    for node in ("alice", "bob"):
        (address,) = eventually(lambda node=node: _addresses(lab, node, "inet6"), 10)
        assert address.startswith("2001:db8:1::") or address.startswith("2001:db8:1:0:")
        (router,) = ip(lab.ns(node), "-6", "route", "show", "default")
        assert (router["protocol"], router["gateway"][:6]) == ("ra", "fe80::")
        assert lab.pings(node, "2001:db8:2::2")
        assert netlab("show", lab.name, node, "--json").json["interfaces"][0]["addresses"] == []


def web(lab: Lab) -> None:
    """client ── r1 ── web"""
    fetch = ("busybox", "wget", "-qO-", "http://web/")
    assert inside(lab.name, "client", *fetch).out == "hello from web\n"
    assert '"GET / HTTP/1.1" 200 15' in done("logs", lab.name, "web/nginx")
    (before,) = lab.shown("web")[0]["processes"]
    os.kill(before["pid"], signal.SIGKILL)
    assert eventually(lambda: _restarted(lab)) > 0
    eventually(lambda: inside(lab.name, "client", *fetch).out == "hello from web\n")


def _restarted(lab: Lab) -> int:
    (nginx,) = lab.shown("web")[0]["processes"]
    return int(nginx["restarts"]) if nginx["state"] == "running" else 0


Claim = Callable[[Lab], None]

CLAIMS: Mapping[str, Claim] = {
    claim.__name__.replace("_", "-"): claim
    for claim in (
        *FILTERS, *TRANSLATORS,
        container_bridge, dhcp_dns, dual_stack, lan, ospf, pmtu, policy_routing, proxy_arp, ring,
        slaac, tap_switch, tun_vpn, two_hosts, two_lans, vxlan_overlay, web,
    )
}  # fmt: skip
