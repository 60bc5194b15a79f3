"""The life of processes: started in order, ready or not, stopped, started again, changed.

    n          one node, and no network but lo: what is under test is who runs in it
"""
# ruff: noqa: E501 - a process is one line

from __future__ import annotations

import os
import shlex
import signal
import sys
from pathlib import Path

import pytest

from tests.live.conftest import Write
from tests.live.processes import (
    children,
    comes_to,
    lives,
    logged,
    one,
    pid,
    shown,
    stands,
    supervisors,
    topology,
)
from tests.live.world import done, eventually, inside, netlab, program

PYTHON = shlex.quote(sys.executable)

WAYS = {
    "tcp": ("s = socket.create_server(('127.0.0.1', 80))", "tcp: 80"),
    "tcp over IPv6": ("s = socket.create_server(('::1', 80), family=socket.AF_INET6)", "tcp: 80"),
    "udp": ("s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('', 53))", "udp: 53"),
    "unix": (
        "s = socket.socket(socket.AF_UNIX); s.bind('{place}/sock'); s.listen()", "unix: {place}/sock",
    ),
    "a unix datagram socket": (
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind('{place}/log')", "unix: {place}/log",
    ),
    "an abstract unix socket": (
        "s = socket.socket(socket.AF_UNIX); s.bind('\\0{lab}'); s.listen()", "unix: '@{lab}'",
    ),
    "file": ("open('{place}/ready', 'w')", "file: {place}/ready"),
    "log": ("print('now serving on 80', flush=True)", "log: 'serving on [0-9]+$'"),
    "exec": ("open('{place}/done', 'w')", "exec: 'test -e {place}/done && test $NETLAB_NODE = n'"),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_up_returns_when_a_process_is_ready(way: str, write: Write, lab: str, tmp_path: Path) -> None:
    act, ready = (text.format(place=tmp_path, lab=lab) for text in WAYS[way])
    code = f"import socket, time; time.sleep(0.15); {act}; time.sleep(600)"
    file = write(topology(f"p: {{run: [{PYTHON}, -c, {_quoted(code)}], ready: {{{ready}}}}}"))
    said = netlab("up", file)
    assert (said.code, said.err, one(lab)["state"]) == (0, "", "running")
    word, _, value = ready.partition(": ")
    assert one(lab)["ready"] == f"{word}/{value.strip(chr(39))}"


def _quoted(text: str) -> str:
    """As YAML writes it in double quotes."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


FAILURES = {
    "not ready in time": (
        "run: 'echo one; echo two; exec sleep 600', ready: {tcp: 80, within: 100ms}",
        "is not ready after 0.1 s: nothing listens on tcp/80; it said:\none\ntwo",
    ),
    "not a word": (
        "run: [sleep, 600], ready: {file: /no/such, within: 100ms}",
        "is not ready after 0.1 s: there is no /no/such; it said nothing",
    ),
    "no such line": (
        "run: 'echo almost; exec sleep 600', ready: {log: '^mos', within: 100ms}",
        "is not ready after 0.1 s: no line of its log matches ^mos; it said:\nalmost",
    ),
    "no such socket": (
        "run: [sleep, 600], ready: {unix: /no/such, within: 100ms}",
        "is not ready after 0.1 s: nothing listens at /no/such; it said nothing",
    ),
    "a check that hangs": (
        "run: [sleep, 600], ready: {exec: sleep 600, within: 100ms}",
        "is not ready after 0.1 s: `sleep 600` does not exit with 0; it said nothing",
    ),
    "ends before": (
        "run: 'echo bad config >&2; exit 3', ready: {tcp: 80}",
        "ended with code 3 before it was ready; it said:\nbad config",
    ),
    "killed before": (
        "run: 'kill -SEGV $$', ready: {tcp: 80}",
        "was killed by SIGSEGV before it was ready; it said nothing",
    ),
    "command not found": ("run: [no-such-program]", "cannot be started: no-such-program: command not found"),
    "no such file": (
        "run: [/no/such/program]",
        "cannot be started: /no/such/program: no such file, or no interpreter for it",
    ),
    "no program": ("run: [/etc/hosts]", "cannot be started: /etc/hosts: Permission denied"),
    "unknown user": ("run: [sleep, 600], user: nobody-of-the-kind", "cannot be started: there is no user nobody-of-the-kind"),
    "no such directory": ("run: [sleep, 600], cwd: /no/such", "cannot be started: /no/such: No such file or directory"),
}  # fmt: skip


@pytest.mark.parametrize("failure", FAILURES)
def test_a_process_that_does_not_come_up_fails_up(failure: str, write: Write, lab: str) -> None:
    """Beside another one of the same turn, which must go as well."""
    words, said = FAILURES[failure]
    file = write(topology(f"other: {{run: [sleep, 600]}}\np: {{{words}}}"))
    failed = netlab("up", file)
    assert failed.code == 4
    assert failed.err.strip() == f"{file}:5:10  n: process p: {said}"
    assert netlab("show", lab).code == 5
    assert supervisors(lab) == []


def test_only_the_last_lines_since_its_start_are_told(write: Write, lab: str) -> None:
    file = write(topology("p: {run: 'seq 1 100; exit 1', ready: {tcp: 80}}"))
    failed = netlab("up", file, "--json")
    message = failed.json["error"]["message"] if failed.out else failed.err
    assert message.endswith("it said:\n" + "\n".join(map(str, range(81, 101))))


def test_processes_start_in_their_order_across_nodes(write: Write, lab: str, tmp_path: Path) -> None:
    """a/one ─▶ b/two ─▶ a/three: each notes its start after its delay."""
    note = f"sleep 0.1; echo $NETLAB_NODE/$NETLAB_PROCESS >> {tmp_path}/order; echo ready; exec sleep 600"
    ready = "ready: {log: ready}"
    file = write(f"""
nodes:
  a:
    processes:
      three: {{run: '{note}', {ready}, after: [b/two, one]}}
      one: {{run: '{note}', {ready}}}
  b:
    processes: {{two: {{run: '{note}', {ready}, after: a/one}}}}
""")
    done("up", file)
    assert (tmp_path / "order").read_text().split() == ["a/one", "b/two", "a/three"]


def test_a_process_sees_its_node_its_user_and_its_directory(write: Write, lab: str, tmp_path: Path) -> None:
    told = "hostname; pwd; id -un; id -Gn; echo $HOME $A $B $NETLAB_LAB $NETLAB_NODE $NETLAB_PROCESS; cat /etc/motd; ls /proc/$$/fd; cat /sys/class/net/*/address; echo ready; exec sleep 600"
    more = 'env: {A: node, B: node}\nfiles: {/etc/motd: "hello\\n"}'
    (tmp_path / "sub").mkdir()
    done("up", write(topology(
        f"p: {{run: '{told}', cwd: sub, user: nobody, env: {{B: own}}, ready: {{log: ready}}}}", more
    )))  # fmt: skip
    assert logged(lab, "n/p") == [
        "n", f"{tmp_path}/sub", "nobody", "nogroup", f"/nonexistent node own {lab} n p", "hello",
        "0", "1", "2", "00:00:00:00:00:00", "ready",
    ]  # fmt: skip


def test_a_user_may_be_a_number_without_a_name(write: Write, lab: str) -> None:
    done("up", write(topology("p: {run: 'id -u; id -g; echo again >> /dev/stdout; exec sleep 600', user: 64123, ready: {log: again}}")))
    assert logged(lab, "n/p") == ["64123", "64123", "again"]


def test_exec_lines_run_when_processes_are_ready(write: Write, lab: str, tmp_path: Path) -> None:
    done("up", write(topology(
        f"p: {{run: 'sleep 0.2; touch {tmp_path}/there; exec sleep 600', ready: {{file: {tmp_path}/there}}}}",
        f'exec: ["test -e {tmp_path}/there"]',
    )))  # fmt: skip
    assert one(lab)["state"] == "running"


def test_an_exec_line_that_fails_takes_the_processes_along(write: Write, lab: str) -> None:
    said = netlab("up", write(topology("p: {run: [sleep, 600]}", 'exec: ["exit 3"]')))
    assert (said.code, supervisors(lab)) == (4, [])


# stopping


def test_a_process_is_asked_with_its_signal_and_has_its_grace(write: Write, lab: str) -> None:
    line = "trap \"echo asked; sleep 0.2; exit 7\" USR1; echo ready; while :; do sleep 0.05; done"
    done("up", write(topology(f"p: {{run: '{line}', stop: USR1, ready: {{log: ready}}}}")))
    assert done("stop", lab, "n/p").startswith(f"{lab}: n/p stopped in ")
    assert (stands(lab), logged(lab)) == (("stopped", 7, 0), ["n/p | ready", "n/p | asked"])


def test_a_stubborn_process_is_killed_after_its_grace(write: Write, lab: str) -> None:
    line = "trap : TERM; echo ready; while :; do sleep 0.05; done"
    done("up", write(topology(f"p: {{run: '{line}', grace: 150ms, ready: {{log: ready}}}}")))
    done("stop", lab, "n/p")
    assert stands(lab) == ("stopped", 137, 0)
    assert "SIGKILL" in done("show", lab)


def test_what_a_process_has_started_is_asked_and_killed_with_it(write: Write, lab: str) -> None:
    """sh ── sh (answers TERM)
        └── sh (does not) ── sleep
    """
    polite = "sh -c 'trap \"echo bye; exit\" TERM; while :; do sleep 0.02; done' &"
    stubborn = "sh -c 'trap : TERM; while :; do sleep 0.02; done' &"
    script = f"{polite}\n{stubborn}\nsleep 0.1; echo ready; wait\n"
    block = "p:\n  grace: 300ms\n  ready: {log: ready}\n  run: |\n" + "".join(
        f"    {line}\n" for line in script.splitlines()
    )
    done("up", write(topology(block)))
    tree = [pid(lab), *children(pid(lab))]
    assert len([number for number in tree if lives(number)]) >= 3
    done("stop", lab, "n/p")
    assert [number for number in tree if lives(number)] == []
    assert logged(lab, "n/p").count("bye") == 1


DAEMON = """
import os, signal, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
signal.signal(signal.SIGTERM, lambda *_: (print("bye", flush=True), os._exit(5)))
print("daemon", os.getpid(), flush=True)
while True: time.sleep(600)
"""


def daemon(tmp_path: Path) -> str:
    (tmp_path / "daemon.py").write_text(DAEMON)
    return f"{PYTHON}, {tmp_path}/daemon.py"


def test_a_program_that_goes_into_the_background_is_followed(write: Write, lab: str, tmp_path: Path) -> None:
    done("up", write(topology(f"p: {{run: [{daemon(tmp_path)}], ready: {{log: daemon}}}}")))
    number = int(logged(lab, "n/p")[0].split()[1])
    eventually(lambda: pid(lab) == number)
    assert stands(lab) == ("running", None, 0)
    done("stop", lab, "n/p")
    assert (stands(lab), lives(number)) == (("stopped", 5, 0), False)


def test_a_daemon_that_dies_is_restarted(write: Write, lab: str, tmp_path: Path) -> None:
    done("up", write(topology(f"p: {{run: [{daemon(tmp_path)}], ready: {{log: daemon}}, restart: always}}")))
    number = int(logged(lab, "n/p")[0].split()[1])
    eventually(lambda: pid(lab) == number)
    os.kill(number, signal.SIGTERM)
    eventually(lambda: len(logged(lab, "n/p")) == 3)
    eventually(lambda: pid(lab) == int(logged(lab, "n/p")[2].split()[1]))
    assert stands(lab) == ("running", None, 1)


# ends and restarts


@pytest.mark.parametrize(
    ("policy", "line", "stands_at"),
    [
        ("no", "exit 0", ("exited", 0, 0)),
        ("no", "exit 3", ("failed", 3, 0)),
        ("no", "kill -9 $$", ("failed", 137, 0)),
        ("on-failure", "exit 0", ("exited", 0, 0)),
    ],
)
def test_an_end_is_seen_with_its_code(
    policy: str, line: str, stands_at: tuple[object, ...], write: Write, lab: str
) -> None:
    done("up", write(topology(f"p: {{run: '{line}', restart: {policy}}}")))
    comes_to(lab, stands_at)
    assert one(lab)["pid"] == 0


@pytest.mark.parametrize(("policy", "code"), [("always", 0), ("on-failure", 3)])
def test_what_ends_is_started_again_ever_later(policy: str, code: int, write: Write, lab: str) -> None:
    done("up", write(topology(f"p: {{run: 'date +%s%N; exit {code}', restart: {policy}}}")))
    eventually(lambda: len(logged(lab, "n/p")) >= 4)
    first, second, third, fourth = map(int, logged(lab, "n/p")[:4])
    assert 0.09e9 <= second - first < third - second < fourth - third
    state, seen, restarts = stands(lab)
    assert (state in ("waiting", "running"), seen in (code, None), restarts >= 3) == (True,) * 3
    done("stop", lab, "n/p")
    assert one(lab)["state"] == "stopped"


def test_a_restart_that_cannot_be_says_why(write: Write, lab: str, tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\nrm $0\nexit 1\n")
    tool.chmod(0o755)
    done("up", write(topology(f"p: {{run: [{tool}], restart: on-failure}}")))
    comes_to(lab, ("failed", 127, 1))
    assert logged(lab, "n/p") == [
        f"netlab: cannot be started again: {tool}: no such file, or no interpreter for it"
    ]


# by hand


def test_a_process_or_a_node_is_stopped_started_and_restarted(write: Write, lab: str) -> None:
    done("up", write("""
nodes:
  a: {processes: {x: [sleep, "600"], y: {run: [sleep, "600"], after: x}}}
  b: {processes: {z: [sleep, "600"]}}
"""))
    before = {name: p["pid"] for name, p in shown(lab).items()}

    def states() -> dict[str, str]:
        return {name: p["state"] for name, p in shown(lab).items()}

    assert done("stop", lab, "a/x").startswith(f"{lab}: a/x stopped in ")
    assert states() == {"a/x": "stopped", "a/y": "running", "b/z": "running"}
    assert "2/3" in done("ls")
    done("start", lab, "a")
    between = {name: p["pid"] for name, p in shown(lab).items()}
    assert states() == dict.fromkeys(before, "running")
    assert [name for name in before if between[name] != before[name]] == ["a/x"]
    assert done("restart", lab, "a", "--json").count("a/y") == 1
    after = {name: p["pid"] for name, p in shown(lab).items()}
    assert [name for name in before if after[name] != between[name]] == ["a/x", "a/y"]


def test_start_waits_until_it_is_ready_and_fails_with_what_it_said(write: Write, lab: str, tmp_path: Path) -> None:
    line = f"echo run; test -e {tmp_path}/broken && exit 3; echo ready; exec sleep 600"
    done("up", write(topology(f"p: {{run: '{line}', ready: {{log: ready}}}}")))
    done("stop", lab, "n")
    (tmp_path / "broken").touch()
    failed = netlab("start", lab, "n/p")
    assert failed.code == 4
    assert failed.err == "n/p ended with code 3 before it was ready; it said:\nrun\n"
    (tmp_path / "broken").unlink()
    done("start", lab, "n/p")
    assert stands(lab) == ("running", None, 0)


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "logs"])
def test_an_unknown_process_is_told_with_what_is_meant(verb: str, write: Write, lab: str) -> None:
    done("up", write(topology("httpd: [sleep, '600']")))
    said = netlab(verb, lab, "n/htpd")
    assert (said.code, said.out) == (5, "")
    assert f"lab {lab} has no process n/htpd; did you mean n/httpd?" in said.err


def test_a_lab_without_processes_has_none_and_no_supervisor(write: Write, lab: str) -> None:
    done("up", write("nodes: {a: }"))
    assert (supervisors(lab), netlab("logs", lab).code) == ([], 5)
    assert f"lab {lab} has no processes" in netlab("logs", lab).err


# changes of a lab that is up


def test_one_process_changes_and_the_others_are_left_alone(write: Write, lab: str) -> None:
    text = topology("p: [sleep, '600']\nq: [sleep, '600']\nr: [sleep, '600']")
    done("up", write(text))
    before = {name: p["pid"] for name, p in shown(lab).items()}
    changed = text.replace("p: [sleep, '600']", "p: [sleep, '601']").replace(
        "r: [sleep, '600']", "s: [sleep, '602']"
    )
    said = done("up", write(changed))
    assert [line.strip() for line in said.splitlines()[1:]] == [
        "- n: process r: sleep 600",
        "- n: process p: sleep 600",
        "+ n: process p: sleep 601",
        "+ n: process s: sleep 602",
    ]
    after = {name: p["pid"] for name, p in shown(lab).items()}
    assert sorted(after) == ["n/p", "n/q", "n/s"]
    assert (after["n/q"], lives(before["n/p"]), lives(before["n/r"])) == (before["n/q"], False, False)


def test_how_a_process_is_looked_after_changes_while_it_runs(write: Write, lab: str) -> None:
    text = topology("p: {run: [sleep, '600'], restart: no}")
    done("up", write(text))
    number = pid(lab)
    said = done("up", write(text.replace("restart: no", "restart: on-failure")))
    assert "~ n: process p: sleep 600  restart no → on-failure" in said
    assert pid(lab) == number
    os.kill(number, signal.SIGKILL)
    comes_to(lab, ("running", None, 1))


def test_other_files_or_environment_restart_what_sees_them(write: Write, lab: str) -> None:
    text = topology("p: {run: 'cat /etc/motd; exec sleep 600', ready: {log: .}}", 'files: {/etc/motd: "one\\n"}')
    done("up", write(text))
    said = done("plan", write(text.replace("one", "two")))
    assert "+ n: process p: cat /etc/motd; exec sleep 600   (since its files or environment changed)" in said
    done("up", write(text.replace("one", "two")))
    assert logged(lab, "n/p") == ["one", "two"]


def test_a_change_that_fails_brings_the_old_process_back(write: Write, lab: str) -> None:
    good = topology("p: {run: 'echo good; exec sleep 600', ready: {log: good}}\nq: [sleep, '600']")
    done("up", write(good))
    kept = pid(lab, "n/q")
    bad = good.replace("echo good; exec sleep 600", "echo bad; exit 1")
    failed = netlab("up", write(bad))
    assert failed.code == 4
    assert "ended with code 1 before it was ready; it said:\nbad" in failed.err
    assert (one(lab)["command"], stands(lab)) == ("echo good; exec sleep 600", ("running", None, 0))
    assert pid(lab, "n/q") == kept
    assert "is unchanged" in done("up", write(good))


def test_a_node_that_goes_takes_its_processes_along(write: Write, lab: str) -> None:
    done("up", write("nodes: {a: {processes: {p: [sleep, '600']}}, b: {processes: {p: [sleep, '600']}}}"))
    gone, kept = pid(lab, "a/p"), pid(lab, "b/p")
    done("up", write("nodes: {b: {processes: {p: [sleep, '600']}}}"))
    assert (lives(gone), pid(lab, "b/p"), lives(kept)) == (False, kept, True)
    done("up", write("nodes: {b: }"))
    assert (supervisors(lab), lives(kept)) == ([], False)


def test_a_namespace_deleted_by_hand_has_its_processes_started_anew(write: Write, lab: str) -> None:
    file = write(topology("p: {run: 'echo up; exec sleep 600', ready: {log: up}}"))
    done("up", file)
    before = pid(lab)
    os.system(f"ip netns del {lab}.n")
    done("up", file)
    assert (lives(before), lives(pid(lab)), pid(lab) == before) == (False, True, False)
    assert inside(lab, "n", "true").code == 0
    inode = os.stat(f"/proc/{pid(lab)}/ns/net").st_ino
    assert inode == os.stat(f"/run/netns/{lab}.n").st_ino


def test_up_as_a_program_leaves_nothing_of_the_caller_open(write: Write, lab: str, tmp_path: Path) -> None:
    """What flock(1) or a pipe holds open must end with the command."""
    read, kept = os.pipe()
    file = write(topology("p: [sleep, '600']"))
    assert program("up", file, pass_fds=(kept,)).code == 0
    os.close(kept)
    assert os.read(read, 1) == b""
    os.close(read)
    assert one(lab)["state"] == "running"
