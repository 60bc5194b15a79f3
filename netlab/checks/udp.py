"""A datagram, and what comes back."""

from __future__ import annotations

from netlab import attempts
from netlab.checks.base import Seen, Site, Sort
from netlab.checks.places import address_of, words_of
from netlab.model.checks import UdpTest
from netlab.trace.request import Words


def words(test: UdpTest) -> Words:
    return words_of(test, udp=test.port)


def attempt(test: UdpTest, site: Site, within: float) -> Seen:
    address, data = address_of(words(test), site), test.send.encode()
    outcome = attempts.datagram(site, test.from_, address, test.port, data, within)
    return Seen(outcome == test.expect, f"datagram to {address} port {test.port}: {outcome}")


sort = Sort(
    attempt=attempt,
    words=words,
    denies=lambda test: test.expect in ("denied", "unreachable"),
    opens=lambda test: test.expect == "answered",
)
