"""Sightings of many packets → packets, each with all that was seen of it. Pure.

A packet is known again by what no node on its way changes: the numbers in its transport header, or
the beginning of what it carries; where these may be another's as well, by at least one of its two
ends, which NAT changes one by one.
Of two that are alike, the buffer tells which it is, else who was not there yet. What has no headers
(a message of nftables behind its chain's first, what happens to a buffer) belongs to the packet
that was there last.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

from netlab.firewall.held import OF_TRACES
from netlab.trace.choice import Choice
from netlab.trace.headers import Headers, parse
from netlab.trace.model import Packet
from netlab.trace.sighting import Sighting

Key = tuple[object, ...]
End = tuple[str, str, int]
"""Whether it is the source or the destination: an answer may be like what it answers."""
Ends = tuple[str, str]
"""Source and destination: ``10.1.0.2:50106``, ``[fd00::1]:80``, ``10.1.0.2``."""

MOST = 1000
"""Packets that are under way at a time; of more, the oldest are told as far as they were seen."""
MOST_FLOWS = 4096
MOST_SIGHTINGS = 1000
"""Of one packet."""
SETTLED = 0.1
"""Seconds after which nothing more comes of a packet that was seen to end."""
PATIENCE = 4.0
"""Seconds for one that was not: a neighbour is asked for three times, a second apart (arp(7))."""
FRAMES = frozenset({"rx", "tx"})
ENDS = frozenset({"freed", "used", "read", "received", "ready"})
FINAL = frozenset({"drop", "stolen"})
FIRST_INFORMATION = 128
"""Type of ICMPv6; the ones below are errors (RFC 4443, 2.1)."""
OF_A_LINK = range(130, 144)
"""Of multicast listeners and of neighbours, which no router passes on (RFC 3810, 4861)."""
PAYLOAD = 12
"""Bytes of what a datagram carries that tell it: nftables shows no more."""


@dataclass
class Followed:
    """A packet, as far as it was seen up to now."""

    key: Key
    first: float
    """When it was first heard of, on the clock of who gathers; likewise ``last``."""
    last: float = 0.0
    ends: set[End] = field(default_factory=set)
    sightings: list[Sighting] = field(default_factory=list)
    is_chosen: bool = False
    """Whether the filter took it somewhere."""
    is_settled: bool = False
    """Whether what was seen last is an end."""
    is_early: bool = False
    """Whether it was let go before its end, for room."""
    identification: int = 0
    places: set[Key] = field(default_factory=set)

    @property
    def was_under_way(self) -> bool:
        """Else it only looks like a packet, as what is passed within the kernel may."""
        return any(s.point in FRAMES or s.hook or s.table for s in self.sightings)

    @property
    def began(self) -> int:
        """Nanoseconds since the epoch; 0 where nobody has a time."""
        return min((s.time for s in self.sightings if s.time), default=0)


class Gathering:
    """``choice``: which packets are wanted; others are held no longer than they are under way."""

    def __init__(
        self,
        choice: Choice,
        holders: Mapping[str, Sequence[str]] | None = None,
        *,
        tunnels: bool = False,
    ) -> None:
        """``holders``: nodes by their addresses, where a frame that comes is at its end."""
        self._choice = choice
        self._holders = holders or {}
        self._tunnels = tunnels
        self._open: dict[int, Followed] = {}
        """In the order in which they were met."""
        self._by_key: dict[Key, list[Followed]] = {}
        self._by_buffer: dict[int, Followed] = {}
        self._other_side: OrderedDict[Ends, Ends] = OrderedDict()
        """Of connections that NAT writes otherwise behind it: how."""
        self._by_group: dict[tuple[str, int], Followed] = {}
        """By node, and by what nftables numbers a packet with."""
        self.early = 0
        """How many were told before their end, for room."""

    @property
    def waits(self) -> bool:
        return bool(self._open)

    def add(self, sightings: Iterable[Sighting], now: float) -> None:
        for sighting in sightings:
            found = self._of(sighting, now)
            if found is not None:
                self._note(found, sighting, now)

    def done(self, now: float) -> list[Followed]:
        """Those of which nothing more is to be expected; of others, the oldest ones too many."""
        ready = [p for p in self._open.values() if now - p.last > _patience(p)]
        left = len(self._open) - len(ready)
        if left > MOST:
            among = {id(p) for p in ready}
            late = [p for p in self._open.values() if id(p) not in among][: left - MOST]
            for packet in late:
                packet.is_early = True
            self.early += sum(p.is_chosen and p.was_under_way for p in late)
            ready += late
        return self._let_go(ready)

    def rest(self) -> list[Followed]:
        """All, at the end."""
        return self._let_go(list(self._open.values()))

    def _let_go(self, some: Sequence[Followed]) -> list[Followed]:
        for packet in some:
            del self._open[id(packet)]
            alike = self._by_key[packet.key]
            alike.remove(packet)
            if not alike:
                del self._by_key[packet.key]
        if some:
            gone = {id(p) for p in some}
            self._by_buffer = {n: p for n, p in self._by_buffer.items() if id(p) not in gone}
            self._by_group = {g: p for g, p in self._by_group.items() if id(p) not in gone}
        chosen = [p for p in some if p.is_chosen and p.was_under_way]
        return sorted(chosen, key=lambda p: p.began or 1 << 62)

    # whose is it

    def _of(self, sighting: Sighting, now: float) -> Followed | None:
        headers = parse(sighting.network, sighting.transport, sighting.link)
        if headers is None:
            return self._without_headers(sighting)
        inner = headers.innermost
        known = self._by_buffer.get(sighting.buffer) if sighting.buffer else None
        if not inner.transport and sighting.by != "bpf":  # as of a probe: the first one tells all
            self._by_group.pop((sighting.node, sighting.id), None)
            return None
        if not inner.transport:
            return self._of_pieces(inner.packet) or self._begun(key_of(inner), inner.packet, now)
        key = key_of(inner)
        if known is not None and known.key != key and self._tunnels:
            if sighting.known == "buffer":
                return known  # what cannot be read any more
        elif sighting.known == "buffer" and (known is None or known.key != key):
            return None  # the buffer was given to somebody else
        place = _place(sighting, inner.packet)
        ends = _ends(inner.packet)
        is_certain = bool(inner.packet.identification) or inner.packet.protocol == "tcp"
        alike = [
            p for p in self._by_key.get(key, ())
            if place not in p.places and (is_certain or p.ends & ends)
        ]  # fmt: skip
        found = known if known in alike else alike[0] if alike else None
        return found or self._begun(key, inner.packet, now)

    def _without_headers(self, sighting: Sighting) -> Followed | None:
        if sighting.table:
            return self._by_group.get((sighting.node, sighting.id))
        return self._by_buffer.get(sighting.buffer) if sighting.buffer else None

    def _of_pieces(self, packet: Packet) -> Followed | None:
        """All fragments go with the first: they are one packet."""
        for found in reversed(self._open.values()):
            same = found.identification == packet.identification and found.key[0] == packet.protocol
            ends = {(role, address) for role, address, _ in found.ends}
            if same and ends & {("from", packet.source), ("to", packet.destination)}:
                return found
        return None

    def _begun(self, key: Key, packet: Packet, now: float) -> Followed:
        found = Followed(key, now, identification=packet.identification)
        self._open[id(found)] = found
        self._by_key.setdefault(key, []).append(found)
        return found

    def _note(self, found: Followed, sighting: Sighting, now: float) -> None:
        found.last = now
        if sighting.buffer:
            self._by_buffer[sighting.buffer] = found
        if sighting.table and sighting.id:
            self._by_group[sighting.node, sighting.id] = found
        if len(found.sightings) >= MOST_SIGHTINGS:
            return
        found.sightings.append(sighting)
        headers = parse(sighting.network, sighting.transport, sighting.link)
        is_end = _is_end(sighting) or (headers is not None and self._is_home(sighting, headers))
        found.is_settled = is_end or (found.is_settled and not sighting.time)
        if headers is None:
            return
        packet = headers.innermost.packet
        found.places.add(_place(sighting, packet))
        found.ends |= _ends(packet)
        if not found.is_chosen:
            found.is_chosen = self._takes(sighting, headers)
        if found.is_chosen and sighting.original:
            self._remember(sighting)

    def _takes(self, sighting: Sighting, headers: Headers) -> bool:
        """As it is, or as it will be, or was, on the other side of NAT."""
        if self._choice.takes(sighting.network, sighting.transport):
            return True
        other = self._other_side.get(_written(headers.packet))
        return other is not None and self._choice.takes(
            *rewritten(sighting.network, sighting.transport, *other)
        )

    def _remember(self, sighting: Sighting) -> None:
        original, reply = (tuple(told.split(" → ")) for told in (sighting.original, sighting.reply))
        if len(original) != 2 or len(reply) != 2 or original == reply[::-1]:
            return
        there, back = (original[0], original[1]), (reply[0], reply[1])
        for this, other in ((there, back[::-1]), (back, there[::-1])):
            self._other_side[this] = other[0], other[1]
            self._other_side[this[1], this[0]] = other[1], other[0]
        while len(self._other_side) > MOST_FLOWS:
            self._other_side.popitem(last=False)

    def _is_home(self, sighting: Sighting, headers: Headers) -> bool:
        """As far as one knows who sees frames alone."""
        if sighting.point != "rx" or sighting.by == "bpf" or headers.inner:
            return False
        return sighting.node in self._holders.get(headers.packet.destination, ())


def _patience(packet: Followed) -> float:
    return SETTLED if packet.is_settled else PATIENCE


def _is_end(sighting: Sighting) -> bool:
    if sighting.point == "used" and "neigh" in sighting.function:
        return False  # a copy, by which the kernel asks for the next hop
    if sighting.point in ENDS or sighting.verdict in FINAL:
        return True
    own = sighting.table.startswith(OF_TRACES) and sighting.chain == "input_last"
    return own or (sighting.hook, sighting.stage) == ("input", "last")


def key_of(headers: Headers) -> Key:
    """What stays as it is on the whole way."""
    packet, transport = headers.packet, headers.transport
    if packet.protocol == "tcp":
        told: object = transport[4:14]  # its numbers and flags
    elif packet.protocol == "udp":
        told = transport[4:6] + transport[8 : 8 + PAYLOAD]
    elif packet.protocol == "icmpv6" and transport and transport[0] < FIRST_INFORMATION:
        told = transport[:2] + transport[6:16]  # NAT changes the addresses that it quotes
    elif packet.protocol == "icmpv6" and transport and transport[0] in OF_A_LINK:
        told = transport[:18], packet.source, packet.destination
    else:
        told = transport[:2] + transport[6:18]  # NAT changes what is before, and behind
    return packet.protocol, packet.identification, told


def _written(packet: Packet) -> Ends:
    """As connection tracking's tuples are."""
    ends = (packet.source, packet.source_port), (packet.destination, packet.destination_port)
    source, destination = (
        (f"[{address}]:{port}" if ":" in address else f"{address}:{port}") if port else address
        for address, port in ends
    )
    return source, destination


