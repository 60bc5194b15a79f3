"""From one ruleset to another: what is made anew, and where each rule was written."""

from __future__ import annotations

from netlab.firewall.compile import DELTABLE, NEWTABLE
from netlab.firewall.parse import parse
from netlab.firewall.swap import chain_places, differing, rule_places, swap, uncovered
from netlab.firewall.syntax import Script

LINKS = {"lo": 1}
NAMELESS = "table ip n {\nchain c {\ntcp dport 22 jump {\ncounter\n}\n}\n}\n"


def _table(name: str, rule: str) -> str:
    return f"table ip {name} {{\nchain c {{\n{rule}\n}}\n}}\n"


def test_only_tables_that_come_to_something_else_are_made_anew() -> None:
    before = parse(_table("a", "tcp dport 22 accept") + _table("b", "drop") + NAMELESS)
    after = parse(_table("a", "tcp dport ssh accept") + _table("b", "accept") + NAMELESS)
    assert differing(before, after, LINKS) == [("ip", "b")]
    numbers = [message.number for message in swap(before, after, LINKS).messages]
    assert numbers[:3] == [NEWTABLE, DELTABLE, NEWTABLE]
    assert numbers.count(NEWTABLE) == 2


def test_what_is_not_translated_is_compared_as_it_is_written() -> None:
    before, after = parse(NAMELESS), parse(NAMELESS.replace("22", "23"))
    assert uncovered(before, LINKS) == {("ip", "n")}
    assert differing(before, before, LINKS) == []
    assert differing(before, after, LINKS) == [("ip", "n")]


def test_taking_all_away_takes_each_table_away() -> None:
    before = parse(_table("a", "drop") + _table("b", "drop"))
    numbers = [message.number for message in swap(before, Script(()), LINKS).messages]
    assert numbers == [NEWTABLE, DELTABLE, NEWTABLE, DELTABLE]


def test_rules_are_placed_in_the_order_of_their_chain() -> None:
    text = (
        "table ip t {\nchain c {\naccept\ndrop\n}\nchain d {\naccept\n}\n}\n"
        "insert rule ip t c return\n"
        "add rule ip t c index 0 counter\n"
        "insert rule ip t c index 1 log\n"
        "add rule ip t c notrack\n"
        "flush chain ip t d\n"
        "add rule ip t d drop\n"
        "add rule ip t e handle 5 drop\n"
    )
    places = {chain: [p.line for p in each] for chain, each in rule_places(parse(text)).items()}
    assert places == {("ip", "t", "c"): [10, 12, 11, 3, 4, 13], ("ip", "t", "d"): [15]}


def test_a_chain_is_where_it_was_first_written() -> None:
    text = (
        "table ip t {\n chain c {\n  accept\n }\n chain d {\n }\n}\n"
        "table inet t {\n chain c {\n  drop\n }\n}\n"
        "table ip t {\n chain c {\n  drop\n }\n}\n"
        "add chain ip t e\n"
    )
    assert {chain: place.line for chain, place in chain_places(parse(text)).items()} == {
        ("ip", "t", "c"): 2, ("ip", "t", "d"): 5, ("inet", "t", "c"): 9, ("ip", "t", "e"): 18,
    }  # fmt: skip


def test_a_table_that_is_taken_away_has_no_places() -> None:
    text = _table("a", "drop") + "delete table ip a\n" + _table("b", "drop") + "flush ruleset\n"
    assert rule_places(parse(text)) == {}
