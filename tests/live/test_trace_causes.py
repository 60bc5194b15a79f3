"""Every cause that a trace names, found in a lab that has it; see ``causes``."""

from __future__ import annotations

import subprocess
import sys

import pytest

from netlab.trace.why import names
from tests.live.causes import CASES, Case
from tests.live.conftest import Write
from tests.live.world import done, ip, netlab, tool


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.cause} {c.name}".strip())
def test_a_cause_is_found(case: Case, write: Write, lab: str) -> None:
    done("up", write(case.topology))
    for hand in case.hands:
        by_hand(lab, hand)
    said = netlab("trace", lab, *case.words.split(), "--json")
    found = said.json
    told = (found["cause"] or {}).get("name"), found["disposition"], (found["place"] or {})["node"]
    assert told == (case.cause, case.disposition, case.at or "gw"), said.out
    assert found["cause"]["sentence"] and found["cause"]["evidence"]
    assert netlab("trace", lab, *case.words.split(), "--expect", case.cause).code == 0
    assert netlab("trace", lab, *case.words.split(), "--expect", "answered").code == 1


def by_hand(lab: str, hand: str) -> None:
    node, *command = hand.split()
    if command == ["nc-burst"]:
        command = [sys.executable, "-c", BURST]
    twin = [w for w in command if w == "TWIN"]
    if twin:
        mac = ip(f"{lab}.twin", "link", "show", "eth0")[0]["address"]
        command = [mac if w == "TWIN" else w for w in command]
    subprocess.run(
        ["ip", "netns", "exec", f"{lab}.{node}", *command], capture_output=True, timeout=20
    )


BURST = """
import socket
for _ in range(40):
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", ("10.2.0.2", 53))
"""


def test_every_cause_has_its_lab() -> None:
    assert set(names()) - {case.cause for case in CASES} == set()


assert tool
