"""Every cause that a trace names, found in a lab that has it; see ``causes``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from netlab.trace.why import names
from tests.live import causes_devices, causes_sockets
from tests.live.causes import CASES, PROGRAMS, Case
from tests.live.conftest import Write
from tests.live.world import NETLAB, ROOT, done, ip, netlab

ALL = [*CASES, *causes_devices.CASES, *causes_sockets.CASES]
MOST_CONNECTIONS = Path("/proc/sys/net/netfilter/nf_conntrack_max")
LACKING = ("Operation not supported", "kind is unknown", "classifier not found")
"""What a kernel says that has not what a lab needs."""
BY_HAND = PROGRAMS | causes_devices.PROGRAMS | causes_sockets.PROGRAMS


@pytest.mark.parametrize("case", ALL, ids=lambda c: f"{c.cause} {c.name}".strip())
def test_a_cause_is_found(case: Case, write: Write, lab: str) -> None:
    if case.cause == "conntrack-full" and int(MOST_CONNECTIONS.read_text()) > 1 << 19:
        pytest.skip("nf_conntrack_max is too high to be reached here")
    done("up", write(case.topology))
    for hand in case.hands:
        by_hand(lab, hand)
    said = netlab("trace", lab, *case.words.split(), "--json", "--expect", case.cause)
    found = said.json
    told = (found["cause"] or {}).get("name"), found["disposition"], (found["place"] or {})["node"]
    assert told == (case.cause, case.disposition, case.at or "gw"), said.out
    assert said.code == 0
    assert found["cause"]["sentence"] and found["cause"]["evidence"]


@pytest.mark.parametrize(
    ("cause", "traffic"),
    [("tcp-md5", "tcp port 80"), ("checksum-udp", "udp port 53"), ("socket-filter", "udp port 53")],
)
def test_a_packet_of_the_lab_has_it_too(cause: str, traffic: str, write: Write, lab: str) -> None:
    """Followed as it goes by, and not a probe."""
    option = f"--{traffic.replace(' port', '')}"
    found = [c for c in ALL if c.cause == cause and c.words == f"cli srv {option}"]
    done("up", write(found[0].topology))
    for hand in found[0].hands:
        by_hand(lab, hand)
    words = [*NETLAB, "trace", lab, "--live", traffic, "--first", "1", "--json"]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True, cwd=ROOT) as follows:
        assert follows.stderr is not None
        assert follows.stderr.readline().startswith("following")
        by_hand(lab, f"cli python {'CONNECTS' if 'tcp' in traffic else 'ASKS'}")
        said, told = follows.communicate(timeout=60)
    assert json.loads(said)["cause"]["name"] == cause, told


@pytest.mark.parametrize(
    "case", [c for c in ALL if c.cause == "listens-elsewhere"], ids=lambda c: str(c.name)
)
def test_who_waits_at_another_place_is_foretold(case: Case, write: Write, lab: str) -> None:
    done("up", write(case.topology))
    found = netlab("explain", lab, *case.words.split(), "--json").json
    assert (found["cause"]["name"], found["place"]["node"]) == (case.cause, case.at)
    assert found["cause"]["sentence"].endswith(f"and not at {found['probe']['destination']}")


@pytest.mark.parametrize("backends", ["bpf,nft-trace", "nft-trace,taps"])
def test_what_is_answered_in_a_server_s_place_is_not_dropped(
    backends: str, write: Write, lab: str
) -> None:
    """cli ── gw ── srv, where gw shakes hands (synproxy): it takes the SYN and sends its own."""
    done("up", write(causes_sockets.PROXIED))
    found = netlab("trace", lab, "cli", "srv", "--tcp", "80", "--backends", backends, "--json").json
    assert (found["disposition"], found["cause"]) == ("answered", None)
    (gw,) = (hop for hop in found["legs"][0]["hops"] if hop["node"] == "gw")
    assert "dropped" not in {step["kind"] for step in gw["steps"]}
    chains = [
        (step["hook"], chain["name"], chain["verdict"])
        for step in gw["steps"] if step["kind"] == "hook" for chain in step["chains"]
    ]  # fmt: skip
    assert chains == [("prerouting", "first", "accept"), ("forward", "second", "stolen")]


def by_hand(lab: str, hand: str) -> None:
    node, *command = hand.split()
    if command[0] == "python":
        command = [sys.executable, "-c", BY_HAND[command[1]], *command[2:]]
    words = [mac(lab, word) if word.startswith("MAC:") else word for word in command]
    said = subprocess.run(
        ["ip", "netns", "exec", f"{lab}.{node}", *words],
        capture_output=True, text=True, timeout=90, cwd=ROOT,
    )  # fmt: skip
    if said.returncode and any(words in said.stderr for words in LACKING):
        pytest.skip(f"{hand}: {said.stderr.strip().splitlines()[-1]}")


def mac(lab: str, word: str) -> str:
    _, node, device = word.split(":")
    return str(ip(f"{lab}.{node}", "link", "show", device)[0]["address"])


def test_every_cause_has_its_lab() -> None:
    assert set(names()) - {case.cause for case in ALL} == set()

