"""What cannot be loaded is told with its place and with what would be right."""

from __future__ import annotations

import pytest

from netlab.firewall.compile import compile_script
from netlab.firewall.parse import parse
from netlab.firewall.problems import RulesetError
from netlab.firewall.sources import Source
from netlab.firewall.swap import rule_places


def _told(text: str, **more: object) -> list[str]:
    with pytest.raises(RulesetError) as told:
        compile_script(parse(text, "gw.nft", **more))  # type: ignore[arg-type]
    return [str(problem) for problem in told.value.problems]


def _rule(line: str) -> list[str]:
    return _told(f"table inet t {{\n\tchain c {{\n\t\t{line}\n\t}}\n}}\n")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("tcp dprt 22 accept", "3:7: tcp has no 'dprt'; did you mean 'dport'?"),
        ("acept", "3:3: unknown word 'acept'; did you mean 'accept'?"),
        ("tcp dport 70000 accept", "3:13: 70000 is too large for inet_service; at most 65535"),
        ('tcp dport "x" accept', "3:13: 'x' is no inet_service"),
        (
            "tcp dport 90-80 accept",
            "3:15: the range is upside down; the smaller value comes first",
        ),
        ("ip saddr 10.0.0.256", "3:12: '10.0.0.256' is no IPv4 address"),
        ("ip saddr 10.0.0.0/33", "3:20: a prefix of 33 bits is longer than ipv4_addr; at most /32"),
        ("jump nowhere", "3:3: table t has no chain 'nowhere'; known: c"),
        ("ip saddr @nobody", "3:12: table t has no set 'nobody'"),
        ("ct state nwe", "3:12: 'nwe' is no ct_state; did you mean 'new'?"),
        ("ip saddr 10.0.0.1 ip6 saddr ::1", "3:21: conflicting protocols: ip and ip6; "
         "no packet is both"),
        ("iif eth9", "3:7: there is no interface 'eth9'; iifname and oifname match by name"),
        ("dnat to 10.0.0.1", "3:3: a table of family inet needs to know which addresses; "
         "write ip or ip6 before 'to'"),
        ("redirect to :80", "3:16: a port needs a match of its protocol before it; "
         "as in tcp dport 80 … or meta l4proto tcp …"),
        ("tcp dport", "3:12: expected a value, found the end of the line"),
        ("log prefix \"x", "3:14: a quoted string does not end on its line; close it with \""),
        ("ip saddr $net", "3:12: unknown variable $net"),
        ("counter " * 130, "3:3: the rule comes to 130 expressions; "
         "the kernel takes 128: part it, or look it up in a set"),
        (f'counter comment "{"x" * 128}"', "3:19: a comment has at most 127 bytes"),
        (f'log prefix "{"x" * 128}"', "3:14: a log prefix has at most 127 bytes"),
        ("limit rate 5/second burst 0 packets", "3:31: a burst of 0 packets lets nothing through; "
         "leave it out"),
        ("quota 18446744073709551615 mbytes", "3:3: 18446744073709551615 mbytes are more than the "
         "kernel can count"),
        ("fib saddr . daddr oif lo", "3:3: fib looks for one address; write saddr or daddr"),
        ("queue to symhash mod 2 offset 65535", "3:12: this comes to queue 65536; "
         "the last queue is 65535"),
        ("meter m { ip saddr }", "3:23: meter m takes a key and what is measured; "
         "as in { ip saddr limit rate 5/second }"),
        ("rt nexthop 10.0.0.1", "3:3: which addresses are meant?; write rt ip nexthop"),
        ("dnat ip to { 1.1.1.1 }", "3:14: expected an address, found '{'"),
        ("tcp dport 80 redirect to 1.1.1.1", "3:28: redirect takes a port here, found '1.1.1.1'; "
         "as in redirect to :8080"),
        ("tcp option 256 exists", "3:14: an option 256 is more than 255"),
        ("ip option rrr exists", "3:13: unknown ip option 'rrr'; did you mean 'rr'?"),
        ("srh sid[3] ::1", "3:12: srh has no 'sid[3]'; did you mean 'sid[2]'?"),
        ("ct label 128", "3:12: '128' is no connection label; "
         "labels are numbers up to 127, or names in /etc/connlabel.conf"),
        ("meta time nonsense", "3:13: 'nonsense' is no date; as in \"2026-01-31 08:00:00\""),
    ],
)  # fmt: skip
def test_a_mistake_in_a_rule_is_told_at_its_place(line: str, told: str) -> None:
    assert _rule(line) == [f"gw.nft:{told}"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "table ip t {\nchain a {\ntype filter hook input priority 0\ngoto a\n}\n}\n",
            "4:1: chain 'a' has a hook: only the kernel enters it; goto to a chain without one",
        ),
        (
            "table ip t {\nchain a {\ntype filter hook input priority 0\njump b\n}\n"
            "chain b {\ntcp dport vmap { 1 : jump c }\n}\nchain c {\naccept\njump b\n}\n}\n",
            "11:1: the chains go in a circle: b → c → b; one of them must return",
        ),
        (
            "table bridge t {\nchain a {\ntype nat hook input priority 0\n}\n}\n",
            "3:1: tables of family bridge have no chains of type nat; those of ip, ip6, inet have",
        ),
        (
            "table ip t {\nchain a {\ntype route hook input priority 0\n}\n}\n",
            "3:1: chains of type route have no hook input; known: output",
        ),
        (
            "table ip t {\nchain a {\nflow add @f\n}\n}\n",
            "3:1: table t has no flowtable 'f'",
        ),
    ],
    ids=["to a base chain", "in a circle", "type of family", "type of hook", "flowtable"],
)
def test_a_mistake_between_chains_is_told_at_its_place(text: str, told: str) -> None:
    assert _told(text) == [f"gw.nft:{told}"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"table ip {'t' * 256} {{\n}}\n", "1:10: a name has at most 255 bytes"),
        (
            "table ip t {\nchain c {\ntype filter hook input priority 3000000000\n}\n}\n",
            "3:33: the priority 3000000000 has more than 32 bits",
        ),
        (
            "table netdev t {\nchain c {\n"
            "type filter hook ingress device wide-interface-0 priority 0\n}\n}\n",
            "3:33: the name of a device has 1 to 15 bytes",
        ),
        (
            "table ip t {\nset s {\ntype ipv4_addr\ngc-interval 50d\n}\n}\n",
            "2:1: 50d is too long; at most 49 days",
        ),
        (
            "table ip t {\nset s {\ntypeof tcp\n}\n}\n",
            "3:8: typeof takes what is read from the packet; as in typeof ip saddr",
        ),
        (
            "table ip t {\nct helper h {\ntype \"ftp\" protocol tcp\nprotocol udp\n}\n}\n",
            "4:1: protocol is said twice",
        ),
        (
            "add table ip t\nadd chain ip t c\nadd rule ip t c index 0 accept\n",
            "3:25: chain c has no rule with index 0 here; it has 0; the first has index 0",
        ),
        ("table inte filter {\n}\n", "1:7: unknown family 'inte'; did you mean 'inet'?"),
        ("add chain inte filter c\n", "1:11: unknown family 'inte'; did you mean 'inet'?"),
        ("table ip t {\n\ud800\n}\n", "1:1: gw.nft is no text in UTF-8"),
    ],
)
def test_what_the_kernel_could_not_hold_is_told_at_its_place(text: str, told: str) -> None:
    assert _told(text) == [f"gw.nft:{told}"]


