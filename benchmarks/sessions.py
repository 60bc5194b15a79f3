"""A session of pytest in which every test has a lab of its own, against one without labs.

    python -m benchmarks.sessions

prints what `make bench` puts into docs/benchmark.md.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from benchmarks.measure import Cost, Round, interleaved, run

TESTS, ROUNDS = 100, 3
TOPOLOGY = """\
routing: static
nodes: {a: , r: {kind: router}, b: }
links: [[a, r], [r, b]]
"""
WITHOUT = """\
import pytest

@pytest.mark.parametrize("n", range(COUNT))
def test_it(n):
    assert n >= 0
"""
WITH = """\
import pytest

@pytest.mark.topology("three.yaml")
@pytest.mark.parametrize("n", range(COUNT))
def test_it(lab, n):
    assert lab["a"].ping("b")
"""
SHARED = WITH.replace('"three.yaml"', '"three.yaml", scope="module"')
ALONE = "no labs"
SESSIONS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    ALONE: (WITHOUT, ()),
    "a lab for each test": (WITH, ()),
    "… no packets kept for a failure": (WITH, ("-o", "netlab_packets=0")),
    "… by 4 workers (-n 4)": (WITH, ("-n", "4")),
    "one lab, reset for each test": (SHARED, ()),
}


def compare(tests: int = TESTS, rounds: int = ROUNDS) -> dict[str, Cost]:
    """Raises SystemExit where a test fails."""
    print(f"sessions of {tests} tests …", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="netlab-bench-") as place:
        Path(place, "three.yaml").write_text(TOPOLOGY)
        turns: list[Round] = []
        for number, (what, (text, words)) in enumerate(SESSIONS.items()):
            file = Path(place, f"test_{number}.py")
            file.write_text(text.replace("COUNT", str(tests)))
            turns.append(partial(_turn, what, file, words))
        return interleaved(rounds, turns)


def _turn(what: str, file: Path, words: tuple[str, ...]) -> Mapping[str, Cost]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words, str(file)]
    return {what: run(command, cwd=file.parent, env={**os.environ, "PYTEST_ADDOPTS": ""})}


def section(found: Mapping[str, Cost], tests: int = TESTS) -> list[str]:
    alone = found[ALONE]
    lines = [
        f"## A session of pytest, {tests} tests",
        "",
        "Each test asks once, by ping, from one end of a lab of three nodes to the other.",
        "",
        "| every test has | wall s | more for each test, ms | CPU s |",
        "|---|--:|--:|--:|",
    ]
    for what, cost in found.items():
        more = (cost.wall - alone.wall) / tests * 1000
        lines.append(f"| {what} | {cost.wall:.2f} | {more:.0f} | {cost.cpu:.2f} |")
    return [*lines, ""]


if __name__ == "__main__":
    print("\n".join(section(compare())))
