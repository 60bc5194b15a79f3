"""What is said of a test in the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Word = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True)
class Verdict:
    """Of one test. ``inconclusive``: the network could not be judged by it."""

    place: int
    """In the file's list, counted from 1."""
    sort: str
    name: str
    at: str
    """Where it is written, ``file:line``."""
    verdict: Word
    saw: str
    """What came back."""
    tries: int
    seconds: float
    control: str = ""
    """Of a denial: what shows that the way itself works."""
    why: str = ""
    """Of what did not pass: the cause, where one was found."""
    advice: str = ""
    evidence: tuple[str, ...] = ()
    """Of what did not pass: routes, neighbours, rules on the way, and the counters that moved."""
    round: int = 1
    """Of those that ``--repeat`` asks for."""
    line: str = ""
    """The line of the topology to blame, where one is known."""
