"""Logs whose beginning goes, and readers who are in the middle of it."""

from __future__ import annotations

import errno
import os
import tempfile
import time
from itertools import count, pairwise
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.kernel import libc
from netlab.kernel.supervisor import logs, readiness
from tests.kernel.messages import several


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "httpd.log"


def write(log: Path, *lines: str, when: float = 0.0) -> None:
    with log.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)
    if when:
        with log.with_suffix(".times").open("a") as file:
            file.write(f"{log.stat().st_size} {when:.3f}\n")


class Hearer(list[str]):
    """Somebody who follows a log from its beginning, or from a time on."""

    def __init__(self, log: Path, since: float = 0.0) -> None:
        super().__init__()
        self.reader = logs.Reader(str(log), self.append)
        for _, _, piece in self.reader.past(since):
            self.reader.take(*piece)

    def more(self) -> list[str]:
        self.clear()
        self.reader.go_on()
        return list(self)


PAGE = 4096
"""The least that can be given back."""


def lines(*names: str, pages: float = 1.0) -> list[str]:
    """So many pages of each name: 64 lines of 64 bytes make one."""
    numbers = range(int(64 * pages))
    return [f"{name} {number} ".ljust(63, "x") for name in names for number in numbers]


def kept(log: Path) -> int:
    """Bytes that the file system still holds."""
    return log.stat().st_blocks * 512


def test_what_is_within_bounds_is_left_alone(log: Path) -> None:
    write(log, *lines("a", "b"))
    logs.bound(str(log), PAGE)
    assert (kept(log), Hearer(log)) == (2 * PAGE, lines("a", "b"))


def test_of_what_is_too_long_the_last_lines_are_kept(log: Path) -> None:
    write(log, *lines("a", "b", "c"), "d")
    logs.bound(str(log), PAGE)
    assert kept(log) == 2 * PAGE
    write(log, "e")
    assert Hearer(log) == [*lines("c")[1:], "d", "e"]  # the hole ends where the first one begins


def test_a_line_of_which_the_beginning_has_gone_is_not_told(log: Path) -> None:
    write(log, "short", *lines("a", "b", "c"))
    logs.bound(str(log), PAGE)
    assert Hearer(log) == lines("c")


def test_a_line_without_an_end_is_told_as_far_as_it_is_kept(log: Path) -> None:
    log.write_text("x" * 4 * PAGE)
    logs.bound(str(log), PAGE)
    hearer = Hearer(log)
    hearer.reader.end()
    assert hearer == ["x" * PAGE]


def test_there_is_no_log_and_nothing_happens(log: Path) -> None:
    logs.bound(str(log), 1)
    logs.note(str(log))
    assert Hearer(log) == []
    assert [path.name for path in log.parent.iterdir()] in ([], ["httpd.times"])


@pytest.mark.parametrize("pages", [0.5, 1, 2])
def test_a_follower_misses_nothing_that_is_kept(log: Path, pages: float) -> None:
    """It has heard ``a``; then the log goes on, and all but two pages go."""
    write(log, *lines("a", pages=4))
    hearer = Hearer(log)
    said = [*lines("b", pages=pages), *lines("c")]
    write(log, *said)
    logs.bound(str(log), 2 * PAGE)
    write(log, "d")
    missing = [] if pages < 2 else [logs.MISSING]
    assert hearer.more() == [*missing, *said[65 * len(missing) :], "d"]
    write(log, "e")
    assert hearer.more() == ["e"]


def test_a_log_emptied_by_hand_is_read_from_its_beginning(log: Path) -> None:
    write(log, "one", "two")
    hearer = Hearer(log)
    log.write_text("")
    write(log, "three")
    assert hearer.more() == ["three"]


