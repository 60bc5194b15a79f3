"""Dropped packets in words: two lines each, and at the end where most of them fell."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from netlab.render.journey import short
from netlab.render.words import count

if TYPE_CHECKING:
    from netlab.trace.drops import Drop, Sums

FEW = 10
"""So many sorts of drops are told of at the end."""


def begun(lab: str, nodes: int, seconds: float) -> str:
    end = f"for {seconds:g} s" if seconds else "until Ctrl-C"
    return f"watching what is dropped in {count(nodes, 'node')} of {lab}, {end}"


def line(drop: Drop, width: int) -> Iterator[tuple[str, str]]:
    """Lines, each with its style; ``width`` of the column that tells the place."""
    whole = int(drop.time)
    clock = time.strftime("%H:%M:%S", time.localtime(whole))
    clock += f".{round((drop.time - whole) * 1e6):06d}"
    yield f"{clock}  {drop.where:<{width}}  {drop.text or 'no IP packet'}", ""
    why = f"{drop.words}  {short(drop.place)}" if drop.place else drop.words
    where = f"{drop.reason} in {drop.function}" if drop.function else drop.reason
    told = why if drop.rule else f"{why}  ({where})"
    yield f"{'':{len(clock)}}  {'':{width}}  ✗ {told}", "red"


def ended(sums: Sums, lost: int, missed: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield f"{count(sums.packets, 'packet')} dropped", "red" if sums.packets else "green"
    width = max((len(where) for where, _, _ in sums.sorts), default=0)
    for sort, times in sums.sorts.most_common(FEW):
        where, words, place = sort
        advice = f"; {sums.advices[sort]}" if sums.advices[sort] else ""
        line = f"  {short(place)}" if place else ""
        yield f"  {times:>6}  {where:<{width}}  {words}{advice}{line}", ""
    if len(sums.sorts) > FEW:
        yield f"  … and {len(sums.sorts) - FEW} more sorts", ""
    if lost:
        yield f"{count(lost, 'drop')} came too fast to be told", "yellow"
    for gap in missed:
        yield f"not seen: {gap}", "yellow"
