"""Packet sockets on every device (packet(7)): when the probe came and left, and its whole frame.

One socket a namespace; a classic BPF program that looks for the cookie lets the probe's frames
through and no other ones. Timestamps are the kernel's, so that they order what is seen in all
namespaces.
"""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from time import time_ns as clock_ns

from netlab.kernel import libc
from netlab.trace.backends.base import Backend, CannotWatch, Scene
from netlab.trace.cookie import Mark, marks
from netlab.trace.headers import FRAGMENT, ICMPV6
from netlab.trace.sighting import Sighting

SO_ATTACH_FILTER, SO_TIMESTAMPNS = 26, 35
SOL_PACKET, PACKET_STATISTICS = 263, 6
ETH_P_ALL = 3
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
STAMP_DEADLINE = 500_000_000
"""Nanoseconds."""
WITH_ETHERNET = frozenset({1, 772})
"""ARPHRD_ETHER and ARPHRD_LOOPBACK: what a frame of other devices begins with is the IP header."""
ETHERNET = 14
TO = {0: "host", 1: "broadcast", 2: "multicast", 3: "other"}
OUTGOING = 4

# classic BPF (linux/filter.h, net/core/filter.c)
LD_W, LD_H, LD_B = 0x20, 0x28, 0x30
LD_IND, LDX_IMM, LDX_MSH = 0x40, 0x01, 0xB1
JA, JEQ, JSET, RSH, RET = 0x05, 0x15, 0x45, 0x74, 0x06
NET = -0x100000
"""SKF_NET_OFF: counted from the IP header, whatever is before it."""
WHOLE = 0x40000
BEGINNING = 256
"""Bytes of a frame, where there may be many."""


@dataclass(frozen=True)
class Line:
    """An instruction; a jump that is taken leads to the label ``to``, else it goes on."""

    code: int
    k: int = 0
    to: str = ""
    label: str = ""


EVERY_BEGINNING = (
    Line(LD_B, NET),
    Line(RSH, 4),
    Line(JEQ, 4, "yes"),
    Line(JEQ, 6, "yes"),
    Line(RET, 0),
    Line(RET, BEGINNING, label="yes"),
)
"""Of what is IP."""


def program(found: Sequence[Mark]) -> bytes:
    """Lets through what bears one of the marks: ``struct sock_filter``s."""
    return assemble(list(_lines(found)))


def assemble(lines: Sequence[Line]) -> bytes:
    places = {line.label: place for place, line in enumerate(lines) if line.label}
    parts = []
    for place, line in enumerate(lines):
        ahead = places[line.to] - place - 1 if line.to else 0
        if line.code == JA:
            parts.append(struct.pack("=HBBI", JA, 0, 0, ahead))
        else:
            parts.append(struct.pack("=HBBI", line.code, ahead, 0, line.k & 0xFFFFFFFF))
    return b"".join(parts)


def _lines(found: Sequence[Mark]) -> Iterator[Line]:
    yield Line(LD_B, NET)
    yield Line(RSH, 4)
    yield Line(JEQ, 4, "v4")
    yield Line(JEQ, 6, "v6")
    yield Line(JA, to="no")
    yield Line(LD_H, NET + 6, label="v4")
    yield Line(JSET, 0x1FFF, "no")  # a later fragment
    yield Line(LDX_MSH, NET)
    yield Line(LD_B, NET + 9)
    yield from _by_protocol("v4", [m for m in found if m.version != 6 and m.protocol != ICMPV6])
    yield Line(LDX_IMM, 40, label="v6")
    yield Line(LD_B, NET + 6)
    yield Line(JEQ, FRAGMENT, "v6 fragment")
    yield Line(JA, to="v6 whole")
    yield Line(LD_H, NET + 42, label="v6 fragment")
    yield Line(JSET, 0xFFF8, "no")
    yield Line(LDX_IMM, 48)
    yield Line(LD_B, NET + 40)
    yield from _by_protocol("v6", [m for m in found if m.version != 4], "v6 whole")
    yield Line(RET, WHOLE, label="yes")
    yield Line(RET, 0, label="no")


def _by_protocol(version: str, found: Sequence[Mark], label: str = "") -> Iterator[Line]:
    """A holds the protocol, X where its header begins; what is cut short is let go."""
    protocols = sorted({m.protocol for m in found})
    for place, protocol in enumerate(protocols):
        yield Line(JEQ, protocol, f"{version} {protocol}", label if not place else "")
    yield Line(JA, to="no", label="" if protocols else label)
    for protocol in protocols:
        entry = f"{version} {protocol}"
        mine = sorted({(m.offset, m.value) for m in found if m.protocol == protocol})
        at = -1
        for offset, value in mine:
            if offset != at:
                yield Line(LD_IND, NET + offset, label=entry if at < 0 else "")
                at = offset
            yield Line(JEQ, value, "yes")
        yield Line(JA, to="no")


