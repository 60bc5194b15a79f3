"""What is foretold is what comes: in the labs of the catalogue, between many of their nodes."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

from tests.live.causes import routed
from tests.live.conftest import Write
from tests.live.world import ROOT, done, netlab

FILES = sorted(ROOT.glob("topologies/*.yaml"))
PROBES = (("--icmp",), ("--tcp", "80"), ("--udp", "9"))
PAIRS = 4
"""Of a lab; the same ones each time."""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_comes_as_foretold(file: Path, write: Write, lab: str) -> None:
    lines = [line for line in file.read_text().splitlines() if not line.startswith("name:")]
    topology = write("\n".join(lines) + "\n")
    for beside in file.parent.iterdir():
        (topology.parent / beside.name).symlink_to(beside)
    up = netlab("up", topology)
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


@pytest.mark.parametrize(
    ("words", "foretold"),
    [
        (["--tcp", "80"], "answered"), (["--udp", "53"], "delivered"),
        (["--tcp", "80", "-6"], "answered"),
    ],
    ids=["tcp", "udp", "IPv6"],
)  # fmt: skip
def test_who_is_going_to_answer_is_foretold(
    words: list[str], foretold: str, write: Write, lab: str
) -> None:
    """cli ── gw ── srv: whether a program answers a datagram, nobody can say."""
    done("up", write(routed()))
    found = netlab("trace", lab, "cli", "srv", *words, "--respond", "--json").json
    assert found["disposition"] == "answered"
    assert found["foretold"] == {"disposition": foretold, "cause": "", "differences": []}
