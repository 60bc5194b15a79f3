"""The way of a packet by the names of nodes, foretold from what the kernel holds."""

from __future__ import annotations

from itertools import groupby

from netlab.checks.base import Seen, Site, Sort
from netlab.checks.places import words_of
from netlab.model.checks import RouteTest
from netlab.trace.model import Disposition


def attempt(test: RouteTest, site: Site, within: float) -> Seen:
    from netlab.trace.explain import held
    from netlab.trace.explain.foretell import foretell
    from netlab.trace.request import probe_of

    probe = probe_of(words_of(test), site.terrain)
    found = foretell(held.of_lab(site.terrain, site.visits), probe)
    forward = found.leg("forward")
    way = [node for node, _ in groupby(hop.node for hop in forward.hops)] if forward else []
    said = f"the way to {probe.destination}: {' '.join(way)}, {found.disposition}"
    is_open = found.disposition is Disposition.UNKNOWN and tuple(way) != test.expect
    return Seen(tuple(way) == test.expect, said, HANGS if is_open else "")


HANGS = "the way hangs on what cannot be known beforehand, as on a die or a hash"


sort = Sort(attempt=attempt, words=words_of)
