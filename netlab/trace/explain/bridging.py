"""Bridges: which ports a frame leaves by, and what it meets there (net/bridge).

What is IP may be shown to the chains of IP as well, with the bridge for its device: br_netfilter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from netlab.kernel.holding import HeldLink
from netlab.trace import model
from netlab.trace.explain import errors, hooks, neighbours
from netlab.trace.explain.admission import flow_of
from netlab.trace.explain.packet import ARP, BROADCAST, Packet, as_told
from netlab.trace.explain.route import decide
from netlab.trace.explain.state import NodeState
from netlab.trace.explain.story import Fate, Leave, Next, Story, Trail, Up
from netlab.trace.model import Disposition

VLAN_BYTES = 4
"""That much longer than its mtu a device takes a frame (is_skb_forwardable)."""
CALLS = {4: "net.bridge.bridge-nf-call-iptables", 6: "net.bridge.bridge-nf-call-ip6tables"}


def whom(link: HeldLink, packet: Packet) -> str:
    mac = packet.destination_mac
    if not mac or link.type != 1:
        return "host"
    if mac == BROADCAST:
        return "broadcast"
    if int(mac[:2], 16) & 1:
        return "multicast"
    return "host" if mac == link.mac else "other"


def into_port(story: Story, going: Leave, bridge: str, device: str) -> list[Next]:
    """br_handle_frame."""
    state = story.state(going.node)
    link, above = state.links[device], state.links[bridge]
    assert link.port is not None
    if not above.up or link.port.state in ("disabled", "blocking", "listening"):
        cause = "bridge-port-down" if link.port.state == "disabled" else "stp-blocking"
        return [_not_switched(going, going.trail, cause)]
    if link.port.learning and above.bridge and above.bridge.ageing:
        story.learned[going.node, bridge, going.packet.source_mac] = device
    if link.port.state == "learning":
        return [_not_switched(going, going.trail, "stp-blocking")]
    passed = hooks.at(
        story, going.node, "prerouting", going.packet, layer="bridge", incoming=device,
        to=whom(link, going.packet),
    )  # fmt: skip
    if passed.verdict != "accept":
        return [hooks.denied(passed, going.node, "prerouting", going.trail, device)]
    going = replace(going, packet=passed.packet, trail=going.trail.then(*passed.steps))
    shown = as_ip(story, going, "prerouting", incoming=bridge)
    if isinstance(shown, Fate):
        return [shown]
    return switch(story, _translated(story, going.packet, shown, bridge), bridge, device)


def _not_switched(going: Leave, trail: Trail, cause: str, stage: str = "rx") -> Fate:
    return Fate(
        going.node, going.packet, trail, Disposition.NOT_SWITCHED, cause, stage, going.device
    )


def switch(story: Story, going: Leave, bridge: str, entry: str) -> list[Next]:
    """The bridge's choice; ``entry`` is the port it came in by, "" for the bridge itself."""
    state, mac = story.state(going.node), going.packet.destination_mac
    if int(mac[:2], 16) & 1:
        ports = [p for p in _others(state, bridge, entry) if _floods(p, mac)]
        found = _out_of(story, going, bridge, entry, ports, known=False)
        return [*found, *_up(story, going, bridge, entry)]
    if entry and is_local(state, bridge, mac):
        step = model.Switched(bridge, mac, (), True, True)
        return _up(story, replace(going, trail=going.trail.then(step)), bridge, entry)
    port = _known_port(story, state, bridge, mac)
    if port is not None:
        return _out_of(story, going, bridge, entry, [port], known=True)
    ports = [p for p in _others(state, bridge, entry) if p.port and p.port.flood]
    return _out_of(story, going, bridge, entry, ports, known=False)


def _others(state: NodeState, bridge: str, entry: str) -> Iterator[HeldLink]:
    for link in state.holding.links:
        is_port = link.port is not None and link.port.bridge == bridge
        if is_port and (link.name != entry or (link.port and link.port.hairpin)):
            yield link


def _floods(link: HeldLink, mac: str) -> bool:
    assert link.port is not None
    return link.port.flood_broadcast if mac == BROADCAST else link.port.flood_multicast


def is_local(state: NodeState, bridge: str, mac: str) -> bool:
    """Whether a MAC is one of the bridge's own."""
    if state.links[bridge].mac == mac:
        return True
    return any(
        f.local and f.mac == mac and bridge in (f.bridge, f.device)
        for f in state.holding.forwarding
    )


def _known_port(story: Story, state: NodeState, bridge: str, mac: str) -> HeldLink | None:
    """What it learned on the way here is newer than what it held before."""
    name = story.learned.get((state.node, bridge, mac), "")
    if not name:
        entries = (
            f.device
            for f in state.holding.forwarding
            if f.bridge == bridge and f.mac == mac and not f.local
        )
        name = next(entries, "")
    return state.links.get(name)


