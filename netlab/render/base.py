"""What can be reported; each way of reporting is one module that answers this Protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from netlab.errors import NetlabError, Problem

if TYPE_CHECKING:
    from netlab.checks.verdicts import Verdict
    from netlab.kernel.connection import Tracked
    from netlab.kernel.opened import Socket
    from netlab.kernel.values import HeldRule
    from netlab.lab.lifecycle import Done, Road
    from netlab.lab.portrait import Node, Portrait
    from netlab.matrix.compare import Difference
    from netlab.matrix.model import Matrix
    from netlab.render.journey import Detail
    from netlab.trace.capture import Captured
    from netlab.trace.drops import Drop
    from netlab.trace.drops import Sums as DropSums
    from netlab.trace.explain.stack import Stack
    from netlab.trace.live import Sums, Told
    from netlab.trace.model import Trace
    from netlab.trace.packets import Seen
    from netlab.trace.sighting import Sighting
    from netlab.trace.taught import Taught


@dataclass(frozen=True)
class LabLine:
    """One lab in a listing."""

    lab: str
    state: str
    """``up``, ``half-built``, ``lost`` (of an earlier boot), ``unreadable``."""
    nodes: int = 0
    links: int = 0
    since: float = 0.0
    file: str = ""
    description: str = ""
    running: int = 0
    """Of its processes, those that run now."""
    processes: int = 0


@dataclass(frozen=True)
class Checked:
    """One topology file, read."""

    file: str
    lab: str
    nodes: int
    links: int
    steps: int
    problems: tuple[Problem, ...] = ()
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True)
class Feature:
    """Something a kernel or a machine may have."""

    name: str
    what_for: str
    present: bool
    option: str = ""
    """What to switch on where it is missing: a kernel option, a package, a mount."""
    detail: str = ""


@dataclass(frozen=True)
class KindText:
    """A kind, for people who look one up."""

    sort: str
    """``node``, ``device`` or ``link``."""
    name: str
    about: str
    example: str
    keys: Mapping[str, str]
    """Key → description."""


class Renderer(Protocol):
    def up(self, done: Done, draw: Callable[[], Portrait]) -> None:
        """``draw`` it only where it is shown: a large lab takes a while."""

    def planned(self, lab: str, road: Road, felt: Sequence[tuple[str, ...]]) -> None: ...
    def down(
        self, labs: Sequence[Done], failures: Mapping[str, NetlabError] | None = None
    ) -> None:
        """``failures`` by lab, where all were to go down; None where one was."""

    def labs(self, lines: Sequence[LabLine]) -> None: ...
    def lab(self, portrait: Portrait) -> None: ...
    def node(self, portrait: Portrait, node: Node) -> None: ...
    def rules(self, lab: str, node: str, rules: Sequence[HeldRule]) -> None:
        """In the kernel's order."""

    def connections(
        self,
        lab: str,
        tracked: Mapping[str, Tracked],
        owners: Mapping[str, str],
        lost: Sequence[str],
    ) -> None:
        """By node; ``owners``: whose an address is; ``lost``: namespaces that are gone."""

    def sockets(
        self,
        lab: str,
        held: Mapping[str, Sequence[Socket]],
        owners: Mapping[str, str],
        lost: Sequence[str],
    ) -> None:
        """By node; ``owners``: nodes by address."""

    def forgotten(self, lab: str, counts: Mapping[str, int], lost: Sequence[str]) -> None:
        """How many connections of each node were."""

    def checked(self, files: Sequence[Checked]) -> None: ...
    def features(self, kernel: str, features: Sequence[Feature]) -> None: ...
    def kinds(self, kinds: Sequence[KindText]) -> None:
        """All, in a table; those of one name, whole."""

    def traced(
        self,
        trace: Trace,
        detail: Detail,
        events: Sequence[Sighting],
        taught: Taught | None = None,
    ) -> None:
        """``events``: all that was seen, for whoever wants to know everything; ``taught``: what was
        measured at its steps, for whoever wants to learn."""

    def live_begun(
        self, lab: str, text: str, first: int, dropped: bool, lacks: Sequence[str]
    ) -> None:
        """On standard error: packets are followed from now on; ``lacks``: what is not seen."""

    def live(self, told: Told, detail: Detail | None) -> None:
        """A packet of the lab; in a line where ``detail`` is None."""

    def live_ended(self, sums: Sums) -> None:
        """On standard error."""

    def stack(self, stack: Stack) -> None:
        """One node's network stack, drawn."""

    def capturing(self, lab: str, interfaces: Sequence[str]) -> None:
        """On standard error: packets are taken from now on."""

    def packets(self, packets: Iterable[Seen], width: int) -> None:
        """One line each; ``width``: of the column that tells the interface."""

    def captured(self, lab: str, done: Captured, *, streams: bool) -> None:
        """``streams``: standard output belongs to the packets."""

    def drops_begun(self, lab: str, nodes: int, seconds: float, gaps: Sequence[str]) -> None:
        """On standard error: what is dropped from now on is told."""

    def drops(self, drops: Iterable[Drop], width: int) -> None:
        """One after the other; ``width``: of the column that tells the place."""

    def drops_ended(self, sums: DropSums, lost: int, missed: Sequence[str]) -> None:
        """On standard error. ``lost``: how many came too fast; ``missed``: what else, in words."""

    def testing(self, lab: str, tests: int, seed: int | None) -> None:
        """On standard error: tests begin."""

    def verdict(self, verdict: Verdict, width: int) -> None:
        """Of one test, as soon as it is known; ``width``: of the longest name."""

    def tested(
        self, lab: str, verdicts: Sequence[Verdict], seconds: float, seed: int | None
    ) -> None:
        """All, in the file's order: what did not pass, with its evidence."""

    def matrix(self, matrix: Matrix, found: Sequence[Difference] | None, name: str) -> None:
        """``found``: how it differs from the file ``name``; None where that was not asked."""

    def controlled(self, lab: str, verb: str, names: Sequence[str], seconds: float) -> None:
        """Processes that were started, stopped, restarted."""

    def log_line(self, process: str, line: str, width: int) -> None:
        """``width`` 0 where all lines are of one process."""

    def swept(self, sentences: Sequence[str]) -> None: ...
    def failure(self, failure: NetlabError) -> None:
        """What went wrong, and the way out."""
