"""Chains of nftables gone through by a packet: what matches, what does not, what is not known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netlab.trace.explain.packet import ACK, SYN, Packet, Span, exactly
from netlab.trace.explain.scene import Scene
from netlab.trace.explain.tracking import NOTHING, UNTRACKED
from tests.trace.explain.packets import (
    EPHEMERAL,
    all_ways,
    in_chain,
    matched,
    ping,
    ruleset,
    scene,
    seen,
    tcp,
    udp,
)

V6 = {"source": "fd00::2", "to": "fd00:1::2"}
SCENES: dict[str, Scene] = {
    "tcp": scene(tcp()),
    "udp": scene(udp()),
    "ping": scene(ping()),
    "tcp6": scene(tcp(**V6)),
    "ping6": scene(ping(**V6)),
    "output": scene(tcp(), "output", incoming="", user=0),
    "input": scene(tcp(), "input", outgoing=""),
    "reply": scene(tcp(), seen=seen(tcp(), "established", answered=True)),
    "raw": scene(tcp(), "prerouting", seen=NOTHING, outgoing=""),
    "untracked": scene(tcp(), seen=UNTRACKED),
    "marked": scene(tcp(mark=0x11, tos=0xB8, ttl=1)),
    "synack": scene(tcp(flags=SYN | ACK)),
}

HOLDS = """
tcp     tcp dport 80
tcp     tcp dport { 22, 80 }
tcp     tcp dport 1-100
tcp     tcp dport != 22
tcp     tcp dport >= 80
tcp     tcp dport http
tcp     th dport 80
tcp     meta l4proto tcp
tcp     meta l4proto { tcp, udp } th dport 80
tcp     ip protocol tcp
tcp     ip saddr 10.0.0.2
tcp     ip saddr 10.0.0.0/24
tcp     ip saddr != 10.9.0.0/24
tcp     ip saddr . tcp dport { 10.0.0.2 . 80, 10.0.0.3 . 81 }
tcp     ip saddr . tcp dport { 10.0.0.0/8 . 1-100 }
tcp     ip daddr & 255.255.0.0 == 10.1.0.0
tcp     iifname "lan" oifname "wan"
tcp     iifname "l*"
tcp     iif lan
tcp     iifname != { "wan", "dmz" }
tcp     iiftype ether
tcp     ether saddr 02:00:00:00:00:02
tcp     meta nfproto ipv4
tcp     meta protocol ip
tcp     meta length 60
tcp     meta mark 0
tcp     meta pkttype host
tcp     ip ttl 64
tcp     ip dscp 0
tcp     ip length < 100
tcp     tcp flags syn
tcp     tcp flags & (syn | ack) == syn
tcp     tcp flags syn / syn,ack
tcp     tcp flags ! ack
tcp     tcp sport 1024-65535
tcp     @th,16,16 80
tcp     @nh,72,8 6
tcp     ct state new
tcp     ct state new,established
tcp     ct state { new, related }
tcp     ct state != established
tcp     ct direction original
tcp     ct original ip saddr 10.0.0.2
tcp     ct original proto-dst 80
tcp     ct mark 0
tcp     limit rate 1/second
tcp     ct count 5
tcp     quota 1000 bytes
tcp     counter
tcp     log prefix "x"
tcp     meta random >= 0
tcp     numgen inc mod 4 < 4
tcp6    ip6 saddr fd00::/8
tcp6    ip6 nexthdr tcp
tcp6    ip6 hoplimit 64
tcp6    tcp dport 80
tcp6    meta nfproto ipv6
udp     udp dport 53
udp     udp length 25
udp     @th,16,16 53
ping    icmp type echo-request
ping    icmp type { echo-request, echo-reply }
ping    icmp id 7
ping    meta l4proto icmp
ping6   icmpv6 type echo-request
output  meta skuid 0
output  iifname ""
output  oifname "wan"
input   oif 0
reply   ct state established,related
reply   ct status seen-reply
raw     ct state invalid
untracked ct state untracked
marked  meta mark & 0xf0 == 0x10
marked  meta mark 0x10-0x20
marked  ip dscp ef
marked  ip dscp { ef, cs1 }
marked  ip dscp . meta mark { ef . 0x11 }
marked  ip ttl < 2
synack  tcp flags & (syn | ack) == syn | ack
"""

FAILS = """
tcp     tcp dport 81
tcp     tcp dport { 22, 443 }
tcp     tcp dport != 80
tcp     tcp dport != { 80, 81 }
tcp     tcp dport > 80
tcp     udp dport 80
tcp     udp dport != 53
tcp     ip6 saddr ::/0
tcp     icmp type echo-request
tcp     icmp type != echo-request
tcp     ip saddr 10.0.0.3
tcp     ip saddr != 10.0.0.0/24
tcp     ip saddr . tcp dport { 10.0.0.2 . 81, 10.0.0.3 . 80 }
tcp     iifname "wan"
tcp     iifname "w*"
tcp     ct state established
tcp     ct state != new
tcp     ct state invalid,untracked
tcp     ct direction reply
tcp     tcp flags & (syn | ack) == ack
tcp     tcp flags ! syn
tcp     limit rate over 1/second
tcp     ct count over 5
tcp     quota over 1000 bytes
tcp     meta mark 1
tcp     numgen random mod 4 > 3
tcp     vlan id 5
ping    icmp type echo-reply
ping    icmp mtu 1400
ping    tcp flags syn
ping    @th,64,512 0
output  iif lan
output  iiftype ether
output  ether saddr 02:00:00:00:00:02
tcp     meta skuid 0
raw     ct state new
raw     ct mark 0
raw     ct direction original
untracked ct state new
"""

UNKNOWN = """
tcp     tcp sequence 5
tcp     ip id 1
tcp     tcp window > 1000
tcp     tcp option maxseg size 1460
tcp     meta cpu 0
tcp     socket mark 5
tcp     osf name "Linux"
tcp     meta random < 5
tcp     numgen inc mod 2 0
tcp     jhash ip saddr mod 2 0
tcp     tcp checksum 0
tcp     ip checksum != 5
"""


def _cases(text: str) -> list[tuple[str, str]]:
    return [(line.split()[0], line.split(None, 1)[1]) for line in text.strip().splitlines()]


@pytest.mark.parametrize(("where", "rule"), _cases(HOLDS))
def test_it_matches(where: str, rule: str) -> None:
    outcome = in_chain(f"{rule} drop", SCENES[where])
    assert (matched(outcome), outcome.verdict) == ([True], "drop")
    assert all_ways(f"{rule} drop", SCENES[where]) == [("drop", [])]


@pytest.mark.parametrize(("where", "rule"), _cases(FAILS))
def test_it_does_not_match(where: str, rule: str) -> None:
    outcome = in_chain(f"{rule} drop", SCENES[where])
    assert (matched(outcome), outcome.verdict) == ([False], "accept")
    assert all_ways(f"{rule} drop", SCENES[where]) == [("accept", [])]


@pytest.mark.parametrize(("where", "rule"), _cases(UNKNOWN))
def test_what_is_not_known_is_told_and_both_ways_are_gone(where: str, rule: str) -> None:
    assert all_ways(f"{rule} drop", SCENES[where]) == [
        ("drop", ["it does"]), ("accept", ["it does not"]),
    ]  # fmt: skip
    assert matched(in_chain(f"{rule} counter", SCENES[where])) == [None]


def test_what_is_not_known_does_not_matter_where_another_match_of_the_rule_fails() -> None:
    outcome = in_chain("tcp sequence 5 tcp dport 81 drop", SCENES["tcp"])
    assert (matched(outcome), outcome.verdict) == ([False], "accept")


def test_an_ephemeral_port_is_known_by_its_bounds() -> None:
    where = scene(tcp(source_port=EPHEMERAL))
    assert all_ways("tcp sport 1024-65535 drop", where) == [("drop", [])]
    assert all_ways("tcp sport < 1024 drop", where) == [("accept", [])]
    assert all_ways("tcp sport { 1-40000, 40001-65535 } drop", where) == [("drop", [])]
    assert len(all_ways("tcp sport 40000 drop", where)) == 2
    assert len(all_ways("tcp sport { 1-40000 } drop", where)) == 2


# ways through a chain


def test_rules_before_the_one_that_decides_are_told_those_after_it_are_not() -> None:
    rules = """
        tcp dport 22 accept
        counter
        tcp dport 80 drop comment "web"
        accept
    """
    outcome = in_chain(rules, SCENES["tcp"])
    told = [(r.text, r.matched, r.verdict) for r in outcome.chain.rules]
    assert told == [
        ("tcp dport 22 accept", False, ""),
        ("counter", True, "continue"),
        ('tcp dport 80 drop comment "web"', True, "drop"),
    ]
    assert not outcome.chain.by_policy


def test_the_policy_decides_where_no_rule_does() -> None:
    outcome = in_chain("tcp dport 22 accept", SCENES["tcp"], policy="drop")
    assert (outcome.verdict, outcome.chain.by_policy, outcome.rule) == ("drop", True, None)


JUMPS = """
    chain inner { tcp dport 80 counter return; drop; }
    chain accepting { tcp dport 80 accept; }
    chain deeper { jump inner; }
