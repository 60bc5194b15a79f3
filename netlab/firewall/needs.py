"""What must be known of a packet before a header of it is read: the matches that nft adds."""

from __future__ import annotations

from dataclasses import dataclass, field

from . import ops
from .fields import LINK, NETWORK, PROTOCOLS, TRANSPORT
from .problems import Wrong

_ETHERTYPES = {"ip": 0x800, "ip6": 0x86DD, "arp": 0x806}
_BY_ETHERTYPE = {number: name for name, number in _ETHERTYPES.items()}
VLANS = (0x8100, 0x88A8)
_NFPROTO = {"ip": 2, "ip6": 10}
_BY_NFPROTO = {number: name for name, number in _NFPROTO.items()}
_BY_NUMBER = {
    protocol.number: protocol.name
    for protocol in PROTOCOLS.values()
    if protocol.base == TRANSPORT and protocol.number
}
_CARRIERS = {"icmp": "ip", "igmp": "ip", "icmpv6": "ip6"}
_FIRST: dict[str, dict[int, str]] = {
    "ip": {NETWORK: "ip"},
    "ip6": {NETWORK: "ip6"},
    "arp": {NETWORK: "arp"},
    "bridge": {LINK: "ether"},
    "inet": {},
    "netdev": {},
}
_ANY_LAYER = ("bridge", "netdev")
TELLING = frozenset((
    ("meta", "l4proto"), ("ip", "protocol"), ("ip6", "nexthdr"), ("meta", "nfproto"),
    ("meta", "protocol"), ("ether", "type"), ("vlan", "type"), ("meta", "iiftype"),
    ("icmp", "type"), ("icmpv6", "type"),
))  # fmt: skip
"""Fields whose value says what else there is."""


@dataclass
class Equal:
    """Bytes of the packet that must equal: kept apart, since neighbours are merged."""

    base: int
    offset: int
    data: bytes

    def encoded(self) -> tuple[bytes, bytes]:
        load = ops.payload(0, self.base, self.offset, len(self.data))
        return load, ops.compare(0, ops.EQ, self.data)


Item = bytes | Equal


@dataclass
class Packet:
    """What the rule so far says of the packet."""

    family: str
    known: dict[int, str] = field(default_factory=dict)
    implied: bool = False
    """The network protocol was learnt inside this rule, not from the table's family."""

    def __post_init__(self) -> None:
        self.known = dict(_FIRST[self.family])

    def need(self, name: str, at: int, inner: bool = False) -> list[Item]:
        """The matches to put before a field of this protocol (``inner``: inside it) is read."""
        base = PROTOCOLS[name].base
        known = self.known.get(base)
        if known == name or name == "th":
            return []
        if name == "vlan" and known is not None and known.startswith("vlan"):
            return []
        if base == LINK:
            return self._need_link(name, at)
        if known is not None:
            raise Wrong(at, f"conflicting protocols: {known} and {name}", "no packet is both")
        if base == NETWORK:
            return self._need_network(name, at, inner)
        return self._need_transport(name, at)

    def _need_link(self, name: str, at: int) -> list[Item]:
        added: list[Item] = []
        known = self.known.get(LINK)
        if known is None:
            added += [ops.meta(0, 8), ops.compare(0, ops.EQ, b"\x01\0")]
            self.known[LINK] = "ether"
        if name == "vlan":
            added.append(Equal(LINK, 12, b"\x81\0"))
            self.known[LINK] = "vlan"
        return added

    def _need_network(self, name: str, at: int, inner: bool = False) -> list[Item]:
        if name == "arp" and self.family == "inet" and self.known.get(LINK) is None:
            raise Wrong(at, "conflicting protocols: inet and arp", "use a table of family arp")
        self.known[NETWORK] = name
        number = _ETHERTYPES[name].to_bytes(2, "big")
        link = self.known.get(LINK)
        if link is not None and link.startswith("vlan"):
            return [Equal(LINK, 16 + 4 * behind(link), number)]
        if link == "ether" and (self.family != "bridge" or inner or name == "arp"):
            return [Equal(LINK, 12, number)]
        if self.family in _ANY_LAYER:
            return [ops.meta(0, 1), ops.compare(0, ops.EQ, number)]
        return [ops.meta(0, 15), ops.compare(0, ops.EQ, bytes((_NFPROTO[name],)))]

    def _need_transport(self, name: str, at: int) -> list[Item]:
        added: list[Item] = []
        if self.family == "arp":
            raise Wrong(at, f"conflicting protocols: arp and {name}")
        carrier = _CARRIERS.get(name)
        if carrier and NETWORK not in self.known:
            added += self._need_network(carrier, at, inner=True)
        added += [ops.meta(0, 16), ops.compare(0, ops.EQ, bytes((PROTOCOLS[name].number,)))]
        self.known[TRANSPORT] = name
        return added

    def learn(self, words: tuple[str, ...], number: int) -> None:
        """A field (of ``TELLING``) was found equal to a number: what follows from it."""
        if words in (("meta", "l4proto"), ("ip", "protocol"), ("ip6", "nexthdr")):
            self._known(TRANSPORT, _BY_NUMBER.get(number, f"protocol {number}"))
        elif words == ("meta", "nfproto") and self.family == "inet":
            self._known(NETWORK, _BY_NFPROTO.get(number))
        elif words == ("meta", "protocol") and self.family in _ANY_LAYER:
            self._known(NETWORK, _BY_ETHERTYPE.get(number))
        elif words[-1] == "type" and words[0] in ("ether", "vlan"):
            if number in VLANS:
                self.known[LINK] = _next_vlan(self.known.get(LINK, ""))
            else:
                self._known(NETWORK, _BY_ETHERTYPE.get(number))
        elif words == ("meta", "iiftype") and number == 1:
            self._known(LINK, "ether")

    def _known(self, base: int, name: str | None) -> None:
        if name is not None:
            self.known[base] = name


def behind(link: str) -> int:
    """How many VLAN headers lie before the one meant: of ``vlan`` 0, of ``vlan+1`` one."""
    return int(link.removeprefix("vlan") or "0")


def _next_vlan(link: str) -> str:
    return f"vlan+{behind(link) + 1}" if link.startswith("vlan") else "vlan"


def merged(items: list[Item]) -> list[bytes]:
    """The kernel's expressions; neighbouring bytes that must equal are compared at once."""
    equals = [item for item in items if type(item) is Equal]
    if len(equals) > 1:
        items = _merge(items, equals)
    found: list[bytes] = []
    for item in items:
        if type(item) is bytes:
            found.append(item)
        elif isinstance(item, Equal):
            found += item.encoded()
    return found


def _merge(items: list[Item], equals: list[Equal]) -> list[Item]:
    gone: set[int] = set()
    ordered = sorted(equals, key=lambda equal: (equal.base, equal.offset))
    last = ordered[0]
    for equal in ordered[1:]:
        if _neighbours(last, equal):
            last.data += equal.data
            gone.add(id(equal))
        else:
            last = equal
    return [item for item in items if id(item) not in gone]


def _neighbours(left: Equal, right: Equal) -> bool:
    """Four bytes alone are what the kernel compares fastest: nft leaves them alone."""
    touch = left.base == right.base and left.offset + len(left.data) == right.offset
    return touch and 4 not in (len(left.data), len(right.data)) and (
        len(left.data) + len(right.data) <= 16
    )
