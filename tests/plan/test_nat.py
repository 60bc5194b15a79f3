"""`nat:` as rules in nft syntax, each with its line; and everything that can be wrong with it."""

from __future__ import annotations

import json
from textwrap import dedent, indent

import pytest

from netlab.errors import TopologyError
from netlab.firewall.compile import compile_script
from netlab.firewall.parse import parse
from netlab.resources.firewall import Firewall
from tests.plan.labs import inventory, read_text, road, told

LAB = """\
nodes:
  alice: {routes: [{to: default, via: 192.168.1.1}]}
  bob:
  six:
  gw:
    kind: router
    interfaces: {wan: {addresses: [203.0.113.1/24, 203.0.113.7/24, "2001:db8::1/64"]}}
    nat:
%s
  lan: {kind: switch}
  web:
links:
  - ["alice:eth0 192.168.1.2/24 fd01::2/64", lan]
  - ["bob:eth0 192.168.1.3/24", lan]
  - ["six:eth0 fd01::6/64", lan]
  - ["gw:lan 192.168.1.1/24 fd01::1/64", lan]
  - ["gw:wan", "web:eth0 203.0.113.2/24"]
"""
"""alice, bob, six ── lan ── gw (wan) ── web; `nat:` begins in line 9"""


def lab(nat: str) -> str:
    return LAB % indent(dedent(nat).strip("\n"), "      ")


def firewall(nat: str, node: str = "gw") -> Firewall:
    found = inventory(lab(nat)).get(("firewall", f"l.{node}"))
    assert isinstance(found, Firewall)
    return found


def rules(nat: str) -> list[str]:
    """Those of the first chain, and those of the last."""
    chain, found = "", []
    for line in map(str.strip, firewall(nat).nat.splitlines()):
        chain = line if line.startswith("chain ") else chain
        if " counter " in line and chain in ("chain published {", "chain postrouting {"):
            found.append(line)
    return found


def wrong(text: str) -> list[str]:
    """``line: path: message; hint``"""
    with pytest.raises(TopologyError) as told:
        read_text(text)
    return [
        f"{p.line}: {p.path.removeprefix('nodes.gw.nat.')}: {p.message}"
        + (f"; {p.hint}" if p.hint else "")
        for p in told.value.problems
    ]


def test_the_table_as_a_whole_with_the_place_of_each_line() -> None:
    found = firewall("""
        masquerade: wan
        publish:
          - {on: wan, tcp: 8080, to: "bob:80"}
    """)
    assert found.nat == """\
table inet netlab_nat {
	chain published {
		ip daddr { 203.0.113.1, 203.0.113.7 } tcp dport 8080 counter dnat ip to 192.168.1.3:80
	}
	chain prerouting {
		type nat hook prerouting priority dstnat + 1;
		jump published
	}
	chain output {
		type nat hook output priority -99;
		jump published
	}
	chain postrouting {
		type nat hook postrouting priority srcnat + 1;
		iifname "lan" oifname "lan" ip daddr 192.168.1.3 tcp dport 80 ct status dnat counter \
masquerade comment "hairpin"
		oifname "wan" counter masquerade
	}
}
"""
    assert found.asked == (
        (8, 5), (8, 5), (11, 11), (8, 5), (8, 5), (8, 5), (8, 5), (8, 5), (8, 5), (8, 5), (8, 5),
        (8, 5), (8, 5), (8, 5), (11, 11), (9, 19), (8, 5), (8, 5),
    )  # fmt: skip
    assert found.entries == ("masquerade wan", "publish tcp/8080 on wan → bob:80")


WAN4 = "ip daddr { 203.0.113.1, 203.0.113.7 }"
HAIRPIN = 'iifname "lan" oifname "lan"'
END = 'ct status dnat counter masquerade comment "hairpin"'

