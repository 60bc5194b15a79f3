"""Who has an address on the segment: what the node knows, else ARP and neighbour discovery are
played through, frame by frame (RFC 826, RFC 4861)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

from netlab.model.words import IP
from netlab.trace import model
from netlab.trace.explain import hooks
from netlab.trace.explain.admission import route_in
from netlab.trace.explain.packet import (
    ARP,
    ARP_REPLY,
    ARP_REQUEST,
    BROADCAST,
    Packet,
)
from netlab.trace.explain.route import Flow, address_type, decide, is_own
from netlab.trace.explain.source import select, select_ipv6
from netlab.trace.explain.state import NodeState
from netlab.trace.explain.story import Fate, Leave, Next, Send, Story, Taken, Trail, Up
from netlab.trace.model import Disposition

KNOWN = frozenset({"reachable", "stale", "delay", "probe", "permanent", "noarp"})
SOLICITATION, ADVERTISEMENT = (135, 0), (136, 0)
ARP_BYTES = 28
LEARNED = "learned"
"""The end of a frame that tells who has an address; the MAC is its fate's ``words``."""


class Neighbour(NamedTuple):
    mac: str
    """"" where nobody answered."""
    step: model.Neighbour | None = None


def resolve(story: Story, node: str, device: str, address: IP, packet: Packet) -> Neighbour:
    if address.is_multicast:
        return Neighbour(multicast_mac(address))
    state = story.state(node)
    if address_type(state, address, device) == "broadcast":
        return Neighbour(BROADCAST)
    for held in state.holding.neighbours:
        same = held.device == device and ip_address(held.address) == address
        if same and not held.proxy and held.state in KNOWN:
            return Neighbour(held.mac, _told(address, device, held.mac, held.state))
    key = (node, device, address)
    if key not in story.neighbours:
        story.neighbours[key] = ""
        story.neighbours[key] = _ask(story, node, device, address, packet)
    mac = story.neighbours[key]
    return Neighbour(mac, _told(address, device, mac, "reachable" if mac else "failed"))


def _told(address: IP, device: str, mac: str, state: str) -> model.Neighbour:
    return model.Neighbour(str(address), device, mac, state)


def multicast_mac(address: IP) -> str:
    """RFC 1112 and RFC 2464."""
    if address.version == 4:
        low = int(address) & 0x7FFFFF
        return (0x01005E000000 | low).to_bytes(6, "big").hex(":")
    return (0x333300000000 | int(address) & 0xFFFFFFFF).to_bytes(6, "big").hex(":")


def _ask(story: Story, node: str, device: str, address: IP, packet: Packet) -> str:
    """Send the question, and see whose answer comes back."""
    state = story.state(node)
    link = state.links[device]
    if not link.up or not link.carrier:
        return ""
    ask = _arp(state, device, address, packet) if address.version == 4 else _solicit(
        story, state, device, address, packet
    )  # fmt: skip
    if ask is None:
        return ""
    met, story.met = story.met, set()
    fates = story.run(story, ask)
    story.met = met
    here = (f for f in fates if f.cause == LEARNED and (f.node, f.device) == (node, device))
    answers = dict.fromkeys(fate.words for fate in here)
    if not answers:
        return ""
    macs = list(answers)
    question = f"who answers {node} for {address}: several have it"
    return macs[story.choices.choose(question, macs)] if len(macs) > 1 else macs[0]


# ARP


def _arp(state: NodeState, device: str, address: IP, packet: Packet) -> list[Next]:
    link = state.links[device]
    own = packet.source if is_own(state, packet.source) else select(state, device, address)
    frame = Packet(
        own or ip_address("0.0.0.0"), address, ARP, length=ARP_BYTES, source_mac=link.mac,
        destination_mac=BROADCAST, operation=ARP_REQUEST, target_mac="00:00:00:00:00:00",
    )  # fmt: skip
    return [Leave(state.node, device, frame, Trail().enter(state.node, state.role))]


def asked_by_arp(story: Story, came: Up) -> list[Next]:
    """arp_process."""
    state, packet = story.state(came.node), came.packet
    passed = hooks.at(story, came.node, "input", packet, incoming=came.device)
    if passed.verdict != "accept":
        return [hooks.denied(passed, came.node, "input", came.trail, came.device)]
    if packet.operation == ARP_REPLY:
        if is_own(state, packet.destination):
            return [_learned(came, packet.source_mac)]
        return [_ignored(came)]
    if not _answers(story, state, came):
        return [_ignored(came)]
    link = state.links[came.device]
    frame = replace(
        packet, source=packet.destination, destination=packet.source, source_mac=link.mac,
        destination_mac=packet.source_mac, target_mac=packet.source_mac, operation=ARP_REPLY,
    )  # fmt: skip
    passed = hooks.at(story, came.node, "output", frame, outgoing=came.device)
    if passed.verdict != "accept":
        return [hooks.denied(passed, came.node, "output", came.trail, came.device)]
    return [Leave(came.node, came.device, passed.packet, came.trail)]


