"""What every resource answers, and a set of them."""

from __future__ import annotations

import pytest

from netlab.kernel.values import Held, RouteKey
from netlab.resources import Inventory, Resource, network
from netlab.resources.device import Device, Port, Veth
from netlab.resources.firewall import Firewall
from netlab.resources.namespace import Namespace
from netlab.resources.network import Address, Route, Routing, Sysctl
from tests.plan.labs import all_labs, inventory

LABS = all_labs()
A, B = Namespace("l.a"), Namespace("l.b")
CABLE = Veth("l.a", "eth0", "l.b", "eth0", "02:00:00:00:00:01", "02:00:00:00:00:02", 1500, 1500)
BRIDGE = Device("l.a", "br0", "bridge", "", 0, True)
PORT = Port("l.a", "eth0", "br0")
HERE = Address("l.a", "eth0", "10.0.0.1/24")
OUT = Route("l.a", "0.0.0.0/0", (("10.0.0.2", "eth0", 1, False),), over=(HERE.key,))


def test_foundations_come_first_however_they_are_given() -> None:
    assert list(Inventory([OUT, HERE, PORT, CABLE, BRIDGE, B, A]).values()) == [
        B, A, BRIDGE, CABLE, PORT, HERE, OUT,
    ]  # fmt: skip


def test_what_stands_on_what() -> None:
    whole = Inventory([A, B, BRIDGE, CABLE, PORT, HERE, OUT])
    assert whole.standing_on([B.key]) == {B.key, CABLE.key, PORT.key, HERE.key, OUT.key}
    assert whole.standing_on([BRIDGE.key]) == {BRIDGE.key, PORT.key}
    assert whole.standing_on([HERE.key]) == {HERE.key, OUT.key}
    assert whole.standing_on([("nothing",)]) == set()
    assert whole.standing_on([]) == set()


def test_a_need_that_nothing_answers_is_missing() -> None:
    assert Inventory([A, HERE]).missing() == {("device", "l.a", "eth0")}
    assert Inventory([A, B, CABLE, HERE, Address("l.a", "lo", "192.0.2.1/32")]).missing() == set()


@pytest.mark.parametrize("name", LABS)
def test_needs_lie_in_an_earlier_stage_or_earlier_in_the_same(name: str) -> None:
    there: set[tuple[str, ...]] = set()
    for resource in inventory(LABS[name]).values():
        assert there.issuperset(resource.needs), resource
        assert set(resource.falls_with) <= set(resource.needs)
        there.update(resource.provides)


@pytest.mark.parametrize("name", LABS)
def test_what_outlives_its_namespace_is_what_falls_with_nothing(name: str) -> None:
    for resource in inventory(LABS[name]).values():
        assert resource.outlives == (not resource.falls_with), resource


def test_what_a_route_stands_on_does_not_make_it_another_one() -> None:
    same = Route(OUT.home, OUT.to, OUT.hops)
    assert (same == OUT, hash(same) == hash(OUT)) == (True, True)
    ways = ((("10.0.0.2", "eth0", 1, False),), ("10.5.0.0/16",))
    assert Routing("l.a", 4, (ways,), (HERE.key,)) == Routing("l.a", 4, (ways,))


def test_ipv6_counts_no_metric_as_1024() -> None:
    usual = Route("l.a", "fd05::/64", kind="blackhole")
    assert usual.key == Route("l.a", "fd05::/64", kind="blackhole", metric=1024).key
    assert usual.key != Route("l.a", "fd05::/64", kind="blackhole", metric=1).key
    assert OUT.key != Route(OUT.home, OUT.to, OUT.hops, metric=1024).key


def test_which_changes_can_be_made_in_place() -> None:
    wide = Device("l.a", "vx", "vxlan", "", 1500, True, (("id", 7),))
    narrow = Device("l.a", "vx", "vxlan", "", 1400, True, (("id", 7),))
    tiny = Device("l.a", "vx", "vxlan", "", 1000, True, (("id", 7),))
    other = Device("l.a", "vx", "vxlan", "", 1500, True, (("id", 8),))
    down = Device("l.a", "vx", "vxlan", "", 1500, False, (("id", 7),))
    unsaid = Device("l.a", "vx", "vxlan", "", 0, True, (("id", 7),))
    assert [d.follows(wide) for d in (narrow, tiny, other, down, unsaid)] == [
        True, False, False, False, False,
    ]  # fmt: skip
    slow = Device("l.a", "br0", "bridge", "", 0, True, (("ageing_time", 10),))
    fast = Device("l.a", "br0", "bridge", "", 0, True, (("ageing_time", 5),))
    assert (fast.follows(slow), slow.follows(BRIDGE), BRIDGE.follows(slow)) == (True, False, False)
    switch = Sysctl("l.a", "net.ipv4.ip_forward", "1")
    assert switch.follows(Sysctl("l.a", "net.ipv4.ip_forward", "0"))
    assert not Namespace("l.a", (("net.ipv4.conf.default.rp_filter", "1"),)).follows(A)


