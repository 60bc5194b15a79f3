"""A probe's whole story: who watches is set up, it is sent, watched to its end, and told.

Nothing is left: what backends put into namespaces goes with their sockets, also when this process
is killed.
"""

from __future__ import annotations

import errno
import selectors
import socket
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

from netlab.errors import KernelRefused, MachineLacks
from netlab.firewall.held import OF_TRACES
from netlab.kernel import lookup, sockets
from netlab.kernel.capabilities import NO_RAW
from netlab.kernel.limits import raise_limit
from netlab.kernel.visits import Visits
from netlab.kernel.wire import open_socket
from netlab.trace.backends.base import Backend, CannotWatch, Scene, TellsHooks, Watch
from netlab.trace.conclude import conclude, ends, questions
from netlab.trace.cookie import way_of
from netlab.trace.facts import Ask, ConnectionFact, Facts
from netlab.trace.headers import parse
from netlab.trace.inquire import facts_of
from netlab.trace.model import Probe, Trace
from netlab.trace.probe import (
    NO_ANSWER,
    PENDING,
    Responder,
    Sender,
    open_responder,
    open_sender,
)
from netlab.trace.record import Record
from netlab.trace.sighting import Sighting
from netlab.trace.terrain import Terrain

PATIENCE = 1.0
"""Seconds for an answer."""
NEIGHBOUR = 3.3
"""Seconds until the kernel gives a neighbour up: three questions, a second apart (arp(7))."""
QUIET = 0.03
"""Seconds without a sighting after which a packet that was dropped has no more to tell."""
AFTERWARDS = frozenset({"count", "connection"})
"""Points of what is only looked up in the end."""
SO_TIMESTAMPNS = 35
ROUNDS = 4
"""How often one asks on."""
TICK = 0.1
"""Seconds of silence after which one asks whether a neighbour is being waited for."""


@dataclass(frozen=True)
class Request:
    """What is asked for."""

    probe: Probe
    respond: int = 0
    """The port that is answered on in the target; 0 for none."""
    patience: float = PATIENCE
    by_hand: bool = False
    """A SYN written by hand instead of connect()."""
    in_depth: bool = False
    """Also how buffers lie in memory, who runs, and what sockets measure."""


def trace(
    terrain: Terrain,
    request: Request,
    visits: Visits,
    backends: Mapping[str, Backend],
    say: Callable[[str], object] = lambda words: None,
) -> Trace:
    """``say`` is told what is being waited for. Raises KernelRefused, MachineLacks."""
    return conclude(observe(terrain, request, visits, backends, say))


def observe(
    terrain: Terrain,
    request: Request,
    visits: Visits,
    backends: Mapping[str, Backend],
    say: Callable[[str], object] = lambda words: None,
) -> Record:
    start = time.perf_counter()
    raise_limit()  # two open files a node
    with ExitStack() as stack:
        stack.enter_context(kept_time())
        sender = _sender(terrain, request, visits)
        stack.callback(sender.close)
        responder = _responder(terrain, request, visits)
        if responder is not None:
            stack.callback(responder.close)
        scene = Scene(terrain, sender.probe, visits, in_depth=request.in_depth)
        watches, told = open_watches(scene, backends)
        stack.callback(close_watches, watches)
        sightings = _Watching(scene, request, sender, responder, watches, say).to_the_end()
        probe = replace(sender.probe, result=sender.result() or NO_ANSWER)
        gaps = tuple(gap for watch in watches for gap in watch.gaps())
        record = Record(terrain, probe, tuple(sightings), {}, tuple(told), gaps)
        record = replace(record, facts=facts_for(record, visits))
        if request.in_depth:
            record = replace(record, facts=with_sockets(record, visits))
        spent = round((time.perf_counter() - start) * 1000, 1)
    return replace(record, milliseconds=spent)


