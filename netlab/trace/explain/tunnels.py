"""Tunnels: a frame goes into a packet, and comes out of it elsewhere (drivers/net/vxlan)."""

from __future__ import annotations

from ipaddress import ip_address

from netlab.kernel.holding import HeldLink
from netlab.trace import model
from netlab.trace.explain.errors import NO_PORT, tracked, with_error
from netlab.trace.explain.packet import Packet, Span, alone, exactly
from netlab.trace.explain.route import Flow, decide
from netlab.trace.explain.state import NodeState
from netlab.trace.explain.story import Arrive, Fate, Leave, Next, Send, Story, Taken
from netlab.trace.model import Disposition

VXLAN_BYTES = {4: 20 + 8 + 8 + 14, 6: 40 + 8 + 8 + 14}
EVERYTHING_ELSE = "00:00:00:00:00:00"
"""The MAC of an entry for all that is not known."""
FLOW_PORTS = Span(32768, 60999, "a hash over the inner packet")


def wrap(story: Story, going: Leave, link: HeldLink) -> list[Next]:
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
        return [
            Fate(going.node, packet, going.trail, Disposition.NOT_SWITCHED, "", "egress",
                 going.device, words="the tunnel has no other end")
        ]  # fmt: skip
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
    rest = [f.remote for f in entries if f.mac == EVERYTHING_ELSE]
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
