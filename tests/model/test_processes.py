"""Processes as they may be written, and what is wrong with those that may not."""
# ruff: noqa: E501 - a process is one line

from __future__ import annotations

import pytest

from netlab.model.processes import Process, Ready
from tests.model.kinds import read, said


def process(written: str) -> Process:
    """``p`` of node ``a``."""
    loaded = read(f"nodes: {{a: {{processes: {{p: {written}}}}}}}")
    assert said(loaded) == []
    assert loaded.topology is not None
    return loaded.topology.nodes["a"].processes["p"]


def wrong(written: str) -> list[str]:
    """What is said of it, without the place before ``p``."""
    return [
        line.replace("nodes.a.processes.p", "p", 1)
        for line in said(read(f"nodes:\n  a:\n    processes:\n      p: {written}"))
    ]


def test_a_command_is_words_or_a_line_for_the_shell() -> None:
    assert process("[sleep, 60]").argv == ("sleep", "60")
    assert process("{run: [sleep, 60]}").argv == ("sleep", "60")
    assert process("sleep 60 && echo done").argv == ("/bin/sh", "-c", "sleep 60 && echo done")
    assert process("{run: 'a | b'}").argv == ("/bin/sh", "-c", "a | b")


def test_nothing_else_is_needed() -> None:
    assert process("x") == Process(
        run="x", env={}, cwd="", user="", after=(), ready=None, stop="TERM", grace=5.0,
        restart="no", log_size=1 << 20,
    )  # fmt: skip


def test_all_there_is() -> None:
    assert process(
        "{run: x, env: {A: 1, B: b}, cwd: sub, user: 1000, after: db, stop: QUIT, grace: 500ms,"
        " ready: {tcp: 80, within: 2min}, restart: on-failure, log_size: 64K}"
    ) == Process(
        run="x", env={"A": "1", "B": "b"}, cwd="sub", user="1000", after=("db",), stop="QUIT",
        grace=0.5, ready=Ready(tcp=80, within=120.0), restart="on-failure", log_size=65536,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("written", "way"),
    [
        ("tcp: 80", ("tcp", "80")),
        ("udp: 53", ("udp", "53")),
        ("unix: /run/x.sock", ("unix", "/run/x.sock")),
        ("unix: '@x'", ("unix", "@x")),
        ("file: /run/x.pid", ("file", "/run/x.pid")),
        ("log: 'listening on [0-9]+'", ("log", "listening on [0-9]+")),
        ("exec: test -e /run/x", ("exec", "test -e /run/x")),
    ],
)
def test_each_way_to_be_ready(written: str, way: tuple[str, str]) -> None:
    ready = process(f"{{run: x, ready: {{{written}}}}}").ready
    assert ready is not None
    assert (ready.way, ready.within) == (way, 10.0)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("0", 0), ("2", 2), ("1.5", 1.5), ("250ms", 0.25), ("10s", 10), ("1.5 s", 1.5), ("2min", 120), ("24h", 86400)],
)
def test_durations(written: str, seconds: float) -> None:
    assert process(f"{{run: x, grace: {written}}}").grace == seconds


@pytest.mark.parametrize(
    ("written", "size"), [("4096", 4096), ("4K", 4096), ("1M", 1 << 20), ("1G", 1 << 30)]
)
def test_sizes(written: str, size: int) -> None:
    assert process(f"{{run: x, log_size: {written}}}").log_size == size


@pytest.mark.parametrize(
    ("written", "policy"),
    [("no", "no"), ("false", "no"), ("'no'", "no"), ("on-failure", "on-failure"), ("always", "always")],
)
def test_restart_policies(written: str, policy: str) -> None:
    """A bare ``no`` is false in YAML."""
    assert process(f"{{run: x, restart: {written}}}").restart == policy


WAYS = "exactly one of tcp, udp, unix, file, log, exec tells when it is ready"
DURATION = "is no duration: write 10s, 500ms, 2min or a count of seconds"

