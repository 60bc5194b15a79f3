"""What is wrong with a rule, told with its place and with what would be right."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import NamedTuple

from netlab.errors import NetlabError

from .sources import Place


class RuleProblem(NamedTuple):
    """One mistake: its place, what it is, and what would be right."""

    place: Place
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" + (f"; {self.hint}" if self.hint else "")


class RulesetError(NetlabError):
    """The text is not a ruleset that could be loaded (exit 2)."""

    exit_code = 2

    def __init__(self, problems: tuple[RuleProblem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


class Uncovered(RulesetError):
    """Correct nft, as far as can be seen, that this compiler does not translate (exit 3)."""

    exit_code = 3


class Wrong(Exception):
    """A mistake at the number of a token, on its way to becoming a ``RuleProblem``."""

    def __init__(self, at: int, message: str, hint: str = "", uncovered: bool = False) -> None:
        super().__init__(message)
        self.at = at
        self.message = message
        self.hint = hint
        self.uncovered = uncovered


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``did you mean 'x'?``, where something known is near."""
    names = list(known)
    near = get_close_matches(word, names, 1, 0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(sorted(names))}" if 0 < len(names) <= 12 else ""
