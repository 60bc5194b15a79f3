"""Tests are tried until they hold or their time is over, and a verdict is found for each.

Tests that only send packets are tried side by side, up to one that has to be alone (see
``Sort.alone``). That nothing came through shows that something denies it only where the way itself
works: else a cable that was never plugged in would pass for a firewall. So what is to be denied is
tried after all that stands beside it, and needs a control: see ``netlab.checks.controls``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

from netlab import attempts
from netlab.checks.base import Seen, Site, Sort
from netlab.checks.controls import Held, control
from netlab.checks.counted import counted, packets
from netlab.checks.evidence import evidence, traced
from netlab.checks.unsaid import LIMITED, unsaid
from netlab.checks.verdicts import Verdict
from netlab.errors import KernelRefused, LabNotFound, MachineLacks, UsageError
from netlab.model.checks import Test
from netlab.resources.process import Process
from netlab.trace.model import REACHED, Disposition, Trace
from netlab.trace.request import Words, probe_of

PATIENCE = 1.0
"""Seconds that one try may take; silence for so long is a denial."""
SOONEST, LATEST = 0.02, 0.5
"""Seconds until the next try: ever later."""
ECHO = 1.0
"""Seconds for an echo that is a control."""
AT_ONCE = 16
"""Tests side by side; they mostly wait."""


class Task(NamedTuple):
    """A test, and where it is written."""

    place: int
    """In the file's list, counted from 1."""
    test: Test
    at: str
    """``file:line``."""
    round: int = 1


def judge(
    tests: Sequence[Task],
    sorts: Mapping[str, Sort],
    site: Site,
    told: Callable[[Verdict], object] = lambda verdict: None,
) -> list[Verdict]:
    """In the order of ``tests``; ``told`` hears of each as soon as it is known."""
    here = _Bench(sorts, site, told)
    for number, group in enumerate(_groups(tests, sorts)):
        here.begin(group[0].round, is_first=number == 0)
        here.side_by_side(group)
    return [here.found[task.round, task.place] for task in tests]


def _groups(tests: Sequence[Task], sorts: Mapping[str, Sort]) -> Iterator[list[Task]]:
    """Those that may be tried side by side: of each stretch, what is to be denied comes last."""
    for place, run in groupby(enumerate(tests), lambda one: _stretch_of(one, sorts)):
        stretch = [task for _, task in run]
        yield from [stretch] if place[1] is not None else _halves(stretch, sorts)


def _stretch_of(
    one: tuple[int, Task], sorts: Mapping[str, Sort]
) -> tuple[int, int | None]:
    """What is alone has a place of its own."""
    place, task = one
    return task.round, place if sorts[task.test.word].alone else None


def _halves(stretch: Sequence[Task], sorts: Mapping[str, Sort]) -> Iterator[list[Task]]:
    for denied in (False, True):
        half = [t for t in stretch if sorts[t.test.word].denies(t.test) == denied]
        if half:
            yield half


