"""What a process started in a node finds there: names, files, environment; and what runs once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from netlab.resources.base import InNode, Key, Resource, Stage

if TYPE_CHECKING:
    from netlab.kernel.port import Kernel


@dataclass(frozen=True)
class Hosts(Resource):
    """The lab's ``/etc/hosts``, one for all nodes."""

    stage: ClassVar[Stage] = Stage.LAB
    outlives: ClassVar[bool] = True

    lab: str
    text: str

    @property
    def ns(self) -> str:
        return ""

    @property
    def key(self) -> Key:
        return ("hosts", self.lab)

    @property
    def words(self) -> str:
        return "the lab's /etc/hosts"

    def create(self, kernel: Kernel) -> None:
        kernel.write_hosts(self.lab, self.text)

    def delete(self, kernel: Kernel) -> None:
        kernel.del_hosts(self.lab)

    def follows(self, before: Hosts) -> bool:
        return True

    def changes(self, before: Resource) -> str:
        assert isinstance(before, Hosts)
        old, new = set(before.text.splitlines()), set(self.text.splitlines())
        return f"lines: {len(new - old)} added, {len(old - new)} removed"


@dataclass(frozen=True)
class Entry(InNode):
    """A node's own files, environment and resolver, seen by what is started in it from now on."""

    stage: ClassVar[Stage] = Stage.ENTRY
    outlives: ClassVar[bool] = True

    hosts: bool = True
    resolv: str = ""
    env: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, str, int], ...] = ()
    """``(path, text, mode)``"""

    @property
    def key(self) -> Key:
        return ("entry", self.home)

    @property
    def falls_with(self) -> tuple[Key, ...]:
        """Nothing: it is a file of the state directory, and goes when it is deleted."""
        return ()

    @property
    def words(self) -> str:
        return "files and environment"

    def create(self, kernel: Kernel) -> None:
        kernel.write_entry(
            self.home,
            json.dumps(
                {"hosts": self.hosts, "resolv": self.resolv, "env": self.env, "files": self.files}
            ),
        )

    def delete(self, kernel: Kernel) -> None:
        kernel.del_entry(self.home)

    def follows(self, before: Entry) -> bool:
        return True

    def changes(self, before: Resource) -> str:
        return ""


@dataclass(frozen=True)
class Command(InNode):
    """An ``exec:`` line, run once when everything is up."""

    stage: ClassVar[Stage] = Stage.COMMAND

    nth: int
    """Which one of the node's lines that are alike."""
    command: str

    @property
    def key(self) -> Key:
        return ("exec", self.home, str(self.nth), self.command)

    @property
    def words(self) -> str:
        return f"exec {self.command}"

    def create(self, kernel: Kernel) -> None:
        kernel.run(self.home, self.command)

    def delete(self, kernel: Kernel) -> None:
        """What has run has run; the resource only remembers that it did."""