BAD = {
    "": "4:9  p: a mapping is meant here, not nothing",
    "''": "4:10  p: there is no command to run",
    "[]": "4:10  p: there is no command to run",
    "{run: ' '}": "4:16  p.run: there is no command to run",
    "{run: ['', x]}": "4:16  p.run: there is no command to run",
    "{run: [sleep, true]}": "4:24  p.run[1]: text is meant here, not true",
    "{run: [[sleep]]}": "4:17  p.run[0]: text is meant here, not a list",
    "{run: {sleep: 1}}": "4:16  p.run: text is meant here, not a mapping",
    r'{run: "a\0b"}': "4:16  a text here holds no zero bytes",
    "{env: {A: b}}": "4:10  p: `run` is missing",
    "{run: x, env: [A]}": "4:24  p.env: a mapping is meant here, not a list",
    "{run: x, env: {'': b}}": "4:25  p.env.: '' cannot be a variable: it has a name, without `=`",
    "{run: x, env: {A=B: b}}": "4:25  p.env.A=B: 'A=B' cannot be a variable: it has a name, without `=`",
    "{run: x, redy: 1}": "4:19  p.redy: unknown key 'redy'; did you mean 'ready'?",
    "{run: x, ready: {}}": f"4:26  p.ready: {WAYS}",
    "{run: x, ready: {tcp: 80, udp: 53}}": f"4:26  p.ready: {WAYS}",
    "{run: x, ready: {within: 3s}}": f"4:26  p.ready: {WAYS}",
    "{run: x, ready: tcp/80}": "4:26  p.ready: a mapping is meant here, not 'tcp/80'",
    "{run: x, ready: {tcp: 0}}": "4:32  p.ready.tcp: 0 is less than 1, the least there is",
    "{run: x, ready: {udp: 65536}}": "4:32  p.ready.udp: 65536 is more than 65535, the most there is",
    "{run: x, ready: {file: x.pid}}": "4:33  p.ready.file: 'x.pid' is not an absolute path",
    "{run: x, ready: {unix: x.sock}}": "4:33  p.ready.unix: 'x.sock' is not an absolute path",
    "{run: x, ready: {log: '('}}": "4:32  p.ready.log: '(' is no regular expression: missing ), unterminated subpattern at position 0",
    "{run: x, ready: {tcp: 80, within: soon}}": f"4:44  p.ready.within: 'soon' {DURATION}",
    "{run: x, grace: -1}": "4:26  p.grace: -1 is not between 0 and 24h",
    "{run: x, grace: 2d}": f"4:26  p.grace: '2d' {DURATION}",
    "{run: x, grace: 25h}": "4:26  p.grace: '25h' is not between 0 and 24h",
    "{run: x, grace: true}": f"4:26  p.grace: true {DURATION}",
    "{run: x, grace: .nan}": f"4:26  p.grace: '.nan' {DURATION}",
    "{run: x, log_size: 1T}": "4:29  p.log_size: '1T' is no size: write 65536, 64K or 1M",
    "{run: x, log_size: 1K}": "4:29  p.log_size: 1024 is less than 4096, the least there is",
    "{run: x, log_size: 2G}": "4:29  p.log_size: 2147483648 is more than 1073741824, the most there is",
    "{run: x, stop: SIGTERM}": "4:25  p.stop: 'SIGTERM' is not one of TERM, INT, HUP, QUIT, KILL, USR1, USR2, WINCH; did you mean 'TERM'?",
    "{run: x, restart: sometimes}": "4:28  p.restart: 'sometimes' is not one of no, on-failure, always",
    "{run: x, restart: yes}": "4:28  p.restart: true is not one of no, on-failure, always",
    "{run: x, cwd: 3}": "4:24  p.cwd: text is meant here, not 3",
    "{run: x, user: [root]}": "4:25  p.user: text is meant here, not a list",
    "{run: x, after: 3}": "4:26  p.after: a list is meant here, not 3",
}  # fmt: skip


@pytest.mark.parametrize("written", BAD)
def test_bad_values_are_told_with_their_place(written: str) -> None:
    assert wrong(written) == [BAD[written]]


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert wrong("{run: '', ready: {tcp: 0}, grace: x}") == [
        "4:16  p.run: there is no command to run",
        "4:33  p.ready.tcp: 0 is less than 1, the least there is",
        f"4:44  p.grace: 'x' {DURATION}",
    ]


@pytest.mark.parametrize("name", ["a b", "s/1", ".x", "x" * 32, "é"])
def test_a_name_that_is_none(name: str) -> None:
    assert said(read(f"nodes:\n  a:\n    processes:\n      {name!r}: x")) == [
        f"4:7  nodes.a.processes.{name}: {name!r} is not a process's name: letters, digits, `_`, `.` and `-`, at most 31, a letter or digit first"
    ]


MERGED = """\
defaults: {node: {processes: {log: {run: syslogd, restart: always}, ntp: ntpd}}}
groups:
  routers: {processes: {bird: {run: [bird, -f], ready: {unix: /run/bird.ctl}}, log: {grace: 1s}}}
nodes:
  a: {group: routers, processes: {bird: {user: bird}, ntp: {run: chronyd}}}
  b:
"""


def test_processes_of_defaults_and_groups_are_taken_over_key_by_key() -> None:
    loaded = read(MERGED)
    assert said(loaded) == []
    assert loaded.topology is not None
    nodes = loaded.topology.nodes
    assert dict(nodes["b"].processes) == {
        "log": Process(run="syslogd", restart="always"), "ntp": Process(run="ntpd"),
    }  # fmt: skip
    assert dict(nodes["a"].processes) == {
        "log": Process(run="syslogd", restart="always", grace=1.0),
        "ntp": Process(run="chronyd"),
        "bird": Process(run=("bird", "-f"), ready=Ready(unix="/run/bird.ctl"), user="bird"),
    }


def test_what_a_group_brings_is_wrong_at_the_group() -> None:
    text = "groups: {g: {processes: {p: {run: x, grace: soon}}}}\nnodes: {a: {group: g}}"
    assert said(read(text)) == [f"1:45  groups.g.processes.p.grace: 'soon' {DURATION}"]
