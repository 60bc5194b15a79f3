"""SIGKILL at every line of the journal, every request, every file: nothing is left or lost.

    a ── gw (t0)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from netlab.lab import apply
from tests.live.conftest import Write
from tests.live.crash import killed, look, nothing_is_left, points
from tests.live.world import done, eventually, netlab

OLD = """\
routing: static
nodes:
  a: {files: {/etc/motd: {text: "hello"}}, exec: ["test -d /proc"]}
  gw: {kind: router, interfaces: {t0: {kind: tun, addresses: [10.9.0.1/24]}}}
links: [[a, gw]]
"""
NEW = """\
routing: static
nodes:
  a: {files: {/etc/motd: {text: "bye"}}, exec: ["test -d /sys"]}
  b: {sysctls: {net.ipv4.ip_default_ttl: 33}}
  gw: {kind: router, interfaces: {t0: {kind: tun, addresses: [10.9.0.2/24], mtu: 1400}}}
links: [{endpoints: [a, gw], mtu: 1400}, [b, gw]]
"""
WITH_PROCESS = """\
nodes:
  a: {processes: {p: {run: [sleep, "600"]}}, exec: ["test -d /proc"]}
"""
STEPS = 6
"""In a batch: each command falls into several."""


@pytest.fixture(autouse=True)
def _several_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "BATCH", STEPS)


Case = tuple[str, str]
"""What is up when it begins ("" for nothing), and what the file says then ("" takes it down)."""

CASES: dict[str, Case] = {
    "up": ("", OLD),
    "a change": (OLD, NEW),
    "down": (OLD, ""),
    "up with a process": ("", WITH_PROCESS),
    "down with a process": (WITH_PROCESS, ""),
}


def moments(case: Case, write: Write, lab: str) -> Iterator[int]:
    """At each point of a command: the state before it is there, and then it is killed there."""
    before, after = case
    words: tuple[str | Path, ...] = ("down", lab)
    at, count = 1, 1
    while at <= count:
        if before:
            done("up", write(before))
        file = write(after or before)
        words = ("up", file) if after else ("down", lab)
        if count == 1:
            count = len(points(*words))
            assert count > STEPS
            continue_from(before, lab, write)
            file = write(after or before)
        if killed(at, *words):
            yield at
        at += 1
        netlab("down", lab)


def continue_from(before: str, lab: str, write: Write) -> None:
    """Back to where a command begins."""
    if not nothing_is_left(lab):
        done("down", lab)
    if before:
        done("up", write(before))


@pytest.mark.parametrize("name", CASES)
def test_after_a_kill_at_any_point_down_leaves_nothing(name: str, write: Write, lab: str) -> None:
    kills = 0
    for at in moments(CASES[name], write, lab):
        kills += 1
        said = netlab("down", lab)
        assert said.code in (0, 5), said  # 5: nothing of it was there yet, or any more
        eventually(lambda: nothing_is_left(lab))
        assert nothing_is_left(lab), at
    assert kills > STEPS


@pytest.mark.parametrize("name", [name for name, (_, after) in CASES.items() if after])
def test_after_a_kill_at_any_point_up_ends_in_the_lab_that_was_wanted(
    name: str, write: Write, lab: str
) -> None:
    _, after = CASES[name]
    done("up", write(after))
    wanted = steadily(lambda: look(lab))
    done("down", lab)
    kills = 0
    for at in moments(CASES[name], write, lab):
        kills += 1
        done("up", write(after))
        assert look(lab) == wanted, at
    assert kills > STEPS


def steadily(ask: Callable[[], list[str]]) -> list[str]:
    """The same twice, so that nothing in it is about time."""
    first = ask()
    assert ask() == first
    return first
