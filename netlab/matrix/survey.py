"""All pairs asked, side by side: each at least twice before its silence means anything.

First each is asked once, as fast as answers come. Those left are asked again and again until their
time is over. A prober never waits for one pair, so that a hundred silent ones take no longer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

from netlab.attempts import INTERVAL, Where
from netlab.kernel import lookup, neighbours
from netlab.kernel.wire import open_socket
from netlab.matrix.answer import NO_NEIGHBOUR, Answer
from netlab.matrix.pairs import Pair
from netlab.matrix.room import Room

QUIET = 0.02
"""Seconds without an answer after which the next are asked."""
OFTEN = 64
"""So many are asked before one looks for answers: a socket holds some 250."""
FIRST, AGAIN = 1, 2
"""What a pair adds to the table of neighbours: where all are asked, two directions share theirs."""
NEIGHBOUR = 3.3
"""Seconds after which whoever looks for a neighbour says that there is none (RFC 1122, 2.3.2.2)."""
TRIES = 3
"""So often those are asked again for whom the table of neighbours was full."""
SILENT = Answer("denied", "", "silence")
FULL = Answer("unknown", "", "the kernel's table of neighbours is full (gc_thresh3)")


class Prober(Protocol):
    """Asks; pairs are told apart by their places."""

    most: int
    """Pairs that may be waited for at once."""

    def open(self, places: Sequence[int]) -> None:
        """These are asked next."""

    def ask(self, place: int) -> Answer | None:
        """Also again. An answer where it is known at once. Raises OSError."""

    def answers(self, within: float) -> Iterable[tuple[int, Answer]]:
        """Those that have come, or that come within so many seconds; some may come twice."""

    def rest(self, places: Sequence[int]) -> None:
        """These are not waited for just now; they may be opened again."""

    def close(self) -> None: ...


class Survey:
    """Answers as they come, by place."""

    def __init__(
        self,
        where: Where,
        pairs: Sequence[Pair],
        prober: Prober,
        room: Room,
        nodes: Sequence[str],
        patience: float,
        told: Callable[[int], object] = lambda done: None,
    ) -> None:
        """``nodes``: all of the lab; ``patience``: seconds; ``told``: how many are known."""
        self._where, self._pairs, self._prober, self._room = where, pairs, prober, room
        self._nodes, self._patience, self._told = nodes, patience, told
        self.found: dict[int, Answer] = {}
        for place, pair in enumerate(pairs):
            if not pair.address:
                self.found[place] = Answer("no-address", "", pair.why)

    def run(self) -> dict[int, Answer]:
        """Raises OSError, KernelRefused."""
        for chunk in self._chunks(FIRST):
            self._ask(chunk)
            while self._open(chunk) and self._collect(QUIET):
                pass
            self._prober.rest(self._open(chunk))
            self._told(len(self.found))
        if self._open(range(len(self._pairs))):
            self._room.doubt()
        for _ in range(TRIES):
            before = self._room.refused()
            silent: dict[int, Answer] = {}
            for chunk in self._chunks(AGAIN):
                silent |= self._insist(chunk)
                self._told(len(self.found) + len(silent))
            if not silent or self._room.refused() == before:
                return self.found | silent
        return self.found | dict.fromkeys(silent, FULL)

    def _chunks(self, entries: int) -> Iterator[list[int]]:
        left = self._open(range(len(self._pairs)))
        while left:
            size = min(self._prober.most, self._room.pairs(entries))
            yield left[:size]
            left = left[size:]

    def _open(self, places: Iterable[int]) -> list[int]:
        return [place for place in places if place not in self.found]

    def _ask(self, places: Sequence[int]) -> None:
        self._prober.open(places)
        for order, place in enumerate(places, 1):
            answer = self._prober.ask(place)
            if answer is not None:
                self.found.setdefault(place, answer)
            if not order % OFTEN:
                self._collect(0)

    def _collect(self, within: float) -> int:
        """How many have come."""
        before = len(self.found)
        for place, answer in self._prober.answers(within):
            self.found.setdefault(place, answer)
        return len(self.found) - before

    def _insist(self, places: Sequence[int]) -> dict[int, Answer]:
        """What is to be said of those that stay silent."""
        began = time.monotonic()
        self._press(places, began + self._patience)
        sought = self._sought() if self._open(places) else {}
        silent = {p: self._silence(self._pairs[p], sought) for p in self._open(places)}
        # a router that looks for a neighbour will say how that ended
        missing = {address for some in sought.values() for address in some}
        waiting = [p for p in silent if silent[p] == SILENT and self._pairs[p].address in missing]
        self._press(waiting, began + NEIGHBOUR)
        self._prober.rest(self._open(places))
        return silent

    def _press(self, places: Sequence[int], until: float) -> None:
        while (left := self._open(places)) and (now := time.monotonic()) < until:
            self._ask(left)
            again = min(now + INTERVAL, until)
            while self._open(left) and (wait := again - time.monotonic()) > 0:
                self._collect(wait)

    def _sought(self) -> dict[str, frozenset[str]]:
        """By node the addresses of neighbours that it looks for in vain."""
        return {node: self._where.inside(node, neighbours.unanswered) for node in self._nodes}

    def _silence(self, pair: Pair, sought: Mapping[str, frozenset[str]]) -> Answer:
        vain = sought.get(pair.source, frozenset())
        if pair.address in vain:
            return NO_NEIGHBOUR
        gateway = self._where.inside(pair.source, partial(_gateway, pair.address)) if vain else ""
        return NO_NEIGHBOUR if gateway and gateway in vain else SILENT


def _gateway(address: str) -> str:
    """Of the calling thread's namespace; "" for none."""
    with suppress(OSError), open_socket() as sock:
        return lookup.route(sock, address).via
    return ""
