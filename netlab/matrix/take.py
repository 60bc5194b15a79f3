"""A lab's matrix, taken: who is asked, what came back, and whose the addresses are."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from netlab.attempts import Where
from netlab.kernel import lookup
from netlab.kernel.wire import open_socket
from netlab.matrix.answer import OWN, Answer
from netlab.matrix.compare import ERRORS
from netlab.matrix.connections import Connections
from netlab.matrix.echoes import Echoes
from netlab.matrix.model import Cell, Matrix
from netlab.matrix.pairs import Pair, is_usual, pairs
from netlab.matrix.room import Room
from netlab.matrix.survey import Prober, Survey
from netlab.trace.backends.counters import paired
from netlab.trace.terrain import Spot, Terrain

PATIENCE = 1.5
"""Seconds that silence is waited for: TCP and ARP ask again after one (RFC 6298, RFC 1122)."""
KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


class Probe(NamedTuple):
    kind: str
    """``ping``, ``tcp``, ``udp``."""
    port: int = 0

    @property
    def name(self) -> str:
        return f"{self.kind} {self.port}" if self.port else self.kind


PING = Probe("ping")


class Questions(NamedTuple):
    probes: tuple[Probe, ...] = (PING,)
    version: int = 0
    """Of IP; 0 for what each pair has."""
    patience: float = 0.0
    """Seconds; 0 for the usual time."""


def take(
    terrain: Terrain,
    where: Where,
    questions: Questions,
    told: Callable[[int, int], object] = lambda done, of: None,
) -> Matrix:
    """``told``: how many pairs of how many are known. Raises OSError, KernelRefused."""
    began = time.monotonic()
    known = addresses(terrain, where, questions.version)
    whole = pairs(known, questions.version)
    order = {node: place for place, node in enumerate(known)}
    names = _names(known)
    before = _limits(where, terrain.spots)
    cells: list[Cell] = []
    for turn, probe in enumerate(questions.probes):
        done, of = turn * len(whole), len(questions.probes) * len(whole)
        found = ask(where, list(terrain.spots), whole, probe, questions.patience,
                    lambda now, done=done, of=of: told(done + now, of))  # type: ignore[misc]  # fmt: skip
        some = [_cell(pair, probe, found[place], names) for place, pair in enumerate(whole)]
        cells += sorted(some, key=lambda cell: (order[cell.source], order[cell.target]))
    after = _limits(where, terrain.spots)
    is_silent = any(cell.word == "denied" and not cell.by for cell in cells)
    heard = {cell.by for cell in cells if cell.word in ERRORS and cell.by != cell.source}
    return Matrix(
        terrain.lab,
        questions.version,
        tuple(probe.name for probe in questions.probes),
        tuple(known),
        tuple(cells),
        tuple(name for name in terrain.spots if name not in known),
        tuple(n for n in terrain.spots if is_silent and n in heard and after[n] > before[n]),
        time.monotonic() - began,
    )


def ask(
    where: Where,
    nodes: Sequence[str],
    whole: Sequence[Pair],
    probe: Probe = PING,
    patience: float = 0.0,
    told: Callable[[int], object] = lambda done: None,
) -> Mapping[int, Answer]:
    """Of pairs by their places what came back. ``nodes``: all of the lab.

    Raises OSError, KernelRefused.
    """
    versions = {6 if ":" in pair.address else 4 for pair in whole if pair.address}
    prober: Prober
    if probe.kind in KINDS:
        prober = Connections(where, whole, KINDS[probe.kind], probe.port)
    else:
        prober = Echoes(where, whole)
    room = Room(where, nodes, versions, len(whole))
    patience = patience or PATIENCE
    try:
        return Survey(where, whole, prober, room, nodes, patience, told).run()
    finally:
        prober.close()
        room.close()


def addresses(terrain: Terrain, where: Where, version: int) -> Mapping[str, Sequence[str]]:
    """By node, as planned; of those for whom none is planned what they have come to have.

    Switches without one are not there.
    """
    found = {}
    for name, spot in terrain.spots.items():
        own = spot.addresses
        if not any(is_usual(a) and _fits(a, version) for a in own):
            own = own + [a for a in where.inside(name, _held) if a not in own]
        if not _is_deaf(spot, own):
            found[name] = own
    return found


def _is_deaf(spot: Spot, own: Iterable[str]) -> bool:
    return spot.role == "switch" and not any(map(is_usual, own))


def _fits(address: str, version: int) -> bool:
    return not version or (":" in address) == (version == 6)


def _held() -> list[str]:
    with open_socket() as sock:
        return [a.address for a in lookup.addresses(sock) if not a.flags]


def _cell(pair: Pair, probe: Probe, answer: Answer, names: Mapping[str, str]) -> Cell:
    by = pair.source if answer.by == OWN else names.get(answer.by, answer.by)
    return Cell(
        pair.source,
        pair.target,
        probe.name,
        answer.word,
        by,
        pair.address,
        answer.why,
        answer.milliseconds,
    )


def _names(known: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """By address; one that several nodes have stands for itself."""
    found: dict[str, str] = {}
    for node, some in known.items():
        for address in some:
            found[address] = node if address not in found else address
    return found


def _limits(where: Where, nodes: Iterable[str]) -> dict[str, int]:
    return {node: where.inside(node, _kept_back) for node in nodes}


def _kept_back() -> int:
    """ICMP errors that a limit kept the namespace from sending; 0 where nobody counts them."""
    found = 0
    with suppress(OSError), open("/proc/thread-self/net/snmp") as file:
        found += sum(n for name, n in paired(file.read()) if name.startswith("Icmp.OutRateLimit"))
    with suppress(OSError), open("/proc/thread-self/net/snmp6") as file:
        found += sum(int(line.split()[1]) for line in file if line.startswith("Icmp6OutRateLimit"))
    return found
