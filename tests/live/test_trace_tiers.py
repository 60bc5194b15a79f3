"""Whoever watches: the path is the same. And what a killed process leaves in tracefs is swept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netlab.trace.backends import catalog
from netlab.trace.tracefs.instance import PREFIX, Instance, mounted
from tests.live.conftest import Write
from tests.live.world import done, netlab

OBSTACLES = {name: backend.obstacle() for name, backend in catalog().items()}
TIERS = ("bpf,nft-trace", "tracefs,nft-trace", "taps,nft-trace", "bpf,nft-trace,taps")

# a ── sw ── gw ── b
TEXT = """
routing: static
addressing: {ipv4: 10.78.0.0/16, ipv6: "fd78::/32"}
nodes:
  a:
  sw: {kind: switch}
  gw:
    kind: router
    routes: [{to: 198.51.100.0/24, type: blackhole}]
    nat: {masquerade: b}
    nftables: |
      table inet filter {
        chain forward {
          type filter hook forward priority filter
          tcp dport 23 drop
          tcp dport 25 reject
        }
      }
  b:
links: [[a, sw], [sw, gw], ["gw:b", b]]
"""

PROBES = {
    "b --tcp 80": ("refused", ""),
    "b --tcp 23": ("denied", "NETFILTER_DROP"),
    "b --udp 99": ("refused", ""),
    "b --icmp": ("answered", ""),
    "b --icmp -6": ("answered", ""),
    "b --tcp 25 -6": ("denied", "NETFILTER_DROP"),
    "192.0.2.1 --udp 9": ("no-route", "IP_INNOROUTES"),
    "198.51.100.1 --udp 9": ("null-routed", "NOT_SPECIFIED"),
}


def lacking(tier: str) -> str:
    return "; ".join(why for name in tier.split(",") if (why := OBSTACLES[name]))


@pytest.mark.parametrize("tier", TIERS)
def test_the_path_is_the_same_and_the_reason_is_the_kernels(
    tier: str, write: Write, lab: str
) -> None:
    if why := lacking(tier):
        pytest.skip(why)
    done("up", write(TEXT))
    for words, (disposition, reason) in PROBES.items():
        found = netlab("trace", lab, "a", *words.split(), "--backends", tier, "--json").json
        usual = netlab("trace", lab, "a", *words.split(), "--json").json
        assert found["disposition"] == disposition, words
        assert [_nodes(leg) for leg in found["legs"]] == [_nodes(leg) for leg in usual["legs"]]
        told = {step["reason"] for step in _dropped(found) if step["reason"]}
        sees_reasons = "bpf" in tier or "tracefs" in tier
        assert told == ({reason} if reason and sees_reasons else set()), words


def _nodes(leg: dict[str, Any]) -> tuple[str, list[str]]:
    return leg["kind"], [hop["node"] for hop in leg["hops"]]


def _dropped(trace: dict[str, Any]) -> list[dict[str, Any]]:
    steps = [step for leg in trace["legs"] for hop in leg["hops"] for step in hop["steps"]]
    return [step for step in steps if step["kind"] == "dropped"]


STANDS = """
import os, time
from netlab.trace.tracefs.instance import Instance
i = Instance(["skb/kfree_skb"], {})
print(os.path.basename(i._name), flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(bool(OBSTACLES["tracefs"]), reason=OBSTACLES["tracefs"])
@pytest.mark.parametrize("sweeps", [lambda: Instance((), {}).close(), lambda: done("gc")])
def test_what_a_killed_process_leaves_is_swept(
    sweeps: Callable[[], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETLAB_STATE", str(tmp_path))  # it looks at all labs there are
    with subprocess.Popen([sys.executable, "-c", STANDS], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        mine = process.stdout.readline().decode().strip()
        assert mine.startswith(PREFIX)
        Instance((), {}).close()
        assert mine in instances()
        process.send_signal(signal.SIGKILL)
    sweeps()
    assert mine not in instances()


def instances() -> list[str]:
    root = mounted()
    try:
        return os.listdir(f"/proc/self/fd/{root}/instances")
    finally:
        os.close(root)
