"""Twenty processes at once; a kernel that does not answer; signals on the way back."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from netlab.errors import KernelRefused
from netlab.kernel.worker import Worker
from tests.live.conftest import Write
from tests.live.crash import nothing_is_left, ran
from tests.live.life import nothing_of
from tests.live.world import netlab, snapshot

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


def test_a_kernel_call_that_hangs_has_a_deadline_and_a_sentence() -> None:
    never = threading.Event()
    worker = Worker()
    with pytest.raises(KernelRefused, match="the kernel has not answered for 0 s") as failure:
        worker.call(never.wait, deadline=0.05)
    assert "dmesg" in failure.value.hint
    assert worker.call(lambda: "the other thread goes on") == "the other thread goes on"
    never.set()
    worker.close()


SIGNALS = [(signal.SIGINT, signal.SIGINT), (signal.SIGINT, signal.SIGTERM)]


@pytest.mark.parametrize("sent", SIGNALS, ids=["twice SIGINT", "SIGINT and SIGTERM"])
def test_signals_on_the_way_back_do_not_stop_it(
    write: Write, lab: str, sent: tuple[int, int]
) -> None:
    """The first one begins the way back; the second comes at a request of the way back."""
    file = write("nodes: {a: {exec: [\"false\"]}, b: }\nlinks: [[a, b]]\n")
    before = snapshot(lab)
    is_back = False

    def happens(number: int, what: str) -> None:
        nonlocal is_back
        if is_back and what.startswith("before"):
            os.kill(os.getpid(), sent[1])
        if what == "before exec":
            os.kill(os.getpid(), sent[0])
            is_back = True

    said, passed = ran(happens, "up", file)
    assert said.code == 130, said
    assert "Traceback" not in said.err
    after = passed[passed.index("after exec") :]
    assert "before line" in after
    assert "before detach" in after
    assert nothing_is_left(lab)
    assert snapshot(lab) == before
