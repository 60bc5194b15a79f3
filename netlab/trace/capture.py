"""Packets of a lab, from its interfaces to a file or to whoever reads them, until it is enough."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from netlab.errors import NetlabError
from netlab.kernel.ring import Frame
from netlab.trace.order import Order
from netlab.trace.rings import SKEW, Rings, Source

COUNTING = 10.0
"""Seconds between two looks at the kernel's counts, which are short numbers."""

MANY, GATHER = 1000, 0.01
"""Where more packets than that come at once, others may gather for so many seconds meanwhile."""


class Sink(Protocol):
    """Where packets go, in order of time."""

    def add(self, frames: Sequence[Frame]) -> None:
        """Perhaps none: there may be another interface all the same."""

    def close(self) -> None: ...


@dataclass(frozen=True)
class Limits:
    """When it is enough; 0 for never."""

    count: int = 0
    """Packets."""
    seconds: float = 0.0


@dataclass
class Captured:
    """How it went."""

    sources: Sequence[Source]
    packets: int = 0
    """That were told or written."""
    seconds: float = 0.0
    why: str = ""
    """What ended it: ``count``, ``duration``, ``interrupted``, ``lab`` (it is down), ``reader``."""
    late: int = 0
    """Packets that stand behind later ones."""
    files: list[str] = field(default_factory=list)
    """Those that are there, of …"""
    turns: int = 0
    """… so many that were written."""
    bytes: int = 0
    notes: list[str] = field(default_factory=list)
    failure: NetlabError | None = None
    """What ended it where nothing else did."""

    @property
    def dropped(self) -> int:
        """Packets that passed the filter, and were lost for lack of room."""
        return sum(source.dropped for source in self.sources)


class Outside(Protocol):
    """What else happens meanwhile: signals, a lab that changes, a reader that goes away."""

    def hear(self, files: list[int]) -> None:
        """Of the watched files these have something to say."""

    def why(self) -> str:
        """What it is to end for, or ""."""

    def patience(self) -> float:
        """Seconds until it has to be called even where nothing is heard."""


def capture(rings: Rings, sink: Sink, limits: Limits, outside: Outside) -> Captured:
    """What went wrong on the way is the ``failure`` of what is returned."""
    done = Captured(rings.sources)
    begun = time.monotonic()
    try:
        _go_on(rings, sink, limits, outside, done)
    except BrokenPipeError:
        done.why = "reader"
    except NetlabError as failure:
        done.failure = failure
    finally:
        done.seconds = time.monotonic() - begun
        rings.close()
        try:
            sink.close()
        except BrokenPipeError:
            done.why = "reader"
        except NetlabError as failure:
            done.failure = done.failure or failure
    return done


def _go_on(rings: Rings, sink: Sink, limits: Limits, outside: Outside, done: Captured) -> None:
    order, begun = Order(), time.monotonic()
    counted, clock, gather = begun, 0, 0.0
    while not done.why:
        patience = min(outside.patience(), _patience(limits, begun, order))
        outside.hear(rings.wait(patience, gather))
        done.why = outside.why()
        if limits.seconds and time.monotonic() - begun >= limits.seconds:
            done.why = done.why or "duration"
        frames, until = rings.take()
        if rings.is_deserted:
            done.why = done.why or "lab"
        gather = GATHER if len(frames) > MANY else 0.0
        order.add(frames)
        now = time.time_ns()
        # where the clock was set back, what was seen before would wait until it is there again
        _pass_on(done, sink, limits, order.release(until if now >= clock else None))
        clock = now
        if time.monotonic() - counted > COUNTING:
            rings.count()
            counted = time.monotonic()
    if done.why != "count":
        order.add(rings.stop())
        _pass_on(done, sink, limits, order.release())
    done.late = order.late


def _patience(limits: Limits, begun: float, order: Order) -> float:
    """Seconds until something has to be done even where nothing comes."""
    waits = [COUNTING]
    if limits.seconds:
        waits.append(max(0.0, begun + limits.seconds - time.monotonic()))
    if order.holds:
        waits.append(SKEW / 1e9)
    return min(waits)


def _pass_on(done: Captured, sink: Sink, limits: Limits, frames: list[Frame]) -> None:
    if limits.count and done.packets + len(frames) >= limits.count:
        frames = frames[: limits.count - done.packets]
        done.why = "count"
    done.packets += len(frames)
    sink.add(frames)
