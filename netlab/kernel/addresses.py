"""Requests about addresses, neighbours and forwarding entries (rtnetlink(7))."""

from __future__ import annotations

from functools import cache
from socket import inet_aton, inet_ntoa
from typing import Any

from netlab.kernel.rtnetlink import (
    AF_BRIDGE,
    APPEND,
    CREATE,
    FAMILIES,
    IFA_F_NODAD,
    NEW,
    NTF_PROXY,
    NTF_SELF,
    NUD_PERMANENT,
    REPLACE,
    RT_SCOPE_HOST,
    RTM_DELADDR,
    RTM_DELNEIGH,
    RTM_NEWADDR,
    RTM_NEWNEIGH,
    version_of,
)
from netlab.kernel.templates import MAC, U32, Hole, Template, ip
from netlab.kernel.wire import Request

INDEX = Hole("index", U32)


def new_address(index: int, cidr: str) -> Request:
    """An IPv6 address is usable at once: nobody else in the lab could hold it (IFA_F_NODAD)."""
    return RTM_NEWADDR, NEW, _address_body(index, cidr, True)


def del_address(index: int, cidr: str) -> Request:
    return RTM_DELADDR, 0, _address_body(index, cidr, False)


def _address_body(index: int, cidr: str, is_new: bool) -> bytes:
    address, _, length = cidr.partition("/")
    version = version_of(address)
    broadcast = ""
    if is_new and version == 4 and int(length) < 31:
        broadcast = _broadcast(address, int(length))
    scope = RT_SCOPE_HOST if address.startswith("127.") else 0
    shape = _address(version, int(length), bool(broadcast), scope, is_new)
    return shape(index=index, local=address, address=address, broadcast=broadcast)


def _broadcast(address: str, length: int) -> str:
    """The last address of an IPv4 subnet."""
    number = int.from_bytes(inet_aton(address), "big") | (1 << (32 - length)) - 1
    return inet_ntoa(number.to_bytes(4, "big"))


@cache
def _address(version: int, length: int, broadcast: bool, scope: int, is_new: bool) -> Template:
    fields = {"family": FAMILIES[version], "prefixlen": length, "scope": scope, "index": INDEX}
    attrs: list[tuple[str, Any]] = [("IFA_LOCAL", Hole("local", ip(version)))]
    attrs += [("IFA_ADDRESS", Hole("address", ip(version)))]
    attrs += [("IFA_BROADCAST", Hole("broadcast", ip(4)))] if broadcast else []
    attrs += [("IFA_FLAGS", IFA_F_NODAD)] if is_new and version == 6 else []
    return Template("ifaddrmsg.ifaddrmsg", {**fields, "attrs": attrs})


def new_fdb(index: int, mac: str, remote: str) -> Request:
    return RTM_NEWNEIGH, CREATE | APPEND, _fdb(version_of(remote))(index=index, mac=mac, to=remote)


def del_fdb(index: int, mac: str, remote: str) -> Request:
    return RTM_DELNEIGH, 0, _fdb(version_of(remote))(index=index, mac=mac, to=remote)


@cache
def _fdb(version: int) -> Template:
    attrs = [("NDA_LLADDR", Hole("mac", MAC)), ("NDA_DST", Hole("to", ip(version)))]
    fields = {"family": AF_BRIDGE, "state": NUD_PERMANENT, "flags": NTF_SELF}
    return Template("ndmsg.ndmsg", {**fields, "ifindex": INDEX, "attrs": attrs})


def new_neighbour(index: int, to: str, mac: str, proxy: bool) -> Request:
    """A permanent one takes the place of one that was learned."""
    shape = _neighbour(version_of(to), bool(mac), proxy)
    return RTM_NEWNEIGH, CREATE | REPLACE, shape(index=index, to=to, mac=mac)


def del_neighbour(index: int, to: str, proxy: bool) -> Request:
    return RTM_DELNEIGH, 0, _neighbour(version_of(to), False, proxy)(index=index, to=to)


@cache
def _neighbour(version: int, mac: bool, proxy: bool) -> Template:
    attrs = [("NDA_DST", Hole("to", ip(version)))]
    attrs += [("NDA_LLADDR", Hole("mac", MAC))] if mac else []
    flags = NTF_PROXY if proxy else 0
    fields = {"family": FAMILIES[version], "state": NUD_PERMANENT, "flags": flags}
    return Template("ndmsg.ndmsg", {**fields, "ifindex": INDEX, "attrs": attrs})
