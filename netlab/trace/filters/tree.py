"""What a filter says, as it was written: values that know nothing of bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Direction = Literal["", "src", "dst", "src and dst"]
"""``""`` is either."""


@dataclass(frozen=True)
class Is:
    """It is of this protocol: ``tcp``, ``arp`` …"""

    protocol: str


@dataclass(frozen=True)
class Proto:
    """IP, IPv6 (or either, with ``layer`` ""), or Ethernet (``ether``) carries that number."""

    layer: str
    number: int


@dataclass(frozen=True)
class Network:
    """An address lies in it."""

    family: Literal[4, 6]
    address: int
    length: int
    """Of the prefix, in bits."""


@dataclass(frozen=True)
class Hosts:
    """From or to one of these; ``protocol`` is ``ip``, ``ip6``, ``arp``, ``rarp`` or ""."""

    direction: Direction
    networks: tuple[Network, ...]
    protocol: str = ""


@dataclass(frozen=True)
class Mac:
    direction: Direction
    address: bytes


@dataclass(frozen=True)
class Ports:
    """``protocol`` is ``tcp``, ``udp``, ``sctp`` or "" for all of them."""

    direction: Direction
    first: int
    last: int
    protocol: str = ""


@dataclass(frozen=True)
class Vlan:
    number: int | None
    """None for any."""


@dataclass(frozen=True)
class Cast:
    """To many: ``ether broadcast``, ``ether multicast``, ``ip multicast``, ``ip6 multicast``."""

    layer: Literal["ether", "ip", "ip6"]
    kind: Literal["broadcast", "multicast"]


@dataclass(frozen=True)
class Bound:
    """The way through the interface."""

    outward: bool


Relation = Literal["==", "!=", ">", "<", ">=", "<="]


@dataclass(frozen=True)
class Length:
    """Bytes of the packet, its link header included."""

    relation: Relation
    value: int


@dataclass(frozen=True)
class Bytes:
    """Some bytes of a header, by a mask, compared with a number."""

    protocol: str
    offset: int
    size: Literal[1, 2, 4]
    mask: int
    relation: Relation
    value: int


@dataclass(frozen=True)
class And:
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Or:
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Not:
    inner: Expression


Expression: TypeAlias = (
    Is | Proto | Hosts | Mac | Ports | Vlan | Cast | Bound | Length | Bytes | And | Or | Not
)
