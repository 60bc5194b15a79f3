"""Where it cannot be known which way a packet goes, each is gone once.

Whoever stands at a fork asks ``Choices.choose``. ``each`` runs a story again and again, until all
of its forks have been taken every way; the first run takes the first way everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")
MOST = 64
"""Runs of one story: six forks of two ways each."""


class Choice(NamedTuple):
    """A fork, and the way that was taken there."""

    why: str
    """What is not known."""
    options: tuple[str, ...]
    taken: int

    @property
    def way(self) -> str:
        return self.options[self.taken]


@dataclass
class Choices:
    """The answers of one run; those beyond ``given`` are the first ones."""

    given: tuple[int, ...] = ()
    made: list[Choice] = field(default_factory=list)

    def choose(self, why: str, options: Sequence[str]) -> int:
        """Which of them; what was asked before in the same words is answered the same."""
        for before in self.made:
            if before.why == why and before.options == tuple(options):
                return before.taken
        place = len(self.made)
        taken = self.given[place] if place < len(self.given) else 0
        self.made.append(Choice(why, tuple(options), taken))
        return taken

    def following(self) -> Iterator[tuple[int, ...]]:
        """Runs that take another way at a fork which this one came to first."""
        for place in range(len(self.given), len(self.made)):
            before = tuple(choice.taken for choice in self.made[:place])
            for other in range(1, len(self.made[place].options)):
                yield (*before, other)


class Told(NamedTuple, Generic[T]):
    story: T
    choices: tuple[Choice, ...]


def each(run: Callable[[Choices], T], most: int = MOST) -> tuple[list[Told[T]], bool]:
    """All that may happen, what is usual first; whether that is all."""
    found: list[Told[T]] = []
    waiting: list[tuple[int, ...]] = [()]
    while waiting and len(found) < most:
        choices = Choices(waiting.pop(0))
        story = run(choices)
        found.append(Told(story, tuple(choices.made)))
        waiting += choices.following()
    return found, not waiting
