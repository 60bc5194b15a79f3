"""What came back, in the words of a cell: from an ICMP error, or from an error of one's own."""

from __future__ import annotations

import errno
import os
from functools import partial
from typing import NamedTuple

from netlab.attempts import Where
from netlab.matrix.pairs import Pair
from netlab.matrix.ways import is_blackhole

ECHO_REPLY = {4: 0, 6: 129}
UNREACHABLE = {4: 3, 6: 1}
ERRORS = {4: (3, 11, 12), 6: (1, 2, 3, 4)}
"""Types of ICMP errors, by version of IP (RFC 792, RFC 4443)."""
PORT = {(4, 3, 3), (6, 1, 4)}
"""Nobody listens there."""
SAID = {
    (4, 3, 0): "no route to that network",
    (4, 3, 1): "host unreachable",
    (4, 3, 2): "no such protocol",
    (4, 3, 3): "port unreachable",
    (4, 3, 4): "too big",
    (4, 3, 9): "network administratively prohibited",
    (4, 3, 10): "host administratively prohibited",
    (4, 3, 13): "administratively prohibited",
    (4, 11, 0): "TTL expired",
    (6, 1, 0): "no route there",
    (6, 1, 1): "administratively prohibited",
    (6, 1, 3): "address unreachable",
    (6, 1, 4): "port unreachable",
    (6, 1, 5): "the source is not allowed there",
    (6, 1, 6): "a route rejects it",
    (6, 2, 0): "too big",
    (6, 3, 0): "hop limit expired",
}
NULL_ROUTES = {
    errno.EHOSTUNREACH: "unreachable",
    errno.EINVAL: "blackhole",
    errno.EACCES: "prohibit",
}
"""What the kernel says of routes of these types (net/ipv4/fib_semantics.c, ``fib_props``)."""


class Answer(NamedTuple):
    """Of one pair; see ``netlab.matrix.model.Cell``."""

    word: str
    by: str = ""
    """The address of who said so, or ``OWN``."""
    why: str = ""
    milliseconds: float | None = None


OWN = "self"
"""The sender itself."""
NO_NEIGHBOUR = Answer("no-neighbour", OWN, "nobody on its segment answers")
NOBODY_THERE = {(4, 3, 1), (6, 1, 3)}
"""What a node tells itself when it has looked for a neighbour in vain."""


def of_error(version: int, kind: int, code: int, by: str) -> Answer:
    """An ICMP error from ``by``."""
    if by == OWN and (version, kind, code) in NOBODY_THERE:
        return NO_NEIGHBOUR
    told = SAID.get((version, kind, code), f"ICMP error type {kind} code {code}")
    return Answer("refused" if (version, kind, code) in PORT else "unreachable", by, told)


BUSY = frozenset({errno.ENOBUFS, errno.EAGAIN, errno.ENETDOWN})
"""It may be sent later."""


def of_errno(number: int) -> Answer | None:
    """Of a send that the kernel would not do; None for what says nothing about the network."""
    if number == errno.ENETUNREACH:
        return Answer("no-route", OWN, "no route there")
    if number in NULL_ROUTES:
        return Answer("unreachable", OWN, f"its {NULL_ROUTES[number]} route")
    if number == errno.EPERM:
        return Answer("denied", OWN, "a rule of its own drops it on the way out")
    if number == errno.EADDRNOTAVAIL:
        return Answer("no-address", OWN, "no address to send from")
    return None


def of_send(where: Where, pair: Pair, number: int) -> Answer | None:
    """Of a pair; None where it may be sent later. Raises OSError for what is no answer."""
    if number in BUSY or (number == errno.EINVAL and not _is_blackhole(where, pair)):
        return None
    found = of_errno(number)
    if found is None:
        raise OSError(number, os.strerror(number), f"{pair.source} → {pair.address}")
    return found


def _is_blackhole(where: Where, pair: Pair) -> bool:
    return where.inside(pair.source, partial(is_blackhole, pair.address))
