"""All pairs asked, by a prober that says when it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import pytest

from netlab.matrix.answer import Answer, of_errno, of_error
from netlab.matrix.pairs import Pair
from netlab.matrix.survey import Survey

T = TypeVar("T")
PAIRS = [Pair("a", f"n{number}", f"192.0.2.{number}") for number in range(50)]
ANSWERED = Answer("answered", "x")


class Here:
    """There are no nodes to go into."""

    def inside(self, node: str, act: Callable[[], T]) -> T:
        raise AssertionError(f"nobody has to go into {node}")


class Room:
    """As much as is said, and a table that was full so many times."""

    def __init__(self, pairs: int = 1000, refused: Sequence[int] = ()) -> None:
        self._pairs, self._refused = pairs, list(refused)

    def pairs(self, entries: int) -> int:
        return self._pairs

    def refused(self) -> int:
        return self._refused.pop(0) if self._refused else 0

    def doubt(self) -> None: ...


class Prober:
    """Answers a pair when it has been asked so many times; 0 for never."""

    most = 1000
    repeats = False

    def __init__(self, when: Callable[[int], int]) -> None:
        self._when = when
        self.asked = dict.fromkeys(range(len(PAIRS)), 0)
        self._ready: list[int] = []
        self._waited: set[int] = set()

    def open(self, places: Sequence[int]) -> None:
        self._waited |= set(places)
        assert len(self._waited) <= self.most

    def ask(self, place: int) -> Answer | None:
        self.asked[place] += 1
        if self.asked[place] == self._when(place):
            self._ready.append(place)
        return None

    def answers(self, within: float) -> Iterable[tuple[int, Answer]]:
        ready, self._ready = self._ready, []
        self._waited -= set(ready)
        return [(place, ANSWERED) for place in ready]

    def rest(self, places: Sequence[int]) -> None:
        self._waited -= set(places)

    def close(self) -> None: ...


def survey(prober: Prober, room: Room | None = None) -> dict[int, Answer]:
    return Survey(Here(), PAIRS, prober, room or Room(), [], 0.3).run()  # type: ignore[arg-type]


def test_who_answers_at_once_is_asked_once() -> None:
    prober = Prober(lambda place: 1)
    assert survey(prober) == dict.fromkeys(range(50), ANSWERED)
    assert set(prober.asked.values()) == {1}


def test_silence_is_asked_again_before_it_means_anything() -> None:
    prober = Prober(lambda place: 0 if place == 7 else 2 if place == 8 else 1)
    found = survey(prober)
    assert found.pop(7) == Answer("denied", "", "silence")
    assert set(found.values()) == {ANSWERED}
    assert prober.asked[7] >= 2
    assert prober.asked[8] == 2


@pytest.mark.parametrize("repeats", [False, True])
def test_where_room_is_scarce_all_are_asked_in_turns(repeats: bool) -> None:
    prober = Prober(lambda place: 2 if place % 3 else 0 if place == 9 else 1)
    prober.most, prober.repeats = 4, repeats
    found = survey(prober, Room(pairs=5))
    assert found.pop(9).word == "denied"
    assert found == dict.fromkeys(set(range(50)) - {9}, ANSWERED)


def test_what_the_kernel_sends_again_is_begun_twice_at_most() -> None:
    prober = Prober(lambda place: 0)
    prober.repeats = True
    assert {answer.word for answer in survey(prober).values()} == {"denied"}
    assert set(prober.asked.values()) == {2}


def test_what_has_no_address_is_not_asked() -> None:
    pairs = [Pair("a", "b", "", "b has no address")]
    prober = Prober(lambda place: 1)
    found = Survey(Here(), pairs, prober, Room(), [], 0.1).run()  # type: ignore[arg-type]
    assert found == {0: Answer("no-address", "", "b has no address")}
    assert prober.asked[0] == 0


def test_silence_while_the_table_of_neighbours_is_full_is_asked_anew() -> None:
    prober = Prober(lambda place: 4 if place == 7 else 1)
    found = survey(prober, Room(refused=[1, 2, 2, 2]))
    assert found[7] == ANSWERED


def test_where_the_table_is_always_full_nothing_is_known() -> None:
    prober = Prober(lambda place: 0 if place == 7 else 1)
    found = survey(prober, Room(refused=[1, 2, 3, 4, 5, 6]))
    assert found[7].word == "unknown"
    assert "gc_thresh3" in found[7].why
    assert found[8] == ANSWERED


def test_errors_are_told_in_the_words_of_cells() -> None:
    told = [of_error(4, 3, 3, "x"), of_error(6, 1, 4, "x"), of_error(4, 3, 13, "x"),
            of_error(4, 11, 0, "x"), of_error(6, 1, 0, "x"), of_error(4, 3, 1, "self"),
            of_error(4, 12, 9, "x")]  # fmt: skip
    assert [(t.word, t.why) for t in told] == [
        ("refused", "port unreachable"),
        ("refused", "port unreachable"),
        ("unreachable", "administratively prohibited"),
        ("unreachable", "TTL expired"),
        ("unreachable", "no route there"),
        ("no-neighbour", "nobody on its segment answers"),
        ("unreachable", "ICMP error type 12 code 9"),
    ]
    assert of_errno(0) is None
