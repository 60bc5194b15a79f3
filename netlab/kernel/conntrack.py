"""The connections that a namespace tracks (linux/netfilter/nfnetlink_conntrack.h).

Every function but ``decoded`` works in the namespace that the calling thread stands in.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from netlab.errors import MachineLacks
from netlab.firewall.held import Attributes, Op, op_of, ops_of
from netlab.firewall.wire import attributes, number, string
from netlab.kernel.connection import Connection, Direction, End, Icmp, Tracked
from netlab.kernel.options import OPTIONS
from netlab.kernel.wire import dump, open_socket, transact

NETLINK_NETFILTER = 12
CT_GET, CT_DELETE = 1 << 8 | 1, 1 << 8 | 2
"""``NFNL_SUBSYS_CTNETLINK`` and ``IPCTNL_MSG_CT_…``."""
NFT_GETRULE = 10 << 8 | 7

EVERY_FAMILY = struct.pack("=BBH", socket.AF_UNSPEC, 0, 0)
"""A ``struct nfgenmsg``; to delete all of it is to flush."""
HEADERS = 20
"""Bytes of ``struct nlmsghdr`` and ``struct nfgenmsg``."""

(
    TUPLE_ORIG, TUPLE_REPLY, STATUS, PROTOINFO, HELP, _, TIMEOUT, MARK,
    COUNTERS_ORIG, COUNTERS_REPLY,
) = range(1, 11)  # fmt: skip
ZONE, LABELS = 18, 22
TUPLE_IP, TUPLE_PROTO, TUPLE_ZONE = 1, 2, 3


class Sort(NamedTuple):
    """A protocol, and by which numbers its attributes are known."""

    name: str
    states: tuple[str, ...] = ()
    protoinfo: int = 0
    icmp: int = 0
    """``CTA_PROTO_ICMP_ID`` or ``CTA_PROTO_ICMPV6_ID``; type and code follow it."""


TCP = (
    "NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK",
    "TIME_WAIT", "CLOSE", "SYN_SENT2",
)  # fmt: skip
DCCP = (
    "NONE", "REQUEST", "RESPOND", "PARTOPEN", "OPEN", "CLOSEREQ", "CLOSING", "TIMEWAIT",
    "IGNORE", "INVALID",
)  # fmt: skip
SCTP = (
    "NONE", "CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTABLISHED", "SHUTDOWN_SENT",
    "SHUTDOWN_RECD", "SHUTDOWN_ACK_SENT", "HEARTBEAT_SENT", "HEARTBEAT_ACKED",
)  # fmt: skip
PROTOCOLS = {
    1: Sort("icmp", icmp=4),
    6: Sort("tcp", TCP, 1),
    17: Sort("udp"),
    33: Sort("dccp", DCCP, 2),
    47: Sort("gre"),
    58: Sort("icmpv6", icmp=7),
    132: Sort("sctp", SCTP, 3),
    136: Sort("udplite"),
}

BITS = (
    "expected", "seen-reply", "assured", "confirmed", "src-nat", "dst-nat", "seq-adjust",
    "src-nat-done", "dst-nat-done", "dying", "fixed-timeout", "template", "nat-clash", "helper",
    "offload", "hw-offload",
)  # fmt: skip
"""``enum ip_conntrack_status``."""

LOOKING = frozenset({"ct", "nat", "masq", "redir", "synproxy", "connlimit", "flow_offload"})
"""Expressions that make the kernel track (``nf_ct_netns_get`` in net/netfilter/nft_*.c)."""
OBJECTS = frozenset({3, 7, 9, 10})
"""Named objects that do: ct helper, ct timeout, ct expectation, synproxy."""


def tracked() -> Tracked:
    """All that there are now. Raises MachineLacks, OSError."""
    with _asking() as sock:
        found = map(decoded, dump(sock, CT_GET, EVERY_FAMILY))
        return Tracked(tuple(sorted(found, key=_order)), _is_asked_for())


def _order(one: Connection) -> tuple[str | int, ...]:
    """The kernel's own order is that of a hash."""
    source, destination, *_ = one.original
    ports = source.port or 0, destination.port or 0
    return (one.protocol, source.address, ports[0], destination.address, ports[1])


def forget() -> int:
    """Flush them; how many there were. Raises MachineLacks, OSError."""
    with _asking() as sock:
        count = len(dump(sock, CT_GET, EVERY_FAMILY))
        for said in transact(sock, [(CT_DELETE, 0, EVERY_FAMILY)]):
            raise OSError(said.errno, said.words)
    return count


