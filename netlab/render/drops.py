"""Dropped packets in words: two lines each, and at the end where most of them fell."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from netlab.render.words import count

if TYPE_CHECKING:
    from netlab.trace.drops import Drop

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
    yield f"{clock}  {place(drop):<{width}}  {drop.text or 'no IP packet'}", ""
    where = f"{drop.reason} in {drop.function}" if drop.function else drop.reason
    yield f"{'':{len(clock)}}  {'':{width}}  ✗ {drop.meaning.words}  ({where})", "red"


def place(drop: Drop) -> str:
    return f"{drop.node}:{drop.device}" if drop.device else drop.node


def ended(drops: Sequence[Drop], lost: int) -> Iterator[tuple[str, str]]:
    sorts = Counter((place(d), d.reason) for d in drops)
    meanings = {(place(d), d.reason): d.meaning for d in drops}
    yield f"{count(len(drops), 'packet')} dropped", "red" if drops else "green"
    width = max((len(where) for where, _ in sorts), default=0)
    for (where, reason), times in sorts.most_common(FEW):
        meaning = meanings[where, reason]
        advice = f"; {meaning.advice}" if meaning.advice else ""
        yield f"  {times:>6}  {where:<{width}}  {meaning.words}{advice}", ""
    if len(sorts) > FEW:
        yield f"  … and {len(sorts) - FEW} more sorts", ""
    if lost:
        yield f"{count(lost, 'drop')} came too fast to be told", "yellow"
