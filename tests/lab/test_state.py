"""The state directory is trusted only where nobody else could have written to it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from netlab.errors import LabBusy, StateRefused
from netlab.lab import state

Spoil = Callable[[Path], object]


def lab_in(directory: Path) -> Path:
    """A state directory with a lab ``l``."""
    there = directory / "state"
    (there / "l").mkdir(parents=True)
    (there / "l" / "journal").write_bytes(b"{}\n")
    return there


def _link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def _replaced_by_file(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.write_text("")


def _replaced_by_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _given_away(path: Path) -> None:
    if os.geteuid():
        pytest.skip("needs root")
    os.chown(path, 12345, -1)


SPOILT: dict[str, tuple[Spoil, str, str]] = {
    "a link": (_link, "{} is a symbolic link", "remove it"),
    "a file": (_replaced_by_file, "{} is not what netlab would put there", "remove it"),
    "another's": (_given_away, "{} belongs to user 12345", "remove it"),
    "open to the group": (
        lambda path: path.chmod(0o775),
        "{} can be written to by others", "chmod go-w {}, if you trust it",
    ),
    "open to all": (
        lambda path: path.chmod(0o757),
        "{} can be written to by others", "chmod go-w {}, if you trust it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("below", ["", "l"], ids=["the directory", "the lab's"])
@pytest.mark.parametrize("how", SPOILT)
def test_a_directory_that_is_not_safe_is_refused(how: str, below: str, tmp_path: Path) -> None:
    there = lab_in(tmp_path)
    spoil, sentence, hint = SPOILT[how]
    spoil(there / below if below else there)
    path = f"{there}/{below}" if below else str(there)
    for use in (_reads, _holds, _makes) if below else (_reads, _holds, _makes, state.labs):
        with pytest.raises(StateRefused) as refused:
            use(str(there))
        assert (str(refused.value), refused.value.hint) == (
            sentence.format(path), hint.format(path),
        )  # fmt: skip


@pytest.mark.parametrize("how", ["a link", "another's", "open to all"])
def test_a_journal_that_is_not_safe_is_refused(how: str, tmp_path: Path) -> None:
    there = lab_in(tmp_path)
    spoil, sentence, _ = SPOILT[how]
    spoil(there / "l" / "journal")
    with pytest.raises(StateRefused) as refused:
        _reads(str(there))
    assert str(refused.value) == sentence.format(f"{there}/l/journal")


def test_a_journal_that_is_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    there = lab_in(tmp_path)
    _replaced_by_fifo(there / "l" / "journal")
    with pytest.raises(StateRefused) as refused:
        _reads(str(there))
    assert str(refused.value) == f"{there}/l/journal is not what netlab would put there"


def _reads(there: str) -> object:
    return state.read_journal(there, "l")


def _holds(there: str) -> object:
    with state.held(there, "l", create=False) as directory:
        return directory


def _makes(there: str) -> object:
    with state.held(there, "l", create=True) as directory:
        return directory


def test_where_nothing_is_there_is_no_lab(tmp_path: Path) -> None:
    there = str(tmp_path / "state")
    assert (state.labs(there), state.strays(there), _reads(there), _holds(there)) == (
        [], [], None, None,
    )  # fmt: skip
    assert not os.path.exists(there)


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place, why in (("no/state", "No such file or directory"), ("file/s", "Not a directory")):
        with pytest.raises(StateRefused) as refused:
            _makes(f"{tmp_path}/{place}")
        assert str(refused.value) == f"{tmp_path}/{place} cannot be made: {why}"


def test_an_empty_directory_of_a_lab_goes_when_its_writer_goes(tmp_path: Path) -> None:
    there = str(tmp_path / "state")
    with state.held(there, "l", create=True) as directory:
        assert directory == f"{there}/l"
        assert state.strays(there) == ["l"]
        assert state.labs(there) == []
    assert state.strays(there) == []
    (tmp_path / "state" / "m").mkdir()
    (tmp_path / "state" / "m" / "journal").write_text("")
    _makes(there)
    assert state.labs(there) == ["m"]


def test_a_second_writer_is_told_who_is_the_first(tmp_path: Path) -> None:
    there = str(tmp_path / "state")
    with state.held(there, "l", create=True):
        with pytest.raises(LabBusy) as busy:
            _makes(there)
        assert str(busy.value) == f"lab l is being changed by process {os.getpid()}"
        assert busy.value.hint == "try again when it is done"
        with state.held(there, "m", create=True):
            assert state.strays(there) == ["l", "m"]
    _makes(there)


HOLDER = """
import sys
from netlab.lab import state
with state.held(sys.argv[1], "l", create=True):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_writer_that_is_killed_holds_nothing(tmp_path: Path) -> None:
    there = str(tmp_path / "state")
    command = [sys.executable, "-c", HOLDER, there]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LabBusy) as busy:
            _makes(there)
        assert str(busy.value) == f"lab l is being changed by process {holder.pid}"
        holder.kill()
        holder.wait()
    assert _makes(there) == f"{there}/l"
