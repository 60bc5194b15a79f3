"""The supervisor itself: one thread, woken by what happens, never by the clock alone.

It ends when it is told to, or when there has been nothing to look after for a while.
"""

from __future__ import annotations

import heapq
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from netlab.kernel import cgroups, libc
from netlab.kernel.supervisor import child, logs, members
from netlab.kernel.supervisor import record as records
from netlab.kernel.supervisor.record import Record

IDLE = 5.0
"""Seconds without a process and without anybody who asks, and it ends."""

STEADY = 10.0
"""Seconds a process must have run for its next restart to come soon again."""

FIRST_DELAY, LONGEST_DELAY = 0.1, 10.0
"""Seconds until a process is started again; each time twice as long."""

ENDING = 0.01
"""Seconds between two looks at whether killed processes are gone."""

HANGING = 5.0
"""Seconds until killed processes that are still there (they hang in the kernel) are given up."""

Answer = Callable[[Mapping[str, Any]], None]


def _nothing() -> None:
    """Stands for what has been heard."""


@dataclass
class Care:
    """A process, and what is under way with it."""

    record: Record
    answers: list[Answer] = field(default_factory=list)
    """To be told when it has ended."""
    pidfd: int = -1
    """Where it is not a child that this supervisor has started: it is followed by this."""
    ending: bool = False
    attempt: int = 0
    """Starts before this one: a timer of an earlier life must not touch it."""
    begun: float = 0.0
    hear: Callable[[], None] = _nothing
    """Learns whether it could be started, as long as that is not known."""
    tries: int = 0
    """Restarts since it last ran steadily."""


