"""The headers of a packet bit by bit, as rules read them, as far as they are known."""

from __future__ import annotations

from typing import NamedTuple

from netlab.firewall.fields import LINK, NETWORK, TRANSPORT
from netlab.trace.explain.packet import ARP, NUMBERS, Packet, Span, exactly

TCP_BYTES = 20
"""At least: options are behind it, and are not known."""


class Part(NamedTuple):
    """So many bits, and their number; None where that is not known."""

    bits: int
    value: Span | None
    what: str = ""


def read(packet: Packet, base: int, first: int, bits: int) -> Span | None:
    """A number out of a header; None where the packet has no such bits."""
    at, value, unknown = 0, 0, ""
    for part in parts(packet, base):
        start, end = max(at, first), min(at + part.bits, first + bits)
        if (at, part.bits) == (first, bits) and part.value is not None:
            return part.value
        if start < end:
            if part.value is None or not part.value.known:
                unknown = unknown or part.what or "it"
            else:
                number = part.value.low >> (at + part.bits - end) & (1 << end - start) - 1
                value |= number << (first + bits - end)
        at += part.bits
    if at < first + bits:
        return None
    return Span(0, (1 << bits) - 1, f"{unknown} is not known before") if unknown else exactly(value)


def parts(packet: Packet, base: int) -> list[Part]:
    """The headers from that layer on."""
    if base == LINK:
        return [*_ethernet(packet), *parts(packet, NETWORK)] if packet.source_mac else []
    if packet.protocol == ARP:
        return _arp(packet) if base == NETWORK else []
    if base == TRANSPORT:
        return _transport(packet)
    return [*(_ipv4 if packet.version == 4 else _ipv6)(packet), *_transport(packet)]


def _known(bits: int, number: int) -> Part:
    return Part(bits, exactly(number))


def _mac(text: str) -> Part:
    return _known(48, int(text.replace(":", "") or "0", 16))


def _ethernet(packet: Packet) -> list[Part]:
    return [_mac(packet.destination_mac), _mac(packet.source_mac), _known(16, packet.ether_type)]


def _arp(packet: Packet) -> list[Part]:
    head = [_known(16, 1), _known(16, 0x800), _known(8, 6), _known(8, 4)]
    sender = [_mac(packet.source_mac), _known(32, int(packet.source))]
    target = [_mac(packet.target_mac), _known(32, int(packet.destination))]
    return [*head, _known(16, packet.operation), *sender, *target]


def _ipv4(packet: Packet) -> list[Part]:
    return [
        _known(4, 4),
        _known(4, 5),
        _known(8, packet.tos),
        _known(16, packet.length),
        Part(16, None, "the packet's identification"),
        _known(1, 0),
        _known(1, int(packet.dont_fragment)),
        _known(14, 0),
        _known(8, packet.ttl),
        _known(8, protocol_number(packet)),
        Part(16, None, "a checksum"),
        _known(32, int(packet.source)),
        _known(32, int(packet.destination)),
    ]


def _ipv6(packet: Packet) -> list[Part]:
    return [
        _known(4, 6),
        _known(8, packet.tos),
        Part(20, None, "the flow label"),
        _known(16, packet.length - 40),
        _known(8, protocol_number(packet)),
        _known(8, packet.ttl),
        _known(128, int(packet.source)),
        _known(128, int(packet.destination)),
    ]


def protocol_number(packet: Packet) -> int:
    return NUMBERS.get(packet.protocol, 0)


def _transport(packet: Packet) -> list[Part]:
    room = packet.length - (20 if packet.version == 4 else 40)
    if packet.protocol == "tcp":
        head = _tcp(packet)
    elif packet.protocol == "udp":
        head = [*_ports(packet), _known(16, room), Part(16, None, "a checksum")]
    else:
        head = _icmp(packet)
    rest = room * 8 - sum(part.bits for part in head)
    return [*head, Part(rest, None, "what it carries")] if rest > 0 else head


def _ports(packet: Packet) -> list[Part]:
    return [Part(16, packet.source_port), Part(16, packet.destination_port)]


def _tcp(packet: Packet) -> list[Part]:
    return [
        *_ports(packet),
        Part(32, None, "the sequence number"),
        Part(32, None, "the acknowledgement number"),
        Part(4, None, "the length of TCP's options"),
        _known(4, 0),
        _known(8, packet.flags),
        Part(16, None, "TCP's window"),
        Part(16, None, "a checksum"),
        _known(16, 0),
    ]


def _icmp(packet: Packet) -> list[Part]:
    kind, code = packet.icmp
    head = [_known(8, kind), _known(8, code), Part(16, None, "a checksum")]
    if packet.quoted is not None:
        about = [_known(16, 0), _known(16, packet.next_mtu)]
        return [*head, *about, *parts(packet.quoted, NETWORK)]
    return [*head, Part(16, packet.icmp_id), Part(16, None, "an echo's number")]
