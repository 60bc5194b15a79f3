"""What the IP of a node does with a packet: sent, taken in, forwarded.

IPv4 as in net/ipv4 (ip_input.c, route.c, ip_forward.c, ip_output.c), IPv6 as in net/ipv6.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import replace

from netlab.trace import model
from netlab.trace.explain import errors, hooks, neighbours, proxy, route
from netlab.trace.explain.admission import Routed, flow_of, route_in, route_in6
from netlab.trace.explain.packet import ARP, SYN, Packet
from netlab.trace.explain.route import LO, Decision, decide, said
from netlab.trace.explain.state import NodeState
from netlab.trace.explain.story import Fate, Leave, Next, Send, Story, Taken, Trail, Up
from netlab.trace.explain.tracking import Seen
from netlab.trace.model import Disposition

ENDS: Mapping[str, tuple[Disposition, str]] = {
    "blackhole": (Disposition.NULL_ROUTED, "blackhole"),
    "unreachable": (Disposition.NULL_ROUTED, "unreachable"),
    "prohibit": (Disposition.NULL_ROUTED, "prohibit"),
}
OF_ERRNO: Mapping[int, str] = {
    errno.EINVAL: "blackhole", errno.EHOSTUNREACH: "unreachable", errno.EACCES: "prohibit",
}  # fmt: skip
SMALLEST_HEADERS = {4: 20, 6: 48}
"""Bytes before the data of a fragment."""


# sent by the node itself


def send(story: Story, sent: Send) -> list[Next]:
    """From the socket, or from the kernel itself, to a device."""
    node, packet, user, outgoing = sent.node, sent.packet, sent.user, sent.outgoing
    state = story.state(node)
    decided = decide(state, replace(flow_of(packet), outgoing=outgoing), story.choices)
    trail = sent.trail.then(route.as_told(state, decided))
    if decided.error:
        return [_no_way(story, node, packet, trail, decided, "")]
    passed = hooks.at(
        story, node, "output", packet, outgoing=decided.device, seen=sent.seen, user=user
    )
    if passed.verdict != "accept":
        fate = hooks.denied(passed, node, "output", trail, decided.device)
        return [errors.with_reject(story, fate, passed, packet.is_icmp and user is None)]
    trail = trail.then(*passed.steps)
    packet, seen = passed.packet, passed.seen
    if passed.reroute:
        decided = decide(state, replace(flow_of(packet), outgoing=outgoing), story.choices)
        trail = trail.then(route.as_told(state, decided))
        if decided.error:
            return [_no_way(story, node, packet, trail, decided, "")]
    return _out(story, node, packet, trail, decided, seen, "", user)


def _no_way(
    story: Story, node: str, packet: Packet, trail: Trail, decided: Decision, incoming: str
) -> Fate:
    """There is no route; a router says so by ICMP, its own programs are told an errno."""
    kind = decided.type or (OF_ERRNO.get(decided.error, "") if decided.policy else "")
    disposition, cause = ENDS.get(kind, (Disposition.NO_ROUTE, "no-route"))
    stage = "prerouting" if incoming else ""
    fate = Fate(
        node, packet, trail, disposition, cause, stage, incoming, decided=decided,
        errno=decided.error, words=said(decided.error),
    )  # fmt: skip
    return errors.unreachable(story, fate) if incoming else fate


def _out(
    story: Story,
    node: str,
    packet: Packet,
    trail: Trail,
    decided: Decision,
    seen: Seen,
    incoming: str,
    user: int | None = None,
) -> list[Next]:
    """From the last hook to the device."""
    passed = hooks.at(
        story, node, "postrouting", packet, incoming=incoming, outgoing=decided.device, seen=seen,
        user=user, next_hop=decided.next_hop,
    )  # fmt: skip
    if passed.verdict != "accept":
        fate = hooks.denied(passed, node, "postrouting", trail, decided.device)
        busy = packet.is_icmp and user is None and not incoming
        return [errors.with_reject(story, fate, passed, busy)]
    trail, packet, seen = trail.then(*passed.steps), passed.packet, passed.seen
    if proxy.is_proxied(story, packet, seen):
        return proxy.goes_on(node, packet, trail)
    limit = mtu(story.state(node), decided)
    if size(packet) > limit:
        if packet.dont_fragment and not packet.pieces:
            fate = Fate(
                node, packet, trail, Disposition.TOO_BIG, "mtu", "postrouting", decided.device,
                decided=decided, errno=errno.EMSGSIZE,
            )  # fmt: skip
            return [fate]
        packet = replace(packet, pieces=piece(packet, limit))
        words = f"it goes in fragments of {packet.pieces} bytes and less"
        trail = trail.then(model.Note(words))
    if decided.device == LO:
        return [Leave(node, LO, packet, trail, seen, decided)]
    return _to_neighbour(story, node, packet, trail, decided, seen)


def _to_neighbour(
    story: Story, node: str, packet: Packet, trail: Trail, decided: Decision, seen: Seen
) -> list[Next]:
    state = story.state(node)
    link = state.links[decided.device]
    if not link.arp or not link.mac:
        packet = replace(packet, source_mac="", destination_mac="")
        return [Leave(node, decided.device, packet, trail, seen, decided)]
    found = neighbours.resolve(story, node, decided.device, decided.next_hop, packet)
    if found.step is not None:
        trail = trail.then(found.step)
    if not found.mac:
        return [
            Fate(
                node, packet, trail, Disposition.NO_NEIGHBOUR, "neighbour", "postrouting",
                decided.device, decided=decided, errno=errno.EHOSTUNREACH,
                made=errors.silent(story, node, packet, seen),
            )
        ]  # fmt: skip
    packet = replace(packet, source_mac=link.mac, destination_mac=found.mac)
    return [Leave(node, decided.device, packet, trail, seen, decided)]


def mtu(state: NodeState, decided: Decision) -> int:
    """What fits through the way."""
    own = decided.route.mtu if decided.route else 0
    link = state.links.get(decided.device)
    device = link.mtu if link else 0
    if decided.flow.version == 6 and link and link.conf6.get("mtu"):
        device = min(device, link.conf6["mtu"])
    return own or device


def size(packet: Packet) -> int:
    return packet.pieces or packet.length


def piece(packet: Packet, limit: int) -> int:
    """Bytes of a fragment that fits."""
    head = SMALLEST_HEADERS[packet.version]
    return (limit - head) // 8 * 8 + head


# taken in


def receive(story: Story, came: Up) -> list[Next]:
    """From a device up to the node's IP."""
    node, packet, device, to = came.node, came.packet, came.device, came.to
    state = story.state(node)
    if to == "other":
        return [Fate(node, packet, came.trail, Disposition.NOT_FOR_ME, "wrong-mac", "rx", device)]
    if packet.protocol == ARP:
        return neighbours.asked_by_arp(story, came)
    if packet.version == 6 and _is_switched_off(state, device):
        words = f"IPv6 is switched off on {device}"
        return [Fate(node, packet, came.trail, Disposition.LOST, "", "rx", device, words=words)]
    passed = hooks.at(
        story, node, "prerouting", packet, incoming=device, seen=came.seen, to=to,
        skipped=came.shown,
    )  # fmt: skip
    if passed.verdict != "accept":
        fate = hooks.denied(passed, node, "prerouting", came.trail, device)
        return [errors.with_reject(story, fate, passed)]
    trail, packet, seen = came.trail.then(*passed.steps), passed.packet, passed.seen
    if came.decided is not None and not passed.reroute:
        verdict = Routed(came.decided)
    else:
        verdict = (route_in if packet.version == 4 else route_in6)(
            state, device, packet, story.choices
        )
    trail = trail.then(route.as_told(state, verdict.decided))
    if verdict.problem:
        return [_refused(story, node, device, packet, trail, verdict, seen)]
    kind = verdict.decided.type
    if kind in ("local", "broadcast", "anycast") or packet.destination.is_multicast:
        return _deliver(story, node, device, packet, trail, verdict.decided, seen, to)
    return _forward(story, node, device, packet, trail, verdict.decided, seen)


