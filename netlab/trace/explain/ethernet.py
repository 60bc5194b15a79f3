"""From device to device: cables, bridges, tunnels (drivers/net/veth.c, vxlan; net/bridge)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

from netlab.kernel.holding import HeldLink
from netlab.trace import model
from netlab.trace.explain import hooks
from netlab.trace.explain.errors import NO_PORT, tracked, with_error
from netlab.trace.explain.packet import (
    BROADCAST,
    Packet,
    Span,
    alone,
    as_told,
    exactly,
)
from netlab.trace.explain.route import LO, Flow, decide
from netlab.trace.explain.state import NodeState
from netlab.trace.explain.story import Arrive, Fate, Leave, Next, Send, Story, Taken, Trail, Up
from netlab.trace.model import Disposition

VLAN_BYTES = 4
"""That much longer than its mtu a veth takes a frame (is_skb_forwardable)."""
VXLAN_BYTES = {4: 20 + 8 + 8 + 14, 6: 40 + 8 + 8 + 14}
DEFAULT = "00:00:00:00:00:00"
FLOW_PORTS = Span(32768, 60999, "a hash over the inner packet")
PASSES = frozenset({"forwarding"})
TUNNELS = frozenset({"tun"})


# out of a device


def leave(story: Story, going: Leave) -> list[Next]:
    node, device, packet = going.node, going.device, going.packet
    link = story.state(node).links[device]
    trail = going.trail
    passed = hooks.at(story, node, "egress", packet, layer="netdev", outgoing=device)
    if passed.verdict != "accept":
        return [hooks.denied(passed, node, "egress", trail, device, "egress")]
    trail, packet = trail.then(*passed.steps), passed.packet
    if not link.up:
        return [_down(going, trail)]
    if device == LO:
        trail = trail.then(model.Tx(LO, as_told(packet)))
        return [Arrive(node, LO, packet, trail, going.seen, going.decided)]
    if link.kind == "bridge":
        trail = trail.then(model.Tx(device, as_told(packet)))
        return _switch(story, replace(going, packet=packet, trail=trail), device, "")
    if link.kind == "vxlan":
        trail = trail.then(model.Tx(device, as_told(packet)))
        return _wrap(story, replace(going, packet=packet, trail=trail), link)
    if not link.carrier:
        return [_no_carrier(story, going, trail, link)]
    return _cross(story, replace(going, packet=packet, trail=trail), link)


def _down(going: Leave, trail: Trail) -> Fate:
    return Fate(
        going.node, going.packet, trail, Disposition.LINK_DOWN, "link-down", "postrouting",
        going.device, decided=going.decided,
    )  # fmt: skip


def _no_carrier(story: Story, going: Leave, trail: Trail, link: HeldLink) -> Fate:
    unread = link.kind in TUNNELS
    disposition, cause = (
        (Disposition.UNREAD, "tun-without-reader")
        if unread
        else (Disposition.LINK_DOWN, "link-down")
    )
    return Fate(
        going.node, going.packet, trail, disposition, cause, "egress", going.device,
        decided=going.decided,
    )  # fmt: skip


def _cross(story: Story, going: Leave, link: HeldLink) -> list[Next]:
    """A cable to another node, or out of what is known."""
    node, packet = going.node, going.packet
    trail = going.trail.then(model.Tx(going.device, as_told(packet)))
    other, far = story.world.peer(node, going.device)
    if not other:
        return [
            Fate(node, packet, trail, Disposition.LEFT, "left", "tx", going.device,
                 decided=going.decided)
        ]  # fmt: skip
    peer = story.state(other)
    beyond = peer.links[far]
    if not beyond.up:
        return [
            Fate(node, packet, trail, Disposition.LINK_DOWN, "link-down", "tx", going.device,
                 decided=going.decided)
        ]  # fmt: skip
    if (packet.pieces or packet.length) > beyond.mtu + VLAN_BYTES:
        return [
            Fate(node, packet, trail, Disposition.TOO_BIG, "mtu-mismatch", "tx", going.device,
                 decided=going.decided)
        ]  # fmt: skip
    trail = trail if other == node else trail.enter(other, peer.role)
    return [Arrive(other, far, packet.elsewhere(), trail)]


# into a device


def arrive(story: Story, came: Arrive) -> list[Next]:
    node, device, packet = came.node, came.device, came.packet
    state = story.state(node)
    to = _whom(state.links[device], packet)
    trail = came.trail.then(model.Rx(device, as_told(packet), to))
    passed = hooks.at(story, node, "ingress", packet, layer="netdev", incoming=device, to=to)
    trail = trail.then(*passed.steps)
    if passed.verdict == "stolen" and passed.outcome and passed.outcome.to in state.links:
        return [Leave(node, passed.outcome.to, passed.packet, trail)]
    if passed.verdict != "accept":
        return [hooks.denied(passed, node, "ingress", came.trail, device, "rx")]
    came = replace(came, packet=passed.packet, trail=trail)
    port = state.links[device].port
    if port is not None:
        going = Leave(node, device, came.packet, trail)
        return _into_port(story, going, port.bridge, device)
    return [Up(node, device, came.packet, trail, came.seen, came.decided, to)]


def _whom(link: HeldLink, packet: Packet) -> str:
    mac = packet.destination_mac
    if not mac or link.type != 1:
        return "host"
    if mac == BROADCAST:
        return "broadcast"
    if int(mac[:2], 16) & 1:
        return "multicast"
    return "host" if mac == link.mac else "other"


# bridges


def _into_port(story: Story, going: Leave, bridge: str, device: str) -> list[Next]:
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
        to=_whom(link, going.packet),
    )  # fmt: skip
    if passed.verdict != "accept":
        return [hooks.denied(passed, going.node, "prerouting", going.trail, device)]
    trail = going.trail.then(*passed.steps)
    return _switch(story, replace(going, packet=passed.packet, trail=trail), bridge, device)


def _not_switched(going: Leave, trail: Trail, cause: str, stage: str = "rx") -> Fate:
    return Fate(
        going.node, going.packet, trail, Disposition.NOT_SWITCHED, cause, stage, going.device
    )


def _switch(story: Story, going: Leave, bridge: str, entry: str) -> list[Next]:
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
        found.append(_through_port(story, going, entry, port, step))
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
    story: Story, going: Leave, entry: str, port: HeldLink, step: model.Switched
) -> Next:
    packet, trail = going.packet, going.trail
    for hook in (("forward" if entry else "output"), "postrouting"):
        passed = hooks.at(
            story, going.node, hook, packet, layer="bridge",
            incoming=entry if hook == "forward" else "", outgoing=port.name,
        )  # fmt: skip
        if passed.verdict != "accept":
            return hooks.denied(passed, going.node, hook, trail, port.name)
        packet, trail = passed.packet, trail.then(*passed.steps)
    trail = trail.then(step)
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
    to = _whom(link, passed.packet)
    own = is_local(story.state(going.node), bridge, passed.packet.destination_mac)
    told = as_told(passed.packet)
    trail = going.trail.then(*passed.steps, model.Rx(bridge, told, "host" if own else to))
    return [Up(going.node, bridge, passed.packet, trail, to="host" if own else to)]


# tunnels


def _wrap(story: Story, going: Leave, link: HeldLink) -> list[Next]:
    """vxlan_xmit."""
    state, packet = story.state(going.node), going.packet
    assert link.vxlan is not None
    found: list[Next] = []
    for remote in _remotes(story, state, link, packet.destination_mac):
        local = ip_address(link.vxlan.local) if link.vxlan.local else None
        to = ip_address(remote)
        flow = Flow(to, local, "", "", 0, 0, "udp", FLOW_PORTS, exactly(link.vxlan.port))
        source = local or decide(state, flow, story.choices).source
        outer = Packet(
            source or ip_address("0.0.0.0" if to.version == 4 else "::"), to, "udp", FLOW_PORTS,
            exactly(link.vxlan.port), length=packet.length + VXLAN_BYTES[to.version],
            inner=packet.elsewhere(), vni=link.vxlan.id,
        )  # fmt: skip
        step = model.Tunnelled(going.device, True, alone(outer))
        found.append(Send(going.node, outer, going.trail.then(step)))
    if not found:
        return [_not_switched(going, going.trail, "no-port", "egress")]
    return found


def _remotes(story: Story, state: NodeState, link: HeldLink, mac: str) -> list[str]:
    assert link.vxlan is not None
    learned = story.learned.get((state.node, link.name, mac), "")
    if learned:
        return [learned]
    entries = [f for f in state.holding.forwarding if f.device == link.name and f.remote]
    known = [f.remote for f in entries if f.mac == mac]
    if known:
        return known[:1]
    rest = [f.remote for f in entries if f.mac == DEFAULT]
    return list(dict.fromkeys(rest)) or ([link.vxlan.remote] if link.vxlan.remote else [])


def unwrap(story: Story, came: Taken) -> list[Next]:
    """vxlan_rcv: a tunnel's packet has come to the node's UDP."""
    state, outer = story.state(came.node), came.packet
    inner = outer.inner
    assert inner is not None
    port = outer.destination_port.low
    ends = [link for link in state.holding.links if link.vxlan and link.vxlan.port == port]
    tunnel = next((link for link in ends if link.vxlan and link.vxlan.id == outer.vni), None)
    if tunnel is None or not tunnel.up:
        fate = Fate(
            came.node, outer, came.trail, Disposition.MISDIRECTED, "vxlan-wrong-peer", "input",
            came.device, decided=came.decided,
        )  # fmt: skip
        if not ends:
            fate = tracked(with_error(story, fate, NO_PORT[outer.version]), came.seen)
        return [fate]
    assert tunnel.vxlan is not None
    if tunnel.vxlan.learning:
        story.learned[came.node, tunnel.name, inner.source_mac] = str(outer.source)
    trail = came.trail.then(model.Tunnelled(tunnel.name, False, alone(outer)))
    return [Arrive(came.node, tunnel.name, inner, trail)]
