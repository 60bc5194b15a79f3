"""What is learned of neighbours: one table for all namespaces of a machine, and of limited size.

``net.ipv4.neigh.default.gc_thresh3`` and its like of IPv6 are the machine's, not a namespace's.
What was learned less than five seconds ago is not given up for what is new
(net/core/neighbour.c, ``neigh_forced_gc``): while the table is full, nobody learns anything.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Collection
from typing import NamedTuple

from netlab.firewall.wire import attributes
from netlab.kernel import addresses, lookup
from netlab.kernel.wire import dump, open_socket, transact

RTM_GETNEIGHTBL = 66
NDTMSG = struct.Struct("=BxH")
VERSIONS = {socket.AF_INET: 4, socket.AF_INET6: 6}
NAME, MOST, CONFIG, STATS = 1, 4, 5, 7
"""Attributes of a table (linux/neighbour.h)."""
ENTRIES_AT, FULL_AT = 4, 80
"""Where ``ndtc_entries`` stands in CONFIG, and ``ndts_table_fulls`` in STATS."""

KEPT = frozenset({"permanent", "noarp"})
"""Set by hand, or never asked for."""
SOUGHT = "incomplete"
FAILED = "failed"

Known = frozenset[tuple[int, str]]
"""Neighbours, by device and address."""


class Table(NamedTuple):
    """All that is known of neighbours, by one version of IP."""

    entries: int
    most: int
    refused: int
    """How often since the boot somebody found it full."""


def tables() -> dict[int, Table]:
    """By version of IP; whichever namespace asks. Raises OSError."""
    found = {}
    with open_socket() as sock:
        for message in dump(sock, RTM_GETNEIGHTBL, NDTMSG.pack(0, 0)):
            family, _ = NDTMSG.unpack_from(message, lookup.HEADER)
            said = attributes(message[lookup.HEADER + NDTMSG.size :])
            # a second message of each table tells of a device's parameters, and of nothing else
            if family in VERSIONS and CONFIG in said and STATS in said:
                found[VERSIONS[family]] = Table(
                    struct.unpack_from("=I", said[CONFIG], ENTRIES_AT)[0],
                    struct.unpack("=I", said[MOST])[0],
                    struct.unpack_from("=Q", said[STATS], FULL_AT)[0],
                )
    return found


def learned() -> Known:
    """In the namespace where the thread stands. Raises OSError."""
    with open_socket() as sock:
        return frozenset(
            (n.device, n.address) for n in lookup.neighbours(sock) if n.state not in KEPT
        )


def unanswered() -> frozenset[str]:
    """Addresses that the namespace looks for, or has looked for, and nobody has answered."""
    return _in_state(SOUGHT, FAILED)


def failed() -> frozenset[str]:
    """Those that it has looked for long enough."""
    return _in_state(FAILED)


def _in_state(*states: str) -> frozenset[str]:
    with open_socket() as sock:
        return frozenset(n.address for n in lookup.neighbours(sock) if n.state in states)


def forget(but: Collection[tuple[int, str]] = (), *, sought: bool = True) -> None:
    """What the namespace has learned, all or all but some. Raises OSError.

    ``sought``: also whom it looks for; what waits for that is told that nobody is there.
    """
    with open_socket() as sock:
        gone = [
            addresses.del_neighbour(n.device, n.address, False)
            for n in lookup.neighbours(sock)
            if n.state not in KEPT
            and (sought or n.state != SOUGHT)
            and (n.device, n.address) not in but
        ]
        for said in transact(sock, gone):
            if said.errno != errno.ENOENT:
                raise OSError(said.errno, said.words)
