"""All pairs asked, side by side: each at least twice before its silence means anything.

First each is asked once, as fast as answers come. Those left are asked again and again until their
time is over. A prober never waits for one pair, so that a hundred silent ones take no longer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Protocol

from netlab.attempts import INTERVAL, Where
from netlab.kernel import neighbours
from netlab.matrix.answer import NO_NEIGHBOUR, Answer
from netlab.matrix.model import SILENCE
from netlab.matrix.pairs import Pair
from netlab.matrix.room import LEAST, Room
from netlab.matrix.ways import gateway

QUIET = 0.02
"""Seconds without an answer after which the next are asked."""
WINDOW, PAUSE = 16, 0.002
"""So many are asked at a stretch, and so many seconds without an answer end the wait for them."""
FIRST, AGAIN = 1, 2
"""What a pair adds to the table of neighbours: where all are asked, two directions share theirs."""
NEIGHBOUR = 3.3
"""Seconds after which a neighbour has been looked for three times, and is given up (arp(7))."""
TRIES = 3
"""So often those are asked again for whom the table of neighbours was full."""
SILENT = Answer("denied", "", SILENCE)
FULL = Answer("unknown", "", "the kernel's table of neighbours is full (gc_thresh3)")


Sought = dict[str, frozenset[str]]


class Prober(Protocol):
    """Asks; pairs are told apart by their places."""

    most: int
    """Pairs that may be waited for at once."""
    repeats: bool
    """Whether the kernel asks again by itself, for as long as it is waited."""

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
        self._sweep(self._open(range(len(self._pairs))))
        self._prober.rest(self._open(range(len(self._pairs))))
        if self._open(range(len(self._pairs))):
            self._room.doubt()
        for _ in range(TRIES):
            before = self._room.refused()
            silent: dict[int, Answer] = {}
            for chunk in self._apart():
                silent |= self._insist(chunk)
                self._told(len(self.found) + len(silent))
            if not silent or self._room.refused() == before:
                return self.found | silent
        return self.found | dict.fromkeys(silent, FULL)

    def _apart(self) -> Iterator[list[int]]:
        """Those that are left: all, or no more at once than can be waited for."""
        left = self._open(range(len(self._pairs)))
        if self._prober.repeats or len(left) > self._prober.most:
            return self._chunks(left, AGAIN)
        return iter([left])

    def _sweep(self, places: Sequence[int]) -> None:
        """Each is asked once, where room is scarce some after the other."""
        for chunk in self._chunks(places, FIRST):
            self._ask(chunk)
            while self._open(chunk) and self._collect(QUIET):
                pass
            if len(places) > self._prober.most:
                self._prober.rest(self._open(chunk))
            self._told(len(self.found))

    def _chunks(self, places: Sequence[int], entries: int) -> Iterator[list[int]]:
        left = self._open(places)
        while left:
            size = min(self._prober.most, self._room_for(entries))
            yield left[:size]
            left = self._open(left[size:])

    def _room_for(self, entries: int) -> int:
        """Where whom one looks for in vain takes up all room, that has an end."""
        until = time.monotonic() + NEIGHBOUR
        while not (found := self._room.pairs(entries)) and time.monotonic() < until:
            self._collect(INTERVAL)
            self._given_up()
            self._told(len(self.found))
        return found or LEAST

    def _given_up(self) -> None:
        """Of neighbours that the kernel has looked for long enough."""
        failed = {node: self._where.inside(node, neighbours.failed) for node in self._nodes}
        for place in self._open(range(len(self._pairs))):
            pair = self._pairs[place]
            if pair.address in failed.get(pair.source, ()):
                self.found[place] = NO_NEIGHBOUR

    def _open(self, places: Iterable[int]) -> list[int]:
        return [place for place in places if place not in self.found]

    def _ask(self, places: Sequence[int]) -> None:
        """No faster than they are answered, as long as they are.

        Before a neighbour is asked, all ports of its segment are asked for it (ARP); their packets
        wait in one queue a processor (net.core.netdev_max_backlog), and are lost where it is full.
        """
        self._prober.open(places)
        for first in range(0, len(places), WINDOW):
            some = places[first : first + WINDOW]
            for place in self._open(some):
                answer = self._prober.ask(place)
                if answer is not None:
                    self.found.setdefault(place, answer)
            while self._open(some) and self._collect(PAUSE):
                pass

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
        # whoever looks for a neighbour, the sender or a router, says after a while how that ended
        missing = {address for some in sought.values() for address in some}
        waiting = [
            place
            for place in self._open(places)
            if self._pairs[place].address in missing or self._is_alone(place, sought)
        ]
        self._press(waiting, began + NEIGHBOUR)
        sought = self._sought() if self._open(places) else {}
        silent = self._open(places)
        self._prober.rest(silent)
        return {p: NO_NEIGHBOUR if self._is_alone(p, sought) else SILENT for p in silent}

    def _press(self, places: Sequence[int], until: float) -> None:
        """Until that time, and so long after the first round that the last of it can answer."""
        self._sweep(places)
        until = max(until, time.monotonic() + INTERVAL)
        while (left := self._open(places)) and time.monotonic() < until:
            again = min(time.monotonic() + INTERVAL, until)
            while self._open(left) and (wait := again - time.monotonic()) > 0:
                self._collect(wait)
            if not self._prober.repeats and again < until:
                self._sweep(self._open(left))

    def _sought(self) -> Sought:
        """By node the addresses of neighbours that it looks for in vain."""
        return {node: self._where.inside(node, neighbours.unanswered) for node in self._nodes}

    def _is_alone(self, place: int, sought: Sought) -> bool:
        """Whether the sender looks in vain for the target, or for its gateway."""
        pair = self._pairs[place]
        vain = sought.get(pair.source, frozenset())
        if not vain or pair.address in vain:
            return bool(vain)
        return self._where.inside(pair.source, partial(gateway, pair.address)) in vain
