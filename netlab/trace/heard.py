"""What the kernel said of its decisions, while it made them, beside what it was asked afterwards.

A route can have changed since, and a neighbour has answered since: what was decided for the packet
is what counts, and where the two are not the same that is said.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from netlab.trace.facts import NeighbourFact
from netlab.trace.model import Neighbour, Route
from netlab.trace.sighting import Sighting

NO_MATCH = errno.EAGAIN
"""A table that has nothing fitting: the next one is looked into."""
NULL = {errno.EINVAL: "blackhole", errno.EHOSTUNREACH: "unreachable", errno.EACCES: "prohibit"}
"""What a route that leads nowhere answers (``fib_props``)."""
NEIGHBOURS = frozenset({"neighbour", "neighbour-new", "neighbour-dead"})
NO_STATE = frozenset({"none", ""})


@dataclass
class Heard:
    """Of one packet's visit to a node."""

    when: Callable[[int], float | None]
    """Nanoseconds since the epoch → microseconds since the first sighting."""
    _lookups: list[Sighting] = field(default_factory=list)
    _neighbours: dict[str, Sighting] = field(default_factory=dict)

    def hear(self, sighting: Sighting) -> None:
        if sighting.point == "route":
            self._lookups.append(sighting)
        elif sighting.point in NEIGHBOURS:
            self._neighbours[sighting.address] = sighting

    def decided(self, asked: Route | None, destination: str, out: str) -> tuple[Route | None, str]:
        """What the kernel decided, and in words what it would now, where that is another thing.

        ``out``: the device that the packet left by then; "" where that is not known.
        """
        found = [s for s in self._lookups if s.address == destination]
        self._lookups = []
        if not found:
            return asked, ""
        good = [s for s in found if not s.error]
        time = self.when((good or found)[-1].time)
        if not good:
            return self._refused(asked, destination, found[-1], time)
        won = good[-1]
        if asked is None:
            return self._route(destination, won, time), ""
        if asked.error or _same(asked, won, out):
            return replace(asked, time=time), ""
        return self._route(destination, won, time), f"by now the way would be {_way(asked)}"

    def _refused(
        self, asked: Route | None, destination: str, lookup: Sighting, time: float | None
    ) -> tuple[Route, str]:
        if asked is not None and asked.error:
            return replace(asked, time=time), ""
        kind = NULL.get(lookup.error, "")
        number = errno.ENETUNREACH if lookup.error == NO_MATCH else lookup.error
        said = f"{os.strerror(number)} [{errno.errorcode.get(number, number)}]"
        now = f"by now there is a way: {_way(asked)}" if asked else ""
        return Route(destination, type=kind, table=lookup.name, error=said, time=time), now

    def _route(self, destination: str, lookup: Sighting, time: float | None) -> Route:
        kind = lookup.state or "unicast"
        return Route(destination, "", kind, lookup.via, lookup.device, lookup.name, time=time)

    def neighbour(
        self, address: str, device: str, known: NeighbourFact | None
    ) -> Neighbour | None:
        """As the kernel found it when it looked; else as it is now."""
        heard = self._neighbours.get(address)
        mac = known.mac if known else ""
        if heard is not None and heard.device in ("", device):
            state = "incomplete" if heard.state in NO_STATE else heard.state
            return Neighbour(address, device, heard.mac or mac, state, self.when(heard.time))
        return Neighbour(address, device, mac, known.state) if known else None


def _same(asked: Route, won: Sighting, out: str) -> bool:
    """Of several next hops the lookup tells the first, and the packet goes by one of them."""
    if asked.type == "local" or won.state == "local":
        return asked.type == won.state
    if (asked.device, asked.via) == (won.device, won.via):
        return True
    return bool(out) and asked.device == out != won.device


def _way(route: Route) -> str:
    if route.type == "local":
        return "the node itself"
    via = f"via {route.via} " if route.via else ""
    return f"{via}dev {route.device}"


def took(first: float | None, last: float | None) -> float | None:
    """Microseconds between two points of time, where both are known."""
    return round(last - first, 1) if first is not None and last is not None else None
