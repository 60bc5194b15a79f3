"""Why a pair is silent: foretold from what the nodes hold, as `netlab explain` does.

What a cell says is what was seen; only its reason may be foretold, and says so.
"""

from __future__ import annotations

import time
from dataclasses import replace

from netlab.errors import NetlabError
from netlab.matrix.model import Cell, Matrix
from netlab.trace.explain.foretell import foretell
from netlab.trace.explain.state import World
from netlab.trace.model import Disposition, Trace
from netlab.trace.request import Words, probe_of

MOST_NODES = 100
"""Of more it takes too long to read what they hold."""
SECONDS = 1.0
"""So long reasons are looked for; pairs that are left have none."""

UNEXPECTED = {
    Disposition.ANSWERED: "where an answer is foretold",
    Disposition.DELIVERED: "from a program that it is foretold to reach",
}


def is_silent(cell: Cell) -> bool:
    return cell.word == "denied" and not cell.by


def explained(matrix: Matrix, world: World, seconds: float = SECONDS) -> Matrix:
    """With the reasons of its silent cells, as many as can be found in that time."""
    until = time.monotonic() + seconds
    cells = (
        cell._replace(why=_reason(cell, world))
        if is_silent(cell) and time.monotonic() < until
        else cell
        for cell in matrix.cells
    )
    return replace(matrix, cells=tuple(cells))


def _reason(cell: Cell, world: World) -> str:
    kind, _, port = cell.probe.partition(" ")
    number = int(port) if port else None
    words = Words(
        cell.source,
        cell.target,
        tcp=number if kind == "tcp" else None,
        udp=number if kind == "udp" else None,
        to=cell.address,
    )
    try:
        return _told(foretell(world, probe_of(words, world.terrain)), cell.why)
    except NetlabError:  # a probe of one's own cannot be sent there, as of an address by DHCP
        return cell.why


def _told(found: Trace, saw: str) -> str:
    reply = found.leg("reply")  # where that is lost, a refusal is silence too
    cause = (reply and reply.cause) or found.cause
    if cause is None:
        return f"{saw}, {UNEXPECTED[found.disposition]}" if found.disposition in UNEXPECTED else saw
    place = f" ({cause.place})" if cause.place else ""
    return f"foretold: {cause.sentence}{place}"
