"""`netlab drops`: what the kernel lets fall in a lab, line by line."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from netlab.cli.listening import Presence
from netlab.cli.trace import lab_of, say
from netlab.cli.which import renderer
from netlab.errors import LabNotFound, UsageError
from netlab.kernel.identity import inode
from netlab.kernel.visits import visiting
from netlab.lab.interrupt import watched
from netlab.model.guess import meant
from netlab.trace.backends.bpf import cache_directory
from netlab.trace.bpf.types import Types
from netlab.trace.drop_rules import DropRules
from netlab.trace.drops import Drops, Sums

if TYPE_CHECKING:
    from netlab.kernel.visits import Visits
    from netlab.render.base import Renderer
    from netlab.trace.terrain import Terrain

USUAL = 10.0
"""Seconds, where nothing is said of an end."""
WAIT = 0.2
"""Seconds after which one looks whether it is to end."""


def run(
    lab_or_file: str,
    nodes: Sequence[str],
    follow: bool,
    duration: str,
    count: int,
    *,
    numeric: bool,
    json: bool,
) -> int:
    """``count``: of packets, when it is enough; 0 for never. The exit code."""
    if follow and duration:
        raise UsageError("--follow has no end, --duration is one: choose")
    seconds = _seconds(duration) if duration else 0.0 if follow or count else USUAL
    terrain, identities, gaps = lab_of(lab_or_file)
    chosen = _chosen(terrain, nodes)
    by_inode = {inode(identities[ns]): name for name, ns in chosen.items() if ns in identities}
    names = {} if numeric else _names(terrain)
    put = renderer(json)
    there = replace(terrain, spots={name: terrain.spots[name] for name in chosen})
    presence = Presence(chosen.values())
    with (
        watched() as interrupt,
        visiting(identities) as visits,
        closing(_rules(there, visits)) as rules,
        closing(Drops(by_inode, names, Types(cache_directory()), rules)) as drops,
    ):
        before = rules.gaps()
        put.drops_begun(terrain.lab, len(chosen), seconds, [*gaps, *before])
        width = max(len(f"{n}:{d.name}") for n in chosen for d in terrain.spots[n].devices)
        ended = lambda: interrupt() or presence()  # noqa: E731
        sums = _tell(drops, rules, put, ended, count, seconds, width)
        if presence.is_gone:
            say(f"{terrain.lab} went down")
        missed = [gap for gap in rules.gaps() if gap not in before]
        put.drops_ended(sums, drops.lost(), missed)
    return 130 if interrupt() and (count or seconds) else 0


def _rules(terrain: Terrain, visits: Visits) -> DropRules:
    try:
        return DropRules(terrain, visits)
    except FileNotFoundError:  # a namespace
        raise LabNotFound(f"{terrain.lab} went down just now") from None


def _seconds(duration: str) -> float:
    from netlab.model.processes import seconds

    try:
        return seconds(duration)
    except ValueError as problem:
        raise UsageError(f"--duration: {problem}") from None


def _tell(
    drops: Drops,
    rules: DropRules,
    put: Renderer,
    ended: Callable[[], bool],
    count: int,
    seconds: float,
    width: int,
) -> Sums:
    sums = Sums()
    until = time.monotonic() + seconds if seconds else None
    with selectors.DefaultSelector() as selector:
        for fd in (drops.fd, *rules.files()):
            selector.register(fd, selectors.EVENT_READ)
        while not ended() and not (count and sums.packets == count):
            left = WAIT if until is None else min(WAIT, until - time.monotonic())
            if left <= 0:
                break
            selector.select(left)
            found = list(drops.read())[: count - sums.packets if count else None]
            put.drops(found, width)
            for drop in found:
                sums.add(drop)
    return sums


def _chosen(terrain: Terrain, nodes: Sequence[str]) -> Mapping[str, str]:
    """Namespaces by node. Raises LabNotFound."""
    for name in nodes:
        if name not in terrain.spots:
            raise LabNotFound(
                f"lab {terrain.lab} has no node {name}; {meant(name, terrain.spots)}".rstrip("; "),
                hint=f"`netlab show {terrain.lab}` tells which it has",
            )
    return {name: terrain.spots[name].ns for name in nodes or terrain.spots}


def _names(terrain: Terrain) -> dict[str, str]:
    return {
        address: holders[0] for address, holders in terrain.holders.items() if len(holders) == 1
    }
