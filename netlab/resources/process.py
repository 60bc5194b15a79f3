"""Programs of nodes, and the one process of a lab that looks after them."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from shlex import join
from typing import TYPE_CHECKING, ClassVar

from netlab.resources.base import InNode, Key, Resource, Stage, namespace_key

if TYPE_CHECKING:
    from netlab.kernel.port import Kernel


@dataclass(frozen=True)
class Supervisor(Resource):
    """Starts the lab's processes, restarts them, bounds their logs; only where there are any."""

    stage: ClassVar[Stage] = Stage.LAB
    outlives: ClassVar[bool] = True

    lab: str

    @property
    def ns(self) -> str:
        return ""

    @property
    def key(self) -> Key:
        return supervisor_key(self.lab)

    @property
    def words(self) -> str:
        return "supervisor of the lab's processes"

    def create(self, kernel: Kernel) -> None:
        kernel.start_supervisor(self.lab)

    def delete(self, kernel: Kernel) -> None:
        kernel.stop_supervisor(self.lab)


@dataclass(frozen=True)
class Process(InNode):
    """A program of a node. ``sees`` tells apart what its files and environment were."""

    stage: ClassVar[Stage] = Stage.PROCESS
    outlives: ClassVar[bool] = True

    name: str
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    cwd: str = "/"
    user: str = ""
    sees: str = ""
    ready: tuple[str, str] | tuple[()] = ()
    """What shows that it is ready: ``("tcp", "80")``."""
    within: float = 10.0
    """Seconds until it must be ready."""
    stop: str = "TERM"
    grace: float = 5.0
    """Seconds until it is killed."""
    restart: str = "no"
    log_size: int = 1 << 20
    rank: int = 0
    """Those of a lower rank must be ready before."""

    @property
    def key(self) -> Key:
        return process_key(self.home, self.name)

    @property
    def needs(self) -> tuple[Key, ...]:
        return (namespace_key(self.home), supervisor_key(self.home.partition(".")[0]))

    @property
    def falls_with(self) -> tuple[Key, ...]:
        """Nothing: it is asked to end, and given time to."""
        return ()

    @property
    def turn(self) -> int:
        return self.rank

    @property
    def words(self) -> str:
        return f"{self.title}: {self.line}"

    @property
    def title(self) -> str:
        return f"process {self.name}"

    @property
    def line(self) -> str:
        """The command as a shell line, as it may have been written."""
        return self.argv[2] if self.argv[:2] == ("/bin/sh", "-c") else join(self.argv)

    def create(self, kernel: Kernel) -> None:
        kernel.start_process(self.home, self.name, self._spec(), self.rank)

    def delete(self, kernel: Kernel) -> None:
        kernel.stop_process(self.home, self.name, self.rank)

    def follows(self, before: Process) -> bool:
        """How it is looked after can change while it runs."""
        changed = {f.name for f in fields(self) if getattr(self, f.name) != getattr(before, f.name)}
        return changed <= {"ready", "within", "stop", "grace", "restart", "log_size", "rank"}

    def update(self, kernel: Kernel, before: Process) -> None:
        kernel.set_process(self.home, self.name, self._spec())

    def reason(self, before: Process) -> str:
        other = [words for name, words in _UNSEEN if getattr(self, name) != getattr(before, name)]
        return f"its {other[0]} changed" if other and self.words == before.words else ""

    def _spec(self) -> str:
        left_out = ("home", "name", "sees", "rank")
        return json.dumps({k: v for k, v in vars(self).items() if k not in left_out})


_UNSEEN = (
    ("sees", "files or environment"),
    ("env", "environment"),
    ("cwd", "directory"),
    ("user", "user"),
)


def process_key(ns: str, name: str) -> Key:
    return ("process", ns, name)


def supervisor_key(lab: str) -> Key:
    return ("supervisor", lab)
