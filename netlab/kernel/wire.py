"""A netlink socket and a batch of requests on it: many messages in one send, one answer.

Only the last message of a send asks for an acknowledgement; the kernel answers errors always,
with the request's sequence number, so nothing is lost by that (netlink(7), net/netlink/af_netlink.c
``netlink_rcv_skb``).
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

NLM_F_REQUEST = 1
NLM_F_ACK = 4
NLM_F_DUMP_INTR = 0x10
NLM_F_DUMP = 0x300
NLM_F_CAPPED = 0x100
NLM_F_ACK_TLVS = 0x200
NLMSG_ERROR = 2
NLMSG_DONE = 3
SOL_NETLINK = 270
NETLINK_CAP_ACK = 10
NETLINK_EXT_ACK = 11
NETLINK_GET_STRICT_CHK = 12
NLMSGERR_ATTR_MSG = 1

RECEIVE_BUFFER = 4 << 20
"""Bytes: room for the errors of some 5,000 messages (832 bytes of truesize each)."""

SEND_LIMIT = 64 << 10
"""Bytes of messages in one send; the kernel copies them into one buffer."""

_HEADER = struct.Struct("=IHHII")

Request = tuple[int, int, bytes]
"""Message type, flags (without REQUEST and ACK), body."""


class Said(NamedTuple):
    """The kernel's answer to one request: ``errno`` and its own words."""

    place: int
    errno: int
    words: str


def open_socket(protocol: int = 0) -> socket.socket:
    """A netlink socket in the calling thread's namespace, answering with its own words."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    try:
        force = getattr(socket, "SO_RCVBUFFORCE", 33)
        sock.setsockopt(socket.SOL_SOCKET, force, RECEIVE_BUFFER)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    for option in (NETLINK_EXT_ACK, NETLINK_CAP_ACK):
        with contextlib.suppress(OSError):  # kernels before 4.12 have no words of their own
            sock.setsockopt(SOL_NETLINK, option, 1)
    sock.bind((0, 0))
    return sock


def transact(sock: socket.socket, requests: Sequence[Request]) -> Iterator[Said]:
    """Send requests in order, as few sends as fit; yield the refusals, in order.

    A refused request does not stop the ones behind it in the same send.
    """
    for first, chunk in _chunks(requests):
        last = first + len(chunk)
        sock.send(
            b"".join(
                _HEADER.pack(
                    16 + len(body),
                    kind,
                    flags | NLM_F_REQUEST | (NLM_F_ACK if seq == last else 0),
                    seq,
                    0,
                )
                + body
                for seq, (kind, flags, body) in enumerate(chunk, first + 1)
            )
        )
        yield from _answers(sock, last)


def _chunks(requests: Sequence[Request]) -> Iterator[tuple[int, Sequence[Request]]]:
    first, size = 0, 0
    for place, (_, _, body) in enumerate(requests):
        if size and size + len(body) + 16 > SEND_LIMIT:
            yield first, requests[first:place]
            first, size = place, 0
        size += len(body) + 16
    if size:
        yield first, requests[first:]


def _answers(sock: socket.socket, last: int) -> Iterator[Said]:
    while True:
        data = sock.recv(1 << 17)
        at = 0
        while at + 16 <= len(data):
            length, kind, flags, seq, _ = _HEADER.unpack_from(data, at)
            if kind == NLMSG_ERROR:
                number = -struct.unpack_from("=i", data, at + 16)[0]
                if number:
                    yield Said(seq - 1, number, _words(data, at, length, flags, number))
                if seq == last:
                    return
            at += (length + 3) & ~3


def _words(data: bytes, at: int, length: int, flags: int, number: int) -> str:
    """The extended acknowledgement's text (linux/netlink.h, nlmsgerr_attrs), else strerror."""
    if flags & NLM_F_ACK_TLVS:
        inner = struct.unpack_from("=I", data, at + 20)[0]
        place = at + 20 + (16 if flags & NLM_F_CAPPED else (inner + 3) & ~3)
        while place + 4 <= at + length:
            size, kind = struct.unpack_from("=HH", data, place)
            if size < 4:
                break
            if kind == NLMSGERR_ATTR_MSG:
                return data[place + 4 : place + size].split(b"\0")[0].decode(errors="replace")
            place += (size + 3) & ~3
    return os.strerror(number)


def dump(sock: socket.socket, kind: int, body: bytes, *, tries: int = 20) -> list[bytes]:
    """All messages of a dump, headers included; asked again when it changed on the way.

    Raises OSError with the kernel's number, or EAGAIN when it never held still.
    """
    for _ in range(tries):
        sock.send(_HEADER.pack(16 + len(body), kind, NLM_F_REQUEST | NLM_F_DUMP, 1, 0) + body)
        found, whole = _collect(sock)
        if whole:
            return found
    raise OSError(errno.EAGAIN, "the kernel's list kept changing while it was read")


def _collect(sock: socket.socket) -> tuple[list[bytes], bool]:
    found: list[bytes] = []
    whole = True
    while True:
        data = sock.recv(1 << 18)
        at = 0
        while at + 16 <= len(data):
            length, kind, flags, _, _ = _HEADER.unpack_from(data, at)
            whole = whole and not flags & NLM_F_DUMP_INTR
            if kind in (NLMSG_DONE, NLMSG_ERROR):
                # a list that broke off ends with DONE as well (netlink_dump_done)
                number = -struct.unpack_from("=i", data, at + 16)[0]
                if number > 0:
                    raise OSError(number, _words(data, at, length, flags, number))
                return found, whole
            found.append(data[at : at + length])
            at += (length + 3) & ~3
