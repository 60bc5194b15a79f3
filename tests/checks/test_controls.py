"""Which of the tests that held shows that a way works, and which shows nothing of it."""

from __future__ import annotations

import pytest

from netlab.checks.controls import Held, control
from netlab.trace.request import Words, probe_of
from netlab.trace.terrain import Device, Spot, Terrain

ADDRESSES = {"a": ("10.0.0.1/24", "fd00::1/64"), "b": ("10.0.0.2/24", "fd00::2/64"),
             "c": ("10.0.0.3/24", "fd00::3/64")}  # fmt: skip
TERRAIN = Terrain(
    "lab",
    "lab.yaml",
    {n: Spot(n, "host", f"lab.{n}", (Device("eth0", "veth", addresses=own),))
     for n, own in ADDRESSES.items()},
)  # fmt: skip


def shown(denied: Words, held: Words) -> str:
    """Where no echo is answered, and no trace can be told."""
    known = [Held("it", probe_of(held, TERRAIN))]
    return control(denied, known, TERRAIN, lambda node, address: False, lambda words: None)


@pytest.mark.parametrize(
    ("denied", "held"),
    [
        (Words("a", "b", tcp=23), Words("a", "b", tcp=80)),
        (Words("a", "b", tcp=23), Words("b", "a", icmp=True)),
        (Words("a", "b", udp=53, version=6), Words("a", "fd00::2", icmp=True)),
        (Words("a", "10.96.0.1", tcp=23), Words("a", "10.96.0.1", tcp=80)),
    ],
)
def test_the_same_way_there_or_back_shows_it(denied: Words, held: Words) -> None:
    assert shown(denied, held) == "the test it"


@pytest.mark.parametrize(
    ("denied", "held"),
    [
        (Words("a", "b", tcp=23), Words("a", "c", tcp=80)),
        (Words("a", "b", tcp=23), Words("a", "b", tcp=80, version=6)),
        (Words("a", "192.0.2.1", tcp=23), Words("a", "10.96.0.1", tcp=80)),
        (Words("a", "192.0.2.1", tcp=23), Words("b", "192.0.2.1", tcp=80)),
        (Words("a", "192.0.2.1", tcp=23), Words("a", "b", tcp=80)),
    ],
)
def test_another_way_shows_nothing(denied: Words, held: Words) -> None:
    assert shown(denied, held) == ""


def test_an_echo_back_shows_it_where_none_is_answered_there() -> None:
    asked = []

    def answered(node: str, address: str) -> bool:
        asked.append((node, address))
        return node == "b"

    denied = Words("a", "b", tcp=23)
    said = control(denied, [], TERRAIN, answered, lambda words: None)
    assert said == "an echo from b to 10.0.0.1 is answered"
    assert asked == [("a", "10.0.0.2"), ("b", "10.0.0.1")]
