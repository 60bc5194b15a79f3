"""Addresses, routes, rules, neighbours, sysctls, by the kernel room's own verbs; ip(8) judges.

    LAB.a (eth0) ──── (eth0) LAB.b
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from netlab.kernel.values import NextHop, VethEnd
from tests.live.kernel import MAC, Lab, fresh_lab
from tests.live.world import ip, tool

__all__ = ["fresh_lab"]


@pytest.fixture
def wired(lab: Lab) -> Iterator[Lab]:
    """10.0.0.1/24 and fd00::1/64 at a's end of a cable."""
    lab.kernel.add_veth(VethEnd(lab.a, "eth0", "", 0, True), VethEnd(lab.b, "eth0", "", 0, True))
    lab.kernel.add_address(lab.a, "eth0", "10.0.0.1/24")
    lab.kernel.add_address(lab.a, "eth0", "fd00::1/64")
    lab.kernel.flush()
    yield lab


# addresses


def addresses(ns: str) -> list[dict[str, Any]]:
    """But for the link-local one that the kernel gives whenever the carrier comes."""
    keys = ("local", "prefixlen", "address", "broadcast", "scope", "tentative", "nodad")
    return [
        {key: a[key] for key in keys if key in a}
        for link in ip(ns, "address", "show", "dev", "eth0")
        for a in link["addr_info"]
        if a["scope"] != "link" or a["local"] == "fe80::42"
    ]


ADDRESSES: list[tuple[str, dict[str, Any]]] = [
    ("10.1.0.1/24", {"local": "10.1.0.1", "prefixlen": 24, "broadcast": "10.1.0.255"}),
    ("10.1.0.1/8", {"local": "10.1.0.1", "prefixlen": 8, "broadcast": "10.255.255.255"}),
    ("10.1.0.4/31", {"local": "10.1.0.4", "prefixlen": 31}),
    ("10.1.0.1/32", {"local": "10.1.0.1", "prefixlen": 32}),
    ("127.0.0.9/8",
     {"local": "127.0.0.9", "prefixlen": 8, "broadcast": "127.255.255.255", "scope": "host"}),
    ("fd01::1/64", {"local": "fd01::1", "prefixlen": 64, "nodad": True}),
    ("fd01::1/127", {"local": "fd01::1", "prefixlen": 127, "nodad": True}),
    ("fd01::1/128", {"local": "fd01::1", "prefixlen": 128, "nodad": True}),
    ("fe80::42/64", {"local": "fe80::42", "prefixlen": 64, "nodad": True, "scope": "link"}),
]  # fmt: skip


@pytest.mark.parametrize(("cidr", "shown"), ADDRESSES, ids=[a for a, _ in ADDRESSES])
def test_an_address_is_usable_at_once_refused_twice_and_deleted_twice(
    wired: Lab, cidr: str, shown: dict[str, Any]
) -> None:
    kernel, before = wired.kernel, addresses(wired.a)
    kernel.add_address(wired.a, "eth0", cidr)
    kernel.flush()
    added = [a for a in addresses(wired.a) if a not in before]
    assert added == [{"scope": "global", **shown}]

    kernel.begin("again")
    kernel.add_address(wired.a, "eth0", cidr)
    said = "ipv6: address already assigned" if ":" in cidr else "ipv4: Address already assigned"
    assert wired.refusal() == ("again", "EEXIST", said, "")
    for _ in range(2):
        kernel.del_address(wired.a, "eth0", cidr)
        kernel.flush()
        assert addresses(wired.a) == before


# routes


def routes(ns: str, family: int, *words: str) -> list[dict[str, Any]]:
    """What netlab wrote, without what is the same for all."""
    return [
        {k: v for k, v in route.items() if k not in ("protocol", "pref")}
        | ({"nexthops": [_hop(h) for h in route["nexthops"]]} if "nexthops" in route else {})
        for route in ip(ns, f"-{family}", "route", "show", "table", "all", "proto", "static")
    ]


