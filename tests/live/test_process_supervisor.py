"""What looks after processes: one a lab, may be killed, stopped or forgotten, and leaves nothing.

    n          one node, and no network but lo
"""
# ruff: noqa: E501 - a process is one line

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netlab.kernel.supervisor import client
from tests.live.conftest import Write
from tests.live.processes import (
    cgroup,
    comes_to,
    lives,
    logged,
    one,
    pid,
    stands,
    state_of,
    supervisor,
    supervisors,
    topology,
)
from tests.live.world import NETLAB, ROOT, done, eventually, netlab

SLEEP = topology("p: {run: [sleep, '600'], restart: on-failure}")


def kill(number: int) -> None:
    """Gone when this returns, and whoever is its parent has been told."""
    os.kill(number, signal.SIGKILL)
    eventually(lambda: not lives(number))


def test_there_is_one_for_the_lab_and_it_is_no_child_of_the_command(write: Write, lab: str) -> None:
    file = write(topology("p: [sleep, '600']\nq: [sleep, '600']"))
    done("up", file)
    first = supervisor(lab)
    done("restart", lab, "n")
    done("up", file)
    assert supervisor(lab) == first
    assert (_parent(first) != os.getpid(), os.getsid(first) != os.getsid(0)) == (True, True)
    done("down", lab)
    assert supervisors(lab) == []


def test_processes_lie_in_control_groups_by_node(write: Write, lab: str) -> None:
    groups = cgroup(lab)
    if groups is None:
        pytest.skip("no cgroup2 is mounted here")
    done("up", write(SLEEP))
    assert (groups / "n" / "p" / "cgroup.procs").read_text().split() == [str(pid(lab))]
    assert (groups / "cgroup.procs").read_text().split() == [str(supervisor(lab))]
    done("down", lab)
    assert not groups.exists()


def test_only_root_may_ask_it(write: Write, lab: str) -> None:
    before = os.umask(0)
    try:
        done("up", write(SLEEP))
    finally:
        os.umask(before)
    state = Path("/run/netlab", lab)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in state.iterdir()}
    assert (modes["supervisor.sock"], modes["supervisor.lock"]) == (0o600, 0o600)
    secrets = state / "processes" / "n" / "p.environment"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600


@pytest.mark.parametrize("said", [b"nonsense\n", b"[]\n", b'{"id": 1}\n', b'{"do": "quit"}\n'])
def test_words_that_make_no_sense_do_not_end_it(said: bytes, write: Write, lab: str) -> None:
    done("up", write(SLEEP))
    number = supervisor(lab)
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(f"/run/netlab/{lab}/supervisor.sock")
        stranger.sendall(said)
        assert stranger.recv(1) == b""
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(f"/run/netlab/{lab}/supervisor.sock")
        stranger.sendall(b'{"id": 7, "do": "dance"}\n')
        assert json.loads(stranger.recv(100)) == {"id": 7, "error": "'dance' is nothing to ask for"}
    done("restart", lab, "n/p")
    assert supervisor(lab) == number


# killed


def test_processes_go_on_without_it_and_the_next_one_finds_them(write: Write, lab: str) -> None:
    file = write(SLEEP)
    done("up", file)
    first, process = supervisor(lab), pid(lab)
    kill(first)
    assert (stands(lab), pid(lab)) == (("running", None, 0), process)
    assert "is unchanged" in done("up", file)
    assert (supervisor(lab) != first, pid(lab)) == (True, process)
    kill(process)
    comes_to(lab, ("running", None, 1))
    assert pid(lab) != process


def test_what_ends_while_it_is_gone_is_seen_and_restarted_by_the_next(write: Write, lab: str) -> None:
    file = write(SLEEP)
    done("up", file)
    process = pid(lab)
    kill(supervisor(lab))
    kill(process)
    assert stands(lab) == ("failed", None, 0)
    done("up", file)
    comes_to(lab, ("running", None, 1))


@pytest.mark.parametrize("verb", ["stop", "restart", "down"])
def test_commands_do_without_the_one_that_was_killed(verb: str, write: Write, lab: str) -> None:
    done("up", write(SLEEP))
    process = pid(lab)
    kill(supervisor(lab))
    done(verb, lab, *(() if verb == "down" else ("n/p",)))
    assert not lives(process)


def test_it_is_killed_while_a_process_has_its_grace(write: Write, lab: str, tmp_path: Path) -> None:
    line = f"trap \"touch {tmp_path}/asked\" TERM; echo ready; while :; do sleep 0.02; done"
    done("up", write(topology(f"p: {{run: '{line}', grace: 400ms, ready: {{log: ready}}}}")))
    process = pid(lab)
    stopping = subprocess.Popen([*NETLAB, "stop", lab, "n/p"], cwd=ROOT, stdout=subprocess.PIPE)
    eventually((tmp_path / "asked").exists)
    kill(supervisor(lab))
    assert stopping.wait(20) == 0
    assert (lives(process), one(lab)["state"]) == (False, "stopped")


