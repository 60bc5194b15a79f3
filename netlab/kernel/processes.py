"""Processes inside namespaces: found by the namespace's inode, and ended.

A process does not die with the name of its namespace, it keeps the namespace alive.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, suppress

from netlab.errors import KernelRefused

DEADLINE = 10.0
"""Seconds a killed process may take to be gone."""


def inside(inodes: Collection[int]) -> Iterator[tuple[int, int]]:
    """``(pid, inode)`` of each process standing in one of the network namespaces."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            # gone meanwhile, a zombie, or not ours to look at
            with suppress(OSError):
                inode = os.stat(f"/proc/{name}/ns/net").st_ino
                if inode in inodes:
                    yield int(name), inode


def end(
    inodes: Collection[int], nameless: Mapping[int, str] | None = None, deadline: float = DEADLINE
) -> int:
    """SIGKILL all of them, and those they start meanwhile, and wait; how many there were.

    ``nameless`` are inodes that were a namespace's while it had a name. The kernel gives the
    number of one that is gone to the next one: there only those are meant whose environment
    tells that they were started in that node. Raises KernelRefused when one is still there after
    ``deadline`` seconds.
    """
    before = nameless or {}
    until = time.monotonic() + deadline
    count = 0
    while pids := list(_meant(inodes, before)):
        if time.monotonic() > until:
            raise KernelRefused(
                f"processes do not end: {' '.join(map(str, pids))}",
                said="killed, and still there",
                hint="they hang in the kernel; `netlab down` again when they are gone",
            )
        count += _kill(pids, inodes, before, until)
    return count


def _meant(inodes: Collection[int], nameless: Mapping[int, str]) -> Iterator[int]:
    wanted = {*inodes, *nameless}
    for pid, inode in inside(wanted) if wanted else ():
        if pid != os.getpid() and (inode in inodes or was_started_in(pid, nameless[inode])):
            yield pid


def was_started_in(pid: int, ns: str) -> bool:
    """By what its environment says; see ``netlab.kernel.enter``."""
    lab, _, node = ns.partition(".")
    with suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
        said = file.read().split(b"\0")
        return f"NETLAB_LAB={lab}".encode() in said and f"NETLAB_NODE={node}".encode() in said
    return False


def _kill(
    pids: list[int], inodes: Collection[int], nameless: Mapping[int, str], until: float
) -> int:
    """Through pidfds, so that a number used anew is never hit."""
    with ExitStack() as stack:
        poll, waiting = select.poll(), set()
        for pid in pids:
            with suppress(OSError):
                fd = os.pidfd_open(pid)
                stack.callback(os.close, fd)
                inode = os.stat(f"/proc/{pid}/ns/net").st_ino
                if inode in inodes or (
                    inode in nameless and was_started_in(pid, nameless[inode])
                ):
                    signal.pidfd_send_signal(fd, signal.SIGKILL)
                    poll.register(fd, select.POLLIN)
                    waiting.add(fd)
        count = len(waiting)
        while waiting and (left := until - time.monotonic()) > 0:
            for fd, _ in poll.poll(left * 1000):
                poll.unregister(fd)
                waiting.discard(fd)
    return count
