"""Where a piece of nft text came from: one running number per token of all files read.

A syntax tree stores such a number (``at``); only a message asks for file, line and column.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple


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
    offset: Callable[[str, int], int] = lambda text, number: number
    """Where a token of a number begins in its text."""

    def add(self, source: Source) -> int:
        """Take a text in; the number of its first token (a text has fewer tokens than that)."""
        start = self.starts[-1] + len(self.texts[-1].text) + 3 if self.texts else 0
        self.texts.append(source)
        self.starts.append(start)
        return start

    def place(self, at: int) -> Place:
        which = max(bisect_right(self.starts, at) - 1, 0)
        source = self.texts[which]
        before = source.text[: self.offset(source.text, at - self.starts[which])]
        line = before.count("\n")
        if source.asked:
            return Place(source.file, *source.asked[line])
        column = len(before) - (before.rfind("\n") + 1) + 1 + source.indent
        return Place(source.file, source.line + line, column)
