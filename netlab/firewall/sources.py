"""Where a piece of nft text came from: one running number per token of all files read.

A syntax tree stores such a number (``at``); only a message asks for file, line and column.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

Known: TypeAlias = tuple[int, int]
"""The number of a token, and where it begins."""


class Place(NamedTuple):
    """A file, a line and a column, counted from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Source:
    """One text: ``line`` and ``indent`` say where it starts inside its file (YAML holds it so)."""

    file: str
    text: str
    line: int = 1
    indent: int = 0
    asked: tuple[tuple[int, int], ...] = ()
    """Of a text that nobody wrote: for each of its lines, line and column of what asks for it."""


@dataclass
class Sources:
    """All texts of one compilation, in the order in which they were read."""

    texts: list[Source] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    offset: Callable[[str, int, Known], tuple[int, Known]] = lambda text, number, known: (0, known)
    """Where a token of a number begins in its text; see ``netlab.firewall.lexer``."""
    known: dict[int, Known] = field(default_factory=dict)
    """For each text, the token that was found last."""

    def add(self, source: Source) -> int:
        """Take a text in; the number of its first token (a text has fewer tokens than that)."""
        start = self.starts[-1] + len(self.texts[-1].text) + 3 if self.texts else 0
        self.texts.append(source)
        self.starts.append(start)
        return start

    def place(self, at: int) -> Place:
        which = max(bisect_right(self.starts, at) - 1, 0)
        source = self.texts[which]
        known, number = self.known.get(which, (0, 0)), at - self.starts[which]
        end, self.known[which] = self.offset(source.text, number, known)
        before = source.text[:end]
        line = before.count("\n")
        if source.asked:
            return Place(source.file, *source.asked[line])
        column = len(before) - (before.rfind("\n") + 1) + 1 + source.indent
        return Place(source.file, source.line + line, column)
