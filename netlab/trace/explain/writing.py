"""What rules write: marks, priorities, fields of headers."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from netlab.firewall.fields import Field
from netlab.trace.explain.packet import Packet, Span
from netlab.trace.explain.scene import Scene

UNTOLD = frozenset({"nftrace", "secmark", "event", "label", "helper", "zone"})
"""Written without a consequence that is told here."""


def written(field: Field, value: Span, scene: Scene) -> Scene | None:
    """The scene after it; None where that is not followed."""
    name = field.words[-1]
    if field.source in ("meta", "ct") and name in UNTOLD:
        return scene
    if field.source == "ct" and name == "mark":
        if scene.seen.connection is not None:
            scene.seen.connection.mark = value.low
        return scene
    if field.source == "meta" and name in ("mark", "priority"):
        return replace(scene, packet=replace(scene.packet, **{name: value.low}))  # type: ignore[arg-type]
    if field.source == "payload":
        packet = _header(field.words, value, scene.packet)
        return None if packet is None else replace(scene, packet=packet)
    return None


def _header(words: tuple[str, ...], value: Span, packet: Packet) -> Packet | None:
    """A field of its headers."""
    number = value.low
    change: dict[str, Any]
    match words:
        case ("ip", "saddr" | "daddr" as which):
            change = {_ADDRESS[which]: IPv4Address(number)}
        case ("ip6", "saddr" | "daddr" as which):
            change = {_ADDRESS[which]: IPv6Address(number)}
        case ("ip", "ttl") | ("ip6", "hoplimit"):
            change = {"ttl": number}
        case ("ip" | "ip6", "dscp"):
            change = {"tos": packet.tos & 3 | number << 2}
        case ("ip" | "ip6", "ecn"):
            change = {"tos": packet.tos & ~3 | number}
        case ("tcp" | "udp" | "th", "sport"):
            change = {"source_port": value}
        case ("tcp" | "udp" | "th", "dport"):
            change = {"destination_port": value}
        case ("tcp", "flags"):
            change = {"flags": number}
        case ("ether", "saddr" | "daddr" as which):
            change = {_MAC[which]: number.to_bytes(6, "big").hex(":")}
        case _:
            return None
    return replace(packet, **change)


_ADDRESS = {"saddr": "source", "daddr": "destination"}
_MAC = {"saddr": "source_mac", "daddr": "destination_mac"}
