"""Throughput and round-trip time through a lab, and through the same lab built by hand.

    a ── r ── b
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROUNDS = 9
SECONDS = 1
PINGS = 2000

TOPOLOGY = """\
name: {name}
nodes:
  a: {{routes: [{{to: default, via: 10.1.0.1}}]}}
  r: {{kind: router}}
  b: {{routes: [{{to: default, via: 10.2.0.1}}]}}
links:
  - ["a:eth0 10.1.0.2/24", "r:left 10.1.0.1/24"]
  - ["r:right 10.2.0.1/24", "b:eth0 10.2.0.2/24"]
"""
BY_HAND = """\
set -e
for n in a r b; do ip netns add {name}.$n; ip -n {name}.$n link set lo up; done
ip link add eth0 netns {name}.a type veth peer name left netns {name}.r
ip link add right netns {name}.r type veth peer name eth0 netns {name}.b
ip -n {name}.a address add 10.1.0.2/24 dev eth0
ip -n {name}.r address add 10.1.0.1/24 dev left
ip -n {name}.r address add 10.2.0.1/24 dev right
ip -n {name}.b address add 10.2.0.2/24 dev eth0
ip -n {name}.a link set eth0 up
ip -n {name}.r link set left up
ip -n {name}.r link set right up
ip -n {name}.b link set eth0 up
ip netns exec {name}.r sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
ip -n {name}.a route add default via 10.1.0.1
ip -n {name}.b route add default via 10.2.0.1
"""


@dataclass(frozen=True)
class Flow:
    """Of each round: TCP throughput in Gbit/s, round-trip time in µs."""

    throughput: list[float] = field(default_factory=list)
    round_trip: list[float] = field(default_factory=list)


def compare(place: Path) -> dict[str, Flow]:
    """All labs at once, measured by turns; two of the same sort show how much is noise."""
    print("traffic …", file=sys.stderr, flush=True)
    name = f"flow{os.getpid()}"
    with _by_netlab(place, name), _by_hand(f"{name}h"), _by_hand(f"{name}i"):
        labs = {"netlab": name, "by hand with ip": f"{name}h", "by hand, once more": f"{name}i"}
        flows = {who: Flow() for who in labs}
        for turn in range(ROUNDS):
            around = list(labs.items())
            around = around[turn % len(around) :] + around[: turn % len(around)]
            for who, lab in around:
                flows[who].throughput.append(_throughput(lab))
                flows[who].round_trip.append(_round_trip(lab))
    return flows


@contextmanager
def _by_netlab(place: Path, name: str) -> Iterator[None]:
    file = place / f"{name}.yaml"
    file.write_text(TOPOLOGY.format(name=name))
    netlab = [sys.executable, "-m", "netlab"]
    subprocess.run([*netlab, "up", str(file)], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        subprocess.run([*netlab, "down", name], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


@contextmanager
def _by_hand(name: str) -> Iterator[None]:
    try:
        subprocess.run(["sh", "-c", BY_HAND.format(name=name)], check=True)
        yield
    finally:
        for node in "arb":
            subprocess.run(["ip", "netns", "del", f"{name}.{node}"], check=False)


def _throughput(lab: str) -> float:
    inside = ["ip", "netns", "exec"]
    server = [*inside, f"{lab}.b", "iperf3", "-s", "-1", "--forceflush"]
    with subprocess.Popen(server, stdout=subprocess.PIPE, text=True) as listening:
        assert listening.stdout is not None
        while "listening" not in listening.stdout.readline():
            continue
        client = [*inside, f"{lab}.a", "iperf3", "-c", "10.2.0.2", "-t", str(SECONDS), "-J"]
        told = subprocess.run(client, capture_output=True, text=True, check=True).stdout
        listening.communicate(timeout=10)
    return float(json.loads(told)["end"]["sum_received"]["bits_per_second"]) / 1e9


def _round_trip(lab: str) -> float:
    words = ["ip", "netns", "exec", f"{lab}.a", "ping", "-q", "-i", "0.0005", "-c", str(PINGS)]
    told = subprocess.run([*words, "10.2.0.2"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"= [\d.]+/([\d.]+)/", told)
    assert found is not None, told
    return float(found[1]) * 1000
