"""What the kernel decided, beside what it says when it is asked afterwards."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netlab.trace.facts import NeighbourFact
from netlab.trace.heard import Heard, took
from netlab.trace.model import Neighbour, Route
from netlab.trace.sighting import Sighting

ASKED = Route("10.3.0.2", "default", via="10.2.0.2", device="b", table="main", place="x.yaml:4")
LOCAL = Route("10.3.0.2", "10.3.0.2/32", "local", device="lo", table="local")
NONE = Route("10.3.0.2", type="", error="Network is unreachable [ENETUNREACH]")
FOUND = Sighting(
    "gw", "bpf", "route", "b", time=5000, name="main", address="10.3.0.2", via="10.2.0.2"
)
NOT_HERE = replace(FOUND, name="9", device="", via="", error=11)


def heard(*lookups: Sighting) -> Heard:
    found = Heard(lambda at: at / 1000)
    for lookup in lookups:
        found.hear(lookup)
    return found


def test_a_route_that_is_as_it_was_is_confirmed() -> None:
    assert heard(NOT_HERE, FOUND).decided(ASKED, "10.3.0.2", "b") == (replace(ASKED, time=5.0), "")


def test_a_route_that_is_another_one_by_now_is_told_as_it_was() -> None:
    before = replace(FOUND, via="10.2.0.9", device="c")
    assert heard(before).decided(ASKED, "10.3.0.2", "c") == (
        Route("10.3.0.2", via="10.2.0.9", device="c", time=5.0),
        "by now the way would be via 10.2.0.2 dev b",
    )


def test_of_several_next_hops_the_packet_tells_which() -> None:
    first = replace(FOUND, via="10.4.0.2", device="c")
    assert heard(first).decided(ASKED, "10.3.0.2", "b") == (replace(ASKED, time=5.0), "")


def test_lookups_of_other_addresses_do_not_count() -> None:
    source = replace(FOUND, address="10.1.0.2")
    assert heard(source).decided(ASKED, "10.3.0.2", "b") == (ASKED, "")
    assert heard().decided(None, "10.3.0.2", "b") == (None, "")


@pytest.mark.parametrize(
    ("number", "kind", "said"),
    [
        (11, "", "Network is unreachable [ENETUNREACH]"),
        (22, "blackhole", "Invalid argument [EINVAL]"),
        (113, "unreachable", "No route to host [EHOSTUNREACH]"),
        (13, "prohibit", "Permission denied [EACCES]"),
    ],
)
def test_a_way_that_there_was_not_is_told(number: int, kind: str, said: str) -> None:
    route, now = heard(replace(NOT_HERE, error=number)).decided(ASKED, "10.3.0.2", "")
    assert route == Route("10.3.0.2", type=kind, table="9", error=said, time=5.0)
    assert now == "by now there is a way: via 10.2.0.2 dev b"
    assert heard(NOT_HERE).decided(NONE, "10.3.0.2", "") == (replace(NONE, time=5.0), "")


def test_a_packet_that_was_refused_is_told_with_the_refusal() -> None:
    """A route there was, but not for a packet from there."""
    martian = replace(ASKED, error="Invalid cross-device link [EXDEV]")
    assert heard(FOUND).decided(martian, "10.3.0.2", "")[0] == replace(martian, time=5.0)


def test_what_is_for_the_node_itself_is_confirmed_whatever_its_device() -> None:
    own = replace(FOUND, device="eth0", via="", state="local")
    assert heard(own).decided(LOCAL, "10.3.0.2", "") == (replace(LOCAL, time=5.0), "")
    route, now = heard(own).decided(ASKED, "10.3.0.2", "")
    assert route is not None
    assert (route.type, now) == ("local", "by now the way would be via 10.2.0.2 dev b")


def test_a_neighbour_is_told_as_it_was_found() -> None:
    now = NeighbourFact("10.2.0.2", "b", "02:00:00:00:00:01", "reachable")
    asked = Sighting(
        "gw", "bpf", "neighbour", "b", time=7000, address="10.2.0.2", state="incomplete"
    )
    assert heard().neighbour("10.2.0.2", "b", now) == Neighbour(
        "10.2.0.2", "b", "02:00:00:00:00:01", "reachable"
    )
    assert heard(asked).neighbour("10.2.0.2", "b", now) == Neighbour(
        "10.2.0.2", "b", "02:00:00:00:00:01", "incomplete", 7.0
    )
    met = replace(asked, point="neighbour-new", state="")
    assert heard(met).neighbour("10.2.0.2", "b", None) == Neighbour(
        "10.2.0.2", "b", "", "incomplete", 7.0
    )
    assert heard().neighbour("10.2.0.2", "b", None) is None


def test_time_in_a_hook_is_known_where_both_ends_are() -> None:
    assert took(1.5, 4.0) == 2.5
    assert took(None, 4.0) is None
    assert took(1.5, None) is None