@pytest.mark.parametrize("call", ["pread", "lseek"])
def test_the_beginning_goes_while_somebody_reads_it(
    log: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it is read, and between that and the look whether it was there still."""
    write(log, *lines("a", "b", "c"))
    hearer = Hearer(log, since=10.0**12)
    hearer.reader.take(0, 64)
    real, calls = getattr(os, call), count()

    def late(*words: Any) -> Any:
        if not next(calls):
            logs.bound(str(log), PAGE)
        return real(*words)

    hearer.reader = logs.Reader(str(log), hearer.append)
    monkeypatch.setattr(os, call, late)
    assert hearer.more() == [logs.MISSING, *lines("c")[1:]]


def test_where_there_are_no_holes_it_is_emptied(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*words: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(libc, "punch_hole", refused)
    write(log, *lines("a", "b", "c"))
    hearer = Hearer(log)
    logs.bound(str(log), PAGE)
    write(log, "d")
    assert (kept(log), hearer.more()) == (PAGE, ["d"])


def test_nothing_is_lost_that_is_said_meanwhile(log: Path) -> None:
    """One writes as fast as it can, one bounds, one reads."""
    count = 20000
    writer = Thread(target=lambda: [write(log, f"line {n}") for n in range(count)])
    log.touch()
    hearer = Hearer(log)
    writer.start()
    until = time.monotonic() + 60
    while len(hearer) < count and time.monotonic() < until:
        logs.bound(str(log), 1 << 16)
        hearer.reader.go_on()
    writer.join()
    assert hearer == [f"line {n}" for n in range(count)]


@several
@given(st.lists(st.integers(0, 4000) | st.sampled_from(["bound", "read"]), max_size=30))
def test_lines_are_heard_once_and_in_order_or_said_to_be_missing(acts: list[int | str]) -> None:
    """A number is a line of so many characters more."""
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory, "p.log")
        log.touch()
        hearer = Hearer(log)
        for number, act in enumerate(acts):
            if act == "bound":
                logs.bound(str(log), PAGE)
            elif act == "read":
                hearer.reader.go_on()
            else:
                write(log, f"{number} {'x' * int(act)}")
        hearer.reader.go_on()
    heard = [int(line.split()[0]) for line in hearer if line != logs.MISSING]
    said = [number for number, act in enumerate(acts) if isinstance(act, int)]
    gaps = sum(said.index(b) - said.index(a) != 1 for a, b in pairwise(heard))
    assert heard == sorted(set(heard))
    assert heard[-1:] == said[-1:]
    assert (logs.MISSING in hearer) == (heard != said)
    assert gaps <= hearer.count(logs.MISSING)


def test_a_line_said_in_two_halves_is_one_line(log: Path) -> None:
    log.write_text("ha")
    hearer = Hearer(log)
    with log.open("a") as file:
        file.write("lf\nre")
    assert hearer.more() == ["half"]
    hearer.reader.end()
    assert hearer == ["half", "re"]


def test_since_is_held_against_when_it_was_noted(log: Path) -> None:
    write(log, "one", when=10)
    write(log, "two", when=20)
    write(log, "three", when=30)
    heard = {since: list(Hearer(log, since)) for since in (0, 10, 11, 20, 25, 31)}
    assert heard == {
        0: ["one", "two", "three"], 10: ["one", "two", "three"], 11: ["two", "three"],
        20: ["two", "three"], 25: ["three"], 31: [],
    }  # fmt: skip


def test_since_reaches_back_to_what_is_kept(log: Path) -> None:
    for when, name in enumerate("abcd"):
        write(log, *lines(name), when=10 * (when + 1))
    logs.bound(str(log), PAGE)
    write(log, "e", when=10**10)
    times = log.with_suffix(".times").read_text().splitlines()
    assert [line.split()[0] for line in times] == [str(4 * PAGE), str(4 * PAGE + 2)]
    heard = {since: list(Hearer(log, since)) for since in (0, 35, 41)}
    rest = lines("d")[1:]
    assert heard == {0: [*rest, "e"], 35: [*rest, "e"], 41: ["e"]}


def test_a_line_that_is_said_from_now_on_makes_ready(log: Path) -> None:
    write(log, "ready long ago", "starting")
    said = readiness.Said(str(log), "^now ready$")
    assert (said.matches(), said.tail()) == (False, "")
    write(log, "now ready\r", "and more")
    assert (said.matches(), said.tail()) == (True, "now ready\r\nand more")
    assert not readiness.Said(f"{log}.none", "ready").matches()


def test_a_prompt_makes_ready(log: Path) -> None:
    said = readiness.Said(str(log), "login: $")
    log.write_text("host login: ")
    assert (said.matches(), said.tail()) == (True, "host login:")


@pytest.mark.parametrize("before", [0, 1, 3])
def test_a_log_of_which_the_beginning_goes_makes_ready_all_the_same(before: int, log: Path) -> None:
    write(log, *lines("old", pages=before))
    said = readiness.Said(str(log), "^ready$")
    write(log, "ready", "and more")
    logs.bound(str(log), PAGE)
    write(log, "more")
    assert (said.matches(), said.tail()) == (True, "ready\nand more\nmore")


def test_the_tail_is_bounded(log: Path) -> None:
    said = readiness.Said(str(log))
    write(log, *("x" * 1000 for _ in range(1000)))
    assert len(said.tail()) == readiness.KEPT_CHARACTERS
