"""A lab while its packets are captured: it changes, signals come, readers go away."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import IPv6Address

from netlab.cli.selection import STDOUT
from netlab.cli.trace import lab_of
from netlab.cli.which import state_directory
from netlab.errors import LabNotFound
from netlab.kernel.enter import NETNS
from netlab.kernel.supervisor.logs import Watch
from netlab.lab.interrupt import Interrupt
from netlab.lab.state import JOURNAL
from netlab.trace.rings import Rings, Source
from netlab.trace.terrain import Terrain

AGAIN = 0.2
"""Seconds between two looks at a lab that is changing."""
NEVER = 3600.0


class Names(dict[str, str]):
    """By address the node that has it: those that were given, and those that MACs bring along."""

    def __init__(self, terrain: Terrain, sources: Sequence[Source]) -> None:
        self._sources, self._known = sources, 0
        self.learn(terrain)

    def learn(self, terrain: Terrain | None = None) -> None:
        if terrain is not None:
            self.update((a, nodes[0]) for a, nodes in terrain.holders.items() if len(nodes) == 1)
        for source in self._sources[self._known :]:
            if len(source.mac) == 6 and any(source.mac):
                self.setdefault(link_local(source.mac), source.node)
        self._known = len(self._sources)


def link_local(mac: bytes) -> str:
    """The address that an interface gives itself (RFC 4291, appendix A)."""
    identifier = bytes((mac[0] ^ 2, *mac[1:3], 0xFF, 0xFE, *mac[3:]))
    return str(IPv6Address(b"\xfe\x80" + b"\0" * 6 + identifier))


class Lab:
    """What changes in a lab is in its journal; who holds its namespaces has to know at once."""

    def __init__(self, lab: str, rings: Rings, names: Names, journal: Watch) -> None:
        self._lab, self._rings, self._names, self._watch = lab, rings, names, journal
        self._journal = f"{state_directory()}/{lab}/{JOURNAL}"
        self._looked = time.monotonic()
        self._has_changed = False
        self._watch_it()

    @property
    def file(self) -> int:
        return self._watch.fd

    def changes(self) -> None:
        self._watch.changed()
        self._has_changed = True
        self._watch_it()

    def look(self) -> None:
        """Where it has changed, and was not looked at just now."""
        if not self._has_changed or self.due() > 0:
            return
        self._has_changed, self._looked = False, time.monotonic()
        try:
            terrain, identities, _ = lab_of(self._lab)
        except LabNotFound:
            self._rings.follow({})
            return
        self._rings.follow(identities)
        self._names.learn(terrain)

    def due(self) -> float:
        """Seconds until it is to be looked at."""
        if not self._has_changed:
            return NEVER
        return max(0.0, self._looked + AGAIN - time.monotonic())

    def _watch_it(self) -> None:
        with suppress(FileNotFoundError):  # it is down
            self._watch.add(self._journal)


class Outside:
    """Signals, and the lab; see ``netlab.trace.capture.Outside``."""

    def __init__(self, interrupt: Interrupt, signals: socket.socket, lab: Lab) -> None:
        self._interrupt, self._signals, self._lab = interrupt, signals, lab
        self._is_unread = False

    def hear(self, files: list[int]) -> None:
        if self._signals.fileno() in files:
            self._signals.recv(1 << 10)
        if self._lab.file in files:
            self._lab.changes()
        if STDOUT in files:
            self._is_unread = True
        self._lab.look()

    def why(self) -> str:
        if self._interrupt():
            return "interrupted"
        return "reader" if self._is_unread else ""

    def patience(self) -> float:
        return self._lab.due()


class Presence:
    """Whether a lab is there still: somebody may take it down while one looks on.

    Its namespaces' numbers are given to others then, at once.
    """

    def __init__(self, namespaces: Iterable[str]) -> None:
        self._names = [f"{NETNS}/{name}" for name in namespaces]
        self._looked = time.monotonic()
        self.is_gone = False

    def __call__(self) -> bool:
        """Whether it is gone; looks now and then."""
        now = time.monotonic()
        if not self.is_gone and now - self._looked >= AGAIN:
            self._looked = now
            self.is_gone = not any(os.path.lexists(name) for name in self._names)
        return self.is_gone


@contextmanager
def woken() -> Iterator[socket.socket]:
    """A socket that can be read when a signal has come, so that one need not wait for packets."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(before)
        reader.close()
        writer.close()


@contextmanager
def watching() -> Iterator[Watch]:
    watch = Watch()
    try:
        yield watch
    finally:
        watch.close()
