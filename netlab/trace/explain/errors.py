"""What a node sends back because of a packet that it does not pass on: ICMP errors and resets."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address

from netlab.trace.explain.evaluate import Reject, error_words
from netlab.trace.explain.hooks import Passed
from netlab.trace.explain.packet import ACK, RST, Packet, icmp_of
from netlab.trace.explain.route import Flow, decide, is_own
from netlab.trace.explain.story import Fate, Made, Story
from netlab.trace.explain.tracking import NOTHING, Seen, attached
from netlab.trace.headers import ICMP_NAMES

UNREACHABLE: Mapping[int, Mapping[int, tuple[int, int]]] = {
    4: {errno.ENETUNREACH: (3, 0), errno.EHOSTUNREACH: (3, 1), errno.EACCES: (3, 13)},
    6: {errno.ENETUNREACH: (1, 0), errno.EHOSTUNREACH: (1, 0), errno.EACCES: (1, 1)},
}
"""By IP version and the routing's errno (ip_error, ip6_pkt_discard)."""
EXPIRED = {4: (11, 0), 6: (3, 0)}
TOO_BIG = {4: (3, 4), 6: (2, 0)}
NO_PORT = {4: (3, 3), 6: (1, 4)}
NO_NEIGHBOUR = {4: (3, 1), 6: (1, 3)}
MOST = {4: 576, 6: 1280}
"""Bytes of an error, with what it quotes."""
HEADERS = {4: 28, 6: 48}
ECN = 3
CONTROL = 0xC0
"""IPTOS_PREC_INTERNETCONTROL: an error's own precedence."""


def error(
    story: Story, node: str, packet: Packet, kind: tuple[int, int], next_mtu: int = 0
) -> Packet | None:
    """An ICMP error about a packet; None where none may be sent (icmp_send)."""
    version = packet.version
    if packet.is_error or packet.destination.is_multicast or packet.source.is_multicast:
        return None
    if packet.source.is_unspecified:
        return None
    state = story.state(node)
    source = packet.destination if is_own(state, packet.destination) else None
    if source is None:
        source = decide(state, Flow(packet.source), story.choices).source
    length = min(MOST[version], HEADERS[version] + packet.length)
    return Packet(
        source or ip_address("0.0.0.0" if version == 4 else "::"),
        packet.source,
        icmp_of(version),
        icmp=kind,
        ttl=64,
        tos=packet.tos & 0x1E | CONTROL if version == 4 else 0,
        length=length,
        quoted=replace(packet, mark=0),
        next_mtu=next_mtu,
    )


def with_error(story: Story, fate: Fate, kind: tuple[int, int], next_mtu: int = 0) -> Fate:
    packet = error(story, fate.node, fate.packet, kind, next_mtu)
    if packet is None:
        return fate
    return replace(fate, made=Made(packet, icmp_words(packet)))


def icmp_words(packet: Packet) -> str:
    names = ICMP_NAMES.get(packet.protocol, {})
    code = f"{packet.icmp[0]}/{packet.icmp[1]}"
    return f"ICMP {names.get(code, code)}"


def tracked(fate: Fate, seen: Seen) -> Fate:
    """What is made because of a packet belongs to its connection."""
    if fate.made is None:
        return fate
    return replace(fate, made=replace(fate.made, seen=attached(seen)))


def unreachable(story: Story, fate: Fate) -> Fate:
    kind = UNREACHABLE[fate.packet.version].get(fate.errno)
    return fate if kind is None else with_error(story, fate, kind)


def expired(story: Story, fate: Fate) -> Fate:
    return with_error(story, fate, EXPIRED[fate.packet.version])


def too_big(story: Story, fate: Fate, limit: int) -> Fate:
    return with_error(story, fate, TOO_BIG[fate.packet.version], limit)


def silent(story: Story, node: str, packet: Packet, seen: Seen) -> Made | None:
    """Of a packet that waited for a neighbour who does not answer (arp_error_report)."""
    found = error(story, node, packet, NO_NEIGHBOUR[packet.version])
    return Made(found, icmp_words(found), attached(seen)) if found else None


def with_reject(story: Story, fate: Fate, passed: Passed, busy: bool = False) -> Fate:
    """What a ``reject`` sends back; ``busy``: while a node's ICMP sends it sends nothing else."""
    reject = passed.outcome.reject if passed.outcome else None
    if busy and reject and not reject.reset:
        return fate
    if reject is None or passed.verdict != "drop":
        return fate
    made = _reset(fate.packet) if reject.reset else None
    if not reject.reset:
        made = error(story, fate.node, fate.packet, reject.icmp)
    if made is None:
        return fate
    words = error_words(Reject(True), 4) if reject.reset else icmp_words(made)
    return replace(fate, made=Made(made, words, attached(passed.seen)))


def reset(packet: Packet) -> Packet | None:
    """Of a node's own TCP; that of a rule has a TOS of 0."""
    found = _reset(packet)
    return found and replace(found, tos=packet.tos & ~ECN)


def _reset(packet: Packet) -> Packet | None:
    """A reset is not answered by another one."""
    if packet.flags & RST:
        return None
    flags = RST if packet.flags & ACK else RST | ACK
    return Packet(
        packet.destination,
        packet.source,
        "tcp",
        packet.destination_port,
        packet.source_port,
        flags,
        ttl=64,
        length={4: 40, 6: 60}[packet.version],
        dont_fragment=True,
    )


__all__ = ["NOTHING", "NO_PORT", "error", "expired", "icmp_words", "reset", "silent", "too_big",
           "tracked", "unreachable", "with_error", "with_reject"]  # fmt: skip
