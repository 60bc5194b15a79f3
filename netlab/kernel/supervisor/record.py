"""What is known of a process, and where it is written down."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

SOCKET = "supervisor.sock"
ERRORS = "supervisor.log"
LOCK = "supervisor.lock"
MARK = "NETLAB_PROCESS"
"""In the environment of a process and of all that it starts: its name."""


@dataclass
class Record:
    """One process, as it stands."""

    node: str
    name: str
    inode: int
    """Of the node's network namespace."""
    spec: dict[str, Any] = field(default_factory=dict)
    state: str = "stopped"
    """``running``, ``exited`` with 0, ``failed``, ``waiting`` to be started again, ``stopped``."""
    pid: int = 0
    ticks: int = 0
    """Its start in clock ticks since boot: pid and ticks are never used twice (proc(5))."""
    session: int = 0
    """Of the process, and of what it starts, as long as they do not begin another (setsid(2))."""
    since: float = 0.0
    """Seconds since the epoch, of the last change of state."""
    restarts: int = 0
    code: int | None = None
    """Exit code of the last end, 128 + number for a signal; None where nobody saw it."""
    wanted: bool = False
    """Whether it should run."""

    @property
    def is_alive(self) -> bool:
        return bool(self.pid and self.ticks) and start_ticks(self.pid) == self.ticks


def directory(lab_dir: str, node: str) -> str:
    return f"{lab_dir}/processes/{node}"


def path(lab_dir: str, node: str, name: str, ending: str) -> str:
    return f"{directory(lab_dir, node)}/{name}.{ending}"


def write(lab_dir: str, record: Record) -> None:
    """At once or not at all."""
    _put(path(lab_dir, record.node, record.name, "json"), asdict(record), 0o644)


def write_environment(lab_dir: str, record: Record, environment: dict[str, str]) -> None:
    """Of whoever asked for the process; only root may read it, for environments hold secrets."""
    _put(path(lab_dir, record.node, record.name, "environment"), environment, 0o600)


def environment(lab_dir: str, record: Record) -> dict[str, str]:
    with open(path(lab_dir, record.node, record.name, "environment")) as file:
        found: dict[str, str] = json.load(file)
    return found


def remove(lab_dir: str, node: str, name: str) -> None:
    """Its log stays as long as the lab."""
    for ending in ("json", "environment"):
        with suppress(FileNotFoundError):
            os.unlink(path(lab_dir, node, name, ending))


def _put(target: str, content: object, mode: int) -> None:
    os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
    fd = os.open(f"{target}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "w") as file:
        json.dump(content, file)
    os.replace(f"{target}.new", target)


def read(lab_dir: str, node: str, name: str) -> Record | None:
    """None where nothing is known of it."""
    try:
        with open(path(lab_dir, node, name, "json")) as file:
            return Record(**json.load(file))
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
        return None


def all_of(lab_dir: str) -> Iterator[Record]:
    with suppress(FileNotFoundError):
        for node in sorted(os.listdir(f"{lab_dir}/processes")):
            for name in sorted(os.listdir(directory(lab_dir, node))):
                found = read(lab_dir, node, name[:-5]) if name.endswith(".json") else None
                if found is not None:
                    yield found


def start_ticks(pid: int) -> int:
    """0 where there is no such process, or only what its parent has not asked for (a zombie)."""
    with suppress(OSError, IndexError), open(f"/proc/{pid}/stat", "rb") as file:
        words = file.read().rpartition(b")")[2].split()
        return 0 if words[0] in (b"Z", b"X") else int(words[19])
    return 0
