"""From what was seen to a verdict, without a kernel: tries, obstacles, gaps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from netlab.checks import catalog
from netlab.checks.base import Seen, Site, Sort
from netlab.checks.judge import Task, judge
from netlab.checks.verdicts import Verdict
from netlab.errors import UsageError
from netlab.model.checks import SORTS, PingTest
from netlab.resources import Inventory
from netlab.trace.terrain import Terrain


def verdict(
    seen: Iterable[Seen | Exception], within: float = 5.0, gaps: tuple[str, ...] = ()
) -> Verdict:
    tries = iter(seen)

    def attempt(test: PingTest, site: Site, patience: float) -> Seen:
        found = next(tries)
        if isinstance(found, Exception):
            raise found
        return found

    nothing = cast(Any, None)
    site = Site(Terrain("lab", "lab.yaml", {}), Inventory(), {}, nothing, nothing, gaps)
    test = PingTest.model_validate({"ping": "b", "from": "a", "within": within})
    (found,) = judge([Task(1, test, "lab.yaml:3")], {"ping": Sort(attempt=attempt)}, site)
    return found


def test_every_sort_that_may_be_written_can_be_tried() -> None:
    assert catalog().keys() == SORTS.keys()


def test_a_test_is_tried_until_it_holds() -> None:
    found = verdict([Seen(False, "not yet"), Seen(False, "not yet"), Seen(True, "now")])
    assert (found.verdict, found.tries, found.saw) == ("pass", 3, "now")


def test_what_does_not_hold_in_time_fails() -> None:
    found = verdict([Seen(False, "nothing")], within=0)
    assert (found.verdict, found.tries, found.saw) == ("fail", 1, "nothing")


def test_what_cannot_be_tried_is_inconclusive() -> None:
    found = verdict([UsageError("a has no IPv4 address to send from")])
    assert (found.verdict, found.tries) == ("inconclusive", 0)
    assert found.why == "a has no IPv4 address to send from"


def test_in_half_a_lab_nothing_is_tried() -> None:
    found = verdict([], gaps=("b is gone",))
    assert (found.verdict, found.saw) == ("inconclusive", "it was not tried")
    assert found.why == "b is gone"
