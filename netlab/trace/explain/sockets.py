"""Who takes a packet in a node, and what is sent back to it."""

from __future__ import annotations

from dataclasses import replace

from netlab.trace import model
from netlab.trace.explain import neighbours, tunnels
from netlab.trace.explain.errors import NO_PORT, error, icmp_words, reset, tracked
from netlab.trace.explain.packet import (
    ACK,
    DISCOVERY,
    ECHO_REPLY,
    RST,
    Packet,
    answer_to,
    syn_ack,
)
from netlab.trace.explain.story import Fate, Made, Next, Story, Taken
from netlab.trace.model import Disposition


def deliver(story: Story, came: Taken) -> list[Next]:
    """After the input hook."""
    packet = came.packet
    if packet.version == 6 and packet.is_icmp and packet.icmp[0] in DISCOVERY:
        return neighbours.discovered(story, came)
    if packet.inner is not None:
        return tunnels.unwrap(story, came)
    if packet.is_icmp:
        return [_icmp(story, came)]
    if came.node == story.sender and packet.flags & (RST | ACK):
        return [_taken(came, "the sender's socket")]
    if packet.flags & RST:
        return [_taken(came, "no socket is there for it")]
    return [_asked(story, came)]


def _taken(came: Taken, words: str, **more: object) -> Fate:
    trail = came.trail.then(model.Socket(words)) if words else came.trail
    fate = Fate(
        came.node, came.packet, trail, Disposition.DELIVERED, "", "input", came.device,
        decided=came.decided,
    )  # fmt: skip
    return replace(fate, **more)  # type: ignore[arg-type]


def _icmp(story: Story, came: Taken) -> Fate:
    packet, state = came.packet, story.state(came.node)
    if not packet.is_echo:
        return _taken(came, "the sender's socket")
    ignoring = (
        "net.ipv4.icmp_echo_ignore_all"
        if packet.version == 4
        else "net.ipv6.icmp.echo_ignore_all"
    )
    if state.switch(ignoring):
        return _taken(came, "", disposition=Disposition.UNREAD, cause="echo-ignored")
    answer = replace(
        answer_to(packet),
        icmp=(ECHO_REPLY[packet.version], 0),
        tos=packet.tos,
        dont_fragment=False,
    )
    fate = _taken(came, "taken in by the node itself", made=Made(answer, ""))
    return fate


def _asked(story: Story, came: Taken) -> Fate:
    packet, state = came.packet, story.state(came.node)
    port = f"{packet.protocol}/{packet.destination_port}"
    try:
        found = state.listener(
            packet.protocol, packet.destination, packet.destination_port.low, came.device
        )
        waits = found is not None
    except LookupError:
        question = f"whether a program of {came.node} waits on {port} by then"
        waits = story.choices.choose(question, ("one does", "none does")) == 0
    if waits and packet.flags & ACK:  # nobody has begun that connection
        return _nobody(story, came)
    if waits:
        answer = _answer(packet)
        return _taken(came, f"a program waits on {port}", made=answer and Made(answer, ""))
    return _nobody(story, came)


def _answer(packet: Packet) -> Packet | None:
    """Of TCP the kernel answers; what a program says to a datagram is its own matter."""
    if packet.protocol != "tcp":
        return None
    return syn_ack(packet)


def _nobody(story: Story, came: Taken) -> Fate:
    packet = came.packet
    name = f"no-listener-{packet.protocol}"
    if packet.protocol == "tcp":
        back, words = reset(packet), "TCP reset"
    else:
        back = error(story, came.node, packet, NO_PORT[packet.version])
        words = icmp_words(back) if back else ""
    made = Made(back, words) if back else None
    fate = _taken(came, "", disposition=Disposition.REFUSED, cause=name, made=made)
    return fate if packet.protocol == "tcp" else tracked(fate, came.seen)
