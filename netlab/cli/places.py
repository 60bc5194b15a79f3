"""Which lines of a topology a journey hangs on: those of routes and switches that ended it.

The rules of nftables know their lines by themselves; for the rest the file is read again, and only
where a journey failed, since that takes longer than the journey did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from netlab.trace.model import Hop, Leg, Route, Trace

Key = tuple[str, ...]
LinesOf = Callable[[str, str], Mapping[Key, str]]
"""By a file, and the digest that it has to have: ``file:line`` by the key of a resource."""

SWITCHES = {
    "rp-filter": "rp_filter",
    "echo-ignored": "icmp_echo_ignore_all",
    "forwarding-off": "forward",
}
"""A part of the name of the switch to blame, by cause."""
EVERYWHERE = {"0.0.0.0/0", "::/0"}


def located(found: Trace, digest: str, lines_of: LinesOf | None = None) -> Trace:
    """The same, with lines. ``digest``: of the file as the lab is up from it; ``lines_of``: who
    reads it, and may know it from before."""
    if found.cause is None or found.cause.place:
        return found
    lines = (lines_of or lines_in)(found.file, digest)
    legs = tuple(_leg(leg, lines) for leg in found.legs)
    place = _blamed(found, legs, lines)
    cause = replace(found.cause, place=place)
    legs = tuple(replace(leg, cause=cause) if leg.cause == found.cause else leg for leg in legs)
    return replace(found, legs=legs, cause=cause)


def lines_in(file: str, digest: str) -> Mapping[Key, str]:
    """``file:line`` by the key of a resource; {} where the file is another one now."""
    from netlab.cli.work import read
    from netlab.errors import NetlabError

    try:
        known = read(file)
    except NetlabError:
        return {}
    if known.wanted.digest != digest:
        return {}
    places = {key: known.loaded.place(path) for key, path in known.compiled.origins.items()}
    return {key: f"{file}:{line}" for key, (line, _) in places.items() if line}


def _leg(leg: Leg, lines: Mapping[Key, str]) -> Leg:
    return replace(leg, hops=tuple(_hop(hop, lines) for hop in leg.hops))


def _hop(hop: Hop, lines: Mapping[Key, str]) -> Hop:
    steps = (
        replace(step, place=_of_route(hop.node, step, lines)) if isinstance(step, Route) else step
        for step in hop.steps
    )
    return replace(hop, steps=tuple(steps))


def _of_route(node: str, route: Route, lines: Mapping[Key, str]) -> str:
    wanted = EVERYWHERE if route.prefix == "default" else {route.prefix}
    for key, place in lines.items():
        if key[0] == "route" and key[1].partition(".")[2] == node and key[3] in wanted:
            version = ":" in route.destination
            if (":" in key[3]) == version:
                return place
    return ""


def _blamed(found: Trace, legs: tuple[Leg, ...], lines: Mapping[Key, str]) -> str:
    """The route that leads nowhere, or the switch that is set so."""
    assert found.cause is not None and found.place is not None
    node = found.place.node
    part = SWITCHES.get(found.cause.name, "")
    for key, place in lines.items():
        if part and key[0] == "sysctl" and key[1].endswith(f".{node}") and part in key[-1]:
            return place
    for leg in legs:
        for step in leg.hops[-1].steps:
            if leg.cause == found.cause and isinstance(step, Route) and step.error:
                return step.place
    return ""
