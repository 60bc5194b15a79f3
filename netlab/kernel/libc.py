"""The system calls that Python 3.11 has no function for.

Kept apart from everything heavy: a ``netlab exec`` lives shorter than most imports.
"""

from __future__ import annotations

import ctypes
import os
import sys

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_BIND = 0x1000
MS_REC = 0x4000
MS_SLAVE = 0x80000
MNT_DETACH = 0x2

_AF_UNIX, _AF_PACKET, _SOCK_DGRAM, _SOCK_CLOEXEC = 1, 17, 2, 0o2000000
_SOL_SOCKET, _SO_NETNS_COOKIE = 1, 71

_IGNORED_BY_PYTHON = (13, 25)
"""SIGPIPE and SIGXFSZ; module signal costs more to import than all the rest of this one."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
_libc.signal.restype = ctypes.c_void_p
_libc.mount.argtypes = (
    ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p,
)


def setns(fd: int, kind: int) -> None:
    _check(_libc.setns(fd, kind), "setns")


def unshare(kinds: int) -> None:
    _check(_libc.unshare(kinds), "unshare")


def sethostname(name: str) -> None:
    raw = name.encode()
    _check(_libc.sethostname(raw, len(raw)), name)


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    encoded = os.fsencode(source), os.fsencode(target), os.fsencode(kind)
    _check(_libc.mount(*encoded, flags, os.fsencode(options)), target)


def bind(source: str, target: str) -> None:
    """With all that is mounted below ``source``."""
    mount(source, target, flags=MS_BIND | MS_REC)


def detach(target: str) -> None:
    """Take the name away; who holds a part of it keeps that."""
    _check(_libc.umount2(os.fsencode(target), MNT_DETACH), target)


def unmount(target: str) -> None:
    """Refused with EBUSY while anything is mounted below or in use."""
    _check(_libc.umount2(os.fsencode(target), 0), target)


def netns_cookie() -> int:
    """A number that no other network namespace has or will have until the next boot (socket(7)).

    Of the one that the calling thread stands in; 0 where the kernel gives none (before 5.14).
    """
    sock = _checked(_libc.socket(_AF_UNIX, _SOCK_DGRAM | _SOCK_CLOEXEC, 0), "socket")
    value, size = ctypes.c_uint64(), ctypes.c_uint32(8)
    found = _libc.getsockopt(
        sock, _SOL_SOCKET, _SO_NETNS_COOKIE, ctypes.byref(value), ctypes.byref(size)
    )
    os.close(sock)
    return value.value if found == 0 else 0


def bind_packet(sock: int, protocol: int) -> None:
    """A packet socket to all devices of its namespace (packet(7)); Python binds to one by name."""
    address = _AF_PACKET.to_bytes(2, sys.byteorder) + protocol.to_bytes(2, "big") + bytes(16)
    _check(_libc.bind(sock, address, len(address)), "bind")


def setsockopt(sock: int, level: int, option: int, value: bytes) -> None:
    """As that of module socket, but other threads go on while the kernel takes its time."""
    _check(_libc.setsockopt(sock, level, option, value, len(value)), "setsockopt")


def become_subreaper() -> None:
    """Orphans of one's children become one's own children (PR_SET_CHILD_SUBREAPER, prctl(2))."""
    _check(_libc.prctl(36, 1, 0, 0, 0), "prctl")


def die_with(parent: int) -> None:
    """Be killed when that process ends, or at once where it has (PR_SET_PDEATHSIG, prctl(2)).

    For a child that is about to exec: it is the thread that made it whose end counts.
    """
    _check(_libc.prctl(1, 9), "prctl")
    if os.getppid() != parent:
        os._exit(137)


def inotify_init() -> int:
    """A non-blocking descriptor that children do not get (inotify(7))."""
    return _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify")


def inotify_add_watch(fd: int, path: str, mask: int) -> int:
    return _checked(_libc.inotify_add_watch(fd, os.fsencode(path), mask), path)


def punch_hole(fd: int, start: int, length: int) -> None:
    """Bytes go, their places stay: FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE (fallocate(2))."""
    _check(_libc.fallocate(fd, 3, ctypes.c_int64(start), ctypes.c_int64(length)), "fallocate")


def default_signals() -> None:
    """What Python ignores for itself; what the caller chose to ignore (nohup) stays ignored."""
    for number in _IGNORED_BY_PYTHON:
        _libc.signal(number, None)


def _checked(result: int, subject: str) -> int:
    _check(result, subject)
    return result


def _check(result: int, subject: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), subject)
