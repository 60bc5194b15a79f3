"""SIGINT, SIGTERM and SIGHUP: what was begun is walked back; going down is finished."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.live.conftest import Write
from tests.live.life import journal, nothing_of, seen, start
from tests.live.world import Said, done, eventually, netlab, snapshot

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]

TEXT = """\
routing: static
nodes:
  a:
  gw: {{kind: router}}
  {b}: {{exec: [ip link add mark address 02:00:00:00:00:aa type bridge{lines}]}}
links: [[a, gw], [{b}, gw]]
"""


def text(b: str = "b", lines: str = "") -> str:
    return TEXT.format(b=b, lines=lines)


def waiting(begun: Path) -> str:
    """A line that tells that it has begun, and never ends."""
    return f', "touch {begun}; while :; do sleep 1; done"'


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("number", SIGNALS)
def test_up_is_walked_back(
    write: Write, lab: str, tmp_path: Path, number: signal.Signals, times: int
) -> None:
    begun = tmp_path / "begun"
    file = write(text(lines=waiting(begun)))
    before = snapshot(lab)
    with start("up", file) as up:
        eventually(begun.exists, 20)
        for _ in range(times):
            up.send_signal(number)
        assert ended(up) == INTERRUPTED
    assert snapshot(lab) == before
    assert nothing_of(lab)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_change_is_walked_back(
    write: Write, lab: str, tmp_path: Path, number: signal.Signals
) -> None:
    """Also where that means to run the lines of a node that had been taken down again."""
    begun = tmp_path / "begun"
    file = write(text())
    done("up", file)
    before = seen(lab)
    write(text(b="c", lines=waiting(begun)))
    with start("up", file) as up:
        eventually(begun.exists, 20)
        up.send_signal(number)
        assert ended(up) == INTERRUPTED
    assert seen(lab) == before
    write(text())
    assert "is unchanged" in done("up", file)


def test_between_two_batches(write: Write, lab: str) -> None:
    many = "".join(f"  h{n}:\n" for n in range(250))
    links = "".join(f"  - [h{n}, h{n + 1}]\n" for n in range(249))
    file = write(f"nodes:\n{many}links:\n{links}")
    with start("up", file) as up:
        eventually(lambda: Path(f"/run/netlab/{lab}/journal").exists(), 20)
        up.send_signal(signal.SIGTERM)
        assert ended(up) == INTERRUPTED
    assert nothing_of(lab)


@pytest.mark.parametrize("number", SIGNALS)
def test_down_is_finished(write: Write, lab: str, number: signal.Signals) -> None:
    file = write("nodes:\n" + "".join(f"  h{n}:\n" for n in range(250)))
    done("up", file)
    size = len(journal(lab))
    with start("down", lab) as down:
        eventually(lambda: _has_begun(lab, size), 20)
        down.send_signal(number)
        down.send_signal(number)
        said = ended(down)
    assert nothing_of(lab)
    assert said.code in (0, -number, 130)  # what comes after the last step is too late
    assert "Error" not in said.err


def _has_begun(lab: str, size: int) -> bool:
    try:
        return len(journal(lab)) > size
    except FileNotFoundError:  # it has even ended
        return True


def test_what_was_ignored_stays_ignored(write: Write, lab: str, tmp_path: Path) -> None:
    """As under nohup."""
    begun = tmp_path / "begun"
    file = write(text(lines=f', "touch {begun}; while test -e {begun}; do sleep .05; done"'))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        up = start("up", file)
    finally:
        signal.signal(signal.SIGHUP, before)
    with up:
        eventually(begun.exists, 20)
        up.send_signal(signal.SIGHUP)
        begun.unlink()
        assert ended(up).code == 0
    assert netlab("down", lab).code == 0


INTERRUPTED = Said(130, "", "interrupted; everything is as it was before\n")


def ended(process: object) -> Said:
    out, err = process.communicate(timeout=60)  # type: ignore[attr-defined]
    return Said(process.returncode, out, err)  # type: ignore[attr-defined]