@contextmanager
def _asking() -> Iterator[socket.socket]:
    try:
        with open_socket(NETLINK_NETFILTER) as sock:
            yield sock
    except OSError as problem:
        missing = lacking(problem.errno or 0)
        if not missing:
            raise
        raise MachineLacks(f"this kernel lacks {missing}") from problem


def lacking(refusal: int) -> str:
    """The kernel option that a refusal speaks of; "" where it speaks of something else."""
    if refusal == errno.EPROTONOSUPPORT:
        return "CONFIG_NETFILTER_NETLINK"
    if refusal != errno.EINVAL:  # what nfnetlink says of a subsystem that nobody registered
        return ""
    tracks = os.path.exists("/proc/sys/net/netfilter/nf_conntrack_max")
    return OPTIONS["conntrack"] if tracks else "CONFIG_NF_CONNTRACK"


def _is_asked_for() -> bool:
    try:
        with open_socket(NETLINK_NETFILTER) as sock:
            rules = dump(sock, NFT_GETRULE, EVERY_FAMILY)
    except OSError as problem:
        if lacking(problem.errno or 0):  # no nftables, no rules
            return False
        raise
    return any(_looks(ops_of(attributes(rule[HEADERS:]).get(4, b""))) for rule in rules)


def _looks(ops: Iterable[Op]) -> bool:
    return any(
        name in LOOKING
        or (name == "objref" and number(data.get(1, b"")) in OBJECTS)
        or (name == "dynset" and _looks(_of_elements(data)))
        for name, data in ops
    )


def _of_elements(data: Attributes) -> tuple[Op, ...]:
    """What the elements that a rule adds to a set are made with: one expression, or several."""
    one, several = 7, 10
    return (op_of(data[one]),) if one in data else ops_of(data.get(several, b""))


def decoded(message: bytes) -> Connection:
    """An ``IPCTNL_MSG_CT_NEW``, its headers included."""
    said = attributes(message[HEADERS:])
    protocol = number(attributes(attributes(said[TUPLE_ORIG])[TUPLE_PROTO])[1])
    sort = PROTOCOLS.get(protocol, Sort(str(protocol)))
    zone = number(said.get(ZONE, b""))
    bits = number(said.get(STATUS, b""))
    return Connection(
        sort.name,
        _direction(said[TUPLE_ORIG], said.get(COUNTERS_ORIG, b""), zone, sort),
        _direction(said[TUPLE_REPLY], said.get(COUNTERS_REPLY, b""), zone, sort),
        _state(said.get(PROTOINFO, b""), sort),
        tuple(name for place, name in enumerate(BITS) if bits >> place & 1),
        number(said[TIMEOUT]) if TIMEOUT in said else None,
        number(said.get(MARK, b"")),
        string(attributes(said.get(HELP, b"")).get(1, b"")),
        _labels(said.get(LABELS, b"")),
    )


def _direction(data: bytes, counters: bytes, zone: int, sort: Sort) -> Direction:
    parts = attributes(data)
    source, destination = _addresses(attributes(parts[TUPLE_IP]))
    proto = attributes(parts[TUPLE_PROTO])
    counted = attributes(counters)
    return Direction(
        End(source, _number(proto, 2)),
        End(destination, _number(proto, 3)),
        _icmp(proto, sort.icmp),
        number(parts[TUPLE_ZONE]) if TUPLE_ZONE in parts else zone,
        _number(counted, 1),
        _number(counted, 2),
    )


def _addresses(parts: Attributes) -> tuple[str, str]:
    family, first = (socket.AF_INET, 1) if 1 in parts else (socket.AF_INET6, 3)
    return socket.inet_ntop(family, parts[first]), socket.inet_ntop(family, parts[first + 1])


def _icmp(proto: Attributes, first: int) -> Icmp | None:
    if first not in proto:
        return None
    return Icmp(number(proto[first + 1]), number(proto[first + 2]), number(proto[first]))


def _state(data: bytes, sort: Sort) -> str:
    code = number(attributes(attributes(data).get(sort.protoinfo, b"")).get(1, b""))
    return sort.states[code] if 0 < code < len(sort.states) else ""


def _labels(data: bytes) -> tuple[int, ...]:
    """A bit set in the machine's own byte order, 64 bits at a time."""
    words = struct.unpack(f"={len(data) // 8}Q", data)
    return tuple(
        place * 64 + bit for place, word in enumerate(words) for bit in range(64) if word >> bit & 1
    )


def _number(parts: Attributes, which: int) -> int | None:
    return number(parts[which]) if which in parts else None
