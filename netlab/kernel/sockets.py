"""The sockets of a namespace, with what the kernel measures of each (sock_diag(7)).

Numbers of TCP are those of ``struct tcp_info`` (linux/tcp.h), which grows with kernels: what one
does not have is None.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from netlab.firewall.wire import attributes, string
from netlab.kernel.opened import Memory, Socket, Tcp
from netlab.kernel.processes import inside
from netlab.kernel.wire import dump, open_socket

NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY = 4, 20
INFO, CONGESTION, MEMORY = 2, 4, 7
"""``INET_DIAG_INFO``, ``_CONG``, ``_SKMEMINFO`` (linux/inet_diag.h)."""
_ASK = struct.Struct("=BBBxI48x")
_MESSAGE = struct.Struct("=BBBB2s2s16s16sI8xIIIII")
_HEADER = 16
PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "raw": socket.IPPROTO_RAW}
STATES = (
    "", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE",
    "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING", "SYN_RECV",
)  # fmt: skip
"""Of TCP (net/tcp_states.h); the last is a connection that has no socket yet."""
ALL = (1 << len(STATES)) - 2
WANTED = 1 << INFO - 1 | 1 << CONGESTION - 1 | 1 << MEMORY - 1
"""Attributes, by their bits."""


def held() -> list[Socket]:
    """Of the namespace that the calling thread stands in. Raises OSError without sock_diag."""
    found: list[tuple[Socket, int]] = []
    with open_socket(NETLINK_SOCK_DIAG) as sock:
        for protocol, number in PROTOCOLS.items():
            for family in (socket.AF_INET, socket.AF_INET6):
                asked = _ASK.pack(family, number, WANTED, ALL)
                with suppress(FileNotFoundError):  # no CONFIG_INET_UDP_DIAG, _RAW_DIAG
                    for message in dump(sock, SOCK_DIAG_BY_FAMILY, asked):
                        found.append(_socket(protocol, message[_HEADER:]))
    holders = _holders(os.stat("/proc/thread-self/ns/net").st_ino)
    waiting = _half_open([one for one, _ in found])
    held = [_with_more(one, holders.get(inode), waiting) for one, inode in found]
    return sorted(held, key=lambda one: (one.protocol, one.state != "LISTEN", one.port, one.peer))


def _socket(protocol: str, data: bytes) -> tuple[Socket, int]:
    """``struct inet_diag_msg`` and its attributes; and the socket's inode."""
    (family, state, _, _, sport, dport, source, peer, device, _, receive, send, user, inode) = (
        _MESSAGE.unpack_from(data)
    )
    told = attributes(data[_MESSAGE.size :])
    name = STATES[state] if protocol == "tcp" else ""
    to = int.from_bytes(dport, "big")
    memory = told.get(MEMORY, b"")
    return Socket(
        protocol,
        name,
        _address(family, source),
        int.from_bytes(sport, "big"),
        _address(family, peer) if to or protocol == "raw" else "",
        to,
        receive,
        send,
        device,
        user,
        memory=_memory(memory) if len(memory) >= 36 else None,
        tcp=_tcp(told) if protocol == "tcp" and name != "LISTEN" and INFO in told else None,
    ), inode


def _address(family: int, data: bytes) -> str:
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, data[:4])
    return socket.inet_ntop(socket.AF_INET6, data)


def _memory(data: bytes) -> Memory:
    receive, receive_limit, send, send_limit, _, _, _, backlog, drops = struct.unpack_from(
        "=9I", data
    )
    return Memory(receive, receive_limit, send, send_limit, backlog, drops)


_NO_THRESHOLD = 0x7FFFFFFF
"""``TCP_INFINITE_SSTHRESH``: nothing was lost yet."""


def _tcp(told: Mapping[int, bytes]) -> Tcp:
    data = told[INFO]

    def number(at: int, size: int = 4) -> int | None:
        whole = data[at : at + size]
        return int.from_bytes(whole, sys.byteorder) if len(whole) == size else None

    def milliseconds(at: int) -> float | None:
        found = number(at)
        return None if found is None else round(found / 1000, 3)

    threshold = number(76)
    return Tcp(
        string(told.get(CONGESTION, b"")),
        window=number(80),
        threshold=None if threshold is None or threshold >= _NO_THRESHOLD else threshold,
        rtt=milliseconds(68),
        rtt_deviation=milliseconds(72),
        timeout=milliseconds(8),
        segment=number(16),
        path_mtu=number(60),
        unacknowledged=number(24),
        lost=number(32),
        retransmitted=number(100),
        sent=number(120, 8),
        received=number(128, 8),
        out_of_order=number(224),
        advertised=number(232),
    )


def _half_open(found: Sequence[Socket]) -> Mapping[int, int]:
    """By local port."""
    counts: dict[int, int] = {}
    for one in found:
        if one.state == "SYN_RECV":
            counts[one.port] = counts.get(one.port, 0) + 1
    return counts


def _holders(namespace: int) -> Mapping[int, tuple[int, str]]:
    """By the socket's inode: the process that has it open, the lowest number of several."""
    found: dict[int, tuple[int, str]] = {}
    for pid, _ in sorted(inside({namespace})):
        for inode, name in _open_by(pid):
            found.setdefault(inode, (pid, name))
    return found


def _open_by(pid: int) -> Iterator[tuple[int, str]]:
    name = ""
    with suppress(OSError):  # it has ended meanwhile
        with open(f"/proc/{pid}/comm") as file:
            name = file.read().strip()
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                kind, _, number = os.readlink(f"/proc/{pid}/fd/{fd}").partition(":[")
                if kind == "socket":
                    yield int(number.rstrip("]")), name


def _with_more(one: Socket, holder: tuple[int, str] | None, waiting: Mapping[int, int]) -> Socket:
    pid, program = holder or (0, "")
    half_open = waiting.get(one.port, 0) if one.state == "LISTEN" else 0
    return one._replace(pid=pid, program=program, half_open=half_open)
