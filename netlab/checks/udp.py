"""A datagram, and what comes back."""

from __future__ import annotations

from netlab import attempts
from netlab.checks.base import Seen, Site, Sort, missed
from netlab.checks.places import address_of, words_of
from netlab.model.checks import UdpTest
from netlab.trace.request import Words


def words(test: UdpTest) -> Words:
    return words_of(test, udp=test.port)


def attempt(test: UdpTest, site: Site, within: float) -> Seen:
    address, data = address_of(words(test), site), test.send.encode()
    outcome = attempts.datagram(site, test.from_, address, test.port, data, within)
    is_met = outcome == test.expect or (test.expect == "lost" and outcome in SILENT)
    said = f"datagram to {address} port {test.port}: {outcome}"
    return Seen(is_met, said, missed=missed(test.expect, outcome))


SILENT = frozenset({"denied", "unreachable", "lost"})

sort = Sort(
    attempt=attempt,
    words=words,
    denies=lambda test: test.expect in SILENT,
    loses=lambda test: test.expect == "lost",
    opens=lambda test: test.expect == "answered",
)
