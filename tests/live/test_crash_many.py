"""Twenty processes at once; a kernel that does not answer; signals on the way back."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from netlab.kernel import runs, taker
from netlab.kernel.acts import Op
from netlab.kernel.namespaces import Namespaces
from netlab.kernel.worker import Worker
from tests.live.conftest import Write
from tests.live.crash import differing, look, moments, nothing_is_left, ran
from tests.live.life import nothing_of
from tests.live.test_life_rounds import held, resident
from tests.live.world import Said, done, eventually, netlab, snapshot

PROCESSES, ROUNDS = 20, 10
TEXT = """\
name: {lab}
nodes: {{a: , gw: {{kind: router}}}}
links: [[a, gw]]
"""


def test_twenty_processes_bring_labs_up_and_down(
    host_unchanged: None, prefix: str, tmp_path: Path
) -> None:
    labs = [f"{prefix}-{n}" for n in range(PROCESSES)]
    pids = [_started(lab, tmp_path) for lab in labs]
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    told = [(tmp_path / f"{lab}.said").read_text() for lab in labs]
    assert (codes, "".join(told)) == ([0] * PROCESSES, "")
    assert [lab for lab in labs if not nothing_of(lab)] == []


def _started(lab: str, place: Path) -> int:
    """A process of its own: what it says that it should not is in ``LAB.said``."""
    file = place / f"{lab}.yaml"
    file.write_text(TEXT.format(lab=lab))
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        with (place / f"{lab}.said").open("w") as said:
            for _ in range(ROUNDS):
                for words in (("up", file), ("down", lab)):
                    ended = netlab(*words)
                    if ended.code or ended.err:
                        said.write(f"{words}: {ended}\n")
        code = 0
    finally:
        os._exit(code)


def test_fifty_rounds_of_changes_and_refusals_leave_nothing_in_the_process(
    write: Write, lab: str
) -> None:
    """Beside the plain rounds of `test_life_rounds`: what is walked back."""
    old = WALKED.format(text="hello", line="true", mtu=1500)
    new = WALKED.format(text="bye", line="test -d /proc", mtu=1400)
    refused = WALKED.format(text="bye", line="false", mtu=1400)

    def rounds(count: int) -> None:
        for _ in range(count):
            assert netlab("up", write(refused)).code == 4
            done("up", write(old))
            assert netlab("up", write(refused)).code == 4
            done("up", write(new))
            done("down", lab)

    rounds(5)
    gc.collect()
    before, memory = (held(), elsewhere()), resident()
    rounds(50)
    gc.collect()
    assert (held(), elsewhere()) == before
    assert resident() - memory < 4096


def elsewhere() -> tuple[int, set[int]]:
    """Mounts, and the namespaces that this process holds or stands in."""
    links = [*Path("/proc/self/fd").iterdir(), *Path("/proc/self/task").glob("*/ns/net")]
    nets = [place for place in links if place.exists() and "net:[" in os.readlink(place)]
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    # names under /run/netns are others' as well; the lab's own are looked at by `write`
    others = [mount for mount in mounts if "/run/netns/" not in mount]
    return len(others), {place.stat().st_ino for place in nets}


class Hanging(runs.Runs):
    """Does not come back from some namespaces, so many times, until it is let go."""

    ends = threading.Event()
    times = 0
    where = "gw"

    def _do_node(self, ns: str, some: Sequence[Op]) -> None:
        cls = type(self)
        if ns.endswith(f".{cls.where}") and cls.times:
            cls.times -= 1
            cls.ends.wait(60)
        super()._do_node(ns, some)


@pytest.fixture
def hangs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    def so_often(times: int) -> None:
        monkeypatch.setattr(Hanging, "ends", threading.Event())
        monkeypatch.setattr(Hanging, "times", times)
        monkeypatch.setattr(taker, "Runs", Hanging)
        monkeypatch.setattr(taker, "Worker", partial(Worker, deadline=0.3))

    yield so_often
    Hanging.ends.set()
    eventually(lambda: "namespaces" not in [thread.name for thread in threading.enumerate()])


NO_ANSWER = "the kernel has not answered for 0 s"


@pytest.mark.parametrize("times", [1, 2, 1000], ids=["one call", "both threads", "for ever"])
@pytest.mark.parametrize("command", ["up", "a change"])
def test_a_kernel_call_that_hangs_has_a_deadline_and_a_sentence(
    write: Write, lab: str, hangs: Callable[[int], None], command: str, times: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    file = write(TEXT.format(lab=lab))
    if command == "a change":
        done("up", file)
        write(TEXT.format(lab=lab).replace("gw: {", "gw: {sysctls: {net.ipv4.ip_default_ttl: 9}, "))
    hangs(times)
    said = netlab("up", file)
    assert (said.code, said.out) == (4, "")
    assert f"{NO_ANSWER}\n  see dmesg; `netlab down` clears the lab once" in said.err
    assert "Traceback" not in said.err
    assert nothing_is_left(lab) == (command == "up")  # whose way back says nothing to gw
    Hanging.ends.set()
    monkeypatch.undo()
    assert netlab("down", lab).code in (0, 5)
    assert nothing_is_left(lab)


@pytest.mark.parametrize("times", [1, 2, 1000], ids=["one call", "both threads", "for ever"])
def test_down_goes_on_when_a_kernel_call_hangs(
    write: Write, lab: str, hangs: Callable[[int], None], times: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    done("up", write(TEXT.format(lab=lab)))
    hangs(0)
    monkeypatch.setattr(Namespaces, "take", never_back(Namespaces.take, times))
    said = netlab("down", lab)
    if times == 1:  # the other thread has done it
        assert (said.code, said.err) == (0, "")
    else:
        assert (said.code, said.out) == (4, "")
        assert f"{lab} is not wholly down: namespace {lab}.gw: {NO_ANSWER}" in said.err
        assert "`netlab down` again takes down the rest" in said.err
    Hanging.ends.set()
    monkeypatch.undo()
    assert netlab("down", lab).code in (0, 5)
    assert nothing_is_left(lab)


def never_back(take: Callable[..., None], times: int) -> Callable[..., None]:
    left = [times]

    def hanging(*words: Any) -> None:
        if left[0]:
            left[0] -= 1
            Hanging.ends.wait(60)
        take(*words)

    return hanging


SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
WALKED = """\
routing: static
nodes:
  a: {{files: {{/etc/motd: {{text: {text}}}}}, exec: ["{line}"]}}
  gw: {{kind: router}}
