"""What a journal goes through: cut at every byte, a disk that is full from some line on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from netlab.kernel import libc
from netlab.lab import apply
from tests.live.conftest import Write
from tests.live.crash import look, nothing_is_left, points, ran
from tests.live.world import done, netlab

TEXT = """\
nodes: {a: , b: {exec: ["true"]}}
links: [["a:e 10.0.0.1/24", "b:e 10.0.0.2/24"]]
"""
CHANGED = TEXT.replace("10.0.0.2", "10.0.0.3")


@pytest.fixture(autouse=True)
def _several_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "BATCH", 4)


def journal(lab: str) -> Path:
    return Path(f"/run/netlab/{lab}/journal")


def test_a_journal_cut_at_any_byte_of_its_last_line_still_takes_the_lab_down(
    write: Write, lab: str
) -> None:
    file = write(TEXT)
    done("up", file)
    whole = journal(lab).read_bytes()
    start = whole[:-1].rfind(b"\n") + 1
    done("down", lab)
    for length in range(start, len(whole)):
        done("up", file)
        now = journal(lab).read_bytes()
        journal(lab).write_bytes(now[: len(now) - (len(whole) - length)])
        done("down", lab)
        assert nothing_is_left(lab), length


def test_a_journal_cut_at_any_byte_of_its_last_line_still_brings_the_lab_up(
    write: Write, lab: str
) -> None:
    file = write(TEXT)
    done("up", file)
    wanted = look(lab)
    whole = journal(lab).read_bytes()
    last = whole[:-1].rfind(b"\n") + 1
    for length in range(last, len(whole), 3):
        now = journal(lab).read_bytes()
        journal(lab).write_bytes(now[: len(now) - (len(whole) - length)])
        done("up", file)
        assert look(lab) == wanted, length


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state directory on a disk of its own, which a file ``filler`` can fill."""
    place = tmp_path / "disk"
    place.mkdir()
    libc.mount("small", str(place), "tmpfs", 0, "size=256k,mode=0755")
    monkeypatch.setenv("NETLAB_STATE", str(place / "state"))
    yield place
    libc.detach(str(place))


def fill(place: Path) -> None:
    with suppress(OSError), (place / "filler").open("wb", buffering=0) as filler:
        for size in (4096, 64, 1):
            with suppress(OSError):
                while True:
                    filler.write(b"x" * size)


@pytest.mark.parametrize("command", ["up", "a change", "down"])
def test_a_disk_that_is_full_from_any_line_on_leaves_what_down_can_clear(
    command: str, write: Write, lab: str, small: Path
) -> None:
    state = str(small / "state")

    def begin() -> tuple[str | Path, ...]:
        file = write(TEXT)
        if command != "up":
            done("up", file)
        if command == "a change":
            write(CHANGED)
        return ("down", lab) if command == "down" else ("up", file)

    lines = points(*begin()).count("before line")
    assert lines
    for nth in range(1, lines + 1):
        if os.path.lexists(f"{state}/{lab}"):
            done("down", lab)
        words = begin()
        seen = 0

        def happens(number: int, what: str, nth: int = nth) -> None:
            nonlocal seen
            seen += what == "before line"
            if what == "before line" and seen == nth:
                fill(small)

        said, _ = ran(happens, *words)
        assert said.code in (0, 3, 4), said
        assert "Traceback" not in said.err, said
        (small / "filler").unlink()
        if os.path.lexists(f"{state}/{lab}"):
            assert netlab("down", lab).code == 0
        assert nothing_is_left(lab, state), nth
