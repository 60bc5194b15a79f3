"""`nat:` on the real kernel, with real clients: TCP and UDP, IPv4 and IPv6.

alice, bob ── lan ── (lan) gw (wan) ── web
guest ────────────── (guest)
"""
# ruff: noqa: E501 - a line of a topology is one line

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import Write
from tests.live.sockets import (
    REFUSED,
    SILENT,
    Door,
    accepted,
    connected,
    listening,
    spoken,
    tcp,
    udp,
)
from tests.live.world import done, eventually, netlab, tool

LAB = """\
nodes:
  alice: {routes: [{to: default, via: 192.168.1.1}, {to: default, via: "fd01::1"}]}
  bob: {routes: [{to: default, via: 192.168.1.1}, {to: default, via: "fd01::1"}]}
  guest: {routes: [{to: default, via: 192.168.2.1}, {to: default, via: "fd02::1"}]}
  gw:
    kind: router
    nftables: |
      table inet count { chain every { type filter hook forward priority 0; counter; }; }
    nat: {%s}
  lan: {kind: switch}
  web: {routes: [{to: 198.51.100.0/24, via: 203.0.113.1}]}
links:
  - ["alice:eth0 192.168.1.2/24 fd01::2/64", lan]
  - ["bob:eth0 192.168.1.3/24 fd01::3/64", lan]
  - ["gw:lan 192.168.1.1/24 fd01::1/64", lan]
  - ["guest:eth0 192.168.2.2/24 fd02::2/64", "gw:guest 192.168.2.1/24 fd02::1/64"]
  - ["gw:wan 203.0.113.1/24 203.0.113.7/24 2001:db8::1/64 2001:db8::7/64", "web:eth0 203.0.113.2/24 2001:db8::2/64"]
"""

ALICE = {4: "192.168.1.2", 6: "fd01::2"}
BOB = {4: "192.168.1.3", 6: "fd01::3"}
GUEST = {4: "192.168.2.2", 6: "fd02::2"}
LAN = {4: "192.168.1.1", 6: "fd01::1"}
WAN = {4: "203.0.113.1", 6: "2001:db8::1"}
SECOND = {4: "203.0.113.7", 6: "2001:db8::7"}
WEB = {4: "203.0.113.2", 6: "2001:db8::2"}
OUTER = {family: (WAN[family], SECOND[family]) for family in (4, 6)}
"""Of several addresses IPv6 takes which it likes."""

TABLE = ("inet", "netlab_nat")
Ask = Callable[[str, str, int, Door], str]
Up = Callable[[str], str]
each_way = pytest.mark.parametrize(
    ("ask", "family"),
    [(tcp, 4), (tcp, 6), (udp, 4), (udp, 6)],
    ids=["TCP IPv4", "TCP IPv6", "UDP IPv4", "UDP IPv6"],
)
each_family = pytest.mark.parametrize("family", [4, 6])


@pytest.fixture
def up(write: Write, lab: str) -> Up:
    """The lab with what stands under `nat:`, new or changed; its name."""

    def made(nat: str) -> str:
        done("up", write(LAB % nat))
        eventually(lambda: all_usable(lab))
        return lab

    return made


def all_usable(lab: str) -> bool:
    """IPv6 takes addresses into use when the kernel's link watch has told it of the carrier."""
    found = Path("/run/netns").glob(f"{lab}.*")
    return not any(tool("ip", "-n", ns.name, "-6", "address", "show", "tentative") for ns in found)


