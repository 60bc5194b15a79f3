"""Every request as pyroute2 would write it, and as pyroute2 reads it: random values, all shapes.

Each template that is filled in this module is held against pyroute2's own encoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Interface, ip_interface
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.kernel import addresses, links, routes
from netlab.kernel.templates import BE16, U32, Hole, Template, text
from netlab.kernel.values import VethEnd
from netlab.kernel.wire import Request
from tests.kernel.messages import (
    decoded,
    families,
    indexes,
    ips,
    lengths,
    link,
    macs,
    mtus,
    names,
    several,
    u32,
    weights,
)

KINDS = {"unicast": 1, "blackhole": 6, "unreachable": 7, "prohibit": 8, "throw": 9}
STATIC = 4


@pytest.fixture(autouse=True, scope="module")
def _held_against_pyroute2() -> Iterator[None]:
    fill = Template.__call__

    def checked(template: Template, **values: Any) -> bytes:
        body = fill(template, **values)
        assert body == template.encoded(**values)
        return body

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Template, "__call__", checked)
        yield


# devices

ends = st.builds(
    VethEnd, ns=st.just(""), name=names, mac=macs | st.just(""), mtu=mtus | st.just(0),
    up=st.booleans(),
)  # fmt: skip


@several
@given(a=ends, b=ends, numbers=st.tuples(indexes, indexes, indexes, indexes))
def test_a_veth_pair_has_both_ends_in_place(
    a: VethEnd, b: VethEnd, numbers: tuple[int, int, int, int]
) -> None:
    a_index, a_fd, b_index, b_fd = numbers
    request = links.new_veth(a, a_index, a_fd, b, b_index, b_fd)
    assert request[:2] == (16, 0x600)
    peer = {"index": b_index, **_end(b), "IFLA_NET_NS_FD": b_fd}
    info = {"IFLA_INFO_KIND": "veth", "IFLA_INFO_DATA": {"VETH_INFO_PEER": peer}}
    assert link(request) == {
        "index": a_index, **_up(a.up), **_end(a), "IFLA_NET_NS_FD": a_fd, "IFLA_LINKINFO": info,
    }  # fmt: skip


def _end(end: VethEnd) -> dict[str, Any]:
    return _said(IFLA_IFNAME=end.name, IFLA_MTU=end.mtu, IFLA_ADDRESS=end.mac)


def _said(**attributes: Any) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value}


def _up(up: bool) -> dict[str, int]:
    return {"flags": 1, "change": 1} if up else {}


BRIDGE = {
    "stp_state": (st.booleans(), "IFLA_BR_STP_STATE", 1),
    "ageing_time": (st.integers(0, 10**6), "IFLA_BR_AGEING_TIME", 100),
    "forward_delay": (st.integers(2, 30), "IFLA_BR_FORWARD_DELAY", 100),
    "hello_time": (st.integers(1, 10), "IFLA_BR_HELLO_TIME", 100),
    "max_age": (st.integers(6, 40), "IFLA_BR_MAX_AGE", 100),
    "priority": (st.integers(0, 65535), "IFLA_BR_PRIORITY", 1),
    "mcast_snooping": (st.booleans(), "IFLA_BR_MCAST_SNOOPING", 1),
}
VXLAN = {
    "id": (st.integers(1, 2**24 - 1), "IFLA_VXLAN_ID", 1),
    "dstport": (st.integers(1, 65535), "IFLA_VXLAN_PORT", 1),
    "learning": (st.booleans(), "IFLA_VXLAN_LEARNING", 1),
}
PORT = {
    "cost": (st.integers(1, 65535), "IFLA_BRPORT_COST", 1),
    "priority": (st.integers(0, 63), "IFLA_BRPORT_PRIORITY", 1),
    "isolated": (st.booleans(), "IFLA_BRPORT_ISOLATED", 1),
    "learning": (st.booleans(), "IFLA_BRPORT_LEARNING", 1),
    "hairpin": (st.booleans(), "IFLA_BRPORT_MODE", 1),
    "flood": (st.booleans(), "IFLA_BRPORT_UNICAST_FLOOD", 1),
}


def some(table: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={word: entry[0] for word, entry in table.items()})


def wanted(table: dict[str, Any], options: dict[str, Any]) -> dict[str, int]:
    return {table[word][1]: int(value) * table[word][2] for word, value in options.items()}


@several
@given(indexes, names, macs | st.just(""), mtus | st.just(0), st.booleans(), some(BRIDGE))
def test_a_bridge_is_made_with_its_options_in_seconds(
    index: int, name: str, mac: str, mtu: int, up: bool, options: dict[str, Any]
) -> None:
    request = links.new_device(name, index, "bridge", mac, mtu, up, options)
    data = {"IFLA_INFO_DATA": wanted(BRIDGE, options)} if options else {}
    assert request[:2] == (16, 0x600)
    assert link(request) == {
        "index": index, **_up(up), **_said(IFLA_IFNAME=name, IFLA_MTU=mtu, IFLA_ADDRESS=mac),
        "IFLA_LINKINFO": {"IFLA_INFO_KIND": "bridge", **data},
    }  # fmt: skip


@several
@given(st.data(), families, some(VXLAN))
def test_a_vxlan_has_ends_of_either_family(
    data: st.DataObject, family: int, options: dict[str, Any]
) -> None:
    words = data.draw(st.sets(st.sampled_from(["remote", "local"])))
    ends = {word: data.draw(ips(family)) for word in sorted(words)}
    suffix = "6" if family == 6 else ""
    group = {"remote": f"IFLA_VXLAN_GROUP{suffix}", "local": f"IFLA_VXLAN_LOCAL{suffix}"}
    request = links.new_device("vx0", 16, "vxlan", "", 0, False, options | ends)
    said = wanted(VXLAN, options) | {group[word]: ip for word, ip in ends.items()}
    info: dict[str, Any] = {"IFLA_INFO_KIND": "vxlan"} | ({"IFLA_INFO_DATA": said} if said else {})
    assert link(request) == {"index": 16, "IFLA_IFNAME": "vx0", "IFLA_LINKINFO": info}


@several
@given(indexes, some(BRIDGE).filter(bool))
def test_a_bridge_is_changed_in_what_is_said_alone(index: int, options: dict[str, Any]) -> None:
    request = links.set_device(index, "bridge", options)
    info = {"IFLA_INFO_KIND": "bridge", "IFLA_INFO_DATA": wanted(BRIDGE, options)}
    assert request[:2] == (16, 0)
    assert link(request) == {"index": index, "IFLA_LINKINFO": info}


@several
@given(indexes, some(PORT).filter(bool))
def test_a_port_takes_its_options(index: int, options: dict[str, Any]) -> None:
    request = links.set_port(index, options)
    info = {"IFLA_INFO_SLAVE_KIND": "bridge", "IFLA_INFO_SLAVE_DATA": wanted(PORT, options)}
    assert request[:2] == (16, 0)
    assert link(request) == {"index": index, "IFLA_LINKINFO": info}


@several
@given(indexes, st.booleans(), mtus, macs, indexes)
def test_a_device_is_changed_in_one_thing(
    index: int, up: bool, mtu: int, mac: str, master: int
) -> None:
    requests: list[tuple[Request, dict[str, Any]]] = [
        (links.set_up(index, up), _up(up) or {"change": 1}),
        (links.set_mtu(index, mtu), {"IFLA_MTU": mtu}),
        (links.set_mac(index, mac), {"IFLA_ADDRESS": mac}),
        (links.set_master(index, master), {"IFLA_MASTER": master}),
        (links.set_master(index, 0), {"IFLA_MASTER": 0}),
    ]
    assert [r[:2] for r, _ in requests] == [(19, 0)] * 5
    assert [link(r) for r, _ in requests] == [{"index": index, **said} for _, said in requests]
    assert (links.del_link(index)[:2], link(links.del_link(index))) == ((17, 0), {"index": index})


def test_the_list_of_links_is_asked_for_without_counters() -> None:
    kind, body = links.links()
    assert (kind, decoded("ifinfmsg.ifinfmsg", body)) == (18, {"IFLA_EXT_MASK": 8})


# addresses, neighbours, forwarding entries


@several
@given(st.data(), indexes, families)
def test_an_address_is_put_down_as_its_family_needs(
    data: st.DataObject, index: int, family: int
) -> None:
    ip = data.draw(ips(family))
    length = data.draw(lengths(family))
    cidr = ip_interface(f"{ip}/{length}")
    common = _said(
        family=_number(family), prefixlen=length, index=index, IFA_LOCAL=ip,
        IFA_ADDRESS=ip, scope=254 if ip.startswith("127.") else 0,
    )  # fmt: skip
    new: dict[str, Any] = {"IFA_FLAGS": 2} if family == 6 else {}
    if isinstance(cidr, IPv4Interface) and length < 31:
        new = {"IFA_BROADCAST": str(cidr.network.broadcast_address)}
    made, gone = (f(index, str(cidr)) for f in (addresses.new_address, addresses.del_address))
    assert (made[:2], gone[:2]) == ((20, 0x600), (21, 0))
    assert _address(made[2]) == common | new
    assert _address(gone[2]) == common


def _address(body: bytes) -> dict[str, Any]:
    return decoded("ifaddrmsg.ifaddrmsg", body)


def _number(family: int) -> int:
    return {4: 2, 6: 10}[family]


@several
@given(st.data(), indexes, families, macs)
def test_a_neighbour_is_permanent_and_a_proxy_has_no_mac(
    data: st.DataObject, index: int, family: int, mac: str
) -> None:
    to = data.draw(ips(family))
    common = _said(family=_number(family), ifindex=index, state=0x80, NDA_DST=to)
    known = {**common, "NDA_LLADDR": mac}
    requests = [
        (addresses.new_neighbour(index, to, mac, False), (28, 0x500, known)),
        (addresses.new_neighbour(index, to, "", True), (28, 0x500, {**common, "flags": 8})),
        (addresses.del_neighbour(index, to, False), (29, 0, common)),
        (addresses.del_neighbour(index, to, True), (29, 0, {**common, "flags": 8})),
    ]
    for (kind, flags, body), expected in requests:
        assert (kind, flags, decoded("ndmsg.ndmsg", body)) == expected


@several
@given(st.data(), indexes, families, macs)
def test_a_forwarding_entry_joins_the_others_of_its_mac(
    data: st.DataObject, index: int, family: int, mac: str
) -> None:
    to = data.draw(ips(family))
    made, gone = (f(index, mac, to) for f in (addresses.new_fdb, addresses.del_fdb))
    assert (made[:2], gone[:2], made[2]) == ((28, 0xC00), (29, 0), gone[2])
    assert decoded("ndmsg.ndmsg", made[2]) == {
        "family": 7, "ifindex": index, "state": 0x80, "flags": 2, "NDA_LLADDR": mac, "NDA_DST": to,
    }  # fmt: skip


# routes


@several
@given(st.data(), families, u32, u32 | st.just(0), st.booleans())
def test_a_route_goes_one_way(
    data: st.DataObject, family: int, table: int, metric: int, replace: bool
) -> None:
    to, length = data.draw(ips(family)), data.draw(lengths(family))
    source = data.draw(ips(family) | st.just(""))
    gateway_family = data.draw(st.sampled_from([0, 4, 6] if family == 4 else [0, 6]))
    gateway = data.draw(ips(gateway_family)) if gateway_family else ""
    index = data.draw(indexes if not gateway else indexes | st.just(0))
    onlink = data.draw(st.booleans()) if gateway else False
    hops = [(gateway, index, 1, onlink)]
    request = routes.new_route(f"{to}/{length}", hops, "unicast", table, metric, source, replace)
    expected = _head(family, to, length, table, metric, "unicast")
    expected |= _said(
        flags=4 * onlink, RTA_PREFSRC=source, RTA_OIF=index,
        scope=253 if family == 4 and not gateway else 0,
    )  # fmt: skip
    expected |= _via(family, gateway_family, gateway)
    assert request[:2] == (24, 0x500 if replace else 0x600)
    assert _route(request[2]) == expected


def _route(body: bytes) -> dict[str, Any]:
    return decoded("rtmsg.rtmsg", body)


def _head(family: int, to: str, length: int, table: int, metric: int, kind: str) -> dict[str, Any]:
    return _said(
        family=_number(family), proto=STATIC, type=KINDS[kind], RTA_TABLE=table, dst_len=length,
        RTA_DST=to if length else "", RTA_PRIORITY=metric,
    )  # fmt: skip


def _via(family: int, gateway_family: int, gateway: str) -> dict[str, Any]:
    if not gateway:
        return {}
    if gateway_family == family:
        return {"RTA_GATEWAY": gateway}
    return {"RTA_VIA": {"family": _number(gateway_family), "addr": gateway}}


@several
@given(st.data(), families, st.integers(2, 9))
def test_a_route_goes_several_ways_by_weight(data: st.DataObject, family: int, count: int) -> None:
    hops, expected = [], []
    for _ in range(count):
        gateway_family = data.draw(st.sampled_from([0, 4, 6] if family == 4 else [0, 6]))
        gateway = data.draw(ips(gateway_family)) if gateway_family else ""
        index = data.draw(indexes if not gateway else indexes | st.just(0))
        weight, onlink = data.draw(weights), data.draw(st.booleans())
        hops.append((gateway, index, weight, onlink))
        said = _said(hops=weight - 1, flags=4 * onlink, oif=index)
        expected.append(said | _via(family, gateway_family, gateway))
    to = data.draw(ips(family))
    request = routes.new_route(f"{to}/24", hops, "unicast", 254, 0, "", False)
    head = _head(family, to, 24, 254, 0, "unicast")
    assert _route(request[2]) == {**head, "RTA_MULTIPATH": expected}


@several
@given(st.data(), families, st.sampled_from([k for k in KINDS if k != "unicast"]), u32)
def test_a_route_goes_nowhere(data: st.DataObject, family: int, kind: str, table: int) -> None:
    to, length = data.draw(ips(family)), data.draw(lengths(family))
    request = routes.new_route(f"{to}/{length}", [], kind, table, 0, "", False)
    assert _route(request[2]) == _head(family, to, length, table, 0, kind)


@several
@given(st.data(), families, st.sampled_from(list(KINDS)), u32, u32 | st.just(0))
def test_a_route_is_deleted_by_prefix_kind_table_metric_and_maker(
    data: st.DataObject, family: int, kind: str, table: int, metric: int
) -> None:
    to, length = data.draw(ips(family)), data.draw(lengths(family))
    request = routes.del_route(f"{to}/{length}", kind, table, metric)
    exact = metric or (1024 if family == 6 else 0)
    any_scope = {"scope": 255} if family == 4 else {}
    assert request[:2] == (25, 0)
    assert _route(request[2]) == _head(family, to, length, table, exact, kind) | any_scope


# rules

RULE_ATTRIBUTES = {
    "priority": (u32, "FRA_PRIORITY"),
    "table": (u32, "FRA_TABLE"),
    "iif": (names, "FRA_IIFNAME"),
    "oif": (names, "FRA_OIFNAME"),
    "suppress_prefixlength": (st.integers(0, 128), "FRA_SUPPRESS_PREFIXLEN"),
    "sport": (st.integers(1, 65535), "FRA_SPORT_RANGE"),
    "dport": (st.integers(1, 65535), "FRA_DPORT_RANGE"),
}
PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "ipv6-icmp": 58, "sctp": 132}
ACTIONS = {"lookup": 1, "blackhole": 6, "unreachable": 7, "prohibit": 8}
MARKS: dict[int | str, tuple[int, int]] = {
    1: (1, 0xFFFFFFFF), "2": (2, 0xFFFFFFFF), "0x10": (16, 0xFFFFFFFF), "0x1/0xff": (1, 255),
    "4294967295/1": (0xFFFFFFFF, 1), 0: (0, 0xFFFFFFFF),
}  # fmt: skip


@several
@given(st.data(), families)
def test_a_rule_says_each_of_its_options(data: st.DataObject, family: int) -> None:
    plain = data.draw(some(RULE_ATTRIBUTES))
    expected: dict[str, Any] = {"family": _number(family), "FRA_PROTOCOL": STATIC}
    expected |= {
        RULE_ATTRIBUTES[word][1]: f"{value}:{value}" if word in ("sport", "dport") else value
        for word, value in plain.items()
    }
    options: dict[str, int | str | bool] = dict(plain)
    for word, name in (("from", "src"), ("to", "dst")):
        if data.draw(st.booleans()):
            ip, length = data.draw(ips(family)), data.draw(lengths(family))
            options[word] = f"{ip}/{length}"
            expected |= {f"FRA_{name.upper()}": ip, **_said(**{f"{name}_len": length})}
    if data.draw(st.booleans()):
        options["tos"] = data.draw(st.integers(0, 255))
        expected |= _said(tos=options["tos"])
    if data.draw(st.booleans()):
        mark: int | str = data.draw(st.sampled_from(list(MARKS)))
        options["fwmark"] = mark
        expected |= dict(zip(("FRA_FWMARK", "FRA_FWMASK"), MARKS[mark], strict=True))
    if data.draw(st.booleans()):
        options["ipproto"] = data.draw(st.sampled_from(list(PROTOCOLS)))
        expected["FRA_IP_PROTO"] = PROTOCOLS[str(options["ipproto"])]
    options["type"] = data.draw(st.sampled_from(list(ACTIONS)))
    expected["action"] = ACTIONS[str(options["type"])]
    made, gone = routes.new_rule(family, options), routes.del_rule(family, options)
    assert (made[:2], gone[:2], gone[2]) == ((32, 0x600), (33, 0), made[2])
    assert decoded("fibmsg.fibmsg", made[2]) == expected


# the templates themselves


def test_a_hole_that_does_not_hold_its_value_is_found_at_once() -> None:
    with pytest.raises(AssertionError):
        Template("ifinfmsg.ifinfmsg", {"attrs": [("IFLA_MTU", Hole("mtu", BE16))]})


@several
@given(st.lists(st.integers(0, 2**32 - 1), min_size=3, max_size=3), names)
def test_holes_of_one_sort_do_not_change_places(numbers: list[int], name: str) -> None:
    shape = Template("ifinfmsg.ifinfmsg", {
        "attrs": [
            ("IFLA_TXQLEN", Hole("a", U32)), ("IFLA_IFNAME", Hole("name", text(len(name)))),
            ("IFLA_GROUP", Hole("b", U32)), ("IFLA_MTU", Hole("c", U32)),
        ],
    })  # fmt: skip
    a, b, c = numbers
    assert decoded("ifinfmsg.ifinfmsg", shape(a=a, b=b, c=c, name=name)) == {
        "IFLA_TXQLEN": a, "IFLA_IFNAME": name, "IFLA_GROUP": b, "IFLA_MTU": c,
    }
