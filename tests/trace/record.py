"""Record what a real kernel shows of a probe, for the tests that need none.

    sudo .venv/bin/python -m tests.trace.record [NAME…]      # into tests/trace/records

Each record is a lab, a probe, all that was seen of it, and what the nodes held; beside it lies the
story that is told of it (``NAME.txt``), to be read by who records anew.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from netlab.cli.main import run
from netlab.cli.trace import chosen, lab_of
from netlab.kernel.visits import visiting
from netlab.render import journey as render
from netlab.trace import record as records
from netlab.trace import taught
from netlab.trace.conclude import conclude
from netlab.trace.journey import Request, observe
from netlab.trace.request import Words, probe_of

RECORDS = Path(__file__).parent / "records"
WATCHERS = "conntrack,counters,nft-trace,taps"


@dataclass(frozen=True)
class Scenario:
    topology: str
    words: Words
    hands: tuple[str, ...] = ()
    """``NODE COMMAND…``, done before."""
    respond: int = 0
    watchers: str = WATCHERS
    in_depth: bool = False


NAT = """\
nodes:
  cli: {routes: [{to: default, via: 10.1.0.1}]}
  sw: {kind: switch}
  gw:
    kind: router
    nftables: |
      table inet filter {
        chain forward {
          type filter hook forward priority filter; policy drop;
          ct state established,related accept comment "answers"
          tcp dport 80 accept comment "web"
          tcp dport 23 counter drop comment "no telnet"
          udp dport 9999 jump udp
        }
        chain udp {
          ip saddr 192.0.2.0/24 accept
          counter reject comment "no udp"
        }
      }
      table ip nat {
        chain pre {
          type nat hook prerouting priority dstnat;
          iifname "lan" tcp dport 8080 dnat to 203.0.113.2:80
        }
        chain post {
          type nat hook postrouting priority srcnat;
          oifname "wan" masquerade
        }
      }
  srv: {}
links:
  - ["cli:eth0 10.1.0.2/24", sw]
  - ["gw:lan 10.1.0.1/24", sw]
  - ["gw:wan 203.0.113.1/24", "srv:eth0 203.0.113.2/24"]
"""
"""cli ── sw ── gw ── srv"""

SEGMENT = """\
nodes: {a: {}, b: {}, c: {}, sw: {kind: switch}}
links:
  - ["a:eth0 10.0.0.1/24 fd00::1/64", sw]
  - ["b:eth0 10.0.0.2/24 fd00::2/64", sw]
  - ["c:eth0 10.0.0.3/24 fd00::3/64", sw]
"""
"""a, b, c at sw"""

LOOP = """\
nodes:
  a: {routes: [{to: default, via: 10.1.0.1}]}
  r1: {kind: router, routes: [{to: default, via: 10.2.0.2}]}
  r2: {kind: router, routes: [{to: default, via: 10.2.0.1}]}
links:
  - ["a:eth0 10.1.0.2/24", "r1:a 10.1.0.1/24"]
  - ["r1:b 10.2.0.1/24", "r2:b 10.2.0.2/24"]
"""
"""a ── r1 ── r2, which sends back"""

VXLAN = """\
nodes:
  h1: {interfaces: {vx: {kind: vxlan, id: 7, remote: 10.2.0.2, addresses: [10.9.0.1/24]}},
       routes: [{to: default, via: 10.1.0.1}]}
  r: {kind: router}
  h2: {interfaces: {vx: {kind: vxlan, id: 7, remote: 10.1.0.2, addresses: [10.9.0.2/24]}},
       routes: [{to: default, via: 10.2.0.1}]}
links:
  - ["h1:eth0 10.1.0.2/24", "r:a 10.1.0.1/24"]
  - ["h2:eth0 10.2.0.2/24", "r:b 10.2.0.1/24"]
