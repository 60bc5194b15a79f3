"""How a probe is known wherever it comes by: a 32-bit cookie, 8 bytes into its transport header.

TCP: the connection begins with the sequence number cookie − 1, so that SYN-ACK and RST acknowledge
the cookie. UDP and ICMP: the payload begins with it, and an echo gives it back; netlab's own
responder answers with cookie + 1, so that its answer is told from the probe. An ICMP error quotes
the packet, and so the cookie. NAT, bridges, tunnels and fragmentation leave all of that as it is.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Iterator
from socket import AF_INET, AF_INET6, inet_pton
from typing import Literal, NamedTuple, TypeAlias

from netlab.firewall.held import OF_TRACES
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


class Picked(Probe):
    """One of the lab's own packets, in a probe's place: what is told is all of it."""


def fresh() -> int:
    """One that nobody else has, and whose neighbours do not wrap around."""
    return secrets.randbelow(WORD - 2) + 1


def table_name(cookie: int) -> str:
    """Of the nftables table that shows a probe: each has its own, so that two do not meet."""
    return f"{OF_TRACES}{cookie:08x}"


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
    if isinstance(probe, Picked):
        return "forward"
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
        case _:
            if mark != Mark(UDP, probe.version, 8, probe.cookie):
                return "reply"
            back = packet.source_port == probe.port or packet.destination_port == probe.from_port
            return "reply" if back and packet.destination_port != probe.port else "forward"


def written(probe: Probe, way: Way) -> bytes:
    """What a packet of that way looks like, from its IP header on, as far as one can know.

    For those who see that it goes by, and not its bytes: addresses are those before any NAT.
    """
    if way == "error":
        number, unreachable = (ICMP, 3) if probe.version == 4 else (ICMPV6, 1)
        quoted = written(probe, "forward")
        return _ip(
            probe, "", probe.source, number, struct.pack(">BBHI", unreachable, 0, 0, 0) + quoted
        )
    source, destination = probe.source, probe.destination
    ports, cookie = (probe.from_port, probe.port), probe.cookie
    is_back = way == "reply"
    if is_back:
        source, destination, ports = destination, source, (ports[1], ports[0])
    match probe.protocol:
        case "tcp":
            numbers = (0, cookie, 0x5012) if is_back else (cookie - 1, 0, 0x5002)
            above = TCP, struct.pack(">HHIIHHHH", *ports, *numbers, 0, 0, 0)
        case "udp":
            above = UDP, struct.pack(">HHHHI", *ports, 12, 0, cookie + is_back)
        case "icmp":
            number, asks, answers = (ICMP, 8, 0) if probe.version == 4 else (ICMPV6, 128, 129)
            kind = answers if is_back else asks
            above = number, struct.pack(">BBHHHI", kind, 0, 0, 0, 0, cookie)
    return _ip(probe, source, destination, *above)


def _ip(probe: Probe, source: str, destination: str, protocol: int, above: bytes) -> bytes:
    """An address that is not known is the unspecified one."""
    family, nobody = (AF_INET, "0.0.0.0") if probe.version == 4 else (AF_INET6, "::")
    ends = inet_pton(family, source or nobody) + inet_pton(family, destination or nobody)
    if probe.version == 4:
        length = IP_BYTES[4] + len(above)
        return (
            struct.pack(">BBHHHBBH", 0x45, probe.tos, length, 0, 0, 64, protocol, 0) + ends + above
        )
    return struct.pack(">IHBB", 6 << 28 | probe.tos << 20, len(above), protocol, 64) + ends + above
