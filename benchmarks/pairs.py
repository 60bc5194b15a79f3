"""Every node asks every other one: `netlab matrix`, Python's ``pings``, and a ping(8) a pair.

    python -m benchmarks.pairs          the section of docs/benchmark.md

    h1, h2, … ── sw
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from netlab import Lab
from netlab.kernel.neighbours import tables

ROOT = Path(__file__).parents[1]
NETLAB = [sys.executable, "-m", "netlab"]
ROUNDS = 5
NODES, MANY = 100, 200
CALM = 10.0
"""Seconds after `up`: fresh hosts announce themselves to all ports of the switch for a while."""


@dataclass(frozen=True)
class Asked:
    pairs: int
    seconds: float
    """The median."""


def compare() -> Mapping[str, Asked]:
    """By who asks; they take turns, and all have to be answered."""
    print(f"every pair of {NODES}, and one to {MANY - 1} others …", file=sys.stderr, flush=True)
    with _lab(NODES) as small, _lab(MANY) as large:
        time.sleep(CALM)
        words = ["matrix", small.name]
        turns: dict[str, tuple[int, Callable[[], None]]] = {
            f"`netlab matrix`, {NODES} nodes": (NODES * (NODES - 1), lambda: _run(words)),
            f"`netlab matrix -6`, {NODES} nodes": (
                NODES * (NODES - 1), lambda: _run([*words, "-6"]),
            ),
            f"`netlab matrix --tcp 9`, {NODES} nodes": (
                NODES * (NODES - 1), lambda: _run([*words, "--tcp", "9"]),
            ),
            f'`lab["h1"].pings()`, {MANY} nodes': (MANY - 1, lambda: _pings(large)),
            f'`lab["h1"].ping(…)` for each, {MANY} nodes': (MANY - 1, lambda: _each(large)),
            f"`ping -c 1` for each, {MANY} nodes": (MANY - 1, lambda: _processes(large)),
        }  # fmt: skip
        spent: dict[str, list[float]] = {who: [] for who in turns}
        for _ in range(ROUNDS):
            for who, (_, act) in turns.items():
                for lab in (small, large):
                    lab.reset()
                start = time.perf_counter()
                act()
                spent[who].append(time.perf_counter() - start)
    return {who: Asked(turns[who][0], statistics.median(found)) for who, found in spent.items()}


@contextmanager
def _lab(count: int) -> Iterator[Lab]:
    hosts = [f"h{number}" for number in range(1, count + 1)]
    topology = {
        "name": f"bench{count}-{os.getpid()}",
        "nodes": {"sw": {"kind": "switch"}, **{host: {} for host in hosts}},
        "links": [[host, "sw"] for host in hosts],
    }
    with Lab(topology) as lab:
        yield lab


def _run(words: list[str]) -> None:
    said = subprocess.run([*NETLAB, *words], cwd=ROOT, check=True, capture_output=True, text=True)
    word = "refused" if "--tcp" in words else "answered"
    if f"all of them: {word}" not in said.stdout:
        raise SystemExit(f"not all are {word}: {said.stdout}")


def _pings(lab: Lab) -> None:
    if set(lab["h1"].pings().values()) != {"answered"}:
        raise SystemExit("not all have answered")


def _each(lab: Lab) -> None:
    if not all(lab["h1"].ping(name) for name in lab.nodes if name not in ("h1", "sw")):
        raise SystemExit("not all have answered")


def _processes(lab: Lab) -> None:
    """As a shell user would, in a shell that stands in the node."""
    others = " ".join(lab.addresses(name)[0] for name in lab.nodes if name not in ("h1", "sw"))
    loop = f"for a in {others}; do ping -c 1 -W 2 -q $a >/dev/null || exit 1; done"
    command = ["ip", "netns", "exec", lab["h1"].namespace, "sh", "-c", loop]
    subprocess.run(command, check=True)


def section(found: Mapping[str, Asked]) -> list[str]:
    least = min(table.most for table in tables().values())
    lines = f"""\
## Every node to every node

All hosts are on one switch. `netlab matrix` is a whole process; the others ask from one host all
others of its lab, in a process that runs already. Before each turn nobody knows a neighbour: what
is timed is also ARP, which asks all ports. The smaller of the machine's two tables of neighbours
has room for {least:,}.

| who asks | pairs | wall s | µs a pair |
|---|--:|--:|--:|""".splitlines()
    for who, asked in found.items():
        each = asked.seconds / asked.pairs * 1e6
        lines.append(f"| {who} | {asked.pairs:,} | {asked.seconds:.3f} | {each:.0f} |")
    return [*lines, ""]


if __name__ == "__main__":
    print("\n".join(section(compare())))
