"""`netlab matrix`: every node asks every other one; what came is shown, kept and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from netlab.cli.run import meanwhile
from netlab.cli.which import check_place, renderer
from netlab.cli.work import read
from netlab.errors import UsageError

if TYPE_CHECKING:
    from netlab.kernel.visits import Visits
    from netlab.matrix.model import Matrix
    from netlab.matrix.take import Probe, Questions
    from netlab.trace.terrain import Terrain

T = TypeVar("T")

LAST_PORT = 65535
LEAST = 1.1
"""Seconds after which TCP and ARP have asked twice."""


class Words(NamedTuple):
    """What is asked, as it was written."""

    tcp: str = ""
    udp: str = ""
    version: int = 0
    within: float = 0.0
    """Seconds; 0 for the usual time."""


class Files(NamedTuple):
    """"" for none."""

    save: str = ""
    against: str = ""
    html: str = ""


class Inside(NamedTuple):
    """Somebody who can go into the nodes of a lab; see ``netlab.attempts.Where``."""

    terrain: Terrain
    visits: Visits

    def inside(self, node: str, act: Callable[[], T]) -> T:
        return self.visits.at(self.terrain.spots[node].ns, act)


def matrix(lab_or_file: str, words: Words, files: Files, json: bool) -> int:
    """The exit code: 1 where something differs from what was saved. Raises NetlabError."""
    from netlab.cli.explain import is_up

    asked = questions(words)  # what is wrong with the words is told before anything is touched
    before = _saved(files.against) if files.against else None
    if before is not None:
        asked = _as_saved(asked, words, before, files.against)
    for option, path in zip(("--save", "--html"), (files.save, files.html), strict=True):
        check_place(option, path)
    if is_up(lab_or_file):
        return _taken(lab_or_file, asked, before, files, json)
    wanted = read(lab_or_file)
    with meanwhile(wanted, "matrix"):
        return _taken(wanted.wanted.lab, asked, before, files, json)


def questions(words: Words) -> Questions:
    """Raises UsageError."""
    from netlab.matrix.take import PING, Questions

    probes = [*_ports("tcp", words.tcp), *_ports("udp", words.udp)] or [PING]
    if 0 < words.within < LEAST:
        why = "TCP and ARP ask again after a second, and silence counts only then"
        raise UsageError(f"--within {words.within:g}s: {why}", hint=f"say {LEAST:g}s or more")
    return Questions(tuple(probes), words.version, words.within)


def _ports(kind: str, text: str) -> Iterator[Probe]:
    from netlab.matrix.take import Probe

    for word in dict.fromkeys(filter(None, map(str.strip, text.split(",")))):
        if not (word.isascii() and word.isdigit() and 0 < int(word) <= LAST_PORT):
            hint = "ports with commas between, as 80,443"
            raise UsageError(f"--{kind} {text}: {word!r} is no port", hint=hint)
        yield Probe(kind, int(word))


def _as_saved(asked: Questions, words: Words, before: Matrix, name: str) -> Questions:
    """What was asked then is asked now. Raises UsageError where something else is wanted."""
    from netlab.matrix.take import PING

    names = tuple(probe.name for probe in asked.probes)
    if (words.tcp or words.udp) and names != before.probes:
        raise UsageError(f"{name} holds {', '.join(before.probes)}, not {', '.join(names)}")
    if words.version and words.version != before.version:
        version = f"-{before.version}" if before.version else "neither -4 nor -6"
        raise UsageError(f"{name} was saved with {version}")
    probes = []
    for kind, _, port in (probe.partition(" ") for probe in before.probes):
        probes += list(_ports(kind, port)) if kind in ("tcp", "udp") else [PING]
    return asked._replace(probes=tuple(probes), version=before.version)


def _saved(path: str) -> Matrix:
    from netlab.matrix.model import read

    try:
        with open(path, encoding="utf-8") as file:
            return read(file.read(), path)
    except OSError as problem:
        raise UsageError(f"--against {path}: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"--against {path}: it is no text") from None


def _taken(
    lab: str, asked: Questions, before: Matrix | None, files: Files, json: bool
) -> int:
    from netlab.cli.trace import lab_of
    from netlab.kernel.visits import visiting
    from netlab.matrix.compare import differences
    from netlab.matrix.model import golden
    from netlab.matrix.take import take
    from netlab.render.progress import progress

    terrain, identities, gaps = lab_of(lab)
    with visiting(identities) as visits, progress(not json) as told:
        found = take(terrain, Inside(terrain, visits), asked, told)
        found = _explained(found, terrain, visits)
    found = replace(found, gaps=(*gaps, *found.gaps))
    changed = None if before is None else differences(before, found)
    renderer(json).matrix(found, changed, files.against)
    if files.save:
        _write("--save", files.save, golden(found))
    if files.html:
        from netlab.render.matrix_html import page

        _write("--html", files.html, page(found, changed))
    return int(bool(changed))


def _explained(found: Matrix, terrain: Terrain, visits: Visits) -> Matrix:
    """With reasons for silence, where there is any."""
    from netlab.matrix.reasons import MOST_NODES, explained, is_silent

    if len(terrain.spots) > MOST_NODES or not any(map(is_silent, found.cells)):
        return found
    from netlab.trace.explain import held

    return explained(found, held.of_lab(terrain, visits))


def _write(option: str, path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as problem:
        raise UsageError(f"{option} {path}: {problem.strerror}") from problem
