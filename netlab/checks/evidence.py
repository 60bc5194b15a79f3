"""Why a test may have failed: the way of a packet of its kind, and the counters that it moved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import NamedTuple

from netlab.checks.base import Site
from netlab.checks.counted import Rule, counted, packets
from netlab.errors import NetlabError
from netlab.kernel.values import HeldRule
from netlab.trace import model
from netlab.trace.model import (
    REACHED,
    Dropped,
    Hook,
    Hop,
    Made,
    Nat,
    Neighbour,
    Route,
    Socket,
    Step,
    Switched,
    Trace,
)
from netlab.trace.request import Words, probe_of

LONGEST = 12
"""Lines that are told of a way: the last ones, where it ended."""


class Evidence(NamedTuple):
    why: str = ""
    advice: str = ""
    line: str = ""
    """Of the topology."""
    told: tuple[str, ...] = ()


def evidence(words: Words | None, site: Site) -> Evidence:
    """As a packet finds it now; where none can be followed, as it is foretold."""
    if words is None:
        return Evidence()
    before = counted(site)
    found = traced(words, site)
    moved = tuple(_moved(before, counted(site)))
    if found is None or found.cause is None:
        foretold = _foretold(words, site)
        found = foretold if foretold and foretold.cause else found or foretold
    if found is None:
        return Evidence(told=moved)
    told = (*_told(found), *moved)
    if found.cause is None:
        return Evidence(told=told)
    at = f"at {found.place.node}: " if found.place else ""
    cause = found.cause
    line = cause.place or (cause.rule.place if cause.rule else "")
    return Evidence(f"{found.disposition} {at}{cause.sentence}", cause.advice, line, told)


def _told(found: Trace) -> list[str]:
    if found.disposition in REACHED:
        hops = [hop.node for leg in found.legs if leg.kind != "clone" for hop in leg.hops]
        way = " ".join(node for node, _ in groupby(hops))
        return [f"a packet of its kind was {found.disposition}: {way}"]
    return list(_way(found))[-LONGEST:]


def traced(words: Words, site: Site) -> Trace | None:
    """A packet, followed; None where it cannot be told."""
    from netlab.trace.backends import catalog
    from netlab.trace.journey import Request, trace

    try:
        return trace(site.terrain, Request(probe_of(words, site.terrain)), site.visits, catalog())
    except (NetlabError, OSError):
        return None


def _foretold(words: Words, site: Site) -> Trace | None:
    from netlab.trace.explain import held
    from netlab.trace.explain.foretell import foretell

    try:
        world = held.of_lab(site.terrain, site.visits)
        return foretell(world, probe_of(words, site.terrain))
    except (NetlabError, OSError):
        return None


def _moved(before: Mapping[Rule, HeldRule], after: Mapping[Rule, HeldRule]) -> Iterator[str]:
    for key, rule in after.items():
        more = packets(rule) - (packets(before[key]) if key in before else 0)
        if more > 0:
            table = f"{rule.family} {rule.table} {rule.chain}"
            yield f"{key.node}: +{more} counted in {table}: {rule.text}"


def _way(found: Trace) -> Iterator[str]:
    for leg in found.legs:
        if leg.kind != "clone":
            for hop in leg.hops:
                yield from _hop(hop, "" if leg.kind == "forward" else f" ({leg.kind})")


def _hop(hop: Hop, which: str) -> Iterator[str]:
    for step in hop.steps:
        for words in _step(step):
            yield f"{hop.node}{which}: {words}"


def _step(step: Step) -> Iterator[str]:
    match step:
        case Route():
            yield _route(step)
        case Neighbour():
            known = f"at {step.mac}" if step.mac else "unknown"
            yield f"neighbour {step.address} on {step.device} {known} {step.state}".rstrip()
        case Switched() if not step.local:
            yield f"bridge {step.bridge} to {', '.join(step.ports) or 'no port'}"
        case Hook():
            for chain in step.chains:
                yield from (_rule(r) for r in chain.rules if r.matched and r.verdict != "continue")
                if chain.by_policy and chain.verdict == "drop":
                    yield f"policy drop of {chain.family} {chain.table} {chain.name}"
        case Nat():
            changes = ", ".join(f"{c.before} → {c.after}" for c in step.changes)
            yield f"rewritten: {changes}"
        case Made() | Dropped() | Socket():
            yield step.words


def _route(step: Route) -> str:
    if step.error or not step.prefix:
        return f"no route to {step.destination}{step.error and f': {step.error}'}"
    via = f" via {step.via}" if step.via else ""
    device = f" dev {step.device}" if step.device else ""
    kind = f" {step.type}" if step.type != "unicast" else ""
    return f"route{kind} {step.prefix}{via}{device} to {step.destination}"


def _rule(rule: model.Rule) -> str:
    place = f"  ({rule.place})" if rule.place else ""
    return f"rule of {rule.family} {rule.table} {rule.chain}: {rule.text}{place}"
