"""All that a namespace holds that decides about packets, read in one go.

By rtnetlink(7), sock_diag(7), nf_tables and /proc. Every function works
in the namespace that the calling thread stands in.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress

from netlab.firewall.listing import read_ruleset
from netlab.firewall.transaction import dump as nft_dump
from netlab.firewall.wire import attributes
from netlab.kernel import baseline, rules
from netlab.kernel.holding import (
    HeldAddress,
    HeldBridge,
    HeldForwarding,
    HeldHop,
    HeldLink,
    HeldNeighbour,
    HeldPolicy,
    HeldPort,
    HeldRoute,
    HeldTables,
    HeldVxlan,
    Holding,
)
from netlab.kernel.listeners import listeners
from netlab.kernel.wire import dump, open_socket

RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE, RTM_GETNEIGH, RTM_GETRULE = 18, 22, 26, 30, 34
HEADER = 16
IFINFO = struct.Struct("=BxHiII")
IFADDR = struct.Struct("=BBBBI")
NDMSG = struct.Struct("=BxxxiHBB")
RTMSG = struct.Struct("=BBBBBBBBI")
FIBRULE = struct.Struct("=BBBBxxBBI")
NEXTHOP = struct.Struct("=HBBi")
AF_BRIDGE = 7

IFF_UP, IFF_NOARP, IFF_LOWER_UP = 1, 0x80, 1 << 16
BR_STATES = ("disabled", "listening", "learning", "forwarding", "blocking")
NUD = {
    1: "incomplete", 2: "reachable", 4: "stale", 8: "delay", 16: "probe", 32: "failed",
    64: "noarp", 128: "permanent",
}  # fmt: skip
NTF_PROXY = 8
ADDRESS_FLAGS = (
    (0x01, "secondary"), (0x08, "dadfailed"), (0x20, "deprecated"), (0x40, "tentative"),
)  # fmt: skip
ROUTE_TYPES = (
    "", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable",
    "prohibit", "throw",
)  # fmt: skip
RTNH_F_DEAD, RTNH_F_ONLINK, RTNH_F_LINKDOWN = 1, 4, 16
RTM_F_CLONED = 0x200
ACTIONS = {
    1: "lookup", 2: "goto", 3: "nop", 6: "blackhole", 7: "unreachable", 8: "prohibit",
}  # fmt: skip
FIB_RULE_INVERT = 2
READ_OF_RULES = frozenset({1, 2, 3, 4, 6, 10, 14, 15, 16, 17, 20, 21, 22, 23, 24})
"""Attributes of rules that say when they hold, and that are read here (linux/fib_rules.h)."""
SILENT_OF_RULES = frozenset({0, 5, 7, 8, 9, 11, 12, 13})

# the places of switches in what a device tells of itself (linux/ip.h and linux/ipv6.h)
CONF4 = {
    "forwarding": 1, "proxy_arp": 3, "rp_filter": 8, "arp_filter": 13, "arp_announce": 18,
    "arp_ignore": 19, "accept_local": 23, "src_valid_mark": 24, "route_localnet": 26,
    "ignore_routes_with_linkdown": 29, "bc_forwarding": 32,
}  # fmt: skip
CONF6 = {
    "forwarding": 0, "hop_limit": 1, "mtu": 2, "proxy_ndp": 22, "disable_ipv6": 26,
    "use_oif_addrs_only": 37, "ignore_routes_with_linkdown": 39,
}  # fmt: skip
SWITCHES = (
    *(f"net.ipv4.conf.all.{name}" for name in CONF4),
    "net.ipv4.ip_forward",
    "net.ipv4.ip_default_ttl",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_no_pmtu_disc",
    "net.ipv4.fib_multipath_hash_policy",
    "net.ipv4.icmp_echo_ignore_all",
    "net.ipv6.conf.all.forwarding",
    "net.ipv6.conf.all.ignore_routes_with_linkdown",
    "net.ipv6.icmp.echo_ignore_all",
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
    "net.bridge.bridge-nf-call-arptables",
    "net.netfilter.nf_conntrack_tcp_loose",
)


def read(spec: str) -> Holding:
    """``spec`` is the text that made its rules, or "". Raises OSError, MachineLacks."""
    with open_socket() as sock:
        messages = dump(sock, RTM_GETLINK, IFINFO.pack(0, 0, 0, 0, 0))
        names = {_index(message): _name(message) for message in messages}
        links = tuple(_link(message, names) for message in messages)
        switched = any(link.bridge or link.vxlan for link in links)
        return Holding(
            links,
            tuple(_addresses(sock, names)),
            tuple(_routes(sock, names)),
            tuple(_policies(sock)),
            tuple(_neighbours(sock, names)),
            tuple(_forwarding(sock, names)) if switched else (),
            tuple(listeners(names)),
            False,
            _switches(),
            _tables(spec, {name: index for index, name in names.items()}),
            os.uname().release,
        )


# devices


def _index(message: bytes) -> int:
    return int(IFINFO.unpack_from(message, HEADER)[2])


def _name(message: bytes) -> str:
    return _text(attributes(message[HEADER + IFINFO.size :]).get(3, b""))


def _link(message: bytes, names: Mapping[int, str]) -> HeldLink:
    _, kind, index, flags, _ = IFINFO.unpack_from(message, HEADER)
    said = attributes(message[HEADER + IFINFO.size :])
    info = attributes(said.get(18, b""))
    word, data = _text(info.get(1, b"")), attributes(info.get(2, b""))
    is_port = _text(info.get(4, b"")) == "bridge"
    port = _port(attributes(info.get(5, b"")), names.get(_native(said.get(10, b"")), ""))
    of_family = attributes(said.get(26, b""))
    return HeldLink(
        names[index],
        index,
        word,
        kind,
        bool(flags & IFF_UP),
        bool(flags & IFF_LOWER_UP),
        not flags & IFF_NOARP,
        _native(said.get(4, b"")),
        said.get(1, b"").hex(":"),
        _native(said.get(27, b"")),
        port if is_port else None,
        _bridge(data) if word == "bridge" else None,
        _vxlan(data) if word == "vxlan" else None,
        _conf(attributes(of_family.get(socket.AF_INET, b"")).get(1, b""), CONF4, 1),
        _conf(attributes(of_family.get(socket.AF_INET6, b"")).get(2, b""), CONF6, 0),
    )


def _port(said: Mapping[int, bytes], bridge: str) -> HeldPort:
    def on(number: int, otherwise: bool = True) -> bool:
        return any(said[number]) if number in said else otherwise

    state = said.get(1, b"\3")[0]
    return HeldPort(
        bridge, BR_STATES[state], on(33, False), on(4, False), on(8), on(9), on(27), on(30)
    )


def _bridge(said: Mapping[int, bytes]) -> HeldBridge:
    return HeldBridge(
        any(said.get(5, b"")), _native(said.get(4, b"")), any(said.get(7, b""))
    )


def _vxlan(said: Mapping[int, bytes]) -> HeldVxlan:
    def address(*numbers: int) -> str:
        return next((_ip(said[n]) for n in numbers if any(said.get(n, b""))), "")

    port = int.from_bytes(said.get(15, b""), "big")
    return HeldVxlan(
        _native(said.get(1, b"")), port, address(4, 17), address(2, 16), any(said.get(7, b""))
    )


def _conf(data: bytes, places: Mapping[str, int], first: int) -> dict[str, int]:
    values = struct.unpack(f"={len(data) // 4}i", data)
    return {
        name: values[place - first]
        for name, place in places.items()
        if place - first < len(values)
    }


def _addresses(sock: socket.socket, names: Mapping[int, str]) -> Iterator[HeldAddress]:
    for message in dump(sock, RTM_GETADDR, IFADDR.pack(0, 0, 0, 0, 0)):
        family, length, low, scope, index = IFADDR.unpack_from(message, HEADER)
        said = attributes(message[HEADER + IFADDR.size :])
        flags = _native(said[8]) if 8 in said else low
        words = [word for bit, word in ADDRESS_FLAGS if flags & bit]
        if family == socket.AF_INET6 and "secondary" in words:
            words[words.index("secondary")] = "temporary"
        own, whole = said.get(2), said.get(1, b"")
        peer = _ip(whole) if own and own != whole else ""
        address = _ip(own or whole)
        yield HeldAddress(names.get(index, ""), address, length, scope, tuple(words), peer)


# routes


def _routes(sock: socket.socket, names: Mapping[int, str]) -> Iterator[HeldRoute]:
    for family in (socket.AF_INET, socket.AF_INET6):
        for message in dump(sock, RTM_GETROUTE, RTMSG.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)):
            head = RTMSG.unpack_from(message, HEADER)
            if head[0] == family and not head[8] & RTM_F_CLONED:
                yield _route(head, attributes(message[HEADER + RTMSG.size :]), names)


def _route(
    head: tuple[int, ...], said: Mapping[int, bytes], names: Mapping[int, str]
) -> HeldRoute:
    family, to, by, tos, table, protocol, scope, kind, flags = head
    metrics = attributes(said.get(8, b""))
    nothing = "0.0.0.0" if family == socket.AF_INET else "::"
    word = ROUTE_TYPES[kind] if kind < len(ROUTE_TYPES) else str(kind)
    return HeldRoute(
        f"{_ip(said[1]) if 1 in said else nothing}/{to}",
        _native(said[15]) if 15 in said else table,
        word,
        scope,
        _native(said.get(6, b"")),
        tuple(_hops(said, flags, names)),
        _ip(said[7]) if 7 in said else "",
        tos,
        _native(metrics.get(2, b"")),
        protocol,
        f"{_ip(said[2])}/{by}" if 2 in said else "",
        said.get(20, b"\0")[0],
    )


def _hops(
    said: Mapping[int, bytes], flags: int, names: Mapping[int, str]
) -> Iterator[HeldHop]:
    several = said.get(9, b"")
    at = 0
    while at + NEXTHOP.size <= len(several):
        length, bits, hops, index = NEXTHOP.unpack_from(several, at)
        inner = attributes(several[at + NEXTHOP.size : at + length])
        yield _hop(inner, bits, names.get(index, ""), hops + 1)
        at += (length + 3) & ~3
    if not several and (4 in said or 5 in said or 18 in said):
        yield _hop(said, flags, names.get(_native(said.get(4, b"")), ""), 1)


def _hop(said: Mapping[int, bytes], flags: int, device: str, weight: int) -> HeldHop:
    gateway = _ip(said[5]) if 5 in said else _ip(said[18][2:]) if 18 in said else ""
    return HeldHop(
        gateway,
        device,
        weight,
        bool(flags & RTNH_F_ONLINK),
        bool(flags & RTNH_F_DEAD),
        bool(flags & RTNH_F_LINKDOWN),
    )


def _policies(sock: socket.socket) -> Iterator[HeldPolicy]:
    for version, family in ((4, socket.AF_INET), (6, socket.AF_INET6)):
        body = FIBRULE.pack(family, 0, 0, 0, 0, 0, 0)
        for message in dump(sock, RTM_GETRULE, body):
            head = FIBRULE.unpack_from(message, HEADER)
            if head[0] == family:
                yield _policy(version, head, attributes(message[HEADER + 12 :]))


def _policy(version: int, head: tuple[int, ...], said: Mapping[int, bytes]) -> HeldPolicy:
    _, to, by, tos, table, action, flags = head
    suppress = _native(said[14]) if 14 in said else 0xFFFFFFFF
    return HeldPolicy(
        version,
        _native(said.get(6, b"")),
        _native(said[15]) if 15 in said else table,
        ACTIONS.get(action, str(action)),
        _native(said.get(4, b"")),
        f"{_ip(said[2])}/{by}" if 2 in said else "",
        f"{_ip(said[1])}/{to}" if 1 in said else "",
        _text(said.get(3, b"")),
        _text(said.get(17, b"")),
        _native(said.get(10, b"")),
        _native(said.get(16, b"")),
        tos,
        (said.get(22) or b"\0")[0],
        _pair(said.get(23), "H"),
        _pair(said.get(24), "H"),
        _pair(said.get(20), "I"),
        bool(flags & FIB_RULE_INVERT),
        -1 if suppress == 0xFFFFFFFF else suppress,
        tuple(f"FRA {n}" for n in said if n not in READ_OF_RULES | SILENT_OF_RULES
              and any(said[n])),
    )  # fmt: skip


def _pair(data: bytes | None, width: str) -> tuple[int, int] | None:
    if not data or len(data) != 2 * struct.calcsize(width):
        return None
    low, high = struct.unpack(f"=2{width}", data)
    return low, high


# neighbours and forwarding databases


def _neighbours(sock: socket.socket, names: Mapping[int, str]) -> Iterator[HeldNeighbour]:
    for flags in (0, NTF_PROXY):
        for message in dump(sock, RTM_GETNEIGH, NDMSG.pack(0, 0, 0, flags, 0)):
            family, index, state, kind, _ = NDMSG.unpack_from(message, HEADER)
            said = attributes(message[HEADER + NDMSG.size :])
            if family == AF_BRIDGE or 1 not in said or bool(kind & NTF_PROXY) != bool(flags):
                continue
            mac = said.get(2, b"").hex(":")
            word = NUD.get(state, str(state))
            yield HeldNeighbour(names.get(index, ""), _ip(said[1]), mac, word, bool(flags))


def _forwarding(sock: socket.socket, names: Mapping[int, str]) -> Iterator[HeldForwarding]:
    for message in dump(sock, RTM_GETNEIGH, NDMSG.pack(AF_BRIDGE, 0, 0, 0, 0)):
        family, index, state, _, _ = NDMSG.unpack_from(message, HEADER)
        said = attributes(message[HEADER + NDMSG.size :])
        if family == AF_BRIDGE and 2 in said:
            master = names.get(_native(said.get(9, b"")), "")
            remote = _ip(said[1]) if 1 in said else ""
            yield HeldForwarding(
                names.get(index, ""), said[2].hex(":"), master, state == 0x80, remote
            )


# switches and rules


def _switches() -> dict[str, str]:
    found = {}
    for name in SWITCHES:
        with suppress(OSError):
            found[name] = baseline.read(name)
    return found


def _tables(spec: str, links: Mapping[str, int]) -> HeldTables:
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
    with socket.socket(socket.AF_NETLINK, kind, rules.NETLINK_NETFILTER) as sock:
        if not nft_dump(sock, "tables"):
            return HeldTables()
        trees = tuple(read_ruleset(sock, links))
    known: dict[tuple[str, str, str], list[tuple[int, str]]] = {}
    for rule in rules.listed(spec):
        here = known.setdefault((rule.family, rule.table, rule.chain), [])
        here.append((rule.handle, rule.place))
    return HeldTables(trees, {chain: tuple(some) for chain, some in known.items()})


def _native(data: bytes) -> int:
    """A number of the machine's own byte order; 0 where there is none."""
    return int.from_bytes(data, "little" if struct.pack("=H", 1)[0] else "big")


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode(errors="replace")


def _ip(data: bytes) -> str:
    family = socket.AF_INET if len(data) == 4 else socket.AF_INET6
    return socket.inet_ntop(family, data)