def _is_switched_off(state: NodeState, device: str) -> bool:
    link = state.links.get(device)
    return link is None or not link.conf6 or bool(link.conf6.get("disable_ipv6"))


PROBLEMS: Mapping[str, Disposition] = {
    "martian-source": Disposition.SPOOFED,
    "rp-filter": Disposition.SPOOFED,
    "forwarding-off": Disposition.NOT_FORWARDED,
    "martian-destination": Disposition.LOST,
}


def _refused(
    story: Story,
    node: str,
    device: str,
    packet: Packet,
    trail: Trail,
    routed: Routed,
    seen: Seen,
) -> Fate:
    if routed.problem == "route":
        fate = _no_way(story, node, packet, trail, routed.decided, device)
        return errors.tracked(fate, seen)
    cause = "" if routed.problem == "martian-destination" else routed.problem
    words = "its destination belongs to no other node" if not cause else ""
    return Fate(
        node, packet, trail, PROBLEMS[routed.problem], cause, "prerouting", device,
        decided=routed.decided, words=words,
    )  # fmt: skip


# delivered and forwarded


def _deliver(
    story: Story,
    node: str,
    device: str,
    packet: Packet,
    trail: Trail,
    decided: Decision,
    seen: Seen,
    to: str,
) -> list[Next]:
    passed = hooks.at(story, node, "input", packet, incoming=device, seen=seen, to=to)
    if passed.verdict != "accept":
        fate = hooks.denied(passed, node, "input", trail, device)
        return [errors.with_reject(story, fate, passed)]
    trail, packet, seen = trail.then(*passed.steps), passed.packet, passed.seen
    return [Taken(node, device, packet, trail, seen, decided)]