"""


@pytest.mark.parametrize(
    ("rules", "verdict", "depths"),
    [
        ("jump inner\ndrop", "drop", [0, 1, 0]),
        ("goto inner\ndrop", "accept", [0, 1]),
        ("jump accepting\ndrop", "accept", [0, 1]),
        ("jump deeper\ndrop", "drop", [0, 1, 2, 0]),
        ("goto deeper\ndrop", "accept", [0, 1, 2]),
        ("return\ndrop", "accept", [0]),
        ("tcp dport vmap { 80 : jump accepting, 81 : drop }\ndrop", "accept", [0, 1]),
        ("tcp dport vmap { 22 : accept, * : drop }\naccept", "drop", [0]),
        ("tcp dport vmap { 22 : drop }\naccept", "accept", [0, 0]),
        ("ct state vmap { established : accept, new : drop }", "drop", [0]),
        ("ip saddr . tcp dport vmap { 10.0.0.0/8 . 80 : drop }", "drop", [0]),
    ],
)
def test_jumps_return_and_verdict_maps(rules: str, verdict: str, depths: list[int]) -> None:
    outcome = in_chain(rules, SCENES["tcp"], table=JUMPS)
    assert outcome.verdict == verdict
    assert [rule.depth for rule in outcome.chain.rules] == depths


NAMED = """
    set ports { type inet_service; flags interval; elements = { 20-25, 80 }; }
    set hosts { type ipv4_addr . inet_service; elements = { 10.0.0.2 . 80 }; }
    set empty { type ipv4_addr; }
    map marks { type inet_service : mark; elements = { 80 : 0x7, 81 : 0x8 }; }
    map verdicts { type ipv4_addr : verdict; elements = { 10.0.0.2 : drop }; }
    set seen { type ipv4_addr; flags dynamic; }
    set full { type ipv4_addr; flags dynamic; size 1; elements = { 10.0.0.7 }; }
    set flows { type ipv4_addr . inet_service; flags dynamic; }
    map learned { type ipv4_addr : mark; flags dynamic; }
