"""Whether a node believes a packet that came in, and where it would send it: routing on the way in.

IPv4 as in net/ipv4/route.c and fib_frontend.c, IPv6 as in net/ipv6/route.c.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from typing import NamedTuple

from netlab.trace.explain.choices import Choices
from netlab.trace.explain.packet import Packet
from netlab.trace.explain.route import LO, Decision, Flow, decide
from netlab.trace.explain.state import NodeState


def flow_of(packet: Packet, incoming: str = "", mark: int | None = None) -> Flow:
    return Flow(
        packet.destination,
        packet.source,
        incoming,
        "",
        packet.mark if mark is None else mark,
        packet.tos,
        packet.protocol,
        packet.source_port,
        packet.destination_port,
    )


class Routed(NamedTuple):
    """A decision about a packet that came in, and what speaks against it."""

    decided: Decision
    problem: str = ""
    """A cause's name; ``route`` where there is no way."""


def route_in(state: NodeState, device: str, packet: Packet, choices: Choices) -> Routed:
    """ip_route_input_slow."""
    source, destination = packet.source, packet.destination
    flow = flow_of(packet, device)
    nothing = Decision(flow)
    netlocal = state.most(device, "route_localnet")
    if source.is_multicast or int(source) == 0xFFFFFFFF:
        return Routed(nothing, "martian-source")
    if source.is_loopback and not netlocal:
        return Routed(nothing, "martian-source")
    if int(source) >> 24 == 0 and int(destination) != 0xFFFFFFFF:
        return Routed(nothing, "martian-source")
    if destination.is_loopback and not netlocal:
        return Routed(nothing, "martian-destination")
    found = decide(state, flow, choices)
    if found.error:
        if not state.forwards(4, device):
            return Routed(found, "forwarding-off")
        return Routed(found, "route")
    if found.type == "broadcast":
        nowhere = replace(packet, destination=IPv4Address(0))
        return Routed(found, _believed(state, device, nowhere, None, choices))
    if found.type == "local":
        return Routed(found, _believed(state, device, packet, None, choices))
    if not state.forwards(4, device):
        return Routed(found, "forwarding-off")
    return Routed(found, _believed(state, device, packet, found, choices))


def _believed(
    state: NodeState, device: str, packet: Packet, way: Decision | None, choices: Choices
) -> str:
    """fib_validate_source: "" where its source may be true, else the cause."""
    strict = state.most(device, "rp_filter")
    accepts = state.most(device, "accept_local")
    turns = way is not None and way.device == device
    if not strict and not turns and state.is_usual(4):
        own = state.holder(packet.source) is not None
        return "martian-source" if own and not accepts else ""
    mark = packet.mark if state.most(device, "src_valid_mark") else 0
    back = replace(
        flow_of(packet, way.device if way else "", mark),
        destination=packet.source,
        source=packet.destination,
        source_port=packet.destination_port,
        destination_port=packet.source_port,
    )
    found = decide(state, back, choices)
    if found.error:
        return "rp-filter" if strict else ""
    if found.type != "unicast" and not (found.type == "local" and accepts):
        return "martian-source"
    assert found.route is not None
    if any(hop.device == device for hop in found.route.hops) or device == LO:
        return ""
    if not any(state.of_device(device, 4)):
        return "rp-filter" if strict else ""
    return "rp-filter" if strict == 1 else ""


def route_in6(state: NodeState, device: str, packet: Packet, choices: Choices) -> Routed:
    """ip6_route_input; IPv6 asks nothing about sources."""
    flow = flow_of(packet, device)
    if packet.source.is_multicast or (packet.source.is_loopback and device != LO):
        return Routed(Decision(flow), "martian-source")
    found = decide(state, flow, choices)
    if found.error:
        return Routed(found, "route")
    if found.type == "unicast" and not state.forwards(6, device):
        return Routed(found, "forwarding-off")
    return Routed(found)
