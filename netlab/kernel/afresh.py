"""A namespace as at its beginning: what it has learned and counted is forgotten.

Every function works in the namespace that the calling thread stands in.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress

from netlab.errors import MachineLacks
from netlab.firewall.wire import attribute, nest
from netlab.firewall.zero import zero
from netlab.kernel import baseline, conntrack, links, lookup, neighbours
from netlab.kernel.wire import Request, open_socket, transact

NETLINK_NETFILTER = 12
RTM_NEWLINK = 16
IFLA_LINKINFO, INFO_KIND, INFO_DATA, BR_FDB_FLUSH = 18, 1, 2, 21
"""linux/if_link.h."""


def switch(wanted: Mapping[str, bool]) -> list[str]:
    """Devices that are not so are switched on or off; their names. Raises OSError."""
    with open_socket() as sock:
        wrong = {
            link.name: link.number
            for link in lookup.links(sock)
            if link.up != wanted.get(link.name, link.up)
        }
        for said in transact(sock, [links.set_up(n, wanted[name]) for name, n in wrong.items()]):
            raise OSError(said.errno, said.words)
    return list(wrong)


def forget() -> list[str]:
    """Connections, neighbours, what bridges have learned, counters of rules.

    What the kernel cannot, a sentence each. Raises OSError.
    """
    lacks = _drop_connections()
    _unlearn()
    neighbours.forget()
    return lacks + _count_from_zero()


def _drop_connections() -> list[str]:
    """Where there are any: to look for them takes the kernel 10 ms, as it walks its whole table."""
    with suppress(OSError):
        if baseline.read("net.netfilter.nf_conntrack_count") == "0":
            return []
    try:
        conntrack.forget()
    except MachineLacks as lacking:
        return [f"connections stay: {lacking}"]
    return []


def _unlearn() -> None:
    with open_socket() as sock:
        bridges = [link.number for link in lookup.links(sock) if link.kind == "bridge"]
        for said in transact(sock, [_flush(number) for number in bridges]):
            raise OSError(said.errno, said.words)


def _flush(bridge: int) -> Request:
    """Of its forwarding database all but what was put there by hand."""
    kind = attribute(INFO_KIND, b"bridge\0")
    info = nest(IFLA_LINKINFO, kind, nest(INFO_DATA, attribute(BR_FDB_FLUSH, b"")))
    return RTM_NEWLINK, 0, struct.pack("=BxHiII", socket.AF_UNSPEC, 0, bridge, 0, 0) + info


def _count_from_zero() -> list[str]:
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
    try:
        with socket.socket(socket.AF_NETLINK, kind, NETLINK_NETFILTER) as sock:
            return zero(sock)
    except OSError as problem:
        if problem.errno in (errno.EPROTONOSUPPORT, errno.EINVAL, errno.EOPNOTSUPP):
            return []  # a kernel without nftables has no counters of it
        raise
