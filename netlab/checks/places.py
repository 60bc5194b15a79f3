"""Where a test's packets go: from a node's name to the address that is meant."""

from __future__ import annotations

from netlab.checks.base import Site
from netlab.model.checks_base import Sent
from netlab.trace.request import Words, probe_of


def words_of(test: Sent, *, tcp: int | None = None, udp: int | None = None) -> Words:
    version = test.version or 0
    return Words(test.from_, test.target, tcp, udp, icmp=not (tcp or udp), version=version)


def address_of(words: Words, site: Site) -> str:
    """Raises UsageError where there is none, or nobody to send from."""
    return probe_of(words, site.terrain).destination
