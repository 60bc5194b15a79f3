"""A socket that a program has open, with what the kernel measures of it."""

from __future__ import annotations

from typing import NamedTuple


class Tcp(NamedTuple):
    """What TCP knows of a connection."""

    congestion: str = ""
    """The algorithm: ``cubic``."""
    window: int | None = None
    """The congestion window (cwnd), in segments."""
    threshold: int | None = None
    """Of slow start (ssthresh), in segments; None while there is none."""
    rtt: float | None = None
    """Smoothed round-trip time, in milliseconds."""
    rtt_deviation: float | None = None
    """In milliseconds."""
    timeout: float | None = None
    """Until a segment is sent again (RTO), in milliseconds."""
    segment: int | None = None
    """Bytes of the largest segment that is sent (MSS)."""
    path_mtu: int | None = None
    unacknowledged: int | None = None
    """Segments on their way."""
    lost: int | None = None
    retransmitted: int | None = None
    """Segments sent again since the beginning."""
    sent: int | None = None
    """Bytes that were acknowledged."""
    received: int | None = None
    """Bytes."""
    out_of_order: int | None = None
    """Packets that came out of order, since the beginning."""
    advertised: int | None = None
    """Bytes of room that the other end was told of last."""


class Memory(NamedTuple):
    """Bytes that a socket holds (``struct sk_meminfo``)."""

    receive: int
    """Held for reading, overhead included."""
    receive_limit: int
    """``SO_RCVBUF``."""
    send: int
    send_limit: int
    backlog: int
    """Of packets that came while a program had the socket."""
    drops: int
    """Packets for which there was no room, or that were wrong; since the beginning."""


class Socket(NamedTuple):
    protocol: str
    """``tcp``, ``udp``, ``raw``."""
    state: str
    """Of TCP: ``ESTABLISHED``, ``LISTEN`` …; "" for others."""
    address: str
    port: int
    peer: str
    """"" where there is none."""
    peer_port: int
    receive_queue: int
    """Bytes that wait to be read; of LISTEN, connections that wait to be accepted."""
    send_queue: int
    """Bytes not acknowledged; of LISTEN, how many connections may wait."""
    device: int = 0
    """The interface index that it is bound to; 0 for none."""
    user: int = 0
    pid: int = 0
    """Of a process that has it open; 0 where none was found."""
    program: str = ""
    half_open: int = 0
    """Of LISTEN: connections of which the handshake is under way (its SYN queue)."""
    memory: Memory | None = None
    tcp: Tcp | None = None

    @property
    def waits_out_of_order(self) -> int | None:
        """Bytes, overhead included, that wait for what is missing before them; None where that
        cannot be told from what waits to be read. The kernel tells only both together.
        """
        if self.memory is None or self.tcp is None:
            return None
        if not self.memory.receive or self.tcp.out_of_order == 0:
            return 0
        return None if self.receive_queue else self.memory.receive
