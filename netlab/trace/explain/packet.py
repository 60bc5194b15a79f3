"""A packet as a value: its headers, what is around them, and what the kernel notes beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from netlab.model.words import IP
from netlab.trace import model

NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58}
WITH_PORTS = frozenset({"tcp", "udp"})
SYN, ACK, RST, FIN, PSH = 2, 16, 4, 1, 8
LETTERS = ((SYN, "S"), (RST, "R"), (FIN, "F"), (PSH, "P"), (ACK, "."))
"""Of TCP's flags, as tcpdump(8) writes them."""
ECHO, ECHO_REPLY = {4: 8, 6: 128}, {4: 0, 6: 129}
ERRORS: Mapping[int, frozenset[int]] = {
    4: frozenset({3, 4, 5, 11, 12}),
    6: frozenset({1, 2, 3, 4}),
}
"""Types of ICMP that quote the packet they are about, by IP version."""
DISCOVERY = frozenset({133, 134, 135, 136, 137})
"""Types of neighbour discovery (RFC 4861)."""
ARP, ARP_REQUEST, ARP_REPLY = "arp", 1, 2
BROADCAST = "ff:ff:ff:ff:ff:ff"
SYN_BYTES = {4: 60, 6: 80}
"""With the options that Linux asks for."""
ETHERTYPES = {4: 0x800, 6: 0x86DD, 0: 0x806}


@dataclass(frozen=True)
class Span:
    """A number of which only the bounds are known; most often they are the same."""

    low: int
    high: int
    why: str = field(default="", compare=False)
    """Why it is not known better."""

    @property
    def known(self) -> bool:
        return self.low == self.high

    def __str__(self) -> str:
        return str(self.low) if self.known else f"{self.low}-{self.high}"


def exactly(number: int) -> Span:
    return Span(number, number)


NO_PORT = exactly(0)


@dataclass(frozen=True)
class Packet:
    source: IP
    destination: IP
    protocol: str
    """``tcp``, ``udp``, ``icmp``, ``icmpv6``, ``arp``."""
    source_port: Span = NO_PORT
    destination_port: Span = NO_PORT
    flags: int = 0
    """Of TCP."""
    icmp: tuple[int, int] = (0, 0)
    """Type and code."""
    icmp_id: Span = NO_PORT
    """Of an echo."""
    ttl: int = 64
    tos: int = 0
    length: int = 0
    """Bytes of the IP packet, its header included."""
    dont_fragment: bool = False
    mark: int = 0
    """The kernel's own, as all below but the MACs; it ends with the node."""
    priority: int = 0
    source_mac: str = ""
    """"" where there is no Ethernet header (yet)."""
    destination_mac: str = ""
    quoted: Packet | None = None
    """What an ICMP error is about."""
    next_mtu: int = 0
    """Of the ICMP error that says that a packet is too big."""
    inner: Packet | None = None
    """The frame that it carries through a tunnel."""
    vni: int = 0
    """The tunnel's VXLAN network identifier."""
    operation: int = 0
    """Of ARP."""
    pieces: int = 0
    """Bytes of its longest fragment; 0 where it is whole."""
    target: IP | None = None
    """The address that neighbour discovery is about."""
    link_address: str = ""
    """The MAC that neighbour discovery tells."""
    target_mac: str = ""
    """Of ARP, where a reply says who has it: ``source_mac`` of what ``source`` is bound to."""

    @property
    def version(self) -> Literal[4, 6]:
        return self.source.version

    @property
    def ether_type(self) -> int:
        return ETHERTYPES[0 if self.protocol == ARP else self.version]

    @property
    def has_ports(self) -> bool:
        return self.protocol in WITH_PORTS

    @property
    def is_icmp(self) -> bool:
        return self.protocol in ("icmp", "icmpv6")

    @property
    def is_error(self) -> bool:
        return self.is_icmp and self.icmp[0] in ERRORS[self.version]

    @property
    def is_echo(self) -> bool:
        return self.is_icmp and self.icmp[0] == ECHO[self.version]

    @property
    def is_echo_reply(self) -> bool:
        return self.is_icmp and self.icmp[0] == ECHO_REPLY[self.version]

    @property
    def innermost(self) -> Packet:
        return self.inner.innermost if self.inner else self

    def elsewhere(self) -> Packet:
        """As it comes into another node: what the kernel noted is gone."""
        return replace(self, mark=0, priority=0)


def answer_to(packet: Packet) -> Packet:
    """From where it went, as long as itself."""
    return Packet(
        packet.destination,
        packet.source,
        packet.protocol,
        packet.destination_port,
        packet.source_port,
        icmp_id=packet.icmp_id,
        length=packet.length,
    )


def syn_ack(packet: Packet) -> Packet:
    """TCP's answer to the first packet of a connection, with the usual options."""
    return replace(
        answer_to(packet), flags=SYN | ACK, length=SYN_BYTES[packet.version], dont_fragment=True
    )


def icmp_of(version: int) -> str:
    return "icmp" if version == 4 else "icmpv6"


def as_told(packet: Packet) -> model.Packet:
    """The innermost packet, in the words of the trace."""
    one = packet.innermost
    within = f"vxlan {packet.vni} {packet.source} → {packet.destination}" if packet.inner else ""
    return model.Packet(
        protocol=one.protocol,
        source=str(one.source),
        destination=str(one.destination),
        source_port=_port(one.source_port),
        destination_port=_port(one.destination_port),
        ttl=one.ttl,
        length=one.length,
        flags="".join(letter for bit, letter in LETTERS if one.flags & bit),
        icmp=f"{one.icmp[0]}/{one.icmp[1]}" if one.is_icmp else "",
        tos=one.tos,
        dont_fragment=one.dont_fragment or one.version == 6,
        mark=one.mark,
        source_mac=one.source_mac,
        destination_mac=one.destination_mac,
        within=within,
    )


def alone(packet: Packet) -> model.Packet:
    """The packet itself, whatever it carries."""
    return as_told(replace(packet, inner=None))


def _port(port: Span) -> int:
    return port.low if port.known else 0


def ends(packet: Packet) -> str:
    """``10.1.0.2:50106 → 203.0.113.1:8080``."""
    if not packet.has_ports:
        return f"{packet.source} → {packet.destination}"
    return (
        f"{end(packet.source, packet.source_port)} → "
        f"{end(packet.destination, packet.destination_port)}"
    )


def end(address: IP, port: Span) -> str:
    name = f"[{address}]" if address.version == 6 else str(address)
    return f"{name}:{port}" if port.known else f"{name}"
