"""A matrix: who got what answer from whom, and the golden file that it can be kept in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from netlab.errors import UsageError

FORMAT = "netlab.matrix/1"

MEANING = {
    "answered": "an answer came back; of TCP: the connection was taken",
    "refused": "nobody listens there: a reset, or an ICMP error about the port",
    "denied": "no answer, however often it was asked; or a rule of the sender's own took it",
    "unreachable": "an ICMP error came back, or a route of the sender's own leads nowhere",
    "no-neighbour": "nobody on the sender's segment answers for the target, or for its gateway",
    "no-route": "the sender has no route there",
    "no-address": "one of the two has no address (of the version that was asked for)",
    "unknown": "the kernel's table of neighbours was full: it could not be asked",
}
"""What a cell can say."""
SILENCE = "silence"
"""Why a cell is denied, where no more is known."""
SAVE = "`netlab matrix LAB --save FILE` writes one"


class Cell(NamedTuple):
    """One node, asked by another one."""

    source: str
    target: str
    probe: str
    """``ping``, ``tcp 80``, ``udp 53``."""
    word: str
    by: str = ""
    """Who said so: a node, or an address that is of no node; "" where nobody did."""
    address: str = ""
    """That was asked; "" for none."""
    why: str = ""
    """A sentence about what is not answered."""
    milliseconds: float | None = None
    """From the request to the answer; None where none came."""

    @property
    def key(self) -> tuple[str, str, str]:
        return self.source, self.target, self.probe


@dataclass(frozen=True)
class Matrix:
    lab: str
    version: int
    """Of IP; 0 where each pair took what it has, IPv4 first."""
    probes: tuple[str, ...]
    nodes: tuple[str, ...]
    """In the file's order."""
    cells: tuple[Cell, ...]
    """By probe, then by source, then by target."""
    left_out: tuple[str, ...] = ()
    """Switches, which have no address."""
    limited: tuple[str, ...] = ()
    """Nodes that had more ICMP errors to tell than the kernel lets them (icmp_ratelimit)."""
    seconds: float = 0.0
    gaps: tuple[str, ...] = ()
    """What is to be known besides, in sentences."""

    def of(self, probe: str) -> Mapping[tuple[str, str], Cell]:
        """By source and target."""
        return {(c.source, c.target): c for c in self.cells if c.probe == probe}


def golden(matrix: Matrix) -> str:
    """What is the same in every run."""
    return text(_head(matrix), map(_kept, matrix.cells))


def text(head: Mapping[str, Any], cells: Iterable[Mapping[str, Any]]) -> str:
    """As JSON, a cell a line, so that versions of a file can be compared."""
    start = json.dumps(head, ensure_ascii=False).removesuffix("}")
    lines = ",\n".join(json.dumps(cell, ensure_ascii=False) for cell in cells)
    return start + ',\n"cells": [\n' + lines + "\n]}\n"


def document(matrix: Matrix, more: Mapping[str, Any]) -> str:
    """All there is; it can be read again as a golden file can."""
    told = {"seconds": round(matrix.seconds, 3), "gaps": matrix.gaps, **more}
    return text(_head(matrix) | told, map(_whole, matrix.cells))


def _head(matrix: Matrix) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "lab": matrix.lab,
        "version": matrix.version,
        "probes": matrix.probes,
        "nodes": matrix.nodes,
        "left_out": matrix.left_out,
        "limited": matrix.limited,
    }


def _kept(cell: Cell) -> dict[str, Any]:
    told = {"from": cell.source, "to": cell.target, "probe": cell.probe, "is": cell.word}
    return {**told, "by": cell.by}


def _whole(cell: Cell) -> dict[str, Any]:
    more = {"address": cell.address, "why": cell.why, "milliseconds": cell.milliseconds}
    return {**_kept(cell), **more}


def read(text: str, name: str) -> Matrix:
    """A golden file. Raises UsageError with its name and what is wrong with it."""
    try:
        held = json.loads(text)
    except ValueError as problem:
        raise UsageError(f"{name} is no JSON: {problem}", hint=SAVE) from None
    if not isinstance(held, dict) or held.get("format") != FORMAT:
        said = held.get("format") if isinstance(held, dict) else None
        what = f"its format is {said!r}" if said else "it has no format"
        raise UsageError(f"{name} is no saved matrix: {what}, not {FORMAT!r}", hint=SAVE)
    try:
        return Matrix(
            _text(held["lab"]),
            int(held["version"]),
            tuple(map(_text, held["probes"])),
            tuple(map(_text, held["nodes"])),
            tuple(map(_cell, held["cells"])),
            tuple(map(_text, held["left_out"])),
            tuple(map(_text, held["limited"])),
        )
    except KeyError as problem:
        raise UsageError(f"{name} is no whole matrix: {problem} is missing", hint=SAVE) from None
    except (TypeError, ValueError) as problem:
        raise UsageError(f"{name} is no whole matrix: {problem}", hint=SAVE) from None


def _cell(held: Any) -> Cell:
    word = _text(held["is"])
    if word not in MEANING:
        raise ValueError(f"no cell says {word!r}; there are: {', '.join(MEANING)}")
    source, target, probe, by = (_text(held[key]) for key in ("from", "to", "probe", "by"))
    return Cell(source, target, probe, word, by)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
