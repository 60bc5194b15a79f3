"""Tests are tried until they hold or their time is over, and a verdict is found for each.

That nothing came through shows that something denies it only where the way itself works: else a
cable that was never plugged in would pass for a firewall. So what is to be denied is tried last,
and needs a positive control: another test between the same two nodes that held, an echo there or
back, or its drop by a rule, seen by a trace. What was used is said; without one it is inconclusive.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from netlab import attempts
from netlab.checks.base import Seen, Site, Sort
from netlab.checks.verdicts import Verdict
from netlab.errors import KernelRefused, LabNotFound, MachineLacks, NetlabError, UsageError
from netlab.model.checks import SORTS, Test
from netlab.trace.model import REACHED, Disposition, Trace
from netlab.trace.request import Words, probe_of

PATIENCE = 1.0
"""Seconds that one try may take; silence for so long is a denial."""
SOONEST, LATEST = 0.02, 0.5
"""Seconds until the next try: ever later."""
ECHO = 1.0
"""Seconds for an echo that is a control."""


class Task(NamedTuple):
    """A test, and where it is written."""

    place: int
    """In the file's list, counted from 1."""
    test: Test
    at: str
    """``file:line``."""



def judge(
    tests: Sequence[Task],
    sorts: Mapping[str, Sort],
    site: Site,
    told: Callable[[Verdict], object] = lambda verdict: None,
) -> list[Verdict]:
    """In the order of ``tests``; ``told`` hears of each as soon as it is known."""
    found: dict[int, Verdict] = {}
    held: list[tuple[Test, Sort]] = []
    for task in sorted(tests, key=lambda task: _sort(task.test, sorts).denies(task.test)):
        test, sort = task.test, _sort(task.test, sorts)
        verdict = _judged(task, sort, held, site)
        if verdict.verdict == "pass" and sort.opens(test):
            held.append((test, sort))
        found[task.place] = verdict
        told(verdict)
    return [found[task.place] for task in tests]


def word_of(test: Test) -> str:
    return next(word for word, model in SORTS.items() if isinstance(test, model))


def _sort(test: Test, sorts: Mapping[str, Sort]) -> Sort:
    return sorts[word_of(test)]


def _judged(
    task: Task, sort: Sort, held: Sequence[tuple[Test, Sort]], site: Site
) -> Verdict:
    place, test, at = task
    bare = Verdict(place, word_of(test), test.title, at, "inconclusive", "", 0, 0.0)
    if site.gaps:
        return replace(bare, saw="it was not tried", why="; ".join(site.gaps))
    began = time.monotonic()
    try:
        seen, tries = _tried(test, sort, site)
    except (UsageError, LabNotFound, MachineLacks) as obstacle:
        return replace(bare, saw="it could not be tried", why=str(obstacle), advice=obstacle.hint)
    except (OSError, KernelRefused) as obstacle:
        return replace(bare, saw="it could not be tried", why=str(obstacle))
    verdict = replace(bare, saw=seen.words, tries=tries)
    if not seen.met:
        verdict = _explained(replace(verdict, verdict="fail"), sort.words(test), site)
    elif sort.denies(test):
        verdict = _controlled(verdict, test, sort, held, site)
    else:
        verdict = replace(verdict, verdict="pass")
    return replace(verdict, seconds=round(time.monotonic() - began, 3))


def _tried(test: Test, sort: Sort, site: Site) -> tuple[Seen, int]:
    """The last try, and how many there were; at least one."""
    until, pause, tries = time.monotonic() + test.within, SOONEST, 0
    while True:
        tries += 1
        patience = min(PATIENCE, max(until - time.monotonic(), SOONEST))
        seen = sort.attempt(test, site, patience)
        left = until - time.monotonic()
        if seen.met or left <= 0:
            return seen, tries
        select.select([], [], [], min(pause, left))  # no event tells of all that might change
        pause = min(2 * pause, LATEST)


def _explained(verdict: Verdict, words: Words | None, site: Site) -> Verdict:
    """With the cause, as a packet of the same kind finds it now."""
    found = _traced(words, site) if words else None
    if found is None or found.cause is None:
        return verdict
    at = f"at {found.place.node}: " if found.place else ""
    cause = found.cause
    return replace(
        verdict, why=f"{found.disposition} {at}{cause.sentence}", advice=cause.advice,
        line=cause.place or (cause.rule.place if cause.rule else ""),
    )  # fmt: skip


def _controlled(
    verdict: Verdict, test: Test, sort: Sort, held: Sequence[tuple[Test, Sort]], site: Site
) -> Verdict:
    words = sort.words(test)
    found = _traced(words, site) if words and words.udp else None
    if found and found.disposition in REACHED:  # a program that reads and says nothing
        return replace(verdict, verdict="fail", why=f"it reached {found.probe.target}: {ARRIVED}")
    control = _control(words, held, site) if words else ""
    if control:
        return replace(verdict, verdict="pass", control=control)
    blind = _explained(verdict, words, site)
    cause = f"; {blind.why}" if blind.why else ""
    return replace(blind, why=f"nothing shows that the way itself works{cause}")


ARRIVED = "a trace saw a socket take it, so that the silence is a program's"


def _control(words: Words, held: Sequence[tuple[Test, Sort]], site: Site) -> str:
    """What shows that packets pass between the two nodes; "" for nothing."""
    probe = probe_of(words, site.terrain)
    ends = probe.sender, probe.target
    for other, sort in held:
        sent = sort.words(other)
        known = probe_of(sent, site.terrain) if sent else None
        if known and known.version == probe.version and {known.sender, known.target} == {*ends}:
            return f"the test {other.title}"
    if probe.protocol != "icmp" and _echoes(*ends, probe.destination, site):
        return f"an echo from {ends[0]} to {probe.destination} is answered"
    for address in _addresses(ends[0], probe.version, site) if probe.target else ():
        if _echoes(probe.target, probe.sender, address, site):
            return f"an echo from {probe.target} to {address} is answered"
    found = _traced(words, site)
    if found and found.disposition is Disposition.DENIED and found.place and found.cause:
        rule = found.cause.rule
        return f"its drop at {found.place.node} was seen: {rule.text if rule else found.cause.name}"
    return ""


def _addresses(node: str, version: int, site: Site) -> list[str]:
    usual = [a for a in site.terrain.spots[node].addresses if not a.startswith(("127.", "fe80"))]
    return [a for a in usual if (":" in a) == (version == 6) and a != "::1"][:1]


def _echoes(sender: str, target: str, address: str, site: Site) -> bool:
    return bool(target) and attempts.ping(site, sender, address, ECHO)


def _traced(words: Words | None, site: Site) -> Trace | None:
    """None where it cannot be told."""
    from netlab.trace.backends import catalog
    from netlab.trace.journey import Request, trace

    if words is None:
        return None
    try:
        return trace(site.terrain, Request(probe_of(words, site.terrain)), site.visits, catalog())
    except (NetlabError, OSError):
        return None