def _hop(hop: dict[str, Any]) -> tuple[Any, ...]:
    via = hop.get("gateway") or hop.get("via", {}).get("host", "")
    return via, hop["dev"], hop["weight"], hop["flags"]


def plain(**more: Any) -> dict[str, Any]:
    return {"type": "unicast", "scope": "global", "flags": [], "table": "main", **more}


GW4, GW6 = NextHop("10.0.0.9", "eth0"), NextHop("fd00::9", "eth0")

ROUTES: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "default": (
        ("0.0.0.0/0", [GW4], "unicast", 254, 0, ""),
        plain(dst="default", gateway="10.0.0.9", dev="eth0"),
    ),
    "without a device": (
        ("10.9.0.0/16", [NextHop("10.0.0.9")], "unicast", 254, 0, ""),
        plain(dst="10.9.0.0/16", gateway="10.0.0.9", dev="eth0"),
    ),
    "a device alone": (
        ("10.9.0.0/16", [NextHop("", "eth0")], "unicast", 254, 0, ""),
        plain(dst="10.9.0.0/16", dev="eth0", scope="link"),
    ),
    "metric, table and source": (
        ("10.9.0.0/16", [GW4], "unicast", 4_000_000_000, 4_000_000_001, "10.0.0.1"),
        plain(dst="10.9.0.0/16", gateway="10.0.0.9", dev="eth0", metric=4_000_000_001,
              prefsrc="10.0.0.1", table="4000000000"),
    ),
    "onlink": (
        ("10.9.0.0/16", [NextHop("192.0.2.1", "eth0", 1, True)], "unicast", 254, 0, ""),
        plain(dst="10.9.0.0/16", gateway="192.0.2.1", dev="eth0", flags=["onlink"]),
    ),
    "IPv4 via IPv6": (
        ("10.9.0.0/16", [GW6], "unicast", 254, 0, ""),
        plain(dst="10.9.0.0/16", via={"family": "inet6", "host": "fd00::9"}, dev="eth0"),
    ),
    "several ways": (
        ("10.9.0.0/16", [NextHop("10.0.0.9", "eth0", 256), NextHop("fd00::9", "eth0", 3),
                         NextHop("192.0.2.1", "eth0", 1, True)], "unicast", 254, 7, ""),
        plain(dst="10.9.0.0/16", metric=7, nexthops=[
            ("10.0.0.9", "eth0", 256, []), ("fd00::9", "eth0", 3, []),
            ("192.0.2.1", "eth0", 1, ["onlink"]),
        ]),
    ),
    "IPv6 default": (
        ("::/0", [GW6], "unicast", 254, 0, ""),
        plain(dst="default", gateway="fd00::9", dev="eth0", metric=1024),
    ),
    "IPv6 metric, table and source": (
        ("fd09::/64", [GW6], "unicast", 100, 5, "fd00::1"),
        plain(dst="fd09::/64", gateway="fd00::9", dev="eth0", metric=5, prefsrc="fd00::1",
              table="100"),
    ),
    "IPv6 onlink": (
        ("fd09::/64", [NextHop("2001:db8::1", "eth0", 1, True)], "unicast", 254, 0, ""),
        plain(dst="fd09::/64", gateway="2001:db8::1", dev="eth0", metric=1024, flags=["onlink"]),
    ),
    "IPv6 several ways": (
        ("fd09::/64", [NextHop("fd00::9", "eth0", 2), NextHop("fd00::a", "eth0", 1)], "unicast",
         254, 0, ""),
        plain(dst="fd09::/64", metric=1024, nexthops=[
            ("fd00::9", "eth0", 2, []), ("fd00::a", "eth0", 1, []),
        ]),
    ),
    **{
        f"{kind} {to}": (
            (to, [], kind, 254, 0, ""),
            plain(dst=to, type=kind) | ({"dev": "lo", "metric": 1024} if ":" in to else {}),
        )
        for kind in ("blackhole", "unreachable", "prohibit", "throw")
        for to in ("10.9.0.0/16", "fd09::/64")
    },
}  # fmt: skip


