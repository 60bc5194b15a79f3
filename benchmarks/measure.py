"""Whole processes, timed: wall, CPU, peak memory; rounds interleaved, medians told."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """Seconds of wall and of CPU (user and kernel), and the largest resident size in MiB."""

    wall: float
    cpu: float
    memory: float
    said: str = ""


def run(argv: Sequence[str], **more: object) -> Cost:
    """One process, and all that it waits for."""
    read, write = os.pipe()
    start = time.perf_counter()
    process = subprocess.Popen(argv, stdout=write, **more)  # type: ignore[call-overload]
    os.close(write)
    with open(read, "rb") as out:
        said = out.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    code = os.waitstatus_to_exitcode(status)
    if code:
        raise SystemExit(f"{' '.join(argv)[:200]} ended with {code}: {said[-500:]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, said)


Round = Callable[[], Mapping[str, Cost]]
"""One contestant's turn: what it did, and what each part cost."""


def interleaved(rounds: int, turns: Sequence[Round]) -> dict[str, Cost]:
    """A B C A B C …: medians of each part."""
    costs: dict[str, list[Cost]] = {}
    for _ in range(rounds):
        for turn in turns:
            for part, cost in turn().items():
                costs.setdefault(part, []).append(cost)
    return {part: _median(found) for part, found in costs.items()}


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(
        statistics.median(c.wall for c in costs),
        statistics.median(c.cpu for c in costs),
        max(c.memory for c in costs),
        costs[-1].said,
    )


def machine() -> str:
    """What was measured on, in a line."""
    told = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.partition(":")[2].strip() for line in told if line.startswith("model name"))
    cpu = next(names, os.uname().machine)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} × {cpu}, {memory:.0f} GiB, Linux {os.uname().release}"
