"""Requests about routes and policy rules (rtnetlink(7))."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from netlab.kernel.rtnetlink import (
    CREATE,
    EXCL,
    FAMILIES,
    IP6_RT_PRIO_USER,
    NEW,
    REPLACE,
    ROUTE_TYPES,
    RT_SCOPE_LINK,
    RT_SCOPE_NOWHERE,
    RTM_DELROUTE,
    RTM_DELRULE,
    RTM_NEWROUTE,
    RTM_NEWRULE,
    RTNH_F_ONLINK,
    RTPROT_STATIC,
    version_of,
)
from netlab.kernel.templates import U32, Hole, Template, ip
from netlab.kernel.values import Options
from netlab.kernel.wire import Request

Way = tuple[str, int, int, bool]
"""gateway, index of the interface, weight, onlink"""

_Shape = tuple[tuple[int, bool, int, bool], ...]
"""Of each way: the gateway's family (0: none), whether an interface is named, weight, onlink."""


def new_route(
    to: str, hops: Sequence[Way], kind: str, table: int, metric: int, source: str, replace: bool
) -> Request:
    destination, _, length = to.partition("/")
    version = version_of(destination)
    ways, values = _ways(hops)
    shape = _route(version, int(length), ways, ROUTE_TYPES[kind], bool(metric), bool(source))
    body = shape(to=destination, table=table, metric=metric, source=source, **values)
    return RTM_NEWROUTE, CREATE | (REPLACE if replace else EXCL), body


@cache
def _route(
    version: int, length: int, ways: _Shape, kind: int, metric: bool, source: bool
) -> Template:
    direct = version == 4 and len(ways) == 1 and not ways[0][0]
    scope = RT_SCOPE_LINK if direct else 0
    attrs = _route_head(version, length, metric)
    attrs += [("RTA_PREFSRC", Hole("source", ip(version)))] if source else []
    attrs += _hops(version, ways)
    flags = RTNH_F_ONLINK if len(ways) == 1 and ways[0][3] else 0
    return _route_template(version, length, scope, kind, flags, attrs)


def _hop(version: int, number: int, way: tuple[int, bool, int, bool]) -> dict[str, Any]:
    """``struct rtnexthop``: its ``rtnh_hops`` is the weight less one."""
    gateway, index, weight, onlink = way
    return {
        "hops": weight - 1,
        "flags": RTNH_F_ONLINK if onlink else 0,
        "oif": Hole(f"index{number}", U32) if index else 0,
        "attrs": _gateway(version, gateway, f"gateway{number}"),
    }


def _gateway(version: int, gateway: int, name: str) -> list[tuple[str, Any]]:
    """A gateway of the other family goes by RTA_VIA (RFC 5549)."""
    if not gateway:
        return []
    if gateway == version:
        return [("RTA_GATEWAY", Hole(name, ip(version)))]
    return [("RTA_VIA", {"family": FAMILIES[gateway], "addr": Hole(name, ip(gateway))})]


def del_route(
    to: str, kind: str, table: int, metric: int, hops: Sequence[Way] = ()
) -> Request:
    """Only one that netlab wrote: its protocol says so; with ``hops``, only one that leads there.

    No metric means any to the kernel (fib_table_delete, ip6_route_del): IPv6's own is named, of
    IPv4's only the ways can tell one from another.
    """
    destination, _, length = to.partition("/")
    version = version_of(destination)
    metric = metric or (IP6_RT_PRIO_USER if version == 6 else 0)
    ways, values = _ways(hops)
    shape = _gone_route(version, int(length), ways, ROUTE_TYPES[kind], bool(metric))
    return RTM_DELROUTE, 0, shape(to=destination, table=table, metric=metric, **values)


@cache
def _gone_route(
    version: int, length: int, ways: _Shape, kind: int, metric: bool
) -> Template:
    scope = RT_SCOPE_NOWHERE if version == 4 else 0
    attrs = [*_route_head(version, length, metric), *_hops(version, ways)]
    return _route_template(version, length, scope, kind, 0, attrs)