class Server:
    def __init__(self, lab: str, state: str, netns: str, root: str) -> None:
        self._lab, self._state, self._netns, self._root = lab, state, netns, root
        self._lab_dir = f"{state}/{lab}"
        self._cares: dict[tuple[str, str], Care] = {}
        self._poll = select.poll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._clients: dict[int, _Client] = {}
        self._watch = logs.Watch()
        self._noted: dict[str, float] = {}
        self._quits = False
        self._idle_since = time.monotonic()

    # the loop

    def serve(self, listener: socket.socket, wake: socket.socket) -> None:
        self._on(listener.fileno(), lambda: self._accept(listener))
        self._on(wake.fileno(), lambda: self._children(wake))
        self._on(self._watch.fd, self._logs)
        for record in records.all_of(self._lab_dir):
            self._find_again(record)
        while not self._is_done():
            for fd, _ in self._poll.poll(self._patience()):
                if fd in self._handlers:  # an earlier one of this round may have taken it away
                    self._handlers[fd]()
            self._due()

    def _is_done(self) -> bool:
        busy = self._clients or any(c.record.pid or c.record.wanted for c in self._cares.values())
        if busy:
            self._idle_since = time.monotonic()
        return not busy and (self._quits or time.monotonic() - self._idle_since > IDLE)

    def _patience(self) -> float:
        """Milliseconds until something is due."""
        due = self._timers[0][0] if self._timers else float("inf")
        return max(0.0, min(due - time.monotonic(), IDLE)) * 1000 + 1

    def _due(self) -> None:
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()

    def _on(self, fd: int, act: Callable[[], None]) -> None:
        self._handlers[fd] = act
        self._poll.register(fd, select.POLLIN)

    def _off(self, fd: int) -> None:
        if self._handlers.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), act))

    # who asks

    def _accept(self, listener: socket.socket) -> None:
        with suppress(BlockingIOError):
            connection, _ = listener.accept()
            connection.setblocking(False)
            fd = connection.fileno()
            self._clients[fd] = _Client(connection)
            self._on(fd, lambda: self._hear(fd))

    def _hear(self, fd: int) -> None:
        client = self._clients[fd]
        requests = client.requests()
        if requests is None:
            self._off(fd)
            self._clients.pop(fd).close()
            return
        for request in requests:
            self._act(request, client)

    def _act(self, request: Mapping[str, Any], client: _Client) -> None:
        def answer(said: Mapping[str, Any]) -> None:
            client.answer({"id": request["id"], **said})

        match request["do"]:
            case "start":
                self._ask_start(request, answer)
            case "set":
                care = self._care(request)
                care.record.spec = request["spec"]
                self._write(care)
                answer({})
            case "stop":
                self._ask_stop(self._care(request), answer)
            case "forget":
                self._forget(request, answer)
            case "quit":
                self._quits = True
                answer({})
            case "hello":
                answer({})
            case unknown:
                answer({"error": f"{unknown!r} is nothing to ask for"})

    def _care(self, request: Mapping[str, Any]) -> Care:
        key = request["node"], request["name"]
        if key not in self._cares:
            self._cares[key] = Care(Record(*key, request.get("inode", 0)))
        return self._cares[key]

    # start

    def _ask_start(self, request: Mapping[str, Any], answer: Answer) -> None:
        care = self._care(request)
        if care.record.pid:
            answer({"pid": care.record.pid})
            return
        if "spec" in request:
            care.record.spec, care.record.inode = request["spec"], request["inode"]
            try:
                records.write_environment(self._lab_dir, care.record, request["environ"])
            except OSError as problem:
                answer({"error": problem.strerror, "errno": problem.errno})
                return
        if not care.record.spec:
            answer({"error": "it has never been started"})
            return
        care.record.restarts, care.tries, care.attempt = 0, 0, care.attempt + 1
        self._start(care, answer)

    def _start(self, care: Care, answer: Answer | None = None) -> None:
        record, attempt = care.record, care.attempt
        if self._members(care):  # started by a supervisor that was killed before it wrote that down
            self._end_all(care)
            self._after(ENDING, lambda: self._start_again(care, attempt, answer))
            return
        try:
            pid, told = child.start(
                self._lab, self._state, self._netns, self._group(record), record
            )
        except OSError as problem:
            self._set(care, "failed", wanted=False)
            if answer:
                answer({"error": f"{problem.filename or 'fork'}: {problem.strerror}"})
            return
        record.pid, record.ticks, record.code = pid, records.start_ticks(pid), None
        record.session = pid  # its first act is to begin one
        care.ending, care.begun = False, time.monotonic()
        self._set(care, "running", wanted=True)
        log = self._log(record)
        self._watch.add(log)
        logs.note(log)
        care.hear = lambda: self._has_begun(care, told, answer)
        self._on(told, care.hear)

    def _start_again(self, care: Care, attempt: int, answer: Answer | None) -> None:
        if care.attempt == attempt:
            self._start(care, answer)
        elif answer:
            answer({"error": "it was stopped meanwhile"})

    def _has_begun(self, care: Care, told: int, answer: Answer | None) -> None:
        """The pipe has ended: by the exec, or with words."""
        try:
            why = os.read(told, 4096).decode(errors="replace")
        except BlockingIOError:
            return
        self._off(told)
        os.close(told)
        care.hear = _nothing
        if why:
            care.record.wanted = False
        if answer:
            answer({"pid": care.record.pid, **({"error": why} if why else {})})
        elif why:  # there is nobody else to tell
            with suppress(OSError), open(self._log(care.record), "a") as log:
                log.write(f"netlab: cannot be started again: {why}\n")

    # end

    def _ask_stop(self, care: Care, answer: Answer) -> None:
        record = care.record
        record.wanted = False
        care.attempt += 1
        if not record.pid:
            self._set(care, "stopped" if record.state == "waiting" else record.state, wanted=False)
            answer({"code": record.code})
            return
        care.answers.append(answer)
        if care.ending:
            return
        care.ending = True
        self._signal(care, _stop_signal(record))
        pid = record.pid
        self._after(float(record.spec.get("grace", 5.0)), lambda: self._too_late(care, pid))

    def _too_late(self, care: Care, pid: int) -> None:
        if care.ending and care.record.pid == pid:
            self._end_all(care)

    def _signal(self, care: Care, number: int) -> None:
        if care.record.is_alive:
            with suppress(ProcessLookupError):
                os.kill(care.record.pid, number)

    def _end_all(self, care: Care) -> None:
        members.end(self._group(care.record), care.record)

    def _members(self, care: Care) -> list[int]:
        return members.members(self._group(care.record), care.record)

    def _forget(self, request: Mapping[str, Any], answer: Answer) -> None:
        """Its record and control group; its log stays as long as the lab."""
        key = request["node"], request["name"]
        care = self._cares.pop(key, None)
        if care is not None:
            self._let_go(care)
        records.remove(self._lab_dir, *key)
        if self._root:
            cgroups.remove(f"{self._root}/{self._lab}/{key[0]}/{key[1]}")
        answer({})

    def _children(self, wake: socket.socket) -> None:
        with suppress(BlockingIOError):
            wake.recv(4096)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for care in list(self._cares.values()):
                if care.record.pid == pid:
                    self._has_ended(care, _code(status))

    def _has_ended(self, care: Care, code: int | None) -> None:
        care.hear()  # poll(2) may tell of its end before it tells why
        self._let_go(care)
        left = self._members(care)
        if left and code == 0 and not care.ending:
            self._follow(care, left[0])  # it went into the background: what it left is the daemon
            return
        until = time.monotonic() + HANGING
        if care.ending:  # what it has left is asked as well, and has the rest of its grace
            until += float(care.record.spec.get("grace", 5.0))
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, _stop_signal(care.record))
        self._wait_for_the_rest(care, code, until)

    def _wait_for_the_rest(self, care: Care, code: int | None, until: float) -> None:
        if not self._members(care) or time.monotonic() > until:
            self._is_over(care, code)
            return
        if not care.ending:
            self._end_all(care)
        self._after(ENDING, lambda: self._wait_for_the_rest(care, code, until))

    def _is_over(self, care: Care, code: int | None) -> None:
        record = care.record
        tries = 0 if time.monotonic() - care.begun > STEADY else care.tries
        record.pid = record.ticks = record.session = 0
        record.code = code
        answers, care.answers = care.answers, []
        if record.wanted and self._again(record):
            record.restarts += 1
            self._set(care, "waiting", wanted=True)
            care.tries = tries + 1
            attempt = care.attempt
            delay = min(FIRST_DELAY * 2 ** min(tries, 10), LONGEST_DELAY)
            self._after(delay, lambda: self._restart(care, attempt))
        else:
            ended = "exited" if code == 0 else "failed"
            self._set(care, "stopped" if care.ending else ended, wanted=False)
        for answer in answers:
            answer({"code": code})

    def _again(self, record: Record) -> bool:
        policy = record.spec.get("restart", "no")
        return policy == "always" or (policy == "on-failure" and record.code != 0)

    def _restart(self, care: Care, attempt: int) -> None:
        if care.record.wanted and care.attempt == attempt and not care.record.pid:
            self._start(care)

    # what an earlier supervisor left

    def _find_again(self, record: Record) -> None:
        care = self._cares[record.node, record.name] = Care(record, begun=time.monotonic())
        log = self._log(record)
        with suppress(OSError):
            self._watch.add(log)
        if record.is_alive:
            self._follow(care, record.pid)
        elif record.pid:
            self._has_ended(care, None)
        elif record.state == "waiting":
            self._restart(care, care.attempt)

    def _follow(self, care: Care, pid: int) -> None:
        """Its end will be seen, if not always its exit code."""
        record = care.record
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            record.pid = 0
            self._has_ended(care, None)
            return
        record.pid, record.ticks = pid, records.start_ticks(pid)
        with suppress(ProcessLookupError):
            record.session = os.getsid(pid)
        self._write(care)
        care.pidfd = fd
        self._on(fd, lambda: self._has_been_followed(care, pid))

    def _has_been_followed(self, care: Care, pid: int) -> None:
        """To its end. Its code is known where it has become a child of this supervisor."""
        if care.record.is_alive:  # what poll(2) told was of an earlier descriptor of that number
            return
        code = None
        with suppress(ChildProcessError):
            reaped, status = os.waitpid(pid, os.WNOHANG)
            code = _code(status) if reaped else None
        self._has_ended(care, code)

    def _let_go(self, care: Care) -> None:
        if care.pidfd >= 0:
            self._off(care.pidfd)
            os.close(care.pidfd)
            care.pidfd = -1

    # logs and records

    def _logs(self) -> None:
        for log in self._watch.changed():
            self._bound(log)
            wait = self._noted.get(log, 0.0) + logs.GRAIN - time.monotonic()
            if wait <= 0:
                self._look_at(log)
            elif wait <= logs.GRAIN:
                self._noted[log] = time.monotonic() + logs.GRAIN  # one look is on its way
                self._after(wait, lambda log=log: self._look_at(log))  # type: ignore[misc]

    def _look_at(self, log: str) -> None:
        self._noted[log] = time.monotonic()
        logs.note(log)

    def _bound(self, log: str) -> None:
        for care in self._cares.values():
            if self._log(care.record) == log:
                logs.bound(log, int(care.record.spec.get("log_size", 1 << 20)))

    def _log(self, record: Record) -> str:
        return records.path(self._lab_dir, record.node, record.name, "log")

    def _group(self, record: Record) -> str:
        return members.group(self._root, self._lab, record)

    def _set(self, care: Care, state: str, *, wanted: bool) -> None:
        care.record.wanted = wanted
        if care.record.state != state:
            care.record.state, care.record.since = state, time.time()
        self._write(care)

    def _write(self, care: Care) -> None:
        with suppress(OSError):  # on a full disk the process is looked after all the same
            records.write(self._lab_dir, care.record)


