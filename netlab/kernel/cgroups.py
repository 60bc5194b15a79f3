"""Control groups of a lab's processes (cgroups(7), cgroup v2): one per node under one per lab.

    <where cgroup2 is mounted>/netlab/<lab>/<node>/<process>

Where no cgroup2 can be written to, ``root`` is None, and processes are found by their namespace.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress

OURS = "netlab"


def root() -> str | None:
    """Where labs have their groups; None where none can be made."""
    return next((f"{mount}/{OURS}" for mount in mounted() if _is_usable(mount)), None)


def mounted() -> list[str]:
    """Where cgroup2 is mounted; something else may have covered it since."""
    with open("/proc/mounts") as mounts:
        return [line.split()[1] for line in mounts if line.split()[2] == "cgroup2"]


def _is_usable(mount: str) -> bool:
    if not os.path.exists(f"{mount}/cgroup.procs") or not os.access(mount, os.W_OK):
        return False
    return not os.statvfs(mount).f_flag & os.ST_RDONLY


def make(path: str) -> None:
    os.makedirs(path, exist_ok=True)


def join(path: str) -> None:
    """The calling process, and all that it starts from now on."""
    with open(f"{path}/cgroup.procs", "wb", buffering=0) as file:
        file.write(b"0")


def members(path: str) -> list[int]:
    """The processes of a group and of those below it, oldest number first."""
    pids: list[int] = []
    for directory, _, _ in os.walk(path):
        with suppress(OSError), open(f"{directory}/cgroup.procs") as file:
            pids += map(int, file.read().split())
    return sorted(pids)


def kill(path: str) -> None:
    """SIGKILL to all of them, also to what they fork meanwhile (Linux 5.14), else one by one."""
    try:
        with open(f"{path}/cgroup.kill", "wb", buffering=0) as file:
            file.write(b"1")
    except OSError:
        for pid in members(path):
            with suppress(ProcessLookupError):
                os.kill(pid, 9)


def clear(path: str, deadline: float = 10.0) -> None:
    """Kill all in a group and those below it, and remove them; what does not die stays."""
    until = time.monotonic() + deadline
    while os.path.isdir(path):
        kill(path)
        remove(path)
        if time.monotonic() > until:
            return
        time.sleep(0.001)


def remove(path: str) -> None:
    """A group and those below it; what still has members stays."""
    for directory in _inmost_first(path):
        with suppress(OSError):
            os.rmdir(directory)


def _inmost_first(path: str) -> Iterator[str]:
    for directory, _, _ in os.walk(path, topdown=False):
        yield directory