CASES: dict[str, tuple[str, list[str]]] = {
    "a name": ("masquerade: wan", ['oifname "wan" counter masquerade']),
    "names": (
        "masquerade: [wan, lan]",
        ['oifname "wan" counter masquerade', 'oifname "lan" counter masquerade'],
    ),
    "several in one": (
        "masquerade: {out: [wan, lan]}",
        ['oifname { "wan", "lan" } counter masquerade'],
    ),
    "from a prefix": (
        'masquerade: [{out: wan, from: 192.168.1.0/24}, {out: wan, from: "::/0"}]',
        [
            'oifname "wan" ip saddr 192.168.1.0/24 counter masquerade',
            'oifname "wan" meta nfproto ipv6 counter masquerade',
        ],
    ),
    "both families": (
        "publish: [{on: wan, tcp: 22, to: alice}]",
        [
            f"{WAN4} tcp dport 22 counter dnat ip to 192.168.1.2",
            "ip6 daddr 2001:db8::1 tcp dport 22 counter dnat ip6 to fd01::2",
            f"{HAIRPIN} ip daddr 192.168.1.2 tcp dport 22 {END}",
            f"{HAIRPIN} ip6 daddr fd01::2 tcp dport 22 {END}",
        ],
    ),
    "an address": (
        'publish: [{on: wan, udp: 53, to: "192.168.1.99:5353"}]',
        [
            f"{WAN4} udp dport 53 counter dnat ip to 192.168.1.99:5353",
            f"{HAIRPIN} ip daddr 192.168.1.99 udp dport 5353 {END}",
        ],
    ),
    "an IPv6 address": (
        'publish: [{on: wan, udp: 53, to: "[fd01::99]:5353"}]',
        [
            "ip6 daddr 2001:db8::1 udp dport 53 counter dnat ip6 to [fd01::99]:5353",
            f"{HAIRPIN} ip6 daddr fd01::99 udp dport 5353 {END}",
        ],
    ),
    "an IPv6 address alone": (
        'publish: [{on: wan, udp: 53, to: "fd01::99"}]',
        [
            "ip6 daddr 2001:db8::1 udp dport 53 counter dnat ip6 to fd01::99",
            f"{HAIRPIN} ip6 daddr fd01::99 udp dport 53 {END}",
        ],
    ),
    "a family of the target alone": (
        "publish: [{on: wan, tcp: 80, to: six}]",
        [
            "ip6 daddr 2001:db8::1 tcp dport 80 counter dnat ip6 to fd01::6",
            f"{HAIRPIN} ip6 daddr fd01::6 tcp dport 80 {END}",
        ],
    ),
    "tcp and udp": (
        "publish: [{on: wan, tcp: 53, udp: 53, to: bob}]",
        [
            f"{WAN4} tcp dport 53 counter dnat ip to 192.168.1.3",
            f"{WAN4} udp dport 53 counter dnat ip to 192.168.1.3",
            f"{HAIRPIN} ip daddr 192.168.1.3 tcp dport 53 {END}",
            f"{HAIRPIN} ip daddr 192.168.1.3 udp dport 53 {END}",
        ],
    ),
    "a range": (
        "publish: [{on: wan, tcp: 8000-8010, to: bob}]",
        [
            f"{WAN4} tcp dport 8000-8010 counter dnat ip to 192.168.1.3",
            f"{HAIRPIN} ip daddr 192.168.1.3 tcp dport 8000-8010 {END}",
        ],
    ),
    "a range elsewhere": (
        'publish: [{on: wan, tcp: 8000-8002, to: "bob:9000-9002"}]',
        [
            f"{WAN4} tcp dport 8000-8002 counter dnat ip to 192.168.1.3 : "
            "tcp dport map { 8000 : 9000, 8001 : 9001, 8002 : 9002 }",
            f"{HAIRPIN} ip daddr 192.168.1.3 tcp dport 9000-9002 {END}",
        ],
    ),
    "on several": (
        "publish: [{on: [wan, lan], tcp: 80, to: bob}]",
        [
            "ip daddr { 203.0.113.1, 203.0.113.7, 192.168.1.1 } tcp dport 80 counter "
            "dnat ip to 192.168.1.3",
            f"{HAIRPIN} ip daddr 192.168.1.3 tcp dport 80 {END}",
        ],
    ),
    "the node itself": (
        'publish: [{on: wan, tcp: 80, to: "gw:8080"}]',
        [
            f"{WAN4} tcp dport 80 counter dnat ip to 192.168.1.1:8080",
            "ip6 daddr 2001:db8::1 tcp dport 80 counter dnat ip6 to [fd01::1]:8080",
        ],
    ),
    "a target behind another router": (
        'publish: [{on: wan, tcp: 80, to: "10.9.9.9"}]',
        [
            f"{WAN4} tcp dport 80 counter dnat ip to 10.9.9.9",
            'iifname . oifname { "lan" . "lan", "wan" . "wan" } ip daddr 10.9.9.9 tcp dport 80 '
            + END,
        ],
    ),
    "a source": (
        "snat: [{from: 192.168.1.0/24, out: wan, to: 203.0.113.7}]",
        ['oifname "wan" ip saddr 192.168.1.0/24 counter snat ip to 203.0.113.7'],
    ),
    "a range of sources": (
        "snat: [{out: wan, to: 198.51.100.7-198.51.100.9}]",
        ['oifname "wan" meta nfproto ipv4 counter snat ip to 198.51.100.7-198.51.100.9'],
    ),
    "an IPv6 source": (
        'snat: [{from: "fd01::/64", out: wan, to: "2001:db8::1"}]',
        ['oifname "wan" ip6 saddr fd01::/64 counter snat ip6 to 2001:db8::1'],
    ),
    "one to one": (
        "one_to_one: [{outside: 203.0.113.7, inside: bob}]",
        [
            "ip daddr 203.0.113.7 counter dnat ip to 192.168.1.3",
            f"{HAIRPIN} ip daddr 192.168.1.3 {END}",
            'oifname "wan" ip saddr 192.168.1.3 counter snat ip to 203.0.113.7',
        ],
    ),
    "one to one, routed": (
        'one_to_one: [{on: wan, outside: "2001:db8:9::1", inside: "fd01::6"}]',
        [
            "ip6 daddr 2001:db8:9::1 counter dnat ip6 to fd01::6",
            f"{HAIRPIN} ip6 daddr fd01::6 {END}",
            'oifname "wan" ip6 saddr fd01::6 counter snat ip6 to 2001:db8:9::1',
        ],
    ),
    "an address that is another's is not published on": (
        """
        masquerade: wan
        publish: [{on: wan, tcp: 80, to: "alice"}]
        snat: [{from: 192.168.1.2/32, out: wan, to: 203.0.113.1}]
        one_to_one: [{outside: 203.0.113.7, inside: bob}]
        """,
        [
            "ip daddr 203.0.113.1 tcp dport 80 counter dnat ip to 192.168.1.2",
            "ip6 daddr 2001:db8::1 tcp dport 80 counter dnat ip6 to fd01::2",
            "ip daddr 203.0.113.7 counter dnat ip to 192.168.1.3",
            f"{HAIRPIN} ip daddr 192.168.1.2 tcp dport 80 {END}",
            f"{HAIRPIN} ip6 daddr fd01::2 tcp dport 80 {END}",
            f"{HAIRPIN} ip daddr 192.168.1.3 {END}",
            'oifname "wan" ip saddr 192.168.1.3 counter snat ip to 203.0.113.7',
            'oifname "wan" ip saddr 192.168.1.2/32 counter snat ip to 203.0.113.1',
            'oifname "wan" counter masquerade',
        ],
    ),
}


