"""Logs within bounds, and how long each was when, so that one can ask for the last minutes.

A process writes into its log itself, so that it goes on when its supervisor does not. Of a log that
has grown too long the beginning is given back to the file system (fallocate(2),
FALLOC_FL_PUNCH_HOLE): bytes keep their places, so that neither writers nor readers are disturbed,
and nothing that is said meanwhile is lost. A file system that cannot do so has the log emptied.
"""

from __future__ import annotations

import errno
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
_PAGE = 4096
"""What is given back is counted in; of a smaller piece only the bytes would go."""


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
    with suppress(OSError), open(_times(log), "a") as file:
        file.write(f"{os.stat(log).st_size} {time.time():.3f}\n")


def bound(log: str, most: int) -> None:
    """Keep the last ``most`` bytes and some more, once there are twice as many."""
    with suppress(OSError):
        fd = os.open(log, os.O_RDWR | os.O_CLOEXEC)
        try:
            size, start = os.fstat(fd).st_size, _start(fd)
            if size - start > 2 * most:
                _give_back(fd, start, (size - most) // _PAGE * _PAGE)
                _forget_notes(log, _start(fd))
        finally:
            os.close(fd)


def _give_back(fd: int, start: int, end: int) -> None:
    try:
        libc.punch_hole(fd, start, end - start)
    except OSError as problem:
        if problem.errno != errno.EOPNOTSUPP:
            raise
        os.ftruncate(fd, 0)


def _forget_notes(log: str, start: int) -> None:
    kept = [note for note in _notes(log) if note[0] > start]
    new = f"{_times(log)}.new"
    with open(new, "w") as file:
        file.writelines(f"{size} {noted:.3f}\n" for size, noted in kept)
    os.replace(new, _times(log))


def _start(fd: int) -> int:
    """Where what is kept begins: after the hole."""
    try:
        return os.lseek(fd, 0, os.SEEK_DATA)
    except OSError as problem:
        if problem.errno != errno.ENXIO:
            return 0  # a file system without holes
        return os.fstat(fd).st_size


def _first_line(fd: int, start: int) -> int:
    """The next one from there on, where it is near: the one before has lost its beginning."""
    return start + os.pread(fd, _CHUNK, start).find(b"\n") + 1 if start else 0


def _times(log: str) -> str:
    """``httpd.log`` → ``httpd.times``."""
    return log.removesuffix(".log") + ".times"


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


Piece = tuple[int, int]
"""Bytes from there to there."""

MISSING = "netlab: lines are missing here: more was said than the log keeps"


class Reader:
    """Where in a log one is; its beginning may go meanwhile."""

    def __init__(self, log: str, say: Say) -> None:
        self._log, self._say = log, say
        self._at = 0
        self._rest = b""

    @property
    def rest(self) -> str:
        """The line that has not ended yet."""
        return self._rest.decode(errors="replace")

    def skip(self) -> None:
        """All there is: only what comes is told."""
        with suppress(FileNotFoundError):
            self._at = os.stat(self._log).st_size

    def past(self, since: float) -> list[tuple[float, Reader, Piece]]:
        """What there is, in pieces, each with the time by which it had been said."""
        found: list[tuple[float, Reader, Piece]] = []
        with suppress(FileNotFoundError):
            size, before = self._extent()
            notes = [note for note in _notes(self._log) if note[0] <= size]
            for end, noted in [*notes, (size, time.time())]:
                if noted >= since and end > before:
                    found.append((noted, self, (before, end)))
                before = max(before, end)
            self._at = found[0][2][0] if found else before
        return found

    def take(self, start: int, end: int) -> None:
        """The piece, and what lies before it and has not been told."""
        while self._at < end and (data := self._more(end - self._at)):
            self._hear(data)

    def go_on(self) -> None:
        """What has been said since."""
        while data := self._more(_CHUNK):
            self._hear(data)

    def end(self) -> None:
        if self._rest:
            self._say(self.rest)
            self._rest = b""

    def _extent(self) -> tuple[int, int]:
        """How long the log is, and where its first whole line begins. Raises FileNotFoundError."""
        fd = os.open(self._log, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.fstat(fd).st_size, _first_line(fd, _start(fd))
        finally:
            os.close(fd)

    def _more(self, most: int) -> bytes:
        """The next bytes; b"" where there are none, or no log any more."""
        try:
            fd = os.open(self._log, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return b""
        try:
            if os.fstat(fd).st_size < self._at:  # somebody has emptied it by hand
                self._at = 0
            data = os.pread(fd, min(_CHUNK, most), self._at)
            while self._at < (start := _start(fd)):  # asked after reading: a hole reads as zeros
                self._is_lost()
                self._at = _first_line(fd, start)
                data = os.pread(fd, min(_CHUNK, most), self._at)
            self._at += len(data)
            return data
        finally:
            os.close(fd)

    def _is_lost(self) -> None:
        self.end()
        self._say(MISSING)

    def _hear(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._say(line.decode(errors="replace"))


def _when(piece: tuple[float, Reader, Piece]) -> float:
    return piece[0]


def _notes(log: str) -> Iterator[tuple[int, float]]:
    """How long the log was when."""
    with suppress(FileNotFoundError, ValueError), open(_times(log)) as file:
        for line in file:
            size, noted, *_ = line.split()
            yield int(size), float(noted)
