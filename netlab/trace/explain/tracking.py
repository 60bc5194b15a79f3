"""Connection tracking of one node, as far as one exchange of packets needs it.

What a rule reads with ``ct`` is the ``Seen`` of a packet. NAT is in the tuples: what an answer has
to look like is the reply's tuple, and a packet is rewritten until it does (nf_conntrack_core.c,
nf_nat_core.c).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from netlab.model.words import IP
from netlab.trace.explain.packet import ACK, DISCOVERY, ECHO, FIN, RST, SYN, Packet, Span, ends
from netlab.trace.model import Change

Direction = Literal["original", "reply"]
What = Literal["source", "destination"]
"""Of a packet, what is rewritten."""
BEGINNERS = frozenset({8, 13, 15, 17, 128, 139})
"""Types of ICMP that a connection may begin with (icmp_new, icmpv6_new)."""
OTHER: dict[Direction, Direction] = {"original": "reply", "reply": "original"}


class Tuple(NamedTuple):
    """One direction of a connection; an echo's id stands for both its ports."""

    protocol: str
    source: IP
    source_port: Span
    destination: IP
    destination_port: Span

    @property
    def turned(self) -> Tuple:
        return Tuple(
            self.protocol, self.destination, self.destination_port, self.source, self.source_port
        )


def tuple_of(packet: Packet) -> Tuple:
    source, destination = packet.source_port, packet.destination_port
    if packet.is_icmp:
        source = destination = packet.icmp_id
    return Tuple(packet.protocol, packet.source, source, packet.destination, destination)


@dataclass(eq=False)
class Connection:
    original: Tuple
    reply: Tuple
    mark: int = 0
    answered: bool = False
    confirmed: bool = False
    """Only once its first packet has got through does the kernel know it again."""
    translated: set[str] = field(default_factory=set)
    """``source`` and ``destination``: what was decided about, be it to leave it as it is."""
    helper: str = ""

    def way(self, direction: Direction) -> Tuple:
        return self.original if direction == "original" else self.reply

    @property
    def source_nat(self) -> bool:
        return self.reply.destination != self.original.source or (
            self.reply.destination_port != self.original.source_port
        )

    @property
    def destination_nat(self) -> bool:
        return self.reply.source != self.original.destination or (
            self.reply.source_port != self.original.destination_port
        )

    @property
    def status(self) -> tuple[str, ...]:
        """As conntrack(8) says it."""
        said = (
            ("seen-reply", self.answered),
            ("src-nat", self.source_nat),
            ("dst-nat", self.destination_nat),
        )
        return tuple(word for word, holds in said if holds)


@dataclass(frozen=True)
class Seen:
    """What a node's tracking took a packet for."""

    state: str = "invalid"
    """``new``, ``established``, ``related``, ``invalid``, ``untracked``."""
    direction: Direction = "original"
    connection: Connection | None = None


NOTHING = Seen()
"""Before tracking has looked at it."""
UNTRACKED = Seen("untracked")


@dataclass
class Tracker:
    """The connections of one node."""

    loose: bool = True
    """nf_conntrack_tcp_loose: whether a connection may be taken up in its middle."""
    connections: list[Connection] = field(default_factory=list)

    def look(self, packet: Packet) -> Seen:
        """As nf_conntrack_in does at the first hook of a node."""
        if packet.is_icmp and packet.icmp[0] in DISCOVERY and packet.version == 6:
            return UNTRACKED
        if packet.is_error:
            return self._related(packet)
        wanted = tuple_of(packet)
        for connection, direction in self._known(wanted):
            return self._of(connection, direction, packet)
        if not self._may_begin(packet):
            return NOTHING
        found = Connection(wanted, wanted.turned)
        self.connections.append(found)
        return Seen("new", "original", found)

    def _known(self, wanted: Tuple) -> Iterator[tuple[Connection, Direction]]:
        for connection in self.connections:
            if connection.confirmed and connection.original == wanted:
                yield connection, "original"
            elif connection.confirmed and connection.reply == wanted:
                yield connection, "reply"

    def _of(self, connection: Connection, direction: Direction, packet: Packet) -> Seen:
        if direction == "reply":
            connection.answered = True
        state = "established" if connection.answered else "new"
        return Seen(state, direction, connection)

    def _related(self, packet: Packet) -> Seen:
        """An error goes the way that an answer to what it quotes would go."""
        if packet.quoted is not None:
            for connection, direction in self._known(tuple_of(packet.quoted).turned):
                return Seen("related", direction, connection)
        return NOTHING

    def _may_begin(self, packet: Packet) -> bool:
        if packet.protocol == "tcp":
            if packet.flags & SYN:
                return not packet.flags & (ACK | RST)
            return self.loose and packet.flags & (RST | FIN | ACK) == ACK
        return not packet.is_icmp or packet.icmp[0] in BEGINNERS

    def confirm(self, seen: Seen) -> None:
        """Its packet has got through the node's last hook."""
        if seen.connection is not None:
            seen.connection.confirmed = True


def attached(seen: Seen) -> Seen:
    """Of an error or a reset that the node makes because of a packet (nf_conntrack_attach)."""
    if seen.connection is None:
        return NOTHING
    return Seen("related", OTHER[seen.direction], seen.connection)


def translate(packet: Packet, seen: Seen, what: What) -> Packet:
    """A packet as its connection's entry wants it after a hook of NAT (nf_nat_packet)."""
    connection = seen.connection
    if connection is None:
        return packet
    wanted = connection.way(OTHER[seen.direction]).turned
    if packet.is_error:
        return _error(packet, seen, connection, what)
    return _as(packet, wanted, what)


def _as(packet: Packet, wanted: Tuple, what: What) -> Packet:
    if packet.is_icmp:
        address = wanted.source if what == "source" else wanted.destination
        number = wanted.source_port if what == "source" else packet.icmp_id
        if packet.icmp[0] != ECHO[packet.version] and what == "destination":
            number = wanted.destination_port
        return replace(packet, **{what: address}, icmp_id=number)  # type: ignore[arg-type]
    if what == "source":
        return replace(packet, source=wanted.source, source_port=wanted.source_port)
    return replace(
        packet, destination=wanted.destination, destination_port=wanted.destination_port
    )


def _error(packet: Packet, seen: Seen, connection: Connection, what: What) -> Packet:
    """With what it quotes turned back (nf_nat_icmp_reply_translation)."""
    quoted = packet.quoted
    forth = seen.direction == "original"
    asked = connection.source_nat if (what == "source") == forth else connection.destination_nat
    if quoted is None or not asked:
        return packet
    wanted = connection.way(OTHER[seen.direction]).turned
    # the quoted packet went the other way: its source is this one's destination
    quoted = _as(quoted, wanted.turned, "destination" if what == "source" else "source")
    address = wanted.source if what == "source" else wanted.destination
    return replace(packet, quoted=quoted, **{what: address})  # type: ignore[arg-type]


def changes(before: Packet, after: Packet) -> tuple[Change, ...]:
    """What NAT made of it, in words."""
    names: tuple[Literal["source", "source_port", "destination", "destination_port"], ...] = (
        "source", "source_port", "destination", "destination_port",
    )  # fmt: skip
    return tuple(
        Change(name, str(getattr(before, name)), str(getattr(after, name)))
        for name in names
        if getattr(before, name) != getattr(after, name)
    )



def in_words(wanted: Tuple) -> str:
    """``10.1.0.2:50106 → 203.0.113.1:8080``."""
    ports = wanted.source_port, wanted.destination_port
    return ends(Packet(wanted.source, wanted.destination, wanted.protocol, *ports))
