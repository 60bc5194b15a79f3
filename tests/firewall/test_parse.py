"""nft text ⇄ tree: what is printed is what was read, and nothing makes it stumble."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlab.firewall.compile import compile_script
from netlab.firewall.parse import parse
from netlab.firewall.problems import RulesetError
from netlab.firewall.show import show

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.nft"))

ADDRESSES = st.sampled_from(
    ["10.0.0.1", "192.168.0.0/16", "10.0.0.1-10.0.0.9", "$net", "0.0.0.0/0"]
)
PORTS = st.one_of(st.integers(0, 65535).map(str), st.sampled_from(["ssh", "80-90", "$port"]))
STATE = st.sampled_from(["new", "established", "related", "invalid"])
STATES = st.lists(STATE, min_size=1, max_size=3, unique=True).map(",".join)
OPERATORS = st.sampled_from(["", "!= ", "== "])
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
COMMENTS = st.text("abc xyz'é,;{}#", max_size=20)


def _set(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(values, min_size=1, max_size=4).map(lambda v: "{ " + ", ".join(v) + " }")


MATCHES = st.one_of(
    st.tuples(st.sampled_from(["ip saddr", "ip daddr"]), OPERATORS, ADDRESSES | _set(ADDRESSES)),
    st.tuples(
        st.sampled_from(["tcp dport", "udp sport", "th dport", "sctp dport"]),
        OPERATORS,
        PORTS | _set(PORTS),
    ),
    st.tuples(st.just("ct state"), st.just(""), STATES),
    st.tuples(
        st.just("tcp flags"), st.just(""), st.sampled_from(["syn", "syn / syn,ack", "! fin"])
    ),
    st.tuples(st.just("iifname"), OPERATORS, st.sampled_from(['"lo"', '"eth*"', "eth0"])),
    st.tuples(
        st.just("meta mark"), OPERATORS, st.sampled_from(["0x10", "5 | 3", "(1 | 2) & 7", "1 << 4"])
    ),
    st.tuples(st.just("meta mark & 0xff"), st.just("== "), st.just("5")),
    st.tuples(st.just("@th,16,16"), OPERATORS, PORTS),
    st.tuples(st.just("fib saddr . iif oif"), st.just(""), st.just("missing")),
    st.tuples(
        st.just("ip saddr . tcp dport"), st.just(""), st.just("{ 10.0.0.1 . 22, 10.0.0.2 . 80-90 }")
    ),
).map(lambda parts: f"{parts[0]} {parts[1]}{parts[2]}")
ACTIONS = st.sampled_from([
    "accept", "drop", "return", "jump other", "goto other", "counter", "notrack",
    "counter packets 5 bytes 100", 'log prefix "x " level debug flags all', "log group 3",
    "limit rate 5/second burst 10 packets", "limit rate over 1 mbytes/second", "reject",
    "quota over 5 mbytes", "reject with icmpx admin-prohibited", "reject with tcp reset",
    "meta mark set ct mark | 0x10", "ct mark set meta mark", "ip dscp set cs1",
    "tcp option maxseg size set rt mtu", "dnat ip to 10.0.0.1", "snat ip to 10.0.0.1-10.0.0.9",
    "masquerade random", "redirect to :8080", "tcp dport vmap { 22 : accept, 80 : jump other }",
    "meta mark set ip saddr map { 10.0.0.1 : 5 }", "numgen inc mod 2 vmap { 0 : drop, 1 : accept }",
    "add @seen { ip saddr timeout 10s counter }", "queue flags bypass to 3",
    "ct helper set \"ftp\"",
    "synproxy mss 1460 wscale 7 timestamp sack-perm", "tproxy ip to 127.0.0.1:3128",
])  # fmt: skip
RULES = st.tuples(st.lists(MATCHES, max_size=3), ACTIONS, COMMENTS).map(
    lambda parts: " ".join([*parts[0], parts[1]]) + (f' comment "{parts[2]}"' if parts[2] else "")
)
CHAINS = st.tuples(
    NAMES,
    st.sampled_from([
        "", "type filter hook input priority filter; policy drop;",
        "type nat hook prerouting priority dstnat - 5;",
        "type filter hook forward priority -150; policy accept;",
    ]),
    st.lists(RULES, max_size=4),
).map(lambda parts: f"chain {parts[0]} {{\n{parts[1]}\n" + "\n".join(parts[2]) + "\n}")  # fmt: skip
TABLES = st.tuples(
    st.sampled_from(["ip", "ip6", "inet", "arp", "bridge", "netdev"]),
    NAMES,
    st.lists(CHAINS, max_size=3),
).map(lambda parts: f"table {parts[0]} {parts[1]} {{\n" + "\n".join(parts[2]) + "\n}\n")


@settings(deadline=None, print_blob=True)
@given(TABLES)
def test_what_is_printed_is_what_was_read(text: str) -> None:
    tree = parse(text)
    assert parse(show(tree)) == tree


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.stem)
def test_the_corpus_is_printed_as_it_was_read(file: Path) -> None:
    tree = parse(file.read_text())
    assert parse(show(tree)) == tree


def _said(text: str) -> None:
    """Either it compiles, or every mistake has its place."""
    try:
        compile_script(parse(text, "f.nft"))
    except RulesetError as wrong:
        assert wrong.problems
        for problem in wrong.problems:
            assert problem.place.file == "f.nft"
            assert 1 <= problem.place.line <= text.count("\n") + 1
            assert problem.message


@settings(deadline=None, print_blob=True, max_examples=300)
@given(st.text(max_size=80))
def test_no_text_makes_it_stumble(text: str) -> None:
    _said(text)


WORDS = sorted({word for file in CORPUS for word in file.read_text().split()})


@settings(deadline=None, print_blob=True, max_examples=400)
@given(st.lists(st.sampled_from(WORDS), max_size=14), st.sampled_from([" ", "\n"]))
def test_no_row_of_nft_words_makes_it_stumble(words: list[str], gap: str) -> None:
    _said("table inet t {\nchain c {\n" + gap.join(words) + "\n}\n}\n")
    _said(gap.join(words))


LINES = [
    line
    for file in CORPUS
    for line in file.read_text().splitlines()
    if line.startswith("\t\t")
]


@settings(deadline=None, print_blob=True, max_examples=400)
@given(
    st.sampled_from(LINES),
    st.integers(0, 200),
    st.sampled_from(WORDS) | st.sampled_from(list('{}()"$@;:,.-/|&!=<> \n')),
    st.sampled_from(["ip", "ip6", "inet", "arp", "bridge", "netdev"]),
)
def test_no_damaged_rule_makes_it_stumble(line: str, at: int, word: str, family: str) -> None:
    words = line.split(" ")
    words[at % len(words)] = word
    _said(f"table {family} t {{\nchain x {{ }}\nchain c {{\n{' '.join(words)}\n}}\n}}\n")


@settings(deadline=None, print_blob=True, max_examples=100)
@given(st.sampled_from(CORPUS), st.integers(0, 4000), st.integers(1, 40))
def test_no_hole_in_a_ruleset_makes_it_stumble(file: Path, at: int, length: int) -> None:
    text = file.read_text()[:4000]
    _said(text[:at] + text[at + length :])