def _forward(
    story: Story,
    node: str,
    device: str,
    packet: Packet,
    trail: Trail,
    decided: Decision,
    seen: Seen,
) -> list[Next]:
    place = (node, device, replace(packet, ttl=0, source_mac="", destination_mac=""))
    if place in story.met:
        return [
            Fate(node, packet, trail, Disposition.LOOPED, "routing-loop", "prerouting", device,
                 decided=decided)
        ]  # fmt: skip
    story.met.add(place)
    if packet.ttl <= 1:
        fate = Fate(
            node, packet, trail, Disposition.TTL_EXPIRED, "ttl", "prerouting", device,
            decided=decided,
        )  # fmt: skip
        return [errors.tracked(errors.expired(story, fate), seen)]
    limit = mtu(story.state(node), decided)
    if size(packet) > limit and (packet.dont_fragment or packet.version == 6):
        fate = Fate(
            node, packet, trail, Disposition.TOO_BIG, "mtu", "prerouting", device, decided=decided
        )
        return [errors.tracked(errors.too_big(story, fate, limit), seen)]
    packet = replace(packet, ttl=packet.ttl - 1)
    passed = hooks.at(
        story, node, "forward", packet, incoming=device, outgoing=decided.device, seen=seen
    )
    if passed.outcome and passed.outcome.synproxy and packet.flags & SYN:
        trail = trail.then(*passed.steps)
        return proxy.shakes_hands(story, node, packet, trail, device)
    if passed.verdict != "accept":
        fate = hooks.denied(passed, node, "forward", trail, device)
        return [errors.with_reject(story, fate, passed)]
    trail, packet, seen = trail.then(*passed.steps), passed.packet, passed.seen
    if not story.state(node).links[decided.device].up:
        return [_down(node, packet, trail, decided)]
    return _out(story, node, packet, trail, decided, seen, device)


def _down(node: str, packet: Packet, trail: Trail, decided: Decision) -> Fate:
    return Fate(
        node, packet, trail, Disposition.LINK_DOWN, "link-down", "postrouting", decided.device,
        decided=decided,
    )  # fmt: skip
