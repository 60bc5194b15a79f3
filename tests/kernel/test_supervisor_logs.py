"""Logs that begin anew, and readers who are in the middle of them."""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import suppress
from itertools import count, pairwise
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.kernel.supervisor import logs, readiness
from tests.kernel.messages import several
from tests.live.world import eventually

FLOCK = {"x86_64": 73}.get(os.uname().machine, 32)
"""Its number among the system calls."""


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


def test_what_is_within_bounds_is_left_alone(log: Path) -> None:
    write(log, "one", "two")
    logs.bound(str(log), 8)
    assert (log.read_text(), Path(f"{log}.1").exists()) == ("one\ntwo\n", False)


def test_what_is_too_long_begins_anew_and_the_last_lines_of_before_are_kept(log: Path) -> None:
    write(log, "one", "two", "three", "four")
    logs.bound(str(log), 12)
    assert (log.read_text(), Path(f"{log}.1").read_text()) == ("", "three\nfour\n")
    write(log, "five")
    assert Hearer(log) == ["three", "four", "five"]


def test_there_is_no_log_and_nothing_happens(log: Path) -> None:
    logs.bound(str(log), 1)
    logs.note(str(log))
    assert list(log.parent.iterdir()) == []
    assert Hearer(log) == []


@pytest.mark.parametrize("most", [0, 6, 11, 13, 18, 23])
def test_a_follower_misses_nothing_that_was_kept(log: Path, most: int) -> None:
    """It has heard ``one``; then the log goes on, and begins anew with ``most`` bytes kept."""
    write(log, "one")
    hearer = Hearer(log)
    write(log, "two", "three", "four")
    logs.bound(str(log), most)
    kept = Path(f"{log}.1").read_text().splitlines() if most < 19 else ["two", "three", "four"]
    missing = [] if "two" in kept else [logs.MISSING]
    write(log, "five", "six")
    assert hearer.more() == [*missing, *kept, "five", "six"]
    write(log, "seven")
    assert hearer.more() == ["seven"]


def test_a_new_log_that_is_longer_than_the_old_one_was_is_told_apart(log: Path) -> None:
    write(log, "one", "two")
    hearer = Hearer(log)
    logs.bound(str(log), 4)
    write(log, *"abcdefghij")
    assert hearer.more() == list("abcdefghij")


def test_a_log_that_began_anew_twice_since_is_told_as_far_as_it_is_kept(log: Path) -> None:
    write(log, "one")
    hearer = Hearer(log)
    for some in ("two", "three"), ("four", "five"):
        write(log, *some)
        logs.bound(str(log), 9)
    write(log, "six")
    assert hearer.more() == [logs.MISSING, "five", "six"]


def test_a_log_emptied_by_hand_is_read_from_its_beginning(log: Path) -> None:
    write(log, "one", "two")
    hearer = Hearer(log)
    log.write_text("")
    write(log, "three")
    assert hearer.more() == ["three"]


def test_a_log_that_is_kept_from_before_turns_were_counted(log: Path) -> None:
    Path(f"{log}.1").write_text("one\n")
    Path(f"{log.with_suffix('.times')}.1").write_text("4 10.000\n")
    write(log, "two")
    hearer = Hearer(log)
    logs.bound(str(log), 1)
    write(log, "three")
    assert (list(hearer), hearer.more()) == (["one", "two"], ["three"])


@pytest.mark.parametrize(("pause", "which"), [("ftruncate", 1), ("replace", 1), ("replace", 2)])
def test_who_reads_while_it_begins_anew_waits(
    log: Path, pause: str, which: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader comes in between, before that call is made so often."""
    write(log, "one", "two")
    hearer = Hearer(log)
    write(log, "three")
    reader = Thread(target=hearer.reader.go_on)
    real, calls = getattr(os, pause), count(1)

    def paused(*words: Any) -> None:
        if next(calls) == which:
            reader.start()
            eventually(lambda: waits_for_a_lock(reader))
        real(*words)

    monkeypatch.setattr(os, pause, paused)
    logs.bound(str(log), 6)
    write(log, "four, and longer than all before")
    reader.join(10)
    hearer.reader.go_on()
    assert list(hearer) == ["one", "two", "three", "four, and longer than all before"]


def waits_for_a_lock(thread: Thread) -> bool:
    with suppress(OSError):
        call = Path(f"/proc/self/task/{thread.native_id}/syscall").read_text()
        return call.split()[0] == str(FLOCK)
    return False


def test_a_reader_that_stopped_in_the_middle_is_not_waited_for(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "PATIENCE", 0.0)
    write(log, "one", "two")
    fd = os.open(log.parent, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_SH)
    logs.bound(str(log), 4)
    os.close(fd)
    assert Path(f"{log}.1").read_text() == "two\n"


@several
@given(st.lists(st.integers(0, 40) | st.sampled_from(["turn", "read"]), max_size=30))
def test_lines_are_heard_once_and_in_order_or_said_to_be_missing(acts: list[int | str]) -> None:
    """A number is a line of so many characters more."""
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory, "p.log")
        log.touch()
        hearer = Hearer(log)
        for number, act in enumerate(acts):
            if act == "turn":
                logs.bound(str(log), 50)
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


def test_since_reaches_back_over_a_new_beginning(log: Path) -> None:
    write(log, "one", when=10)
    write(log, "two", when=20)
    write(log, "three", when=30)
    logs.bound(str(log), 10)
    write(log, "four", when=10**10)
    assert Path(f"{log}.1").read_text() == "two\nthree\n"
    heard = {since: list(Hearer(log, since)) for since in (0, 15, 25, 31)}
    assert heard == {
        0: ["two", "three", "four"], 15: ["two", "three", "four"], 25: ["three", "four"],
        31: ["four"],
    }  # fmt: skip


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


@pytest.mark.parametrize("before", [(), ("old", "older", "oldest")])
def test_a_log_that_begins_anew_meanwhile_makes_ready_all_the_same(
    before: tuple[str, ...], log: Path
) -> None:
    write(log, *before)
    said = readiness.Said(str(log), "^ready$")
    write(log, "ready", "and more")
    logs.bound(str(log), 15)
    write(log, "more")
    assert (said.matches(), said.tail()) == (True, "ready\nand more\nmore")


def test_the_tail_is_bounded(log: Path) -> None:
    said = readiness.Said(str(log))
    write(log, *("x" * 1000 for _ in range(1000)))
    assert len(said.tail()) == readiness.KEPT_CHARACTERS
