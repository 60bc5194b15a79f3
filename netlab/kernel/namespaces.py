"""A lab's namespaces: made without a name, named, entered only when they are provably the lab's."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager

from netlab.errors import KernelRefused
from netlab.kernel import baseline, names, processes
from netlab.kernel.worker import Worker

MOST_OPEN = 200

_OTHER_FILES = 48


def most_open() -> int:
    """How many namespaces may be held open at once, beside all else that this process has open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(2, min(MOST_OPEN, soft - _OTHER_FILES))


class Namespaces:
    """What the worker's thread does with namespaces; every method but ``own`` runs there."""

    def __init__(self, directory: str, worker: Worker) -> None:
        self._directory = directory
        self._worker = worker
        self._inodes: dict[str, int] = {}
        self._nameless: dict[str, int] = {}
        self._sysctls: dict[str, str] | None = None

    def own(self, inodes: Mapping[str, int]) -> None:
        self._inodes.update(inodes)

    def make(self, wanted: Iterable[str]) -> dict[str, int]:
        """Fresh and nameless, each with the baseline's sysctls; their inodes."""
        return {name: self._make(name) for name in wanted}

    def _make(self, name: str) -> int:
        if name in self._nameless:  # a first try went wrong before it was named
            os.close(self._nameless.pop(name))
        self._nameless[name] = fd = self._worker.unshare()
        if self._sysctls is None:
            self._sysctls = baseline.differing()
        for sysctl, value in self._sysctls.items():
            baseline.write(sysctl, value)
        self._inodes[name] = inode = os.fstat(fd).st_ino
        return inode

    def name(self, ns: str) -> None:
        """Raises KernelRefused where somebody else has a namespace of that name."""
        fd = self._nameless.pop(ns)
        try:
            names.mount_name(self._directory, ns, fd)
        except FileExistsError as problem:
            raise KernelRefused(
                "the kernel refused: File exists [EEXIST]",
                errno=errno.EEXIST,
                said="File exists",
                hint=f"somebody else made that one; `ip netns del {ns}` if nobody needs it",
            ) from problem
        finally:
            os.close(fd)

    def take(self, wanted: Collection[str]) -> None:
        """End the processes inside, then take the names away, of those that are the lab's."""
        known = [ns for ns in wanted if ns in self._inodes]
        ours = [ns for ns in known if self.is_ours(ns)]
        # where the name was taken by hand, a process may still hold the namespace
        nameless = {self._inodes[ns]: ns for ns in known if ns not in ours}
        processes.end({self._inodes[ns] for ns in ours}, nameless)
        for ns in ours:
            names.take_name(self._directory, ns)
        for ns in known:
            names.take_unfinished(self._directory, ns)

    def is_ours(self, ns: str) -> bool:
        inode = names.inode_of(self._directory, ns)
        return inode is not None and inode == self._inodes.get(ns)

    def open(self, ns: str) -> int:
        """Raises FileNotFoundError where it is gone, KernelRefused where it is not the lab's."""
        fd = os.open(f"{self._directory}/{ns}", os.O_RDONLY | os.O_CLOEXEC)
        if os.fstat(fd).st_ino == self._inodes.get(ns):
            return fd
        os.close(fd)
        raise KernelRefused(
            f"namespace {ns} is not the one that netlab made",
            said="somebody else's namespace",
            hint=f"it is left alone; `ip netns del {ns}` if nobody needs it",
        )

    @contextmanager
    def inside(self, ns: str) -> Iterator[None]:
        """The thread stays there until it enters another one or its job ends."""
        fd = self.open(ns)
        try:
            self._worker.enter(fd)
        finally:
            os.close(fd)
        yield

    def close(self) -> None:
        """Those that never got a name end here."""
        for fd in self._nameless.values():
            os.close(fd)
        self._nameless.clear()
