"""What shows that a way works by which something else is denied: a positive control.

It is another test between the same two nodes that held, an echo there or back, or its drop by a
rule, or by a route of that type, seen by a trace. What was used is said; without one a denial is
inconclusive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from netlab.trace.model import Disposition, Probe, Trace
from netlab.trace.request import Words, probe_of
from netlab.trace.terrain import Spot, Terrain


class Held(NamedTuple):
    """A test by which packets have gone there and back."""

    title: str
    probe: Probe


def control(
    words: Words,
    held: Sequence[Held],
    terrain: Terrain,
    answered: Callable[[str, str], bool],
    traced: Callable[[Words], Trace | None],
) -> str:
    """What shows that packets pass between the two nodes; "" for nothing.

    ``answered``: whether a node's echo request to an address is.
    """
    probe = probe_of(words, terrain)
    ends = probe.sender, probe.target
    for title, known in held:
        if known.version == probe.version and _same_way(probe, known):
            return f"the test {title}"
    if probe.protocol != "icmp" and probe.target and answered(ends[0], probe.destination):
        return f"an echo from {ends[0]} to {probe.destination} is answered"
    for address in _addresses(terrain.spots[ends[0]], probe.version) if probe.target else ():
        if answered(probe.target, address):
            return f"an echo from {probe.target} to {address} is answered"
    found = traced(words)
    if found and found.disposition in FORBIDDEN and found.place and found.cause:
        rule = found.cause.rule
        by_route = found.disposition is Disposition.NULL_ROUTED and found.cause.sentence
        what = rule.text if rule else by_route or found.cause.name
        return f"its drop at {found.place.node} was seen: {what}"
    return ""


FORBIDDEN = frozenset({Disposition.DENIED, Disposition.NULL_ROUTED})
"""By somebody who meant it."""


def _same_way(one: Probe, other: Probe) -> bool:
    """There or back; of addresses that no node holds, the very same."""
    if one.target and other.target:
        return {one.sender, one.target} == {other.sender, other.target}
    return (one.sender, one.destination) == (other.sender, other.destination)


def _addresses(spot: Spot, version: int) -> list[str]:
    usual = [a for a in spot.addresses if not a.startswith(("127.", "fe80"))]
    return [a for a in usual if (":" in a) == (version == 6) and a != "::1"][:1]
