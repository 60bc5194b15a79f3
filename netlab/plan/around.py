"""What surrounds a topology's text: the file it is in, and what lies beside that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from netlab.model.site import Path


@dataclass(frozen=True)
class Around:
    """What surrounds a topology's text: its file, and what lies beside it."""

    file: str = ""
    directory: str = ""
    place: Callable[[Path], tuple[int, int]] = lambda path: (1, 0)
    """Of a text within the file: its first line, counted from 1, and how far it is indented."""
    where: Callable[[Path], tuple[int, int]] = lambda path: (1, 1)
    """Line and column of anything within the file, counted from 1."""
    read: Callable[[str], str] = lambda path: ""
    """A file by its path; raises OSError."""
    unshowable: Callable[[str], str] = lambda path: ""
    """Why the machine can show no file of a node at a path; "" where it can."""


class Misruled(NamedTuple):
    """Something wrong with a rule, and where; ``file`` "" is the topology's own."""

    file: str
    line: int
    column: int
    path: Path
    message: str
    hint: str
