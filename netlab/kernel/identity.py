"""Which namespace it is: its inode, and the cookie that tells it from a later one of that inode.

The kernel gives the inode of a namespace that has gone to the next one; its cookie, never (Linux
5.14). Both are kept in one number, as a journal holds it: the cookie above, the inode below.
"""

from __future__ import annotations

from netlab.errors import MachineLacks
from netlab.kernel import libc

_BITS = 32
"""An inode of nsfs has so many (fs/proc/generic.c, ``proc_alloc_inum``)."""


def boot() -> str:
    """Inodes and cookies mean something until the next one. Raises MachineLacks."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except FileNotFoundError as problem:
        why = "/proc is not mounted, or is not Linux's"
        raise MachineLacks(why, hint="mount -t proc proc /proc") from problem


def of_here(inode: int) -> int:
    """Of the namespace that the calling thread stands in, whose inode that is."""
    return libc.netns_cookie() << _BITS | inode


def inode(identity: int) -> int:
    return identity & (1 << _BITS) - 1


def is_here(identity: int) -> bool:
    """Whether the namespace that the thread stands in, of the right inode, is that one."""
    cookie = identity >> _BITS
    return not cookie or cookie == libc.netns_cookie()
