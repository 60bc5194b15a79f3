"""Logs within bounds, and how long each was when, so that one can ask for the last minutes.

A process writes into its log itself, so that it goes on when its supervisor does not. A log that
has grown too long becomes ``.log.1``: what is written while the last bytes are copied is lost.
Readers and whoever begins a log anew keep out of each other's way by a lock on its directory.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from heapq import merge

from netlab.kernel import libc

GRAIN = 0.1
"""Seconds: no two notes of a log's length are nearer to each other."""

PATIENCE = 1.0
"""Seconds until a reader who holds a log, and must have been stopped, is waited for no more."""

IN_MODIFY, IN_ATTRIB, IN_DELETE_SELF = 0x2, 0x4, 0x400
_EVENT = struct.Struct("iIII")
_CHUNK = 1 << 16
_LINE = 80
"""Bytes that a note takes at most."""


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


def _note(log: str, size: int, *more: int) -> None:
    with open(_times(log), "a") as file:
        file.write(" ".join(map(str, (size, f"{time.time():.3f}", *more))) + "\n")


def bound(log: str, most: int) -> None:
    """Begin anew when it is longer than that."""
    with suppress(OSError):
        fd = os.open(log, os.O_RDWR | os.O_CLOEXEC)
        try:
            if os.fstat(fd).st_size > most:
                with _unread(log):
                    _begin_anew(fd, log, most)
        finally:
            os.close(fd)


def _begin_anew(fd: int, log: str, most: int) -> None:
    with open(f"{log}.1.new", "wb", buffering=0) as old:
        size = os.fstat(fd).st_size
        at = _line_start(fd, max(0, size - most))
        while data := os.pread(fd, _CHUNK, at):
            at += old.write(data)
            if at > size:  # who writes fast enough would never be caught up with
                break
        os.ftruncate(fd, 0)
    with suppress(OSError):  # on a full disk the lines matter more than when they were said
        _note(log, at, _turned(log)[0] + 1)
        os.replace(_times(log), _times(f"{log}.1"))
    os.replace(f"{log}.1.new", f"{log}.1")


@contextmanager
def _unturned(log: str) -> Iterator[None]:
    """While nobody begins the log anew."""
    with _directory(log) as fd:
        if fd >= 0:
            fcntl.flock(fd, fcntl.LOCK_SH)
        yield


@contextmanager
def _unread(log: str) -> Iterator[None]:
    """While nobody reads it, unless somebody takes too long."""
    with _directory(log) as fd:
        until = time.monotonic() + PATIENCE
        while fd >= 0 and not _is_mine(fd) and time.monotonic() < until:
            time.sleep(0.002)  # flock(2) has no limit of its own
        yield


@contextmanager
def _directory(log: str) -> Iterator[int]:
    """-1 where it has gone with its lab."""
    try:
        fd = os.open(os.path.dirname(log), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield -1
        return
    try:
        yield fd
    finally:
        os.close(fd)


def _is_mine(fd: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


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
            for reader in readers.values():
                reader.go_on()
            select.select([watch.fd], [], [])
            watch.changed()
        for reader in readers.values():
            reader.end()
    finally:
        watch.close()


Piece = tuple[int, int, int]
"""Of the log as it was after so many new beginnings, the bytes from there to there."""

MISSING = "netlab: lines are missing here: more was said than the log keeps"


class Reader:
    """Where in a log one is; it may begin anew meanwhile."""

    def __init__(self, log: str, say: Say) -> None:
        self._log, self._old, self._say = log, f"{log}.1", say
        self._turn, self._at = _turned(log)[0], 0
        self._rest = b""

    @property
    def rest(self) -> str:
        """The line that has not ended yet."""
        return self._rest.decode(errors="replace")

    def skip(self) -> None:
        """All there is: only what comes is told."""
        with _unturned(self._log):
            self._turn, self._at = _turned(self._log)[0], _size(self._log)

    def past(self, since: float) -> list[tuple[float, Reader, Piece]]:
        """What there is, in pieces, each with the time by which it had been said."""
        with _unturned(self._log):
            turn, skipped = _turned(self._log)
            notes = [(turn - 1, skipped, [*_notes(self._old)] if turn else [])]
            notes += [(turn, 0, _noted(self._log))]
        found: list[tuple[float, Reader, Piece]] = []
        for turn, before, some in notes:
            for size, noted in some:
                if noted >= since and size > before:
                    found.append((noted, self, (turn, before, size)))
                before = max(before, size)
            self._turn, self._at = turn, before
        if found:
            self._turn, self._at, _ = found[0][2]
        return found

    def take(self, turn: int, start: int, end: int) -> None:
        """The piece, and what lies before it and has not been told."""
        while (self._turn, self._at) < (turn, end):
            data = self._more(end - self._at if self._turn == turn else _CHUNK)
            if not data:
                break
            self._hear(data)

    def go_on(self) -> None:
        """What has been said since."""
        while data := self._more(_CHUNK):
            self._hear(data)

    def end(self) -> None:
        if self._rest:
            self._say(self.rest)
            self._rest = b""

    def _more(self, most: int) -> bytes:
        """The next bytes, from wherever they are by now."""
        with _unturned(self._log):
            turn, skipped = _turned(self._log)
            if self._turn < turn:
                if (self._turn, self._at) < (turn - 1, skipped):
                    self._is_lost()
                    self._turn, self._at = turn - 1, skipped
                if data := _read(self._old, self._at - skipped, most):
                    self._at += len(data)
                    return data
                self._turn, self._at = turn, 0
            if _size(self._log) < self._at:  # somebody has emptied it by hand
                self._at = 0
            data = _read(self._log, self._at, most)
            self._at += len(data)
            return data

    def _is_lost(self) -> None:
        self.end()
        self._say(MISSING)

    def _hear(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._say(line.decode(errors="replace"))


def _when(piece: tuple[float, Reader, Piece]) -> float:
    return piece[0]


def _noted(log: str) -> list[tuple[int, float]]:
    """How long the log was when, and is now."""
    size = _size(log)
    return [*(n for n in _notes(log) if n[0] <= size), (size, time.time())] if size else []


def _notes(log: str) -> Iterator[tuple[int, float]]:
    with suppress(FileNotFoundError, ValueError), open(_times(log)) as file:
        for line in file:
            size, noted, *_ = line.split()
            yield int(size), float(noted)


def _turned(log: str) -> tuple[int, int]:
    """How often it has begun anew, and how much of what was before is not in ``.log.1``."""
    old = f"{log}.1"
    if not os.path.exists(old):
        return 0, 0
    with suppress(OSError, ValueError), open(_times(old), "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _LINE))
        end, _, *turn = file.read().splitlines()[-1].split()
        return int(turn[0] if turn else 1), max(0, int(end) - _size(old))
    return 1, 0


def _read(file: str, at: int, most: int) -> bytes:
    with suppress(FileNotFoundError), open(file, "rb") as opened:
        opened.seek(at)
        return opened.read(max(0, min(_CHUNK, most)))
    return b""


def _size(file: str) -> int:
    with suppress(FileNotFoundError):
        return os.stat(file).st_size
    return 0
