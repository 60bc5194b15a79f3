"""A lab that ends by itself: when a time is over, or a process that it is for has ended.

A small process of its own waits for that, and takes the lab down as ``netlab down`` does. It ends
with the lab, whoever takes it down.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from netlab.errors import LabBusy, LabNotFound, NetlabError, UsageError
from netlab.kernel.supervisor.logs import Watch
from netlab.lab import glance, state

if TYPE_CHECKING:
    from netlab.lab.lifecycle import Done

AGAIN = 0.2
"""Seconds until one tries again where somebody is changing the lab."""


def check(*owners: int) -> None:
    """Before anything is made. Raises UsageError where there is no such process."""
    with _opened(owners):
        pass


def begin(here: str, done: Done, owners: Sequence[int] = (), seconds: float = 0.0) -> None:
    """For a lab that has come up in that state directory; it goes with the first of its owners.

    Raises UsageError for no process.
    """
    if not owners and not seconds:
        return
    _start([here, done.lab, repr(done.summary.since), repr(seconds)], owners)


def keep(here: str, prefix: str, owners: Sequence[int]) -> None:
    """For all labs whose names begin so, those to come as well, with one process for all of them.

    They go with the first of the owners. Raises UsageError for no process.
    """
    _start([here, prefix], owners)


def _start(words: Sequence[str], owners: Sequence[int]) -> None:
    with _opened(owners) as files:
        subprocess.Popen(
            [sys.executable, "-m", __name__, *words, "--", *map(str, files)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=files,
            start_new_session=True,
            cwd="/",
        )


@contextmanager
def _opened(owners: Iterable[int]) -> Iterator[list[int]]:
    """A descriptor each, which can be read when the process has ended."""
    files: list[int] = []
    try:
        for owner in owners:
            files.append(_pidfd(owner))
        yield files
    finally:
        for file in files:
            os.close(file)


def _pidfd(owner: int) -> int:
    try:
        return os.pidfd_open(owner)
    except OSError as problem:
        raise UsageError(f"there is no process {owner}: {problem.strerror}") from None


def main(words: list[str]) -> None:
    end = words.index("--")
    owners = [int(word) for word in words[end + 1 :]]
    match words[:end]:
        case [here, prefix]:
            _wait_for_any(owners)
            for lab in state.labs(here):
                if lab.startswith(prefix):
                    with suppress(NetlabError):  # nobody is there to be told; the others go
                        _take_down(here, lab)
        case [here, lab, since, seconds]:
            if _is_time(here, lab, float(since), float(seconds), owners):
                _take_down(here, lab)


def _wait_for_any(owners: Sequence[int]) -> None:
    waiting = select.poll()
    for owner in owners:
        waiting.register(owner, select.POLLIN)
    waiting.poll()


def _is_time(here: str, lab: str, since: float, seconds: float, owners: Sequence[int]) -> bool:
    """Wait. Whether the lab is to go; else it has gone by itself."""
    until = time.monotonic() + seconds if seconds else None
    watch = Watch()
    with suppress(FileNotFoundError):
        watch.add(f"{here}/{lab}/{state.JOURNAL}")
    waiting = select.poll()
    waiting.register(watch.fd, select.POLLIN)
    for owner in owners:
        waiting.register(owner, select.POLLIN)
    while _is_still(here, lab, since):
        left = None if until is None else max(0.0, until - time.monotonic())
        if left == 0.0:
            return True
        for fd, _ in waiting.poll(None if left is None else left * 1000):
            if fd in owners:
                return True
            watch.changed()
    return False


def _is_still(here: str, lab: str, since: float) -> bool:
    """Whether it is the one that came up then; while it is changed, it counts as that."""
    try:
        raw = state.read_journal(here, lab)
        found = glance.summary_of(raw) if raw else None
    except NetlabError:
        return False
    return found is not None and (found[1] is None or found[1].since == since)


def _take_down(here: str, lab: str) -> None:
    from netlab.kernel.machine import LinuxMachine
    from netlab.lab import lifecycle

    while True:
        try:
            lifecycle.down(lifecycle.Ground(LinuxMachine(here), here), lab)
            return
        except LabNotFound:
            return
        except LabBusy:
            time.sleep(AGAIN)


if __name__ == "__main__":
    main(sys.argv[1:])
