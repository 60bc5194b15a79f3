"""What a test finds when it goes into a lab, and what it brings back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from netlab.errors import KernelRefused
from netlab.kernel.port import Machine
from netlab.kernel.visits import Visits
from netlab.resources import Inventory
from netlab.trace.request import Words
from netlab.trace.terrain import Terrain

T = TypeVar("T")


@dataclass
class Site:
    """A lab that is up, as tests see it."""

    terrain: Terrain
    """With the addresses that were there when somebody last looked."""
    inventory: Inventory
    identities: Mapping[str, int]
    """Of its namespaces."""
    visits: Visits
    machine: Machine
    gaps: tuple[str, ...] = ()
    """What is missing of it, in sentences."""
    before: Mapping[Any, int] = field(default_factory=dict)
    """What rules had counted before this round, by ``netlab.checks.counted.Rule``; the first round
    counts all that there is."""

    def look(self) -> bool:
        """For addresses that nobody wrote; whether there may be such ones."""
        from netlab.checks.living import is_bare, looked_up

        if not any(is_bare(spot) for spot in self.terrain.spots.values()):
            return False
        self.terrain = looked_up(self.terrain, self.visits)
        return True

    def lost(self) -> list[str]:
        """Nodes that were there at the beginning, and whose namespaces somebody has deleted."""
        return [node for node, spot in self.terrain.spots.items() if not self._is_there(spot.ns)]

    def _is_there(self, ns: str) -> bool:
        try:
            self.visits.at(ns, lambda: None)
        except (FileNotFoundError, KernelRefused):
            return False
        return True

    def inside(self, node: str, act: Callable[[], T]) -> T:
        """What ``act`` returns in the node; sockets that it opens are the node's."""
        return self.visits.at(self.terrain.spots[node].ns, act)


class Seen(NamedTuple):
    """What came of one try."""

    met: bool
    """Whether it is what is expected."""
    words: str
    """What came back, for people."""
    doubt: str = ""
    """Why the network cannot be judged by it; "" where it can."""
    evidence: tuple[str, ...] = ()
    """What else is worth knowing where it is not what is expected."""
    missed: str = ""
    """What an ICMP error would have said that was expected, where nothing came at all."""


def missed(expected: str, outcome: str) -> str:
    """``refused`` or ``unreachable``, where silence came instead; "" else."""
    return expected if outcome == "denied" and expected in ("refused", "unreachable") else ""


@dataclass(frozen=True)
class Sort:
    """How tests of one sort are tried."""

    attempt: Callable[[Any, Site, float], Seen]
    """Once, for so many seconds at most. Raises OSError, NetlabError."""
    words: Callable[[Any], Words | None] = lambda test: None
    """The packet that it begins with, so that its way can be told; None where it sends none."""
    denies: Callable[[Any], bool] = lambda test: False
    """Whether nothing may come through: silence alone shows little."""
    loses: Callable[[Any], bool] = lambda test: False
    """Whether nothing may come through for any reason; a trace has to see which."""
    opens: Callable[[Any], bool] = lambda test: False
    """Whether, if it holds, packets have gone there and back."""
    alone: bool = False
    """Whether it looks at, or changes, what other tests do too: then nothing else is tried beside
    it, what stands before it is over, and what stands behind it has not begun."""
