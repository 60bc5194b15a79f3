"""A journal tells what stands, wherever it was cut."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab.errors import StateRefused
from netlab.lab.apply import clearing
from netlab.lab.glance import Header, Summary, summary_of
from netlab.lab.journal import Journal, Writer, reached, read
from netlab.plan.diff import Plan, Step, diff
from netlab.resources import Inventory, Resource, wire
from netlab.resources.device import Veth
from netlab.resources.firewall import Firewall
from netlab.resources.namespace import Namespace
from netlab.resources.network import Address, Route
from netlab.resources.process import Process, Supervisor
from tests.plan.labs import all_labs, inventory

HEADER = Header("l", "boot", "/tmp/l.yaml", "digest")
SUMMARY = Summary(5.0, {"a": "host", "b": "router"}, 1, "a lab\nof two lines")
LABS = all_labs()


def written(directory: Path) -> bytes:
    return (directory / "journal").read_bytes()


def history(directory: Path) -> list[Inventory]:
    """A journal with two finished changes and one under way; what stands after each line."""
    first, second = inventory(LABS["two hosts"]), inventory(LABS["router"])
    writer, standing = Writer(str(directory), HEADER), [Inventory()]
    for number, (current, wanted) in enumerate(
        ((Inventory(), first), (first, second), (second, first))
    ):
        plan = diff(current, wanted)
        for start in range(0, len(plan), 6):
            writer.do(plan[start : start + 6], {f"l.{number}": start})
            standing.append(reached(standing[-1], plan[start : start + 6]))
        if number < 2:
            writer.up(SUMMARY, f"/tmp/{number}.yaml", f"digest {number}")
            standing.append(standing[-1])
    writer.close()
    assert standing[-1] == first
    return standing


def final(kind: type[Resource]) -> Iterator[type[Resource]]:
    """Those that no other is built on."""
    subclasses = kind.__subclasses__()
    yield from (one for below in subclasses for one in final(below))
    if not subclasses:
        yield kind


def test_every_resource_comes_back_as_it_was_written() -> None:
    extra = (
        Supervisor("l"),
        Process("l.a", "web", ("sleep", "é\n"), (("A", "1"),), ready=("tcp", "80")),
        Firewall("l.a", (("", "table ip t {\n}\n"),), (), 7, 6, "table ip u { }\n",
                 ("masquerade eth0",), ((9, 3),), "l.yaml"),
        Address("l.a", "eth0", "10.0.0.1/24"),
    )
    resources = [*extra, *(r for text in LABS.values() for r in inventory(text).values())]
    kinds = {type(r) for r in resources}
    assert kinds == set(final(Resource))
    assert {
        kind.__name__: (kind.__module__.rpartition(".")[2], kind.outlives) for kind in kinds
    } == wire.KINDS
    for resource in resources:
        again = wire.parse(json.loads(json.dumps(wire.dump(resource))))
        assert (type(again), vars(again)) == (type(resource), vars(resource))


def test_cut_at_any_byte_it_tells_what_its_whole_lines_say(tmp_path: Path) -> None:
    standing = history(tmp_path)
    raw = written(tmp_path)
    assert raw.count(b"\n") == len(standing)
    for end in range(len(raw) + 1):
        whole = raw[:end].count(b"\n")
        if end < len(raw) and raw[end - 1 : end] != b"\n" and end % 7:
            continue  # within a line any place is like any other; each seventh is looked at
        found = read(raw[:end])
        if not whole:
            assert found is None
            assert summary_of(raw[:end]) is None
            continue
        assert found is not None
        assert found.inventory == standing[whole - 1]
        assert summary_of(raw[:end]) == (found.header, found.summary)


def test_what_it_knows_at_its_end(tmp_path: Path) -> None:
    standing = history(tmp_path)
    found = read(written(tmp_path))
    assert found is not None
    plan = diff(inventory(LABS["router"]), inventory(LABS["two hosts"]))
    left = len(plan) % 6 or 6
    assert found.header == Header("l", "boot", "/tmp/1.yaml", "digest 1")
    assert [(s.before, s.after) for s in found.doubtful] == [
        (s.before, s.after) for s in plan[-left:]
    ]
    assert found.summary is None
    assert found.inventory == standing[-1]
    assert found.inodes["l.2"] == len(plan) - left


def test_for_down_it_tells_all_that_has_to_be_taken_down(tmp_path: Path) -> None:
    history(tmp_path)
    lines = written(tmp_path).splitlines(keepends=True)
    for count in range(2, len(lines) + 1):
        whole, short = read(b"".join(lines[:count])), read(b"".join(lines[:count]), for_down=True)
        assert whole and short
        assert (short.header, short.inodes, short.summary) == (
            whole.header, whole.inodes, whole.summary,
        )  # fmt: skip
        assert _way_to_nothing(short) == _way_to_nothing(whole) != []


def _way_to_nothing(found: Journal) -> list[Resource]:
    doubtful = () if found.summary else found.doubtful
    return [s.subject for s in clearing(found.inventory, doubtful, found.inventory)[0]]


def test_a_torn_last_line_is_cut_off_before_more_is_written(tmp_path: Path) -> None:
    history(tmp_path)
    raw = written(tmp_path)
    (tmp_path / "journal").write_bytes(raw[:-5])
    writer = Writer(str(tmp_path), HEADER)
    writer.up(SUMMARY, "/tmp/x.yaml", "x")
    writer.close()
    kept = raw[: raw.rfind(b"\n", 0, len(raw) - 1) + 1]
    assert written(tmp_path).startswith(kept)
    found = read(written(tmp_path))
    assert found is not None
    assert found.summary == SUMMARY


def test_a_journal_torn_in_its_first_line_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "journal").write_bytes(b'{"format": 1, "la')
    Writer(str(tmp_path), HEADER).close()
    found = read(written(tmp_path))
    assert found is not None
    assert (found.header, found.inventory, found.steps) == (HEADER, Inventory(), 0)


@pytest.mark.parametrize(("raw", "said"), [
    (b"\n", "JSONDecodeError: "),
    (b"[]\n", "TypeError: "),
    (b"{}\n", "KeyError: 'format')"),
    (b'{"format": 3}\n', "ValueError: format 3, known is 2)"),
    (b'{"format": 2}\n', "KeyError: 'file')"),
    (b"\x80\x81\n", "UnicodeDecodeError: "),
    (b"[" * 100_000 + b"\n", "RecursionError: "),
])  # fmt: skip
def test_garbage_is_told_in_a_sentence(raw: bytes, said: str) -> None:
    for reads in (read, summary_of):
        with pytest.raises(StateRefused) as refused:
            reads(raw)
        assert str(refused.value).startswith(f"the journal cannot be understood ({said}")
        assert refused.value.hint == "it was not written by this version of netlab"


@pytest.mark.parametrize("line", [
    '{"do": [[null, ["Nonsense", 1]]]}', '{"do": [[null, ["Namespace"]]]}', '{"do": [[null]]}',
    '{"do": [7]}', '{"do": [[null, []]]}', '{"inodes": 7}', '{"up": 7}', '{"up": {"x": 1}}', "7",
    '{"do": [[null, null]]}',
])  # fmt: skip
def test_a_line_that_no_netlab_wrote_is_refused(line: str, tmp_path: Path) -> None:
    Writer(str(tmp_path), HEADER).close()
    with pytest.raises(StateRefused):
        read(written(tmp_path) + line.encode() + b"\n")


# what stands after some steps

A, B = Namespace("l.a"), Namespace("l.b")
CABLE = Veth("l.a", "eth0", "l.b", "eth0", "02:00:00:00:00:01", "02:00:00:00:00:02", 1500, 1500)
HERE = Address("l.a", "eth0", "10.0.0.1/24")
OUT = Route("l.a", "0.0.0.0/0", (("10.0.0.2", "eth0", 1, False),), over=(HERE.key,))
ALL = Inventory([A, B, CABLE, HERE, OUT])


def after(*steps: tuple[object, object]) -> set[object]:
    plan: Plan = tuple(Step(*step) for step in steps)  # type: ignore[arg-type]
    return set(reached(ALL, plan).values())


def test_what_stood_on_something_falls_with_it() -> None:
    assert after((CABLE, None)) == {A, B}
    assert after((HERE, None)) == {A, B, CABLE}
    assert after((B, None), (A, None)) == set()


def test_a_link_stands_until_both_its_ends_have_gone() -> None:
    """The kernel takes the far end away later: until then its name is taken."""
    assert after((B, None)) == {A, CABLE, HERE, OUT}
    current = reached(ALL, (Step(B, None),))
    away, sure = clearing(current, ())
    assert (Step(CABLE, None) in away, set(sure.values())) == (True, {A})


def test_what_is_built_again_in_its_place_stands() -> None:
    assert after((CABLE, None), (None, CABLE), (None, HERE)) == {A, B, CABLE, HERE}
    assert after((B, None), (None, B), (None, CABLE)) == {A, B, CABLE}


def test_a_change_in_place_takes_nothing_along() -> None:
    narrow = Veth(*{**vars(CABLE), "a_mtu": 1400}.values())
    assert after((CABLE, narrow)) == {A, B, narrow, HERE, OUT}
