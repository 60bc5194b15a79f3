"""What is foretold is what comes: in the labs of the catalogue, between many of their nodes."""

from __future__ import annotations

from itertools import permutations

import pytest

from tests.live.conftest import Write
from tests.live.world import ROOT, netlab

LABS = (
    "two-hosts", "lan", "two-lans", "dual-stack", "pmtu", "vxlan-overlay", "nat-gateway",
    "home-router", "container-bridge", "proxy-arp", "policy-routing", "netdev-ingress",
    "bridge-filter", "stateful", "dmz-firewall",
)  # fmt: skip
"""Without those where they cannot agree; see docs/trace.md."""
PROBES = (("--icmp",), ("--tcp", "80"), ("--udp", "9"))
PAIRS = 4
"""Of a lab; the same ones each time."""


@pytest.mark.parametrize("name", LABS)
def test_it_comes_as_foretold(name: str, write: Write, lab: str) -> None:
    text = (ROOT / "topologies" / f"{name}.yaml").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("name:")]
    up = netlab("up", write("\n".join(lines) + "\n"))
    if up.code == 3:
        pytest.skip(up.err)
    assert up.code == 0, up.err
    nodes = netlab("show", lab, "--json").json["nodes"]
    ends = [node["name"] for node in nodes if node["kind"] != "switch"]
    pairs = list(permutations(ends, 2))
    step = max(1, len(pairs) // PAIRS)
    for sender, target in pairs[::step]:
        for words in PROBES:
            found = netlab("trace", lab, sender, target, *words, "--wait", "0.5", "--json")
            if found.code == 2:
                continue  # the two have no family in common, or the target no address
            foretold = found.json["foretold"]
            told = sender, target, words, found.json["disposition"]
            assert foretold["differences"] == [], told
            assert foretold["disposition"] == found.json["disposition"], told
