"""What a node's own sockets say: an echo is answered, a connection is taken or refused."""

from __future__ import annotations

import errno
import os
import secrets
import select
import socket
import struct
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

from netlab.errors import MachineLacks
from netlab.kernel.capabilities import NO_RAW

T = TypeVar("T")

INTERVAL = 0.2
"""Seconds until an echo request that nobody answered is sent again."""
BEAT = 0.01
"""Seconds between echo requests of which all are sent."""
NEVER_CUT = {False: (socket.IPPROTO_IP, 10, 2), True: (socket.IPPROTO_IPV6, 23, 2)}
"""IP_MTU_DISCOVER and IPV6_MTU_DISCOVER, set to PMTUDISC_DO (ip(7)), by whether it is IPv6."""
OUTCOMES = {
    0: "connected",
    errno.ECONNREFUSED: "refused",
    errno.ETIMEDOUT: "denied",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.EACCES: "unreachable",
    errno.EINVAL: "unreachable",
}
"""What connect(2) ends with; a blackhole route says EINVAL."""
RECVERR = {4: (socket.IPPROTO_IP, 11), 6: (socket.IPPROTO_IPV6, 25)}
"""IP_RECVERR and IPV6_RECVERR: errors are kept with who sent them (ip(7), ipv6(7)); without, the
kernel tells who sends datagrams nothing of a router's "network unreachable" (udp(7))."""


class Where(Protocol):
    """Somebody who can go into nodes; see ``netlab.api.Lab``."""

    def inside(self, node: str, act: Callable[[], T]) -> T: ...


def connect(where: Where, node: str, address: str, port: int, within: float) -> str:
    """Raises OSError for what is none of these outcomes."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = where.inside(node, lambda: socket.socket(family, socket.SOCK_STREAM))
    with sock:
        sock.setblocking(False)
        code = sock.connect_ex((address, port))
        if code == errno.EINPROGRESS:
            if not select.select([], [sock], [], within)[1]:
                return "denied"
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code not in OUTCOMES:
        raise OSError(code, os.strerror(code), f"{node} → {address}:{port}")
    return OUTCOMES[code]


def datagram(where: Where, node: str, address: str, port: int, data: bytes, within: float) -> str:
    """``answered``, ``refused``, ``denied`` (silence for ``within`` seconds), ``unreachable``.

    Raises OSError for what is none of these outcomes.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = where.inside(node, lambda: socket.socket(family, socket.SOCK_DGRAM))
    with sock:
        sock.setblocking(False)
        sock.setsockopt(*RECVERR[6 if ":" in address else 4], 1)
        try:
            sock.connect((address, port))  # so that ICMP errors reach the socket (udp(7))
            sock.send(data)
            if not select.select([sock], [], [], within)[0]:
                return "denied"
            sock.recv(65535)
        except OSError as problem:
            if problem.errno not in OUTCOMES:
                raise
            return OUTCOMES[problem.errno]
    return "answered"


def ping(
    where: Where,
    node: str,
    address: str,
    within: float,
    *,
    size: int = 0,
    dont_fragment: bool = False,
) -> bool:
    """An echo request every ``INTERVAL`` until one is answered, for ``within`` seconds.

    ``size`` is that of the IP packet in bytes, 0 the least.
    """
    is_six = ":" in address
    sock = where.inside(node, lambda: raw_icmp(is_six))
    token = secrets.token_bytes(8)
    until, number = time.monotonic() + within, 0
    data = token.ljust(size - (48 if is_six else 28), b"\0")
    with sock:
        sock.setblocking(False)
        if dont_fragment:
            sock.setsockopt(*NEVER_CUT[is_six])
        while (left := until - time.monotonic()) > 0:
            number += 1
            try:
                sock.sendto(echo_request(is_six, number, data), (address, 0))
            except OSError as problem:
                if problem.errno not in (*OUTCOMES, errno.EMSGSIZE):
                    raise
            if _is_answered(sock, is_six, token, min(left, INTERVAL)):
                return True
    return False