"""
"""h1 ══ r ══ h2, a tunnel over it"""

SCENARIOS = {
    "published": Scenario(NAT, Words("cli", "srv", tcp=8080, to="10.1.0.1"), respond=80),
    "dropped": Scenario(NAT, Words("cli", "srv", tcp=23)),
    "rejected": Scenario(NAT, Words("cli", "srv", udp=9999)),
    "policy": Scenario(NAT, Words("cli", "srv", tcp=22)),
    "refused": Scenario(NAT, Words("cli", "srv", tcp=80)),
    "frames-alone": Scenario(
        NAT, Words("cli", "srv", tcp=8080, to="10.1.0.1"), respond=80, watchers="taps,counters"
    ),
    "rules-alone": Scenario(
        NAT, Words("cli", "srv", tcp=8080, to="10.1.0.1"), respond=80, watchers="nft-trace"
    ),
    "kernel-alone": Scenario(
        NAT, Words("cli", "srv", tcp=8080, to="10.1.0.1"), respond=80, watchers="bpf"
    ),
    "kernel-with-rules": Scenario(
        NAT, Words("cli", "srv", tcp=8080, to="10.1.0.1"), respond=80,
        watchers="bpf,conntrack,counters,nft-trace",
    ),
    "kernel-in-depth": Scenario(
        NAT, Words("cli", "srv", tcp=8080, to="10.1.0.1"), respond=80,
        watchers="bpf,conntrack,nft-trace", in_depth=True,
    ),
    "kernel-dropped": Scenario(NAT, Words("cli", "srv", tcp=23), watchers="bpf"),
    "kernel-pieces": Scenario(
        SEGMENT, Words("a", "b", udp=53, size=4000), respond=53, watchers="bpf,nft-trace"
    ),
    "echo-ipv6": Scenario(SEGMENT, Words("a", "b", icmp=True, version=6)),
    "flooded": Scenario(
        SEGMENT, Words("a", "b", udp=53), respond=53,
        hands=("a ping -c 1 10.0.0.2", "sw ip link set br0 type bridge fdb_flush"),
    ),
    "looped": Scenario(LOOP, Words("a", "192.0.2.1", icmp=True, ttl=9)),
    "expired": Scenario(LOOP, Words("a", "r2", icmp=True, ttl=1, to="10.2.0.2")),
    "tunnelled": Scenario(VXLAN, Words("h1", "h2", udp=53, to="10.9.0.2"), respond=53),
    "unsent": Scenario(SEGMENT, Words("a", "192.0.2.1", tcp=80)),
    "unanswered": Scenario(SEGMENT, Words("a", "10.0.0.9", icmp=True)),
    "itself": Scenario(SEGMENT, Words("a", "a", tcp=80), respond=80),
}  # fmt: skip


def record(name: str, scenario: Scenario) -> records.Record:
    """In a lab of that name, which is up for as long as it takes."""
    lab = f"rec-{name}"
    file = Path(f"{lab}.yaml")
    file.write_text(scenario.topology)
    assert run(["up", str(file)]) == 0
    try:
        for hand in scenario.hands:
            node, *command = hand.split()
            subprocess.run(["ip", "netns", "exec", f"{lab}.{node}", *command], capture_output=True)
        terrain, identities, _ = lab_of(lab)
        probe = probe_of(scenario.words, terrain)
        request = Request(probe, scenario.respond, in_depth=scenario.in_depth)
        with visiting(identities) as visits:
            found = observe(terrain, request, visits, chosen(scenario.watchers))
    finally:
        run(["down", lab])
    return replace(found, terrain=replace(terrain, file=file.name), milliseconds=0.0)


def write(name: str, found: records.Record) -> None:
    data = records.as_json(found)
    sightings = data.pop("sightings")
    lines = ",\n".join(json.dumps(s, separators=(",", ":")) for s in sightings)
    head = json.dumps(data, separators=(",", ":"))[:-1]
    (RECORDS / f"{name}.json").write_text(f'{head},"sightings":[\n{lines}\n]}}\n')
    (RECORDS / f"{name}.txt").write_text(story(found))


def story(found: records.Record) -> str:
    """As it is told, without what is another one each time; where it is to teach, with that."""
    trace = conclude(found)
    lines = render.lines(trace, "usual")
    if any(s.anatomy for s in found.sightings):
        lines = render.lines(trace, "teach", taught.of(found, trace))
    told = [text.partition("\t") for text, _ in lines]
    kept = [f"{left}\t{right}" if ":" in right else left for left, _, right in told]
    return "\n".join(line.rstrip() for line in kept if not line.startswith("cookie")) + "\n"


def main(names: list[str]) -> None:
    RECORDS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        for name in names or SCENARIOS:
            write(name, record(name, SCENARIOS[name]))


if __name__ == "__main__":
    main(sys.argv[1:])
