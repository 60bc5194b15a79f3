"""Listening at many interfaces of many nodes at once, also at those that come while one listens."""

from __future__ import annotations

import errno
import select
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from socket import socket as Socket
from typing import TypeVar

from netlab.errors import KernelRefused, MachineLacks
from netlab.kernel.devices import Device, Devices
from netlab.kernel.ring import BLOCK, Frame, Instruction, Ring, packet_socket
from netlab.kernel.visits import visiting
from netlab.trace.filters import ETHERNET, RAW_IP

T = TypeVar("T")
R = TypeVar("R")

LOOPBACK = 772
LINKS = {
    1: ETHERNET, LOOPBACK: ETHERNET, 519: RAW_IP, 65534: RAW_IP, 768: RAW_IP, 769: RAW_IP,
    776: RAW_IP, 778: RAW_IP, 823: RAW_IP,
}  # fmt: skip
"""``ARPHRD_…`` of linux/if_arp.h → what packets begin with."""

MEMORY = 128 << 20
"""Bytes that all interfaces share, unless it is said how much each one has."""
FEWEST, MOST = 8, 256
"""Blocks of an interface then: enough for slow moments, and no more than helps."""
SMALLEST = 2
"""Blocks of an interface at least."""
PART = 2
"""Not more than one of so many parts of the memory that is free is taken for them."""

AT_ONCE = 64
"""Blocks of one interface that are taken before it is the others' turn."""

SKEW = 10_000_000
"""Nanoseconds between the time that a packet is given and the moment it can be read, at most."""

THREADS = 64
"""That wait for the kernel at once."""

ENDING = 1.0
"""Seconds that the kernel has to hand over what it holds when nothing more is to come."""

Where = Mapping[str, frozenset[str] | None]
"""By node the interfaces that are listened at; None is all it has and will have."""

Program = Callable[[int, bool], list[Instruction]]
"""The filter, by what packets begin with, and whether each of them is seen twice (``lo``)."""


@dataclass
class Source:
    """An interface that is, or was, listened at."""

    number: int
    node: str
    device: str
    link: int
    mac: bytes
    since: int
    """Nanoseconds since the epoch."""
    received: int = 0
    """Packets that came by the filter."""
    dropped: int = 0
    """Of those, the ones that there was no room for."""

    @property
    def name(self) -> str:
        return f"{self.node}:{self.device}"


@dataclass
class _Post:
    """A node in which one listens."""

    node: str
    devices: Devices
    rings: dict[int, Ring] = field(default_factory=dict)
    """By the interface's number."""


