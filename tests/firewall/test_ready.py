"""A ruleset is read once, however many nodes have it; each has its own places and interfaces."""

from __future__ import annotations

import pytest

from netlab.firewall import parse as parser
from netlab.firewall import ready
from netlab.firewall.compile import compile_script
from netlab.firewall.parse import no_includes, parse, parse_all
from netlab.firewall.problems import RulesetError
from netlab.firewall.ready import Asked
from netlab.firewall.sources import Source

TEXT = "table inet t {\nchain c {\niif lan accept\ntcp dport 22 drop\n}\n}\n"
LINKS = {"lan": 5, "wan": 6, "lo": 1}


def _at(line: int, text: str = TEXT) -> list[Source]:
    return [Source(f"lab{line}.yaml", text, line, 6)]


def _read_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object) -> None:
        raise AssertionError("it was read before")

    monkeypatch.setattr(parser, "tokens", read)


def test_nodes_with_one_text_have_one_batch_and_places_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = ready.batch(_at(10), no_includes, LINKS)
    assert first.messages == compile_script(parse(TEXT), links=LINKS).messages
    _read_no_more(monkeypatch)
    second = ready.batch(_at(200), no_includes, dict(LINKS, wan=77))
    assert second.messages is first.messages
    assert str(first.place(2)) == "lab10.yaml:12:7"
    assert str(second.place(2)) == "lab200.yaml:202:7"
    assert ready.script(_at(3), no_includes).lines == ready.script(_at(9), no_includes).lines


def test_an_interface_with_another_index_makes_another_batch() -> None:
    other = dict(LINKS, lan=9)
    batches = [ready.batch(_at(1), no_includes, links).messages for links in (LINKS, other)]
    assert batches == [compile_script(parse(TEXT), links=l).messages for l in (LINKS, other)]
    assert batches[0] != batches[1]


def test_what_was_asked_is_known_of_every_node() -> None:
    for _ in range(2):
        links = Asked(LINKS)
        ready.batch(_at(1), no_includes, links)
        assert links.asked == {"lan": 5}


def test_a_node_without_the_interface_is_told_so_at_its_own_place() -> None:
    ready.batch(_at(1), no_includes, LINKS)
    with pytest.raises(RulesetError) as told:
        ready.batch(_at(40), no_includes, {"lo": 1})
    assert [str(each.place) for each in told.value.problems] == ["lab40.yaml:42:11"]


def test_the_same_mistake_has_its_place_in_every_node() -> None:
    for line in (3, 50):
        with pytest.raises(RulesetError) as told:
            ready.batch(_at(line, "acept\n"), no_includes, LINKS)
        assert [str(each.place) for each in told.value.problems] == [f"lab{line}.yaml:{line}:7"]


def test_what_is_included_is_read_each_time() -> None:
    text = 'include "x.nft"\n'
    for kind in ("ip", "ip6"):
        def read(path: str, kind: str = kind) -> Source:
            return Source(path, f"table {kind} t {{\n}}\n")

        expected = compile_script(parse_all(_at(1, text), read))
        assert ready.batch(_at(1, text), read, LINKS).messages == expected.messages