def _stop_signal(record: Record) -> int:
    return int(getattr(signal, f"SIG{record.spec.get('stop', 'TERM')}"))


def _code(status: int) -> int:
    """Of a wait status; 128 + number for a signal."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


class _Client:
    """A connection: requests in, answers out, each a line."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._rest = b""

    def requests(self) -> list[Any] | None:
        """None at its end, or when it makes no sense."""
        try:
            data = self._connection.recv(1 << 16)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        with suppress(ValueError):
            found = [json.loads(line) for line in lines]
            if all(isinstance(r, dict) and r.keys() >= {"id", "do"} for r in found):
                return found
        return None

    def answer(self, said: Mapping[str, Any]) -> None:
        with suppress(OSError):  # whoever asked has gone
            self._connection.setblocking(True)
            self._connection.settimeout(5.0)
            self._connection.sendall(json.dumps(said).encode() + b"\n")
            self._connection.setblocking(False)

    def close(self) -> None:
        self._connection.close()


def main(words: list[str]) -> None:
    """``LAB STATE NETNS CGROUPS TELL LOCK``: TELL is told when requests can come.

    LOCK is held, and nothing else is done with it.
    """
    lab, state, netns, root, tell, lock = words
    os.set_inheritable(int(lock), False)
    os.chdir(f"{state}/{lab}")
    libc.become_subreaper()
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    wake, waking = socket.socketpair()
    for end in (wake, waking):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
    if root:
        cgroups.make(f"{root}/{lab}")
        cgroups.join(f"{root}/{lab}")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    with suppress(FileNotFoundError):
        os.unlink(records.SOCKET)
    listener.bind(records.SOCKET)
    os.chmod(records.SOCKET, 0o600)  # whoever may ask it can become root
    listener.listen(64)
    listener.setblocking(False)
    server = Server(lab, state, netns, root)
    os.write(int(tell), b"\0")
    os.close(int(tell))
    try:
        server.serve(listener, wake)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(records.SOCKET)


if __name__ == "__main__":
    main(sys.argv[1:])
