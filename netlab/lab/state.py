"""The state directory: one directory a lab, safe to trust, one writer at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from netlab.errors import LabBusy, StateRefused

JOURNAL = "journal"

ANOTHER_BOOT = "the machine has been started anew since"

NOBODY = 65534
"""Whose everything is that belongs to no user of a user namespace (user_namespaces(7))."""

ORPHANED = 2.0
"""Seconds until a program that a killed netlab was just starting lets go of the lock."""


def labs(state: str) -> list[str]:
    """The labs that have a journal, by name."""
    try:
        _check(state)
        names = sorted(os.listdir(state))
    except FileNotFoundError:
        return []
    return [name for name in names if os.path.lexists(f"{state}/{name}/{JOURNAL}")]


def strays(state: str) -> list[str]:
    """All that lies in the state directory where a lab's directory would, whatever it is."""
    try:
        _check(state)
        return sorted(e.name for e in os.scandir(state) if not e.is_file(follow_symlinks=False))
    except FileNotFoundError:
        return []


def read_journal(state: str, lab: str) -> bytes | None:
    """The journal as it stands, without waiting for its writer; None where there is none."""
    try:
        _check(state)
        _check(f"{state}/{lab}")
        # without blocking: a pipe in its place is not waited for
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        fd = os.open(f"{state}/{lab}/{JOURNAL}", flags)
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise _refused(f"{state}/{lab}/{JOURNAL}", problem) from problem
    with os.fdopen(fd, "rb") as file:
        _check_stat(f"{state}/{lab}/{JOURNAL}", os.fstat(fd), stat.S_ISREG)
        return file.read()


@contextmanager
def held(state: str, lab: str, *, create: bool) -> Iterator[str | None]:
    """Be the lab's one writer; its directory, or None where there is none and none is made.

    An empty directory is taken away again at the end. Raises LabBusy, StateRefused.
    """
    fd = _lock(state, lab, create)
    if fd is None:
        yield None
        return
    try:
        yield f"{state}/{lab}"
    finally:
        with suppress(OSError):
            os.rmdir(f"{state}/{lab}")
        os.close(fd)


def _lock(state: str, lab: str, create: bool) -> int | None:
    path = f"{state}/{lab}"
    while True:
        if create:
            _make_state(state)
        try:
            _check(state)
            if create:
                _make(path)
            _check(path)
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            if create:
                continue  # another process has just tidied up
            return None
        if _locked(fd, lab) and _is_still(path, fd):
            return fd
        os.close(fd)


def _locked(fd: int, lab: str) -> bool:
    until = time.monotonic() + ORPHANED
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            holder = _holder(os.fstat(fd))
        if holder or time.monotonic() > until:
            os.close(fd)
            raise LabBusy(
                f"lab {lab} is being changed by {holder or 'another netlab process'}",
                hint="try again when it is done",
            )
        time.sleep(0.005)  # the kernel tells nobody who could be asked


def _is_still(path: str, fd: int) -> bool:
    """Whether the locked directory is the one of that name, not one just taken away."""
    try:
        return os.stat(path, follow_symlinks=False).st_ino == os.fstat(fd).st_ino
    except FileNotFoundError:
        return False


def _holder(held: os.stat_result) -> str:
    """Who has taken the lock, as /proc/locks has it (proc(5)); "" when they live no more."""
    device = os.major(held.st_dev), os.minor(held.st_dev)
    subject = "{:02x}:{:02x}:{}".format(*device, held.st_ino)
    with suppress(OSError), open("/proc/locks") as file:
        for line in file:
            words = line.split()
            if len(words) > 5 and words[1] == "FLOCK" and words[5] == subject:
                return f"process {words[4]}" if _lives(words[4]) else ""
    return ""


def _lives(pid: str) -> bool:
    """Not a zombie either, whose parent has not asked for it yet."""
    with suppress(OSError), open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] not in "ZX"
    return False


def _make_state(path: str) -> None:
    try:
        _make(path)
    except OSError as problem:
        message = f"{path} cannot be made: {problem.strerror}"
        raise StateRefused(message, hint=_way_out(path)) from problem


def _way_out(path: str) -> str:
    """Below /run there are the names of namespaces as well, which no variable moves."""
    from netlab.kernel.capabilities import OWN_RUN, is_root_of_few

    if not path.startswith("/run/"):
        return "set NETLAB_STATE to another directory"
    return OWN_RUN if is_root_of_few() else "mount -t tmpfs tmpfs /run; Docker: --tmpfs /run"


def _make(path: str) -> None:
    with suppress(FileExistsError):
        os.mkdir(path, 0o755)


def _check(path: str) -> None:
    """A directory of our own, that nobody else may write to, and no symbolic link."""
    _check_stat(path, os.stat(path, follow_symlinks=False), stat.S_ISDIR)


def _check_stat(path: str, found: os.stat_result, right: Callable[[int], bool]) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise StateRefused(f"{path} is a symbolic link", hint="remove it")
    if not right(found.st_mode):
        raise StateRefused(f"{path} is not what netlab would put there", hint="remove it")
    if found.st_uid not in (0, os.geteuid()):
        is_of_machine = found.st_uid == NOBODY and path.startswith("/run/")
        hint = _way_out(path) if is_of_machine else "remove it"
        raise StateRefused(f"{path} belongs to user {found.st_uid}", hint=hint)
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise StateRefused(
            f"{path} can be written to by others", hint=f"chmod go-w {path}, if you trust it"
        )


def _refused(path: str, problem: OSError) -> StateRefused:
    if problem.errno == errno.ELOOP:
        return StateRefused(f"{path} is a symbolic link", hint="remove it")
    return StateRefused(f"{path} cannot be read: {problem.strerror}")
