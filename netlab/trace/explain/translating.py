"""What a rule of NAT wants → the connection's new tuple (nf_nat_core.c, nf_nat_masquerade.c)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from netlab.model.words import IP
from netlab.trace.explain.evaluate import Translation
from netlab.trace.explain.packet import Packet, Span, exactly
from netlab.trace.explain.scene import Scene
from netlab.trace.explain.source import select, select_ipv6
from netlab.trace.explain.state import HOST, UNIVERSE
from netlab.trace.explain.story import Story
from netlab.trace.explain.tracking import tuple_of

LOOPBACK = {4: "127.0.0.1", 6: "::1"}
MOST = 16
"""Addresses of a range that are gone through one by one."""
PRIVILEGED, RESERVED = 1024, 512
ANY_PORT = Span(1024, 65535, "the kernel chooses the port of the translation")


def translated(story: Story, scene: Scene, wanted: Translation) -> bool:
    """Write it into the connection; False where there is no address for it."""
    packet, connection = scene.packet, scene.seen.connection
    assert connection is not None
    if scene.seen.direction == "reply":  # a reset that a rule made: the connection is over
        return True
    is_source = wanted.kind in ("snat", "masquerade")
    address = _address(story, scene, wanted)
    if address is None:
        return False
    old = packet.source_port if is_source else packet.destination_port
    port = _port(old, wanted)
    changed = (
        replace(packet, source=address, source_port=port)
        if is_source
        else replace(packet, destination=address, destination_port=port)
    )
    connection.reply = tuple_of(changed if packet.has_ports else _plain(changed, packet)).turned
    return True


def _plain(changed: Packet, packet: Packet) -> Packet:
    return replace(
        changed, source_port=packet.source_port, destination_port=packet.destination_port
    )


def _address(story: Story, scene: Scene, wanted: Translation) -> IP | None:
    state, packet = story.state(scene.node), scene.packet
    version = packet.version
    if wanted.kind == "masquerade":
        if version == 4:
            return select(state, scene.outgoing, scene.next_hop, UNIVERSE)
        return select_ipv6(state, scene.outgoing, packet.destination)
    if wanted.kind == "redirect":
        if scene.hook == "output":
            return ip_address(LOOPBACK[version])
        own = state.of_device(scene.incoming, version)
        usable = (a.ip for a in own if "secondary" not in a.held.flags and a.held.scope < HOST)
        return next(usable, None)
    old = packet.source if wanted.kind == "snat" else packet.destination
    if wanted.first is None or wanted.last is None:
        return old
    if wanted.prefix:
        rest = wanted.first ^ wanted.last
        return _number(version, int(old) & rest | wanted.first & ~rest)
    if wanted.first <= int(old) <= wanted.last and wanted.kind == "snat":
        return old
    return _one_of(story, scene, wanted.first, wanted.last)


def _one_of(story: Story, scene: Scene, first: int, last: int) -> IP:
    version = scene.packet.version
    count = last - first + 1
    if count == 1:
        return _number(version, first)
    options = [str(_number(version, first + n)) for n in range(min(count, MOST))]
    question = f"which address of {count} {scene.node} translates to: a hash over the flow tells"
    if count > MOST:
        story.gap(f"{question}; {MOST} of them were tried")
    return _number(version, first + story.choices.choose(question, options))


def _number(version: int, number: int) -> IP:
    return ip_address(number.to_bytes(4 if version == 4 else 16, "big"))


def _port(old: Span, wanted: Translation) -> Span:
    if wanted.ports is not None:
        low, high = wanted.ports.low, wanted.ports.high
        if low == high:
            return exactly(low)
        inside = low <= old.low and old.high <= high
        return old if inside and not wanted.random else replace(ANY_PORT, low=low, high=high)
    if wanted.random:
        if old.high < RESERVED:
            return replace(ANY_PORT, low=1, high=RESERVED - 1)
        if old.high < PRIVILEGED:
            return replace(ANY_PORT, low=600, high=PRIVILEGED - 1)
        return ANY_PORT
    return old
