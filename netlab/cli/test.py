"""`netlab test`: what a topology's tests say, tried on a lab that is up, or is for as long."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from netlab.cli.run import meanwhile
from netlab.cli.which import check_place, renderer
from netlab.cli.work import Read, ground, read
from netlab.errors import UsageError
from netlab.lab import lifecycle

if TYPE_CHECKING:
    from netlab.checks.judge import Task
    from netlab.checks.verdicts import Verdict
    from netlab.lab.lifecycle import Ground
    from netlab.trace.terrain import Terrain


class Wish(NamedTuple):
    """What is said of the tests on the command line."""

    only: str = ""
    repeat: int = 1
    seed: int | None = None
    """Of the order in which they are tried; None for the file's."""
    junit: str = ""
    bundle: str = ""
    """A directory for all about the lab, where a test does not pass."""
    json: bool = False


def test(lab_or_file: str, wish: Wish) -> int:
    """The exit code: 1 where a test did not pass. Raises NetlabError."""
    from netlab.cli.explain import is_up

    check_place("--junit", wish.junit)
    if wish.bundle:
        from netlab.cli.bundle import check

        check(wish.bundle)
    if is_up(lab_or_file):
        return _tried(lab_or_file, None, wish)
    wanted = read(lab_or_file)
    _chosen(wanted, wish)  # what is wrong with the words is told before anything is touched
    with meanwhile(wanted, "test"):
        return _tried(wanted.wanted.lab, wanted, wish)


def _tried(lab_or_file: str, wanted: Read | None, wish: Wish) -> int:
    from netlab.checks import catalog
    from netlab.checks.base import Site
    from netlab.checks.judge import judge
    from netlab.cli.trace import lab_of
    from netlab.kernel.visits import visiting

    terrain, identities, gaps = lab_of(lab_or_file)
    here = ground()
    if wanted is None:
        wanted, more = _file_of(terrain, here)
        gaps = (*gaps, *more)
    tasks = _chosen(wanted, wish)
    said, lab = renderer(wish.json), terrain.lab
    said.testing(lab, len(tasks), wish.seed)
    width = max(len(task.test.title) for task in tasks)
    began = time.monotonic()
    with visiting(identities) as visits, _bundling(lab, wish.bundle) as told:
        inventory = wanted.wanted.inventory
        site = Site(terrain, inventory, identities, visits, here.machine, gaps)
        site.look()
        found = judge(tasks, catalog(), site, lambda verdict: said.verdict(verdict, width))
        seconds = time.monotonic() - began
        told += found
    found.sort(key=lambda verdict: (verdict.round, verdict.place))
    said.tested(lab, found, seconds, wish.seed)
    if wish.junit:
        _write(wish.junit, lab, found, seconds)
    return int(any(verdict.verdict != "pass" for verdict in found))


@contextmanager
def _bundling(lab: str, directory: str) -> Iterator[list[Verdict]]:
    """What did not pass of the verdicts that are told within the block is bundled at its end."""
    told: list[Verdict] = []
    if not directory:
        yield told
        return
    from netlab.bundle.index import Why
    from netlab.bundle.recent import SECONDS
    from netlab.cli.bundle import bundle, listening
    from netlab.render.verdicts import evidence

    with listening(lab, SECONDS) as recent:
        yield told
        failed = [verdict for verdict in told if verdict.verdict != "pass"]
        if failed:
            lines = [before + words for one in failed for before, words, _ in evidence(one)]
            why = Why(f"{len(failed)} of {len(told)} tests did not pass", "\n".join(lines).strip())
            index = bundle(lab, directory, why, recent)
            print(f"all about it: {index}", file=sys.stderr)  # noqa: T201


def _file_of(terrain: Terrain, here: Ground) -> tuple[Read, tuple[str, ...]]:
    """The topology that a lab is up from, and whether the lab is not what it says now."""
    wanted = read(terrain.file, name=terrain.lab)
    if wanted.wanted.digest == terrain.digest or not lifecycle.road(here, wanted.wanted).plan:
        return wanted, ()
    way_out = f"`netlab up {terrain.file}` makes it so"
    return wanted, (f"{terrain.lab} is not what its file says now: {way_out}",)


def _chosen(wanted: Read, wish: Wish) -> list[Task]:
    """In the order in which they are tried. Raises UsageError where there is none."""
    from netlab.checks.judge import Task

    topology, file = wanted.loaded.topology, wanted.loaded.file
    assert topology is not None
    if not topology.tests:
        hint = "write them under `tests:`, see docs/tests.md"
        raise UsageError(f"{file} has no tests", hint=hint)
    whole = [
        Task(place, test, f"{file}:{wanted.loaded.place(('tests', place - 1))[0]}")
        for place, test in enumerate(topology.tests, 1)
    ]
    found = [task for task in whole if fnmatchcase(task.test.title, f"*{wish.only}*")]
    if not found:
        hint = f"as the first: {whole[0].test.title}"
        raise UsageError(f"--only {wish.only}: no test has such a name", hint=hint)
    dice = random.Random(wish.seed)
    rounds = ([task._replace(round=n) for task in found] for n in range(1, wish.repeat + 1))
    return [t for r in rounds for t in (r if wish.seed is None else dice.sample(r, len(r)))]


def _write(path: str, lab: str, found: Sequence[Verdict], seconds: float) -> None:
    from netlab.render.junit import write

    try:
        write(path, lab, found, seconds)
    except OSError as problem:
        raise UsageError(f"--junit {path}: {problem.strerror}") from problem