def test_a_start_that_was_never_written_down_has_no_twin(write: Write, lab: str) -> None:
    """Killed between the fork and its note: what runs unknown is ended before it starts again."""
    if cgroup(lab) is None:
        pytest.skip("no cgroup2 is mounted here")
    done("up", write(topology("p: [sleep, '600']")))
    process = pid(lab)
    kill(supervisor(lab))
    record = Path(f"/run/netlab/{lab}/processes/n/p.json")
    record.write_text(json.dumps({**json.loads(record.read_text()), "pid": 0, "state": "stopped", "wanted": False}))
    done("start", lab, "n/p")
    assert (lives(process), lives(pid(lab)), pid(lab) == process) == (False, True, False)


# stopped, or stuck


@pytest.mark.parametrize("verb", ["stop", "restart", "down", "up"])
def test_one_that_was_stopped_is_replaced(verb: str, write: Write, lab: str) -> None:
    file = write(SLEEP)
    done("up", file)
    first, process = supervisor(lab), pid(lab)
    os.kill(first, signal.SIGSTOP)
    eventually(lambda: state_of(first) == "T")
    done(verb, *{"up": (file,), "down": (lab,)}.get(verb, (lab, "n/p")))
    assert (lives(first), lives(process)) == (False, verb == "up")


def test_one_that_does_not_answer_is_replaced(write: Write, lab: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for a lock on the record of a process (a FIFO that nobody reads)."""
    file = write(SLEEP)
    done("up", file)
    first, process = supervisor(lab), pid(lab)
    monkeypatch.setattr(client, "HELLO_PATIENCE", 1.5)
    times = Path(f"/run/netlab/{lab}/processes/n/p.times")
    times.unlink()
    os.mkfifo(times)
    with Path(f"/run/netlab/{lab}/processes/n/p.log").open("a") as log:
        log.write("it notes how long this log is, and hangs\n")
    eventually(lambda: state_of(first) == "S" and _syscall(first) == OPENAT)
    times.rename(f"{times}.stuck")
    done("up", file)
    assert (lives(first), pid(lab)) == (False, process)


OPENAT = {"x86_64": "257"}.get(os.uname().machine, "56")
"""Its number among the system calls."""


def _syscall(number: int) -> str:
    return Path(f"/proc/{number}/syscall").read_text().split()[0]


# the command is killed


def test_a_command_killed_at_any_moment_leaves_what_down_clears(write: Write, lab: str) -> None:
    """From the first look at the lab's directory to the ready process, in many steps."""
    file = write(topology("p: {run: 'sleep 0.2; echo ready; exec sleep 600', ready: {log: ready}}"))
    begun = time.monotonic()
    done("up", file)
    whole = time.monotonic() - begun + 0.2
    done("down", lab)
    for step in range(14):
        up = subprocess.Popen([*NETLAB, "up", file], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with pytest.raises(subprocess.TimeoutExpired):
            up.wait(0.1 + whole * step / 14)
            raise subprocess.TimeoutExpired("up", 0)
        up.kill()
        up.wait()
        assert netlab("down", lab).code in (0, 5)
        assert (supervisors(lab), os.path.exists(f"/run/netlab/{lab}")) == ([], False)
        groups = cgroup(lab)
        assert groups is None or not groups.exists()


def test_one_on_its_way_is_waited_for(write: Write, lab: str) -> None:
    """The command was killed right after the fork; this one is held up, then goes on."""
    done("up", write(SLEEP))
    kill(supervisor(lab))
    with coming_up(lab) as number:
        assert supervisors(lab) == [number]
        down = subprocess.Popen([*NETLAB, "down", lab], cwd=ROOT, stdout=subprocess.PIPE)
        with pytest.raises(subprocess.TimeoutExpired):
            down.wait(0.7)
        os.kill(number, signal.SIGCONT)
        assert down.wait(20) == 0
    assert supervisors(lab) == []


@contextmanager
def coming_up(lab: str) -> Iterator[int]:
    """A supervisor that has its lock and does nothing yet."""
    lab_dir = f"/run/netlab/{lab}"
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); from netlab.kernel.supervisor import client as c\n"
        "lock = c._lock(sys.argv[3] + '/' + sys.argv[2])\n"
        "os.kill(os.getpid(), 19)\n"
        "r, w = os.pipe(); os.set_inheritable(w, True); os.set_inheritable(lock, True)\n"
        "words = [sys.executable, '-I', '-c', c._PROGRAM, *sys.argv[1:5], '', str(w), str(lock)]\n"
        "os.execv(words[0], words)\n"
    )
    words = [NETLAB[0], "-c", code, str(ROOT), lab, os.path.dirname(lab_dir), "/run/netns", "netlab.kernel.supervisor"]
    started = subprocess.Popen(words)
    eventually(lambda: state_of(started.pid) == "T")
    try:
        yield started.pid
    finally:
        started.kill()
        started.wait()


