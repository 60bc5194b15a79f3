"""Namespaces made ahead: whatever goes wrong, no thread, no file, no namespace stays."""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from netlab.cli import work
from netlab.cli.main import run
from netlab.kernel import libc, limits
from netlab.kernel.fresh import Stock
from tests.live.conftest import Write
from tests.live.crash import differing, look, moments, nothing_is_left, ran
from tests.live.world import Said, done, eventually, netlab

MANY = work.MANY_NODES + 10


def many(more: str = "") -> str:
    """n0 ── n1 ── … : so many that their namespaces are begun with while the file is read."""
    nodes = "".join(f"  n{n}:\n" for n in range(MANY))
    links = "".join(f"  - [n{n}, n{n + 1}]\n" for n in range(MANY - 1))
    return f"{more}nodes:\n{nodes}links:\n{links}"


def held() -> tuple[int, list[str], float, int]:
    """Open files, threads, how often threads take turns, namespaces that a thread stands in."""
    eventually(lambda: not {"namespaces", "stock"} & {t.name for t in threading.enumerate()})
    with suppress(AssertionError):  # a thread that has ended may still be seen in /proc
        eventually(lambda: len(spaces()) == 1, 2)
    names = sorted(thread.name for thread in threading.enumerate())
    return len(os.listdir("/proc/self/fd")), names, sys.getswitchinterval(), len(spaces())


def spaces() -> set[int]:
    with suppress(FileNotFoundError):
        return {os.stat(f"{task}/ns/net").st_ino for task in Path("/proc/self/task").iterdir()}
    return set()


@pytest.fixture
def nothing_grows(write: Write, lab: str) -> Iterator[None]:
    netlab("up", write("nodes: [\n"))
    before = held()
    yield
    assert held() == before
    assert nothing_is_left(lab)


@pytest.mark.usefixtures("nothing_grows")
def test_a_file_that_turns_out_to_be_wrong(write: Write, lab: str) -> None:
    said = netlab("up", write(many() + "  - [n0, nowhere]\n"))
    assert said.code == 2
    assert "unknown node 'nowhere'" in said.err


@pytest.mark.usefixtures("nothing_grows")
def test_a_refusal_of_the_state_directory(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state").mkdir()
    os.chmod(tmp_path / "state", 0o777)
    monkeypatch.setenv("NETLAB_STATE", str(tmp_path / "state"))
    assert netlab("up", write(many())).code == 3


@pytest.mark.usefixtures("nothing_grows")
def test_a_line_that_fails_after_all_was_made(write: Write) -> None:
    text = many().replace("  n7:\n", "  n7: {exec: ['false']}\n")
    said = netlab("up", write(text))
    assert said.code == 4
    assert "exit code 1" in said.err


PLACES = ("model.reader.Reader.topology", "plan.check.check", "plan.compile.compile_topology")


@pytest.mark.usefixtures("nothing_grows")
@pytest.mark.parametrize("place", PLACES)
def test_control_c_while_the_file_is_read(
    write: Write, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is typed when the namespaces are already being made."""
    threads: list[str] = []

    def typed(*words: object, **more: object) -> object:
        threads.extend(thread.name for thread in threading.enumerate())
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("a KeyboardInterrupt comes first")

    monkeypatch.setattr(f"netlab.{place}", typed)
    assert run(["up", str(write(many()))]) == 130
    assert "stock" in threads


@pytest.mark.usefixtures("nothing_grows")
def test_a_stock_that_nobody_wants_or_that_runs_dry(monkeypatch: pytest.MonkeyPatch) -> None:
    Stock(20).close()
    stock = Stock(3)
    taken = [stock.take() for _ in range(5)]
    assert [one is None for one in taken] == [False, False, False, True, True]
    stock.close()
    for one in taken:
        if one is not None:
            one.close()


@pytest.mark.usefixtures("nothing_grows")
def test_when_no_more_namespaces_can_be_made(
    write: Write, lab: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the thread that makes them ahead, and then by whoever asks: it is told."""
    left = [MANY // 2]
    unshare = libc.unshare

    def limited(kinds: int) -> None:
        if threading.current_thread().name == "stock" or not left[0]:
            left[0] -= 1
            if left[0] < 0:
                left[0] = 0
                raise OSError(28, os.strerror(28))  # as /proc/sys/user/max_net_namespaces does
        unshare(kinds)

    monkeypatch.setattr(libc, "unshare", limited)
    said = netlab("up", write(many()))
    assert (said.code, said.out) == (4, ""), said
    assert "No space left on device [ENOSPC]" in said.err
    assert "Traceback" not in said.err


@pytest.fixture
def limit() -> Iterator[Callable[[int, int], None]]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda soft, hard: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_what_is_started_has_the_limit_of_open_files_there_was(
    write: Write, lab: str, limit: Callable[[int, int], None], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """netlab's own is raised; a line of the topology, a process, an exec get the caller's."""
    monkeypatch.setattr(limits, "_soft_limit", [])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit(700, hard)
    line, process = tmp_path / "line", tmp_path / "process"
    run_line = f"run: 'ulimit -Sn > {process}; sleep 600', ready: {{file: {process}}}"
    node = f"{{exec: ['ulimit -Sn > {line}'], processes: {{p: {{{run_line}}}}}}}"
    done("up", write(f"nodes: {{a: {node}}}\n"))
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == hard
    assert (line.read_text(), process.read_text()) == ("700\n", "700\n")
    done("down", lab)


def test_a_kill_or_a_signal_while_they_are_made_and_named(write: Write, lab: str) -> None:
    """At some points of a lab of sixty nodes, of which two threads do a half each."""
    file = write(many())
    every = moments("up", file)
    wanted = look(lab)
    done("down", lab)
    for number in every[1 :: len(every) // 7]:
        said, _ = ran(sends(signal.SIGTERM, number), "up", file)
        if said.code:
            assert said == Said(130, "", "interrupted; everything is as it was before\n")
            assert nothing_is_left(lab), number
        ran(sends(signal.SIGKILL, number), "up", file)
        if number % 2:
            netlab("down", lab)
            assert nothing_is_left(lab), number
            ran(sends(signal.SIGKILL, number), "up", file)
        done("up", file)
    assert differing(lab, wanted) == []


def sends(sort: int, at: int) -> Callable[[int, str], None]:
    def happens(number: int, what: str) -> None:
        if number == at:
            os.kill(os.getpid(), sort)

    return happens
