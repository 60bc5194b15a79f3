"""Every cause that a trace names, found in a lab that has it; see ``causes``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from netlab.trace.why import names
from tests.live import causes_sockets
from tests.live.causes import CASES, PROGRAMS, Case
from tests.live.conftest import Write
from tests.live.world import done, ip, netlab

ALL = [*CASES, *causes_sockets.CASES]
MOST_CONNECTIONS = Path("/proc/sys/net/netfilter/nf_conntrack_max")
BY_HAND = PROGRAMS | causes_sockets.PROGRAMS


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


def by_hand(lab: str, hand: str) -> None:
    node, *command = hand.split()
    if command[0] == "python":
        command = [sys.executable, "-c", BY_HAND[command[1]]]
    words = [mac(lab, word) if word.startswith("MAC:") else word for word in command]
    subprocess.run(
        ["ip", "netns", "exec", f"{lab}.{node}", *words], capture_output=True, timeout=20
    )


def mac(lab: str, word: str) -> str:
    _, node, device = word.split(":")
    return str(ip(f"{lab}.{node}", "link", "show", device)[0]["address"])


def test_every_cause_has_its_lab() -> None:
    assert set(names()) - {case.cause for case in ALL} == set()