@pytest.mark.parametrize("which", ROUTES)
def test_a_route_is_as_written_refused_twice_and_deleted_twice(wired: Lab, which: str) -> None:
    (to, hops, kind, table, metric, source), shown = ROUTES[which]
    kernel, family = wired.kernel, 6 if ":" in to else 4
    kernel.add_route(wired.a, to, hops, kind, table, metric, source, False)
    kernel.flush()
    assert routes(wired.a, family) == [shown]

    kernel.begin("again")
    kernel.add_route(wired.a, to, hops, kind, table, metric, source, False)
    assert wired.refusal() == ("again", "EEXIST", "File exists", "")
    kernel.add_route(wired.a, to, hops, kind, table, metric, source, True)
    kernel.flush()
    assert routes(wired.a, family) == [shown]
    for _ in range(2):
        kernel.del_route(wired.a, to, kind, table, metric)
        kernel.flush()
        assert routes(wired.a, family) == []


@pytest.mark.parametrize(("to", "gateway"), [("10.9.0.0/16", GW4), ("fd09::/64", GW6)])
@pytest.mark.parametrize("first", [0, 5])
def test_of_two_routes_by_metric_the_meant_one_goes(
    wired: Lab, to: str, gateway: NextHop, first: int
) -> None:
    kernel, family = wired.kernel, 6 if ":" in to else 4
    for metric in (0, 5):
        kernel.add_route(wired.a, to, [gateway], "unicast", 254, metric, "", False)
    kernel.flush()
    usual = 1024 if family == 6 else 0
    kernel.del_route(wired.a, to, "unicast", 254, first)
    kernel.flush()
    assert [r.get("metric", 0) for r in routes(wired.a, family)] == [usual if first else 5]


@pytest.mark.parametrize("several", [False, True], ids=["one way", "two ways"])
def test_deleting_a_route_that_is_not_there_spares_one_of_another_metric(
    wired: Lab, several: bool
) -> None:
    kernel = wired.kernel
    backup = NextHop("10.0.0.8", "eth0")
    meant = [NextHop("10.0.0.9", "eth0"), *([NextHop("10.0.0.7", "eth0")] if several else [])]
    kernel.add_route(wired.a, "10.9.0.0/16", [backup], "unicast", 254, 5, "", False)
    kernel.flush()
    kernel.del_route(wired.a, "10.9.0.0/16", "unicast", 254, 0, meant)
    kernel.flush()
    assert [r["metric"] for r in routes(wired.a, 4)] == [5]
    kernel.add_route(wired.a, "10.9.0.0/16", meant, "unicast", 254, 0, "", False)
    kernel.flush()
    kernel.del_route(wired.a, "10.9.0.0/16", "unicast", 254, 0, meant)
    kernel.flush()
    assert [r["metric"] for r in routes(wired.a, 4)] == [5]


def test_a_route_that_netlab_did_not_write_is_not_deleted(wired: Lab) -> None:
    words = ("10.9.0.0/16", "via", "10.0.0.9", "proto", "bird")
    tool("ip", "-n", wired.a, "route", "add", *words)
    wired.kernel.del_route(wired.a, "10.9.0.0/16", "unicast", 254, 0)
    wired.kernel.flush()
    assert [r["dst"] for r in ip(wired.a, "route", "show", "proto", "bird")] == ["10.9.0.0/16"]


def test_a_route_over_an_unreachable_gateway_is_refused_in_the_kernels_words(wired: Lab) -> None:
    for to, hop, number, said in (
        ("10.9.0.0/16", NextHop("192.0.2.1"), "ENETUNREACH", "Nexthop has invalid gateway"),
        ("10.9.0.0/16", NextHop("", "gone"), "ENODEV",
         f"there is no device gone in {wired.a} any more"),
    ):
        wired.kernel.begin(hop)
        wired.kernel.add_route(wired.a, to, [hop], "unicast", 254, 0, "", False)
        assert wired.refusal() == (hop, number, said, "")


