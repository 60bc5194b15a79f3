"""The probe itself: a real socket in the sender's node, and how its story ended for the program.

TCP connects; its first sequence number is set while the socket is in repair mode (tcp(7),
TCP_REPAIR), where that is refused a SYN is written by hand. UDP and ICMP send one packet. All
sockets are left to the kernel's usual ways where nothing else was asked for. Every function but the
methods works in the namespace that the calling thread stands in.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

from netlab.trace.model import Probe

TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21
TCP_SEND_QUEUE = 2
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, IPV6_DONTFRAG = 10, 23, 62
DISCOVER_PROBE, DISCOVER_DONT = 3, 0
"""Always with DF, whatever is known of the way; never with it."""
IPV6_CHECKSUM = 7
TCP_CHECKSUM_AT = 16
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
IP_BYTES = {4: 20, 6: 40}
ABOVE = {"udp": 8, "icmp": 8, "tcp": 20}
FILLER = b"netlab probe "
ECHO, ECHO_REPLY = {4: 8, 6: 128}, {4: 0, 6: 129}
SYN, ACK, RST = 2, 16, 4

PENDING = ""
NO_ANSWER = "no answer"


class Sender(Protocol):
    """A socket that is ready to send. ``probe`` knows now from where."""

    probe: Probe

    def fileno(self) -> int: ...
    def send(self) -> str:
        """Do it; the errno's name where the kernel refused at once."""

    def result(self) -> str:
        """How it ended: ``connected``, ``answered``, an errno's name; ``PENDING`` so far."""

    @property
    def waits_for_writing(self) -> bool:
        """Whether readiness to write, not to read, is the sign of an end."""

    def close(self) -> None: ...


def smallest(probe: Probe) -> int:
    """Bytes of an IP packet that still holds the cookie."""
    return IP_BYTES[probe.version] + ABOVE[probe.protocol] + 4


def open_sender(probe: Probe, *, by_hand: bool = False) -> Sender:
    """``by_hand``: write the SYN oneself. Raises OSError."""
    match probe.protocol:
        case "udp":
            return Datagram(probe)
        case "icmp":
            return Echo(probe)
        case _:
            if by_hand:
                return Syn(probe)
            try:
                return Connection(probe)
            except PermissionError:
                return Syn(probe)


def _told(problem: OSError) -> str:
    return errno.errorcode.get(problem.errno or 0, str(problem))


