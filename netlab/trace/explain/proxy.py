"""Who shakes hands in a server's place: nftables' synproxy (net/netfilter/nf_synproxy_core.c).

A SYN goes no further: the proxy answers it with a cookie. Only when the client confirms that does
the proxy send a SYN of its own, under the client's address; and when the server has answered, it
confirms to both.
"""

from __future__ import annotations

from dataclasses import replace

from netlab.trace import model
from netlab.trace.explain.packet import ACK, SYN, Packet, answer_to, syn_ack
from netlab.trace.explain.story import Fate, Next, Send, Story, Trail, furthest
from netlab.trace.explain.tracking import Seen, tuple_of
from netlab.trace.model import Disposition

ACK_BYTES = {4: 52, 6: 72}
"""With a timestamp."""


def shakes_hands(story: Story, node: str, packet: Packet, trail: Trail, device: str) -> list[Next]:
    """For a SYN that a rule gives to the proxy."""
    here = Trail().enter(node, story.state(node).role)
    answered = furthest(story.run(story, [Send(node, syn_ack(packet), here)]))
    if not answered.arrived:
        words = f"{node} shakes hands in the server's place, but its answer does not arrive"
        return [Fate(node, packet, trail, Disposition.LOST, "", "forward", device, words=words)]
    story.before = answered.trail
    story.proxied.add(tuple_of(packet))
    trail = trail.then(model.Note("synproxy has shaken hands and sends a SYN of its own"))
    return [Send(node, replace(packet, mark=0, dont_fragment=True), trail)]


def is_proxied(story: Story, packet: Packet, seen: Seen) -> bool:
    """Whether it is a server's answer to the proxy's SYN."""
    connection = seen.connection
    answers = seen.direction == "reply" and packet.flags == SYN | ACK
    return answers and connection is not None and connection.original in story.proxied


def goes_on(node: str, packet: Packet, trail: Trail) -> list[Next]:
    """That answer ends here: what the client gets is a confirmation."""
    confirmed = replace(
        answer_to(answer_to(packet)), flags=ACK, length=ACK_BYTES[packet.version],
        dont_fragment=True,
    )  # fmt: skip
    return [Send(node, confirmed, trail.then(model.Note("synproxy confirms the connection")))]