def test_where_the_only_address_is_used_one_to_one_what_is_published_comes_first() -> None:
    """a ── h (wan) ── w"""
    text = """
        nodes:
          a:
          h:
            kind: router
            nat:
              publish: [{on: wan, tcp: 80, to: 10.1.0.9}]
              one_to_one: [{outside: 10.9.0.1, inside: a}]
          w:
        links: [["a:e 10.1.0.2/24", "h:lan 10.1.0.1/24"], ["h:wan 10.9.0.1/24", w]]
    """
    (found,) = [r for r in inventory(text).values() if isinstance(r, Firewall)]
    assert """
		ip daddr 10.9.0.1 tcp dport 80 counter dnat ip to 10.1.0.9
		ip daddr 10.9.0.1 counter dnat ip to 10.1.0.2
""" in found.nat


@pytest.mark.parametrize("case", CASES)
def test_an_entry_is_these_rules(case: str) -> None:
    nat, expected = CASES[case]
    assert rules(nat) == expected


@pytest.mark.parametrize("case", CASES)
def test_what_is_made_is_right_nft(case: str) -> None:
    compile_script(parse(firewall(CASES[case][0]).nat))


def test_an_interface_that_gets_its_addresses_later() -> None:
    """host ── (lan) gw (wan, no address written)"""
    text = """
        nodes:
          host:
          gw: {kind: router, nat: {publish: [{on: wan, tcp: 80, to: host}]}}
          isp:
        links:
          - ["host:eth0 10.1.0.2/24", "gw:lan 10.1.0.1/24"]
          - [{node: gw, interface: wan, addresses: []}, {node: isp, addresses: []}]
    """
    (found,) = [r for r in inventory(text).values() if isinstance(r, Firewall)]
    assert (
        "ip daddr != { 127.0.0.0/8, 10.1.0.1 } fib daddr type local tcp dport 80 counter "
        "dnat ip to 10.1.0.2\n"
    ) in found.nat


