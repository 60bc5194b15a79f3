"""Which namespace it is: its inode, and the cookie that tells it from a later one of that inode.

The kernel gives the inode of a namespace that has gone to the next one; its cookie, never (Linux
5.14). Both are kept in one number, as a journal holds it: the cookie above, the inode below.
"""

from __future__ import annotations

import fcntl
import os
import sys
from contextlib import suppress
from functools import cache

from netlab.errors import MachineLacks
from netlab.kernel import libc

MOUNT_PROC = "mount -t proc proc /proc"

_BITS = 32
"""An inode of nsfs has so many (fs/proc/generic.c, ``proc_alloc_inum``)."""

_NS_GET_ID = 0x8008B70D
"""Asks for the number of a namespace, of whatever sort (linux/nsfs.h, Linux 6.18)."""


def boot() -> str:
    """Inodes and cookies mean something until the next one. Raises MachineLacks."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            told = file.read().strip()
    except FileNotFoundError as problem:
        why = "/proc is not mounted, or is not Linux's"
        raise MachineLacks(why, hint=MOUNT_PROC) from problem
    _check_numbers()
    return told


def _check_numbers() -> None:
    """The wrong process would be ended where /proc has other numbers than kill(2)."""
    here = ""
    with suppress(OSError):
        here = os.readlink("/proc/self")
    if here != str(os.getpid()):
        raise MachineLacks("/proc is that of another pid namespace", hint=MOUNT_PROC)


def of_here(fd: int) -> int:
    """Of the namespace that the calling thread stands in, which ``fd`` is open on."""
    cookie = _number(fd) if _numbers_are_cookies() else libc.netns_cookie()
    return cookie << _BITS | os.fstat(fd).st_ino


def inode(identity: int) -> int:
    return identity & (1 << _BITS) - 1


def is_here(identity: int) -> bool:
    """Whether the namespace that the thread stands in, of the right inode, is that one."""
    cookie = identity >> _BITS
    return not cookie or cookie == libc.netns_cookie()


def is_there(fd: int, identity: int) -> bool | None:
    """The same of the one that ``fd`` is open on; None where only being there would tell."""
    cookie = identity >> _BITS
    if not cookie:
        return True
    return cookie == _number(fd) if _numbers_are_cookies() else None


@cache
def _numbers_are_cookies() -> bool:
    """So it is (net/core/net_namespace.c, ``preinit_net``), but nobody promises it: it is tried."""
    fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        number = _number(fd)
    finally:
        os.close(fd)
    return number != 0 and number == libc.netns_cookie()


def _number(fd: int) -> int:
    """0 where the kernel does not tell."""
    number = bytearray(8)
    with suppress(OSError):
        fcntl.ioctl(fd, _NS_GET_ID, number)
    return int.from_bytes(number, sys.byteorder)