# what somebody took away

EVERYTHING = Held(
    devices=frozenset({"lo", "eth0"}),
    up=frozenset({"lo", "eth0"}),
    without_ipv6=frozenset(),
    addresses=frozenset({("eth0", "10.0.0.1"), ("eth0", "fd00::1")}),
    routes=frozenset({RouteKey("0.0.0.0/0", 254, 0), RouteKey("fd01::/64", 7, 1024)}),
)
NOTHING = EVERYTHING._replace(addresses=frozenset(), routes=frozenset())
SIX = Address("l.a", "eth0", "fd00::1/64")
OVER_SIX = Route("l.a", "fd01::/64", (("fd00::2", "eth0", 1, False),), table=7)
STATIC = Routing("l.a", 4, (((("10.0.0.2", "eth0", 1, False),), ("0.0.0.0/0", "10.5.0.0/16")),))
RULED = EVERYTHING._replace(rules=frozenset({("inet", "f"), ("ip", "mine")}))
RULES = Firewall("l.a", (("", "table inet f {\n}\n"),), nat="table inet netlab_nat {\n}\n")
LOST: list[tuple[Resource, Held | None, str]] = [
    *((r, EVERYTHING, "") for r in (HERE, SIX, OUT, OVER_SIX)),
    *((r, NOTHING, "it was gone") for r in (HERE, SIX, OUT, OVER_SIX)),
    *((r, NOTHING._replace(up=frozenset({"lo"})), "") for r in (HERE, SIX, OUT, OVER_SIX)),
    (HERE, NOTHING._replace(without_ipv6=frozenset({"eth0"})), "it was gone"),
    *((r, NOTHING._replace(without_ipv6=frozenset({"eth0"})), "") for r in (SIX, OVER_SIX)),
    *((r, NOTHING._replace(routes=None), "") for r in (OUT, OVER_SIX, STATIC)),
    *((r, None, "") for r in (HERE, OUT, STATIC, BRIDGE, CABLE)),
    (STATIC, EVERYTHING, "1 was gone"),
    (STATIC, NOTHING, "2 were gone"),
    (BRIDGE, EVERYTHING, "br0 was deleted or renamed by hand"),
    (CABLE, EVERYTHING, ""),
    (CABLE, NOTHING._replace(devices=frozenset()), "eth0 was deleted or renamed by hand"),
    (Route("l.a", "10.0.0.0/8", (), "blackhole"), NOTHING, "it was gone"),
    (RULES, EVERYTHING, ""),
    (RULES, RULED, "table inet netlab_nat was gone"),
    (RULES, RULED._replace(rules=frozenset()), "tables inet f, inet netlab_nat were gone"),
    (RULES, RULED._replace(rules=frozenset({("inet", "f"), ("inet", "netlab_nat")})), ""),
]


@pytest.mark.parametrize(("resource", "held", "words"), LOST)
def test_what_is_lost(resource: Resource, held: Held | None, words: str) -> None:
    assert resource.lost({"l.a": held}) == words


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("flush ruleset\ntable t {\n}", [("ip", "t")]),
        ("add table inet t; # table ip u {\n  add chain inet t c", [("inet", "t")]),
        ("table ip a\ndelete table ip a\ntable ip a {}\n", [("ip", "a")]),
        ("\ttable ip6 b{\n}\ntable netdev c;\n", [("ip6", "b"), ("netdev", "c")]),
        ("destroy table bridge a\ncreate table arp c.d\n", [("arp", "c.d")]),
        ("define t = x\ntable inet $t {\n}\nadd rule ip table c accept\n# table ip z {", []),
    ],
)  # fmt: skip
def test_tables_are_known_by_their_lines(text: str, tables: list[tuple[str, str]]) -> None:
    assert list(Firewall("l.a", (("", text),)).tables) == tables


def test_routes_are_looked_for_unless_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Route("l.b", "fd05::/64", (), "blackhole", 7)
    some = [A, B, HERE, OUT, STATIC, other]
    assert network.tables(some) == {"l.a": {(4, network.MAIN)}, "l.b": {(6, 7)}}
    monkeypatch.setattr(network, "MOST_ROUTES", 3)
    assert network.tables(some) == {}