def _answers(story: Story, state: NodeState, came: Up | Taken) -> bool:
    packet, device = came.packet, came.device
    if packet.destination.is_loopback and not state.most(device, "route_localnet"):
        return False
    asked = replace(packet, protocol="")
    routed = route_in(state, device, asked, story.choices)
    if routed.problem:
        return False
    if routed.decided.type == "local":
        return not _ignores(state, device, packet) and not _filters(story, state, came)
    if not state.forwards(4, device):
        return False
    away = routed.decided.device != device
    proxied = any(
        n.proxy and n.device == device and n.address == str(packet.destination)
        for n in state.holding.neighbours
    )
    return away and (proxied or bool(state.most(device, "proxy_arp")))


def _ignores(state: NodeState, device: str, packet: Packet) -> bool:
    """arp_ignore."""
    mode = state.most(device, "arp_ignore")
    if not mode:
        return False
    own = [a for a in state.of_device(device, 4) if a.ip == packet.destination]
    if mode in (1, 2):
        near = any(_same_subnet(a.ip, packet.source, a.held.length) for a in own)
        return not own or (mode == 2 and not near)
    return mode == 8 or (mode == 3 and not any(a.held.scope < 254 for a in own))


def _same_subnet(one: IP, other: IP, length: int) -> bool:
    return int(one) >> 32 - length == int(other) >> 32 - length


def _filters(story: Story, state: NodeState, came: Up | Taken) -> bool:
    """arp_filter: only the device answers by which the asker would be reached."""
    if not state.most(came.device, "arp_filter"):
        return False
    flow = Flow(came.packet.source, came.packet.destination)
    back = decide(state, flow, story.choices)
    return bool(back.error) or back.device != came.device


def _learned(came: Up | Taken, mac: str) -> Fate:
    return Fate(
        came.node, came.packet, came.trail, Disposition.DELIVERED, LEARNED, "rx", came.device,
        words=mac,
    )  # fmt: skip


def _ignored(came: Up | Taken) -> Fate:
    return Fate(came.node, came.packet, came.trail, Disposition.NOT_FOR_ME, "", "rx", came.device)


# neighbour discovery


def _solicit(
    story: Story, state: NodeState, device: str, address: IP, packet: Packet
) -> list[Next] | None:
    assert isinstance(address, IPv6Address)
    group = ip_address(int(ip_address("ff02::1:ff00:0")) | int(address) & 0xFFFFFF)
    own = packet.source if state.holder(packet.source) else select_ipv6(state, device, address)
    if own is None:
        return None
    question = Packet(
        own, group, "icmpv6", icmp=SOLICITATION, ttl=255, length=72, quoted=None,
        target=address, link_address=state.links[device].mac,
    )  # fmt: skip
    trail = Trail().enter(state.node, state.role)
    return [Send(state.node, question, trail, outgoing=device)]


def discovered(story: Story, came: Up | Taken) -> list[Next]:
    """A solicitation or an advertisement has got through the input hook."""
    state, packet = story.state(came.node), came.packet
    if packet.icmp == ADVERTISEMENT:
        return [_learned(came, packet.link_address)]
    if packet.icmp != SOLICITATION or packet.target is None:
        return [_ignored(came)]
    if not _has(story, state, came.device, packet.target):
        return [_ignored(came)]
    key = (came.node, came.device, packet.source)
    story.neighbours.setdefault(key, packet.link_address)
    answer = Packet(
        packet.target, packet.source, "icmpv6", icmp=ADVERTISEMENT, ttl=255, length=72,
        target=packet.target, link_address=state.links[came.device].mac,
    )  # fmt: skip
    return [Send(came.node, answer, came.trail, outgoing=came.device)]


def _has(story: Story, state: NodeState, device: str, target: IP) -> bool:
    for own in state.of_device(device, 6):
        if own.ip == target:
            return not {"tentative", "dadfailed"} & set(own.held.flags)
    if not state.forwards(6, device):
        return False
    return any(
        n.proxy and n.device == device and ip_address(n.address) == target
        for n in state.holding.neighbours
    )