def _out_of(
    story: Story, going: Leave, bridge: str, entry: str, ports: list[HeldLink], *, known: bool
) -> list[Next]:
    """br_forward: out of some ports, each with its hooks."""
    state, mac = story.state(going.node), going.packet.destination_mac
    usable = [p for p in ports if _delivers(state, entry, p) == ""]
    names = tuple(p.name for p in usable)
    step = model.Switched(bridge, mac, names, known)
    if not usable:
        cause = next((why for p in ports if (why := _delivers(state, entry, p))), "no-port")
        stage = "bridge prerouting" if entry else "postrouting"
        return [_not_switched(going, going.trail.then(step), cause, stage)]
    found: list[Next] = []
    for port in usable:
        found.append(_through_port(story, going, bridge, entry, port, step))
    return found


def _delivers(state: NodeState, entry: str, link: HeldLink) -> str:
    """should_deliver: "" where it does, else the cause."""
    port = link.port
    assert port is not None
    if link.name == entry and not port.hairpin:
        return "hairpin-off"
    if port.state != "forwarding" or not link.up:
        return "bridge-port-down" if port.state == "disabled" or not link.up else "stp-blocking"
    came = state.links[entry].port if entry else None
    return "isolated-port" if came and came.isolated and port.isolated else ""


def _through_port(
    story: Story, going: Leave, bridge: str, entry: str, port: HeldLink, step: model.Switched
) -> Next:
    forwarded = bool(entry)
    for hook in ("forward" if forwarded else "output", "postrouting"):
        incoming = entry if hook == "forward" else ""
        passed = hooks.at(
            story, going.node, hook, going.packet, layer="bridge", incoming=incoming,
            outgoing=port.name,
        )  # fmt: skip
        if passed.verdict != "accept":
            return hooks.denied(passed, going.node, hook, going.trail, port.name)
        going = replace(going, packet=passed.packet, trail=going.trail.then(*passed.steps))
        if forwarded:
            shown = as_ip(story, going, hook, incoming=bridge if incoming else "", outgoing=bridge)
            if isinstance(shown, Fate):
                return shown
            going = shown
    packet, trail = going.packet, going.trail.then(step)
    if (packet.pieces or packet.length) > port.mtu + VLAN_BYTES:
        return Fate(
            going.node, packet, trail, Disposition.TOO_BIG, "mtu", "bridge postrouting", port.name
        )
    return Leave(going.node, port.name, packet, trail)


def _up(story: Story, going: Leave, bridge: str, entry: str) -> list[Next]:
    """To the node's own IP, by the bridge device."""
    if not entry:
        return []
    passed = hooks.at(
        story, going.node, "input", going.packet, layer="bridge", incoming=entry
    )
    if passed.verdict != "accept":
        return [hooks.denied(passed, going.node, "input", going.trail, entry)]
    link = story.state(going.node).links[bridge]
    to = whom(link, passed.packet)
    own = is_local(story.state(going.node), bridge, passed.packet.destination_mac)
    told = as_told(passed.packet)
    trail = going.trail.then(*passed.steps, model.Rx(bridge, told, "host" if own else to))
    whose = "host" if own else to
    shown = is_shown_as_ip(story, going.node, passed.packet)
    return [
        Up(going.node, bridge, passed.packet, trail, going.seen, to=whose, shown=shown)
    ]


# as IP


def is_shown_as_ip(story: Story, node: str, packet: Packet) -> bool:
    return packet.protocol != ARP and bool(story.state(node).switch(CALLS[packet.version]))


def as_ip(
    story: Story, going: Leave, hook: str, incoming: str = "", outgoing: str = ""
) -> Leave | Fate:
    """A frame at a hook of IP's (br_nf_pre_routing, br_nf_forward, br_nf_post_routing)."""
    if not is_shown_as_ip(story, going.node, going.packet):
        return going
    passed = hooks.at(
        story, going.node, hook, going.packet, incoming=incoming, outgoing=outgoing,
        seen=going.seen, bridged=True,
    )  # fmt: skip
    if passed.verdict != "accept":
        fate = hooks.denied(passed, going.node, hook, going.trail, incoming or outgoing)
        return errors.with_reject(story, fate, passed)
    trail = going.trail.then(*passed.steps)
    return replace(going, packet=passed.packet, trail=trail, seen=passed.seen)


def _translated(story: Story, before: Packet, going: Leave, bridge: str) -> Leave:
    """With another destination it is routed: over the same bridge, or by the node's IP."""
    packet, state = going.packet, story.state(going.node)
    if packet.destination == before.destination:
        return going
    decided = decide(state, flow_of(packet, bridge), story.choices)
    mac = state.links[bridge].mac
    if not decided.error and decided.device == bridge and decided.type == "unicast":
        found = neighbours.resolve(story, going.node, bridge, decided.next_hop, packet)
        mac = found.mac or mac
    return replace(going, packet=replace(packet, destination_mac=mac))
