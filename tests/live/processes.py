"""The processes of a lab, as `netlab show` and the kernel tell of them."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import Any

from tests.live.world import NETLAB, ROOT, eventually, netlab

LISTENS = (
    "import socket, time; s = socket.create_server(('', {port})); print('up', flush=True); "
    "time.sleep(600)"
)


def topology(processes: str, more: str = "") -> str:
    """One node ``n`` with processes, as YAML; ``more`` lines of the node."""
    head = "nodes:\n  n:\n    processes:\n"
    return head + indent(processes.strip("\n"), " " * 6) + "\n" + indent(more, " " * 4) + "\n"


def shown(lab: str) -> dict[str, dict[str, Any]]:
    """``node/name`` → what `netlab show` says of the process."""
    nodes = netlab("show", lab, "--json").json["nodes"]
    return {f"{n['name']}/{p['name']}": p for n in nodes for p in n["processes"]}


def one(lab: str, name: str = "n/p") -> dict[str, Any]:
    return shown(lab)[name]


def stands(lab: str, name: str = "n/p") -> tuple[Any, ...]:
    """Its state, exit code and restarts."""
    found = one(lab, name)
    return found["state"], found["code"], found["restarts"]


def pid(lab: str, name: str = "n/p") -> int:
    return int(one(lab, name)["pid"])


def comes_to(lab: str, *states: tuple[Any, ...], name: str = "n/p", seconds: float = 5.0) -> None:
    """Waits until it stands so."""
    eventually(lambda: stands(lab, name) in states, seconds)


def supervisors(lab: str) -> list[int]:
    """Those of a lab that run, also those that are on their way."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
            is_one = any(b"netlab.kernel.supervisor" in word for word in words)
            if is_one and lab.encode() in words:
                found.append(int(name))
    return found


def supervisor(lab: str) -> int:
    (found,) = supervisors(lab)
    return found


def state_of(number: int) -> str:
    """``R``, ``S``, ``T``, ``Z``, …; "" where there is no such process."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


def lives(number: int) -> bool:
    return state_of(number) not in ("", "Z", "X")


def children(number: int) -> list[int]:
    """All that descend from a process."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            parent = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1]
            parents[int(name)] = int(parent)
    found = [number]
    for parent in found:
        found += [child for child, of in parents.items() if of == parent]
    return found[1:]


def cgroup(lab: str) -> Path | None:
    """The lab's control group; None where none can be made."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    root = next((mount[1] for mount in mounts if mount[2] == "cgroup2"), None)
    if root is None or os.statvfs(root).f_flag & os.ST_RDONLY:
        return None
    return Path(root, "netlab", lab)


def logged(lab: str, *words: str) -> list[str]:
    return netlab("logs", lab, *words).out.splitlines()


@contextlib.contextmanager
def following(lab: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    """`netlab logs -f`, as a program that ends with the block."""
    command = [*NETLAB, "logs", lab, *words, "-f"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as program:
        try:
            yield program
        finally:
            program.kill()
