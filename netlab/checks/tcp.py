"""A connection, and how connect(2) ends."""

from __future__ import annotations

from netlab import attempts
from netlab.checks.base import Seen, Site, Sort, missed
from netlab.checks.places import address_of, words_of
from netlab.model.checks import TcpTest
from netlab.trace.request import Words


def words(test: TcpTest) -> Words:
    return words_of(test, tcp=test.port)


def attempt(test: TcpTest, site: Site, within: float) -> Seen:
    address = address_of(words(test), site)
    outcome = attempts.connect(site, test.from_, address, test.port, within)
    is_met = outcome == test.expect or (test.expect == "lost" and outcome in SILENT)
    said = f"connect to {address} port {test.port}: {outcome}"
    return Seen(is_met, said, missed=missed(test.expect, outcome))


SILENT = frozenset({"denied", "unreachable", "lost"})

sort = Sort(
    attempt=attempt,
    words=words,
    denies=lambda test: test.expect in SILENT,
    loses=lambda test: test.expect == "lost",
    opens=lambda test: test.expect == "connected",
)
