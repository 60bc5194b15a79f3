"""A connection as the kernel tracks it, and all that a namespace has."""

from __future__ import annotations

from typing import NamedTuple


class End(NamedTuple):
    """Where packets of a connection come from, or go to."""

    address: str
    port: int | None = None
    """None where the protocol has none; of GRE, its key."""


class Icmp(NamedTuple):
    """What stands in place of ports where echoes and the like are tracked."""

    type: int
    code: int
    id: int


class Direction(NamedTuple):
    """One direction of a connection: what its packets look like before they are translated."""

    source: End
    destination: End
    icmp: Icmp | None = None
    zone: int = 0
    packets: int | None = None
    """None where they are not counted (``net.netfilter.nf_conntrack_acct``)."""
    bytes: int | None = None


class Connection(NamedTuple):
    """A connection as the kernel tracks it: both directions as it expects them."""

    protocol: str
    """``tcp``, ``udp``, ``icmp`` …; a number where it has no name here."""
    original: Direction
    """Of its first packet."""
    reply: Direction
    state: str = ""
    """Of TCP, SCTP and DCCP: ``ESTABLISHED``."""
    status: tuple[str, ...] = ()
    """Its bits by name: ``seen-reply``, ``assured``, ``src-nat`` …"""
    timeout: int | None = None
    """Seconds until it is forgotten; None while it is offloaded."""
    mark: int = 0
    helper: str = ""
    labels: tuple[int, ...] = ()

    @property
    def source_nat(self) -> End | None:
        """The source as the other side sees it, where that is not the one it has."""
        seen = self.reply.destination
        return None if seen == self.original.source and self._keeps_id else seen

    @property
    def destination_nat(self) -> End | None:
        """Where its packets go, where that is not where they were sent."""
        true = self.reply.source
        return None if true == self.original.destination else true

    @property
    def _keeps_id(self) -> bool:
        """An id is translated as a port of the source is."""
        there, back = self.original.icmp, self.reply.icmp
        return there is None or back is None or there.id == back.id


class Tracked(NamedTuple):
    """The connections of a namespace."""

    connections: tuple[Connection, ...]
    is_asked_for: bool
    """Whether an nftables rule there looks at connections: without one, none is tracked."""
