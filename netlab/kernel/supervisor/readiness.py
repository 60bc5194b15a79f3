"""Whether a process is ready, told by what the kernel and the log say; nothing is sent to it."""

from __future__ import annotations

import os
import re
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import suppress

KEPT_LINES, KEPT_BYTES = 200, 8192
"""As much of a log as ``tail`` tells."""

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


def says(log: str, pattern: str, start: int) -> bool:
    """Whether a line of the log from byte ``start`` on matches."""
    wanted = re.compile(pattern)
    return any(
        wanted.search(line.decode(errors="replace").rstrip("\r\n"))
        for line in _lines(log, start)
    )


def tail(log: str, start: int) -> str:
    """The end of what the log says from byte ``start`` on."""
    said = b"".join(deque(_lines(log, start), KEPT_LINES))
    return said[-KEPT_BYTES:].decode(errors="replace").rstrip()


def _lines(log: str, start: int) -> Iterator[bytes]:
    """Where it has begun anew since, all there is of it, and of what was before."""
    with suppress(FileNotFoundError), open(log, "rb") as file:
        if os.fstat(file.fileno()).st_size < start:
            yield from _lines(f"{log}.1", 0)
        else:
            file.seek(start)
        yield from file


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
