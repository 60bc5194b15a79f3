"""What a namespace holds that decides about packets, asked for one by one (rtnetlink(7)).

Every function works in the namespace that its socket was opened in, or the thread stands in.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import NamedTuple

from netlab.firewall.wire import attribute, attributes
from netlab.kernel.wire import NLM_F_REQUEST, dump

RTM_GETLINK, RTM_GETADDR, RTM_NEWROUTE, RTM_GETROUTE = 18, 22, 24, 26
RTM_GETNEIGH, RTM_GETRULE = 30, 34
NLMSG_ERROR = 2
HEADER = 16

IFINFO = struct.Struct("=BxHiII")
IFADDR = struct.Struct("=BBBBI")
NDMSG = struct.Struct("=BxxxiHBB")
RTMSG = struct.Struct("=BBBBBBBBI")
FIBRULE = struct.Struct("=BBBBBBBBI")

IFF_UP, IFF_NOARP, IFF_LOWER_UP = 1, 1 << 7, 1 << 16
BR_STATES = ("disabled", "listening", "learning", "forwarding", "blocking")
NUD = {
    0: "none", 1: "incomplete", 2: "reachable", 4: "stale", 8: "delay", 16: "probe", 32: "failed",
    64: "noarp", 128: "permanent",
}  # fmt: skip
AF_BRIDGE = 7
XDP = {1: "native", 2: "generic", 3: "offloaded", 4: "several"}
"""``XDP_ATTACHED_…`` (linux/if_link.h)."""
FLOODED = {9: "unicast", 27: "multicast", 30: "broadcast"}
"""``IFLA_BRPORT_UNICAST_FLOOD``, ``_MCAST_FLOOD``, ``_BCAST_FLOOD`` (linux/if_link.h)."""
IFLA_BRPORT_LOCKED, IFLA_VXLAN_ID = 39, 1
NTF_SELF, NTF_MASTER = 2, 4
ADDRESS_FLAGS = ((0x08, "dadfailed"), (0x40, "tentative"))
ROUTE_TYPES = (
    "", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable",
    "prohibit", "throw",
)  # fmt: skip
TABLES = {253: "default", 254: "main", 255: "local"}
RTM_F_LOOKUP_TABLE, RTM_F_FIB_MATCH = 0x1000, 0x2000
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58}


class Link(NamedTuple):
    name: str
    number: int
    """Its interface index."""
    kind: str
    up: bool
    carrier: bool
    mtu: int
    mac: str
    master: int
    state: str
    """Of a bridge's port; "" for what is none."""
    isolated: bool
    hairpin: bool
    remote: str
    xdp: str = ""
    """``native``, ``generic``, ``offloaded``, ``several``; "" without a program."""
    unflooded: tuple[str, ...] = ()
    """Of a bridge's port: ``unicast``, ``multicast``, ``broadcast``, where these stay out of it."""
    locked: bool = False
    """Of a bridge's port: only known sources may send."""
    arp: bool = True
    vni: int = 0
    """Of a vxlan device."""


def links(sock: socket.socket) -> list[Link]:
    return [_link(message) for message in dump(sock, RTM_GETLINK, IFINFO.pack(0, 0, 0, 0, 0))]


def _link(message: bytes) -> Link:
    _, _, index, flags, _ = IFINFO.unpack_from(message, HEADER)
    said = attributes(message[HEADER + IFINFO.size :])
    info = attributes(said.get(18, b""))
    port = attributes(info.get(5, b"")) if _text(info.get(4, b"")) == "bridge" else {}
    data = attributes(info.get(2, b""))
    kind = _text(info.get(1, b""))
    remote = next((_ip(data[n]) for n in (2, 16) if kind == "vxlan" and any(data.get(n, b""))), "")
    state = port.get(1, b"")
    return Link(
        _text(said.get(3, b"")),
        index,
        kind,
        bool(flags & IFF_UP),
        bool(flags & IFF_LOWER_UP),
        _native(said.get(4, b"")),
        said.get(1, b"").hex(":"),
        _native(said.get(10, b"")),
        BR_STATES[state[0]] if state else "",
        any(port.get(33, b"")),
        any(port.get(4, b"")),
        remote,
        XDP.get(_native(attributes(said.get(43, b"")).get(2, b"")), ""),
        tuple(word for n, word in FLOODED.items() if port.get(n) == b"\0"),
        any(port.get(IFLA_BRPORT_LOCKED, b"")),
        not flags & IFF_NOARP,
        _native(data.get(IFLA_VXLAN_ID, b"")) if kind == "vxlan" else 0,
    )


