"""How a supervisor is started, asked, and ended."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from netlab.errors import KernelRefused
from netlab.kernel import cgroups
from netlab.kernel.supervisor import record as records

START_DEADLINE = 30.0
ANSWER_DEADLINE = 30.0
"""Seconds beyond the longest grace that an answer may take."""

_PROGRAM = "import sys; sys.path.insert(0, sys.argv.pop(1)); " + (
    "from netlab.kernel.supervisor.server import main; main(sys.argv[1:])"
)


class Supervisor:
    """A connection to a lab's supervisor."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    @property
    def pid(self) -> int:
        packed = self._connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return int(struct.unpack("=iII", packed)[0])

    def ask(
        self,
        requests: Sequence[Mapping[str, Any]],
        *,
        patience: float = ANSWER_DEADLINE,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> list[dict[str, Any]]:
        """The answers, in the order of the requests, which are dealt with side by side.

        Raises KernelRefused when one of them does not come within ``patience`` seconds. When
        ``should_stop`` says so, what has been answered is all there is: the others are {}.
        """
        lines = [json.dumps({"id": n, **r}) + "\n" for n, r in enumerate(requests)]
        found: dict[int, dict[str, Any]] = {}
        until, rest = time.monotonic() + patience, b""
        self._connection.settimeout(patience)
        try:
            self._connection.sendall("".join(lines).encode())
            while len(found) < len(requests) and not should_stop():
                ready, _, _ = select.select([self._connection], [], [], 0.05)
                if time.monotonic() > until:
                    raise TimeoutError
                if not ready:
                    continue
                data = self._connection.recv(1 << 16)
                if not data:
                    raise ConnectionResetError
                *whole, rest = (rest + data).split(b"\n")
                for line in whole:
                    answer = json.loads(line)
                    found[answer["id"]] = answer
        except OSError as problem:
            raise KernelRefused(
                f"the supervisor of the lab's processes (pid {self.pid}) does not answer",
                said=str(problem),
                hint=f"`kill -9 {self.pid}` is safe: the next command starts another one",
            ) from problem
        return [found.get(n, {}) for n in range(len(requests))]

    def close(self) -> None:
        self._connection.close()


def connect(lab_dir: str) -> Supervisor | None:
    """None where none is running."""
    try:
        directory = os.open(lab_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        # a socket's address holds 107 bytes: the directory may have a longer name
        connection.connect(f"/proc/self/fd/{directory}/{records.SOCKET}")
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    finally:
        os.close(directory)
    return Supervisor(connection)


def start(lab: str, state: str, netns: str) -> Supervisor:
    """The one that runs, else a fresh one. Raises KernelRefused when it does not come up."""
    lab_dir = f"{state}/{lab}"
    running = connect(lab_dir)
    if running is not None:
        return running
    told, tell = os.pipe()
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))
    argv = [sys.executable, "-I", "-c", _PROGRAM, package, lab, state, netns]
    argv += [cgroups.root() or "", str(tell)]
    pid = os.fork()
    if not pid:
        _become(argv, tell, f"{lab_dir}/{records.ERRORS}")
    os.close(tell)
    os.waitpid(pid, 0)  # it has left a grandchild
    ready, _, _ = select.select([told], [], [], START_DEADLINE)
    is_up = bool(ready) and os.read(told, 1) == b"\0"
    os.close(told)
    running = connect(lab_dir) if is_up else None
    if running is None:
        why = _said(lab_dir)
        raise KernelRefused(f"the supervisor of the lab's processes does not start: {why}")
    return running


def stop(lab_dir: str, root: str | None, lab: str) -> None:
    """End it, and the lab's control groups; done where none is running."""
    running = connect(lab_dir)
    if running is not None:
        pid = running.pid
        with suppress(ProcessLookupError):
            fd = os.pidfd_open(pid)
            try:
                with suppress(KernelRefused):
                    running.ask([{"do": "quit"}], patience=5.0)
                running.close()
                poll = select.poll()
                poll.register(fd, select.POLLIN)
                if not poll.poll(5000):
                    signal.pidfd_send_signal(fd, signal.SIGKILL)
                    poll.poll(5000)
            finally:
                os.close(fd)
    if root:
        cgroups.remove(f"{root}/{lab}")
        with suppress(OSError):
            os.rmdir(root)
    for name in (records.SOCKET, records.ERRORS):
        with suppress(FileNotFoundError):
            os.unlink(f"{lab_dir}/{name}")


def _become(argv: list[str], tell: int, errors: str) -> None:
    """In the child: a grandchild that nobody waits for becomes the supervisor."""
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.set_inheritable(tell, True)
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(0, 1)
        os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644), 2)
        os.execv(argv[0], argv)
    finally:
        os._exit(1)


def _said(lab_dir: str) -> str:
    with suppress(OSError), open(f"{lab_dir}/{records.ERRORS}") as file:
        lines = file.read().rstrip().splitlines()
        return lines[-1] if lines else "it said nothing"
    return "it said nothing"
