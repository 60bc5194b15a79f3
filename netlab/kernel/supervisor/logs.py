"""Logs within bounds, and how long each was when, so that one can ask for the last minutes.

A process writes into its log itself, so that it goes on when its supervisor does not. A log that
has grown too long becomes ``.log.1``: what is written while the last bytes are copied is lost.
"""

from __future__ import annotations

import os
import select
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from netlab.kernel import libc

GRAIN = 0.1
"""Seconds: no two notes of a log's length are nearer to each other."""

IN_MODIFY = 2
_EVENT = struct.Struct("iIII")
_CHUNK = 1 << 16


class Watch:
    """The kernel tells which log has grown (inotify(7))."""

    def __init__(self) -> None:
        self.fd = libc.inotify_init()
        self._paths: dict[int, str] = {}

    def add(self, path: str) -> None:
        self._paths[libc.inotify_add_watch(self.fd, path, IN_MODIFY)] = path

    def changed(self) -> set[str]:
        found: set[str] = set()
        with suppress(BlockingIOError):
            data, at = os.read(self.fd, _CHUNK), 0
            while at < len(data):
                descriptor, _, _, length = _EVENT.unpack_from(data, at)
                found.add(self._paths.get(descriptor, ""))
                at += _EVENT.size + length
        return found - {""}


def note(log: str) -> None:
    """How long the log is now."""
    with suppress(OSError):
        size = os.stat(log).st_size
        with open(_times(log), "a") as file:
            file.write(f"{size} {time.time():.3f}\n")


def bound(log: str, most: int) -> None:
    """Begin anew when it is longer than that."""
    with suppress(OSError):
        fd = os.open(log, os.O_RDWR | os.O_CLOEXEC)
        try:
            if os.fstat(fd).st_size > most:
                _begin_anew(fd, log, most)
        finally:
            os.close(fd)


def _begin_anew(fd: int, log: str, most: int) -> None:
    with open(f"{log}.1.new", "wb") as old:
        at = max(0, os.fstat(fd).st_size - most)
        while data := os.pread(fd, _CHUNK, at):
            old.write(data)
            at += len(data)
        os.ftruncate(fd, 0)
    os.replace(f"{log}.1.new", f"{log}.1")
    with suppress(FileNotFoundError):
        os.replace(_times(log), _times(f"{log}.1"))


def offset_at(log: str, when: float) -> int:
    """How long the log was at a time at the most; 0 where that is not known."""
    known = 0
    for size, noted in _notes(log):
        if noted >= when:
            break
        known = size
    return known


def _notes(log: str) -> Iterator[tuple[int, float]]:
    with suppress(FileNotFoundError, ValueError), open(_times(log)) as file:
        for line in file:
            size, noted = line.split()
            yield int(size), float(noted)


def _times(log: str) -> str:
    """``httpd.log`` → ``httpd.times``, ``httpd.log.1`` → ``httpd.times.1``."""
    stem, _, rest = log.rpartition(".log")
    return f"{stem}.times{rest}"


# reading

Say = Callable[[str], None]


def tell(logs: Mapping[str, Say], since: float, *, follow: bool) -> None:
    """What each log says, line by line, from a time on; ``follow`` goes on until interrupted."""
    watch = Watch()
    readers = {log: _Reader(log, say, since) for log, say in logs.items()}
    if follow:
        for log in logs:
            with suppress(FileNotFoundError):
                watch.add(log)
    for reader in readers.values():
        reader.read()
    while follow:
        select.select([watch.fd], [], [])
        for log in watch.changed():
            readers[log].read()
    for reader in readers.values():
        reader.end()


class _Reader:
    """Where in a log one is; it may begin anew meanwhile."""

    def __init__(self, log: str, say: Say, since: float) -> None:
        self._log, self._say = log, say
        self._at = offset_at(log, since) if since else 0
        self._rest = b""
        if not self._at:
            self._take(f"{log}.1", offset_at(f"{log}.1", since) if since else 0)

    def read(self) -> None:
        with suppress(FileNotFoundError):
            if os.stat(self._log).st_size < self._at:
                self._take(f"{self._log}.1", self._at)
                self._at = 0
            self._at = self._take(self._log, self._at)

    def end(self) -> None:
        if self._rest:
            self._say(self._rest.decode(errors="replace"))

    def _take(self, path: str, at: int) -> int:
        with suppress(FileNotFoundError), open(path, "rb") as file:
            file.seek(at)
            while data := file.read(_CHUNK):
                at += len(data)
                *lines, self._rest = (self._rest + data).split(b"\n")
                for line in lines:
                    self._say(line.decode(errors="replace"))
        return at
