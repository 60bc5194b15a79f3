"""What a journal goes through: cut at every byte, followed by garbage, replaced by it."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest

from netlab.lab import apply
from netlab.lab.journal import read
from tests.live.conftest import Write
from tests.live.crash import differing, look, nothing_is_left
from tests.live.life import namespaces
from tests.live.world import done, netlab, tool

TEXT = """\
nodes: {a: , b: {exec: ["true"]}}
links: [["a:e 10.0.0.1/24", "b:e 10.0.0.2/24"]]
"""


@pytest.fixture(autouse=True)
def _several_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "BATCH", 4)


def journal(lab: str) -> Path:
    return Path(f"/run/netlab/{lab}/journal")


def ends(raw: bytes) -> list[int]:
    """Where each line ends."""
    return [place + 1 for place, byte in enumerate(raw) if byte == ord("\n")]


def test_a_journal_cut_at_any_byte_of_its_last_line(write: Write, lab: str) -> None:
    file = write("nodes: {a: {exec: ['true']}}\n")
    done("up", file)
    wanted = look(lab)
    *_, start, end = ends(journal(lab).read_bytes())
    for length in range(start, end):
        cut(lab, end - length)
        if length % 3 == 0:
            done("up", file)
            assert differing(lab, wanted) == [], length
            cut(lab, end - length)
        done("down", lab)
        assert nothing_is_left(lab), length
        done("up", file)


def cut(lab: str, count: int) -> None:
    """So many bytes from its end."""
    os.truncate(journal(lab), journal(lab).stat().st_size - count)


def test_a_journal_that_lost_lines(write: Write, lab: str) -> None:
    """No crash does that. Whatever byte a line is cut at, it counts as not written."""
    file = write(TEXT)
    done("up", file)
    wanted = look(lab)
    whole = journal(lab).read_bytes()
    done("down", lab)
    lines = [0, *ends(whole)]
    for start, end in pairwise(lines):
        assert {read(whole[:at]) == read(whole[:start]) for at in range(start, end)} == {True}

    assert len(lines) > 5
    for number, start in enumerate(lines[:-1]):
        for length in (start, start + 1):
            for command in ("down", "up"):
                done("up", file)
                journal(lab).write_bytes(journal(lab).read_bytes()[:length])
                said = netlab("up", file) if command == "up" else netlab("down", lab)
                if number < 2:  # the line is gone that says which namespaces were made
                    is_left_alone(lab, said.code, said.err, command)
                    continue
                assert said.code in (0, 4) if command == "up" else said.code == 0, said
                assert "Traceback" not in said.err
                if said.code == 0 and command == "up":
                    assert differing(lab, wanted) == [], (number, length)
                if command == "up":
                    done("down", lab)
                assert nothing_is_left(lab), (number, length, command)


def is_left_alone(lab: str, code: int, err: str, command: str) -> None:
    """What nobody can prove to be the lab's is named, with the way out."""
    spaces = namespaces(lab)
    assert len(spaces) == 2
    if command == "up":
        assert code == 4
        assert f"`ip netns del {lab}.a` if nobody needs it" in err
    for ns in spaces:
        tool("ip", "netns", "del", ns)
    netlab("down", lab)
    assert nothing_is_left(lab)


GARBAGE = [b"\0" * 4096, b"garbage\n", b"7\n", b"\xff\xfe\n{", b"[]\n[]\n"]


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("behind", [False, True], ids=["instead", "behind"])
def test_a_journal_of_garbage(write: Write, lab: str, garbage: bytes, behind: bool) -> None:
    """It is told, and nothing is touched; what has no end is no line, wherever it comes from."""
    file = write(TEXT)
    done("up", file)
    wanted, whole = look(lab), journal(lab).read_bytes()
    journal(lab).write_bytes(whole + garbage if behind else garbage)
    if b"\n" in garbage:
        for words in (["up", file], ["down", lab], ["plan", file], ["show", lab], ["gc"]):
            said = netlab(*words)
            assert "Traceback" not in said.err, said
            if words != ["gc"]:
                assert (said.code, said.out) == (3, ""), said
                assert "the journal cannot be understood" in said.err
            if words[0] in ("up", "down", "plan"):
                way_out = f"`ip netns del` each {lab}.…, then remove {journal(lab).parent}"
                assert way_out in said.err
        assert differing(lab, wanted) == []
        assert journal(lab).read_bytes() == (whole + garbage if behind else garbage)
    journal(lab).write_bytes(whole)
    assert "is unchanged" in done("up", file)
