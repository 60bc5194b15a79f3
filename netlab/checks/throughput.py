"""How much gets through: a sender in one node, a receiver in the other, both in this process."""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import threading
import time
from typing import NamedTuple

from netlab.attempts import OUTCOMES
from netlab.checks.base import Seen, Site, Sort
from netlab.checks.places import address_of, words_of
from netlab.model.checks_measures import ThroughputTest, rate_of

CHUNK = 1 << 16
DATAGRAM = 1200
"""Bytes of what is sent in one, which fits through every link of IPv6."""
QUIET = 0.3
"""Seconds without a datagram after which none is on its way any more."""
LONGEST = 60.0


class Arrived(NamedTuple):
    octets: int
    seconds: float
    """From the first to the last of them."""


def attempt(test: ThroughputTest, site: Site, within: float) -> Seen:
    address = address_of(words_of(test), site)
    over = _over_tcp if test.protocol == "tcp" else _over_udp
    try:
        sent, arrived = over(test, site, address, within)
    except OSError as problem:
        if problem.errno not in OUTCOMES and not isinstance(problem, TimeoutError):
            raise
        said = OUTCOMES.get(problem.errno or errno.ETIMEDOUT, "denied")
        return Seen(False, f"{test.protocol} to {address}: {said}")
    bits = arrived.octets * 8 / arrived.seconds if arrived.seconds else 0.0
    lost = 100 * (1 - arrived.octets / sent) if sent else 0.0
    told = f", {lost:.3g} % of {sent // DATAGRAM} datagrams lost" if test.protocol == "udp" else ""
    said = f"{arrived.octets} bytes arrived at {address} in {arrived.seconds:.3f} s"
    is_met = test.least <= bits and (not test.most or bits <= test.most)
    if test.loss is not None:
        is_met = is_met and test.loss[0] <= lost <= test.loss[1]
    hangs = test.protocol == "tcp" and test.most and not test.least  # there is a connection
    return Seen(is_met and bool(arrived.octets or hangs), f"{said}: {rate_of(bits)}{told}")


def _over_tcp(
    test: ThroughputTest, site: Site, address: str, within: float
) -> tuple[int, Arrived]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with (
        site.inside(test.target, lambda: socket.create_server((address, 0), family=family)) as door,
        site.inside(test.from_, lambda: socket.socket(family, socket.SOCK_STREAM)) as sender,
    ):
        sender.settimeout(within)
        sender.connect((address, door.getsockname()[1]))
        door.settimeout(within)
        receiver, _ = door.accept()
        with receiver:
            return _pumped(test, sender, receiver)


def _over_udp(
    test: ThroughputTest, site: Site, address: str, within: float
) -> tuple[int, Arrived]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with (
        site.inside(test.target, lambda: socket.socket(family, socket.SOCK_DGRAM)) as receiver,
        site.inside(test.from_, lambda: socket.socket(family, socket.SOCK_DGRAM)) as sender,
    ):
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        receiver.bind((address, 0))
        sender.connect((address, receiver.getsockname()[1]))
        return _pumped(test, sender, receiver)


def _pumped(
    test: ThroughputTest, sender: socket.socket, receiver: socket.socket
) -> tuple[int, Arrived]:
    """What was sent, and what arrived of it."""
    found: list[Arrived] = []
    over = threading.Event()
    reader = threading.Thread(target=lambda: found.append(_read(receiver, over)), daemon=True)
    reader.start()
    try:
        return _written(test, sender), _joined(reader, found, over)
    finally:
        over.set()
        reader.join(LONGEST)


def _joined(reader: threading.Thread, found: list[Arrived], over: threading.Event) -> Arrived:
    over.set()
    reader.join(LONGEST)
    return found[0] if found else Arrived(0, 0.0)


def _read(receiver: socket.socket, over: threading.Event) -> Arrived:
    """Until the end, or, once ``over`` is set, until nothing has come for ``QUIET`` seconds."""
    receiver.setblocking(False)
    buffer = bytearray(CHUNK)
    total, first, last = 0, 0.0, 0.0
    while True:
        is_over = over.is_set()
        if not select.select([receiver], [], [], QUIET)[0]:
            if is_over:
                break
            continue
        try:
            count = receiver.recv_into(buffer)
        except OSError:
            break
        if count == 0:
            break
        last = time.monotonic()
        first = first or last
        total += count
    return Arrived(total, last - first)


def _written(test: ThroughputTest, sender: socket.socket) -> int:
    """Bytes, within the test's bounds; a TCP connection is ended behind them."""
    is_udp = test.protocol == "udp"
    piece = bytes(DATAGRAM if is_udp else CHUNK)
    begun, sent = time.monotonic(), 0
    sender.settimeout(0.1)
    while sent < test.bytes and (spent := time.monotonic() - begun) < test.seconds:
        if test.rate and (early := sent * 8 / test.rate - spent) > 0:
            select.select([], [], [], min(early, 0.01))
            continue
        try:
            sent += sender.send(piece[: test.bytes - sent] if not is_udp else piece)
        except TimeoutError:
            continue
        except OSError as problem:  # refused, or no room: UDP goes on
            if not is_udp or problem.errno not in (*OUTCOMES, errno.ENOBUFS):
                raise
    with contextlib.suppress(OSError):
        sender.shutdown(socket.SHUT_WR)
    return sent


sort = Sort(attempt=attempt, words=words_of, alone=True, opens=lambda test: True)
