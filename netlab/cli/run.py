"""`netlab run`: a lab for as long as one command takes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial

from netlab.cli import lease
from netlab.cli.work import Read, ground, located, read
from netlab.errors import LabNotFound, NetlabError, UsageError
from netlab.kernel import libc
from netlab.lab import lifecycle, state
from netlab.lab.interrupt import SIGNALS, watched

VARIABLE = "NETLAB_LAB"
"""The command's environment tells it the lab's name."""
NOT_FOUND, NOT_EXECUTABLE = 127, 126


def run(file: str, command: Sequence[str], node: str) -> int:
    """Up, the command on the host or in a node, down; its exit code, a signal as 128 + number.

    It goes also where this process is killed. Raises UsageError for a lab that is up already.
    """
    command = command[1:] if command[:1] == ["--"] else command
    if not command:
        raise UsageError("which command?", hint="netlab run FILE -- COMMAND…")
    wanted = read(file)
    name = wanted.wanted.lab
    if node and node not in wanted.wanted.nodes:
        raise UsageError(f"--in {node}: {file} has no such node")
    here = ground()
    if name in state.labs(here.state):
        raise UsageError(f"a lab {name} is up already", hint=f"`netlab down {name}` first")
    try:
        bring_up(here, wanted)
        try:
            return _ended(command, name, node)
        finally:
            _take_down(here, name)
    finally:
        here.machine.close()


@contextmanager
def meanwhile(wanted: Read, command: str) -> Iterator[None]:
    """The lab is up within the block. Raises UsageError where one of its name is up already.

    ``command``: that of netlab which wants it.
    """
    here = ground()
    name = wanted.wanted.lab
    if name in state.labs(here.state):
        raise UsageError(
            f"a lab {name} is up already, from another file",
            hint=f"`netlab {command} {name}` takes that one, `netlab down {name}` takes it down",
        )
    try:
        bring_up(here, wanted)
        try:
            yield
        finally:
            _take_down(here, name)
    finally:
        here.machine.close()


def _take_down(here: lifecycle.Ground, name: str) -> None:
    """Where that was not done already, as by the command: how that ended is what counts."""
    with watched(), suppress(LabNotFound):
        lifecycle.down(here, name)


def bring_up(here: lifecycle.Ground, wanted: Read) -> None:
    """It is taken down as well where this process is killed."""
    with watched() as stop:
        try:
            done = lifecycle.up(here._replace(stop=stop), wanted.wanted)
        except NetlabError as failure:
            raise located(failure, wanted) from None
    lease.begin(here.state, done, [os.getpid()])


def _ended(command: Sequence[str], lab: str, node: str) -> int:
    into = [sys.executable, "-m", "netlab", "exec", lab, node, "--"] if node else []
    with _passed_on() as children:
        try:
            process = subprocess.Popen(
                [*into, *command],
                env={**os.environ, VARIABLE: lab},
                preexec_fn=partial(libc.die_with, os.getpid()),
            )
        except OSError as problem:
            print(f"{command[0]}: {problem.strerror}", file=sys.stderr)  # noqa: T201
            return NOT_FOUND if isinstance(problem, FileNotFoundError) else NOT_EXECUTABLE
        children.append(process)
        code = process.wait()
    return 128 - code if code < 0 else code


@contextmanager
def _passed_on() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Signals that are to end this process are the command's to answer."""
    children: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, frame: object) -> None:
        # a terminal sends its own to all of the group, the command included
        if number != signal.SIGINT or not sys.stdin.isatty():
            for child in children:
                child.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in SIGNALS}
    try:
        yield children
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
