"""The nftables rules of a topology: read with all that they include, and checked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from netlab.firewall.compile import compile_script
from netlab.firewall.parse import parse
from netlab.firewall.problems import RulesetError, Uncovered
from netlab.firewall.sources import Source
from netlab.model.firewall import RuleFile
from netlab.model.site import Path, Site
from netlab.model.topology import Topology
from netlab.plan.around import Around, Misruled
from netlab.plan.wiring import Wiring
from netlab.resources.base import Placed, device_key
from netlab.resources.firewall import Firewall

FIRST_INDEX = 16


@dataclass
class Firewalls:
    """What was found on the way."""

    wrong: list[Misruled]

    def resources(self, topology: Topology, wiring: Wiring, around: Around) -> Iterator[Placed]:
        for name, node in topology.nodes.items():
            if node.nftables is not None:
                path: Path = ("nodes", name, "nftables")
                found = self._one(node.nftables, path, wiring.sites[name], around)
                if found is not None:
                    yield path, found

    def _one(
        self, written: str | RuleFile, path: Path, site: Site, around: Around
    ) -> Firewall | None:
        try:
            first = _first(written, path, around)
        except (OSError, ValueError) as problem:
            line, column = around.place((*path, "file"))
            self.wrong.append(Misruled("", line, column + 1, path, _why(problem), ""))
            return None
        reader = _Reader(around, [(first.file, first.text)])
        links = _Noted({nic.name: n for n, nic in enumerate(site.nics, FIRST_INDEX)} | {"lo": 1})
        try:
            script = parse(
                first.text, first.file, line=first.line, indent=first.indent, read=reader.read
            )
            compile_script(script, links=links)
        except Uncovered:
            pass  # libnftables may know it: the kernel room asks, and says which package it takes
        except RulesetError as failure:
            for place, message, hint in failure.problems:
                file = "" if place.file == around.file else place.file
                self.wrong.append(Misruled(file, place.line, place.column, path, message, hint))
            return None
        over = tuple(device_key(site.ns, name) for name in sorted(links.asked))
        return Firewall(site.ns, tuple(reader.texts), over, first.line, first.indent)


def _first(written: str | RuleFile, path: Path, around: Around) -> Source:
    """Where the rules begin. Raises OSError, ValueError for a file that cannot be read."""
    if isinstance(written, RuleFile):
        return Source(written.file, _text(around, written.file))
    return Source(around.file, written, *around.place(path))


class _Noted(Mapping[str, int]):
    """Interfaces by name; remembers which were asked for."""

    def __init__(self, indexes: Mapping[str, int]) -> None:
        self._indexes = indexes
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> int:
        index = self._indexes[name]
        self.asked.add(name)
        return index

    def __iter__(self) -> Iterator[str]:
        return iter(self._indexes)

    def __len__(self) -> int:
        return len(self._indexes)


class _Reader:
    """Reads what is included, and keeps it."""

    def __init__(self, around: Around, texts: list[tuple[str, str]]) -> None:
        self._around = around
        self.texts = texts

    def read(self, path: str) -> Source:
        """Relative to the file that the rules begin in."""
        base = os.path.dirname(self.texts[0][0]) if len(self.texts) else ""
        name = os.path.normpath(os.path.join("" if os.path.isabs(base) else base, path))
        text = _text(self._around, name)
        if (name, text) not in self.texts[1:]:
            self.texts.append((name, text))
        return Source(name, text)


def _text(around: Around, name: str) -> str:
    if os.path.isabs(name) or name.split("/")[0] == "..":
        raise ValueError("it lies outside of the topology's directory")
    return around.read(os.path.join(around.directory, name))


def _why(problem: Exception) -> str:
    if isinstance(problem, OSError):
        return f"{problem.filename}: {problem.strerror}"
    return str(problem)

