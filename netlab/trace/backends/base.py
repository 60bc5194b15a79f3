"""The table that every backend fills in, and what it is asked to watch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from netlab.kernel.visits import Visits
from netlab.trace.choice import Choice
from netlab.trace.model import Probe
from netlab.trace.sighting import Sighting
from netlab.trace.terrain import Terrain


class CannotWatch(Exception):
    """The machine or the kernel does not let it; in words."""


@dataclass(frozen=True)
class Scene:
    """Where and for what one looks out."""

    terrain: Terrain
    probe: Probe
    visits: Visits
    choice: Choice | None = None
    """Which of the lab's own packets are meant, where the probe only stands for them."""
    in_depth: bool = False
    """Whether it is to be taught how buffers lie in memory, and in which context who runs."""
    hooked: frozenset[str] = frozenset()
    """Nodes of which somebody tells already when a packet is at which hook, and at which device."""

    @property
    def nodes(self) -> Mapping[str, str]:
        """Namespace by node: all of the lab, since nobody knows the way before."""
        return {name: spot.ns for name, spot in self.terrain.spots.items()}


class Watch(Protocol):
    """A backend at work. ``close`` leaves nothing behind, and so does the process's death."""

    def files(self) -> Sequence[int]:
        """File descriptors that can be read when there is something to see."""

    def read(self) -> list[Sighting]:
        """What has come up to now, in order; does not wait."""

    def end(self, seen: Sequence[Sighting]) -> list[Sighting]:
        """What is only known afterwards; ``seen`` by all, up to now."""

    def gaps(self) -> list[str]:
        """What it knows to have missed, in sentences."""

    def close(self) -> None: ...


@runtime_checkable
class TellsHooks(Protocol):
    """One that needs nobody else to know when a packet is at a hook or a device."""

    hooked: frozenset[str]
    """In these nodes."""


@dataclass(frozen=True)
class Backend:
    """Somebody who can see a packet go by."""

    about: str
    """What it sees."""
    option: str
    """What to switch on where it is missing: a kernel option, a privilege."""
    obstacle: Callable[[], str]
    """Why it cannot run here, "" where it can; asked in a namespace that can be thrown away."""
    watch: Callable[[Scene], Watch]
    """Begin. Raises CannotWatch."""
    privilege: str = "root"
    """What it takes where that is what is missing."""
    lacks: Callable[[], Mapping[str, str]] = dict
    """What it cannot see here though it can run, and why: asked where ``obstacle`` is."""
    sees_ways: bool = True
    """Whether it sees where a packet is; else it knows only what came of it."""
    instead_of: str = ""
    """The backend that tells all of it and more; where that one watches, this one need not."""