def _payload(probe: Probe) -> bytes:
    """The cookie, then as much as makes the packet as long as it should be."""
    room = (probe.size or smallest(probe) + len(FILLER)) - smallest(probe)
    filler = FILLER * (room // len(FILLER) + 1)
    return probe.cookie.to_bytes(4, "big") + filler[:room]


def _set(sock: socket.socket, probe: Probe) -> None:
    """What was asked for of its IP header."""
    v4 = probe.version == 4
    level = socket.IPPROTO_IP if v4 else socket.IPPROTO_IPV6
    if probe.ttl:
        sock.setsockopt(level, socket.IP_TTL if v4 else socket.IPV6_UNICAST_HOPS, probe.ttl)
    if probe.tos:
        sock.setsockopt(level, socket.IP_TOS if v4 else socket.IPV6_TCLASS, probe.tos)
    if probe.dont_fragment is not None:
        how = DISCOVER_PROBE if probe.dont_fragment else DISCOVER_DONT
        sock.setsockopt(level, IP_MTU_DISCOVER if v4 else IPV6_MTU_DISCOVER, how)
        if not v4:
            sock.setsockopt(level, IPV6_DONTFRAG, int(probe.dont_fragment))


Place: TypeAlias = tuple[str, int] | tuple[str, int, int, int]


def place_of(probe: Probe, port: int) -> Place:
    """Where it goes, as connect(2) wants it: a device is meant by its index in this namespace.

    Raises OSError where there is no such device.
    """
    address, _, device = probe.destination.partition("%")
    if probe.version == 4:
        return address, port
    return address, port, 0, socket.if_nametoindex(device) if device else 0


def source_of(probe: Probe, place: Place) -> str:
    """The address that the kernel would send from; "" where it knows no way there."""
    with socket.socket(FAMILIES[probe.version], socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((place[0], place[1] or 1, *place[2:]))
        except OSError:
            return ""
        return str(sock.getsockname()[0])


class Base:
    """A socket, its options set, its port chosen."""

    waits_for_writing = False

    def __init__(self, probe: Probe, kind: int, protocol: int = 0) -> None:
        port = probe.port if kind != socket.SOCK_RAW else 0
        self._to = place_of(probe, port)
        self.probe = replace(probe, source=probe.source or source_of(probe, self._to))
        flags = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._sock = socket.socket(FAMILIES[probe.version], kind | flags, protocol)
        self._result = PENDING
        try:
            _set(self._sock, probe)
            self._prepare()
        except BaseException:
            self._sock.close()
            raise

    def _prepare(self) -> None:
        """Bound, so that the port is known before anything is sent."""
        self._sock.bind(("" if self.probe.version == 4 else "::", self.probe.from_port))
        self.probe = replace(self.probe, from_port=int(self._sock.getsockname()[1]))

    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self) -> str:
        try:
            self._send()
        except BlockingIOError:
            return PENDING
        except OSError as problem:
            self._result = _told(problem)
        return self._result

    def _send(self) -> None: ...

    def result(self) -> str:
        if self._result == PENDING:
            try:
                self._result = self._look()
            except BlockingIOError:
                return PENDING
            except OSError as problem:
                self._result = _told(problem)
        return self._result

    def _look(self) -> str:
        return PENDING

    def close(self) -> None:
        self._sock.close()


class Connection(Base):
    """connect(2), with the first sequence number chosen."""

    waits_for_writing = True

    def __init__(self, probe: Probe) -> None:
        super().__init__(probe, socket.SOCK_STREAM)

    def _prepare(self) -> None:
        super()._prepare()
        level = socket.IPPROTO_TCP
        self._sock.setsockopt(level, TCP_REPAIR, 1)
        self._sock.setsockopt(level, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE)
        self._sock.setsockopt(level, TCP_QUEUE_SEQ, struct.pack("=I", self.probe.cookie - 1))
        self._sock.setsockopt(level, TCP_REPAIR, 0)
        # closed by a reset, so that no TIME_WAIT is left behind
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=ii", 1, 0))

    def _send(self) -> None:
        self._sock.connect(self._to)

    def _look(self) -> str:
        code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        try:
            self._sock.getpeername()
        except OSError:  # ENOTCONN: still under way
            return PENDING
        return "connected"


class Datagram(Base):
    """One UDP packet."""

    def __init__(self, probe: Probe) -> None:
        super().__init__(probe, socket.SOCK_DGRAM)

    def _send(self) -> None:
        self._sock.connect(self._to)
        self._sock.send(_payload(self.probe))

    def _look(self) -> str:
        self._sock.recv(1 << 16)
        return "answered"


class Echo(Base):
    """One echo request. A raw socket: the other sort is refused in a fresh namespace (icmp(7))."""

    def __init__(self, probe: Probe) -> None:
        protocol = socket.IPPROTO_ICMP if probe.version == 4 else socket.IPPROTO_ICMPV6
        super().__init__(probe, socket.SOCK_RAW, protocol)

    def _prepare(self) -> None:
        self.probe = replace(self.probe, from_port=self.probe.from_port or os.getpid() & 0xFFFF)

    def _send(self) -> None:
        self._sock.connect(self._to)
        message = struct.pack(">BBHHH", ECHO[self.probe.version], 0, 0, self.probe.from_port, 1)
        message += _payload(self.probe)
        if self.probe.version == 4:  # of ICMPv6 the kernel does it
            message = message[:2] + checksum(message).to_bytes(2, "big") + message[4:]
        self._sock.send(message)

    def _look(self) -> str:
        while True:
            data = self._sock.recv(1 << 16)
            data = data[(data[0] & 15) * 4 :] if self.probe.version == 4 else data
            cookie = self.probe.cookie.to_bytes(4, "big")
            if data[:1] == bytes((ECHO_REPLY[self.probe.version],)) and data[8:12] == cookie:
                return "answered"


class Syn(Base):
    """A SYN by hand, for where repair mode is refused; the node's own TCP knows nothing of it."""

    def __init__(self, probe: Probe) -> None:
        super().__init__(probe, socket.SOCK_RAW, socket.IPPROTO_TCP)

    def _prepare(self) -> None:
        """Its port is kept by a socket beside it."""
        self._port = socket.socket(FAMILIES[self.probe.version], socket.SOCK_STREAM)
        self._port.bind(("" if self.probe.version == 4 else "::", self.probe.from_port))
        self.probe = replace(self.probe, from_port=int(self._port.getsockname()[1]))
        if self.probe.version == 6:
            self._sock.setsockopt(socket.IPPROTO_IPV6, IPV6_CHECKSUM, TCP_CHECKSUM_AT)

    def _send(self) -> None:
        self._sock.connect(self._to)
        source = self._sock.getsockname()[0]
        head = struct.pack(
            ">HHIIBBHHH", self.probe.from_port, self.probe.port, self.probe.cookie - 1, 0,
            5 << 4, SYN, 64240, 0, 0,
        )  # fmt: skip
        if self.probe.version == 4:
            pseudo = socket.inet_aton(source) + socket.inet_aton(self.probe.destination)
            pseudo += struct.pack(">BBH", 0, socket.IPPROTO_TCP, len(head))
            head = head[:16] + checksum(pseudo + head).to_bytes(2, "big") + head[18:]
        self._sock.send(head)

    def _look(self) -> str:
        while True:
            data = self._sock.recv(1 << 16)
            head = data[(data[0] & 15) * 4 :] if self.probe.version == 4 else data
            if int.from_bytes(head[8:12], "big") != self.probe.cookie:
                continue
            if head[13] & RST:
                return "ECONNREFUSED"
            if head[13] & SYN:
                return "connected"

    def close(self) -> None:
        super().close()
        self._port.close()


def checksum(data: bytes) -> int:
    """Of the Internet (RFC 1071)."""
    data += b"\0" * (len(data) & 1)
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@dataclass
class Responder:
    """Answers in the target: TCP is accepted, UDP is answered with the next cookie."""

    socket: socket.socket
    probe: Probe
    already: bool = False

    def fileno(self) -> int:
        return self.socket.fileno()

    def answer(self) -> None:
        if self.probe.protocol != "udp":
            return
        with contextlib.suppress(OSError):  # nothing more to read, or no way back
            while True:
                data, sender = self.socket.recvfrom(1 << 16)
                if data[:4] == self.probe.cookie.to_bytes(4, "big"):
                    reply = (self.probe.cookie + 1).to_bytes(4, "big") + data[4:]
                    self.socket.sendto(reply, sender)

    def close(self) -> None:
        self.socket.close()


def open_responder(probe: Probe, port: int) -> Responder:
    """Raises OSError: EADDRINUSE where a program listens there already."""
    kind = socket.SOCK_STREAM if probe.protocol == "tcp" else socket.SOCK_DGRAM
    flags = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    sock = socket.socket(FAMILIES[probe.version], kind | flags)
    try:
        if probe.version == 6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if probe.protocol == "tcp":  # left-overs of an earlier answer are in nobody's way
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("" if probe.version == 4 else "::", port))
        if probe.protocol == "tcp":
            sock.listen(8)
    except BaseException:
        sock.close()
        raise
    return Responder(sock, probe)