class Rings:
    """What is heard in the nodes' namespaces, from the first ``follow`` to ``close``."""

    def __init__(self, lab: str, where: Where | None, program: Program, memory: int = 0) -> None:
        """``where``: None for the whole lab; ``memory``: bytes for each interface; 0: a share."""
        self._lab, self._where, self._program = lab, where, program
        self._blocks = max(SMALLEST, -(-memory // BLOCK)) if memory else 0
        self._calls = select.epoll()
        """Of all that is no packet."""
        self._poll = select.epoll()
        self._poll.register(self._calls.fileno(), select.EPOLLIN)
        self._posts: dict[int, _Post] = {}
        self._identities: dict[str, int] = {}
        self._leaving: list[Ring] = []
        self.sources: list[Source] = []
        """All that there were, by number."""
        self.unknown: list[str] = []
        """Interfaces whose packets begin in a way that is not known here."""

    # nodes and interfaces

    def follow(self, identities: Mapping[str, int]) -> None:
        """The namespaces that there are now, by name. Raises KernelRefused, MachineLacks."""
        wanted = {
            ns: identity
            for ns, identity in identities.items()
            if self._where is None or self._node(ns) in self._where
        }
        for ns in [ns for ns, told in self._identities.items() if wanted.get(ns) != told]:
            self._leave(ns)
        new = {ns: told for ns, told in wanted.items() if ns not in self._identities}
        found = _in_each(new, dict.fromkeys(new, Devices))
        for ns, devices in found.items():
            self._identities[ns] = new[ns]
            self._posts[devices.fileno()] = _Post(self._node(ns), devices)
            self._calls.register(devices.fileno(), select.EPOLLIN)
        self._listen([self._posts[devices.fileno()] for devices in found.values()])

    def _node(self, ns: str) -> str:
        return ns.removeprefix(f"{self._lab}.")

    def _leave(self, ns: str) -> None:
        """As soon as it can be: who holds a socket in a namespace keeps that from going."""
        del self._identities[ns]
        for file, post in list(self._posts.items()):
            if post.node == self._node(ns):
                del self._posts[file]
                self._calls.unregister(file)
                post.devices.close()
                self._let_go(post.rings.values())

    def _let_go(self, rings: Iterable[Ring]) -> None:
        for ring in rings:
            ring.stop()
            self._leaving.append(ring)

    def _listen(self, posts: list[_Post]) -> None:
        """At what the nodes have now that is not listened at yet."""
        lacking: list[tuple[_Post, Device]] = []
        for post in posts:
            now = post.devices.now()
            gone = [n for n, ring in post.rings.items() if n not in now or not ring.is_bound]
            self._let_go([post.rings.pop(number) for number in gone])
            lacking += [(post, device) for device in now.values() if self._lacks(post, device)]
        self._blocks = self._blocks or room(len(lacking), _free_memory())
        by_node: dict[str, list[Device]] = {}
        for post, device in lacking:
            by_node.setdefault(f"{self._lab}.{post.node}", []).append(device)
        acts = {ns: partial(_sockets, len(some)) for ns, some in by_node.items()}
        opened = _in_each(self._identities, acts)
        self._begin([
            (post, device, sock)
            for post in posts
            if (ns := f"{self._lab}.{post.node}") in opened
            for device, sock in zip(by_node[ns], opened[ns], strict=True)
        ])  # fmt: skip

    def _lacks(self, post: _Post, device: Device) -> bool:
        wanted = None if self._where is None else self._where[post.node]
        if not device.is_up or device.number in post.rings:
            return False
        if wanted is not None and device.name not in wanted:
            return False
        name = f"{post.node}:{device.name}"
        if device.type not in LINKS and name not in self.unknown:
            self.unknown.append(name)
        return device.type in LINKS

    def _begin(self, places: Sequence[tuple[_Post, Device, Socket]]) -> None:
        first = len(self.sources)
        since = time.time_ns()
        self.sources += [
            Source(number, post.node, device.name, LINKS[device.type], device.mac, since)
            for number, (post, device, _) in enumerate(places, first)
        ]
        made = side_by_side(self._ring, list(enumerate(places, first)))
        failure = next((one for one in made if isinstance(one, KernelRefused)), None)
        for (post, device, _), ring in zip(places, made, strict=True):
            if isinstance(ring, Ring):
                post.rings[device.number] = ring
                self._poll.register(ring.fileno(), select.EPOLLIN)
        if failure is not None:
            raise failure

    def _ring(self, place: tuple[int, tuple[_Post, Device, Socket]]) -> Ring | KernelRefused | None:
        """None where the device has just gone; whoever took it tells."""
        number, (_, device, sock) = place
        try:
            program = self._program(LINKS[device.type], device.type == LOOPBACK)
            return Ring(number, sock, device.name, program, self._blocks)
        except KernelRefused as refusal:
            return None if refusal.errno in (errno.ENODEV, errno.ENETDOWN) else refusal

    # packets

    @property
    def is_deserted(self) -> bool:
        """Whether there is nothing left to listen to."""
        return not self._posts and not self._leaving

    @property
    def rings(self) -> list[Ring]:
        return [*(r for post in self._posts.values() for r in post.rings.values()), *self._leaving]

    def watch(self, file: int, events: int = select.EPOLLIN) -> None:
        """``wait`` wakes up for it, too. What cannot be waited for, as a plain file, is not."""
        with suppress(PermissionError):
            self._calls.register(file, events)

    def wait(self, seconds: float, gather: float) -> list[int]:
        """For packets, or a file that is watched; the watched files that have something to say.

        ``gather``: so many seconds packets alone are not enough.
        """
        ready = [file for file, _ in self._calls.poll(gather)]
        if not ready:
            events = self._poll.poll(seconds)
            self._forgive({file for file, what in events if what & select.EPOLLERR})
            ready = [file for file, _ in self._calls.poll(0)]
        changed = [self._posts[file] for file in ready if file in self._posts]
        if changed:
            self._listen(changed)
        return [file for file in ready if file not in self._posts]

    def _forgive(self, files: set[int]) -> None:
        for ring in self.rings if files else ():
            if ring.fileno() in files:
                ring.forgive()

    def take(self) -> tuple[list[Frame], int]:
        """Packets that have come, and up to which time none can come any more."""
        until = time.time_ns() - SKEW
        found: list[Frame] = []
        for ring in self.rings:
            ring.take(found, AT_ONCE)
            if ring.has_more:
                until = min(until, ring.latest)
        empty = [ring for ring in self._leaving if not ring.has_more]
        self._leaving = [ring for ring in self._leaving if ring not in empty]
        self._close(empty)
        return found, until

    def count(self) -> None:
        """Bring the sources' counts up to date."""
        for ring in self.rings:
            source = self.sources[ring.number]
            source.received, source.dropped = ring.counts()

    def stop(self) -> list[Frame]:
        """Nothing more comes; what has come and was not taken yet."""
        until = time.monotonic() + ENDING
        found: list[Frame] = []
        for ns in list(self._identities):
            self._leave(ns)
        while self._leaving and time.monotonic() < until:
            found += self.take()[0]
            if self._leaving:
                self._poll.poll(0.01)
        return found

    def close(self) -> None:
        """As often as one likes."""
        if self._poll.closed:
            return
        self._close(self.rings)
        for post in self._posts.values():
            post.devices.close()
        self._posts.clear()
        self._leaving.clear()
        self._poll.close()
        self._calls.close()

    def _close(self, rings: Sequence[Ring]) -> None:
        for ring in rings:
            source = self.sources[ring.number]
            source.received, source.dropped = ring.counts()
            self._poll.unregister(ring.fileno())
        side_by_side(Ring.close, rings)


def side_by_side(act: Callable[[T], R], things: Sequence[T]) -> list[R]:
    """Where the kernel takes its time for each, and not more for all together."""
    if len(things) < 2:
        return [act(thing) for thing in things]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(THREADS, len(things))) as pool:
        return list(pool.map(act, things))


def _sockets(count: int) -> list[Socket]:
    return [packet_socket() for _ in range(count)]


def room(interfaces: int, free: int) -> int:
    """Blocks for each of so many interfaces; ``free``: bytes of memory. Raises MachineLacks."""
    count = max(1, interfaces)
    wanted = max(FEWEST, min(MOST, MEMORY // BLOCK // count))
    most = free // PART // BLOCK // count
    if most < SMALLEST:
        need = count * SMALLEST * BLOCK >> 20
        raise MachineLacks(
            f"to listen at {count} interfaces takes {need} MB, and {free >> 20} MB are free",
            hint="name those that you need: netlab capture LAB NODE:INTERFACE …",
        )
    return min(wanted, most)


def _free_memory() -> int:
    with open("/proc/meminfo") as file:
        fields = dict(line.split(":") for line in file)
    return int(fields["MemAvailable"].split()[0]) << 10


def _in_each(identities: Mapping[str, int], acts: Mapping[str, Callable[[], T]]) -> dict[str, T]:
    """By namespace, without those that have just gone. Raises KernelRefused."""
    found: dict[str, T] = {}
    if not acts:
        return found
    try:
        with visiting({ns: identities[ns] for ns in acts}) as visits:
            for ns, act in acts.items():
                with suppress(FileNotFoundError):
                    found[ns] = visits.at(ns, act)
    except OSError as problem:
        said = problem.strerror or str(problem)
        many = "too many interfaces for `ulimit -n`; name those that you need"
        hint = many if problem.errno == errno.EMFILE else ""
        told = f"the kernel refused: {said}"
        raise KernelRefused(told, errno=problem.errno or 0, said=said, hint=hint) from problem
    return found
