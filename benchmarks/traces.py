"""What a trace costs: every packet that is not its own, and the time until it has its answer; and
whether it is right while others flood the way.

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
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from netlab.cli.trace import chosen, lab_of
from netlab.kernel.visits import Visits, visiting
from netlab.trace.backends.base import Scene, Watch
from netlab.trace.conclude import conclude
from netlab.trace.cookie import fresh, way_of
from netlab.trace.headers import parse
from netlab.trace.journey import Request, close_watches, observe, open_watches
from netlab.trace.model import Probe
from netlab.trace.record import Record
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
PROBES, FLOODS = 200, 2
FLOOD = """
import socket, sys
s = socket.socket(type=socket.SOCK_DGRAM)
s.connect((sys.argv[1], int(sys.argv[2])))
while True:
    try:
        s.send(b"x" * 64)
    except OSError:
        pass
"""


class Who(NamedTuple):
    """Who watches."""

    names: str
    in_depth: bool = False


WATCHERS = {
    "`bpf` alone": Who("bpf"),
    "all, as usual": Who(""),
    "all, with `--teach`": Who("", in_depth=True),
    "without BPF": Who("conntrack,counters,nft-trace,taps"),
    "`nft-trace` alone": Who("nft-trace"),
    "`taps` alone": Who("taps"),
    "`tracefs` alone": Who("tracefs"),
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


@dataclass(frozen=True)
class Accuracy:
    """Of probes that were sent one after the other while others flooded the same way."""

    probes: int
    complete: int
    """Went the whole way there and back as it is told, with every hook on it."""
    foreign: int
    """Events that were told as the probe's, and were another packet's."""
    lost: int
    """Probes of which events were lost."""


@dataclass(frozen=True)
class Found:
    costs: Mapping[str, Cost]
    accuracy: Accuracy


def compare() -> Found:
    """By who watches; each is measured in turn with nobody, and the least of many is told."""
    with _lab() as name:
        terrain, identities, _ = lab_of(name)
        with visiting(identities) as visits:
            costs = {label: _cost(terrain, visits, who) for label, who in WATCHERS.items()}
            return Found(costs, _accuracy(name, terrain, visits))


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


def _cost(terrain: Terrain, visits: Visits, who: Who) -> Cost:
    print(f"who watches: {who.names or 'all'} …", file=sys.stderr, flush=True)
    probe = Probe("cli", "srv", "udp", "10.1.0.2", SINK[0], 9, from_port=7, cookie=fresh())
    scene = Scene(terrain, probe, visits, in_depth=who.in_depth)
    with ExitStack() as stack:
        sink = stack.enter_context(visits.at(terrain.spots["srv"].ns, _sink))
        sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        source = stack.enter_context(visits.at(terrain.spots["cli"].ns, _source))
        before, during, after = [], [], []
        for _ in range(ROUNDS):
            before.append(_least(source))
            watches: list[Watch] = open_watches(scene, chosen(who.names))[0]
            during.append(_least(source))
            close_watches(watches)
            after.append(_least(source))
    return Cost(min(before), min(during), min(after), *_spent(terrain, visits, who))


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


def _spent(terrain: Terrain, visits: Visits, who: Who) -> tuple[float, float]:
    request = Request(probe_of(Words("cli", "srv", tcp=9), terrain), in_depth=who.in_depth)
    known = os.environ.get("XDG_CACHE_HOME")
    with tempfile.TemporaryDirectory(prefix="netlab-bench-") as place:
        os.environ["XDG_CACHE_HOME"] = place
        try:
            first, later = [], []
            for _ in range(ROUNDS):
                shutil.rmtree(f"{place}/netlab", ignore_errors=True)
                first.append(observe(terrain, request, visits, chosen(who.names)).milliseconds)
                later.append(observe(terrain, request, visits, chosen(who.names)).milliseconds)
        finally:
            os.environ.pop("XDG_CACHE_HOME")
            if known is not None:
                os.environ["XDG_CACHE_HOME"] = known
    return statistics.median(first), statistics.median(later)


# whether it is right


def _accuracy(lab: str, terrain: Terrain, visits: Visits) -> Accuracy:
    print(f"{PROBES} probes under a flood …", file=sys.stderr, flush=True)
    flood = [
        "ip", "netns", "exec", f"{lab}.cli", sys.executable, "-c", FLOOD, SINK[0], str(SINK[1])
    ]  # fmt: skip
    told: Counter[str] = Counter()
    foreign = lost = 0
    floods = [subprocess.Popen(flood) for _ in range(FLOODS)]
    try:
        for port in range(20_000, 20_000 + PROBES):
            request = Request(probe_of(Words("cli", "srv", tcp=80, from_port=port), terrain), 80)
            record = observe(terrain, request, visits, chosen("bpf"))
            foreign += sum(not _is_mine(s.network, record) for s in record.sightings if s.network)
            lost += bool(record.gaps)
            told[_shape(record)] += 1
    finally:
        for one in floods:
            one.kill()
            one.wait()
    return Accuracy(PROBES, told[WHOLE], foreign, lost)


def _is_mine(data: bytes, record: Record) -> bool:
    headers = parse(data)
    return headers is not None and way_of(headers, record.probe) is not None


HOOKS = {
    "cli": ("output postrouting", "prerouting input"), "sw": ("", ""),
    "gw": ("prerouting forward postrouting", "prerouting forward postrouting"),
    "srv": ("prerouting input", "output postrouting"),
}  # fmt: skip
WHOLE = "answered: " + ", ".join(
    f"{node} ({HOOKS[node][way]})" for way, nodes in (
        (0, ("cli", "sw", "gw", "srv")), (1, ("srv", "gw", "sw", "cli"))
    ) for node in nodes
)  # fmt: skip


def _shape(record: Record) -> str:
    """How it ended, and its way there and back with the hooks that it passed."""
    found = conclude(record)
    hops = [
        f"{hop.node} ({' '.join(s.hook for s in hop.steps if s.kind == 'hook')})"
        for leg in found.legs if leg.kind in ("forward", "reply") for hop in leg.hops
    ]  # fmt: skip
    return f"{found.disposition}: {', '.join(hops)}"


def section(found: Found) -> list[str]:
    """Of docs/benchmark.md."""
    right = found.accuracy
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
    for who, c in found.costs.items():
        more = c.during - c.before
        lines.append(
            f"| {who} | {c.before:.0f} | {c.during:.0f} | {more:.0f} | {c.after:.0f} |"
            f" {c.first:.0f} | {c.next:.0f} |"
        )
    return [
        *lines,
        "",
        f"Of {right.probes} probes, sent there and back one after the other while {FLOODS}"
        " processes flooded",
        f"the same way as fast as they could, {right.complete} are told whole: each node and hook,"
        " in both directions.",
        f"Events of other packets that were taken for the probe's: {right.foreign}; probes of which"
        f" events were lost: {right.lost}.",
        "",
    ]


if __name__ == "__main__":
    print("\n".join(section(compare())))
