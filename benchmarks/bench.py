"""`make bench`: netlab against the floor, `ip -batch`, mininet, libnftables.

    python -m benchmarks.bench [--sizes 50,250,1000,4000] [--rounds 5] [--write]

With ``--write`` it writes docs/benchmark.md and docs/benchmark.svg.

Nothing here is asserted: machines differ. What counts are ratios within one run.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks import pairs, report, ring, rules, sessions, traces, traffic
from benchmarks.measure import Cost, Round, compiled, interleaved, machine, run

ROOT = Path(__file__).parents[1]
NETLAB = [sys.executable, "-m", "netlab"]
FEW_ROUNDS, LEAST_ROUNDS = 3, 2
MANY = 1000
MOST_FOR_MININET = 250
STARTS = 15


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--sizes", default="50,250,1000,4000")
    words.add_argument("--rounds", type=int, default=5)
    words.add_argument("--write", action="store_true", help="write docs/benchmark.md and .svg")
    said = words.parse_args()
    with tempfile.TemporaryDirectory(prefix="netlab-bench-") as place:
        rings = {n: rounds_of(n, said.rounds, Path(place)) for n in map(int, said.sizes.split(","))}
        parts = commands(Path(place), max(n for n in rings if n <= MANY))
        ruled = rules.compare(Path(place))
        traced = traces.compare()
        asked = pairs.compare()
        tested = sessions.compare()
        flow = traffic.compare(Path(place))
    text = report.text(machine(), versions(), rings, parts, ruled, traced, asked, tested, flow)
    print(text)
    if said.write:
        (ROOT / "docs" / "benchmark.md").write_text(text)
        (ROOT / "docs" / "benchmark.svg").write_text(report.plot(rings))


# rings


def rounds_of(count: int, rounds: int, place: Path) -> dict[str, Cost]:
    print(f"a ring of {count} …", file=sys.stderr, flush=True)
    turns = [netlab_turn(count, place), floor_turn(count, place), batch_turn(count, place)]
    if count <= MOST_FOR_MININET and has_mininet():
        turns.append(mininet_turn(count))
    most = rounds if count < MANY else FEW_ROUNDS if count == MANY else LEAST_ROUNDS
    return interleaved(min(rounds, most), turns)


def netlab_turn(count: int, place: Path) -> Round:
    name = f"bench{os.getpid()}"
    file = place / f"ring{count}.yaml"
    file.write_text(ring.topology(name, count))

    def turn() -> Mapping[str, Cost]:
        up = run([*NETLAB, "up", str(file)], cwd=ROOT)
        down = run([*NETLAB, "down", name, "--wait"], cwd=ROOT)
        return {"netlab up": up, "netlab down --wait": down}

    return turn


def floor_turn(count: int, place: Path) -> Round:
    name = f"floor{os.getpid()}"
    program = compiled("floor")
    switches = [w for path, value in ring.SYSCTLS.items() for w in (f"/proc/sys/{path}", value)]

    def turn() -> Mapping[str, Cost]:
        up = run([str(program), "up", str(count), name, *switches])
        down = run([str(program), "down", str(count), name])
        return {"floor up": up, "floor down and wait": down}

    return turn


def batch_turn(count: int, place: Path) -> Round:
    name = f"batch{os.getpid()}"
    directory = place / f"batch{count}"
    directory.mkdir()
    script = directory / "up.sh"
    script.write_text(ring.write_batches(directory, name, count))

    def turn() -> Mapping[str, Cost]:
        up = run(["sh", str(script)])
        down = run(["ip", "-batch", str(directory / "gone")])
        run([str(compiled("floor")), "down", "0", name])  # until the kernel has cleaned up
        return {"ip -batch up": up, "ip -batch down": down}

    return turn


def has_mininet() -> bool:
    return bool(shutil.which("mn")) and Path("/usr/lib/python3/dist-packages/mininet").is_dir()


def mininet_turn(count: int) -> Round:
    program = str(ROOT / "benchmarks" / "with_mininet.py")

    def turn() -> Mapping[str, Cost]:
        return {"mininet up and down": run(["/usr/bin/python3", program, str(count)])}

    return turn


# commands


def commands(place: Path, count: int) -> dict[str, Cost]:
    """In a lab of that size: what a user waits for at each command."""
    print(f"commands in a ring of {count} …", file=sys.stderr, flush=True)
    name = f"cmd{os.getpid()}"
    file = place / "commands.yaml"
    text = ring.topology(name, count)
    file.write_text(text)
    run([*NETLAB, "up", str(file)], cwd=ROOT)
    try:
        found = interleaved(STARTS, [lambda: starts(name)])
        found |= interleaved(FEW_ROUNDS, [lambda: changes(file, text)])
        file.write_text(text)
    finally:
        found["netlab down"] = run([*NETLAB, "down", name], cwd=ROOT)
    return found


def starts(name: str) -> Mapping[str, Cost]:
    python = [sys.executable]
    return {
        "python3 -c pass": run([*python, "-c", "pass"], cwd=ROOT),
        "netlab exec -- true": run([*NETLAB, "exec", name, "r5", "--", "true"], cwd=ROOT),
        "netlab ls": run([*NETLAB, "ls"], cwd=ROOT),
        "netlab --help": run([*NETLAB, "--help"], cwd=ROOT),
    }


def changes(file: Path, text: str) -> Mapping[str, Cost]:
    """One link's mtu, there and back."""
    found = {"netlab plan (unchanged)": run([*NETLAB, "plan", str(file)], cwd=ROOT)}
    lines = text.splitlines()
    last = lines[-1].removeprefix("  - ")
    file.write_text("\n".join([*lines[:-1], f"  - {{endpoints: {last}, mtu: 1400}}"]) + "\n")
    found["netlab up (one link changed)"] = run([*NETLAB, "up", str(file)], cwd=ROOT)
    file.write_text(text)
    run([*NETLAB, "up", str(file)], cwd=ROOT)
    return found


def versions() -> Sequence[str]:
    return list(_versions())


def _versions() -> Iterator[str]:
    yield f"Python {sys.version.split()[0]}"
    for words in (["ip", "-Version"], ["cc", "--version"]):
        out = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        yield out.splitlines()[0].strip()
    if has_mininet():
        told = subprocess.run(["mn", "--version"], capture_output=True, text=True, check=True)
        yield f"mininet {(told.stdout or told.stderr).strip()}"
    if importlib.util.find_spec("yaml.cyaml"):
        yield "PyYAML with libyaml"


if __name__ == "__main__":
    main()
