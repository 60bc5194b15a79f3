"""Large sets are read in bulk: they mean the same as word by word, and mistakes have places."""

from __future__ import annotations

from itertools import cycle, islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlab.firewall import lexer
from netlab.firewall.compile import Message, compile_script
from netlab.firewall.parse import parse
from netlab.firewall.problems import RulesetError
from netlab.firewall.show import show

GAPS = st.sampled_from([", ", ",", ",\n\t", " ,\n", ",\r\n"])
IPV4 = st.integers(0, 2**32 - 1).map(lambda n: ".".join(str(n >> s & 255) for s in (24, 16, 8, 0)))
VALUES = {
    "ipv4_addr": IPV4,
    "ipv6_addr": st.integers(0, 0xFFFF).map(lambda n: f"2001:db8::{n:x}"),
    "ether_addr": st.integers(0, 0xFFFF).map(lambda n: f"02:00:00:00:{n >> 8:02x}:{n & 255:02x}"),
    "inet_service": st.integers(0, 65535).map(str),
    "mark": st.integers(0, 2**32 - 1).map(str),
}
SPANS = {
    "ipv4_addr": IPV4 | st.tuples(IPV4, st.integers(8, 32)).map(lambda p: f"{p[0]}/{p[1]}"),
    "inet_service": VALUES["inet_service"] | st.tuples(
        st.integers(0, 30000), st.integers(30000, 65535)
    ).map(lambda p: f"{p[0]}-{p[1]}"),
}  # fmt: skip


def _many(values: list[str]) -> list[str]:
    return list(islice(cycle(values), 70))


def _set(kind: str, values: str, flags: str = "") -> str:
    return f"table inet t {{\nset s {{\ntype {kind}\n{flags}\nelements = {{{values}}}\n}}\n}}\n"


def _messages(text: str) -> list[Message]:
    batch = compile_script(parse(text))
    return [message._replace(at=0) for message in batch.messages]


def _slowly(text: str) -> str:
    """A comment behind the brace keeps the lexer from taking the elements in one go."""
    return text.replace("elements = {", "elements = { # one by one\n")


def _in_bulk(text: str) -> bool:
    return lexer.BULK in lexer.tokens(text, 0).kinds


@settings(deadline=None, print_blob=True)
@given(st.data(), st.sampled_from(sorted(VALUES)), GAPS, st.sampled_from(["", "0x10", ","]))
def test_a_set_in_bulk_is_the_set_word_by_word(
    data: st.DataObject, kind: str, gap: str, last: str
) -> None:
    values = _many(data.draw(st.lists(VALUES[kind], min_size=1, max_size=9)))
    end = gap + last if last == "0x10" and kind == "mark" else last if last == "," else ""
    text = _set(kind, gap.join(values) + end)
    assert _in_bulk(text)
    assert not _in_bulk(_slowly(text))
    assert parse(text) == parse(_slowly(text)) == parse(show(parse(text)))
    assert _messages(text) == _messages(_slowly(text))


@settings(deadline=None, print_blob=True)
@given(st.data(), st.sampled_from(sorted(SPANS)), GAPS)
def test_intervals_in_bulk_are_those_word_by_word(
    data: st.DataObject, kind: str, gap: str
) -> None:
    values = _many(data.draw(st.lists(SPANS[kind], min_size=1, max_size=9)))
    text = _set(kind, gap.join(values), "flags interval; auto-merge")
    one_by_one = text.replace(gap.join(values), gap.join(f"{each} comment \"\"" for each in values))
    assert _in_bulk(text)
    assert not _in_bulk(one_by_one)
    assert _messages(text) == _messages(one_by_one)


ADDRESSES = [f"10.0.{n >> 8}.{n & 255}" for n in range(300)]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("10.0.0.256", "'10.0.0.256' is no IPv4 address"),
        ("10.0.0.0/24", "a range in a set without intervals; add 'flags interval'"),
    ],
)
@pytest.mark.parametrize("at", [0, 1, 77, 298, 299])
def test_a_mistake_in_bulk_is_told_at_its_place(value: str, said: str, at: int) -> None:
    lines = [f"\t{address}," for address in ADDRESSES]
    lines[at] = f"\t  {value} ,"
    with pytest.raises(RulesetError) as told:
        compile_script(parse(_set("ipv4_addr", "\n" + "\n".join(lines) + "\n"), "gw.nft"))
    assert [str(each) for each in told.value.problems] == [f"gw.nft:{at + 6}:4: {said}"]


def test_what_follows_a_bulk_keeps_its_place() -> None:
    text = _set("ipv4_addr", ", ".join(ADDRESSES)) + "table ip u {\nchain c {\nacept\n}\n}\n"
    with pytest.raises(RulesetError) as told:
        parse(text, "gw.nft")
    assert [str(each.place) for each in told.value.problems] == ["gw.nft:10:1"]


@pytest.mark.parametrize("where", ["chain c {", "ct timeout x {\nprotocol tcp\npolicy = {"])
def test_a_bulk_where_none_belongs_is_told_in_few_words(where: str) -> None:
    text = f"table ip t {{\n{where} {', '.join(ADDRESSES)} }}\n}}\n"
    with pytest.raises(RulesetError) as told:
        parse(text)
    assert all(len(str(problem)) < 200 for problem in told.value.problems)
