"""Logs that begin anew, and readers who are in the middle of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.kernel.supervisor import logs, readiness


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
        assert self.reader.go_on() is False
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


@pytest.mark.parametrize("most", [0, 6, 11, 13, 23])
def test_a_follower_misses_nothing_that_was_kept(log: Path, most: int) -> None:
    """It has heard ``one``; then the log goes on, and begins anew with ``most`` bytes kept."""
    write(log, "one")
    hearer = Hearer(log)
    write(log, "two", "three", "four")
    logs.bound(str(log), most)
    kept = Path(f"{log}.1").read_text().splitlines() if most < 19 else ["two", "three", "four"]
    write(log, "five", "six")
    assert hearer.more() == [line for line in kept if line != "one"] + ["five", "six"]
    write(log, "seven")
    assert hearer.more() == ["seven"]


def test_a_new_log_that_is_longer_than_the_old_one_was_is_told_apart(log: Path) -> None:
    write(log, "one", "two")
    hearer = Hearer(log)
    logs.bound(str(log), 4)
    write(log, *"abcdefghij")
    assert hearer.more() == list("abcdefghij")


def test_a_log_that_is_just_beginning_anew_is_waited_for(log: Path) -> None:
    write(log, "one", "two")
    hearer = Hearer(log)
    text = log.read_text()
    log.write_text("")
    assert hearer.reader.go_on() is True
    Path(f"{log}.1").write_text(text)
    write(log, "three")
    assert hearer.more() == ["three"]


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
