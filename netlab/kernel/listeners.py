"""Sockets that wait for anybody, by sock_diag(7), or by /proc/net where a kernel lacks it."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

from netlab.firewall.wire import attributes
from netlab.kernel.wire import dump, open_socket

HEADER = 16
SOCK_DIAG_BY_FAMILY = 20
NETLINK_SOCK_DIAG = 4
DIAG_REQUEST = struct.Struct("=BBBxI48s")
DIAG_ANSWER = struct.Struct("=BBBB48sIIIII")
LISTENING = {"tcp": 1 << 10, "udp": 1 << 7}
"""States of a socket that waits for anybody: TCP_LISTEN, TCP_CLOSE."""
V6ONLY = 11


class Listener(NamedTuple):
    """A socket that waits for anybody."""

    protocol: str
    """``tcp`` or ``udp``."""
    address: str
    """``0.0.0.0`` and ``::`` for all."""
    port: int
    device: str = ""
    both: bool = False
    """Of one for IPv6: whether it takes IPv4 as well."""


def listeners(names: Mapping[int, str]) -> Iterator[Listener]:
    """Of the namespace that the thread stands in; ``names`` are its devices'. Raises OSError."""
    try:
        with open_socket(NETLINK_SOCK_DIAG) as sock:
            for protocol, number in (("tcp", socket.IPPROTO_TCP), ("udp", socket.IPPROTO_UDP)):
                for family in (socket.AF_INET, socket.AF_INET6):
                    yield from _diagnosed(sock, protocol, number, family, names)
    except OSError as problem:
        if problem.errno not in (errno.ENOENT, errno.EPROTONOSUPPORT, errno.EOPNOTSUPP):
            raise
        yield from _told()


def _diagnosed(
    sock: socket.socket, protocol: str, number: int, family: int, names: Mapping[int, str]
) -> Iterator[Listener]:
    body = DIAG_REQUEST.pack(family, number, 0, LISTENING[protocol], bytes(48))
    for message in dump(sock, SOCK_DIAG_BY_FAMILY, body):
        head = DIAG_ANSWER.unpack_from(message, HEADER)
        place = head[4]
        if any(place[2:4]):  # it has a remote port: it waits for one alone
            continue
        width = 4 if head[0] == socket.AF_INET else 16
        address = _ip(place[4 : 4 + width])
        index = struct.unpack_from("=I", place, 36)[0]
        said = attributes(message[HEADER + DIAG_ANSWER.size :])
        both = head[0] == socket.AF_INET6 and not any(said.get(V6ONLY, b"\1"))
        port = int.from_bytes(place[:2], "big")
        yield Listener(protocol, address, port, names.get(index, ""), both)


def _told() -> Iterator[Listener]:
    """By /proc, which does not tell of IPv6 sockets whether they take IPv4: they do, as a rule."""
    for protocol, state in (("tcp", "0A"), ("udp", "07")):
        for name in (protocol, f"{protocol}6"):
            with suppress(FileNotFoundError), open(f"/proc/thread-self/net/{name}") as file:
                for line in list(file)[1:]:
                    words = line.split()
                    local, _, port = words[1].partition(":")
                    if words[3] == state and words[2].endswith(":0000"):
                        data = bytes.fromhex(local)
                        turned = b"".join(data[n : n + 4][::-1] for n in range(0, len(data), 4))
                        both = len(data) == 16
                        yield Listener(protocol, _ip(turned), int(port, 16), "", both)


def _ip(data: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(data) == 4 else socket.AF_INET6, data)