def test_behind_a_bridge_a_hairpin_is_known_by_its_source() -> None:
    """c ── (p) br of h (wan) ── w"""
    text = """
        nodes:
          c:
          h:
            kind: router
            nat: {publish: [{on: wan, tcp: 80, to: c}]}
            interfaces: {br: {kind: bridge, ports: [p], addresses: [10.1.0.1/24, 10.2.0.1/24]}}
          w:
        links:
          - ["c:eth0 10.1.0.2/24", {node: h, interface: p, addresses: []}]
          - ["h:wan 10.9.0.1/24", w]
    """
    (found,) = [r for r in inventory(text).values() if isinstance(r, Firewall)]
    assert (
        'oifname "br" ip saddr { 10.1.0.0/24, 10.2.0.0/24 } ip daddr 10.1.0.2 tcp dport 80 '
        'ct status dnat counter masquerade comment "hairpin"\n'
    ) in found.nat


def test_automatic_addresses_and_computed_ways() -> None:
    """a ── gw ── b, nothing written"""
    text = """
        routing: static
        nodes: {a: , gw: {kind: router, nat: {publish: [{on: out, tcp: 80, to: a}]}}, b: }
        links: [[a, "gw:in"], ["gw:out", b]]
    """
    (found,) = [r for r in inventory(text).values() if isinstance(r, Firewall)]
    assert "ip daddr 10.0.0.2 tcp dport 80 counter dnat ip to 10.0.0.0\n" in found.nat
    assert "ip6 daddr fd00:10::2 tcp dport 80 counter dnat ip6 to fd00:10::\n" in found.nat


NONE = "nodes: {gw: {kind: router}, web: }\nlinks: [['gw:wan 10.0.0.1/24', 'web:e 10.0.0.2/24']]"
NAT = NONE.replace("router}", "router, nat: {masquerade: wan, snat: [{out: wan, to: 10.0.0.1}]}}")
BOTH = NAT.replace("nat:", 'nftables: "table ip t { }", nat:', 1)


def test_a_plan_says_it_in_words() -> None:
    assert [step for step in told(NAT) if "nat" in step] == [
        "+ gw: nat: masquerade wan, snat out wan → 10.0.0.1"
    ]
    assert "+ gw: nftables rules; nat: masquerade wan, snat out wan → 10.0.0.1" in told(BOTH)
    assert road(NONE, NAT) == ["+ gw: nat: masquerade wan, snat out wan → 10.0.0.1"]
    assert road(NAT, NONE) == ["- gw: nat: masquerade wan, snat out wan → 10.0.0.1"]
    assert road(NAT, BOTH) == [
        "~ gw: nftables rules; nat: masquerade wan, snat out wan → 10.0.0.1  "
        "lines: 1 added, 0 removed"
    ]
    other = NAT.replace("to: 10.0.0.1", "to: 10.7.0.1").replace("0.1/24", "0.1/24 10.7.0.1/24")
    assert (
        "~ gw: nat: masquerade wan, snat out wan → 10.7.0.1  lines: 1 added, 1 removed"
    ) in road(NAT, other)


def test_lines_that_moved_are_no_change() -> None:
    assert road(NAT, f"# a comment\n\n{NAT}") == []


def test_the_journal_keeps_it_with_its_places() -> None:
    (found,) = [r for r in inventory(BOTH).values() if isinstance(r, Firewall)]
    spec = json.loads(found.spec)
    assert spec["asked"] == [list(place) for place in found.asked]
    assert len(found.asked) == found.nat.count("\n")


def test_a_group_gives_it_to_many() -> None:
    text = """
        groups: {edge: {nat: {masquerade: wan}}}
        nodes: {a: {kind: router, group: edge}, b: {kind: router, group: edge}, w: {kind: switch}}
        links: [["a:wan", w], ["b:wan", w]]
    """
    found = [r for r in inventory(text).values() if isinstance(r, Firewall)]
    assert [r.entries for r in found] == [("masquerade wan",)] * 2
    assert found[0].asked[3] == (2, 35)


