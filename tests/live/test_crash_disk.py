"""The state directory is on a disk that is full from some moment on, whichever it is.

A tmpfs of 256 KiB. What still fits into the last page of a file is written, as on any disk: the
lines of the long lab's journal are longer than a page, so that each of them fails in its turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from netlab.kernel import libc
from netlab.lab import apply
from tests.live.conftest import Write
from tests.live.crash import differing, look, moments, nothing_is_left, points, ran
from tests.live.test_crash_killed import BARE, BARE_CHANGED, BUSY, BUSY_CHANGED
from tests.live.world import Said, done

FULL = "No space left on device"
PAGE = 4096


def long_lab(letter: str) -> str:
    """n0 ── n1 ── … ── n7"""
    names = [f"a-node-of-a-rather-long-name-{n}" for n in range(8)]
    text = f"{{files: {{/etc/motd: {{text: {letter * 800}}}}}}}"
    nodes = "".join(f"  {name}: {text}\n" for name in names)
    links = "".join(f"  - [{a}, {b}]\n" for a, b in pairwise(names))
    return f"description: {letter * PAGE}\nrouting: static\nnodes:\n{nodes}links:\n{links}"


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    libc.mount("small", str(place), "tmpfs", 0, "size=256k,mode=0755")
    monkeypatch.setenv("NETLAB_STATE", str(place / "state"))
    yield place
    libc.detach(str(place))


def fill(place: Path) -> None:
    with suppress(OSError), (place / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(PAGE))


def free(place: Path) -> None:
    (place / "filler").unlink(missing_ok=True)


Happens = Callable[[int, str], object]


def at_line(nth: int, place: Path) -> Happens:
    seen = 0

    def happens(number: int, what: str) -> None:
        nonlocal seen
        seen += what == "before line"
        if what == "before line" and seen == nth:
            fill(place)

    return happens


def at_point(nth: int, place: Path) -> Happens:
    return lambda number, what: number == nth and fill(place)


def is_told(said: Said) -> bool:
    """A sentence, and the way out; whether it was refused."""
    assert said.code in (0, 3), said
    if said.code:
        assert FULL in said.err, said
        assert "set NETLAB_STATE to another directory" in said.err, said
        assert "Traceback" not in said.err, said
    return said.code != 0


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "BATCH", 28)


def test_no_line_of_up_can_be_written(write: Write, lab: str, disk: Path, few: None) -> None:
    file = write(long_lab("x"))
    lines = points("up", file).count("before line")
    written = (disk / "state" / lab / "journal").read_bytes().splitlines()
    assert len(written) == lines >= 4
    assert min(len(line) for line in written[1:]) > PAGE
    done("down", lab)
    for nth in range(1, lines + 1):
        said, _ = ran(at_line(nth, disk), "up", file)
        assert is_told(said), nth
        assert nothing_is_left(lab, f"{disk}/state"), nth
        free(disk)


def test_no_line_of_a_change_can_be_written(
    write: Write, lab: str, disk: Path, few: None
) -> None:
    done("up", write(long_lab("x")))
    wanted = look(lab, f"{disk}/state")
    lines = points("up", write(long_lab("y"))).count("before line")
    assert lines >= 2
    for nth in range(1, lines + 1):
        done("up", write(long_lab("x")))
        said, _ = ran(at_line(nth, disk), "up", write(long_lab("y")))
        assert is_told(said), nth
        free(disk)
        done("up", write(long_lab("x")))
        assert differing(lab, wanted, f"{disk}/state") == [], nth
    done("down", lab)


def test_no_line_of_down_can_be_written(write: Write, lab: str, disk: Path, few: None) -> None:
    file = write(long_lab("x"))
    done("up", file)
    lines = points("down", lab).count("before line")
    for nth in range(1, lines + 1):
        done("up", file)
        said, _ = ran(at_line(nth, disk), "down", lab)
        assert (said.code, said.err) == (0, ""), nth
        assert nothing_is_left(lab, f"{disk}/state"), nth
        free(disk)


LABS = {"bare": (BARE, BARE_CHANGED), "busy": (BUSY, BUSY_CHANGED)}


@pytest.mark.parametrize("name", LABS)
def test_full_at_any_point_of_up(write: Write, lab: str, disk: Path, name: str) -> None:
    """It comes up, or nothing of it is left."""
    file, refused = write(LABS[name][0]), 0
    every = moments("up", file)
    done("down", lab)
    for nth in every:
        said, _ = ran(at_point(nth, disk), "up", file)
        if is_told(said):
            refused += 1
            assert nothing_is_left(lab, f"{disk}/state"), nth
        else:
            done("down", lab)  # also on a full disk
            assert nothing_is_left(lab, f"{disk}/state"), nth
        free(disk)
    assert refused > 5


@pytest.mark.parametrize("name", LABS)
def test_full_at_any_point_of_a_change(write: Write, lab: str, disk: Path, name: str) -> None:
    """It is changed, or as it was."""
    old, new = LABS[name]
    done("up", write(old))
    wanted = look(lab, f"{disk}/state")
    every, refused = moments("up", write(new)), 0
    done("down", lab)
    for nth in every:
        done("up", write(old))
        said, _ = ran(at_point(nth, disk), "up", write(new))
        free(disk)
        if is_told(said):
            refused += 1
            done("up", write(old))
            assert differing(lab, wanted, f"{disk}/state") == [], nth
        done("down", lab)
        assert nothing_is_left(lab, f"{disk}/state"), nth
    assert refused > 1


@pytest.mark.parametrize("name", LABS)
def test_full_at_any_point_of_down(write: Write, lab: str, disk: Path, name: str) -> None:
    file = write(LABS[name][0])
    done("up", file)
    every = moments("down", lab)
    for nth in every:
        done("up", file)
        said, _ = ran(at_point(nth, disk), "down", lab)
        assert (said.code, said.err) == (0, ""), nth
        assert nothing_is_left(lab, f"{disk}/state"), nth
        free(disk)
