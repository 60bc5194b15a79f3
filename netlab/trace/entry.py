"""One cause as the tables hold it: how it is known, how the packet ends, what is said."""

from __future__ import annotations

from dataclasses import dataclass

from netlab.trace.clues import Clue
from netlab.trace.model import Disposition


@dataclass(frozen=True)
class Entry:
    name: str
    """As ``--expect`` knows it."""
    disposition: Disposition
    clues: tuple[Clue, ...]
    sentence: str
    advice: str = ""
