"""Two matrices of one lab: where they differ, pair by pair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from netlab.matrix.model import Cell, Matrix

ERRORS = {"unreachable", "refused"}
"""What is told by errors: a node that may send no more of them is silent."""


class Difference(NamedTuple):
    """A pair, or a node as a whole, that is not as it was."""

    source: str
    target: str
    """"" for all there is of a node."""
    probe: str
    was: str
    """"" for what was not there."""
    now: str
    why: str = ""
    """Of what is now."""

    @property
    def words(self) -> str:
        """``client → db: was denied, is answered``."""
        if not self.target:
            return f"{self.source} is no more" if self.was else f"{self.source} is new"
        probe = "" if self.probe == "ping" else f" {self.probe}"
        return f"{self.source} → {self.target}{probe}: was {self.was or 'not there'}, is {self.now}"


def differences(before: Matrix, now: Matrix) -> list[Difference]:
    """By the order of ``now``; what only one of them has comes first."""
    return [*_nodes(before, now), *_pairs(before, now)]


def _nodes(before: Matrix, now: Matrix) -> Iterator[Difference]:
    for node in before.nodes:
        if node not in now.nodes:
            yield Difference(node, "", "", "there", "")
    for node in now.nodes:
        if node not in before.nodes:
            yield Difference(node, "", "", "", "there")


def _pairs(before: Matrix, now: Matrix) -> Iterator[Difference]:
    known: Mapping[tuple[str, str, str], Cell] = {cell.key: cell for cell in before.cells}
    limited = {*before.limited, *now.limited}
    for cell in now.cells:
        was = known.get(cell.key)
        if was is None and {cell.source, cell.target} <= {*before.nodes}:
            yield Difference(*cell.key, "", cell.word, cell.why)
        elif was is not None and not is_same(was, cell, limited):
            yield Difference(*cell.key, was.word, cell.word, cell.why)


def is_same(one: Cell, other: Cell, limited: set[str]) -> bool:
    """Also where one is silence, and the other an error that a limit may have kept back."""
    if one.word == other.word:
        return True
    silent, said = (one, other) if one.word == "denied" else (other, one)
    return silent.word == "denied" and said.word in ERRORS and said.by in limited