def kept_time() -> socket.socket:
    """The kernel begins to stamp packets a moment after the first socket wants it, so ask now."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    return sock


def _sender(terrain: Terrain, request: Request, visits: Visits) -> Sender:
    probe = request.probe
    try:
        return visits.at(
            terrain.spots[probe.sender].ns, lambda: open_sender(probe, by_hand=request.by_hand)
        )
    except OSError as problem:
        said = problem.strerror or str(problem)
        if isinstance(problem, PermissionError):
            why = f"{probe.sender} may not send this: {said}"
            raise MachineLacks(
                why, hint=NO_RAW if problem.errno == errno.EPERM else ""
            ) from problem
        raise KernelRefused(
            f"{probe.sender} cannot send from port {probe.from_port}: {said}"
            if probe.from_port else f"{probe.sender} cannot send this: {said}",
            errno=problem.errno or 0, said=said,
        ) from problem  # fmt: skip


def _responder(terrain: Terrain, request: Request, visits: Visits) -> Responder | None:
    """None where a program of the node answers already."""
    probe = request.probe
    port = request.respond
    if not port or not probe.target or probe.protocol == "icmp":
        return None
    try:
        return visits.at(terrain.spots[probe.target].ns, lambda: open_responder(probe, port))
    except OSError:
        return None


def open_watches(
    scene: Scene, backends: Mapping[str, Backend]
) -> tuple[list[Watch], list[tuple[str, str]]]:
    """Those that can, and the obstacle of each ("" for none)."""
    watches: list[Watch] = []
    told: list[tuple[str, str]] = []
    try:
        for name, backend in backends.items():
            if (backend.instead_of, "") in told:
                continue
            try:
                watch = backend.watch(scene)
            except CannotWatch as obstacle:
                told.append((name, str(obstacle)))
                continue
            watches.append(watch)
            told.append((name, ""))
            if isinstance(watch, TellsHooks):
                scene = replace(scene, hooked=watch.hooked)
    except BaseException:
        close_watches(watches)
        raise
    return watches, told


def close_watches(watches: Sequence[Watch]) -> None:
    """Side by side: each waits for the kernel, and most for the same of its grace periods."""
    with ThreadPoolExecutor(len(watches) or 1) as pool:
        for closing in [pool.submit(watch.close) for watch in watches]:
            closing.result()


class _Watching:
    """From the sending to the end, which is when nothing more can come."""

    def __init__(
        self,
        scene: Scene,
        request: Request,
        sender: Sender,
        responder: Responder | None,
        watches: Sequence[Watch],
        say: Callable[[str], object],
    ) -> None:
        self._scene = scene
        self._probe = scene.probe
        self._patience = request.patience
        self._sender = sender
        self._responder = responder
        self._watches = watches
        self._say = say
        self._sightings: list[Sighting] = []
        self._last = 0.0
        self._is_dropped = False
        self._is_back = False
        self._waits_for = ""

    def to_the_end(self) -> list[Sighting]:
        selector = selectors.DefaultSelector()
        writing = self._sender.waits_for_writing
        selector.register(
            self._sender.fileno(), selectors.EVENT_WRITE if writing else selectors.EVENT_READ
        )
        files = [fd for watch in self._watches for fd in watch.files()]
        for fd in files:
            selector.register(fd, selectors.EVENT_READ)
        if self._responder is not None:
            selector.register(self._responder.fileno(), selectors.EVENT_READ)
        with selector:
            self._sender.send()
            began = self._last = time.monotonic()
            while not self._has_ended(began):
                selector.select(QUIET)
                if self._responder is not None:
                    self._responder.answer()
                self._take([s for watch in self._watches for s in watch.read()])
            self._take([s for watch in self._watches for s in watch.read()])
        for watch in self._watches:
            self._take(watch.end(self._sightings))
        return self._sightings

    def _take(self, some: Sequence[Sighting]) -> None:
        self._sightings += some
        for sighting in some:
            if sighting.point not in AFTERWARDS:
                self._last = time.monotonic()
            if sighting.point in ("rule", "policy") and sighting.verdict == "drop":
                self._is_dropped = True
            if sighting.point == "rx" and sighting.node == self._probe.sender:
                headers = parse(sighting.network, link=sighting.link)
                way = way_of(headers, self._probe) if headers else None
                self._is_back = self._is_back or way in ("reply", "error")

    def _has_ended(self, began: float) -> bool:
        if self._sender.result() != PENDING:
            return True
        now = time.monotonic()
        silent = now - self._last
        if silent > QUIET and (self._is_dropped or self._is_back):
            return True
        if silent > TICK and not self._waits_for:
            self._waits_for = self._neighbour()
            if self._waits_for:
                self._say(f"waiting for {self._waits_for} to answer (up to {NEIGHBOUR} s)")
        return now - began > (max(NEIGHBOUR, self._patience) if self._waits_for else self._patience)

    def _neighbour(self) -> str:
        """Whom a node asks for just now: ``10.0.0.9, a neighbour of gw``."""
        backwards = (s for s in reversed(self._sightings) if s.point not in AFTERWARDS)
        nodes = list(dict.fromkeys(s.node for s in backwards))
        for node in nodes[:3] or [self._probe.sender]:
            asked = self._scene.visits.at(self._scene.nodes[node], _incomplete)
            if asked:
                return f"{asked[0]}, a neighbour of {node},"
        return ""


def _incomplete() -> list[str]:
    with open_socket() as sock:
        return [n.address for n in lookup.neighbours(sock) if n.state == "incomplete"]


def facts_for(record: Record, visits: Visits) -> Mapping[str, Facts]:
    """Asked in rounds, as long as an answer leads to another node; most often once."""
    facts: dict[str, Facts] = {}
    for _ in range(ROUNDS):
        known = replace(record, facts=facts)
        wanted = {
            node: asks
            for node, asks in questions(known).items()
            if node in record.terrain.spots and not _answers(facts.get(node), asks)
        }
        if not wanted:
            break
        facts |= _asked(record, wanted, ends(known), visits)
    return facts


def with_sockets(record: Record, visits: Visits) -> Mapping[str, Facts]:
    """Those of the two ends, while the probe's own are still open."""
    spots = record.terrain.spots
    ends = [n for n in (record.probe.sender, record.probe.target) if n in spots]
    try:
        held = visits.each({spots[node].ns: sockets.held for node in ends})
    except OSError:  # a kernel without CONFIG_INET_DIAG
        return record.facts
    return {
        **record.facts,
        **{
            node: replace(record.facts.get(node, Facts(node)), sockets=tuple(held[spots[node].ns]))
            for node in ends
        },
    }


def _answers(facts: Facts | None, asks: Sequence[Ask]) -> bool:
    return facts is not None and all(facts.route(ask) is not None for ask in asks)


def _asked(
    record: Record, wanted: Mapping[str, Sequence[Ask]], deep: Collection[str], visits: Visits
) -> dict[str, Facts]:
    spots = record.terrain.spots
    talked = {s.node for s in record.sightings if s.table and not s.table.startswith(OF_TRACES)}
    acts = {
        spots[node].ns: partial(
            facts_of, node, spots[node].rules, asks,
            with_chains=node in talked,
            protocol=record.probe.protocol if node in deep else "",
        )
        for node, asks in wanted.items()
    }  # fmt: skip
    counts: dict[str, dict[str, int]] = {}
    for sighting in record.sightings:
        if sighting.point == "count":
            counts.setdefault(sighting.node, {})[sighting.name] = sighting.count
    return {
        found.node: replace(
            found,
            counts=counts.get(found.node, {}),
            connections=tuple(
                ConnectionFact(s.original, s.reply, s.ct_state, tuple(s.name.split()))
                for s in record.sightings
                if s.point == "connection" and s.node == found.node
            ),
        )
        for found in visits.each(acts).values()
    }