class Address(NamedTuple):
    device: int
    address: str
    length: int
    flags: tuple[str, ...]


def addresses(sock: socket.socket) -> list[Address]:
    found = []
    for message in dump(sock, RTM_GETADDR, IFADDR.pack(0, 0, 0, 0, 0)):
        _, length, low, _, index = IFADDR.unpack_from(message, HEADER)
        said = attributes(message[HEADER + IFADDR.size :])
        flags = _native(said[8]) if 8 in said else low
        own = said.get(2) or said.get(1, b"")
        words = tuple(word for bit, word in ADDRESS_FLAGS if flags & bit)
        found.append(Address(index, _ip(own), length, words))
    return found


class Neighbour(NamedTuple):
    device: int
    address: str
    mac: str
    state: str


def neighbours(sock: socket.socket) -> list[Neighbour]:
    found = []
    for message in dump(sock, RTM_GETNEIGH, NDMSG.pack(0, 0, 0, 0, 0)):
        _, index, state, _, _ = NDMSG.unpack_from(message, HEADER)
        said = attributes(message[HEADER + NDMSG.size :])
        if 1 in said:
            mac = said.get(2, b"").hex(":")
            found.append(Neighbour(index, _ip(said[1]), mac, NUD.get(state, str(state))))
    return found


class Entry(NamedTuple):
    """Of a forwarding database."""

    device: int
    mac: str
    master: int
    local: bool
    remote: str


def fdb(sock: socket.socket) -> list[Entry]:
    found = []
    for message in dump(sock, RTM_GETNEIGH, NDMSG.pack(AF_BRIDGE, 0, 0, 0, 0)):
        family, index, state, _, _ = NDMSG.unpack_from(message, HEADER)
        said = attributes(message[HEADER + NDMSG.size :])
        if family == AF_BRIDGE and 2 in said:
            remote = _ip(said[1]) if 1 in said else ""
            master = _native(said.get(9, b""))
            found.append(Entry(index, said[2].hex(":"), master, bool(state & 0x80), remote))
    return found


class Route(NamedTuple):
    """A way that the kernel would take."""

    type: str
    prefix: str
    via: str
    device: int
    table: str
    source: str
    mtu: int


def route(
    sock: socket.socket,
    destination: str,
    *,
    source: str = "",
    device: int = 0,
    mark: int = 0,
    tos: int = 0,
    protocol: str = "",
    ports: tuple[int, int] = (0, 0),
) -> Route:
    """As a packet would be routed that came in by that device, or is the node's own.

    Raises OSError with what the kernel says of one that it would not.
    """
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    width = 128 if family == socket.AF_INET6 else 32
    said = [attribute(1, socket.inet_pton(family, destination))]
    if source:
        said.append(attribute(2, socket.inet_pton(family, source)))
    if device:
        said.append(attribute(3, struct.pack("=I", device)))
    if mark:
        said.append(attribute(16, struct.pack("=I", mark)))
    if protocol in PROTOCOLS:
        said.append(attribute(27, bytes((PROTOCOLS[protocol],))))
        if protocol in ("tcp", "udp") and any(ports):
            said.append(attribute(28, struct.pack(">H", ports[0])))
            said.append(attribute(29, struct.pack(">H", ports[1])))

    def asked(flags: int) -> tuple[tuple[int, ...], dict[int, bytes]]:
        head = RTMSG.pack(family, width, width if source else 0, tos & 0x1C, 0, 0, 0, 0, flags)
        answer = _ask(sock, RTM_GETROUTE, head + b"".join(said))
        return RTMSG.unpack_from(answer, HEADER), attributes(answer[HEADER + RTMSG.size :])

    head, found = asked(RTM_F_LOOKUP_TABLE)
    matched_head, matched = asked(RTM_F_LOOKUP_TABLE | RTM_F_FIB_MATCH)
    table = _native(matched.get(15, b"")) or matched_head[4]
    prefix = f"{_ip(matched[1])}/{matched_head[1]}" if 1 in matched else "default"
    metrics = attributes(found.get(8, b""))
    return Route(
        ROUTE_TYPES[head[7]] if head[7] < len(ROUTE_TYPES) else str(head[7]),
        "default" if not matched_head[1] else prefix,
        _gateway(found),
        _native(found.get(4, b"")),
        TABLES.get(table, str(table)),
        _ip(found[7]) if 7 in found else "",
        _native(metrics.get(2, b"")),
    )