"""


@pytest.mark.parametrize(
    ("rules", "verdict"),
    [
        ("tcp dport @ports drop", "drop"),
        ("tcp dport != @ports drop", "accept"),
        ("ip saddr . tcp dport @hosts drop", "drop"),
        ("ip saddr @empty drop", "accept"),
        ("ip saddr vmap @verdicts", "drop"),
        ("meta mark set tcp dport map @marks\nmeta mark 7 drop", "drop"),
        ("meta mark set 0x10\nmeta mark set meta mark | 0x1\nmeta mark 0x11 drop", "drop"),
        ("ct mark set 5\nct mark 5 drop", "drop"),
        ("ip dscp set ef\nip dscp ef drop", "drop"),
        ("ip ttl set 1\nip ttl 1 drop", "drop"),
        ("tcp dport set 81\ntcp dport 81 drop", "drop"),
        ("add @seen { ip saddr }\ndrop", "drop"),
        ("ip saddr @seen drop", "accept"),
        ("add @seen { ip saddr }\nip saddr @seen drop", "drop"),
        ("add @seen { ip daddr }\nip saddr @seen drop", "accept"),
        ("add @seen { ip saddr }\ndelete @seen { ip saddr }\nip saddr @seen drop", "accept"),
        ("update @seen { ip saddr timeout 1m }\nip saddr @seen drop", "drop"),
        ("add @learned { ip saddr : 7 }\nmark set ip saddr map @learned\nmark 7 drop", "drop"),
        ("add @seen { ip saddr limit rate over 5/second } drop", "accept"),
    ],
)
def test_sets_maps_and_what_is_written(rules: str, verdict: str) -> None:
    assert in_chain(rules, SCENES["tcp"], table=NAMED).verdict == verdict


@pytest.mark.parametrize(
    "rules",
    [
        "add @full { ip saddr } drop",
        "add @learned { ip saddr : meta length }\nmeta mark set ip saddr map @learned drop",
    ],
)
def test_what_is_put_into_a_set_is_not_always_known(rules: str) -> None:
    ways = all_ways(rules, SCENES["tcp"], table=NAMED)
    assert {verdict for verdict, _ in ways} == {"drop", "accept"}


def test_what_is_not_known_is_found_as_what_it_was_put_in_as() -> None:
    packet = tcp(source_port=EPHEMERAL)
    rules = "add @flows { ip saddr . tcp sport }\nip saddr . tcp sport @flows drop"
    assert all_ways(rules, scene(packet), table=NAMED) == [("drop", [])]
    other = "add @flows { ip saddr . tcp sport }\nip saddr . tcp dport @flows drop"
    assert all_ways(other, scene(packet), table=NAMED) == [("accept", [])]


@pytest.mark.parametrize(
    ("rule", "packet", "expected"),
    [
        ("reject", tcp(), (False, (3, 3))),
        ("reject", tcp(**V6), (False, (1, 4))),
        ("reject with tcp reset", tcp(), (True, (0, 0))),
        ("reject with icmp host-unreachable", tcp(), (False, (3, 1))),
        ("reject with icmpx admin-prohibited", tcp(), (False, (3, 13))),
        ("reject with icmpx admin-prohibited", tcp(**V6), (False, (1, 1))),
        ("reject with icmpv6 no-route", tcp(**V6), (False, (1, 0))),
        ("reject with tcp reset", udp(), None),
        ("reject with icmp host-unreachable", tcp(**V6), None),
    ],
)
def test_a_reject_drops_and_says_what_is_sent_back(
    rule: str, packet: Packet, expected: tuple[bool, tuple[int, int]] | None
) -> None:
    outcome = in_chain(rule, scene(packet))
    assert outcome.verdict == ("accept" if expected is None else "drop")
    assert (outcome.reject and tuple(outcome.reject)) == expected


def test_limits_are_taken_as_not_exceeded_which_is_said() -> None:
    outcome = in_chain("limit rate 5/second accept", SCENES["tcp"], policy="drop")
    assert outcome.verdict == "accept"
    assert outcome.notes == ("“limit rate 5/second” is taken as not exceeded",)


def test_only_counters_that_are_reached_count() -> None:
    rules = """
        tcp dport 80 counter ip saddr 10.9.9.9 drop
        ip saddr 10.9.9.9 counter
        counter
    """
    outcome = in_chain(rules, SCENES["tcp"])
    assert [rule.place for rule in outcome.counted] == ["rules.nft:7", "rules.nft:9"]


def test_rules_know_their_line() -> None:
    outcome = in_chain("\n drop", SCENES["tcp"])
    assert [rule.place for rule in outcome.chain.rules] == ["rules.nft:7"]


def test_a_choice_of_the_kernel_is_every_choice() -> None:
    rule = "meta mark set numgen inc mod 2 map { 0 : 1, 1 : 2 }\nmeta mark 2 drop"
    assert all_ways(rule, SCENES["tcp"]) == [("accept", ["0 : 1"]), ("drop", ["1 : 2"])]


def test_bridges_see_frames() -> None:
    where = replace(scene(tcp()), layer="bridge")
    mac = "ether saddr 02:00:00:00:00:02"
    for rule in ("ether type ip", mac, "ip saddr 10.0.0.2", 'ibrname "x"'):
        expected = "accept" if "ibrname" in rule else "drop"
        assert in_chain(f"{rule} drop", where).verdict == expected, rule


# which chains there are, and in which order


def test_chains_come_by_priority_and_of_one_priority_the_newest_first() -> None:
    held = ruleset("""
        table inet a {
            chain late { type filter hook input priority 10; }
            chain first { type filter hook input priority -5; }
            chain same { type filter hook input priority 10; }
            chain other { type filter hook forward priority 0; }
        }
        table ip b { chain early { type filter hook input priority raw; } }
        table ip6 c { chain six { type filter hook input priority 0; } }
    """)
    names = [chain.name for chain in held.base_chains("ip", "input", 4)]
    assert names == ["early", "first", "same", "late"]
    assert [c.name for c in held.base_chains("ip", "input", 6)] == ["first", "six", "same", "late"]


def test_a_script_is_followed() -> None:
    held = ruleset("""
        define web = 80
        define lan = { 10.0.0.0/24, 10.5.0.0/24 }
        add table inet t
        add chain inet t c { type filter hook forward priority 0; policy drop; }
        add rule inet t c tcp dport $web counter
        insert rule inet t c ip saddr $lan log
        add set inet t s { type inet_service; }
        add element inet t s { 80 }
        add rule inet t c tcp dport @s accept
        table inet t { chain c { drop; }; }
        table ip gone { chain x { type filter hook forward priority 0; }; }
        delete table ip gone
    """)
    assert [table.name for table in held.tables] == ["t"]
    (chain,) = held.tables[0].chains.values()
    texts = [rule.text for rule in chain.rules]
    assert texts == ["ip saddr $lan log", "tcp dport $web counter", "tcp dport @s accept", "drop"]
    from netlab.trace.explain.evaluate import go_through

    outcome = go_through(chain, held, SCENES["tcp"])
    assert (outcome.verdict, matched(outcome)) == ("accept", [True, True, True])
    assert not held.gaps


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("ct state new accept", True),
        ("tcp dport 80 accept", False),
        ("meta mark set ct mark", True),
        ("ip saddr . ct mark { 10.0.0.1 . 5 } accept", True),
        ("ct count over 5 drop", True),
    ],
)
def test_connections_are_tracked_only_where_a_rule_asks_for_them(text: str, asks: bool) -> None:
    held = ruleset(f"table ip t {{ chain c {{ {text}; }}; }}")
    assert held.tracks(4) is asks


def test_translations_are_asked_for() -> None:
    def wanted(rule: str) -> tuple[str, int | None, Span | None]:
        held = ruleset(f"""
            table ip t {{ chain c {{ type nat hook prerouting priority dstnat; {rule}; }}; }}
        """)
        from netlab.trace.explain.evaluate import go_through

        outcome = go_through(held.tables[0].chains["c"], held, scene(tcp(), "prerouting"))
        assert outcome.translation is not None
        return outcome.translation[0], outcome.translation.first, outcome.translation.ports

    address = int.from_bytes(bytes((10, 9, 0, 5)), "big")
    assert wanted("dnat to 10.9.0.5") == ("dnat", address, None)
    assert wanted("tcp dport 80 dnat to 10.9.0.5:8080") == ("dnat", address, exactly(8080))
    assert wanted("tcp dport 80 redirect to :3128") == ("redirect", None, exactly(3128))
    mapped = "dnat ip to ip daddr . tcp dport map { 10.1.0.2 . 80 : 10.9.0.5 . 81 }"
    assert wanted(mapped) == ("dnat", address, exactly(81))
