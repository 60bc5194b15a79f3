"""``netlab exec`` and ``netlab shell`` as a user calls them.

    alice ── gw ── bob
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pty
import signal
import struct
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.conftest import Write
from tests.live.world import NETLAB, ROOT, Said, done, eventually, inside, program, snapshot

TEXT = """\
routing: static
nodes:
  alice:
    env: {GREETING: good day}
    files: {/etc/motd: {text: "hi\\n"}, /etc/netlab-new/deep: {text: "new\\n", mode: 0o600}}
  gw: {kind: router, interfaces: {lan: {}}}
  bob: {resolv_conf: {nameservers: [10.0.0.53]}}
links: [[alice, "gw:lan"], ["gw:wan", bob]]
"""


@pytest.fixture
def up(write: Write, lab: str) -> Iterator[str]:
    done("up", write(TEXT))
    yield lab


def on_a_terminal(
    *words: str, send: bytes = b"", after: bytes = b"", size: tuple[int, int] = (24, 80)
) -> Said:
    """What it shows there, and its exit code; ``send`` is typed once ``after`` is seen."""
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(ROOT)
        os.execv(NETLAB[0], [*NETLAB, *words])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", *size, 0, 0))
    shown = b""
    try:
        while True:
            if send and after in shown:
                os.write(terminal, send)
                send = b""
            shown += os.read(terminal, 4096)
    except OSError:  # EIO: the other side is closed
        pass
    os.close(terminal)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return Said(code, shown.decode().replace("\r\n", "\n"), "")


def test_what_a_program_in_a_node_sees(up: str) -> None:
    assert inside(up, "alice", "hostname") == Said(0, "alice\n", "")
    assert inside(up, "gw", "ls", "/sys/class/net").out == "lan\nlo\nwan\n"
    assert inside(up, "alice", "cat", "/etc/motd", "/etc/netlab-new/deep").out == "hi\nnew\n"
    assert inside(up, "alice", "stat", "-c", "%a", "/etc/netlab-new/deep").out == "600\n"
    assert not Path("/etc/netlab-new").exists()
    hosts = inside(up, "bob", "cat", "/etc/hosts").out.split()
    assert {"alice", "gw", "bob", "localhost"} <= set(hosts)
    assert inside(up, "bob", "cat", "/etc/resolv.conf").out == "nameserver 10.0.0.53\n"


def test_path_environment_and_directory_are_the_callers(up: str, tmp_path: Path) -> None:
    tool = tmp_path / "my-own-tool"
    tool.write_text("#!/bin/sh\necho \"$GREETING, $MINE, $PWD, $NETLAB_LAB/$NETLAB_NODE\"\n")
    tool.chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "MINE": "kept",
           "PYTHONPATH": str(ROOT)}  # fmt: skip
    ended = subprocess.run(
        [*NETLAB, "exec", up, "alice", "--", "my-own-tool"],
        env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (ended.stdout, ended.stderr) == (f"good day, kept, {tmp_path}, {up}/alice\n", "")


def test_exit_codes_and_signals_are_the_programs_own(up: str) -> None:
    assert inside(up, "alice", "sh", "-c", "exit 7").code == 7
    ended = subprocess.run(
        ["sh", "-c", '"$@"; echo $?', "sh", *NETLAB, "exec", up, "alice", "--", "sh", "-c",
         "kill -TERM $$"], capture_output=True, text=True, cwd=ROOT, timeout=60,
    )  # fmt: skip
    assert ended.stdout == f"{128 + signal.SIGTERM}\n"
    assert inside(up, "alice", "no-such-tool") == Said(
        127, "", "netlab: alice: no-such-tool: command not found\n"
    )
    assert inside(up, "alice", "/etc/hosts").code == 126


def test_a_large_binary_pipe_comes_through_unchanged(up: str) -> None:
    data = os.urandom(1 << 20) * 16
    command = [*NETLAB, "exec", up, "alice", "--", "cat"]
    ended = subprocess.run(command, input=data, capture_output=True, cwd=ROOT, timeout=60)
    assert hashlib.sha256(ended.stdout).digest() == hashlib.sha256(data).digest()
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_terminal_stays_a_terminal(up: str) -> None:
    words = "tty | sed s/[0-9]*$//; stty size"
    said = on_a_terminal("exec", up, "alice", "--", "sh", "-c", words, size=(33, 99))
    assert said == Said(0, "/dev/pts/\n33 99\n", "")


def test_control_c_is_the_programs(up: str) -> None:
    waits = "trap 'exit 9' INT; echo ready; read x"
    words = ("exec", up, "alice", "--", "sh", "-c", waits)
    said = on_a_terminal(*words, send=b"\x03", after=b"ready\r\n")  # shown in two pieces
    assert said == Said(9, "ready\n^C", "")


def test_a_shell_runs_in_the_node(up: str) -> None:
    said = on_a_terminal("shell", up, "bob", send=b"hostname; exit 4\n")
    assert said.code == 4
    assert "bob" in said.out.split()


def test_both_ways_through_the_command_line_are_one(up: str) -> None:
    words = ["alice", "--", "sh", "-c", "echo $NETLAB_NODE; exit 3"]
    plain = program("exec", up, *words)
    typed = program("exec", up, *words, env={**os.environ, "NETLAB_EXEC_ALL": "0"})
    assert plain == typed == program("exec", up, words[0], *words[2:]) == Said(3, "alice\n", "")
    for wrong in (["exec", up, "alicf", "--", "true"], ["exec", f"{up}z", "gw", "--", "true"]):
        plain = program(*wrong)
        assert plain == program(*wrong, env={**os.environ, "NETLAB_EXEC_ALL": "0"})
        assert plain.code == 5


def test_what_is_not_there_is_told_with_what_is_near(up: str) -> None:
    hint = f"  `netlab show {up}` tells which it has\n"
    assert inside(up, "alicf", "true") == Said(
        5, "", f"lab {up} has no node alicf; did you mean alice?\n{hint}"
    )
    assert inside(up, "../alice", "true").code == 5
    assert inside(f"{up}z", "gw", "true").err.startswith(f"no lab {up}z is up; did you mean {up}?")
    assert program("shell", up, "zzz") == Said(5, "", f"lab {up} has no node zzz\n{hint}")
    assert program("show", up, "zzz") == Said(5, "", f"lab {up} has no node zzz\n{hint}")


def test_several_nodes_speak_behind_their_names(up: str) -> None:
    said = program("exec", up, "alice", "gw", "--", "sh", "-c", "hostname; hostname >&2")
    assert (said.code, sorted(said.out.splitlines()), sorted(said.err.splitlines())) == (
        0, ["alice | alice", "gw    | gw"], ["alice | alice", "gw    | gw"],
    )  # fmt: skip
    for words in (["--all", up], [up, "--all"]):
        all_of_them = program("exec", *words, "--", "hostname").out.splitlines()
        assert sorted(all_of_them) == ["alice | alice", "bob   | bob", "gw    | gw"]


def test_the_exit_code_of_several_is_the_highest(up: str) -> None:
    words = "case $(hostname) in alice) exit 3;; gw) exit 0;; bob) exit 5;; esac"
    assert program("exec", "--all", up, "--", "sh", "-c", words).code == 5
    assert program("exec", up, "alice", "gw", "--", "sh", "-c", words).code == 3
    assert program("exec", up, "gw", "gw", "--", "sh", "-c", words).code == 0
    assert program("exec", up, "gw", "nope", "--", "true").code == 5
    assert program("exec", "--all", up, "--", "no-such-tool").code == 127


def test_several_nodes_end_when_they_are_told(up: str) -> None:
    words = [*NETLAB, "exec", "--all", up, "--", "sh", "-c", "echo here; exec sleep 60"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT) as running:
        assert running.stdout
        assert sorted(running.stdout.readline() for _ in "abc") == [
            "alice | here\n", "bob   | here\n", "gw    | here\n",
        ]  # fmt: skip
        running.terminate()
        assert running.wait(20) == 128 + signal.SIGTERM


def test_a_reader_that_leaves_ends_all_of_them(up: str) -> None:
    ended = subprocess.run(
        ["sh", "-c", '"$@" | head -1', "sh", *NETLAB, "exec", "--all", up, "--", "yes"],
        capture_output=True, text=True, cwd=ROOT, timeout=60,
    )  # fmt: skip
    assert ended.stdout.endswith("| y\n")
    assert ended.stderr == ""
    eventually(lambda: snapshot(up)["processes"] == [])


def test_a_lab_goes_by_its_file_too(up: str, write: Write) -> None:
    file = write(TEXT)
    assert inside(str(file), "gw", "hostname").out == "gw\n"
