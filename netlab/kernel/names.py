"""Names of namespaces: files under /run/netns with the namespace mounted on them.

The directory is kept as iproute2 keeps it (ip-netns(8), ``iproute2/ip/ipnetns.c``): a shared mount
of its own, so that names are seen, and go, in every mount namespace alike.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

from netlab.kernel import libc

MS_SHARED = 1 << 20
MARK = ".netns-mounted"
"""A file of the state directory: netlab itself made /run/netns what it is."""


def mount_name(directory: str, name: str, fd: int) -> None:
    """Give the namespace of ``fd`` a name. Raises FileExistsError where there is one already."""
    path = f"{directory}/{name}"
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
    try:
        libc.mount(f"/proc/self/fd/{fd}", path, "none", libc.MS_BIND)
    except OSError:
        os.unlink(path)
        raise


def take_name(directory: str, name: str) -> None:
    """Take the name away; the namespace lives on while anything holds it."""
    path = f"{directory}/{name}"
    while True:  # it may be mounted more than once
        try:
            libc.detach(path)
        except OSError as problem:
            if problem.errno not in (errno.EINVAL, errno.ENOENT):  # EINVAL: nothing mounted there
                raise
        try:
            os.unlink(path)
            return
        except FileNotFoundError:
            return
        except OSError as problem:
            if problem.errno != errno.EBUSY:
                raise


def take_unfinished(directory: str, name: str) -> None:
    """Take away a file that was to become a name, or had been one, when netlab was killed."""
    if inode_of(directory, name) == 0:
        path = f"{directory}/{name}"
        with suppress(OSError):  # EBUSY: something else is mounted there
            found = os.lstat(path)
            if stat.S_ISREG(found.st_mode) and not found.st_size:
                os.unlink(path)


def inode_of(directory: str, name: str) -> int | None:
    """The inode of a named namespace; None where there is none; 0 for a file that is no mount."""
    try:
        found = os.stat(f"{directory}/{name}")
    except FileNotFoundError:
        return None
    return found.st_ino if found.st_dev == _nsfs() else 0


@cache
def _nsfs() -> int:
    """The file system of namespaces, by its device number."""
    return os.stat("/proc/self/ns/net").st_dev


def prepare_directory(directory: str, state: str) -> None:
    """Make it a shared mount, as the first ``ip netns add`` would, and remember who did."""
    with _alone(state):
        os.makedirs(directory, mode=0o755, exist_ok=True)
        try:
            libc.mount("", directory, "none", MS_SHARED | libc.MS_REC)
            return
        except OSError as problem:
            if problem.errno != errno.EINVAL:
                raise
        with open(f"{state}/{MARK}", "w"):
            libc.mount(directory, directory, "none", libc.MS_BIND | libc.MS_REC)
        libc.mount("", directory, "none", MS_SHARED | libc.MS_REC)


def tidy_directory(directory: str, state: str) -> None:
    """Undo ``prepare_directory`` if netlab did it and nobody uses it; then the state directory.

    Each step is refused by the kernel while it would hurt: a busy mount, a directory in use.
    """
    with suppress(FileNotFoundError, NotADirectoryError), _alone(state) as found:
        if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return  # it has been refused, and is not ours to take away
        names = os.listdir(state)
        if names == [MARK] and not os.listdir(directory):
            with suppress(OSError):
                libc.unmount(directory)
                os.unlink(f"{state}/{MARK}")
                os.rmdir(directory)
        with suppress(OSError):
            os.rmdir(state)


@contextmanager
def _alone(state: str) -> Iterator[os.stat_result]:
    fd = os.open(state, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield os.fstat(fd)
    finally:
        os.close(fd)
