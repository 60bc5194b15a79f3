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
from heapq import merge

from netlab.kernel import libc

GRAIN = 0.1
"""Seconds: no two notes of a log's length are nearer to each other."""

IN_MODIFY, IN_ATTRIB, IN_DELETE_SELF = 0x2, 0x4, 0x400
_EVENT = struct.Struct("iIII")
_CHUNK = 1 << 16


class Watch:
    """The kernel tells which log has grown (inotify(7)), or has gone."""

    def __init__(self) -> None:
        self.fd = libc.inotify_init()
        self._paths: dict[int, str] = {}

    def add(self, path: str) -> None:
        mask = IN_MODIFY | IN_ATTRIB | IN_DELETE_SELF
        self._paths[libc.inotify_add_watch(self.fd, path, mask)] = path

    def changed(self) -> set[str]:
        found: set[str] = set()
        with suppress(BlockingIOError):
            data, at = os.read(self.fd, _CHUNK), 0
            while at < len(data):
                descriptor, _, _, length = _EVENT.unpack_from(data, at)
                found.add(self._paths.get(descriptor, ""))
                at += _EVENT.size + length
        return found - {""}

    def close(self) -> None:
        os.close(self.fd)


def note(log: str) -> None:
    """How long the log is now."""
    with suppress(OSError):
        _note(log, os.stat(log).st_size)


def _note(log: str, size: int) -> None:
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
        size = os.fstat(fd).st_size
        at = _line_start(fd, max(0, size - most))
        while data := os.pread(fd, _CHUNK, at):
            old.write(data)
            at += len(data)
            if at > size:  # who writes fast enough would never be caught up with
                break
        os.ftruncate(fd, 0)
    _note(log, at)  # what lies before the first byte of .log.1 is told by its last note
    os.replace(_times(log), _times(f"{log}.1"))
    os.replace(f"{log}.1.new", f"{log}.1")


def _line_start(fd: int, at: int) -> int:
    """The next one from there on, where it is near."""
    if not at:
        return 0
    return at + max(0, os.pread(fd, _CHUNK, at - 1).find(b"\n"))


def _times(log: str) -> str:
    """``httpd.log`` → ``httpd.times``, ``httpd.log.1`` → ``httpd.times.1``."""
    stem, _, rest = log.rpartition(".log")
    return f"{stem}.times{rest}"


# reading

Say = Callable[[str], None]

LATEST = 0.05
"""Seconds until a look at a log that is just beginning anew."""


def tell(logs: Mapping[str, Say], since: float, *, follow: bool) -> None:
    """What the logs say from a time on, line by line, in the order in which it was said.

    ``follow`` goes on until interrupted, or until all logs have gone with their lab.
    """
    watch = Watch()
    readers = {log: Reader(log, say) for log, say in logs.items()}
    try:
        for log in logs if follow else ():
            with suppress(FileNotFoundError):
                watch.add(log)
        for _, reader, piece in merge(*(r.past(since) for r in readers.values()), key=_when):
            reader.take(*piece)
        while follow and any(map(os.path.exists, logs)):
            late = sum(reader.go_on() for reader in readers.values())
            select.select([watch.fd], [], [], LATEST if late else None)
            watch.changed()
        for reader in readers.values():
            reader.end()
    finally:
        watch.close()


Piece = tuple[str, int, int]
"""A file, and its bytes from there to there."""


class Reader:
    """Where in a log one is; it may begin anew meanwhile."""

    def __init__(self, log: str, say: Say) -> None:
        self._log, self._old, self._say = log, f"{log}.1", say
        self._at = 0
        self._rest = b""
        self._known = _identity(self._old)

    @property
    def rest(self) -> str:
        """The line that has not ended yet."""
        return self._rest.decode(errors="replace")

    def skip(self) -> None:
        """All there is: only what comes is told."""
        self._at = _size(self._log)

    def past(self, since: float) -> Iterator[tuple[float, Reader, Piece]]:
        """What there is, in pieces, each with the time by which it had been said."""
        for file in (self._old, self._log):
            before = 0
            for size, noted in _noted(file):
                if noted >= since and size > before:
                    yield noted, self, (file, before, size)
                before = max(before, size)

    def take(self, file: str, start: int, end: int) -> None:
        with suppress(FileNotFoundError), open(file, "rb") as opened:
            opened.seek(start)
            while data := opened.read(max(0, min(_CHUNK, end - start))):
                start += len(data)
                *lines, self._rest = (self._rest + data).split(b"\n")
                for line in lines:
                    self._say(line.decode(errors="replace"))
        if file == self._log:
            self._at = start

    def go_on(self) -> bool:
        """What has been said since; whether the log is just beginning anew."""
        size, old = _size(self._log), _identity(self._old)
        if old != self._known:
            self._known = old
            kept = _size(self._old)
            skipped = max((s for s, _ in _notes(self._old)), default=kept) - kept
            self.take(self._old, max(0, self._at - skipped), kept)
            self._at = 0
        elif size < self._at:
            return True
        self.take(self._log, self._at, _size(self._log))
        return False

    def end(self) -> None:
        if self._rest:
            self._say(self.rest)
            self._rest = b""


def _when(piece: tuple[float, Reader, Piece]) -> float:
    return piece[0]


def _noted(log: str) -> list[tuple[int, float]]:
    """How long the log was when, and is now."""
    notes, size = list(_notes(log)), _size(log)
    if log.endswith(".1"):
        skipped = max((s for s, _ in notes), default=size) - size
        return [(max(0, s - skipped), noted) for s, noted in notes]
    return [*(n for n in notes if n[0] <= size), (size, time.time())] if size else []


def _notes(log: str) -> Iterator[tuple[int, float]]:
    with suppress(FileNotFoundError, ValueError), open(_times(log)) as file:
        for line in file:
            size, noted = line.split()
            yield int(size), float(noted)


def _identity(file: str) -> tuple[int, int]:
    with suppress(FileNotFoundError):
        found = os.stat(file)
        return found.st_ino, found.st_mtime_ns
    return (0, 0)


def _size(file: str) -> int:
    with suppress(FileNotFoundError):
        return os.stat(file).st_size
    return 0
