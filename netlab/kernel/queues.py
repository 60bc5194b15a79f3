"""What has been asked for and not yet done, in runs that keep the order where order matters.

Requests of one namespace keep theirs; namespaces do not wait for each other. Only a change of
subject, from what is inside namespaces to the links between them or to their names, ends a run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from netlab.kernel.acts import Op

if TYPE_CHECKING:
    from netlab.kernel.acts import Act
    from netlab.kernel.wire import Request

Ops: TypeAlias = dict[str, list[Op]]
"""By namespace."""


class Pair(NamedTuple):
    """A veth pair to be made between two namespaces; ``request`` takes an fd of each."""

    token: object
    a_ns: str
    b_ns: str
    request: Callable[[int, int], Request]
    option: str


class Nodes:
    """A run of requests inside namespaces; those under "" need none."""

    def __init__(self) -> None:
        self.ops: Ops = {}


class Links:
    """A run of veth pairs; ``after`` is what can be said to their far ends only then."""

    def __init__(self) -> None:
        self.pairs: list[Pair] = []
        self.after: Ops = {}


class Names:
    """A run of namespaces to be taken away, or named; ``after`` is what is said to fresh ones."""

    def __init__(self) -> None:
        self.add: list[Op] = []
        self.after: Ops = {}
        self.take: list[str] = []
        self.token: object = None


class Commands:
    """A run of programs in nodes: one after the other, out of the worker's thread."""

    def __init__(self) -> None:
        self.ops: list[Op] = []


class Turn:
    """A run of processes to be started or stopped side by side."""

    def __init__(self, number: int = 0, forget: bool = True) -> None:
        self.number = number
        self.forget = forget
        self.start: list[Any] = []
        self.stop: list[tuple[str, str]] = []
        self.token: object = None


Run: TypeAlias = Nodes | Links | Names | Turn | Commands
RunT = TypeVar("RunT", Nodes, Links, Names, Commands)


class Queue:
    """Each request belongs to the ``token`` of the moment when it was asked for."""

    def __init__(self) -> None:
        self.token: object = None
        self._runs: list[Run] = []

    def taken(self) -> list[Run]:
        """All that is in it; it is empty then."""
        runs, self._runs = self._runs, []
        return runs

    def add(self, ns: str, act: Act, option: str = "") -> None:
        op = Op(self.token, act, False, option)
        self.run(Nodes).ops.setdefault(ns, []).append(op)

    def delete(self, ns: str, act: Act) -> None:
        self.run(Nodes).ops.setdefault(ns, []).append(Op(self.token, act, True))

    def run(self, kind: type[RunT]) -> RunT:
        """The last run if it is of that kind, else a new one."""
        last = self._runs[-1] if self._runs else None
        if isinstance(last, kind):
            return last
        run = kind()
        if isinstance(last, Links | Names) and isinstance(run, Nodes):
            run.ops, last.after = last.after, {}
        self._runs.append(run)
        return run

    def turn(self, number: int, *, starts: bool, forget: bool = True) -> Turn:
        """The last run if it is of that turn and direction, else a new one."""
        last = self._runs[-1] if self._runs else None
        if (
            isinstance(last, Turn)
            and (last.number, last.forget) == (number, forget)
            and not (last.stop if starts else last.start)
        ):
            return last
        run = Turn(number, forget)
        self._runs.append(run)
        return run
