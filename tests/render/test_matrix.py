"""Tables of signs and words, which are never wider than they may be."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from netlab.matrix.compare import Difference
from netlab.matrix.model import MEANING, Cell, Matrix
from netlab.render.matrix import SIGNS, STYLES, compared, lines
from netlab.render.matrix_html import page


def matrix(count: int, width: int = 2, **others: str) -> Matrix:
    """``h1=…``: what all get from h1; ``h1_h2=…``: what h1 gets from h2."""
    nodes = [f"h{number:0{width}}" for number in range(1, count + 1)]

    def word(a: str, b: str) -> str:
        return others.get(f"{a}_{b}") or others.get(b) or "answered"

    cells = [
        Cell(a, b, "ping", word(a, b), "r" if word(a, b) == "unreachable" else "", "192.0.2.1",
             {"answered": "", "denied": "silence"}.get(word(a, b), "<why>"), 0.5)
        for a in nodes for b in nodes if a != b
    ]  # fmt: skip
    return Matrix("lab", 0, ("ping",), tuple(nodes), tuple(cells), ("sw",), seconds=0.012)


def texts(found: Matrix, width: int = 100) -> list[str]:
    return ["".join(text for text, _ in line) for line in lines(found, width)]


def test_few_nodes_are_told_in_words() -> None:
    assert texts(matrix(3, h03="denied", h01_h02="unreachable")) == [
        "lab, ping: 3 answered, 2 denied, 1 unreachable  (3 nodes, 6 pairs, 12 ms)",
        "asks →  h01       h02          h03",
        "h01     ·         unreachable  denied",
        "h02     answered  ·            denied",
        "h03     answered  answered     ·",
        "unreachable  r: <why> (1 pair: h01 → h02)",
        "left out, as switches have no address: sw",
    ]


def test_a_long_reason_is_folded_below() -> None:
    whole = matrix(3, h03="denied")
    long = "foretold: " + " ".join(["a rule of the fire-wall drops it"] * 4)
    cells = tuple(c._replace(why=long) if c.word == "denied" else c for c in whole.cells)
    found = texts(replace(whole, cells=cells), 60)
    assert found[5] == "denied  (2 pairs: h01 h02 → h03)"
    assert all(line.startswith("    ") and len(line) <= 60 for line in found[6:-1])
    assert " ".join(line.strip() for line in found[6:-1]) == long


def test_more_are_told_in_signs() -> None:
    found = texts(matrix(12, h11="denied"))
    assert found[1:5] == [
        "                            1 1 1",
        "   asks → 1 2 3 4 5 6 7 8 9 0 1 2",
        " 1 h01    · ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✗ ✓",
        " 2 h02    ✓ · ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✓ ✗ ✓",
    ]
    assert found[-2] == "  ✓ answered  ✗ denied"


def test_a_hundred_that_are_alike_are_a_line() -> None:
    assert texts(matrix(100, 3))[1] == "  all of them: answered"


def test_a_hundred_of_which_one_is_silent_are_two_rows() -> None:
    assert texts(matrix(100, 3, h007="denied"))[1:4] == [
        "asks →    h001 +98  h007",
        "h001 +98  answered  denied",
        "h007      answered  ·",
    ]


def test_where_nobody_is_alike_only_what_differs_is_told() -> None:
    pairs = {f"h{n:03}_h{n + 1:03}": "denied" for n in range(1, 100)}
    found = texts(matrix(100, 3, **pairs, h100_h001="no-route"))
    assert found[1] == "most pairs: answered; all 100 others:"
    assert found[2] == "  h001 → h002  denied"
    assert found[-3] == "  … and 80 lines more: --html and --json have all"


@pytest.mark.parametrize("count", [2, 8, 20, 40, 41, 60, 120])
@pytest.mark.parametrize("width", [60, 80, 100])
def test_no_line_is_wider_than_it_may_be(count: int, width: int) -> None:
    pairs = {f"h{n:017}_h{n + 1:017}": "no-neighbour" for n in range(1, count, 2)}
    found = texts(matrix(count, 17, **pairs, h00000000000000002="unreachable"), width)
    assert [line for line in found[1:] if len(line) > width] == []


def test_forty_nodes_have_a_row_each() -> None:
    pairs = {f"h{n:02}_h{n + 1:02}": "denied" for n in range(1, 40)}
    found = texts(matrix(40, **pairs))
    assert len([line for line in found if " · " in f"{line} "]) == 40


def test_every_word_has_a_sign_a_style_and_a_meaning() -> None:
    assert SIGNS.keys() == STYLES.keys() == MEANING.keys()
    assert len(set(SIGNS.values())) == len(SIGNS)


DIFFERENCE = Difference("h01", "h02", "ping", "denied", "answered")


def test_differences_are_told_by_names() -> None:
    told = ["".join(t for t, _ in line) for line in compared([DIFFERENCE], "golden.json", 6)]
    assert told == [
        "1 difference from golden.json:", "  h01 → h02: was denied, is answered",
    ]  # fmt: skip
    ((same, style),) = next(iter(compared([], "golden.json", 6)))
    assert (same, style) == ("as in golden.json: 6 pairs", "green")


class Page(HTMLParser):
    """What is in cells, and whatever would be loaded from elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.titles: list[str] = []
        self.changed: list[str] = []
        self.foreign: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if tag == "td" and told.get("title"):
            self.titles.append(str(told["title"]))
            if "changed" in str(told.get("class")):
                self.changed.append(str(told["title"]))
        if tag in ("script", "link", "img", "iframe") or {"src", "href"} & told.keys():
            self.foreign.append(tag)


def test_a_page_holds_every_cell_and_needs_nothing_else() -> None:
    whole = matrix(5, h02="denied")
    found = Page(text := page(whole, None))
    assert len(found.titles) == len(whole.cells)
    assert "h01 → h02 (192.0.2.1) ping: denied in 0.5 ms" in found.titles
    assert found.foreign == []
    assert "url(" not in text
    assert "@import" not in text
    assert "<why>" not in text


def test_a_page_shows_what_has_changed() -> None:
    text = page(matrix(3), [DIFFERENCE])
    assert Page(text).changed == ["h01 → h02 (192.0.2.1) ping: answered in 0.5 ms; was denied"]
    assert "h01 → h02: was denied, is answered" in text
    assert "<li>nothing</li>" in page(matrix(3), [])
