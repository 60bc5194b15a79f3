"""SIGKILL at every line of the journal, every request, every file: nothing is left or lost.

    a ── gw (t0)        in several batches; with `p` also a process of a, and what looks after it
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from netlab.lab import apply
from tests.live.conftest import Write
from tests.live.crash import differing, killed, look, moments, nothing_is_left
from tests.live.world import done, netlab

BARE = """\
routing: static
nodes:
  a:
    files: {/etc/motd: {text: hello}}
    sysctls: {net.ipv4.ip_default_ttl: 33}
    exec: ["ip link add mark address 02:00:00:00:00:aa type bridge"]
  gw: {kind: router, interfaces: {t0: {kind: tun, addresses: [10.9.0.1/24]}}}
links: [[a, gw]]
"""
BARE_CHANGED = """\
routing: static
nodes:
  a:
    files: {/etc/motd: {text: bye}}
    exec: ["ip link add mark address 02:00:00:00:00:aa type bridge"]
  b:
    sysctls: {net.ipv4.ip_default_ttl: 34}
    exec: ["ip link add mark address 02:00:00:00:00:ab type bridge"]
  gw: {kind: router, interfaces: {t0: {kind: tun, addresses: [10.9.0.2/24], mtu: 1400}}}
links: [{endpoints: [a, gw], mtu: 1400}, [b, gw]]
"""
BUSY = """\
nodes:
  a:
    exec: ["test -d /proc"]
    processes:
      p: {run: [sleep, "1001"]}
      q: {run: [sleep, "1002"], restart: always}
"""
BUSY_CHANGED = """\
nodes:
  a:
    exec: ["test -d /sys"]
    processes:
      q: {run: [sleep, "1002"], restart: "no"}
      r: {run: [sleep, "1003"], after: q}
"""


@dataclass(frozen=True)
class Labs:
    """A lab, what it is changed to, and how the two look when nothing goes wrong."""

    name: str
    write: Callable[[str], Path]
    old: str
    new: str
    looks: dict[str, list[str]]


@pytest.fixture(params=["bare", "busy"])
def labs(
    request: pytest.FixtureRequest, write: Write, lab: str, monkeypatch: pytest.MonkeyPatch
) -> Labs:
    monkeypatch.setattr(apply, "BATCH", 6 if request.param == "bare" else 2)
    monkeypatch.setattr(apply, "MOST_NAMESPACES", 1)
    old, new = (BARE, BARE_CHANGED) if request.param == "bare" else (BUSY, BUSY_CHANGED)
    looks = {}
    for text in (old, new):
        done("up", write(text))
        looks[text] = look(lab)
        done("down", lab)
    return Labs(lab, write, old, new, looks)


def test_at_every_point_of_up(labs: Labs) -> None:
    file = labs.write(labs.old)
    every = moments("up", file)
    done("down", labs.name)
    for number in every:
        killed(number, "up", file)
        goes_down(labs, number)

        killed(number, "up", file)
        comes_up(labs, labs.old, number)
        done("down", labs.name)


def test_at_every_point_of_a_change(labs: Labs) -> None:
    done("up", labs.write(labs.old))
    every = moments("up", labs.write(labs.new))
    done("down", labs.name)
    for number in every:
        done("up", labs.write(labs.old))
        killed(number, "up", labs.write(labs.new))
        goes_down(labs, number)

        done("up", labs.write(labs.old))
        killed(number, "up", labs.write(labs.new))
        comes_up(labs, labs.new if number % 3 else labs.old, number)
        done("down", labs.name)


def test_at_every_point_of_down(labs: Labs) -> None:
    file = labs.write(labs.old)
    done("up", file)
    every = moments("down", labs.name)
    for number in every:
        done("up", file)
        killed(number, "down", labs.name)
        goes_down(labs, number)

        done("up", file)
        killed(number, "down", labs.name)
        comes_up(labs, labs.old, number)
        done("down", labs.name)


def goes_down(labs: Labs, number: int) -> None:
    said = netlab("down", labs.name)
    assert said.code in (0, 5), (number, said)  # 5: it had not begun, or had ended
    assert nothing_is_left(labs.name), number


def comes_up(labs: Labs, text: str, number: int) -> None:
    file = labs.write(text)
    done("up", file)
    assert differing(labs.name, labs.looks[text]) == [], number
    if number % 4 == 0:
        assert "is unchanged" in done("plan", file), number