def test_one_that_nobody_uses_ends_by_itself(write: Write, lab: str, tmp_path: Path) -> None:
    state = tmp_path / "state"
    (state / lab).mkdir(parents=True)
    client.start(lab, str(state), "/run/netns").close()
    number = supervisor(lab)
    eventually(lambda: not lives(number), 10)
    assert [path.name for path in (state / lab).iterdir() if path.name != "supervisor.log"] == ["supervisor.lock"]
    client.stop(str(state / lab), str(cgroup(lab).parent) if cgroup(lab) else None, lab)  # type: ignore[union-attr]
    assert list((state / lab).iterdir()) == []


# places


def test_the_state_directory_may_have_a_very_long_name(
    write: Write, lab: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path.joinpath(*["long-" * 12] * 4)
    state.mkdir(parents=True)
    monkeypatch.setenv("NETLAB_STATE", str(state))
    done("up", write(SLEEP))
    assert len(str(state)) > 200
    done("restart", lab, "n/p")
    done("down", lab)
    assert (supervisors(lab), state.exists()) == ([], False)


def test_where_no_control_group_can_be_made(write: Write, lab: str, tmp_path: Path) -> None:
    """cgroup2 is read-only: processes are found by their namespace and their environment.

    In a mount namespace of its own, so with a state of its own: nobody else sees its mounts.
    """
    if cgroup(lab) is None:
        pytest.skip("no cgroup2 is mounted here, so that all other tests do what this one does")
    line = "sh -c 'trap : TERM; while :; do sleep 0.02; done' & echo ready; exec sleep 600"
    file = write(topology(f'p: {{run: "{line}", grace: 100ms, ready: {{log: ready}}}}\nq: [sleep, "600"]'))
    words = f"env NETLAB_STATE={tmp_path}/state {' '.join(NETLAB)}"
    script = f"""
        for place in $(sed -n 's/^[^ ]* \\([^ ]*\\) cgroup2 .*/\\1/p' /proc/mounts); do
            mount -o remount,bind,ro $place
        done
        {words} up {file} && {words} stop {lab} n/p && {words} show {lab} --json
        {words} start {lab} n/p && {words} show {lab} --json && {words} down {lab}
    """
    ran = subprocess.run(["unshare", "-m", "sh", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert f"{lab} is down" in ran.stdout
    states = [line.split('"')[3] for line in ran.stdout.splitlines() if '"state"' in line]
    assert states == ["stopped", "running", "running", "running"]


# nothing grows


def test_a_hundred_restarts_leave_no_descriptor_and_no_zombie(write: Write, lab: str) -> None:
    """By hand (forgotten and known), of a daemon that is followed, and after failures."""
    done("up", write(topology("p: [sleep, '600']\nd: {run: 'sleep 600 & exit 0'}\nf: {run: 'exit 1', restart: on-failure}")))
    number = supervisor(lab)
    running = client.connect(f"/run/netlab/{lab}")
    assert running is not None

    def open_files() -> int:
        return len(os.listdir(f"/proc/{number}/fd"))

    def round_of(name: str) -> int:
        word = {"node": "n", "name": name}
        assert running is not None
        assert running.ask([{"do": "stop", **word}])[0].keys() == {"id", "code"}
        pid: int = running.ask([{"do": "start", **word}])[0]["pid"]
        return pid

    round_of("p")
    starter = round_of("d")
    eventually(lambda: one(lab, "n/d")["pid"] not in (0, starter))  # followed: by a descriptor
    before = open_files()
    for _ in range(50):
        round_of("p"), round_of("d")
    running.ask([{"do": "stop", "node": "n", "name": "f"}])
    eventually(lambda: open_files() <= before)

    def zombies() -> list[int]:
        below = [int(name) for name in os.listdir("/proc") if name.isdigit() and _parent(int(name)) == number]
        return [child for child in below if state_of(child) == "Z"]

    eventually(lambda: not zombies())
    running.close()


def _parent(number: int) -> int:
    try:
        return int(Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def test_down_leaves_no_supervisor_no_group_no_process_no_socket(write: Write, lab: str) -> None:
    done("up", write(topology("p: {run: 'sleep 600 & sleep 601 & wait'}\nq: {run: 'exit 1', restart: always}")))
    eventually(lambda: one(lab, "n/q")["restarts"])
    assert logged(lab) == []
    done("down", lab)
    assert supervisors(lab) == []
    assert not os.path.exists(f"/run/netlab/{lab}")


def test_a_program_that_a_killed_command_was_just_starting_is_waited_for(
    write: Write, lab: str
) -> None:
    """It still holds the command's lock on the lab, between its fork and its exec."""
    done("up", write("nodes: {n: }"))
    code = f"import fcntl, os; fcntl.flock(os.open('/run/netlab/{lab}', 0), fcntl.LOCK_EX)\n" + (
        "if os.fork(): os._exit(0)\nimport time; print(1, flush=True); time.sleep(0.5)"
    )
    held = subprocess.Popen([NETLAB[0], "-c", code], stdout=subprocess.PIPE)
    assert held.stdout
    assert held.stdout.readline() == b"1\n"
    held.wait()
    assert f"{lab} is down" in done("down", lab)
