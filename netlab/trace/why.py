"""Why packets end: a table of causes, each with what shows it, a sentence and an advice.

A cause is one entry. It holds where all of its clues hold; the first entry of the table that holds
is the one, so that what is certain stands before what is only likely. A clue is a function of the
evidence that answers in words, or "" where it is not so; the words are the trace's ``evidence``.
Sentences and advices name things in braces, see ``_words``.

A new cause::

    Entry("rp-filter", SPOOFED, (after("rx", "prerouting"), counted("TcpExt.IPReversePathFilter")),
          "{node} expects {source} from another device than {device}", "…")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from netlab.trace.evidence import Evidence
from netlab.trace.model import Cause, Disposition

Clue: TypeAlias = Callable[[Evidence], str]


@dataclass(frozen=True)
class Entry:
    name: str
    """As ``--expect`` knows it."""
    disposition: Disposition
    clues: tuple[Clue, ...]
    sentence: str
    advice: str = ""


def explain(evidence: Evidence) -> tuple[Disposition, Cause | None]:
    """The first entry that holds; LOST and None where none does."""
    for entry in CAUSES:
        found = holds(entry, evidence)
        if found:
            words = _words(evidence)
            rule = evidence.rule if entry.disposition == Disposition.DENIED else None
            return entry.disposition, Cause(
                entry.name,
                entry.sentence.format_map(words),
                entry.advice.format_map(words),
                rule,
                rule.place if rule else "",
                found,
            )
    return Disposition.LOST, None


def holds(entry: Entry, evidence: Evidence) -> tuple[str, ...]:
    """What its clues say; () where one of them does not hold."""
    found = []
    for clue in entry.clues:
        words = clue(evidence)
        if not words:
            return ()
        found.append(words)
    return tuple(found)


def names() -> list[str]:
    return list(dict.fromkeys(entry.name for entry in CAUSES))


def _words(e: Evidence) -> Mapping[str, str]:
    rule, chain, packet = e.rule, e.chain, e.packet
    port = f"{e.probe.protocol}/{e.probe.port}"
    return {
        "node": e.node,
        "device": e.device,
        "out": e.route.device if e.route else e.device,
        "peer": e.beyond.node if e.beyond else "",
        "peer_device": e.beyond_device,
        "source": e.source,
        "destination": e.destination,
        "port": port,
        "length": str(packet.length if packet else e.probe.size),
        "hook": e.inside or (chain.name if chain else ""),
        "chain": f"{chain.family} {chain.table} {chain.name}" if chain else "",
        "rule": rule.text if rule else "",
        "prefix": e.route.prefix if e.route else "",
        "via": e.next_hop,
        "mtu": str(_mtu(e)),
        "peer_mtu": str(e.beyond_link.mtu if e.beyond_link else 0),
        "ip": e.ip,
        "sender": e.probe.sender,
        "target": e.probe.target or e.probe.destination,
        "what": "the answer" if e.leg == "reply" else "the packet",
        "mac": packet.destination_mac if packet else "",
    }


def _mtu(e: Evidence) -> int:
    if e.route and e.route.mtu:
        return e.route.mtu
    link = e.facts.links.get(e.route.device) if e.route else e.link
    return link.mtu if link else 0


# clues


def after(*stages: str) -> Clue:
    """It was last seen there: at a device, or at the end of a hook."""

    def clue(e: Evidence) -> str:
        blind = not e.hooks_seen and e.stage == "rx" and "prerouting" in stages
        seen = blind or e.stage in stages
        where = f" at {e.device}" if e.stage in ("rx", "tx", "egress") else ""
        return f"last seen in {e.node} after {e.stage}{where}" if seen and not e.inside else ""

    return clue


def never_sent(e: Evidence) -> str:
    return f"{e.node} sent nothing" if not e.stage and not e.inside else ""


def of_leg(*kinds: str) -> Clue:
    return lambda e: f"it is of the {e.leg} leg" if e.leg in kinds else ""


def counted(*counters: str) -> Clue:
    return lambda e: e.grew(*counters)


def result(*codes: str) -> Clue:
    def clue(e: Evidence) -> str:
        return f"the program was told {e.probe.result}" if e.probe.result in codes else ""

    return clue


def route_says(*codes: str) -> Clue:
    """The kernel's answer when asked for the route."""

    def clue(e: Evidence) -> str:
        said = e.route.error if e.route else ""
        return f"the route lookup says: {said}" if any(f"[{c}]" in said for c in codes) else ""

    return clue


def told(*codes: str) -> Clue:
    """An ICMP error of one of these types and codes came of it."""

    def clue(e: Evidence) -> str:
        return f"{e.error_maker} sent ICMP {e.error}" if e.error in codes else ""

    return clue


def sysctl(name: str, *values: str) -> Clue:
    """``{ip}`` and ``{device}`` in the name stand for those of the evidence."""

    def clue(e: Evidence) -> str:
        path = name.format(ip=e.ip, device=e.device.replace(".", "/"))
        found = e.facts.sysctls.get(path)
        return f"{path} of {e.node} is {found}" if found in values else ""

    return clue


def either(*clues: Clue) -> Clue:
    return lambda e: next((words for clue in clues if (words := clue(e))), "")


def every(*clues: Clue) -> Clue:
    def clue(e: Evidence) -> str:
        found = [c(e) for c in clues]
        return "; ".join(found) if all(found) else ""

    return clue


def no(clue: Clue, words: str) -> Clue:
    return lambda e: "" if clue(e) else words


# nftables


def dropped_by_rule(e: Evidence) -> str:
    return f"the trace of nftables says drop: {e.rule.text}" if e.rule else ""


def dropped_by_policy(e: Evidence) -> str:
    if e.chain is None or e.rule is not None or e.chain.verdict != "drop":
        return ""
    return f"the trace of nftables says policy drop of chain {e.chain.name}"


def rule_says(*words: str) -> Clue:
    def clue(e: Evidence) -> str:
        text = e.rule.text.partition(" comment ")[0] if e.rule else ""
        return next((f"the rule has “{w}”" for w in words if w in text), "")

    return clue


def tracked_as_invalid(e: Evidence) -> str:
    from netlab.trace.model import Conntrack

    states = [s.state for s in e.steps if isinstance(s, Conntrack)]
    return "connection tracking took it for invalid" if "invalid" in states else ""


CAUSES: tuple[Entry, ...] = (
    Entry(
        "conntrack-invalid",
        Disposition.DENIED,
        (dropped_by_rule, rule_says("ct state invalid", "ct state { invalid")),
        "{node} takes {what} for a part of no connection it knows, and drops that: {rule}",
        "both directions have to pass {node}, or the rule has to let such packets through",
    ),
    Entry(
        "nft-reject",
        Disposition.DENIED,
        (dropped_by_rule, rule_says("reject")),
        "a rule of {node} rejects {what}: {rule}",
        "change the rule, or put one that accepts before it",
    ),
    Entry(
        "nft-limit",
        Disposition.DENIED,
        (dropped_by_rule, rule_says("limit rate", "quota")),
        "a rule of {node} drops what comes too fast: {rule}",
        "raise the rule's rate or burst",
    ),
    Entry(
        "nft-drop",
        Disposition.DENIED,
        (dropped_by_rule,),
        "a rule of {node} drops {what} without a word, so that the sender waits: {rule}",
        "change the rule, or put one that accepts before it; `reject` would fail at once",
    ),
    Entry(
        "nft-policy",
        Disposition.DENIED,
        (dropped_by_policy,),
        "no rule of chain {chain} in {node} accepts {what}, and the chain's policy is drop",
        "add a rule that accepts it",
    ),
)