links: [{{endpoints: [a, gw], mtu: {mtu}}}]
"""


def test_signals_at_any_point_of_the_way_back_do_not_stop_it(write: Write, lab: str) -> None:
    """One is enough to begin it; from then on one comes at every point, SIGINT and others mixed."""
    file = write(WALKED.format(text="hello", line="true", mtu=1500))
    before = snapshot(lab)
    every = moments("up", file)
    done("down", lab)
    for first in every:
        said, _ = ran(signals_from(first), "up", file)
        if "interrupted" in said.err:
            assert said == INTERRUPTED, first
            assert nothing_is_left(lab), first
        else:  # it came too late
            assert (said.code, said.err) in ((0, ""), (130, "")), (first, said)
            netlab("down", lab)
    assert snapshot(lab) == before


def test_signals_at_any_point_of_a_change_end_in_one_of_both(write: Write, lab: str) -> None:
    old = WALKED.format(text="hello", line="true", mtu=1500)
    new = WALKED.format(text="bye", line="test -d /proc", mtu=1400)
    done("up", write(old))
    wanted = look(lab)
    every = moments("up", write(new))
    done("up", write(old))
    for first in every:
        said, _ = ran(signals_from(first), "up", write(new))
        if "interrupted" in said.err:
            assert said == INTERRUPTED, first
        done("up", write(old))
        assert differing(lab, wanted) == [], first


def signals_from(first: int) -> Callable[[int, str], None]:
    def happens(number: int, what: str) -> None:
        if number >= first:
            os.kill(os.getpid(), SIGNALS[number % 3])

    return happens


INTERRUPTED = Said(130, "", "interrupted; everything is as it was before\n")
