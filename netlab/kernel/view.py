"""The file tree as a program in a node sees it: its own /sys, its own files in /etc and elsewhere.

Everything here happens in a mount namespace that the caller has made private, and goes with it:
the disk is not written to, and nothing is left when the last program of that namespace ends.
"""

from __future__ import annotations

import os

from netlab.kernel import libc

TYPE_CHECKING = False
if TYPE_CHECKING:  # module typing would cost a third of the time it takes to start a program
    from collections.abc import Sequence
    from typing import TypeAlias

    File: TypeAlias = tuple[str, str, int]
    """``(path, text, mode)``"""


def fresh_sysfs() -> None:
    """A /sys of this network namespace, with the mounts below the old one (cgroup, bpf) kept."""
    readonly = os.statvfs("/sys").f_flag & os.ST_RDONLY
    flags = libc.MS_NOSUID | libc.MS_NODEV | libc.MS_NOEXEC
    with _Kept("/sys"):
        libc.mount("sysfs", "/sys", "sysfs", flags | (libc.MS_RDONLY if readonly else 0))


def lay_files(files: Sequence[File], stage: str) -> None:
    """Show each file at its path, as a private copy; ``stage`` is any directory to work on.

    A file that exists is covered by a bind mount. One that does not needs a directory which can
    hold it: an overlay over the nearest one that is there.
    """
    if not files:
        return
    libc.mount("netlab", stage, "tmpfs", libc.MS_NOSUID | libc.MS_NODEV, "mode=0755")
    work = os.open(stage, os.O_PATH | os.O_CLOEXEC)
    try:
        missing = [file for file in files if not os.path.exists(file[0])]
        for file in sorted(missing, key=lambda f: len(nearest(f[0]))):
            _add(file, f"/proc/self/fd/{work}")
        for number, (path, text, mode) in enumerate(f for f in files if f not in missing):
            copy = f"/proc/self/fd/{work}/{number}"
            _write(copy, text, mode)
            libc.bind(copy, os.path.realpath(path))
    finally:
        os.close(work)
        libc.detach(stage)


def unshowable(path: str) -> str:
    """Why no file can be shown there on this machine; "" where one can."""
    above = os.path.dirname(path)
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    if not os.path.isdir(above):
        return f"{above} is a file: {path} cannot be below it"
    if os.path.isdir(path):
        return f"{path} is a directory"
    if not os.path.exists(path) and os.stat(above).st_dev == _procfs():
        return f"there is no {path}: nothing can be added to /proc"
    return ""


def _procfs() -> int:
    """The file system of /proc, by its device number; 0 where none is mounted."""
    return os.stat("/proc").st_dev if os.path.exists("/proc/self") else 0


def _add(file: File, work: str) -> None:
    path, text, mode = file
    directory = nearest(path)
    overlays = f"{work}/overlays"
    os.makedirs(overlays, exist_ok=True)
    if str(os.stat(directory).st_dev) not in os.listdir(overlays):
        _overlay(directory, work, len(os.listdir(overlays)))
        os.mkdir(f"{overlays}/{os.stat(directory).st_dev}")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.islink(path):  # it points nowhere: the place it names is not ours to invent
        os.unlink(path)
    _write(path, text, mode)


def _overlay(directory: str, work: str, number: int) -> None:
    """Make ``directory`` writable without writing to it."""
    upper, scratch = f"{work}/upper{number}", f"{work}/scratch{number}"
    os.mkdir(upper)
    os.mkdir(scratch)
    found = os.stat(directory)
    _give(upper, found)
    os.chmod(upper, found.st_mode & 0o7777)
    lower = os.open(directory, os.O_PATH | os.O_CLOEXEC)
    options = f"lowerdir=/proc/self/fd/{lower},upperdir={upper},workdir={scratch}"
    try:
        if directory == "/":
            _new_root(f"{work}/root", options)
        else:
            with _Kept(directory):
                _mount_overlay(directory, options)
    finally:
        os.close(lower)


def _give(path: str, like: os.stat_result) -> None:
    from errno import EINVAL

    try:
        os.chown(path, like.st_uid, like.st_gid)
    except OSError as refusal:
        if refusal.errno != EINVAL:  # whom a user namespace does not know, nothing can be given
            raise


def _new_root(place: str, options: str) -> None:
    """A mount on / hides nothing from who is already inside, so the overlay becomes the root."""
    os.mkdir(place)
    old = _held(_mounts_below("/"))
    _mount_overlay(place, options)
    _put_back(old, place)
    _chroot(place)
    os.chdir("/")


def _chroot(place: str) -> None:
    try:
        os.chroot(place)
    except PermissionError as refusal:
        from netlab.errors import MachineLacks

        raise MachineLacks(
            "a file in / that the machine does not have needs chroot(2)",
            hint="root needs CAP_SYS_CHROOT; a container needs --cap-add CAP_SYS_CHROOT",
        ) from refusal


def _mount_overlay(target: str, options: str) -> None:
    from errno import ENODEV

    try:
        libc.mount("overlay", target, "overlay", 0, options)
    except OSError as refusal:
        if refusal.errno != ENODEV:
            raise
        from netlab.errors import MachineLacks

        raise MachineLacks(
            f"a file in {target} that the machine does not have needs overlayfs, "
            "which this kernel lacks (CONFIG_OVERLAY_FS)",
            hint="modprobe overlay, or make an empty file there first",
        ) from refusal


class _Kept:
    """What is mounted below a directory, there again after something has covered it."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def __enter__(self) -> None:
        self._fds = _held(_mounts_below(self._directory))

    def __exit__(self, failure: object, *rest: object) -> None:
        _put_back(self._fds if failure is None else {})


def _held(paths: list[str]) -> dict[str, int]:
    fds = {}
    for path in paths:
        try:
            fds[path] = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:  # another lab has taken its namespace away meanwhile
            continue
    return fds


def _put_back(fds: dict[str, int], root: str = "") -> None:
    from errno import EINVAL

    for path, fd in fds.items():
        try:
            if os.path.exists(root + path):  # a fresh sysfs may lack what the old one had
                libc.bind(f"/proc/self/fd/{fd}", root + path)
        except OSError as refusal:
            if refusal.errno != EINVAL:  # unbindable, or gone meanwhile
                raise
        finally:
            os.close(fd)


def _mounts_below(directory: str) -> list[str]:
    """The topmost mount points below ``directory``; those below them come along (MS_REC)."""
    start = os.path.realpath(directory).rstrip("/") + "/"
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        points = {_unescaped(line.split(" ", 5)[4]) for line in lines if f" {start}" in line}
    top: list[str] = []
    for point in sorted(points - {"/"}, key=lambda p: p.split("/")):
        if point.startswith(start) and not (top and point.startswith(top[-1] + "/")):
            top.append(point)
    return [point for point in top if os.path.exists(point)]


def _unescaped(point: str) -> str:
    """proc_pid_mountinfo(5) writes blanks and backslashes in octal."""
    if "\\" not in point:
        return point
    for code in ("040", "011", "012", "134"):
        point = point.replace("\\" + code, chr(int(code, 8)))
    return point


def nearest(path: str) -> str:
    """The nearest directory above ``path`` that exists."""
    directory = os.path.dirname(path)
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    return os.path.realpath(directory)


def _write(path: str, text: str, mode: int) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(text)
        os.chmod(file.fileno(), mode)