def rewritten(
    network: bytes, transport: bytes, source: str, destination: str
) -> tuple[bytes, bytes]:
    """A packet with other ends, as NAT would write them: its headers."""
    size = 40 if network[0] >> 4 == 6 else (network[0] & 15) * 4
    head, rest = network[:size], transport or network[size:]
    addresses, ports = b"", b""
    for end in (source, destination):
        address, _, port = end.rpartition(":") if "." in end or "]" in end else (end, "", "")
        if not address:
            address, port = port, ""
        addresses += ip_address(address.strip("[]")).packed
        ports += int(port or 0).to_bytes(2, "big")
    at = 8 if size == 40 and network[0] >> 4 == 6 else 12
    head = head[:at] + addresses + head[at + len(addresses) :]
    return head, (ports + rest[4:]) if any(ports) else rest


def _ends(packet: Packet) -> set[End]:
    """Of what is for many, who sent it: all of a segment may say the same to the same group."""
    source = "from", packet.source, packet.source_port
    if ip_address(packet.destination).is_multicast:
        return {source}
    return {source, ("to", packet.destination, packet.destination_port)}


def _place(sighting: Sighting, packet: Packet) -> Key:
    """Where a packet is seen once, however often it comes to the node: its TTL is another then."""
    where = sighting.hook, sighting.stage, sighting.table, sighting.chain
    ways = sighting.device, sighting.to_device
    return sighting.node, sighting.by, sighting.point, *ways, *where, packet.ttl, packet.within
