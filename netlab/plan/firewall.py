"""The nftables rules of a topology, those of `nat:` too: read with what they include, checked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from netlab.firewall import ready
from netlab.firewall.problems import RuleProblem, RulesetError, Uncovered
from netlab.firewall.ready import Asked
from netlab.firewall.sources import Source
from netlab.firewall.swap import mentions
from netlab.model.firewall import RuleFile
from netlab.model.site import Path, Site
from netlab.model.topology import Node, Topology
from netlab.nodes import NodeKind
from netlab.plan.around import Around, Misruled
from netlab.plan.nat import TABLE, Translation, translation
from netlab.plan.nat_names import Wrong
from netlab.plan.wiring import Wiring
from netlab.resources.base import Placed, device_key
from netlab.resources.firewall import Firewall

FIRST_INDEX = 16


@dataclass
class Firewalls:
    """What was found on the way."""

    kinds: Mapping[str, NodeKind]
    wrong: list[Misruled]
    untranslated: list[Wrong]

    def resources(self, topology: Topology, wiring: Wiring, around: Around) -> Iterator[Placed]:
        for name, node in topology.nodes.items():
            site = wiring.sites[name]
            nat = translation(node, self.kinds[node.kind], site, wiring.sites)
            self.untranslated += nat.wrong
            if node.nftables is None and not nat.text:
                continue
            path: Path = (*site.path, "nat" if node.nftables is None else "nftables")
            found = self._one(node, nat, path, site, around)
            if found is not None:
                yield path, found

    def _one(
        self, node: Node, nat: Translation, path: Path, site: Site, around: Around
    ) -> Firewall | None:
        name = node.nftables.file if isinstance(node.nftables, RuleFile) else ""
        try:
            written = [] if node.nftables is None else [_first(node.nftables, path, around)]
        except (OSError, ValueError) as problem:
            line, column = around.place((*path, "file"))
            self.wrong.append(Misruled("", line, column + 1, path, _why(problem), ""))
            return None
        spots = {path: around.where(path) for path in dict.fromkeys(nat.asked)}
        asked = tuple(spots[path] for path in nat.asked)
        made = [Source(around.file, nat.text, asked=asked)] if nat.text else []
        reader = _Reader(around, [(name, text.text) for text in written])
        links = Asked({nic.name: n for n, nic in enumerate(site.nics, FIRST_INDEX)} | {"lo": 1})
        try:
            _try([*written, *made], bool(made), reader, links)
        except Uncovered:
            pass  # libnftables may know it: the kernel room asks, and says which package it takes
        except RulesetError as failure:
            for place, message, hint in failure.problems:
                file = "" if place.file == around.file else place.file
                self.wrong.append(Misruled(file, place.line, place.column, path, message, hint))
            return None
        over = tuple(device_key(site.ns, name) for name in sorted(links.asked))
        line, indent = (written[0].line, written[0].indent) if written else (1, 0)
        texts = tuple(reader.texts)
        return Firewall(
            site.ns, texts, over, line, indent, nat.text, nat.words, asked, around.file
        )


def _try(texts: list[Source], is_last_ours: bool, reader: _Reader, links: Asked) -> None:
    """Raises RulesetError, also where the table of `nat:` is spoken of by another than the last."""
    script = ready.script(texts, reader.read)
    if is_last_ours and (others := mentions(script, TABLE)[:-1]):
        message = f"the table {' '.join(TABLE)} is what `nat:` makes"
        raise RulesetError(tuple(RuleProblem(p, message, "use another name") for p in others))
    ready.batch(texts, reader.read, links)


def _first(written: str | RuleFile, path: Path, around: Around) -> Source:
    """Where the rules begin. Raises OSError, ValueError for a file that cannot be read."""
    if isinstance(written, RuleFile):
        return Source(written.file, _text(around, written.file))
    return Source(around.file, written, *around.place(path))


class _Reader:
    """Reads what is included, and keeps it."""

    def __init__(self, around: Around, texts: list[tuple[str, str]]) -> None:
        self._around = around
        self.texts = texts

    def read(self, path: str) -> Source:
        """Relative to the file that the rules begin in."""
        base = os.path.dirname(self.texts[0][0])
        name = os.path.normpath(os.path.join(base, path))
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

