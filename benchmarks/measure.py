"""Whole processes, timed: wall, CPU, peak memory; rounds interleaved, medians told."""

from __future__ import annotations

import atexit
import os
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
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
    told, tell = os.pipe()
    done = subprocess.run(
        [str(compiled("cost")), str(tell), *argv],
        stdout=subprocess.PIPE,
        pass_fds=[tell],
        **more,  # type: ignore[call-overload]
    )
    os.close(tell)
    with open(told) as out:
        wall, cpu, memory, code = out.read().split() or ("0", "0", "0", "1")
    said = done.stdout.decode(errors="replace")
    if code != "0":
        raise SystemExit(f"{' '.join(argv)[:200]} ended with {code}: {said[-500:]}")
    return Cost(float(wall), float(cpu), int(memory) / 1024, said)


@cache
def compiled(name: str) -> Path:
    """A program of this directory, compiled for as long as this process lives."""
    place = tempfile.TemporaryDirectory(prefix="netlab-bench-")
    atexit.register(place.cleanup)
    program = Path(place.name) / name
    source = Path(__file__).with_name(f"{name}.c")
    subprocess.run(["cc", "-O2", "-o", str(program), str(source)], check=True)
    return program


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