@dataclass
class Tap:
    node: str
    socket: socket.socket


@dataclass
class Tapping:
    """See ``netlab.trace.backends.base.Watch``."""

    taps: Mapping[int, Tap]
    """By file descriptor."""
    lost: dict[str, int] = field(default_factory=dict)

    def files(self) -> Sequence[int]:
        return list(self.taps)

    def read(self) -> list[Sighting]:
        return [seen for tap in self.taps.values() for seen in self._of(tap)]

    def _of(self, tap: Tap) -> Iterator[Sighting]:
        while True:
            began = clock_ns()
            try:
                data, control, _, address = tap.socket.recvmsg(1 << 17, 64, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:  # ENETDOWN is told once: a device was switched off
                continue
            stamp = _time(control)
            # a frame that came before the kernel kept time is given the time of this very call
            yield decode(tap.node, data, stamp if stamp < began else 0, address)

    def end(self, seen: Sequence[Sighting]) -> list[Sighting]:
        for tap in self.taps.values():
            said = tap.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
            dropped = struct.unpack("=II", said)[1]
            if dropped:
                self.lost[tap.node] = dropped
        return self.read()

    def gaps(self) -> list[str]:
        return [f"{n} packets of {node} came too fast to be seen" for node, n in self.lost.items()]

    def close(self) -> None:
        """Side by side: each waits for a grace period of the kernel's (``packet_release``)."""
        with ThreadPoolExecutor(min(64, len(self.taps) or 1)) as pool:
            list(pool.map(lambda tap: tap.socket.close(), self.taps.values()))


def decode(
    node: str, data: bytes, time: int, address: tuple[str, int, int, int, bytes]
) -> Sighting:
    """``address``: device, protocol, sort of packet, sort of device, sender."""
    device, _, sort, hardware, _ = address
    before = ETHERNET if hardware in WITH_ETHERNET else 0
    return Sighting(
        node, "taps", "tx" if sort == OUTGOING else "rx", device, time=time,
        to=TO.get(sort, ""), link=data[:before], network=data[before:],
    )  # fmt: skip


def _time(control: list[tuple[int, int, bytes]]) -> int:
    for level, kind, data in control:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = struct.unpack("=qq", data[:16])
            return int(seconds * 10**9 + nanoseconds)
    return 0


def _tap(code: bytes) -> socket.socket:
    """In the namespace that the thread stands in. Raises OSError."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    try:
        held = ctypes.create_string_buffer(code)
        fprog = struct.pack("=HxxxxxxQ", len(code) // 8, ctypes.addressof(held))
        sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, fprog)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        libc.bind_packet(sock.fileno(), ETH_P_ALL)  # and not before: nothing else gets in
    except BaseException:
        sock.close()
        raise
    return sock


def _until_stamped() -> None:
    """Wait until the kernel gives packets their time: it begins to a moment after it was asked to.

    A packet to oneself tells, in a namespace where nobody else is. One that has no time yet is
    given that of its reading. After a while one goes on without: then the order of the links helps.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        up = struct.pack("=16sH22x", b"lo", IFF_UP)
        fcntl.ioctl(sock.fileno(), SIOCSIFFLAGS, up)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.bind(("127.0.0.1", 0))
        until = clock_ns() + STAMP_DEADLINE
        while clock_ns() < until:
            sock.sendto(b"?", sock.getsockname())
            before = clock_ns()
            _, control, _, _ = sock.recvmsg(8, 64)
            if _time(control) < before:
                return


def watch(scene: Scene) -> Tapping:
    code = program(marks(scene.probe, tunnels=scene.terrain.has_tunnels))
    if scene.choice is not None:  # what is meant may be known by its bytes elsewhere, before NAT
        code = assemble(list(EVERY_BEGINNING))
    names = {spot.ns: spot.name for spot in scene.terrain.spots.values()}
    try:
        found = scene.visits.each({ns: partial(_tap, code) for ns in names})
        scene.visits.apart(_until_stamped)
    except OSError as problem:
        raise CannotWatch(problem.strerror or str(problem)) from problem
    return Tapping({sock.fileno(): Tap(names[ns], sock) for ns, sock in found.items()})


def obstacle() -> str:
    try:
        _tap(program([])).close()
    except OSError as problem:
        return problem.strerror or str(problem)
    return ""


backend = Backend(
    about="when the packet came and left by each device, and its bytes",
    option="CONFIG_PACKET",
    privilege="CAP_NET_RAW",
    obstacle=obstacle,
    watch=watch,
    instead_of="bpf",
)
