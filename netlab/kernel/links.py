"""Requests about devices: made, changed, plugged into bridges, taken away (rtnetlink(7))."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from netlab.kernel.rtnetlink import (
    IFF_UP,
    NEW,
    RTEXT_FILTER_SKIP_STATS,
    RTM_DELLINK,
    RTM_GETLINK,
    RTM_NEWLINK,
    RTM_SETLINK,
)
from netlab.kernel.templates import (
    BE16,
    MAC,
    U16,
    U32,
    Hole,
    Sort,
    Template,
    ip,
    message_class,
    text,
)
from netlab.kernel.values import Options, VethEnd
from netlab.kernel.wire import Request

INDEX = Hole("index", U32)
CENTISECONDS = frozenset({"ageing_time", "forward_delay", "hello_time", "max_age"})


class Word(NamedTuple):
    """An option's attribute; without a sort its value is a part of the shape."""

    attribute: str
    sort: Sort | None = None


DEVICE_WORDS = {
    "bridge": {
        "stp_state": Word("IFLA_BR_STP_STATE"),
        "ageing_time": Word("IFLA_BR_AGEING_TIME", U32),
        "forward_delay": Word("IFLA_BR_FORWARD_DELAY", U32),
        "hello_time": Word("IFLA_BR_HELLO_TIME", U32),
        "max_age": Word("IFLA_BR_MAX_AGE", U32),
        "priority": Word("IFLA_BR_PRIORITY", U16),
        "mcast_snooping": Word("IFLA_BR_MCAST_SNOOPING"),
    },
    "vxlan": {
        "id": Word("IFLA_VXLAN_ID", U32),
        "dstport": Word("IFLA_VXLAN_PORT", BE16),
        "learning": Word("IFLA_VXLAN_LEARNING"),
        "remote": Word("IFLA_VXLAN_GROUP", ip(4)),
        "remote6": Word("IFLA_VXLAN_GROUP6", ip(6)),
        "local": Word("IFLA_VXLAN_LOCAL", ip(4)),
        "local6": Word("IFLA_VXLAN_LOCAL6", ip(6)),
    },
}
PORT_WORDS = {
    "cost": Word("IFLA_BRPORT_COST", U32),
    "priority": Word("IFLA_BRPORT_PRIORITY", U16),
    "isolated": Word("IFLA_BRPORT_ISOLATED"),
    "learning": Word("IFLA_BRPORT_LEARNING"),
    "hairpin": Word("IFLA_BRPORT_MODE"),
    "flood": Word("IFLA_BRPORT_UNICAST_FLOOD"),
}


def new_veth(a: VethEnd, a_index: int, a_fd: int, b: VethEnd, b_index: int, b_fd: int) -> Request:
    """Both ends where they belong; only the first can be switched on by this message."""
    shape = _veth(
        len(a.name), len(b.name), bool(a.mtu), bool(b.mtu), bool(a.mac), bool(b.mac), a.up
    )
    body = shape(
        index=a_index, name=a.name, mtu=a.mtu, mac=a.mac, fd=a_fd,
        peer_index=b_index, peer_name=b.name, peer_mtu=b.mtu, peer_mac=b.mac, peer_fd=b_fd,
    )  # fmt: skip
    return RTM_NEWLINK, NEW, body


@cache
def _veth(
    a_name: int, b_name: int, a_mtu: bool, b_mtu: bool, a_mac: bool, b_mac: bool, up: bool
) -> Template:
    peer = {
        "index": Hole("peer_index", U32),
        "attrs": [*_common("peer_", b_name, b_mtu, b_mac), _in("peer_")],
    }
    info = _info("veth", [("VETH_INFO_PEER", peer)])
    attrs = [*_common("", a_name, a_mtu, a_mac), _in(""), info]
    return Template("ifinfmsg.ifinfmsg", {"index": INDEX, **_up(up), "attrs": attrs})


def _in(prefix: str) -> tuple[str, Hole]:
    return "IFLA_NET_NS_FD", Hole(f"{prefix}fd", U32)


def new_device(
    name: str, index: int, kind: str, mac: str, mtu: int, up: bool, options: Options
) -> Request:
    words, values = _options(_words_of(kind), options)
    shape = _device(kind, len(name), bool(mtu), bool(mac), up, words)
    return RTM_NEWLINK, NEW, shape(index=index, name=name, mtu=mtu, mac=mac, **values)


@cache
def _device(kind: str, name: int, mtu: bool, mac: bool, up: bool, words: Words) -> Template:
    info = _info(kind, _attributes(_words_of(kind), words))
    attrs = [*_common("", name, mtu, mac), info]
    return Template("ifinfmsg.ifinfmsg", {"index": INDEX, **_up(up), "attrs": attrs})


