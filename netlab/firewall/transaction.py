"""Messages to the kernel and its answers back, over a NETLINK_NETFILTER socket that is open.

The socket was opened in the namespace that is meant; this module opens none.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from .sources import Place
from .wire import attributes, string

if TYPE_CHECKING:  # a dump needs no compiler, which takes 50 ms to load
    from .compile import Batch, Message
from .lacks import hint

_HEAD = struct.Struct("=IHHII")
_FAMILY = struct.Struct(">BBH")
_SUBSYSTEM = 10 << 8
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_REQUEST, _ACK, _DUMP, _CAPPED = 1, 4, 0x300, 0x100
_ERROR, _DONE = 2, 3
_SNDBUFFORCE, _RCVBUFFORCE = 32, 33
_SOL_NETLINK, _CAP_ACK, _EXT_ACK = 270, 10, 11
_GETS = {"tables": 1, "chains": 4, "rules": 7, "sets": 10, "elements": 13, "objects": 19,
         "flowtables": 23, "objects, reset": 21, "rules, reset": 25,
         "elements, reset": 33}  # fmt: skip
_WMEM = "raise net.core.wmem_max, or part the rules"
_BATCH = 1
"""Sequence number of BATCH_BEGIN; message n has n + 2."""


class Refused(NamedTuple):
    """The kernel declined a message of a batch (-1: the batch itself)."""

    message: int
    errno: int
    said: str
    place: Place | None
    hint: str = ""
    """The kernel option that is missing, or where such a rule belongs."""


@dataclass(frozen=True)
class Answer(Exception):
    """All messages that the kernel declined; nothing of the batch came true."""

    refusals: tuple[Refused, ...]


def encode(messages: Iterable[Message]) -> bytes:
    """A whole transaction, as it goes over the socket."""
    parts = [_edge(_BATCH_BEGIN, _BATCH, 0)]
    sequence = _BATCH
    for number, family, flags, body, _ in messages:
        sequence += 1
        parts.append(_HEAD.pack(20 + len(body), _SUBSYSTEM | number, flags | _REQUEST, sequence, 0)
                     + _FAMILY.pack(family, 0, 0) + body)  # fmt: skip
    last = parts[-1]
    parts[-1] = last[:6] + struct.pack("=H", last[6] | last[7] << 8 | _ACK) + last[8:]
    return b"".join([*parts, _edge(_BATCH_END, sequence + 1, 0)])


def _edge(kind: int, sequence: int, flags: int) -> bytes:
    return _HEAD.pack(20, kind, flags | _REQUEST, sequence, 0) + _FAMILY.pack(0, 0, 10)


def commit(sock: socket.socket, batch: Batch) -> None:
    """All of a batch in one transaction; ``Answer`` if the kernel declines any of it."""
    if not batch.messages:
        return
    data = encode(batch.messages)
    _prepare(sock, len(data))
    try:
        sock.send(data)
    except OSError as problem:
        if problem.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
            raise
        said = f"the rules come to {len(data)} bytes, more than a socket takes at once"
        raise Answer((Refused(-1, problem.errno, said, None, _WMEM),)) from problem
    refusals = list(_refusals(sock, batch))
    if refusals:
        raise Answer(tuple(refusals))


def _prepare(sock: socket.socket, size: int) -> None:
    for option, value in ((_EXT_ACK, 1), (_CAP_ACK, 1)):
        sock.setsockopt(_SOL_NETLINK, option, value)
    for option in (_SNDBUFFORCE, _RCVBUFFORCE):
        try:
            sock.setsockopt(socket.SOL_SOCKET, option, max(2 * size, 1 << 20))
        except PermissionError:  # the ordinary limit may still be enough
            plain = socket.SO_SNDBUF if option == _SNDBUFFORCE else socket.SO_RCVBUF
            sock.setsockopt(socket.SOL_SOCKET, plain, max(2 * size, 1 << 20))


def _refusals(sock: socket.socket, batch: Batch) -> Iterator[Refused]:
    """Errors come first, the acknowledgement of the last message ends them."""
    last = _BATCH + len(batch.messages)
    seen = False
    while True:
        try:
            data = sock.recv(1 << 20, socket.MSG_DONTWAIT if seen else 0)
        except BlockingIOError:
            return
        for kind, flags, sequence, body in _messages(data):
            if kind != _ERROR:
                continue
            code = -struct.unpack_from("=i", body)[0]
            if code:
                yield _refused(batch, sequence, code, _told(body, flags))
            seen = seen or sequence in (last, _BATCH) or bool(code)
        if seen and sequence in (last, _BATCH):
            return


def _refused(batch: Batch, sequence: int, code: int, told: dict[int, bytes]) -> Refused:
    which = sequence - _BATCH - 1
    said = string(told.get(1, b"")) or os.strerror(code)
    if not 0 <= which < len(batch.messages):
        return Refused(-1, code, said, None)
    offset = int.from_bytes(told.get(2, b""), sys.byteorder)
    return Refused(which, code, said, batch.place(which), hint(batch.messages[which], code, offset))


def _told(body: bytes, flags: int) -> dict[int, bytes]:
    """The extended acknowledgement, where there is one: the kernel's words, what it points at."""
    if not flags & 0x200:
        return {}
    skipped = 20 if flags & _CAPPED else 4 + struct.unpack_from("=I", body, 4)[0]
    return attributes(body[(skipped + 3) & ~3 :])


def _messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    at = 0
    while at + 16 <= len(data):
        length, kind, flags, sequence, _ = _HEAD.unpack_from(data, at)
        if length < 16:
            return
        yield kind, flags, sequence, data[at + 16 : at + length]
        at += (length + 3) & ~3


def dump(sock: socket.socket, what: str, family: int = 0, body: bytes = b""
         ) -> list[tuple[int, dict[int, bytes]]]:  # fmt: skip
    """All objects of a sort: their family and attributes. Raises ``OSError``.

    ``…, reset``: as they are now, and what they have counted is zero from then on.
    """
    number = _GETS[what]
    sock.send(_HEAD.pack(20 + len(body), _SUBSYSTEM | number, _REQUEST | _DUMP, 7, 0)
              + _FAMILY.pack(family, 0, 0) + body)  # fmt: skip
    found: list[tuple[int, dict[int, bytes]]] = []
    while True:
        for kind, flags, _, data in _messages(sock.recv(1 << 20)):
            if kind in (_DONE, _ERROR):
                code = -struct.unpack_from("=i", data)[0] if len(data) >= 4 else 0
                if code:
                    raise OSError(code, os.strerror(code))
                return found
            if flags & 0x10:  # NLM_F_DUMP_INTR: changed meanwhile
                raise OSError(errno.EINTR, "the ruleset changed while it was read")
            found.append((data[0], attributes(data[4:])))
