"""`netlab trace --live`: a lab's own packets, chosen by a filter, each told when it ended."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from netlab.cli.listening import Presence, woken
from netlab.cli.places import LinesOf, lines_in, located
from netlab.cli.selection import filter_of
from netlab.cli.trace import chosen, lab_of, say
from netlab.cli.which import renderer
from netlab.errors import LabNotFound, MachineLacks, UsageError
from netlab.kernel.visits import visiting
from netlab.lab.interrupt import watched
from netlab.trace.choice import Choice, NotOfIp, check
from netlab.trace.live import BACKENDS, Live, Told

if TYPE_CHECKING:
    from netlab.kernel.visits import Visits
    from netlab.render.journey import Detail
    from netlab.trace.backends.base import Backend
    from netlab.trace.terrain import Terrain


@dataclass(frozen=True)
class Options:
    """Which packets are told, and how."""

    text: str
    """The filter; "" takes every packet."""
    first: int = 0
    """How many are told, then it is enough; 0 for never."""
    dropped: bool = False
    """Only those that do not arrive."""
    backends: str = ""
    detail: Detail | None = None
    """None tells each in a line."""
    json: bool = False


def follow(lab_or_file: str, options: Options) -> int:
    """The exit code: Ctrl-C is the end that is meant, where no other one was named."""
    backends = _able(options.backends)
    terrain, identities, gaps = lab_of(lab_or_file)
    choice = _choice(terrain, options.text)
    put = renderer(options.json)
    lines = cache(lines_in)
    shown, presence = 0, Presence(identities)
    with watched() as interrupt, woken() as signals, visiting(identities) as visits:
        with closing(_opened(terrain, visits, backends, choice, options)) as live:
            _check(live)
            lacks = [*gaps, *live.lacks]
            put.live_begun(terrain.lab, options.text, options.first, options.dropped, lacks)
            for told in live.packets(lambda: interrupt() or presence(), [signals.fileno()]):
                found = _located(told, terrain, lines)
                live.count(found)
                if options.dropped and not found.is_dropped:
                    continue
                if options.detail is not None or options.json:
                    found = _located(live.in_full(found), terrain, lines)
                put.live(found, options.detail)
                shown += 1
                if shown == options.first:
                    break
        if presence.is_gone:
            say(f"{terrain.lab} went down")
        put.live_ended(live.sums)
    return 130 if interrupt() and options.first and shown < options.first else 0


def _opened(
    terrain: Terrain,
    visits: Visits,
    backends: Mapping[str, Backend],
    choice: Choice,
    options: Options,
) -> Live:
    try:
        return Live(terrain, visits, backends, choice, in_depth=options.detail == "teach")
    except FileNotFoundError:  # a namespace
        raise LabNotFound(f"{terrain.lab} went down just now") from None


def _able(names: str) -> Mapping[str, Backend]:
    """Raises UsageError where somebody is named who cannot follow what others send."""
    found = chosen(names)
    unable = [name for name in found if names and name not in BACKENDS]
    if unable:
        raise UsageError(
            f"--backends {unable[0]} knows a probe of netlab's own, and no other packet",
            hint=f"with --live there are: {', '.join(BACKENDS)}",
        )
    return {name: backend for name, backend in found.items() if name in BACKENDS}


def _choice(terrain: Terrain, text: str) -> Choice:
    if not text.strip():
        return Choice()
    expression = filter_of(terrain, text, 0).expression
    try:
        check(expression)
    except NotOfIp as problem:
        raise UsageError(
            f"--live {text!r}: {problem}", hint="`netlab capture` shows every frame"
        ) from None
    return Choice(text, expression)


def _check(live: Live) -> None:
    if not live.watches:
        why = "; ".join(f"{name}: {why}" for name, why in live.told)
        raise MachineLacks(
            f"nobody can watch packets here: {why}", hint="`netlab doctor` tells what is missing"
        )


def _located(told: Told, terrain: Terrain, lines: LinesOf) -> Told:
    return replace(told, trace=located(told.trace, terrain.digest, lines))
