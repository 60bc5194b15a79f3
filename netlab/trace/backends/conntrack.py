"""Connection tracking: the entries of the probe's connection, both directions as expected.

Looked up at the end by the headers that were seen in a node, before and after translation: either
direction finds the entry (net/netfilter/nf_conntrack_netlink.c, ``ctnetlink_get_conntrack``).
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from netlab.errors import MachineLacks
from netlab.firewall.wire import attribute, nest, u8
from netlab.kernel.connection import Connection, Direction
from netlab.kernel.conntrack import decoded, tracked
from netlab.kernel.wire import NLM_F_REQUEST, NLMSG_ERROR, open_socket
from netlab.trace.assemble import end_words
from netlab.trace.backends.base import Backend, Scene
from netlab.trace.headers import ERRORS, NAMES, Headers, parse
from netlab.trace.sighting import Sighting

NETLINK_NETFILTER = 12
CT_GET = 1 << 8 | 1
TUPLE_ORIG, TUPLE_IP, TUPLE_PROTO = 1, 1, 2
NUMBERS = {name: number for number, name in NAMES.items()}
FIRST = {"icmp": 4, "icmpv6": 7}
"""``CTA_PROTO_ICMP_ID`` and ``CTA_PROTO_ICMPV6_ID``; type and code follow."""


@dataclass
class Tracking:
    """See ``netlab.trace.backends.base.Watch``."""

    scene: Scene
    refusal: str = ""

    def files(self) -> Sequence[int]:
        return ()

    def read(self) -> list[Sighting]:
        return []

    def end(self, seen: Sequence[Sighting]) -> list[Sighting]:
        tracks = {s.node for s in seen if s.ct_id}
        told = any(s.table for s in seen)
        asked: dict[str, set[bytes]] = {}
        for sighting in seen:
            if (sighting.node in tracks or not told) and sighting.network:
                asked.setdefault(sighting.node, set()).update(_requests(sighting))
        nodes = self.scene.nodes
        try:
            found = self.scene.visits.each(
                {nodes[node]: partial(_found, requests) for node, requests in asked.items()}
            )
        except OSError as problem:
            self.refusal = f"connections could not be read: {problem.strerror}"
            return []
        return [_sighting(node, c) for node in asked for c in found[nodes[node]]]

    def gaps(self) -> list[str]:
        return [self.refusal] if self.refusal else []

    def close(self) -> None:
        """Nothing was opened."""


def _requests(seen: Sighting) -> Iterator[bytes]:
    headers = parse(seen.network, seen.transport)
    if headers is not None and not headers.innermost.is_error:
        request = tuple_of(headers.innermost)
        if request:
            yield request


def tuple_of(headers: Headers) -> bytes:
    """A question for the connection that has the packet in one of its directions; b"" for none."""
    packet = headers.packet
    protocol = packet.protocol
    if protocol not in NUMBERS or not headers.transport:
        return b""
    family, first = (socket.AF_INET6, 3) if ":" in packet.source else (socket.AF_INET, 1)
    ends = packet.source, packet.destination
    addresses = [socket.inet_pton(family, address) for address in ends]
    ip = nest(TUPLE_IP, *(attribute(first + n, a) for n, a in enumerate(addresses)))
    if protocol in FIRST:
        word = headers.word(4) or 0
        kind, code = headers.transport[0], headers.transport[1]
        if kind in ERRORS[NUMBERS[protocol]]:
            return b""  # it has no connection of its own, and chains tell too little of whose it is
        at = FIRST[protocol]
        above = attribute(at, struct.pack(">H", word >> 16)) + u8(at + 1, kind) + u8(at + 2, code)
    else:
        ports = packet.source_port, packet.destination_port
        above = b"".join(attribute(2 + n, struct.pack(">H", port)) for n, port in enumerate(ports))
    proto = nest(TUPLE_PROTO, u8(1, NUMBERS[protocol]), above)
    return struct.pack("=BBH", family, 0, 0) + nest(TUPLE_ORIG, ip, proto)


def _found(requests: set[bytes]) -> list[Connection]:
    """In the namespace that the thread stands in. Raises OSError."""
    found: dict[Connection, None] = {}
    with open_socket(NETLINK_NETFILTER) as sock:
        for request in sorted(requests):
            head = struct.pack("=IHHII", 16 + len(request), CT_GET, NLM_F_REQUEST, 1, 0)
            sock.send(head + request)
            answer = sock.recv(1 << 16)
            if struct.unpack_from("=H", answer, 4)[0] != NLMSG_ERROR:
                found[decoded(answer)] = None
                continue
            code = -struct.unpack_from("=i", answer, 16)[0]
            if code not in (errno.ENOENT, 0):
                raise OSError(code, os.strerror(code))
    return list(found)


def _sighting(node: str, connection: Connection) -> Sighting:
    return Sighting(
        node,
        "conntrack",
        "connection",
        original=_words(connection.original),
        reply=_words(connection.reply),
        ct_state=connection.state,
        name=" ".join(connection.status),
    )


def _words(direction: Direction) -> str:
    source, destination = direction.source, direction.destination
    to = end_words(destination.address, destination.port or 0)
    return f"{end_words(source.address, source.port or 0)} → {to}"


def obstacle() -> str:
    try:
        tracked()
    except (OSError, MachineLacks) as problem:
        return str(problem)
    return ""


backend = Backend(
    about="the connection that a packet belongs to, and how NAT translates it",
    option="CONFIG_NF_CT_NETLINK",
    obstacle=obstacle,
    watch=Tracking,
    sees_ways=False,
)