WRONG = """
masquerade: [wann, wan, wan, lo, {out: [wan, lan], from: 10.0.0.0/8}, {out: lan, from: 10.0.0.0/8}]
publish:
  - {on: wan, tcp: 70000, to: "alice:80"}
  - {on: wam, tcp: 80, to: "alcie:80"}
  - {on: wan, tcp: 90-80, to: "alice:80"}
  - {on: wan, tcp: 8000-8010, to: "alice:9000-9005"}
  - {on: wan, tcp: 65530-65535, to: "alice:65535"}
  - {on: wan4, udp: 53, to: six}
  - {on: wan4, udp: 54, to: lan}
  - {on: wan, tcp: 443, udp: 443, to: "alice"}
  - {on: [lan, wan], tcp: 440-450, to: "192.168.1.2:1440-1450"}
  - {on: wan, tcp: 444, to: "alice:445"}
  - {on: [lan, lan], udp: 444, to: bob}
  - {on: wan, udp: 501, to: "alice:0"}
  - {on: wan, udp: 502, to: "alice:9-99999"}
  - {on: wan4, tcp: 503, to: "[fd00::2]:80"}
snat:
  - {from: 192.168.1.0/24, out: wan, to: 203.0.113.9-203.0.113.5}
  - {from: 192.168.1.0/24, out: wan, to: "2001:db8::1"}
  - {from: 192.168.1.0/24, out: wan, to: 203.0.113.7-203.0.113.9}
  - {out: wna, to: 203.0.113.1}
  - {out: wan, to: "203.0.113.1-2001:db8::1"}
one_to_one:
  - {outside: 203.0.113.1, inside: alice}
  - {outside: 203.0.113.1, inside: 192.168.1.2}
  - {outside: 198.51.100.7, inside: nobody}
  - {outside: 203.0.113.9, inside: six}
  - {outside: 203.0.113.7, on: none, inside: bob}
"""

EXPECTED = """
9: masquerade[0]: gw has no interface wann; did you mean 'wan'?
9: masquerade[2]: what leaves by wan is masqueraded already
9: masquerade[3]: lo leads nowhere: an interface to the outside is meant
9: masquerade[5]: what leaves by lan is masqueraded already
11: publish[0].tcp: 70000 is no port: there are 1 to 65535
12: publish[1].on: gw has no interface wam; did you mean 'wan'?
12: publish[1].to: unknown node 'alcie'; did you mean 'alice'?
13: publish[2].tcp: the range 90-80 is upside down; write 80-90
14: publish[3].to: 8000-8010 is 11 ports, 9000-9005 is 6 ports; \
write as many, as alice:9000-9010, or none for the same: alice
15: publish[4].to: 65530-65535 is 6 ports, 65535 is 1 port; \
write as many, as alice:65530-65535, or none for the same: alice
16: publish[5].to: six has IPv6 only, wan4 has IPv4 only: no translation leads from one to the other
17: publish[6].to: lan has no address
19: publish[8].tcp: tcp/443 is published on wan already; by nat.publish[7]
20: publish[9].tcp: tcp/444 is published on wan already; by nat.publish[8]
21: publish[10].on[1]: lan stands here twice
22: publish[11].to: 0 is no port: there are 1 to 65535
23: publish[12].to: 99999 is no port: there are 1 to 65535
24: publish[13].to: fd00::2 has IPv6 only, wan4 has IPv4 only: \
no translation leads from one to the other
26: snat[0].to: the range 203.0.113.9-203.0.113.5 is upside down; write 203.0.113.5-203.0.113.9
27: snat[1].from: 192.168.1.0/24 is IPv4, 2001:db8::1 is IPv6
28: snat[2].to: 203.0.113.8 is in the subnet of wan, and no address of gw: \
nobody answers for it; add 203.0.113.8/24 to the addresses of wan
29: snat[3].out: gw has no interface wna; did you mean 'wan'?
30: snat[4].to: 203.0.113.1 is IPv4, 2001:db8::1 is IPv6
33: one_to_one[1].inside: 192.168.1.2 is used one to one already; by nat.one_to_one[0]
33: one_to_one[1].outside: 203.0.113.1 is used one to one already; by nat.one_to_one[0]
34: one_to_one[2].inside: unknown node 'nobody'
34: one_to_one[2].outside: 198.51.100.7 is in no subnet of gw; \
say by `on` which interface is the outer one
35: one_to_one[3].inside: six has IPv6 only, 203.0.113.9 is IPv4
35: one_to_one[3].outside: 203.0.113.9 is in the subnet of wan, and no address of gw: \
nobody answers for it; add 203.0.113.9/24 to the addresses of wan
36: one_to_one[4].on: gw has no interface none; its interfaces: lan, wan, wan4
"""