class Echoes(NamedTuple):
    """Of several echo requests, those that were answered."""

    sent: int
    times: tuple[float, ...]
    """Seconds until each answer, in the order of the requests."""


def echoes(
    where: Where, node: str, address: str, count: int, within: float, *,
    size: int = 0, dont_fragment: bool = False,
) -> Echoes:  # fmt: skip
    """``count`` echo requests, ``BEAT`` apart; the last is waited for ``within`` seconds.

    Raises OSError where one cannot be sent for another reason than the way there.
    """
    is_six = ":" in address
    sock = where.inside(node, lambda: raw_icmp(is_six))
    token = secrets.token_bytes(8)
    data = token.ljust(size - (48 if is_six else 28), b"\0")
    went: dict[int, float] = {}
    came: dict[int, float] = {}
    with sock:
        sock.setblocking(False)
        if dont_fragment:
            sock.setsockopt(*NEVER_CUT[is_six])
        start = time.monotonic()
        for number in range(1, count + 1):
            _hear(sock, is_six, token, start + (number - 1) * BEAT, came, number)
            went[number] = time.monotonic()
            try:
                sock.sendto(echo_request(is_six, number, data), (address, 0))
            except OSError as problem:
                if problem.errno not in (*OUTCOMES, errno.EMSGSIZE, errno.ENOBUFS):
                    raise
        _hear(sock, is_six, token, time.monotonic() + within, came, count)
    return Echoes(count, tuple(came[n] - went[n] for n in sorted(came)))


def _hear(
    sock: socket.socket, is_six: bool, token: bytes, until: float, came: dict[int, float], most: int
) -> None:
    """Note when answers come, until then; no longer where all ``most`` are there."""
    while len(came) < most and (left := until - time.monotonic()) > 0:
        if not select.select([sock], [], [], left)[0]:
            return
        try:
            data = sock.recv(65535)
        except OSError:  # an ICMP error about a request before
            continue
        now, message = time.monotonic(), data if is_six else data[(data[0] & 15) * 4 :]
        if message[:1] == bytes((129 if is_six else 0,)) and message[8:16] == token:
            came.setdefault(int.from_bytes(message[6:8], "big"), now)


def raw_icmp(is_six: bool) -> socket.socket:
    """Raises MachineLacks."""
    if is_six:
        return _raw(socket.AF_INET6, socket.getprotobyname("ipv6-icmp"))
    return _raw(socket.AF_INET, socket.IPPROTO_ICMP)


def _raw(family: int, protocol: int) -> socket.socket:
    try:
        return socket.socket(family, socket.SOCK_RAW, protocol)
    except PermissionError as problem:
        raise MachineLacks("an echo request takes a raw socket", hint=NO_RAW) from problem


def echo_request(is_six: bool, number: int, data: bytes) -> bytes:
    """IPv6's checksum is the kernel's to fill in (RFC 3542, section 3.1)."""
    kind = 128 if is_six else 8
    head = struct.pack(">BBHHH", kind, 0, 0, 0, number & 0xFFFF)
    if is_six:
        return head + data
    return struct.pack(">BBHHH", kind, 0, checksum(head + data), 0, number & 0xFFFF) + data


def checksum(data: bytes) -> int:
    """RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def _is_answered(sock: socket.socket, is_six: bool, token: bytes, within: float) -> bool:
    until = time.monotonic() + within
    while (left := until - time.monotonic()) > 0:
        if not select.select([sock], [], [], left)[0]:
            return False
        try:
            data = sock.recv(65535)
        except OSError:  # an ICMP error about a request before
            continue
        message = data if is_six else data[(data[0] & 15) * 4 :]
        if message[:1] == bytes((129 if is_six else 0,)) and message[8:16] == token:
            return True
    return False
