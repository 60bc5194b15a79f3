"""What a namespace holds of what labs put there: devices, addresses, routes (rtnetlink(7))."""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterator
from contextlib import suppress
from ipaddress import IPv6Address
from socket import AF_INET, AF_INET6, inet_ntop, socket
from struct import Struct

from netlab.kernel.baseline import read
from netlab.kernel.rtnetlink import IFF_UP, RTEXT_FILTER_SKIP_STATS
from netlab.kernel.values import Held, RouteKey, RulesKey, Table
from netlab.kernel.wire import NETLINK_GET_STRICT_CHK, SOL_NETLINK, dump, open_socket

RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE = 18, 22, 26
IFLA_IFNAME, IFLA_EXT_MASK = 3, 29
IFA_ADDRESS, IFA_LOCAL = 1, 2
RTA_DST, RTA_PRIORITY, RTA_TABLE = 1, 6, 15
NETLINK_NETFILTER, NFT_MSG_GETTABLE, NFTA_TABLE_NAME = 12, 10 << 8 | 1, 1
NFPROTO = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
"""Families of tables (linux/netfilter.h)."""
FAMILIES = {4: (AF_INET, bytes(4)), 6: (AF_INET6, bytes(16))}
"""And the address that stands for any."""

_HEADER = 16
_LINK = Struct("=BxHiII")
_ADDRESS = Struct("=BBBBI")
_ROUTE = Struct("=BBBBBBBBI")
_ATTRIBUTE = Struct("=HH")
_NUMBER = Struct("=I")
_NO_COUNTERS = _ATTRIBUTE.pack(8, IFLA_EXT_MASK) + _NUMBER.pack(RTEXT_FILTER_SKIP_STATS)


def held(tables: Collection[Table], *, is_ruled: bool = False) -> Held:
    """Of the namespace that the calling thread stands in; routes, of its ``tables``.

    ``is_ruled``: tables of nftables as well. Raises OSError.
    """
    with open_socket() as sock:
        devices = dict(_devices(sock))
        names = {index: name for index, (name, _) in devices.items()}
        addresses = frozenset(_addresses(sock, names))
        up = frozenset(name for name, is_up in devices.values() if is_up)
        silent = up - {name for name, ip in addresses if ":" in ip}
        without = frozenset(name for name in silent if not _takes_ipv6(name))
        told = frozenset(_routes(sock, tables)) if tables else None
    rules = _rules() if is_ruled else None
    return Held(frozenset(names.values()), up, without, addresses, told, rules)


def _rules() -> frozenset[RulesKey] | None:
    try:
        with open_socket(NETLINK_NETFILTER) as sock:
            messages = dump(sock, NFT_MSG_GETTABLE, bytes(4))
    except OSError:  # as where nftables is a module that nobody has loaded yet
        return None
    told = ((m[_HEADER], _told(m, _HEADER + 4, NFTA_TABLE_NAME)) for m in messages)
    return frozenset(
        (NFPROTO[family], found[NFTA_TABLE_NAME].rstrip(b"\0").decode())
        for family, found in told
        if family in NFPROTO
    )


def _takes_ipv6(device: str) -> bool:
    """Not where it is switched off, or the mtu is too small for it (then there is no switch)."""
    try:
        return read(f"net/ipv6/conf/{device}/disable_ipv6") == "0"
    except OSError:
        return False


def _devices(sock: socket) -> Iterator[tuple[int, tuple[str, bool]]]:
    for message in dump(sock, RTM_GETLINK, _LINK.pack(0, 0, 0, 0, 0) + _NO_COUNTERS):
        _, _, index, flags, _ = _LINK.unpack_from(message, _HEADER)
        told = _told(message, _HEADER + _LINK.size, IFLA_IFNAME)
        yield index, (told[IFLA_IFNAME].rstrip(b"\0").decode(), bool(flags & IFF_UP))


def _addresses(sock: socket, names: dict[int, str]) -> Iterator[tuple[str, str]]:
    for message in dump(sock, RTM_GETADDR, _ADDRESS.pack(0, 0, 0, 0, 0)):
        family, _, _, _, index = _ADDRESS.unpack_from(message, _HEADER)
        if family in (AF_INET, AF_INET6) and index in names:
            told = _told(message, _HEADER + _ADDRESS.size, IFA_LOCAL)
            address = told.get(IFA_LOCAL) or told[IFA_ADDRESS]
            yield names[index], _spelt(family, address)


def _routes(sock: socket, tables: Collection[Table]) -> Iterator[RouteKey]:
    """Whoever made them: where there is one, no other can be."""
    with suppress(OSError):  # before Linux 4.20 a kernel tells of all tables
        sock.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
    for version, table in tables:
        family, anywhere = FAMILIES[version]
        for message in _table(sock, family, table):
            found, length, _, _, small, *_ = _ROUTE.unpack_from(message, _HEADER)
            told = _told(message, _HEADER + _ROUTE.size)
            if (found, _number(told, RTA_TABLE, small)) == (family, table):
                to = f"{_spelt(family, told.get(RTA_DST, anywhere))}/{length}"
                yield RouteKey(to, table, _number(told, RTA_PRIORITY, 0))


def _table(sock: socket, family: int, table: int) -> list[bytes]:
    asked = _ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
    asked += _ATTRIBUTE.pack(8, RTA_TABLE) + _NUMBER.pack(table)
    try:
        return dump(sock, RTM_GETROUTE, asked)
    except OSError as problem:
        if problem.errno != errno.ENOENT:  # the kernel makes a table for its first route
            raise
        return []


def _told(message: bytes, at: int, last: int = 0) -> dict[int, bytes]:
    """Its attributes, up to that one: a thousand nodes send eight thousand messages."""
    found, end, number = {}, len(message), -1
    while at + 4 <= end and number != last:
        length, number = _ATTRIBUTE.unpack_from(message, at)
        if length < 4:
            break
        found[number] = message[at + 4 : at + length]
        at += (length + 3) & ~3
    return found


def _number(told: dict[int, bytes], which: int, usual: int) -> int:
    found: int = _NUMBER.unpack(told[which])[0] if which in told else usual
    return found


def _spelt(family: int, address: bytes) -> str:
    """As a topology's addresses are, also those of IPv6 that hold one of IPv4."""
    text = inet_ntop(family, address)
    return str(IPv6Address(address)) if family == AF_INET6 and "." in text else text
