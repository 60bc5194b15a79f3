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

from netlab.errors import MachineLacks
from netlab.kernel import capabilities, libc

MS_SHARED = 1 << 20
WAY_OUT = (
    "names of namespaces are kept there (ip-netns(8)); it must be a directory to write to, and "
    "mounts must be allowed (Docker with AppArmor: --security-opt apparmor=unconfined)"
)


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


@contextmanager
def in_use(directory: str) -> Iterator[None]:
    """Names are given and taken there, and nobody tidies it up meanwhile. Raises MachineLacks."""
    with _locked(os.path.dirname(directory), fcntl.LOCK_SH):
        try:
            prepare_directory(directory)
        except OSError as problem:
            why = f"{directory} cannot be used: {problem.strerror}"
            raise MachineLacks(why, hint=_way_out(problem)) from problem
        yield


def prepare_directory(directory: str) -> None:
    """Make it a shared mount, as the first ``ip netns add`` would, and remember who did."""
    os.makedirs(directory, mode=0o755, exist_ok=True)
    with _locked(directory, fcntl.LOCK_EX):  # as ip(8) does: else there are two mounts, then four
        try:
            libc.mount("", directory, "none", MS_SHARED | libc.MS_REC)
        except OSError as problem:
            if problem.errno != errno.EINVAL:
                raise
            with suppress(OSError):  # without it nobody will take the mount away
                os.close(os.open(_mark(directory), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
            libc.mount(directory, directory, "none", libc.MS_BIND | libc.MS_REC)
            libc.mount("", directory, "none", MS_SHARED | libc.MS_REC)
    for refusal in unwritable(directory):
        raise OSError(refusal, os.strerror(refusal))


def unwritable(directory: str) -> Iterator[int]:
    """Why nothing can be put there, as an error number; nothing where something can."""
    if os.statvfs(directory).f_flag & os.ST_RDONLY:
        yield errno.EROFS
    elif not os.access(directory, os.W_OK):
        yield errno.EACCES


def _way_out(problem: OSError) -> str:
    foreign = problem.errno in (errno.EACCES, errno.EPERM) and capabilities.is_root_of_few()
    return capabilities.OWN_RUN if foreign else WAY_OUT


def tidy_directory(directory: str, state: str) -> None:
    """Undo ``prepare_directory`` if netlab did it and nobody uses it; and the state directory.

    Each step is refused by the kernel while it would hurt: a busy mount, a directory in use.
    """
    with suppress(OSError):
        found = os.stat(state, follow_symlinks=False)
        others_may_write = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if found.st_uid == os.geteuid() and not others_may_write:  # else it has been refused
            os.rmdir(state)
    if not _is_left(directory):
        return
    with suppress(OSError), _locked(os.path.dirname(directory), fcntl.LOCK_EX | fcntl.LOCK_NB):
        if _is_left(directory):
            libc.unmount(directory)
            os.unlink(_mark(directory))
            os.rmdir(directory)


def _mark(directory: str) -> str:
    """A file beside it: netlab made it what it is, for whichever state directory."""
    return f"{directory}.netlab"


def _is_left(directory: str) -> bool:
    """Whether it is netlab's, and nobody's namespace is named there."""
    with suppress(OSError):
        return os.path.exists(_mark(directory)) and not os.listdir(directory)
    return False


@contextmanager
def _locked(directory: str, how: int) -> Iterator[None]:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, how)
        yield
    finally:
        os.close(fd)