def rules(lab: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = netlab("show", lab, "gw", "--rules", "--json").json["rules"]
    return found


def nft(lab: str, *words: str) -> str:
    return tool("ip", "netns", "exec", f"{lab}.gw", "nft", *words)


@each_way
def test_who_is_masqueraded_is_answered(up: Up, ask: Ask, family: int) -> None:
    lab = up("masquerade: wan")
    with listening(f"{lab}.web", 80) as door:
        assert ask(f"{lab}.alice", WEB[family], 80, door) in OUTER[family]
        assert ask(f"{lab}.guest", WEB[family], 80, door) in OUTER[family]
        up("masquerade: guest")
        assert ask(f"{lab}.alice", WEB[family], 80, door) == SILENT


@each_family
def test_only_what_comes_from_a_prefix_is_masqueraded(up: Up, family: int) -> None:
    lab = up(f'masquerade: {{out: wan, from: "{ALICE[family]}/{32 if family == 4 else 128}"}}')
    with listening(f"{lab}.web", 80) as door:
        assert tcp(f"{lab}.alice", WEB[family], 80, door) in OUTER[family]
        assert tcp(f"{lab}.bob", WEB[family], 80, door) == SILENT
        assert tcp(f"{lab}.alice", WEB[10 - family], 80, door) == SILENT


@each_way
def test_what_is_published_is_reached_from_everywhere(up: Up, ask: Ask, family: int) -> None:
    """Who is beside the target has to be masqueraded; all others are seen as they are."""
    lab = up('publish: [{on: wan, tcp: 8080, udp: 8080, to: "alice:80"}]')
    with listening(f"{lab}.alice", 80) as door:
        asked = {n: ask(f"{lab}.{n}", WAN[family], 8080, door) for n in ("web", "guest", "bob")}
        assert asked == {"web": WEB[family], "guest": GUEST[family], "bob": LAN[family]}
        assert ask(f"{lab}.alice", WAN[family], 8080, door) == LAN[family]
        assert ask(f"{lab}.gw", WAN[family], 8080, door) in (*OUTER[family], LAN[family])
        assert ask(f"{lab}.web", SECOND[family], 8080, door) == WEB[family]
        assert ask(f"{lab}.web", WAN[family], 8081, door) == REFUSED
        assert ask(f"{lab}.bob", LAN[family], 8080, door) == REFUSED
        for rule in (r for r in rules(lab) if "hairpin" in r["text"]):
            nft(lab, "delete", "rule", *TABLE, "postrouting", "handle", str(rule["handle"]))
        assert ask(f"{lab}.bob", WAN[family], 8080, door) == SILENT
        assert ask(f"{lab}.guest", WAN[family], 8080, door) == GUEST[family]


@each_way
def test_every_port_of_a_range_leads_to_its_own(up: Up, ask: Ask, family: int) -> None:
    lab = up(
        'publish: [{on: wan, tcp: 8000-8002, udp: 8000-8002, to: "alice:9000-9002"},'
        " {on: wan, tcp: 7000-7001, udp: 7000-7001, to: bob}]"
    )
    leads = {
        8000: ("alice", 9000), 8001: ("alice", 9001), 8002: ("alice", 9002),
        7000: ("bob", 7000), 7001: ("bob", 7001),
    }  # fmt: skip
    for asked, (node, port) in leads.items():
        with listening(f"{lab}.{node}", port) as door:
            assert ask(f"{lab}.web", WAN[family], asked, door) == WEB[family]
    with listening(f"{lab}.alice", 9001) as door:
        assert ask(f"{lab}.bob", WAN[family], 8001, door) == LAN[family]
        assert ask(f"{lab}.web", WAN[family], 8000, door) == REFUSED
        assert ask(f"{lab}.web", WAN[family], 8003, door) == REFUSED


@each_family
def test_who_comes_from_a_prefix_gets_another_source(up: Up, family: int) -> None:
    prefix = {4: "192.168.1.0/24", 6: "fd01::/64"}[family]
    lab = up(f'snat: [{{from: "{prefix}", out: wan, to: "{SECOND[family]}"}}]')
    with listening(f"{lab}.web", 80) as door:
        assert tcp(f"{lab}.alice", WEB[family], 80, door) == SECOND[family]
        assert udp(f"{lab}.bob", WEB[family], 80, door) == SECOND[family]
        assert tcp(f"{lab}.guest", WEB[family], 80, door) == SILENT


def test_each_source_keeps_the_one_of_a_range_that_it_got(up: Up) -> None:
    """They are routed to gw, which need not have them."""
    lab = up("snat: [{out: wan, to: 198.51.100.16-198.51.100.31}]")
    nodes = ("alice", "bob", "guest")
    with listening(f"{lab}.web", 80) as door:
        seen = {n: {tcp(f"{lab}.{n}", WEB[4], 80, door) for _ in range(3)} for n in nodes}
    assert [len(found) for found in seen.values()] == [1, 1, 1]
    within = ip_network("198.51.100.16/28")
    assert all(ip_address(ip) in within for found in seen.values() for ip in found)


@each_way
def test_one_to_one_leads_both_ways(up: Up, ask: Ask, family: int) -> None:
    lab = up(f'masquerade: wan, one_to_one: [{{outside: "{SECOND[family]}", inside: bob}}]')
    with listening(f"{lab}.bob", 5000) as door:
        asked = {n: ask(f"{lab}.{n}", SECOND[family], 5000, door) for n in ("web", "guest", "alice")}
        assert asked == {"web": WEB[family], "guest": GUEST[family], "alice": LAN[family]}
        assert ask(f"{lab}.web", WAN[family], 5000, door) == REFUSED
    with listening(f"{lab}.web", 80) as door:
        assert ask(f"{lab}.bob", WEB[family], 80, door) == SECOND[family]
        assert ask(f"{lab}.alice", WEB[family], 80, door) in OUTER[family]
    with listening(f"{lab}.guest", 80) as door:
        assert ask(f"{lab}.bob", GUEST[family], 80, door) == BOB[family]


def test_what_is_published_on_an_address_that_comes_later_is_reached(
    write: Write, lab: str
) -> None:
    """As above; gw's wan has no address written"""
    before, _, _ = LAB.rpartition("  - ")
    link = '  - [{node: gw, interface: wan, addresses: []}, "web:eth0 203.0.113.2/24 2001:db8::2/64"]\n'
    done("up", write(before % 'publish: [{on: wan, tcp: 8080, to: "alice:80"}]' + link))
    for address in (f"{WAN[4]}/24", f"{WAN[6]}/64"):
        tool("ip", "-n", f"{lab}.gw", "address", "add", address, "dev", "wan")
    eventually(lambda: all_usable(lab))
    with listening(f"{lab}.alice", 80) as door:
        for family in (4, 6):
            assert tcp(f"{lab}.web", WAN[family], 8080, door) == WEB[family]
            assert tcp(f"{lab}.bob", WAN[family], 8080, door) == LAN[family]
            assert tcp(f"{lab}.bob", LAN[family], 8080, door) == REFUSED


ROUTED = """\
nodes:
  gw:
    kind: router
    nat: {publish: [{on: wan, tcp: 80, to: far}]}
    routes: [{to: 10.2.0.0/24, via: 10.1.0.2}]
  mid: {kind: router, routes: [{to: default, via: 10.1.0.1}]}
  lan: {kind: switch}
  far: {routes: [{to: default, via: 10.2.0.1}]}
  near: {routes: [{to: default, via: 10.2.0.1}]}
  web:
links:
  - ["gw:in 10.1.0.1/24", "mid:out 10.1.0.2/24"]
  - ["mid:in 10.2.0.1/24", lan]
  - ["far:eth0 10.2.0.2/24", lan]
  - ["near:eth0 10.2.0.3/24", lan]
  - ["gw:wan 203.0.113.1/24", "web:eth0 203.0.113.2/24"]
"""


def test_a_hairpin_leads_over_another_router_as_well(write: Write, lab: str) -> None:
    """far, near ── lan ── mid ── gw (wan) ── web"""
    done("up", write(ROUTED))
    with listening(f"{lab}.far", 80) as door:
        assert tcp(f"{lab}.web", WAN[4], 80, door) == WEB[4]
        assert tcp(f"{lab}.near", WAN[4], 80, door) == "10.1.0.1"


BRIDGED = """\
nodes:
  a: {routes: [{to: default, via: 172.17.0.1}, {to: default, via: "fd17::1"}]}
  b: {routes: [{to: default, via: 172.17.0.1}, {to: default, via: "fd17::1"}]}
  host:
    kind: router
    interfaces:
      docker0: {kind: bridge, ports: [va, vb], addresses: [172.17.0.1/16, "fd17::1/64"]}
      va: {bridge_port: {hairpin: true}}
    nat: {publish: [{on: wan, tcp: 8080, udp: 8080, to: "a:80"}]}
  web:
links:
  - ["a:eth0 172.17.0.2/16 fd17::2/64", {node: host, interface: va, addresses: []}]
  - ["b:eth0 172.17.0.3/16 fd17::3/64", {node: host, interface: vb, addresses: []}]
  - ["host:wan 203.0.113.1/24 2001:db8::1/64", "web:eth0 203.0.113.2/24 2001:db8::2/64"]
"""


@each_way
def test_a_hairpin_on_a_bridge_of_the_node(
    write: Write, lab: str, ask: Ask, family: int
) -> None:
    """a, b ── docker0 of host (wan) ── web"""
    done("up", write(BRIDGED))
    eventually(lambda: all_usable(lab))
    bridge = {4: "172.17.0.1", 6: "fd17::1"}[family]
    with listening(f"{lab}.a", 80) as door:
        asked = {n: ask(f"{lab}.{n}", WAN[family], 8080, door) for n in ("web", "b", "a")}
        assert asked == {"web": WEB[family], "b": bridge, "a": bridge}


def test_a_port_can_lead_to_the_node_itself(up: Up) -> None:
    lab = up('publish: [{on: wan, tcp: 80, to: "gw:8080"}]')
    with listening(f"{lab}.gw", 8080) as door:
        assert tcp(f"{lab}.web", WAN[4], 80, door) == WEB[4]
        assert tcp(f"{lab}.bob", WAN[6], 80, door) == BOB[6]


def test_what_is_written_in_nft_comes_first(write: Write, lab: str) -> None:
    own = "chain post { type nat hook postrouting priority srcnat; ip saddr 192.168.1.3 snat to 203.0.113.7; }"
    text = LAB.replace("    nat:", f"      table ip own {{ {own}; }}\n    nat:", 1)
    done("up", write(text % "masquerade: wan"))
    with listening(f"{lab}.web", 80) as door:
        assert tcp(f"{lab}.bob", WEB[4], 80, door) == SECOND[4]
        assert tcp(f"{lab}.alice", WEB[4], 80, door) == WAN[4]


CHANGES = (
    'masquerade: wan, publish: [{on: wan, tcp: 8080, to: "alice:80"}]',
    'masquerade: wan, publish: [{on: wan, tcp: 8080, to: "bob:80"}]',
    "masquerade: guest",
)


def test_a_change_leaves_connections_and_other_tables_alone(up: Up, write: Write) -> None:
    lab = up(CHANGES[0])
    with ExitStack() as stack:
        doors = {n: stack.enter_context(listening(f"{lab}.{n}", 80)) for n in ("alice", "bob", "web")}
        outwards = stack.enter_context(connected(f"{lab}.alice", WEB[4], 80))
        far, seen = stack.enter_context(accepted(doors["web"]))
        assert seen == WAN[4]
        inwards = stack.enter_context(connected(f"{lab}.web", WAN[4], 8080))
        near, seen = stack.enter_context(accepted(doors["alice"]))
        assert seen == WEB[4]
        for nat in CHANGES[1:]:
            counted = nft(lab, "list", "table", "inet", "count")
            assert f"{lab}: 1 step in " in done("up", write(LAB % nat))
            assert nft(lab, "list", "table", "inet", "count") == counted
            assert spoken(outwards, far) and spoken(near, inwards)
            assert nft(lab, "list", "table", "inet", "count") != counted
            expected = WEB[4] if "bob" in nat else REFUSED
            assert tcp(f"{lab}.web", WAN[4], 8080, doors["bob"]) == expected
        assert tcp(f"{lab}.bob", WEB[4], 80, doors["web"]) == SILENT


def test_a_change_of_other_tables_leaves_the_counters_of_nat_alone(up: Up, write: Write) -> None:
    lab = up("masquerade: wan")
    with listening(f"{lab}.web", 80) as door:
        assert tcp(f"{lab}.alice", WEB[4], 80, door) == WAN[4]
    done("up", write((LAB % "masquerade: wan").replace("priority 0;", "priority 1;")))
    counted = {r["table"]: r["packets"] for r in rules(lab)}
    assert counted == {"count": 0, "netlab_nat": 1}


ALL = (
    'masquerade: [wan, {out: guest, from: "fd01::/64"}], publish: [{on: wan, tcp: 8080, to: "alice:80"},'
    ' {on: [wan, guest], udp: 5000-5002, to: "bob:6000-6002"}],'
    ' snat: [{from: 192.168.2.0/24, out: wan, to: 203.0.113.1-203.0.113.1}],'
    ' one_to_one: [{outside: 203.0.113.7, inside: bob}]'
)


def test_the_kernel_holds_what_nft_would_load_and_shows_each_line(up: Up, tmp_path: Path) -> None:
    lab = up(ALL.replace("], ", "],\n      "))
    script = done("script", tmp_path / f"{lab}.yaml")
    text = "table inet count" + script.partition("printf %s 'table inet count")[2].partition("'")[0]
    assert "table inet netlab_nat" in text
    (tmp_path / "rules.nft").write_text(text)
    tool("ip", "netns", "add", f"{lab}.judge")
    try:
        judge = ("ip", "netns", "exec", f"{lab}.judge", "nft")
        tool(*judge, "-f", str(tmp_path / "rules.nft"))
        assert nft(lab, "-s", "list", "ruleset") == tool(*judge, "-s", "list", "ruleset")
    finally:
        tool("ip", "netns", "del", f"{lab}.judge")
    places: dict[str, int] = {}
    for rule in rules(lab):
        if rule["table"] == "netlab_nat":
            file, _, line = rule["place"].rpartition(":")
            assert file == str(tmp_path / f"{lab}.yaml")
            places[line] = places.get(line, 0) + 1
    assert places == {"9": 4, "10": 8, "12": 1, "13": 3}


def test_it_is_shown_in_words(write: Write, lab: str) -> None:
    said = done("up", write(LAB % ALL))
    assert " 2001:db8::7/64   masquerade wan   masquerade guest from fd01::/64   publish " in (
        said.replace("\u00a0", " ")
    )
    (gw,) = [n for n in netlab("show", lab, "--json").json["nodes"] if n["name"] == "gw"]
    assert gw["nat"] == [
        "masquerade wan", "masquerade guest from fd01::/64",
        "publish tcp/8080 on wan → alice:80", "publish udp/5000-5002 on wan, guest → bob:6000-6002",
        "snat 192.168.2.0/24 out wan → 203.0.113.1", "one to one 203.0.113.7 ⇄ bob",
    ]  # fmt: skip
    assert "masquerade guest from fd01::/64\n" in done("show", lab, "gw")
