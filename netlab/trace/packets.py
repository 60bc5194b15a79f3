"""A packet that was seen, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from netlab.kernel.ring import BROADCAST, HOST, MULTICAST, OTHER, OUTGOING, Frame
from netlab.trace.dissect import Flows, told
from netlab.trace.rings import Source

WAYS = {
    HOST: ("in", "host"),
    BROADCAST: ("in", "broadcast"),
    MULTICAST: ("in", "multicast"),
    OTHER: ("in", "other"),
    OUTGOING: ("out", ""),
}


@dataclass(frozen=True)
class Seen:
    """One packet at one interface."""

    time: float
    """Seconds since the epoch."""
    node: str
    interface: str
    direction: str
    """``in`` or ``out``."""
    to: str
    """Whom an incoming one is for: ``host``, ``broadcast``, ``multicast``, ``other``."""
    length: int
    """Bytes, the link header included."""
    protocols: tuple[str, ...]
    """From the outside in: ``ip``, ``udp``, ``vxlan``, ``ip``, ``icmp``."""
    source: str
    """The address, of IP or ARP; "" where there is none."""
    source_node: str
    """"" where the address is of no node, or of several."""
    source_port: int | None
    """Of TCP, UDP and SCTP."""
    destination: str
    destination_node: str
    destination_port: int | None
    text: str
    """The packet in tcpdump's terms."""


class Teller:
    """Frames → packets in words. ``names``: by address; ``numeric``: addresses stay numbers."""

    def __init__(self, sources: Sequence[Source], names: Mapping[str, str], numeric: bool) -> None:
        self._sources, self._names = sources, names
        self._shown: Mapping[str, str] = {} if numeric else names
        self._flows = Flows()

    def tell(self, frame: Frame) -> Seen:
        time, number, whom, length, data = frame
        source = self._sources[number]
        text, facts = told(data, length, source.link, self._shown, self._flows)
        direction, to = WAYS[whom]
        return Seen(
            time=round(time / 1e9, 6),
            node=source.node,
            interface=source.device,
            direction=direction,
            to=to,
            length=length,
            protocols=tuple(facts.protocols),
            source=facts.source,
            source_node=self._names.get(facts.source, ""),
            source_port=facts.source_port,
            destination=facts.destination,
            destination_node=self._names.get(facts.destination, ""),
            destination_port=facts.destination_port,
            text=text,
        )
