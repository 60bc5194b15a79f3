"""Whether a process is ready, told by what the kernel and the log say; nothing is sent to it."""

from __future__ import annotations

import re
import socket
from collections import deque
from contextlib import suppress

from netlab.kernel.supervisor import logs

KEPT_LINES, KEPT_CHARACTERS = 20, 8192
"""How much of a log is worth showing when its process fails."""

LISTEN = "0A"
"""State of a listening TCP socket in /proc/net/tcp (proc_pid_net(5); net/tcp_states.h)."""

UNCONNECTED = "07"
"""State of a UDP socket that has no peer."""

SO_ACCEPTCON = 0x10000
"""Flag of a listening unix socket in /proc/net/unix."""


def listens(way: str, value: str) -> bool:
    """In the namespace that the calling thread stands in."""
    if way == "unix":
        return _listens_at(value)
    state = LISTEN if way == "tcp" else UNCONNECTED
    return any(_has_port(f"{way}{tail}", int(value), state) for tail in ("", "6"))


class Said:
    """What a process says from now on: whether a line of it matches, and its last lines."""

    def __init__(self, log: str, pattern: str = "") -> None:
        self._wanted = re.compile(pattern) if pattern else None
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._has_matched = False
        self._reader = logs.Reader(log, self._hear)
        self._reader.skip()

    def matches(self) -> bool:
        """Also the beginning of a line, as a prompt is."""
        self._reader.go_on()
        return self._has_matched or self._fits(self._reader.rest)

    def tail(self) -> str:
        self._reader.go_on()
        return "\n".join([*self._lines, self._reader.rest]).rstrip()[-KEPT_CHARACTERS:]

    def _hear(self, line: str) -> None:
        self._lines.append(line)
        self._has_matched = self._has_matched or self._fits(line)

    def _fits(self, line: str) -> bool:
        return self._wanted is not None and bool(self._wanted.search(line.rstrip("\r")))


def _has_port(table: str, port: int, state: str) -> bool:
    with suppress(FileNotFoundError), open(f"/proc/thread-self/net/{table}") as file:
        for line in file:
            words = line.split()
            if words[3] == state and words[1].endswith(f":{port:04X}"):
                return True
    return False


def _listens_at(path: str) -> bool:
    with open("/proc/thread-self/net/unix") as file:
        for line in file:
            words = line.split(maxsplit=7)
            if len(words) > 7 and words[7].rstrip("\n") == path:
                is_stream = int(words[4], 16) != socket.SOCK_DGRAM
                if int(words[3], 16) & SO_ACCEPTCON or not is_stream:
                    return True
    return False
