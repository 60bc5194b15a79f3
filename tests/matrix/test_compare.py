"""Golden files, and what differs from them."""

from __future__ import annotations

import json

import pytest

from netlab.errors import UsageError
from netlab.matrix.alike import groups
from netlab.matrix.compare import differences
from netlab.matrix.model import Cell, Matrix, document, golden, read


def matrix(*cells: Cell, nodes: str = "abc", limited: tuple[str, ...] = ()) -> Matrix:
    return Matrix("lab", 0, ("ping",), tuple(nodes), cells, ("sw",), limited, 1.5, ("a gap",))


def cell(pair: str, word: str, by: str = "", why: str = "") -> Cell:
    return Cell(pair[0], pair[1], "ping", word, by, f"10.0.0.{ord(pair[1])}", why, 0.25)


WHOLE = matrix(cell("ab", "answered", "b"), cell("ba", "denied"), cell("ac", "unreachable", "r"))


def test_a_golden_file_is_read_as_it_was_written() -> None:
    found = read(golden(WHOLE), "golden.json")
    assert (found.lab, found.version, found.probes, found.nodes, found.left_out) == (
        "lab", 0, ("ping",), ("a", "b", "c"), ("sw",),
    )  # fmt: skip
    kept = [(c.source, c.target, c.probe, c.word, c.by) for c in found.cells]
    assert kept == [(c.source, c.target, c.probe, c.word, c.by) for c in WHOLE.cells]
    assert read(document(WHOLE, {"against": "", "differences": None}), "x") == found


def test_a_golden_file_holds_nothing_that_differs_from_run_to_run() -> None:
    later = matrix(*(c._replace(milliseconds=9.9, address="") for c in WHOLE.cells))
    assert golden(WHOLE) == golden(later)
    assert golden(WHOLE).count("\n") == 3 + len(WHOLE.cells)


def test_the_document_holds_all() -> None:
    found = json.loads(document(WHOLE, {"against": "", "differences": None}))
    assert found["gaps"] == ["a gap"]
    assert found["cells"][0] == {
        "from": "a", "to": "b", "probe": "ping", "is": "answered", "by": "b",
        "address": "10.0.0.98", "why": "", "milliseconds": 0.25,
    }  # fmt: skip


def test_what_differs_is_told_by_names() -> None:
    now = matrix(
        cell("ab", "denied", why="silence"), cell("ba", "denied"), cell("ac", "answered", "c")
    )
    assert [(one.words, one.why) for one in differences(WHOLE, now)] == [
        ("a → b: was answered, is denied", "silence"),
        ("a → c: was unreachable, is answered", ""),
    ]
    assert differences(WHOLE, WHOLE) == []


def test_a_port_is_told() -> None:
    before, after = (
        Matrix("lab", 0, ("tcp 80",), ("a", "b"), (Cell("a", "b", "tcp 80", word),))
        for word in ("answered", "refused")
    )
    assert [d.words for d in differences(before, after)] == [
        "a → b tcp 80: was answered, is refused"
    ]


def test_a_pair_that_somebody_cut_out_of_the_file_is_a_difference() -> None:
    before = matrix(*WHOLE.cells[1:])
    assert [d.words for d in differences(before, WHOLE)] == ["a → b: was not there, is answered"]


def test_nodes_that_came_and_went_are_told_as_a_whole() -> None:
    now = matrix(cell("ab", "answered"), cell("ad", "denied"), nodes="abd")
    assert [d.words for d in differences(WHOLE, now)] == ["c is no more", "d is new"]


@pytest.mark.parametrize(
    ("was", "by", "now", "limited", "same"),
    [
        ("unreachable", "r", "denied", ("r",), True),
        ("refused", "r", "denied", ("r",), True),
        ("unreachable", "r", "denied", (), False),
        ("unreachable", "s", "denied", ("r",), False),
        ("answered", "r", "denied", ("r",), False),
        ("unreachable", "r", "answered", ("r",), False),
    ],
)
def test_errors_that_a_limit_kept_back_are_no_difference(
    was: str, by: str, now: str, limited: tuple[str, ...], same: bool
) -> None:
    before, after = matrix(cell("ab", was, by)), matrix(cell("ab", now), limited=limited)
    assert bool(differences(before, after)) != same
    assert bool(differences(after, before)) != same


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nodes: {}", "is no JSON"),
        ("[1]", "is no saved matrix: it has no format, not 'netlab.matrix/1'"),
        ('{"format": "netlab.trace/1"}', "its format is 'netlab.trace/1'"),
        ('{"format": "netlab.matrix/1", "lab": "x"}', "'version' is missing"),
        (golden(WHOLE).replace('"denied"', '"maybe"'), "no cell says 'maybe'; there are: answered"),
        (golden(WHOLE).replace('"lab": "lab"', '"lab": 7'), "7 is no text"),
        (golden(WHOLE).replace('"from": "a", ', "", 1), "'from' is missing"),
    ],
)
def test_a_wrong_golden_file_is_told(text: str, words: str) -> None:
    with pytest.raises(UsageError) as told:
        read(text, "golden.json")
    assert str(told.value).startswith("golden.json is no ")
    assert words in str(told.value)
    assert "--save" in told.value.hint


def words(nodes: str, **others: str) -> dict[tuple[str, str], str]:
    return {(a, b): others.get(a + b, "answered") for a in nodes for b in nodes if a != b}


def test_nodes_that_are_alike_are_one() -> None:
    (found,) = groups("abcd", words("abcd"))
    assert (found.nodes, found.within) == (list("abcd"), "answered")


def test_who_is_answered_otherwise_stands_apart() -> None:
    found = groups("abcd", words("abcd", ac="denied", bc="denied", dc="denied"))
    assert [(g.nodes, g.within) for g in found] == [(["a", "b", "d"], "answered"), (["c"], "")]


def test_who_answers_one_of_them_otherwise_is_not_alike() -> None:
    found = groups("abcd", words("abcd", ab="denied"))
    assert [g.nodes for g in found] == [["a"], ["b"], ["c", "d"]]


def test_two_halves_that_do_not_reach_each_other_are_two_rows() -> None:
    apart = {a + b: "denied" for one, other in (("ab", "cd"), ("cd", "ab"))
             for a in one for b in other}  # fmt: skip
    found = groups("abcd", words("abcd", **apart))
    assert [(g.nodes, g.within) for g in found] == [
        (["a", "b"], "answered"), (["c", "d"], "answered"),
    ]  # fmt: skip
