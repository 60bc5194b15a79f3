"""A probe's whole story: who watches is set up, it is sent, watched to its end, and cleaned up."""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from netlab.kernel.visits import Visits
from netlab.trace.backends.base import Backend, CannotWatch, Scene, Watch
from netlab.trace.cookie import Way, way_of
from netlab.trace.headers import parse
from netlab.trace.model import Probe
from netlab.trace.probe import PENDING, Responder, Sender, open_responder, open_sender
from netlab.trace.sighting import Sighting
from netlab.trace.terrain import Terrain


@dataclass
class Seen:
    """What came of it, before anything is concluded."""

    probe: Probe
    sightings: list[Sighting]
    backends: tuple[tuple[str, str], ...]
    gaps: tuple[str, ...] = ()


def watch_it(
    terrain: Terrain, probe: Probe, visits: Visits, backends: Mapping[str, Backend]
) -> Seen:
    with ExitStack() as stack:
        sender = visits.at(terrain.spots[probe.sender].ns, lambda: open_sender(probe))
        stack.callback(sender.close)
        scene = Scene(terrain, sender.probe, visits)
        watches = []
        told = []
        for name, backend in backends.items():
            try:
                watch = backend.watch(scene)
            except CannotWatch as no:
                told.append((name, str(no)))
                continue
            stack.callback(watch.close)
            watches.append(watch)
            told.append((name, ""))
        sightings = []
        sender.send()
        end = time.monotonic() + 1.0
        while sender.result() == PENDING and time.monotonic() < end:
            time.sleep(0.005)
        for watch in watches:
            sightings += watch.end()
        return Seen(sender.probe, sightings, tuple(told))
