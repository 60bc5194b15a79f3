"""Threads that may stand in other namespaces, so that the main thread never has to."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from netlab.errors import KernelRefused
from netlab.kernel import libc

T = TypeVar("T")

DEADLINE = 120.0
"""Seconds one call may take before the kernel counts as hung."""

SHORT = 0.01
"""Seconds a call may take when all threads hang: one of them may just have come back."""

THREADS = 2
"""As many as help: what they ask for mostly waits for one lock of the kernel's, the RTNL."""


class Job(Generic[T]):
    """Something that a thread does, and how it ends."""

    def __init__(self, act: Callable[[], T]) -> None:
        self._act = act
        self._done = threading.Event()
        self._result: list[T] = []
        self._failure: BaseException | None = None
        self.is_given_up = False
        """Nobody waits for it any more: where it has not begun, it never will."""

    def run(self) -> None:
        try:
            self._result.append(self._act())
        except BaseException as problem:
            self._failure = problem

    def end(self) -> None:
        self._done.set()

    def has_ended(self, within: float) -> bool:
        """Waits so many seconds at most."""
        return self._done.wait(within)

    def result(self) -> T:
        """What it returned, once it has ended; what it raised is raised here."""
        if self._failure is not None:
            raise self._failure
        return self._result[0]


class Worker:
    """Runs jobs; between two of them a thread stands in the namespace it came from.

    A job that takes longer than ``deadline`` seconds hangs in the kernel, and so does its thread,
    which cannot be ended. When all do, nobody is waited for any more.
    """

    def __init__(self, threads: int = THREADS, deadline: float = DEADLINE) -> None:
        self._deadline = deadline
        self._hanging: set[Job[Any]] = set()
        self._jobs: queue.SimpleQueue[Job[object] | None] = queue.SimpleQueue()
        self._here = threading.local()
        self._threads = [
            threading.Thread(target=self._work, name="namespaces", daemon=True)
            for _ in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def call(self, act: Callable[[], T]) -> T:
        """Run it in a thread and wait; see ``wait``."""
        return self.wait(self.begin(act))

    def wait(self, job: Job[T]) -> T:
        """For its end, and its result. Raises KernelRefused where it does not come."""
        if not job.has_ended(self._patience()):
            self._hanging.add(job)
            job.is_given_up = True
        if job.has_ended(0.0):  # also in this very moment
            self._hanging.discard(job)
        else:
            raise KernelRefused(
                f"the kernel has not answered for {self._deadline:.0f} s",
                said="no answer",
                hint="see dmesg; `netlab down` clears the lab once the kernel answers again",
            )
        return job.result()

    def begin(self, act: Callable[[], T]) -> Job[T]:
        """Run it in a thread, and do not wait yet."""
        job = Job(act)
        self._jobs.put(job)  # type: ignore[arg-type]
        return job

    def share(self, acts: Sequence[Callable[[], object]]) -> None:
        """Run all, side by side; raises what the first that failed raised, when all have ended."""
        failure: BaseException | None = None
        for job in [self.begin(act) for act in acts]:
            try:
                self.wait(job)
            except BaseException as problem:
                failure = failure or problem
        if failure is not None:
            raise failure

    def close(self) -> None:
        for _ in self._threads:
            self._jobs.put(None)

    def _patience(self) -> float:
        """Seconds."""
        return SHORT if len(self._hanging) >= len(self._threads) else self._deadline

    def _work(self) -> None:
        self._here.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._here.is_away = False
        while (job := self._jobs.get()) is not None:
            if not job.is_given_up:
                job.run()
                self._return()
                job.end()
            self._hanging.discard(job)
        os.close(self._here.home)

    def enter(self, fd: int) -> None:
        """Stand in the namespace of ``fd``; only within a job."""
        libc.setns(fd, libc.CLONE_NEWNET)
        self._here.is_away = True

    def unshare(self) -> int:
        """Stand in a fresh namespace; an fd of it."""
        libc.unshare(libc.CLONE_NEWNET)
        self._here.is_away = True
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    @contextmanager
    def elsewhere(self) -> Iterator[None]:
        """What the job calls moves its thread into another namespace."""
        self._here.is_away = True
        yield

    def _return(self) -> None:
        if self._here.is_away:
            libc.setns(self._here.home, libc.CLONE_NEWNET)
            self._here.is_away = False
