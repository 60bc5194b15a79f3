"""SIGKILL wherever it hits: ``down`` leaves nothing, and ``up`` ends in the lab that was wanted."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netlab.cli.main import run
from tests.live.conftest import Write
from tests.live.life import nothing_of, seen
from tests.live.world import ROOT, done, netlab, snapshot

OLD = """\
routing: static
nodes:
  h1: {files: {/etc/motd: {text: "hello"}}, exec: ["test -d /proc"]}
  sw: {kind: switch}
  gw: {kind: router, interfaces: {tun0: {kind: tun, addresses: [10.9.0.1/24]}}}
links: [[h1, sw], ["gw:lan", sw]]
"""
NEW = """\
routing: static
nodes:
  h1: {files: {/etc/motd: {text: "bye"}}, exec: ["test -d /sys"]}
  h2:
  sw: {kind: switch}
  gw: {kind: router, interfaces: {tun0: {kind: tun, addresses: [10.9.0.2/24], mtu: 1400}}}
links: [[h1, sw], [h2, sw], {endpoints: ["gw:lan", sw], mtu: 1400}]
"""

ROUNDS = 10

ROOMS = (f"{ROOT}/netlab/lab/", f"{ROOT}/netlab/kernel/")


def calls(at: int, *words: str | Path) -> int:
    """Run a command in a child that is killed at its ``at``-th call in the rooms that change
    something; how many calls there were if it came to its end.
    """
    inlet, outlet = os.pipe()
    pid = os.fork()
    if not pid:
        _child(at, outlet, [str(word) for word in words])
    os.close(outlet)
    with os.fdopen(inlet) as told:
        count = told.read()
    os.waitpid(pid, 0)
    return int(count or 0)


def _child(at: int, outlet: int, words: list[str]) -> None:
    me, count = os.getpid(), 0

    def watch(frame: Any, event: str, argument: object) -> None:
        nonlocal count
        if event == "call" and frame.f_code.co_filename.startswith(ROOMS) and os.getpid() == me:
            count += 1
            if count == at:
                os.kill(me, signal.SIGKILL)

    try:
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
        threading.setprofile(watch)
        sys.setprofile(watch)
        if run(words) == 0:
            sys.setprofile(None)
            os.write(outlet, str(count).encode())
    finally:
        os._exit(0)


@pytest.fixture
def moments(capsys: pytest.CaptureFixture[str]) -> Iterator[random.Random]:
    seed = int.from_bytes(os.urandom(4))
    print(f"seed {seed}")
    yield random.Random(seed)


@pytest.fixture
def fresh(write: Write, lab: str) -> dict[str, list[str]]:
    """How the two look when nothing goes wrong."""
    looks = {}
    for text in (OLD, NEW):
        done("up", write(text))
        looks[text] = seen(lab)
        done("down", lab)
    return looks


def test_while_it_comes_up(
    write: Write, lab: str, moments: random.Random, fresh: dict[str, list[str]]
) -> None:
    file, before = write(OLD), snapshot(lab)
    every = calls(0, "up", file)
    done("down", lab)
    for number in moments.sample(range(1, every), ROUNDS):
        calls(number, "up", file)
        assert netlab("down", lab).code in (0, 5), number
        assert snapshot(lab) == before, number

        calls(number, "up", file)
        done("up", file)
        assert seen(lab) == fresh[OLD], number
        done("down", lab)
    assert snapshot(lab) == before


def test_while_it_changes(
    write: Write, lab: str, moments: random.Random, fresh: dict[str, list[str]]
) -> None:
    file, before = write(OLD), snapshot(lab)
    done("up", file)
    every = calls(0, "up", write(NEW))
    done("down", lab)
    for number in moments.sample(range(1, every), ROUNDS):
        done("up", write(OLD))
        calls(number, "up", write(NEW))
        done("down", lab)
        assert snapshot(lab) == before, number

        wanted = moments.choice([OLD, NEW])
        done("up", write(OLD))
        calls(number, "up", write(NEW))
        done("up", write(wanted))
        assert seen(lab) == fresh[wanted], (number, wanted)
        done("down", lab)
    assert snapshot(lab) == before


def test_while_it_goes_down(
    write: Write, lab: str, moments: random.Random, fresh: dict[str, list[str]]
) -> None:
    file, before = write(OLD), snapshot(lab)
    done("up", file)
    every = calls(0, "down", lab)
    for number in moments.sample(range(1, every), ROUNDS):
        done("up", file)
        calls(number, "down", lab)
        assert netlab("down", lab).code in (0, 5), number
        assert snapshot(lab) == before, number

        done("up", file)
        calls(number, "down", lab)
        done("up", file)
        assert seen(lab) == fresh[OLD], number
        done("down", lab)
    assert nothing_of(lab)
