"""From device to device: what is handed to one, and what comes in by one (drivers/net/veth.c)."""

from __future__ import annotations

from dataclasses import replace

from netlab.kernel.holding import HeldLink
from netlab.trace import model
from netlab.trace.explain import bridging, hooks, tunnels
from netlab.trace.explain.bridging import VLAN_BYTES, whom
from netlab.trace.explain.packet import as_told
from netlab.trace.explain.route import LO
from netlab.trace.explain.story import Arrive, Fate, Leave, Next, Story, Trail, Up
from netlab.trace.model import Disposition

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
        return bridging.switch(story, replace(going, packet=packet, trail=trail), device, "")
    if link.kind == "vxlan":
        trail = trail.then(model.Tx(device, as_told(packet)))
        return tunnels.wrap(story, replace(going, packet=packet, trail=trail), link)
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
    to = whom(state.links[device], packet)
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
        return bridging.into_port(story, going, port.bridge, device)
    return [Up(node, device, came.packet, trail, came.seen, came.decided, to)]
