"""What cannot be loaded is told with its place and with what would be right."""

from __future__ import annotations

import pytest

from netlab.firewall.compile import compile_script
from netlab.firewall.parse import parse
from netlab.firewall.problems import RulesetError
from netlab.firewall.sources import Source


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


def test_a_text_of_more_than_16_mib_is_refused() -> None:
    assert _told("#" * ((16 << 20) + 1)) == ["gw.nft:1:1: gw.nft has more than 16 MiB"]
