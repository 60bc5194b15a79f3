"""A question to a DNS server, and what comes back."""

from __future__ import annotations

import contextlib
import secrets
import select
import socket
import time
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from netlab.attempts import OUTCOMES
from netlab.checks.base import Seen, Site, Sort
from netlab.checks.dns_message import Answer, answer, question
from netlab.checks.places import address_of, words_of
from netlab.model.checks_measures import DnsTest, is_prefix
from netlab.trace.request import Words

AGAIN = 0.4
"""Seconds until a question over UDP is asked again."""


def words(test: DnsTest) -> Words:
    return words_of(test, tcp=test.port) if test.over == "tcp" else words_of(test, udp=test.port)


def attempt(test: DnsTest, site: Site, within: float) -> Seen:
    address = address_of(words(test), site)
    asked = f"{test.type}? {test.dns} to {address} port {test.port} over {test.over}"
    try:
        found = _asked(test, site, address, within, test.over == "tcp")
        if found is not None and found.is_cut and test.over == "udp":
            found, asked = _asked(test, site, address, within, True), f"{asked}, then tcp"
    except ValueError as problem:
        return Seen(False, f"{asked}: no answer in DNS, {problem}")
    except OSError as problem:
        if problem.errno not in OUTCOMES:
            raise
        outcome = OUTCOMES[problem.errno]
        said = "closed" if outcome == "refused" else "denied"
        shown = f"{asked}: {'nobody listens there' if said == 'closed' else outcome}"
        return Seen(said == test.expect, shown)
    if found is None:
        return Seen(test.expect == "denied", f"{asked}: silence")
    shown = f"{asked}: {', '.join(found.records) or found.code}"
    if found.code != test.expect:
        return Seen(False, shown)
    return Seen(test.answers is None or same(test.answers, found.records), shown)


def same(wanted: Sequence[str], records: Sequence[str]) -> bool:
    """Each of those wanted has a record of its own, and none is left over."""
    left = list(records)
    for one in sorted(wanted, key=is_prefix):  # what fits one record alone is served first
        fitting = next((record for record in left if _fits(one, record)), None)
        if fitting is None:
            return False
        left.remove(fitting)
    return not left


def _fits(wanted: str, record: str) -> bool:
    if is_prefix(wanted):
        with contextlib.suppress(ValueError):
            return ip_address(record) in ip_network(wanted)
        return False
    with contextlib.suppress(ValueError):
        return ip_address(wanted) == ip_address(record)
    return wanted.rstrip(".").lower() == record.rstrip(".").lower()


def _asked(
    test: DnsTest, site: Site, address: str, within: float, by_tcp: bool
) -> Answer | None:
    """None for silence. Raises OSError, ValueError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_STREAM if by_tcp else socket.SOCK_DGRAM
    number = secrets.randbelow(1 << 16)
    wire = question(test.dns, test.type, number)
    until = time.monotonic() + within
    with site.inside(test.from_, lambda: socket.socket(family, kind)) as sock:
        if by_tcp:
            return _over_tcp(sock, (address, test.port), wire, test.type, number, within)
        sock.connect((address, test.port))
        while (left := until - time.monotonic()) > 0:
            sock.send(wire)
            if select.select([sock], [], [], min(left, AGAIN))[0]:
                found = answer(sock.recv(65535), test.type, number)
                if found is not None:
                    return found
    return None


def _over_tcp(
    sock: socket.socket, to: tuple[str, int], wire: bytes, kind: str, number: int, within: float
) -> Answer | None:
    """Each message has its length before it (RFC 1035, section 4.2.2)."""
    sock.settimeout(within)
    try:
        sock.connect(to)
        sock.sendall(len(wire).to_bytes(2, "big") + wire)
        with sock.makefile("rb") as stream:
            size = int.from_bytes(stream.read(2), "big")
            return answer(stream.read(size), kind, number) if size else None
    except TimeoutError:
        return None


sort = Sort(
    attempt=attempt,
    words=words,
    denies=lambda test: test.expect == "denied",
    opens=lambda test: test.expect not in ("denied", "closed"),
)