class Held(NamedTuple):
    """A route that the namespace has."""

    table: str
    prefix: str
    """``0.0.0.0/0`` for the default."""
    type: str
    priority: int


def fib(sock: socket.socket, version: int) -> list[Held]:
    """All routes of all tables. Raises OSError."""
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    everywhere = {4: "0.0.0.0", 6: "::"}[version]
    found = []
    for message in dump(sock, RTM_GETROUTE, RTMSG.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)):
        head = RTMSG.unpack_from(message, HEADER)
        said = attributes(message[HEADER + RTMSG.size :])
        table = _native(said.get(15, b"")) or head[4]
        prefix = f"{_ip(said[1]) if 1 in said else everywhere}/{head[1]}"
        kind = ROUTE_TYPES[head[7]] if head[7] < len(ROUTE_TYPES) else str(head[7])
        found.append(
            Held(TABLES.get(table, str(table)), prefix, kind, _native(said.get(6, b"")))
        )
    return found


def _gateway(said: dict[int, bytes]) -> str:
    if 18 in said:  # RTA_VIA: of another family
        return _ip(said[18][2:])
    return _ip(said[5]) if 5 in said else ""


class PolicyRule(NamedTuple):
    """A rule of policy routing (ip-rule(8))."""

    priority: int
    table: str
    source: str
    """A prefix; "" for all."""
    destination: str
    incoming: str
    outgoing: str
    mark: int
    mask: int
    protocol: int
    action: str


RULE_ACTIONS = {1: "table", 6: "blackhole", 7: "unreachable", 8: "prohibit"}


def policy_rules(sock: socket.socket, version: int) -> list[PolicyRule]:
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    found = []
    for message in dump(sock, RTM_GETRULE, FIBRULE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)):
        head = FIBRULE.unpack_from(message, HEADER)
        said = attributes(message[HEADER + FIBRULE.size :])
        table = _native(said.get(15, b"")) or head[4]
        found.append(
            PolicyRule(
                _native(said.get(6, b"")),
                TABLES.get(table, str(table)),
                f"{_ip(said[2])}/{head[2]}" if 2 in said else "",
                f"{_ip(said[1])}/{head[1]}" if 1 in said else "",
                _text(said.get(3, b"")),
                _text(said.get(17, b"")),
                _native(said.get(10, b"")),
                _native(said.get(16, b"")) or 0xFFFFFFFF,
                (said.get(22) or b"\0")[0],
                RULE_ACTIONS.get(head[7], str(head[7])),
            )
        )
    return found


def _ask(sock: socket.socket, kind: int, body: bytes) -> bytes:
    """One answer. Raises OSError."""
    sock.send(struct.pack("=IHHII", HEADER + len(body), kind, NLM_F_REQUEST, 1, 0) + body)
    answer = sock.recv(1 << 16)
    if struct.unpack_from("=H", answer, 4)[0] == NLMSG_ERROR:
        code = -struct.unpack_from("=i", answer, HEADER)[0]
        raise OSError(code, os.strerror(code))
    return answer


def _native(data: bytes) -> int:
    """A number of the machine's own byte order; 0 where there is none."""
    return int.from_bytes(data, "little" if struct.pack("=H", 1)[0] else "big")


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode(errors="replace")


def _ip(data: bytes) -> str:
    family = socket.AF_INET if len(data) == 4 else socket.AF_INET6
    return socket.inet_ntop(family, data)