def set_device(index: int, kind: str, options: Options) -> Request:
    words, values = _options(_words_of(kind), options)
    return RTM_NEWLINK, 0, _changed_device(kind, words)(index=index, **values)


@cache
def _changed_device(kind: str, words: Words) -> Template:
    info = _info(kind, _attributes(_words_of(kind), words))
    return Template("ifinfmsg.ifinfmsg", {"index": INDEX, "attrs": [info]})


def _words_of(kind: str) -> dict[str, Word]:
    """None of its own for a kind of device that is not in the table."""
    return DEVICE_WORDS.get(kind, {})


def set_up(index: int, up: bool) -> Request:
    return RTM_SETLINK, 0, _switched(up)(index=index)


@cache
def _switched(up: bool) -> Template:
    return Template("ifinfmsg.ifinfmsg", {"index": INDEX, "flags": int(up), "change": IFF_UP})


def set_mtu(index: int, mtu: int) -> Request:
    return RTM_SETLINK, 0, _with("IFLA_MTU", U32)(index=index, value=mtu)


def set_mac(index: int, mac: str) -> Request:
    return RTM_SETLINK, 0, _with("IFLA_ADDRESS", MAC)(index=index, value=mac)


def set_master(index: int, master_index: int) -> Request:
    return RTM_SETLINK, 0, _with("IFLA_MASTER", U32)(index=index, value=master_index)


@cache
def _with(attribute: str, sort: Sort) -> Template:
    attrs = [(attribute, Hole("value", sort))]
    return Template("ifinfmsg.ifinfmsg", {"index": INDEX, "attrs": attrs})


def set_port(index: int, options: Options) -> Request:
    words, values = _options(PORT_WORDS, options)
    return RTM_NEWLINK, 0, _port(words)(index=index, **values)


@cache
def _port(words: Words) -> Template:
    data = {"attrs": _attributes(PORT_WORDS, words)}
    info = [("IFLA_INFO_SLAVE_KIND", "bridge"), ("IFLA_INFO_SLAVE_DATA", data)]
    attrs = [("IFLA_LINKINFO", {"attrs": info})]
    return Template("ifinfmsg.ifinfmsg", {"index": INDEX, "attrs": attrs})


def del_link(index: int) -> Request:
    return RTM_DELLINK, 0, _link()(index=index)


@cache
def _link() -> Template:
    return Template("ifinfmsg.ifinfmsg", {"index": INDEX})


def _common(prefix: str, name: int, mtu: bool, mac: bool) -> Iterator[tuple[str, Hole]]:
    yield "IFLA_IFNAME", Hole(f"{prefix}name", text(name))
    if mtu:
        yield "IFLA_MTU", Hole(f"{prefix}mtu", U32)
    if mac:
        yield "IFLA_ADDRESS", Hole(f"{prefix}mac", MAC)


def _info(kind: str, data: list[tuple[str, Any]]) -> tuple[str, Any]:
    attrs: list[tuple[str, Any]] = [("IFLA_INFO_KIND", kind)]
    attrs += [("IFLA_INFO_DATA", {"attrs": data})] if data else []
    return "IFLA_LINKINFO", {"attrs": attrs}


def _up(up: bool) -> dict[str, int]:
    return {"flags": IFF_UP, "change": IFF_UP} if up else {}


# options

Words = tuple[tuple[str, int | None], ...]
"""The options that are said, with the values that are part of the shape."""


def _options(table: dict[str, Word], options: Options) -> tuple[Words, dict[str, Any]]:
    words: list[tuple[str, int | None]] = []
    values: dict[str, Any] = {}
    for name, value in options.items():
        word = f"{name}6" if isinstance(value, str) and ":" in value else name
        if table[word].sort is None:
            words.append((word, int(value)))
        else:
            words.append((word, None))
            values[f"option_{word}"] = int(value) * 100 if word in CENTISECONDS else value
    return tuple(words), values


def _attributes(table: dict[str, Word], words: Words) -> list[tuple[str, Any]]:
    return [
        (
            table[word].attribute,
            Hole(f"option_{word}", sort) if (sort := table[word].sort) else fixed,
        )
        for word, fixed in words
    ]


# what the kernel has


@cache
def _all_links() -> bytes:
    attrs = [("IFLA_EXT_MASK", RTEXT_FILTER_SKIP_STATS)]
    return Template("ifinfmsg.ifinfmsg", {"attrs": attrs})()


def links() -> tuple[int, bytes]:
    """Type and body of a dump of all links."""
    return RTM_GETLINK, _all_links()


@dataclass(frozen=True)
class Link:
    index: int
    name: str


def parse_link(message: bytes) -> Link:
    parsed = message_class("ifinfmsg.ifinfmsg")(message)
    parsed.decode()
    return Link(parsed["index"], parsed.get_attr("IFLA_IFNAME"))
