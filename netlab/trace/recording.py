"""Packets of many interfaces in files: one, several that follow each other, or a pipe."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fcntl import fcntl
from typing import Protocol

from netlab.errors import NetlabError, UsageError
from netlab.kernel.ring import BROADCAST, HOST, MULTICAST, OTHER, OUTGOING, Frame
from netlab.trace import pcapng
from netlab.trace.rings import Source

FLAGS = {
    HOST: pcapng.INBOUND | pcapng.UNICAST,
    BROADCAST: pcapng.INBOUND | pcapng.BROADCAST,
    MULTICAST: pcapng.INBOUND | pcapng.MULTICAST,
    OTHER: pcapng.INBOUND | pcapng.PROMISCUOUS,
    OUTGOING: pcapng.OUTBOUND,
}

F_SETPIPE_SZ = 1031
PIPE = 1 << 20
"""Bytes that a pipe holds, if the machine allows that."""
ATOMIC = select.PIPE_BUF
"""Bytes that are written without waiting where a pipe has room at all."""
STATISTICS = len(pcapng.statistics(0, 0, 0, 0, 0, 0))
"""Bytes of what is said of an interface at the end."""
STEP = 0.1
"""Seconds after which it is looked whether one still has to wait."""
PATIENCE = 1.0
"""Seconds that a reader has to take what is left, once the end was asked for."""


class Output(Protocol):
    """Where bytes go."""

    path: str

    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...


class PlainFile:
    def __init__(self, path: str) -> None:
        """Raises UsageError."""
        self.path = path
        try:
            self._file = open(path, "wb", buffering=0)  # noqa: SIM115 - closed by ``close``
        except OSError as problem:
            raise UsageError(f"{path}: {problem.strerror}") from None

    def write(self, data: bytes) -> None:
        """Raises NetlabError where the disk takes no more."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as problem:
            raise NetlabError(f"{self.path}: {problem.strerror}") from problem

    def close(self) -> None:
        self._file.close()


class Pipe:
    """Standard output: its reader may be slow, or stop reading altogether."""

    def __init__(self, file: int, should_stop: Callable[[], bool]) -> None:
        self.path = "-"
        self._file, self._should_stop = file, should_stop
        self._poll = select.poll()
        self._poll.register(file, select.POLLOUT)
        self._is_stuck = False
        with suppress(OSError):
            fcntl(file, F_SETPIPE_SZ, PIPE)

    def write(self, data: bytes) -> None:
        """Raises BrokenPipeError, also where the reader does not read when it is to end."""
        rest = memoryview(data)
        waited = 0.0
        while rest:
            if not self._is_stuck and self._poll.poll(STEP * 1000):
                rest = rest[os.write(self._file, rest[:ATOMIC]) :]
                waited = 0.0
            elif self._should_stop():
                waited += STEP
                self._is_stuck = self._is_stuck or waited >= PATIENCE
                if self._is_stuck:
                    raise BrokenPipeError("the reader does not read")

    def close(self) -> None:
        """It is not ours."""


@dataclass(frozen=True)
class Rotation:
    """When a file is full; 0 for never."""

    size: int = 0
    """Bytes."""
    time: float = 0.0
    """Seconds."""
    files: int = 0
    """The latest ones that are kept; 0 for all."""

    def __bool__(self) -> bool:
        return bool(self.size or self.time)


@dataclass(frozen=True)
class Head:
    """What a file says of itself."""

    comment: str
    program: str
    system: str
    hardware: str
    filter: str
    snaplen: int
    names: Mapping[str, Sequence[str]]
    """By address."""
    about: Callable[[Source], str]
    """An interface, described."""


class Recording:
    """Writes packets. A file is whole at any time but for its last lines, the statistics."""

    def __init__(
        self,
        head: Head,
        open_output: Callable[[int], Output],
        rotation: Rotation,
        sources: Sequence[Source],
    ) -> None:
        """``open_output``: the file of that number, from 1; ``sources`` may grow."""
        self._head, self._open, self._rotation = head, open_output, rotation
        self._sources, self._told = sources, 0
        self._output = open_output(1)
        self.number = 1
        """Of the file that is written to."""
        self._size, self._has_packets = 0, False
        self._until = 0
        """When the next file begins, in nanoseconds since the epoch; 0 before the first packet."""
        self.bytes = 0
        self.files = [self._output.path]
        """Those that are there."""
        self._begin()

    def add(self, frames: Sequence[Frame]) -> None:
        """In the order of time, of all sources that there are by now."""
        self._introduce()
        if not self._rotation:
            self._write(pcapng.packets(frames, FLAGS))
            return
        first, planned = 0, 0
        for place, frame in enumerate(frames):
            size = pcapng.size(len(frame[4]))
            if self._is_full(frame[0], planned + size):
                self._write(pcapng.packets(frames[first:place], FLAGS))
                self._turn()
                first, planned = place, 0
            planned += size
            self._has_packets = True
        self._write(pcapng.packets(frames[first:], FLAGS))

    def close(self) -> None:
        self._end()

    def _is_full(self, time: int, more: int) -> bool:
        """For a packet of that time, and that many bytes with those that wait for being written."""
        is_over = False
        if span := int(self._rotation.time * 1e9):
            self._until = self._until or time + span
            is_over = time >= self._until
            while time >= self._until:
                self._until += span
        total = self._size + more + STATISTICS * self._told
        is_large = bool(self._rotation.size) and total > self._rotation.size
        return self._has_packets and (is_over or is_large)

    def _turn(self) -> None:
        """To the next file."""
        self._end()
        self.number += 1
        self._output = self._open(self.number)
        self.files.append(self._output.path)
        if self._rotation.files and len(self.files) > self._rotation.files:
            with suppress(FileNotFoundError):
                os.unlink(self.files.pop(0))
        self._size, self._told, self._has_packets = 0, 0, False
        self._begin()

    def _begin(self) -> None:
        head = self._head
        self._write(pcapng.section(head.comment, head.program, head.system, head.hardware))
        self._introduce()
        if head.names:
            self._write(pcapng.names(head.names))

    def _introduce(self) -> None:
        """The interfaces that have come since."""
        head, new = self._head, self._sources[self._told :]
        self._told += len(new)
        blocks = (
            pcapng.interface(s.link, s.name, head.about(s), s.mac, head.filter, head.snaplen)
            for s in new
        )
        self._write(b"".join(blocks))

    def _end(self) -> None:
        now = time.time_ns()
        blocks = (
            pcapng.statistics(s.number, now, s.since, now, s.received, s.dropped)
            for s in self._sources[: self._told]
        )
        self._write(b"".join(blocks))
        self._output.close()

    def _write(self, data: bytes) -> None:
        if data:
            self._output.write(data)
            self._size += len(data)
            self.bytes += len(data)
