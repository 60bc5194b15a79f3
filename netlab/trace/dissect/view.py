"""What the layers of a packet share: names, what is known of connections, what has been found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from socket import AF_INET, AF_INET6, inet_ntop

MOST_FLOWS = 10_000
"""Connections whose first sequence numbers are remembered."""


class Short(Exception):
    """The bytes end here."""


def number(data: bytes, at: int, size: int) -> int:
    """Big-endian. Raises Short."""
    return int.from_bytes(piece(data, at, size), "big")


def piece(data: bytes, at: int, size: int) -> bytes:
    """Raises Short."""
    if at + size > len(data):
        raise Short
    return data[at : at + size]


@dataclass
class Facts:
    """For programs: a packet's protocols from the outside in, and the ends of its first IP."""

    protocols: list[str] = field(default_factory=list)
    source: str = ""
    destination: str = ""
    source_port: int | None = None
    destination_port: int | None = None


@dataclass(frozen=True)
class Ends:
    """Addresses of a packet."""

    source: str
    destination: str


Flow = tuple[str, int, str, int]
"""Source and its port, destination and its port."""


class Flows:
    """TCP connections: sequence numbers are told from their beginning, as far as it was seen."""

    def __init__(self) -> None:
        self._begun: dict[Flow, tuple[int, int]] = {}

    def relative(
        self, flow: Flow, sequence: int, acknowledged: int, *, begins: bool
    ) -> tuple[int, int]:
        """Both, counted from the first ones of the connection that were acknowledged."""
        source, port, destination, far_port = flow
        for known, turned in ((flow, False), ((destination, far_port, source, port), True)):
            if known in self._begun and not begins:
                first, second = self._begun[known]
                if turned:
                    first, second = second, first
                return sequence - first & 0xFFFFFFFF, acknowledged - second & 0xFFFFFFFF
            self._begun.pop(known, None)
        if len(self._begun) >= MOST_FLOWS:
            del self._begun[next(iter(self._begun))]
        self._begun[flow] = sequence, acknowledged - 1 & 0xFFFFFFFF
        return sequence, acknowledged


@dataclass
class View:
    names: Mapping[str, str]
    """By address."""
    flows: Flows
    facts: Facts = field(default_factory=Facts)
    is_inner: bool = False
    """Whether this is about what a tunnel holds."""

    def found(self, protocol: str) -> None:
        self.facts.protocols.append(protocol)

    def ends(self, ends: Ends) -> None:
        if not self.facts.source and not self.is_inner:
            self.facts.source, self.facts.destination = ends.source, ends.destination

    def ports(self, source: int, destination: int) -> None:
        if self.facts.source_port is None and not self.is_inner:
            self.facts.source_port, self.facts.destination_port = source, destination

    def name(self, address: str) -> str:
        return self.names.get(address, address)


def ipv4(data: bytes, at: int) -> str:
    """Raises Short."""
    return inet_ntop(AF_INET, piece(data, at, 4))


def ipv6(data: bytes, at: int) -> str:
    """Raises Short."""
    return inet_ntop(AF_INET6, piece(data, at, 16))


def mac(data: bytes, at: int) -> str:
    """Raises Short."""
    return piece(data, at, 6).hex(":")
