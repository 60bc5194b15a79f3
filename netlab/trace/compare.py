"""What was seen beside what had been foretold: where the two differ. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netlab.trace.model import (
    Disposition,
    Foretold,
    Hook,
    Leg,
    Nat,
    Rule,
    Trace,
)

LEGS = {"forward": "the packet", "reply": "the answer", "error": "the error"}
ADDRESSES = ("source", "destination")
RULES = "nft-trace"
"""Who sees which rules match."""


def beside(seen: Trace, foretold: Trace, ways: Sequence[Trace] = ()) -> Foretold:
    """``ways``: all that were foretold, where it hangs on what cannot be known; one has to come."""
    cause = foretold.cause.name if foretold.cause else ""
    if foretold.disposition == Disposition.UNKNOWN and not ways:
        return Foretold(foretold.disposition, cause)
    found = (tuple(differences(seen, way)) for way in ways or (foretold,))
    return Foretold(foretold.disposition, cause, min(found, key=len))


def differences(seen: Trace, foretold: Trace) -> Iterator[str]:
    """In sentences; none where both are the same, as far as both tell."""
    with_rules = (RULES, "") in seen.backends
    unseen = not with_rules and seen.disposition == Disposition.LOST
    if seen.disposition != foretold.disposition and not (unseen or _by_a_program(seen, foretold)):
        yield f"foretold was {foretold.disposition}, it is {seen.disposition}"
    for kind, what in LEGS.items():
        mine, other = seen.leg(kind), foretold.leg(kind)
        if mine is not None and other is not None:
            yield from _of_leg(what, mine, other, with_rules)


def _by_a_program(seen: Trace, foretold: Trace) -> bool:
    """Whether it was answered or not is a program's own affair: it got a datagram."""
    ends = foretold.disposition, seen.disposition
    return seen.probe.protocol == "udp" and ends == (Disposition.DELIVERED, Disposition.ANSWERED)


def _of_leg(what: str, seen: Leg, foretold: Leg, with_rules: bool) -> Iterator[str]:
    went, was_to_go = _nodes(seen), _nodes(foretold)
    if went != was_to_go:
        yield f"{what} was to go {' → '.join(was_to_go)}, it went {' → '.join(went)}"
        return
    for mine, other in zip(seen.hops, foretold.hops, strict=True):
        rules, expected = _rules(mine.steps), _rules(other.steps)
        if with_rules and rules != expected:
            words = ", ".join(sorted({*expected} - {*rules})) or "none"
            instead = ", ".join(sorted({*rules} - {*expected})) or "none"
            yield f"in {mine.node}, of {what}: foretold to match {words}; matched {instead}"
        changed, to_change = _changes(mine.steps), _changes(other.steps)
        if changed != to_change:
            said = f"foretold was {_told(to_change)}, it is {_told(changed)}"
            yield f"in {mine.node}, of {what}: {said}"


def _nodes(leg: Leg) -> list[str]:
    return [hop.node for hop in leg.hops]


def _rules(steps: tuple[object, ...]) -> list[str]:
    """Those that matched, in their chains; of one that steals the packet nftables does not tell."""
    return [
        _words(rule)
        for step in steps
        if isinstance(step, Hook)
        for chain in step.chains
        for rule in chain.rules
        if rule.matched and rule.verdict != "stolen"
    ]


def _words(rule: Rule) -> str:
    return rule.place or f"{rule.table} {rule.chain}: {rule.text}"


def _changes(steps: tuple[object, ...]) -> list[tuple[str, str, str]]:
    """Of addresses; which port NAT takes cannot be known."""
    return [
        (change.field, change.before, change.after)
        for step in steps
        if isinstance(step, Nat)
        for change in step.changes
        if change.field in ADDRESSES
    ]


def _told(changes: list[tuple[str, str, str]]) -> str:
    return ", ".join(f"{field} {before} → {after}" for field, before, after in changes) or "no NAT"
