"""What a trace costs: every packet that is not its own, and the time until it has its answer.

    python -m benchmarks.traces          the section of docs/benchmark.md

    cli ── sw ── gw, which translates ── srv
"""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from netlab.cli.trace import chosen, lab_of
from netlab.kernel.visits import Visits, visiting
from netlab.trace.backends.base import Scene, Watch
from netlab.trace.cookie import fresh
from netlab.trace.journey import Request, _close, _watches, observe
from netlab.trace.model import Probe
from netlab.trace.request import Words, probe_of
from netlab.trace.terrain import Terrain

ROOT = Path(__file__).parents[1]
NETLAB = [sys.executable, "-m", "netlab"]
ROUNDS, TURNS, PACKETS = 5, 20, 1000
SIZE = 64
SINK = ("10.2.0.2", 5555)
TOPOLOGY = """\
name: {name}
nodes:
  cli: {{routes: [{{to: default, via: 10.1.0.1}}]}}
  sw: {{kind: switch}}
  gw: {{kind: router, nat: {{masquerade: b}}}}
  srv: {{routes: [{{to: default, via: 10.2.0.1}}]}}
links:
  - ["cli:eth0 10.1.0.2/24", sw]
  - ["gw:a 10.1.0.1/24", sw]
  - ["gw:b 10.2.0.1/24", "srv:eth0 10.2.0.2/24"]
"""
WATCHERS = {
    "`bpf` alone": "bpf",
    "all, as usual": "",
    "without BPF": "conntrack,counters,nft-trace,taps",
    "`nft-trace` alone": "nft-trace",
    "`taps` alone": "taps",
    "`tracefs` alone": "tracefs",
}


@dataclass(frozen=True)
class Cost:
    """Nanoseconds a packet; milliseconds until the answer."""

    before: float
    during: float
    after: float
    first: float
    """With nothing known of the kernel's types."""
    next: float


def compare() -> Mapping[str, Cost]:
    """By who watches; each is measured in turn with nobody, and the least of many is told."""
    with _lab() as name:
        terrain, identities, _ = lab_of(name)
        with visiting(identities) as visits:
            return {
                who: _cost(terrain, visits, names) for who, names in WATCHERS.items()
            }


@contextmanager
def _lab() -> Iterator[str]:
    name = f"bench{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="netlab-bench-") as place:
        file = Path(place) / "path.yaml"
        file.write_text(TOPOLOGY.format(name=name))
        subprocess.run([*NETLAB, "up", str(file)], cwd=ROOT, check=True, capture_output=True)
        try:
            yield name
        finally:
            subprocess.run([*NETLAB, "down", name], cwd=ROOT, check=True, capture_output=True)


def _cost(terrain: Terrain, visits: Visits, names: str) -> Cost:
    print(f"who watches: {names or 'all'} …", file=sys.stderr, flush=True)
    probe = Probe("cli", "srv", "udp", "10.1.0.2", SINK[0], 9, from_port=7, cookie=fresh())
    scene = Scene(terrain, probe, visits)
    with ExitStack() as stack:
        sink = stack.enter_context(visits.at(terrain.spots["srv"].ns, _sink))
        sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        source = stack.enter_context(visits.at(terrain.spots["cli"].ns, _source))
        before, during, after = [], [], []
        for _ in range(ROUNDS):
            before.append(_least(source))
            watches: list[Watch] = _watches(scene, chosen(names))[0]
            during.append(_least(source))
            _close(watches)
            after.append(_least(source))
    return Cost(min(before), min(during), min(after), *_spent(terrain, visits, names))


def _sink() -> socket.socket:
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.bind(SINK)
    return sock


def _source() -> socket.socket:
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.connect(SINK)
    return sock


def _least(source: socket.socket) -> float:
    """The way is gone through within send(): what is timed is all of it."""
    return min(_packet(source.send) for _ in range(TURNS))


def _packet(send: Callable[[bytes], int]) -> float:
    data = b"x" * SIZE
    start = time.perf_counter_ns()
    for _ in range(PACKETS):
        send(data)
    return (time.perf_counter_ns() - start) / PACKETS


def _spent(terrain: Terrain, visits: Visits, names: str) -> tuple[float, float]:
    request = Request(probe_of(Words("cli", "srv", tcp=9), terrain))
    known = os.environ.get("XDG_CACHE_HOME")
    with tempfile.TemporaryDirectory(prefix="netlab-bench-") as place:
        os.environ["XDG_CACHE_HOME"] = place
        try:
            first, later = [], []
            for _ in range(ROUNDS):
                shutil.rmtree(f"{place}/netlab", ignore_errors=True)
                first.append(observe(terrain, request, visits, chosen(names)).milliseconds)
                later.append(observe(terrain, request, visits, chosen(names)).milliseconds)
        finally:
            os.environ.pop("XDG_CACHE_HOME")
            if known is not None:
                os.environ["XDG_CACHE_HOME"] = known
    return statistics.median(first), statistics.median(later)


def section(costs: Mapping[str, Cost]) -> list[str]:
    """Of docs/benchmark.md."""
    lines = [
        "## What a trace costs",
        "",
        f"A client, a switch, a router that translates, a server: {SIZE} bytes of UDP from the",
        "first to the last, none of them the probe's. The way is gone through within one send():",
        f"its time, the least of {ROUNDS * TURNS} rounds of {PACKETS}. And a probe's own time from",
        "set-up to answer, on a machine where netlab knows nothing of the kernel yet, and on one",
        "where it does.",
        "",
        "| who watches | before ns | during ns | more ns | after ns | first ms | then ms |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for who, c in costs.items():
        more = c.during - c.before
        lines.append(
            f"| {who} | {c.before:.0f} | {c.during:.0f} | {more:.0f} | {c.after:.0f} |"
            f" {c.first:.0f} | {c.next:.0f} |"
        )
    return [*lines, ""]


if __name__ == "__main__":
    print("\n".join(section(compare())))