# rules


def rules(ns: str, family: int) -> list[dict[str, Any]]:
    return [
        {k: v for k, v in rule.items() if k not in ("protocol", "priority")}
        for rule in ip(ns, f"-{family}", "rule", "show")
        if rule["priority"] == 900
    ]


RULES: list[tuple[int, dict[str, Any], dict[str, Any]]] = [
    (4, {"from": "10.0.0.0/24"}, {"src": "10.0.0.0", "srclen": 24}),
    (4, {"from": "10.0.0.9/32"}, {"src": "10.0.0.9"}),
    (4, {"to": "10.8.0.0/13"}, {"dst": "10.8.0.0", "dstlen": 13}),
    (6, {"from": "fd00::/64", "to": "fd01::/48"},
     {"src": "fd00::", "srclen": 64, "dst": "fd01::", "dstlen": 48}),
    (4, {"iif": "eth0"}, {"iif": "eth0"}),
    (4, {"oif": "eth0"}, {"oif": "eth0"}),
    (6, {"iif": "not-there-yet"}, {"iif": "not-there-yet", "iif_detached": None}),
    (4, {"fwmark": 1}, {"fwmark": "0x1"}),
    (4, {"fwmark": "0x10/0xff"}, {"fwmark": "0x10", "fwmask": "0xff"}),
    (4, {"tos": 16}, {"tos": "0x10"}),
    (4, {"ipproto": "tcp", "dport": 80}, {"ipproto": "tcp", "dport": 80}),
    (6, {"ipproto": "udp", "sport": 53}, {"ipproto": "udp", "sport": 53}),
    (4, {"ipproto": "icmp"}, {"ipproto": "icmp"}),
    (6, {"ipproto": "ipv6-icmp"}, {"ipproto": "ipv6-icmp"}),
    (4, {"suppress_prefixlength": 0}, {"suppress_prefixlen": 0}),
    (4, {"type": "blackhole", "from": "10.0.0.0/24"},
     {"src": "10.0.0.0", "srclen": 24, "action": "blackhole"}),
    (6, {"type": "unreachable", "iif": "eth0"}, {"iif": "eth0", "action": "unreachable"}),
    (4, {"type": "prohibit", "oif": "eth0"}, {"oif": "eth0", "action": "prohibit"}),
    (4, {"table": 4_000_000_000}, {"table": "4000000000"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("family", "options", "shown"), RULES, ids=[f"{f} {o}" for f, o, _ in RULES]
)
def test_a_rule_is_as_written_refused_twice_and_deleted_twice(
    wired: Lab, family: int, options: dict[str, Any], shown: dict[str, Any]
) -> None:
    kernel = wired.kernel
    looks_up = {} if "type" in options else {"table": 100}
    whole = {"priority": 900, **looks_up, **options}
    kernel.add_rule(wired.a, family, whole)
    kernel.flush()
    table = {"table": "100"} if looks_up else {}
    assert rules(wired.a, family) == [{"src": "all", **table, **shown}]

    kernel.begin("again")
    kernel.add_rule(wired.a, family, whole)
    assert wired.refusal() == ("again", "EEXIST", "File exists", "")
    for _ in range(2):
        kernel.del_rule(wired.a, family, whole)
        kernel.flush()
        assert rules(wired.a, family) == []


def test_a_rule_of_one_family_is_not_one_of_the_other(wired: Lab) -> None:
    wired.kernel.add_rule(wired.a, 6, {"priority": 900, "table": 100})
    wired.kernel.flush()
    assert (len(rules(wired.a, 4)), len(rules(wired.a, 6))) == (0, 1)


# neighbours


def neighbours(ns: str, *words: str) -> list[tuple[Any, ...]]:
    return [
        (n["dst"], n["dev"], n.get("lladdr", ""), n.get("state", []))
        for n in ip(ns, "neigh", "show", *words)
    ]


@pytest.mark.parametrize("to", ["10.0.0.9", "fd00::9"])
def test_a_neighbour_is_permanent_replaced_and_deleted_twice(wired: Lab, to: str) -> None:
    for mac in (MAC, "02:00:00:00:00:99"):
        wired.kernel.add_neighbour(wired.a, "eth0", to, mac, False)
        wired.kernel.flush()
        assert neighbours(wired.a, to) == [(to, "eth0", mac, ["PERMANENT"])]
    for _ in range(2):
        wired.kernel.del_neighbour(wired.a, "eth0", to, False)
        wired.kernel.flush()
        assert [n for n in neighbours(wired.a, to) if n[3] == ["PERMANENT"]] == []


@pytest.mark.parametrize(("family", "to"), [("-4", "10.0.0.9"), ("-6", "fd00::9")])
def test_a_proxy_entry_comes_and_is_deleted_twice(wired: Lab, family: str, to: str) -> None:
    def proxies() -> list[tuple[str, str]]:
        return [(n["dst"], n["dev"]) for n in ip(wired.a, family, "neigh", "show", "proxy")]

    wired.kernel.add_neighbour(wired.a, "eth0", to, "", True)
    wired.kernel.flush()
    assert proxies() == [(to, "eth0")]
    for _ in range(2):
        wired.kernel.del_neighbour(wired.a, "eth0", to, True)
        wired.kernel.flush()
        assert proxies() == []


# sysctls

SYSCTLS = {
    "net.ipv4.ip_forward": ("1", "0"),
    "net.ipv4.conf.eth0.rp_filter": ("2", "0"),
    "net/ipv4/conf/eth0/proxy_arp": ("1", "0"),
    "net.ipv6.conf.all.forwarding": ("1", "0"),
    "net.ipv6.conf.eth0.accept_dad": ("1", "0"),
    "net.ipv4.neigh.eth0.proxy_delay": ("0", "80"),
    "net.ipv6.neigh.eth0.gc_stale_time": ("7", "60"),
    "net.ipv4.tcp_rmem": ("4096\t8192\t16384", None),
    "net.ipv4.fib_multipath_hash_policy": ("1", "0"),
}


@pytest.mark.parametrize("name", SYSCTLS)
def test_a_switch_is_set_and_reset_to_what_a_fresh_namespace_has(wired: Lab, name: str) -> None:
    value, fresh = SYSCTLS[name]
    before = sysctl(wired.a, name)
    wired.kernel.set_sysctl(wired.a, name, value.replace("\t", " "))
    wired.kernel.flush()
    assert sysctl(wired.a, name) == value
    assert sysctl(wired.b, name) == before, "the other namespace has its own"
    wired.kernel.reset_sysctl(wired.a, name)
    wired.kernel.flush()
    assert sysctl(wired.a, name) == before
    assert fresh in (None, before)


def sysctl(ns: str, name: str) -> str:
    path = name if "/" in name else name.replace(".", "/")
    return tool("ip", "netns", "exec", ns, "cat", f"/proc/sys/{path}").strip()


@pytest.mark.parametrize(("name", "value", "number"), [
    ("net.ipv4.no_such_switch", "1", "ENOENT"),
    ("net.ipv4.ip_forward", "many", "EINVAL"),
])  # fmt: skip
def test_a_switch_that_is_none_or_a_wrong_value_is_refused(
    lab: Lab, name: str, value: str, number: str
) -> None:
    lab.kernel.begin(name)
    lab.kernel.set_sysctl(lab.a, name, value)
    assert lab.refusal()[:2] == (name, number)


def test_a_switch_that_is_none_is_reset_without_a_word(lab: Lab) -> None:
    lab.kernel.reset_sysctl(lab.a, "net.ipv4.no_such_switch")
    lab.kernel.reset_sysctl(lab.a, "net.ipv4.conf.gone.rp_filter")
    lab.kernel.flush()
    assert sysctl(lab.a, "net.ipv4.ip_forward") == "0"
