"""Connections of TCP and datagrams of UDP from many nodes at once: a socket a pair."""

from __future__ import annotations

import errno
import select
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

from netlab.attempts import RECVERR, Where
from netlab.kernel import limits
from netlab.matrix.answer import OWN, Answer, of_error, of_send
from netlab.matrix.pairs import Pair

ERROR = struct.Struct("=IBBBxII")
"""``sock_extended_err``: errno, origin, type, code, two more (linux/errqueue.h)."""
ORIGINS = {2: 4, 3: 6}
"""SO_EE_ORIGIN_ICMP and SO_EE_ORIGIN_ICMP6: the version of IP."""
OFFENDERS = {4: (socket.AF_INET, 4, 4), 6: (socket.AF_INET6, 8, 16)}
"""Where its address stands in a ``sockaddr``."""
DATA = b"netlab matrix\n"
OTHERS = 64
"""Open files left to everything else."""


class Connections:
    """A prober, see ``netlab.matrix.survey``."""

    def __init__(
        self, where: Where, pairs: Sequence[Pair], kind: socket.SocketKind, port: int
    ) -> None:
        limits.raise_limit()
        self.most = max(16, limits.room() - OTHERS)
        self.repeats = kind == socket.SOCK_STREAM
        self._where, self._pairs = where, pairs
        self._kind, self._port = kind, port
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._places: dict[int, int] = {}
        """By file descriptor."""
        self._begun: dict[int, float] = {}

    def open(self, places: Sequence[int]) -> None:
        by_node: dict[str, list[int]] = {}
        for place in places:
            if place not in self._sockets:
                by_node.setdefault(self._pairs[place].source, []).append(place)
        for node, some in by_node.items():
            made = self._where.inside(node, lambda some=some: self._made(some))  # type: ignore[misc]
            for place, sock in made.items():
                self._sockets[place] = sock
                self._places[sock.fileno()] = place

    def _made(self, places: Sequence[int]) -> dict[int, socket.socket]:
        made = {}
        for place in places:
            version = _version(self._pairs[place])
            family = socket.AF_INET6 if version == 6 else socket.AF_INET
            sock = made[place] = socket.socket(family, self._kind)
            sock.setblocking(False)
            sock.setsockopt(*RECVERR[version], 1)
        return made

    def ask(self, place: int) -> Answer | None:
        """TCP repeats its first packet by itself, after a second (tcp(7))."""
        sock = self._sockets[place]
        is_begun = place in self._begun
        if is_begun and self._kind == socket.SOCK_STREAM:
            return None
        try:
            if not is_begun:
                self._begun[place] = time.monotonic()
                sock.connect((self._pairs[place].address, self._port))
            if self._kind == socket.SOCK_DGRAM:
                sock.send(DATA)
        except BlockingIOError:
            pass
        except OSError as problem:
            return self._refusal(place, problem.errno or 0)
        else:
            if self._kind == socket.SOCK_STREAM:  # it is its own peer's neighbour on one machine
                return self._answered(place)
        if not is_begun:
            self._poll.register(sock, self._awaited)
        return None

    @property
    def _awaited(self) -> int:
        return select.EPOLLOUT if self._kind == socket.SOCK_STREAM else select.EPOLLIN

    def answers(self, within: float) -> Iterator[tuple[int, Answer]]:
        for fd, events in self._poll.poll(within):
            place = self._places[fd]
            sock = self._sockets[place]
            number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number or events & select.EPOLLERR:
                found = self._refusal(place, number)
            else:
                found = self._answered(place)
            if found is not None:
                yield place, found

    def _answered(self, place: int) -> Answer:
        spent = round((time.monotonic() - self._begun[place]) * 1000, 3)
        self._close(place)
        return Answer("answered", self._pairs[place].address, "", spent)

    def _refusal(self, place: int, number: int) -> Answer | None:
        """Raises OSError for what says nothing about the network."""
        found = self._told(place) or self._without_icmp(place, number)
        if found is not None:
            self._close(place)
        return found

    def _without_icmp(self, place: int, number: int) -> Answer | None:
        if number == errno.ECONNREFUSED:
            return Answer("refused", self._pairs[place].address, "a reset")
        if number in (0, errno.ETIMEDOUT):
            return None
        return of_send(self._where, self._pairs[place], number)

    def _told(self, place: int) -> Answer | None:
        """The ICMP error that stands in the socket's queue, None for none."""
        sock = self._sockets[place]
        with suppress(OSError):
            _, ancillary, _, _ = sock.recvmsg(512, 512, socket.MSG_ERRQUEUE)
            for _, _, data in ancillary:
                _, origin, kind, code, _, _ = ERROR.unpack_from(data)
                if origin in ORIGINS:
                    version = ORIGINS[origin]
                    by = _offender(version, data[ERROR.size :])
                    own = sock.getsockname()[0]
                    return of_error(version, kind, code, OWN if by == own else by)
        return None

    def rest(self, places: Sequence[int]) -> None:
        """Asked again, they begin anew: what was sent before may have gone to who is no more."""
        for place in places:
            self._close(place)

    def _close(self, place: int) -> None:
        sock = self._sockets.pop(place, None)
        self._begun.pop(place, None)
        if sock is not None:
            self._places.pop(sock.fileno(), None)
            sock.close()

    def close(self) -> None:
        for place in list(self._sockets):
            self._close(place)
        self._poll.close()


def _offender(version: int, data: bytes) -> str:
    family, at, size = OFFENDERS[version]
    return socket.inet_ntop(family, data[at : at + size])


def _version(pair: Pair) -> int:
    return 6 if ":" in pair.address else 4
