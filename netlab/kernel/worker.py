"""One thread that may stand in other namespaces, so that the main thread never has to."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from typing import TypeVar, cast

from netlab.errors import KernelRefused
from netlab.kernel import libc

T = TypeVar("T")

DEADLINE = 120.0
"""Seconds one call may take before the kernel counts as hung."""


class Worker:
    """Runs one job after the other; between jobs it stands in the namespace it came from."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="namespaces", daemon=True)
        self._thread.start()

    def call(self, job: Callable[[], T], deadline: float = DEADLINE) -> T:
        """Run ``job`` in the thread and wait; what it raises is raised here.

        Raises KernelRefused after ``deadline`` seconds: a kernel call hangs, and so does the
        thread, which cannot be ended.
        """
        done = threading.Event()
        result: list[object] = []
        failure: list[BaseException] = []

        def run() -> None:
            try:
                result.append(job())
            except BaseException as problem:
                failure.append(problem)
            finally:
                self._return()
                done.set()

        self._jobs.put(run)
        if not done.wait(deadline):
            raise KernelRefused(
                f"the kernel has not answered for {deadline:.0f} s",
                said="no answer",
                hint="see dmesg; `netlab down` clears the lab once the kernel answers again",
            )
        if failure:
            raise failure[0]
        return cast(T, result[0])

    def close(self) -> None:
        self._jobs.put(None)

    def _work(self) -> None:
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._here = True
        while (job := self._jobs.get()) is not None:
            job()
        os.close(self._home)

    def enter(self, fd: int) -> None:
        """Stand in the namespace of ``fd``; only within a job."""
        libc.setns(fd, libc.CLONE_NEWNET)
        self._here = False

    def unshare(self) -> int:
        """Stand in a fresh namespace; an fd of it."""
        libc.unshare(libc.CLONE_NEWNET)
        self._here = False
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def home(self) -> int:
        """An fd of the namespace the thread came from."""
        return self._home

    def _return(self) -> None:
        if not self._here:
            libc.setns(self._home, libc.CLONE_NEWNET)
            self._here = True
