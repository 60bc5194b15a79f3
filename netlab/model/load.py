"""A topology file as a Topology, or everything that is wrong with it, each with its place.

Never raises. A node that cannot be read is left bare and a link that cannot be is left out, so that
what lies behind them can be checked as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from netlab.errors import Problem
from netlab.model.growing import growing
from netlab.model.merge import Origins
from netlab.model.reader import Reader
from netlab.model.sentences import Wrong, shown
from netlab.model.source import Path, Source, parse
from netlab.model.topology import Interface, Link, Node, Topology


@dataclass(frozen=True)
class Loaded:
    file: str
    topology: Topology | None
    problems: tuple[Problem, ...]
    doubtful: frozenset[str]
    """Nodes that are not what the file says, since that could not be read."""
    source: Source
    origins: Origins

    def place(self, path: Path) -> tuple[int, int]:
        """Line and column of what stands there, counted from 1; else of what is around it."""
        line, column, _ = self.source.locate(self.origins.of(path))
        return line, column

    def text_place(self, path: Path) -> tuple[int, int]:
        """See ``Source.text_place``."""
        return self.source.text_place(self.origins.of(path))

    def problem(self, path: Path, message: str, hint: str = "", *, at_key: bool = False) -> Problem:
        return _problem(self.source, self.origins, Wrong(path, message, hint, at_key))


def load(
    text: bytes | str,
    file: str,
    *,
    nodes: Mapping[str, type[Node]],
    devices: Mapping[str, type[Interface]],
    links: Mapping[str, type[Link]],
    told: Callable[[object], object] = lambda data: None,
) -> Loaded:
    """``nodes``, ``devices`` and ``links`` are the kinds there are, with their settings.

    ``told`` gets the plain data of the file before it is checked, which takes a while.
    """
    with growing():
        source = parse(text)
        told(source.data)
        return _load(source, file, nodes, devices, links)


def _load(
    source: Source,
    file: str,
    nodes: Mapping[str, type[Node]],
    devices: Mapping[str, type[Interface]],
    links: Mapping[str, type[Link]],
) -> Loaded:
    faults = [Problem(f.line, f.column, "", f.message, f.hint) for f in source.faults]
    reader = Reader(nodes, devices, links)
    topology = None
    if isinstance(source.data, dict):
        topology = reader.topology(source.data, file)
    elif not faults:
        said = "nothing" if source.data is None else shown(source.data)
        faults.append(
            Problem(1, 1, "", f"a topology is a mapping with `nodes` and `links`, not {said}")
        )
    problems = [*faults, *(_problem(source, reader.origins, w) for w in reader.wrong)]
    # only now: what was found so far is told by the file's own places
    reader.renumber()
    doubtful = frozenset(reader.doubtful & topology.nodes.keys()) if topology else frozenset()
    # what many nodes take over from one place is wrong once
    once = tuple(dict.fromkeys(problems))
    return Loaded(file, topology, once, doubtful, source, reader.origins)


def _problem(source: Source, origins: Origins, wrong: Wrong) -> Problem:
    path = origins.of(wrong.path)
    line, column, found = source.locate(path, at_key=wrong.at_key)
    return Problem(line, column, spelt(found), wrong.message, wrong.hint)


def spelt(path: Path) -> str:
    """``nodes.gw.routes[1].via``"""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
