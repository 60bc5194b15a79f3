"""The nftables rules of a node, as the text that they were written in, and those of `nat:`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from netlab.resources.base import InNode, Key, Resource, Stage, namespace_key

if TYPE_CHECKING:
    from netlab.kernel.port import Kernel
    from netlab.kernel.values import Held, RulesKey

Text: TypeAlias = tuple[str, str]
"""A file's name from the topology's directory, "" for the topology itself, and what is in it."""


_TABLE = re.compile(
    r"^[ \t]*(?:(add|create|delete|destroy)[ \t]+)?table[ \t]+"
    r"(?:(ip|ip6|inet|arp|bridge|netdev)[ \t]+)?([A-Za-z_][\w/\\.]*)[ \t]*[{;\n]",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Firewall(InNode):
    """All tables of a node: one transaction. The first of ``texts`` is read, it may include others.

    Where a text stands in its file is no part of what it says: moved lines change nothing.
    """

    stage: ClassVar[Stage] = Stage.FIREWALL

    texts: tuple[Text, ...]
    over: tuple[Key, ...] = ()
    """The devices that the rules know by index: made anew, they have another one."""
    line: int = field(default=1, compare=False)
    """The line of the first text within its file, counted from 1."""
    indent: int = field(default=0, compare=False)
    nat: str = ""
    """The table that `nat:` stands for; read behind the others."""
    entries: tuple[str, ...] = ()
    """What `nat:` says, for people."""
    asked: tuple[tuple[int, int], ...] = field(default=(), compare=False)
    """For each line of that table, line and column of what asks for it."""
    file: str = field(default="", compare=False)
    """The topology, as whoever called netlab named it."""

    @property
    def key(self) -> Key:
        return ("firewall", self.home)

    @property
    def needs(self) -> tuple[Key, ...]:
        return (namespace_key(self.home), *self.over)

    @property
    def falls_with(self) -> tuple[Key, ...]:
        return (namespace_key(self.home),)

    @property
    def words(self) -> str:
        rules = ["nftables rules"] if self.texts else []
        nat = [f"nat: {', '.join(self.entries)}"] if self.entries else []
        return "; ".join([*rules, *nat])

    @property
    def title(self) -> str:
        return "nftables rules" if self.texts else "nat"

    def lost(self, there: Mapping[str, Held | None]) -> str:
        """Tables, whole ones: what is in them is looked at by `show --rules`."""
        held = there.get(self.home)
        if held is None or held.rules is None:
            return ""
        gone = [" ".join(name) for name in self.tables if name not in held.rules]
        some, was = ("tables", "were") if gone[1:] else ("table", "was")
        return f"{some} {', '.join(gone)} {was} gone" if gone else ""

    @property
    def tables(self) -> tuple[RulesKey, ...]:
        """Those whose names stand plainly in the texts, at the beginning of a line."""
        found: dict[RulesKey, None] = {}
        for text in (*(text for _, text in self.texts), self.nat):
            for verb, family, name in _TABLE.findall(text):
                key = family or "ip", name
                if verb in ("delete", "destroy"):
                    found.pop(key, None)
                else:
                    found[key] = None
        return tuple(found)

    def create(self, kernel: Kernel) -> None:
        kernel.set_rules(self.home, "", self.spec)

    def delete(self, kernel: Kernel) -> None:
        kernel.set_rules(self.home, self.spec, "")

    def follows(self, before: Firewall) -> bool:
        """Only the tables that differ are made anew; counters of the others live on."""
        return True

    def update(self, kernel: Kernel, before: Firewall) -> None:
        kernel.set_rules(self.home, before.spec, self.spec)

    def changes(self, before: Resource) -> str:
        assert isinstance(before, Firewall)
        old, new = before._lines, self._lines
        return f"lines: {len(new - old)} added, {len(old - new)} removed"

    @property
    def _lines(self) -> set[str]:
        texts = (*(text for _, text in self.texts), self.nat)
        return {line for text in texts for line in text.splitlines()}

    @property
    def spec(self) -> str:
        """For ``Kernel.set_rules``."""
        written = {"texts": self.texts, "line": self.line, "indent": self.indent}
        own = {"nat": self.nat, "asked": self.asked, "file": self.file}
        return json.dumps(written | own)
