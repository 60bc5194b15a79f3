"""What shows that a way works by which something else is denied: a positive control.

It is another test between the same two nodes that held, an echo there or back, or its drop by a
rule, seen by a trace. What was used is said; without one a denial is inconclusive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from netlab import attempts
from netlab.checks.base import Site
from netlab.trace.model import Disposition, Probe, Trace
from netlab.trace.request import Words, probe_of

ECHO = 1.0
"""Seconds for an echo that is a control."""


class Held(NamedTuple):
    """A test by which packets have gone there and back."""

    title: str
    probe: Probe


def control(
    words: Words,
    held: Sequence[Held],
    site: Site,
    traced: Callable[[Words], Trace | None],
) -> str:
    """What shows that packets pass between the two nodes; "" for nothing."""
    probe = probe_of(words, site.terrain)
    ends = probe.sender, probe.target
    for title, known in held:
        if known.version == probe.version and {known.sender, known.target} == {*ends}:
            return f"the test {title}"
    if probe.protocol != "icmp" and _echoes(*ends, probe.destination, site):
        return f"an echo from {ends[0]} to {probe.destination} is answered"
    for address in _addresses(ends[0], probe.version, site) if probe.target else ():
        if _echoes(probe.target, probe.sender, address, site):
            return f"an echo from {probe.target} to {address} is answered"
    found = traced(words)
    if found and found.disposition is Disposition.DENIED and found.place and found.cause:
        rule = found.cause.rule
        return f"its drop at {found.place.node} was seen: {rule.text if rule else found.cause.name}"
    return ""


def _addresses(node: str, version: int, site: Site) -> list[str]:
    usual = [a for a in site.terrain.spots[node].addresses if not a.startswith(("127.", "fe80"))]
    return [a for a in usual if (":" in a) == (version == 6) and a != "::1"][:1]


def _echoes(sender: str, target: str, address: str, site: Site) -> bool:
    return bool(target) and attempts.ping(site, sender, address, ECHO)
