"""Echo requests of many nodes at once: a raw socket a node, however many it asks."""

from __future__ import annotations

import secrets
import select
import socket
import struct
import time
from collections.abc import Iterator, Sequence

from netlab.attempts import Where, checksum
from netlab.matrix.answer import ECHO_REPLY, ERRORS, OWN, Answer, of_error, of_send
from netlab.matrix.pairs import Pair

REQUEST = {4: 8, 6: 128}
HEAD = struct.Struct(">BBHHH")
TOLD = struct.Struct(">8sId")
"""What a request carries: whose it is, which pair's, and when it was sent (monotonic seconds)."""
FILTERS = {
    4: (255, 1),  # SOL_RAW, ICMP_FILTER (raw(7))
    6: (socket.IPPROTO_ICMPV6, 1),  # ICMP6_FILTER (RFC 3542, section 3.2)
}
PASSED = {
    4: struct.pack("=I", ~sum(1 << kind for kind in (ECHO_REPLY[4], *ERRORS[4])) & 0xFFFFFFFF),
    6: struct.pack(
        "=8I",
        *(
            ~sum(1 << kind - at for kind in (ECHO_REPLY[6], *ERRORS[6]) if at <= kind < at + 32)
            & 0xFFFFFFFF
            for at in range(0, 256, 32)
        ),
    ),
}
"""Which ICMP comes to a socket: of answers and errors the bit is clear."""
SOURCES = {4: (socket.AF_INET, 12, 4), 6: (socket.AF_INET6, 8, 16)}
"""Where its source stands in a packet."""


class Echoes:
    """A prober, see ``netlab.matrix.survey``."""

    most = 1 << 20
    repeats = False

    def __init__(self, where: Where, pairs: Sequence[Pair]) -> None:
        self._where, self._pairs = where, pairs
        self._token = secrets.token_bytes(8)
        self._poll = select.epoll()
        self._sockets: dict[tuple[str, int], socket.socket] = {}
        self._sources: dict[int, tuple[int, socket.socket]] = {}
        """By file descriptor: version of IP, and the socket."""

    def open(self, places: Sequence[int]) -> None:
        for place in places:
            pair = self._pairs[place]
            version = _version(pair)
            if (pair.source, version) not in self._sockets:
                self._sockets[pair.source, version] = self._opened(pair.source, version)

    def ask(self, place: int) -> Answer | None:
        pair = self._pairs[place]
        version = _version(pair)
        sock = self._sockets[pair.source, version]
        try:
            sock.sendto(self._request(version, place), (pair.address, 0))
        except OSError as problem:
            return of_send(self._where, pair, problem.errno or 0)
        return None

    def answers(self, within: float) -> Iterator[tuple[int, Answer]]:
        for fd, _ in self._poll.poll(within):
            version, sock = self._sources[fd]
            while True:
                try:
                    data, who = sock.recvfrom(2048)
                except BlockingIOError:
                    break
                except OSError:  # of a request before
                    continue
                found = self._read(version, data, who[0])
                if found is not None:
                    yield found

    def rest(self, places: Sequence[int]) -> None:
        pass

    def close(self) -> None:
        self._poll.close()
        for sock in self._sockets.values():
            sock.close()

    def _opened(self, node: str, version: int) -> socket.socket:
        family, protocol = {
            4: (socket.AF_INET, socket.IPPROTO_ICMP),
            6: (socket.AF_INET6, socket.IPPROTO_ICMPV6),
        }[version]
        sock = self._where.inside(node, lambda: socket.socket(family, socket.SOCK_RAW, protocol))
        sock.setblocking(False)
        sock.setsockopt(*FILTERS[version], PASSED[version])
        self._poll.register(sock, select.EPOLLIN)
        self._sources[sock.fileno()] = version, sock
        return sock

    def _request(self, version: int, place: int) -> bytes:
        """Which pair's it is stands in id and sequence number too: all that an error may quote.

        IPv6's checksum is the kernel's to fill in (RFC 3542, section 3.1).
        """
        told = TOLD.pack(self._token, place, time.monotonic())
        number, order = self._mark(place)
        head = HEAD.pack(REQUEST[version], 0, 0, number, order)
        if version == 4:
            head = HEAD.pack(REQUEST[version], 0, checksum(head + told), number, order)
        return head + told

    def _mark(self, place: int) -> tuple[int, int]:
        first = int.from_bytes(self._token[:2], "big")
        return (first + (place >> 16)) & 0xFFFF, place & 0xFFFF

    def _read(self, version: int, data: bytes, who: str) -> tuple[int, Answer] | None:
        message = data[(data[0] & 15) * 4 :] if version == 4 else data
        if len(message) < HEAD.size:
            return None
        kind, code, _, _, _ = HEAD.unpack_from(message)
        if kind != ECHO_REPLY[version]:
            quoted = message[HEAD.size :]
            place = self._quoted(version, quoted)
            by = OWN if _source(version, quoted) == who else who
            return None if place is None else (place, of_error(version, kind, code, by))
        if len(message) < HEAD.size + TOLD.size:
            return None
        token, place, sent = TOLD.unpack_from(message, HEAD.size)
        if token != self._token:
            return None
        return place, Answer("answered", who, "", round((time.monotonic() - sent) * 1000, 3))

    def _quoted(self, version: int, packet: bytes) -> int | None:
        """The pair of the request that an error is about; None for what is none of ours."""
        at = (packet[0] & 15) * 4 if version == 4 and packet else 40
        if len(packet) < at + HEAD.size or packet[at] != REQUEST[version]:
            return None
        _, _, _, number, order = HEAD.unpack_from(packet, at)
        high = (number - int.from_bytes(self._token[:2], "big")) & 0xFFFF
        place: int = high << 16 | order
        whole = packet[at + HEAD.size : at + HEAD.size + 8]
        if place >= len(self._pairs) or not self._token.startswith(whole):
            return None
        return place


def _source(version: int, packet: bytes) -> str:
    family, at, size = SOURCES[version]
    data = packet[at : at + size]
    return socket.inet_ntop(family, data) if len(data) == size else ""


def _version(pair: Pair) -> int:
    return 6 if ":" in pair.address else 4
