"""Process numbers: other ones in each pid namespace, as that of a container (pid_namespaces(7))."""

from __future__ import annotations

import os

_FIRST = 0xEFFFFFFC
"""The inode of the namespace that the kernel's own numbers are of (linux/proc_ns.h)."""


def namespace() -> tuple[int, int] | None:
    """Device and inode of the one that this process is in; None where it is the first."""
    found = os.stat("/proc/self/ns/pid")
    return None if found.st_ino == _FIRST else (found.st_dev, found.st_ino)
