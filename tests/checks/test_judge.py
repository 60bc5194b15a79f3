"""From what was seen to a verdict, without a kernel: tries, obstacles, gaps."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any, cast

import pytest

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


def judged(tests: list[dict[str, Any]], sorts: dict[str, Sort], rounds: int = 1) -> list[Verdict]:
    nothing = cast(Any, None)
    site = Site(Terrain("lab", "lab.yaml", {}), Inventory(), {}, nothing, nothing)
    tasks = [
        Task(place, cast(Any, SORTS[next(iter(test))].model_validate(test)), "lab.yaml:3", number)
        for number in range(1, rounds + 1)
        for place, test in enumerate(tests, 1)
    ]  # fmt: skip
    return judge(tasks, sorts, site)


PING, RUN = {"ping": "b", "from": "a"}, {"run": "true", "on": "a"}


def test_what_only_sends_is_tried_side_by_side() -> None:
    meeting = threading.Barrier(3)

    def attempt(test: PingTest, site: Site, patience: float) -> Seen:
        meeting.wait(20)  # three have to be here at once
        return Seen(True, "met")

    found = judged([PING, PING, PING], {"ping": Sort(attempt=attempt)})
    assert [v.verdict for v in found] == ["pass"] * 3


def test_what_is_alone_waits_and_is_waited_for() -> None:
    said: list[str] = []

    def attempt(test: Any, site: Site, patience: float) -> Seen:
        said.append(f"{test.title} begins")
        said.append(f"{test.title} ends")
        return Seen(True, "")

    sorts = {"ping": Sort(attempt=attempt), "run": Sort(attempt=attempt, alone=True)}
    tests = [RUN | {"name": "1"}, PING | {"name": "2"}, RUN | {"name": "3"}, RUN | {"name": "4"}]
    judged(tests, sorts, rounds=2)
    once = [f"{name} {what}" for name in "1234" for what in ("begins", "ends")]
    assert said == once * 2


def test_what_is_to_be_denied_comes_last_of_those_beside_it() -> None:
    tried: list[str] = []

    def attempt(test: Any, site: Site, patience: float) -> Seen:
        tried.append(test.title)
        return Seen(False, "")

    sorts = {
        "ping": Sort(attempt=attempt, denies=lambda test: test.expect == "denied"),
        "run": Sort(attempt=attempt, alone=True),
    }
    denied = PING | {"expect": "denied", "within": 0}
    tests = [
        denied | {"name": "1"}, PING | {"name": "2", "within": 0},
        RUN | {"name": "3", "within": 0}, PING | {"name": "4", "within": 0},
    ]  # fmt: skip
    found = judged(tests, sorts)
    assert tried == ["2", "1", "3", "4"]
    assert [v.name for v in found] == ["1", "2", "3", "4"], "told in the order of the file"


def test_a_bug_of_one_ends_the_others() -> None:
    """A test that would be tried for a minute is not waited for."""
    begun = threading.Event()

    def attempt(test: Any, site: Site, patience: float) -> Seen:
        if test.title == "slow":
            begun.set()
            return Seen(False, "not yet")
        assert begun.wait(20)
        raise ZeroDivisionError

    slow = PING | {"name": "slow", "within": "1h"}
    with pytest.raises(ZeroDivisionError):
        judged([PING | {"name": "broken"}, slow], {"ping": Sort(attempt=attempt)})
