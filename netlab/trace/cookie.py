"""How a probe is known wherever it comes by: a 32-bit cookie, 8 bytes into its transport header.

TCP: the connection begins with the sequence number cookie − 1, so that SYN-ACK and RST acknowledge
the cookie. UDP and ICMP: the payload begins with it, and an echo gives it back; netlab's own
responder answers with cookie + 1, so that its answer is told from the probe. An ICMP error quotes
the packet, and so the cookie. NAT, bridges, tunnels and fragmentation leave all of that as it is.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from netlab.trace.headers import (
    ETHERNET,
    ICMP,
    ICMPV6,
    NAMES,
    TCP,
    UDP,
    VXLAN_BYTES,
    Headers,
)
from netlab.trace.model import Probe

Way: TypeAlias = Literal["forward", "reply", "error"]

WORD = 0xFFFFFFFF
ICMP_BYTES, UDP_BYTES = 8, 8
IP_BYTES = {4: 20, 6: 40}
NUMBERS = {name: number for number, name in NAMES.items()}


class Mark(NamedTuple):
    """Four bytes that tell a packet of the probe: ``offset`` bytes into the transport header."""

    protocol: int
    version: int
    """4 or 6; 0 for both."""
    offset: int
    value: int


def fresh() -> int:
    """One that nobody else has, and whose neighbours do not wrap around."""
    return secrets.randbelow(WORD - 2) + 1


def marks(probe: Probe, *, tunnels: bool = False) -> list[Mark]:
    """All that tell a packet of the probe, its answer, or an error about either."""
    own = list(_own(probe))
    found = [*own, *_quoted(probe, own)]
    return [*found, *_tunnelled(found)] if tunnels else found


def _own(probe: Probe) -> Iterator[Mark]:
    cookie = probe.cookie
    match probe.protocol:
        case "tcp":
            yield Mark(TCP, probe.version, 4, cookie - 1)
            yield Mark(TCP, probe.version, 8, cookie)
        case "udp":
            yield Mark(UDP, probe.version, 8, cookie)
            yield Mark(UDP, probe.version, 8, cookie + 1)
            # an answer that does not repeat what was asked
            yield Mark(UDP, probe.version, 0, probe.port << 16 | probe.from_port)
        case "icmp":
            yield Mark(ICMP if probe.version == 4 else ICMPV6, probe.version, 8, cookie)


def _quoted(probe: Probe, own: list[Mark]) -> Iterator[Mark]:
    protocol = ICMP if probe.version == 4 else ICMPV6
    before = ICMP_BYTES + IP_BYTES[probe.version]
    for mark in own:
        yield Mark(protocol, probe.version, before + mark.offset, mark.value)


def _tunnelled(found: list[Mark]) -> Iterator[Mark]:
    """The same in a frame that vxlan carries."""
    for mark in found:
        before = UDP_BYTES + VXLAN_BYTES + ETHERNET + IP_BYTES[mark.version]
        yield Mark(UDP, 0, before + mark.offset, mark.value)


def way_of(headers: Headers, probe: Probe) -> Way | None:
    """What a packet is to the probe; None for one that has nothing to do with it."""
    one = headers.innermost
    number = NUMBERS.get(one.packet.protocol)
    if one.is_error:
        quoted = _quoted(probe, list(_own(probe)))
        return "error" if any(one.word(m.offset) == m.value for m in quoted) else None
    for mark in _own(probe):
        if mark.protocol == number and one.word(mark.offset) == mark.value:
            return _direction(one, probe, mark)
    return None


def _direction(headers: Headers, probe: Probe, mark: Mark) -> Way:
    packet = headers.packet
    match probe.protocol:
        case "tcp":
            return "forward" if mark.offset == 4 else "reply"
        case "icmp":
            return "forward" if packet.icmp in ("8/0", "128/0") else "reply"
        case "udp":
            if mark != Mark(UDP, probe.version, 8, probe.cookie):
                return "reply"
            back = packet.source_port == probe.port or packet.destination_port == probe.from_port
            return "reply" if back and packet.destination_port != probe.port else "forward"