class _Bench:
    """Where tests are tried, and what has been found so far."""

    def __init__(
        self, sorts: Mapping[str, Sort], site: Site, told: Callable[[Verdict], object]
    ) -> None:
        self.found: dict[tuple[int, int], Verdict] = {}
        self._sorts, self._site, self._told = sorts, site, told
        self._held: list[Held] = []
        self._round = 1
        self._telling = threading.Lock()
        self._given_up = threading.Event()
        self._looking = threading.Lock()
        """One at a time follows packets: it looks at what others would change."""

    def begin(self, number: int, *, is_first: bool) -> None:
        """A round, if it is another one: what has been counted so far is none of it."""
        if not is_first and number != self._round and not self._site.gaps:
            self._site.before = {k: packets(rule) for k, rule in counted(self._site).items()}
        self._round = number

    def side_by_side(self, group: Sequence[Task]) -> None:
        if len(group) == 1:
            self._one(group[0])
            return
        with ThreadPoolExecutor(min(len(group), AT_ONCE)) as several:
            try:
                for ended in [several.submit(self._one, task) for task in group]:
                    ended.result()
            except BaseException:  # an interruption, or a bug: the others are not waited for
                self._given_up.set()
                several.shutdown(wait=False, cancel_futures=True)
                raise

    def _one(self, task: Task) -> None:
        sort = self._sorts[task.test.word]
        verdict = self._judged(task, sort)
        if self._given_up.is_set():
            return
        with self._telling:
            sent = sort.words(task.test) if sort.opens(task.test) else None
            if verdict.verdict == "pass" and sent is not None:
                self._held.append(Held(task.test.title, probe_of(sent, self._site.terrain)))
            self.found[task.round, task.place] = verdict
            self._told(verdict)

    def _judged(self, task: Task, sort: Sort) -> Verdict:
        test, site = task.test, self._site
        bare = Verdict(
            task.place, test.word, test.title, task.at, "inconclusive", "", 0, 0.0, round=task.round
        )
        if site.gaps:
            return replace(bare, saw="it was not tried", why="; ".join(site.gaps))
        found = self._found(bare, test, sort)
        if found.verdict != "pass" and (lost := site.lost()):
            why = f"somebody took down {', '.join(lost)} meanwhile"
            return replace(found, verdict="inconclusive", why=why, advice="", evidence=(), line="")
        return found

    def _found(self, bare: Verdict, test: Test, sort: Sort) -> Verdict:
        site, began = self._site, time.monotonic()
        try:
            seen, tries = _tried(test, sort, site, self._given_up)
            verdict = self._weighed(replace(bare, saw=seen.words, tries=tries), test, sort, seen)
        except (UsageError, LabNotFound, MachineLacks) as obstacle:
            why, advice = str(obstacle), obstacle.hint
            return replace(bare, saw="it could not be tried", why=why, advice=advice)
        except (OSError, KernelRefused) as obstacle:
            return replace(bare, saw="it could not be tried", why=str(obstacle))
        return replace(verdict, seconds=round(time.monotonic() - began, 3))

    def _weighed(self, bare: Verdict, test: Test, sort: Sort, seen: Seen) -> Verdict:
        if not seen.met:
            doubt = seen.doubt or _absent(sort.words(test), self._site)
            if doubt:
                return replace(bare, why=doubt)
            if kept := self._kept_back(bare, sort.words(test), seen.missed):
                return kept
            failed = replace(bare, verdict="fail", evidence=seen.evidence)
            return failed if self._given_up.is_set() else self._explained(failed, sort.words(test))
        words = sort.words(test)
        if words is None or not sort.denies(test):
            return replace(bare, verdict="pass")
        return self._ended(bare, words) if sort.loses(test) else self._controlled(bare, words)

    def _kept_back(self, bare: Verdict, words: Words | None, missed: str) -> Verdict | None:
        """Of an ICMP error that did not come, where the kernel's limit is to blame."""
        found = self._traced(words) if words and missed else None
        if found is None or found.place is None or unsaid(found) != missed:
            return None
        saw = f"a trace saw how it ends, at {found.place.node}: {found.disposition}"
        return replace(bare, verdict="pass", control=f"{saw}; {LIMITED}")

    def _explained(self, verdict: Verdict, words: Words | None) -> Verdict:
        with self._looking:
            found = evidence(words, self._site)
        told = (*verdict.evidence, *found.told)
        why = verdict.why or found.why
        return replace(verdict, why=why, advice=found.advice, line=found.line, evidence=told)

    def _ended(self, bare: Verdict, words: Words) -> Verdict:
        """Of what is to be lost: a trace has to see how."""
        found = self._traced(words)
        if found and found.disposition in REACHED:
            why = f"a packet of its kind was {found.disposition}"
            return replace(bare, verdict="fail", why=why)
        if found and found.cause and found.place and found.disposition is not Disposition.LOST:
            seen = f"a trace saw how it ends, at {found.place.node}: {found.disposition}"
            return replace(bare, verdict="pass", control=seen)
        return self._explained(replace(bare, why="no trace sees how it ends"), words)

    def _controlled(self, bare: Verdict, words: Words) -> Verdict:
        found = self._traced(words) if words.udp else None
        if found and found.disposition in REACHED:  # a program that reads and says nothing
            why = f"it reached {found.probe.target}: {ARRIVED}"
            return replace(bare, verdict="fail", why=why)
        if found and found.disposition is Disposition.REFUSED:
            return replace(bare, verdict="fail", why=f"{found.probe.target} refuses it: {LIMITED}")
        shown = control(
            words, self._held, self._site.terrain, self._answered, self._traced
        )
        if shown:
            return replace(bare, verdict="pass", control=shown)
        blind = self._explained(bare, words)
        cause = f"; {blind.why}" if blind.why else ""
        return replace(blind, why=f"nothing shows that the way itself works{cause}")

    def _answered(self, node: str, address: str) -> bool:
        return attempts.ping(self._site, node, address, ECHO)

    def _traced(self, words: Words) -> Trace | None:
        with self._looking:
            return traced(words, self._site)


ARRIVED = "a trace saw a socket take it, so that the silence is a program's"


def _tried(
    test: Test, sort: Sort, site: Site, given_up: threading.Event
) -> tuple[Seen, int]:
    """The last try, and how many there were; at least one."""
    until, pause, tries = time.monotonic() + test.within, SOONEST, 0
    while True:
        tries += 1
        patience = min(PATIENCE, max(until - time.monotonic(), SOONEST))
        seen, obstacle = None, None
        try:
            seen = sort.attempt(test, site, patience)
        except UsageError as missing:  # an address, which may still be leased or announced
            obstacle = missing
        left = 0.0 if given_up.is_set() else until - time.monotonic()
        if seen and (seen.met or left <= 0):
            return seen, tries
        if obstacle and (left <= 0 or not site.look()):
            raise obstacle
        given_up.wait(min(pause, left))  # no event tells of all that might change
        pause = min(2 * pause, LATEST)


def _absent(words: Words | None, site: Site) -> str:
    """Why nobody can answer there: a process of the topology that is not up; "" for nothing."""
    if words is None or not (words.tcp or words.udp):
        return ""
    spot = site.terrain.spots.get(probe_of(words, site.terrain).target)
    port = ("tcp", f"{words.tcp}") if words.tcp else ("udp", f"{words.udp}")
    for one in site.inventory.values():
        if spot and isinstance(one, Process) and one.home == spot.ns and one.ready == port:
            known = site.machine.processes(site.terrain.lab).get((spot.name, one.name))
            if known is None or known.state != "running":
                state = known.state if known else "not there"
                return f"{spot.name}/{one.name}, which answers on {'/'.join(port)}, is {state}"
    return ""