def _ways(hops: Sequence[Way]) -> tuple[_Shape, dict[str, Any]]:
    """The shape of the ways, and what fills it."""
    values: dict[str, Any] = {}
    for number, (gateway, index, _, _) in enumerate(hops):
        values[f"gateway{number}"] = gateway
        values[f"index{number}"] = index
    return tuple((version_of(g) if g else 0, bool(o), w, on) for g, o, w, on in hops), values


def _hops(version: int, ways: _Shape) -> list[tuple[str, Any]]:
    if len(ways) != 1:
        several = [_hop(version, n, way) for n, way in enumerate(ways)]
        return [("RTA_MULTIPATH", several)] if several else []
    ((gateway, index, _, _),) = ways
    return _gateway(version, gateway, "gateway0") + (
        [("RTA_OIF", Hole("index0", U32))] if index else []
    )


def _route_head(version: int, length: int, metric: bool) -> list[tuple[str, Any]]:
    attrs: list[tuple[str, Any]] = [("RTA_TABLE", Hole("table", U32))]
    attrs += [("RTA_DST", Hole("to", ip(version)))] if length else []
    return attrs + ([("RTA_PRIORITY", Hole("metric", U32))] if metric else [])


def _route_template(
    version: int, length: int, scope: int, kind: int, flags: int, attrs: list[tuple[str, Any]]
) -> Template:
    fields = {
        "family": FAMILIES[version],
        "dst_len": length,
        "table": 0,
        "proto": RTPROT_STATIC,
        "scope": scope,
        "type": kind,
        "flags": flags,
    }
    return Template("rtmsg.rtmsg", {**fields, "attrs": attrs})


# rules

RULE_ACTIONS = {"lookup": 1, "blackhole": 6, "unreachable": 7, "prohibit": 8}
PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "ipv6-icmp": 58, "sctp": 132}
RULE_WORDS = {
    "priority": "FRA_PRIORITY",
    "table": "FRA_TABLE",
    "iif": "FRA_IIFNAME",
    "oif": "FRA_OIFNAME",
    "suppress_prefixlength": "FRA_SUPPRESS_PREFIXLEN",
}


def new_rule(version: int, options: Options) -> Request:
    return RTM_NEWRULE, NEW, _rule(version, tuple(options.items()))


def del_rule(version: int, options: Options) -> Request:
    return RTM_DELRULE, 0, _rule(version, tuple(options.items()))


@cache
def _rule(version: int, options: tuple[tuple[str, int | str | bool], ...]) -> bytes:
    said = dict(options)
    fields = {"family": FAMILIES[version], "action": RULE_ACTIONS[str(said.pop("type", "lookup"))]}
    fields |= {"tos": int(said.pop("tos", 0))}
    attrs: list[tuple[str, Any]] = [("FRA_PROTOCOL", RTPROT_STATIC)]
    for word, value in said.items():
        if word in ("from", "to"):
            prefix, _, length = str(value).partition("/")
            name = {"from": "src", "to": "dst"}[word]
            fields[f"{name}_len"] = int(length)
            attrs.append((f"FRA_{name.upper()}", prefix))
        elif word == "fwmark":
            mark, _, mask = str(value).partition("/")
            attrs += [("FRA_FWMARK", int(mark, 0)), ("FRA_FWMASK", int(mask or "0xffffffff", 0))]
        elif word in ("sport", "dport"):
            attrs.append((f"FRA_{word.upper()}_RANGE", f"{value}:{value}"))
        elif word == "ipproto":
            attrs.append(("FRA_IP_PROTO", PROTOCOLS[str(value)]))
        else:
            attrs.append((RULE_WORDS[word], value))
    return Template("fibmsg.fibmsg", {**fields, "attrs": attrs})()