def test_all_that_is_wrong_is_told_at_once() -> None:
    text = lab(WRONG) + '  - ["gw:wan4 198.18.0.1/24", "web:eth1 198.18.0.2/24"]\n'
    expected = EXPECTED.strip().splitlines()
    assert sorted(wrong(text)) == sorted(expected)


UNREADABLE: dict[str, tuple[str, str]] = {
    "masquerad: wan": ("masquerad", "unknown key 'masquerad'; did you mean 'masquerade'?"),
    "publish: [{on: wan, to: alice}]": ("publish[0]", "a port is missing: `tcp`, `udp` or both"),
    "publish: [{on: wan, tcp: 80}]": ("publish[0]", "`to` is missing"),
    "publish: [{on: wan, tcp: true, to: alice}]": ("publish[0].tcp", "true is no port"),
    "publish: [{on: wan, tcp: http, to: alice}]": ("publish[0].tcp", "'http' is no port"),
    "publish: [{on: wan, tcp: 80, to: 'alice:http'}]": ("publish[0].to", "'http' is no port"),
    "publish: [{on: wan, tcp: 80, to: 'a:b:c:d'}]": ("publish[0].to", "is no node and no address"),
    "publish: [{on: wan, tcp: 80, to: '[alice]:80'}]": ("publish[0].to", "'alice' is none"),
    "publish: [{on: wan, tcp: 80, to: '192.168.1.300:80'}]": ("publish[0].to", "no address"),
    "publish: [{on: [], tcp: 80, to: alice}]": ("publish[0].on", "an interface is meant here"),
    "publish: [{on: wan, tcp: 80, to: alice, form: 1}]": ("publish[0].form", "unknown key"),
    "snat: [{out: wan, to: 203.0.113.x}]": ("snat[0].to", "is no address and no range"),
    "snat: [{from: 10.0.0.1/8, out: wan, to: 203.0.113.1}]": ("snat[0].from", "10.0.0.0/8 is"),
    "one_to_one: [{outside: 203.0.113.7, inside: 'bob:80'}]": ("one_to_one[0].inside", "all ports"),
}


@pytest.mark.parametrize("nat", UNREADABLE)
def test_what_cannot_be_read_is_told_where_it_stands(nat: str) -> None:
    path, message = UNREADABLE[nat]
    (said,) = wrong(lab(nat))
    assert said.startswith(f"9: {path}: ")
    assert message in said


def test_who_forwards_nothing_translates_nothing() -> None:
    text = """
        nodes:
          sw: {kind: switch, nat: {masquerade: a}}
          a: {nat: {masquerade: eth0}}
          b: {nat: {masquerade: eth0}, sysctls: {net.ipv4.ip_forward: 1}}
        links: [["a:eth0", sw], ["b:eth0", sw]]
    """
    assert wrong(text) == [
        "3: nodes.sw.nat: sw is a switch: it passes frames on as they are; a router has `nat`",
        "4: nodes.a.nat: a forwards nothing, so there is nothing to translate; "
        "write `kind: router`",
    ]


def test_ports_of_a_bridge_are_not_where_packets_leave() -> None:
    text = """
        nodes:
          h: {kind: router, nat: {masquerade: p}, interfaces: {br: {kind: bridge, ports: [p]}}}
          c:
        links: [["h:p", c]]
    """
    (said,) = wrong(text)
    assert said.endswith("p is a port of br: packets come and go by the bridge; write br")


def test_a_node_that_could_not_be_read_is_not_said_to_lack_addresses() -> None:
    text = lab("publish: [{on: wan, tcp: 80, to: bob}]").replace(
        "bob:\n", "bob: {interfaces: {eth0: {mtu: 1}}}\n"
    ).replace('"bob:eth0 192.168.1.3/24"', "bob-eth0")  # fmt: skip
    assert [said for said in wrong(text) if "has no address" in said] == []


def test_the_table_is_netlabs_own() -> None:
    text = NAT.replace("nat:", 'nftables: "\\n\\ntable inet netlab_nat { }", nat:', 1)
    (said,) = wrong(text)
    assert said.endswith("the table inet netlab_nat is what `nat:` makes; use another name")


def test_an_address_that_is_answered_for_by_proxy_is_answered_for() -> None:
    text = lab("one_to_one: [{outside: 203.0.113.9, inside: bob}]").replace(
        "    nat:", "    neighbours: [{to: 203.0.113.9, dev: wan, proxy: true}]\n    nat:", 1
    )
    read_text(text)