def test_chains_that_share_a_way_are_no_circle() -> None:
    jumps = {"a": "jump b\njump c", "b": "jump d", "c": "jump d", "d": "accept"}
    chains = "".join(f"chain {name} {{\n{rules}\n}}\n" for name, rules in jumps.items())
    base = "chain z {\ntype filter hook input priority 0\njump a\n}\n"
    assert compile_script(parse(f"table ip t {{\n{chains}{base}}}\n")).messages


def test_all_mistakes_are_told_at_once() -> None:
    text = "table inet t {\nchain a {\nacept\n}\nchain b {\nct stat new\n}\n}\n"
    assert _told(text) == [
        "gw.nft:3:1: unknown word 'acept'; did you mean 'accept'?",
        "gw.nft:6:4: ct has no 'stat'; did you mean 'state'?",
    ]


def test_a_brace_that_is_never_closed_is_told_where_it_opens() -> None:
    assert _told("table inet t {\n\tchain c {\n\t\taccept\n") == [
        "gw.nft:1:14: the brace of table t is never closed; add a '}'",
        "gw.nft:2:10: the brace of chain c is never closed; add a '}'",
    ]


def test_a_text_inside_another_file_is_told_by_that_files_lines() -> None:
    told = _told("table ip t {\nchain c {\nacept\n}\n}\n", line=31, indent=6)
    assert told == ["gw.nft:33:7: unknown word 'acept'; did you mean 'accept'?"]


FILES = {
    "a.nft": 'include "b.nft"\n',
    "b.nft": 'include "a.nft"\n',
    "bad.nft": "table ip t {\nchain c {\nacept\n}\n}\n",
}


def _read(path: str) -> Source:
    if path not in FILES:
        raise ValueError("it is outside of the topology's folder")
    return Source(path, FILES[path])


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("a.nft", "b.nft:1:9: 'a.nft' includes itself: gw.nft → a.nft → b.nft → a.nft"),
        (
            "../etc/x",
            "gw.nft:1:9: cannot include '../etc/x': it is outside of the topology's folder",
        ),
        ("bad.nft", "bad.nft:3:1: unknown word 'acept'; did you mean 'accept'?"),
    ],
)
def test_an_include_is_told_by_the_file_that_is_wrong(path: str, told: str) -> None:
    assert _told(f'include "{path}"\n', read=_read) == [told]


def test_what_is_included_in_a_table_or_a_chain_is_read_as_if_it_stood_there() -> None:
    files = {
        "parts.nft": "set s { type ipv4_addr; }\nchain other {\n}\n",
        "rules.nft": 'ip saddr @s jump other\ninclude "more.nft"\n',
        "more.nft": "counter\ntcp dport nonsense\n",
    }
    text = 'table ip t {\ninclude "parts.nft"\nchain c {\ndrop\ninclude "rules.nft"\n}\n}\n'
    told = _told(text, read=lambda path: Source(path, files[path]))
    assert told == ["more.nft:2:11: 'nonsense' is no inet_service"]
    files["more.nft"] = "counter\n"
    tree = parse(text, "gw.nft", read=lambda path: Source(path, files[path]))
    lines = "".join(f"{text}\n" for text in files.values()).replace('include "more.nft"\n', "")
    whole = lines.replace("ip saddr @s", "chain c {\ndrop\nip saddr @s") + "}"
    assert tree == parse(f"table ip t {{\n{whole}\n}}\n")
    places = rule_places(tree)["ip", "t", "c"]
    assert list(map(str, places)) == ["gw.nft:4:1", "rules.nft:1:1", "more.nft:1:1"]


def test_a_text_of_more_than_16_mib_is_refused() -> None:
    assert _told("#" * ((16 << 20) + 1)) == ["gw.nft:1:1: gw.nft has more than 16 MiB"]
