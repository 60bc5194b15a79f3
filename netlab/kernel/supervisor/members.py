"""The programs of a process: by its control group, else by namespace and environment or session.

A daemon may write its title over its environment: its session tells it then (setsid(2)). One that
does both before its parent ends (nginx, in the background) is only known by its control group.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from netlab.kernel import cgroups
from netlab.kernel.identity import inode
from netlab.kernel.processes import inside
from netlab.kernel.supervisor.record import MARK, Record, start_ticks


def group(root: str, lab: str, record: Record) -> str:
    """The control group of a process; "" where there are none."""
    return f"{root}/{lab}/{record.node}/{record.name}" if root else ""


def members(path: str, record: Record) -> list[int]:
    """Their pids, the oldest first; whoever is a zombie is no more."""
    born = {pid: start_ticks(pid) for pid in _members(path, record)}
    return sorted((pid for pid, ticks in born.items() if ticks), key=lambda pid: (born[pid], pid))


def end(path: str, record: Record) -> None:
    """SIGKILL to all."""
    if path:
        with suppress(FileNotFoundError):
            cgroups.kill(path)
        return
    for pid in _members(path, record):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _members(path: str, record: Record) -> list[int]:
    if path:
        return cgroups.members(path)
    # who is forked while /proc is read is not seen: only the second look at nobody is sure
    return _scanned(record) or _scanned(record)


def _scanned(record: Record) -> list[int]:
    sessions = {record.session, record.pid} - {0}
    return [
        pid
        for pid, _ in inside({inode(record.inode)})
        if _is_marked(pid, record.name) or _session(pid) in sessions
    ]


def _is_marked(pid: int, name: str) -> bool:
    with suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
        return f"{MARK}={name}".encode() in file.read().split(b"\0")
    return False


def _session(pid: int) -> int:
    """-1 for what is no more."""
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return -1
