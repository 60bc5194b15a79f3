"""Programs started in nodes and waited for: what they say, how they end, who is told to stop."""

from __future__ import annotations

import os
import resource
import select
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from netlab.kernel import libc, limits

Sink = Callable[[bytes], object]

TICK_MS = 50
"""How often ``should_stop`` is asked."""

_CHUNK = 64 * 1024
_LONGEST_LINE = 64 * 1024
_FDS_OF_A_CHILD = 3
_FDS_OF_OTHERS = 64
_FORWARDED = (signal.SIGINT, signal.SIGTERM)


class Lines:
    """A sink that passes whole lines on; a last one without its end gets it."""

    def __init__(self, each: Sink) -> None:
        self._each = each
        self._rest = b""

    def __call__(self, data: bytes) -> None:
        """``b""`` says that nothing more will come."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._each(line + b"\n")
        if self._rest and (not data or len(self._rest) > _LONGEST_LINE):
            self._each(self._rest + b"\n")
            self._rest = b""


class Child:
    """A started program; ``streams`` are the ends it writes to and who takes what it writes."""

    def __init__(self, pid: int, streams: dict[int, Sink]) -> None:
        self.pid = pid
        self.ended = os.pidfd_open(pid)
        self.streams = streams

    def signal(self, number: int) -> None:
        """To it and all that it started; before it has its own group, to it alone."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def code(self) -> int:
        """Its exit code, 128 + number for a signal. Waits."""
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return code if code >= 0 else 128 - code

    def close(self) -> None:
        for fd in (self.ended, *self.streams):
            os.close(fd)


class Group:
    """The children alive, for whoever has to tell them something."""

    def __init__(self) -> None:
        self.alive: dict[str, Child] = {}
        self.told = 0

    def signal(self, number: int, frame: Any = None) -> None:
        self.told = number
        for child in list(self.alive.values()):
            child.signal(number)


def start(
    become: Callable[[], NoReturn],
    *,
    out: Sink | None = None,
    err: Sink | None = None,
    both: Sink | None = None,
) -> Child:
    """Fork, and ``become`` there in a session of its own, with nothing to read."""
    pipes = [os.pipe() for sink in (out, err, both) if sink]
    sinks = [sink for sink in (out, err, both) if sink]
    # until the child has its own dispositions, a signal would be answered twice
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED)
    pid = os.fork()
    if not pid:
        _in_child(become, pipes[0][1], pipes[-1][1], before)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    for _, end in pipes:
        os.close(end)
    for fd, _ in pipes:
        os.set_blocking(fd, False)
    return Child(pid, {fd: sink for (fd, _), sink in zip(pipes, sinks, strict=True)})


def attend(
    starts: Mapping[str, Callable[[], Child]],
    should_stop: Callable[[], bool],
    group: Group | None = None,
) -> dict[str, int]:
    """Start all, pass on what they say, and wait for all; their exit codes.

    As many at once as the limit of open files has room for, the other ones after them. A child
    has ended when it has, whatever it left running with its output open.
    """
    group = group or Group()
    codes: dict[str, int] = {}
    waiting = list(starts.items())
    try:
        while waiting or group.alive:
            while waiting and not group.told and len(group.alive) < _most_at_once():
                name, begin = waiting.pop(0)
                group.alive[name] = begin()
            if group.told:
                codes.update({name: 128 + group.told for name, _ in waiting})
                waiting.clear()
            if should_stop():
                group.signal(signal.SIGKILL)
            _hear(group, codes)
    except BaseException:
        group.signal(signal.SIGKILL)
        for child in group.alive.values():
            child.code()
            child.close()
        raise
    return {name: codes[name] for name in starts}


@contextmanager
def forwarded_signals() -> Iterator[Group]:
    """A group whose children get the SIGINT and SIGTERM of this process."""
    group = Group()
    before = {number: signal.signal(number, group.signal) for number in _FORWARDED}
    try:
        yield group
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _in_child(become: Callable[[], NoReturn], out: int, err: int, mask: Any) -> NoReturn:
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        for number in _FORWARDED:
            if callable(signal.getsignal(number)):  # ignored stays ignored
                signal.signal(number, signal.SIG_DFL)
        libc.default_signals()
        limits.restore_limit()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        become()
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(1)


def _hear(group: Group, codes: dict[str, int]) -> None:
    """One round: whatever has been said or has ended, or a tick."""
    poll = select.poll()
    for child in group.alive.values():
        for fd in (child.ended, *child.streams):
            poll.register(fd, select.POLLIN)
    ready = {fd for fd, _ in poll.poll(TICK_MS)}
    for name, child in list(group.alive.items()):
        for fd in ready & child.streams.keys():
            if _pass_on(fd, child.streams[fd]) == b"":
                del child.streams[fd]
                os.close(fd)
        if child.ended in ready:
            _drain(child)
            codes[name] = child.code()
            child.close()
            del group.alive[name]


def _drain(child: Child) -> None:
    """What is still in the pipes; not what a program left behind goes on saying."""
    for fd, sink in child.streams.items():
        for _ in range(1 << 8):
            if not _pass_on(fd, sink):
                break
        sink(b"")


def _pass_on(fd: int, sink: Sink) -> bytes | None:
    """One read, passed on; ``b""`` at the end, None where there is nothing now."""
    try:
        data = os.read(fd, _CHUNK)
    except BlockingIOError:
        return None
    sink(data)
    return data


def _most_at_once() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, (soft - _FDS_OF_OTHERS) // _FDS_OF_A_CHILD)
