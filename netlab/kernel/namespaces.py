"""A lab's namespaces: made without a name, named, entered only when they are provably the lab's."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from netlab.errors import KernelRefused
from netlab.kernel import names, processes
from netlab.kernel.identity import inode, is_here, is_there
from netlab.kernel.limits import most_fresh
from netlab.kernel.worker import Worker

if TYPE_CHECKING:
    from socket import socket

    from netlab.kernel.fresh import Fresh, Stock


class Namespaces:
    """What the worker's threads do with namespaces: all but ``own`` and ``identity`` runs there."""

    def __init__(self, directory: str, worker: Worker, stock: Stock | None = None) -> None:
        self._directory = directory
        self._worker = worker
        self._stock = stock
        self._inodes: dict[str, int] = {}
        self._fresh: dict[str, Fresh] = {}
        self._sysctls: Mapping[str, str] | None = None

    def own(self, inodes: Mapping[str, int]) -> None:
        self._inodes.update(inodes)
        for ns, told in inodes.items():
            if ns in self._fresh and self._fresh[ns].identity != told:
                self._let_go(ns)

    def identity(self, ns: str) -> int | None:
        """See ``netlab.kernel.identity``; None where it is not known."""
        return self._inodes.get(ns)

    def make(self, wanted: Iterable[str]) -> dict[str, int]:
        """Fresh and nameless, each with the baseline's sysctls; their inodes."""
        return {name: self._make(name) for name in wanted}

    def _make(self, name: str) -> int:
        self._let_go(name)  # a first try went wrong before it was named
        if len(self._fresh) >= most_fresh():  # it has its name, and is entered by that from now on
            self._let_go(next(iter(self._fresh)))
        fresh = self._stock.take() if self._stock else None
        if fresh is None:
            from netlab.kernel.fresh import Fresh

            with self._worker.elsewhere():
                fresh = Fresh(self._sysctls)
        self._sysctls = fresh.sysctls
        self._fresh[name] = fresh
        self._inodes[name] = fresh.identity
        return fresh.identity

    def _let_go(self, ns: str) -> None:
        if ns in self._fresh:
            self._fresh.pop(ns).close()

    def name(self, ns: str) -> None:
        """Raises KernelRefused where somebody else has a namespace of that name."""
        try:
            names.mount_name(self._directory, ns, self._fresh[ns].fd)
        except FileExistsError as problem:
            raise KernelRefused(
                "the kernel refused: File exists [EEXIST]",
                errno=errno.EEXIST,
                said="File exists",
                hint=f"somebody else made that one; `ip netns del {ns}` if nobody needs it",
            ) from problem

    def take(self, wanted: Collection[str]) -> None:
        """End the processes inside, then take the names away, of those that are the lab's."""
        known = [ns for ns in wanted if ns in self._inodes]
        ours = [ns for ns in known if self.is_ours(ns)]
        # where the name was taken by hand, a process may still hold the namespace
        mine = set(ours)
        nameless = {inode(self._inodes[ns]): ns for ns in known if ns not in mine}
        processes.end({inode(self._inodes[ns]) for ns in ours}, nameless)
        for ns in ours:  # all at a stretch: once the kernel cleans up, each takes ten times as long
            names.take_name(self._directory, ns)
        for ns in nameless.values():
            names.take_unfinished(self._directory, ns)
        for ns in known:
            self._let_go(ns)

    def is_ours(self, ns: str) -> bool:
        """Whether the namespace of that name is the one that netlab made."""
        if names.inode_of(self._directory, ns) != inode(self._inodes.get(ns, 0)):
            return False
        try:
            os.close(self._opened(ns))
        except (FileNotFoundError, KernelRefused):
            return False
        return True

    def open(self, ns: str) -> int:
        """Raises FileNotFoundError where it is gone, KernelRefused where it is not the lab's."""
        if ns in self._fresh:
            return os.dup(self._fresh[ns].fd)
        return self._opened(ns)

    def _opened(self, ns: str) -> int:
        """By its name, if it is the one."""
        fd = os.open(f"{self._directory}/{ns}", os.O_RDONLY | os.O_CLOEXEC)
        told = self._inodes.get(ns, 0)
        if os.fstat(fd).st_ino == inode(told) and self._is(fd, told):
            return fd
        os.close(fd)
        raise KernelRefused(
            f"namespace {ns} is not the one that netlab made",
            said="somebody else's namespace",
            hint=f"it is left alone; `ip netns del {ns}` if nobody needs it",
        )

    def _is(self, fd: int, told: int) -> bool:
        answer = is_there(fd, told)
        if answer is None:
            self._worker.enter(fd)
            answer = is_here(told)
        return answer

    @contextmanager
    def inside(self, ns: str) -> Iterator[None]:
        """The thread stays there until it enters another one or its job ends."""
        fd = self.open(ns)
        try:
            self._worker.enter(fd)
        finally:
            os.close(fd)
        yield

    @contextmanager
    def socket(self, ns: str) -> Iterator[socket]:
        """One that speaks to it; the thread may have to go there, and then stays."""
        fresh = self._fresh.get(ns)
        if fresh is not None:
            yield fresh.socket
            return
        from netlab.kernel.wire import open_socket

        with self.inside(ns), open_socket() as sock:
            yield sock

    def close(self) -> None:
        """Those that never got a name end here."""
        for ns in list(self._fresh):
            self._let_go(ns)
