"""How a supervisor is started, asked, and ended.

It holds a lock from before its first moment until its last: who finds the lock taken and nobody
to talk to knows that one is on its way, or about to be gone. Only the lab's writer starts and ends
them.
"""

from __future__ import annotations

import fcntl
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
from netlab.kernel import cgroups, limits
from netlab.kernel.supervisor import record as records

START_DEADLINE = 30.0
HELLO_PATIENCE = 5.0
"""Seconds until one that does not even say hello is killed, and another one takes its place."""

ANSWER_DEADLINE = 30.0
"""Seconds beyond the longest grace that an answer may take."""

SOON = 0.005
"""Seconds between two looks at the lock."""

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

    @property
    def is_stopped(self) -> bool:
        """By a SIGSTOP: it cannot answer."""
        with suppress(OSError), open(f"/proc/{self.pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] == b"T"
        return False

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


def start(lab: str, state: str, netns: str) -> Supervisor:
    """The one that runs, else a fresh one. Raises KernelRefused when it does not come up."""
    lab_dir = f"{state}/{lab}"
    until = time.monotonic() + START_DEADLINE
    while time.monotonic() < until:
        running = reach(lab_dir)
        if running is not None:
            return running
        lock = _lock(lab_dir)
        if lock is None:
            time.sleep(SOON)
            continue
        try:
            _launch(lab, state, netns, lock)
        finally:
            os.close(lock)
    raise KernelRefused("the supervisor of the lab's processes neither comes up nor ends")


def stop(lab_dir: str, root: str | None, lab: str) -> None:
    """End it, and all that is in the lab's control groups; done where none is running."""
    until = time.monotonic() + START_DEADLINE
    while (lock := _lock(lab_dir)) is None:
        running = reach(lab_dir)
        if running is not None:
            _quit(running)
        elif time.monotonic() > until:
            raise KernelRefused("the supervisor of the lab's processes does not end")
        else:
            time.sleep(SOON)
    try:
        if root:
            cgroups.clear(f"{root}/{lab}")
            with suppress(OSError):
                os.rmdir(root)
        for name in (records.SOCKET, records.ERRORS, records.LOCK):
            with suppress(FileNotFoundError):
                os.unlink(f"{lab_dir}/{name}")
    finally:
        os.close(lock)


def reach(lab_dir: str) -> Supervisor | None:
    """The one that runs and answers. One that does not is killed: nothing is lost by that."""
    running = connect(lab_dir)
    if running is None:
        return None
    is_stuck = running.is_stopped
    if not is_stuck:
        try:
            running.ask([{"do": "hello"}], patience=HELLO_PATIENCE)
            return running
        except KernelRefused as refusal:
            is_stuck = isinstance(refusal.__cause__, TimeoutError)
    if is_stuck:
        _kill(running, lab_dir)
    running.close()
    return None


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


def _lock(lab_dir: str) -> int | None:
    """None where a supervisor holds it."""
    fd = os.open(f"{lab_dir}/{records.LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def _launch(lab: str, state: str, netns: str, lock: int) -> None:
    """Returns when it can be asked."""
    told, tell = os.pipe()
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))
    argv = [sys.executable, "-I", "-c", _PROGRAM, package, lab, state, netns]
    argv += [cgroups.root() or "", str(tell), str(lock)]
    errors = f"{state}/{lab}/{records.ERRORS}"
    pid = os.fork()
    if not pid:
        _become(argv, (tell, lock), errors)
    os.close(tell)
    os.waitpid(pid, 0)  # it has left a grandchild
    ready, _, _ = select.select([told], [], [], START_DEADLINE)
    is_up = bool(ready) and os.read(told, 1) == b"\0"
    os.close(told)
    if not is_up:
        why = _said(errors)
        raise KernelRefused(f"the supervisor of the lab's processes does not start: {why}")


def _quit(running: Supervisor) -> None:
    """It has ended when this returns, one way or the other."""
    with suppress(ProcessLookupError):
        fd = os.pidfd_open(running.pid)
        try:
            with suppress(KernelRefused):
                running.ask([{"do": "quit"}], patience=HELLO_PATIENCE)
            running.close()
            if not _has_ended(fd):
                signal.pidfd_send_signal(fd, signal.SIGKILL)
                _has_ended(fd)
        finally:
            os.close(fd)


def _kill(running: Supervisor, lab_dir: str) -> None:
    with suppress(ProcessLookupError):
        fd = os.pidfd_open(running.pid)
        try:
            lock = _lock(lab_dir)
            if lock is not None:  # it has just ended: its number may be another one's by now
                os.close(lock)
                return
            signal.pidfd_send_signal(fd, signal.SIGKILL)
            _has_ended(fd)
        finally:
            os.close(fd)


def _has_ended(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(HELLO_PATIENCE * 1000))


def _become(argv: list[str], kept: tuple[int, ...], errors: str) -> None:
    """In the child: a grandchild that nobody waits for becomes the supervisor.

    What else the caller has open (the lock of a flock(1), a pipe) does not live on in it.
    """
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        for fd in {*map(int, os.listdir("/proc/self/fd"))} - {0, 1, 2, *kept}:
            with suppress(OSError):  # the directory's own is closed already
                os.close(fd)
        for fd in kept:
            os.set_inheritable(fd, True)
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(0, 1)
        os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644), 2)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        limits.restore_limit()
        os.execv(argv[0], argv)
    finally:
        os._exit(1)


def _said(errors: str) -> str:
    with suppress(OSError), open(errors) as file:
        lines = file.read().rstrip().splitlines()
        return lines[-1] if lines else "it said nothing"
    return "it said nothing"
