"""Which other nodes feel a step."""

from __future__ import annotations

from netlab.plan.diff import diff
from netlab.plan.felt import felt
from netlab.render.words import step_words
from netlab.resources import Inventory
from tests.plan.labs import inventory

LAN = """
nodes: {a: , b: , c: , d: , sw: {kind: switch}}
links:
  - ["a:eth0 10.0.0.1/24", sw]
  - ["b:eth0 10.0.0.2/24", sw]
  - ["b:far 10.1.0.1/24", "c:eth0 10.1.0.2/24"]
  - ["c:more 10.2.0.1/24", "d:eth0 10.2.0.2/24"]
"""


def who_feels(change: tuple[str, str]) -> dict[str, str]:
    before, after = inventory(LAN), inventory(LAN.replace(*change))
    plan = diff(before, after)
    nodes = felt(plan, before, after)
    return {
        step_words(step): " ".join(ns.partition(".")[2] for ns in others)
        for step, others in zip(plan, nodes, strict=True)
    }


def test_who_shares_the_segment_feels_an_address() -> None:
    """a ── sw ── b ── c ── d"""
    steps = who_feels(("a:eth0 10.0.0.1/24", "a:eth0 10.0.0.9/24"))
    assert steps == {
        "- a: address 10.0.0.1/24 dev eth0": "b",
        "~ the lab's /etc/hosts  lines: 1 added, 1 removed": "",
        "+ a: address 10.0.0.9/24 dev eth0": "b",
    }


def test_beside_its_own_ends_who_is_behind_the_switch_feels_a_link() -> None:
    """a ── sw ── b ── c ── d"""
    link = '["a:eth0 10.0.0.1/24", sw]'
    steps = who_feels((link, f"{{endpoints: {link}, mtu: 1400}}"))
    assert steps == {"~ link a:eth0 – sw:a  mtu 1500 → 1400": "b"}


def test_a_link_that_goes_is_felt_by_who_was_there() -> None:
    steps = who_feels(('  - ["a:eth0 10.0.0.1/24", sw]\n', ""))
    assert steps["- link a:eth0 – sw:a"] == "b"


def test_nothing_is_felt_where_nothing_changes() -> None:
    assert felt((), Inventory(), inventory(LAN)) == []
