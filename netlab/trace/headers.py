"""Bytes of a packet → its headers, down to what a tunnel or an ICMP error holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_ntop

from netlab.trace.model import Packet

ICMP, TCP, UDP, FRAGMENT, ICMPV6 = 1, 6, 17, 44, 58
NAMES = {ICMP: "icmp", TCP: "tcp", UDP: "udp", ICMPV6: "icmpv6"}
FLAGS = ((2, "S"), (4, "R"), (1, "F"), (8, "P"), (16, "."))
"""Bits of TCP's flags in the order in which tcpdump(8) writes them."""
ERRORS = {ICMP: frozenset({3, 4, 5, 11, 12}), ICMPV6: frozenset({1, 2, 3, 4})}
"""Types of ICMP that quote the packet they are about."""
ICMP_NAMES = {
    "icmp": {
        "3/0": "network unreachable", "3/1": "host unreachable", "3/2": "protocol unreachable",
        "3/3": "port unreachable", "3/4": "fragmentation needed", "3/9": "network prohibited",
        "3/10": "host prohibited", "3/13": "administratively prohibited",
        "5/0": "redirect", "5/1": "redirect", "11/0": "time exceeded",
        "11/1": "reassembly time exceeded", "12/0": "parameter problem",
    },
    "icmpv6": {
        "1/0": "no route", "1/1": "administratively prohibited", "1/3": "address unreachable",
        "1/4": "port unreachable", "1/5": "failed policy", "1/6": "reject route",
        "2/0": "packet too big", "3/0": "time exceeded", "3/1": "reassembly time exceeded",
        "4/0": "parameter problem", "4/1": "unrecognized next header",
    },
}  # fmt: skip
"""What errors of ICMP are about, by type and code (RFC 792, 1122, 4443)."""
EXTENSIONS = frozenset({0, 43, 60})
"""Headers of IPv6 that are passed over (RFC 8200, 4.1)."""
VXLAN_BYTES = 8
ETHERNET = 14
VXLAN_PORT = 4789
FIRST_VXLAN_PORT = 8472
"""Linux' own, from before there was a number (drivers/net/vxlan)."""


@dataclass(frozen=True)
class Headers:
    """A packet, taken apart as far as its bytes go."""

    packet: Packet
    transport: bytes
    """From the transport header on; b"" for later fragments."""
    quoted: Packet | None = None
    """What an ICMP error is about."""
    inner: Headers | None = None
    """What a tunnel carries."""

    @property
    def innermost(self) -> Headers:
        return self.inner.innermost if self.inner else self

    @property
    def is_error(self) -> bool:
        return self.quoted is not None

    def word(self, offset: int) -> int | None:
        """32 bits of the transport header and what follows it; None where it is shorter."""
        found = self.transport[offset : offset + 4]
        return int.from_bytes(found, "big") if len(found) == 4 else None


@lru_cache(maxsize=2048)  # at most places of its way a packet has the same bytes
def parse(network: bytes, transport: bytes = b"", link: bytes = b"") -> Headers | None:
    """None for what is no IP. ``transport`` where ``network`` holds the IP header alone."""
    version = network[0] >> 4 if network else 0
    if version == 4 and len(network) >= 20:
        found = _ipv4(network, transport)
    elif version == 6 and len(network) >= 40:
        found = _ipv6(network, transport)
    else:
        return None
    if len(link) >= ETHERNET:
        to, by = link[:6].hex(":"), link[6:12].hex(":")
        found = replace(found, packet=replace(found.packet, source_mac=by, destination_mac=to))
    return found


def _ipv4(data: bytes, transport: bytes) -> Headers:
    field = int.from_bytes(data[6:8], "big")
    offset, more = (field & 0x1FFF) * 8, bool(field & 0x2000)
    packet = Packet(
        protocol=_name(data[9]),
        source=inet_ntop(AF_INET, data[12:16]),
        destination=inet_ntop(AF_INET, data[16:20]),
        ttl=data[8],
        length=int.from_bytes(data[2:4], "big"),
        tos=data[1],
        identification=int.from_bytes(data[4:6], "big"),
        dont_fragment=bool(field & 0x4000),
        fragment=_fragment(offset, more),
    )
    rest = transport or data[(data[0] & 15) * 4 :]
    return _above(packet, data[9], b"" if offset else rest)


def _ipv6(data: bytes, transport: bytes) -> Headers:
    following, at, fragment, offset = data[6], 40, "", 0
    while following in EXTENSIONS and len(data) >= at + 8:
        following, at = data[at], at + 8 + data[at + 1] * 8
    if following == FRAGMENT and len(data) >= at + 8:
        field = int.from_bytes(data[at + 2 : at + 4], "big")
        offset = field & 0xFFF8
        fragment = _fragment(offset, bool(field & 1))
        following, at = data[at], at + 8
    packet = Packet(
        protocol=_name(following),
        source=inet_ntop(AF_INET6, data[8:24]),
        destination=inet_ntop(AF_INET6, data[24:40]),
        ttl=data[7],
        length=int.from_bytes(data[4:6], "big") + 40,
        tos=int.from_bytes(data[:2], "big") >> 4 & 0xFF,
        dont_fragment=not fragment,
        fragment=fragment,
    )
    return _above(packet, following, b"" if offset else transport or data[at:])


def _name(protocol: int) -> str:
    return NAMES.get(protocol, str(protocol))


def _fragment(offset: int, more: bool) -> str:
    return f"{offset}{'+' if more else ''}" if offset or more else ""


def _above(packet: Packet, protocol: int, transport: bytes) -> Headers:
    """What is above IP."""
    if protocol in (TCP, UDP) and len(transport) >= 4:
        packet = replace(
            packet,
            source_port=int.from_bytes(transport[:2], "big"),
            destination_port=int.from_bytes(transport[2:4], "big"),
        )
    if protocol == TCP and len(transport) >= 14:
        flags = "".join(letter for bit, letter in FLAGS if transport[13] & bit)
        return Headers(replace(packet, flags=flags), transport)
    if protocol in ERRORS and len(transport) >= 2:
        packet = replace(packet, icmp=f"{transport[0]}/{transport[1]}")
        about = parse(transport[8:]) if transport[0] in ERRORS[protocol] else None
        return Headers(packet, transport, quoted=about.packet if about else None)
    if protocol == UDP and packet.destination_port in (VXLAN_PORT, FIRST_VXLAN_PORT):
        return Headers(packet, transport, inner=_vxlan(packet, transport[8:]))
    return Headers(packet, transport)


def _vxlan(outer: Packet, data: bytes) -> Headers | None:
    """RFC 7348: flags, network identifier, and a whole frame."""
    if len(data) < VXLAN_BYTES + ETHERNET + 20 or not data[0] & 8:
        return None
    number = int.from_bytes(data[4:7], "big")
    frame = data[VXLAN_BYTES:]
    found = parse(frame[ETHERNET:], link=frame[:ETHERNET])
    if found is None:
        return None
    within = f"vxlan {number} {outer.source} → {outer.destination}"
    return replace(found, packet=replace(found.packet, within=within))
