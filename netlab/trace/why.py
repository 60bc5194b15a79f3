"""Why packets end: the first of all causes that holds, its sentence and its advice.

Sentences and advices name things in braces, see ``_words``; the table is ``netlab.trace.causes``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netlab.trace import clues_devices, reasons
from netlab.trace.causes import CAUSES
from netlab.trace.clues import (
    blocked_port,
    circle_of,
    dead_link,
    isolated_ports,
    mtu_of,
    named,
    shut_port,
    wrong_tunnel,
)
from netlab.trace.clues_sockets import places_of
from netlab.trace.entry import Entry
from netlab.trace.evidence import Evidence
from netlab.trace.model import Cause, Disposition


def explain(
    evidence: Evidence, entries: Sequence[Entry] = ()
) -> tuple[Disposition, Cause | None]:
    """The first entry that holds; LOST and None where none does. ``entries``: else all."""
    for entry in entries or CAUSES:
        found = holds(entry, evidence)
        if found:
            words = _words(evidence)
            is_denied = entry.disposition == Disposition.DENIED
            rule = evidence.rule if is_denied else None
            chain = evidence.chain if is_denied and not rule else None
            return entry.disposition, Cause(
                entry.name,
                entry.sentence.format_map(words),
                entry.advice.format_map(words),
                rule,
                rule.place if rule else chain.place if chain else "",
                found,
            )
    return Disposition.LOST, None


def by_name(name: str, evidence: Evidence) -> Cause | None:
    """A cause that is known by its name; the clues that hold are told, none has to."""
    entry = next((entry for entry in CAUSES if entry.name == name), None)
    if entry is None:
        return None
    words = _words(evidence)
    found = tuple(told for clue in entry.clues if (told := clue(evidence)))
    sentence, advice = entry.sentence.format_map(words), entry.advice.format_map(words)
    return Cause(name, sentence, advice, evidence=found)


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
    chain, packet, route = e.chain, e.packet, e.route
    reason = reasons.of(e.freed.reason, e.freed.function) if e.freed else reasons.Reason("")
    dead, blocked, down = dead_link(e), blocked_port(e), shut_port(e)
    tunnel = wrong_tunnel(e)
    return {
        "lab": e.terrain.lab,
        "node": e.node,
        "device": e.device,
        "out": route.device if route else e.device,
        "came_by": e.came_by,
        "peer": e.beyond.node if e.beyond else "",
        "peer_device": e.beyond_device,
        "peer_mtu": str(e.beyond_link.mtu if e.beyond_link else 0),
        "peer_of_tunnel": e.peer_of_tunnel,
        "source": e.source,
        "destination": e.destination,
        "port": f"{e.probe.protocol}/{packet.destination_port if packet else e.probe.port}",
        "length": str(packet.length if packet and packet.length else e.probe.size),
        "source_port": str(packet.source_port if packet else e.probe.from_port),
        "ttl": str(packet.ttl if packet else e.probe.ttl),
        "flags": packet.flags if packet else "",
        "places": places_of(e),
        "chain": f"{chain.family} {chain.table} {chain.name}" if chain else "",
        "rule": e.rule.text if e.rule else "",
        "prefix": route.prefix if route else "",
        "via": e.next_hop,
        "mtu": str(mtu_of(e)),
        "tunnel": named(tunnel),
        "remote": tunnel[1].remote if tunnel else "",
        "error_lost": e.error_lost,
        "error_maker": e.error_maker,
        "asked": e.probe.destination,
        "sender": e.probe.sender,
        "target": e.probe.target or e.probe.destination,
        "what": {"reply": "the answer", "error": "the ICMP error"}.get(e.leg, "the packet"),
        "mac": packet.destination_mac if packet else "",
        "hook": e.inside,
        "reason": reason.words,
        "reason_advice": reason.advice,
        "circle": " → ".join(circle_of(e)),
        "dead": named(dead),
        "dead_node": dead[0] if dead else "",
        "dead_device": dead[1].name if dead else "",
        "blocked": named(blocked),
        "down": named(down),
        "down_node": down[0] if down else "",
        "down_device": down[1].name if down else "",
        "isolated": " and ".join(named(pair) for pair in isolated_ports(e)),
        **clues_devices.words(e),
    }
