"""What a filter's words mean in bytes, by what a packet begins with.

As libpcap takes them: ports are looked at right behind an IPv6 header, a fragment that is not the
first has none, and of IPv6 one header for fragments is passed over to find out about a protocol.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Literal, TypeAlias

from netlab.trace.filters.tree import (
    And,
    Bound,
    Bytes,
    Cast,
    Direction,
    Expression,
    Hosts,
    Is,
    Length,
    Mac,
    Network,
    Not,
    Or,
    Ports,
    Proto,
    Relation,
    Vlan,
)

ETHERNET, RAW_IP = 1, 101
"""Link types, as pcap numbers them."""

ETHERTYPES = {"ip": 0x0800, "arp": 0x0806, "rarp": 0x8035, "ip6": 0x86DD}
TAGS = (0x8100, 0x88A8, 0x9100)
NUMBERS = {
    "icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "esp": 50, "ah": 51, "icmp6": 58, "sctp": 132,
}  # fmt: skip
IN_ONE = {"icmp": "ip", "igmp": "ip", "icmp6": "ip6"}
"""Of which version of IP, where it is of one alone."""
WITH_PORTS = ("sctp", "tcp", "udp")
FRAGMENT = 44

# linux/filter.h, linux/bpf_common.h
WORD, HALF, BYTE = 0x20, 0x28, 0x30
BEHIND = 0x20
"""Added to these: the offset counts from where the register X points …"""
SKIP_IP = 0xB1
"""… which is behind an IPv4 header after this (``ldxb 4*([k]&0xf)``)."""
LENGTH, MASK = 0x80, 0x54
BESIDE = 0xFFFFF000
"""What the kernel knows of a packet beside its bytes (``SKF_AD_OFF``)."""
WHOM_FOR, TAG, HAS_TAG = BESIDE + 4, BESIDE + 44, BESIDE + 48
PACKET_OUTGOING = 4

Load = tuple[int, int]
"""An instruction's code and operand."""


@dataclass(frozen=True)
class Always:
    holds: bool


@dataclass(frozen=True)
class Check:
    """Something is loaded and compared; ``&`` asks whether a bit of the value is set in it."""

    loads: tuple[Load, ...]
    relation: Literal["==", ">", ">=", "&"]
    value: int


@dataclass(frozen=True)
class Both:
    left: Test
    right: Test


@dataclass(frozen=True)
class Either:
    left: Test
    right: Test


@dataclass(frozen=True)
class Negated:
    inner: Test


Test: TypeAlias = Always | Check | Both | Either | Negated


@dataclass(frozen=True)
class View:
    """How the bytes are looked at."""

    link: int
    tags: int = 0
    """VLAN tags that were passed over."""
    took_tag: bool = False
    """Whether the tag that the kernel keeps beside the packet has been spoken of."""

    @property
    def type(self) -> int:
        """Where Ethernet's type is."""
        return 12 + 4 * self.tags

    @property
    def network(self) -> int:
        """Where the IP header is."""
        return 0 if self.link == RAW_IP else self.type + 2


def meaning(expression: Expression, link: int) -> Test:
    return _of(expression, View(link))


def _of(expression: Expression, view: View) -> Test:
    match expression:
        case And():
            return _chain(_parts(expression), view)
        case Or(left, right):
            return _either(_of(left, view), _of(right, view))
        case Not(inner):
            return _negated(_of(inner, view))
        case Vlan():
            return _chain([expression], view)
        case Is(protocol):
            return _is(protocol, view)
        case Proto(layer, number):
            return _carries(layer, number, view)
        case Hosts():
            return _hosts(expression, view)
        case Mac():
            return _mac(expression, view)
        case Ports():
            return _ports(expression, view)
        case Cast():
            return _cast(expression, view)
        case Bound(outward):
            outgoing = Check(((BYTE, WHOM_FOR),), "==", PACKET_OUTGOING)
            return outgoing if outward else Negated(outgoing)
        case Length(relation, value):
            return _compared(((LENGTH, 0),), relation, value)
        case Bytes():
            return _bytes(expression, view)


def _parts(expression: Expression) -> list[Expression]:
    """What is joined by ``and``, from left to right."""
    if isinstance(expression, And):
        return [*_parts(expression.left), *_parts(expression.right)]
    return [expression]


def _chain(parts: Sequence[Expression], view: View) -> Test:
    """What follows a VLAN is about what its tag holds."""
    if not parts:
        return Always(True)
    first, *rest = parts
    if not isinstance(first, Vlan):
        return _both(_of(first, view), _chain(rest, view))
    if view.link == RAW_IP:
        return Always(False)
    deeper = replace(view, tags=view.tags + 1, took_tag=True)
    within = _both(_tagged(first, view), _chain(rest, deeper))
    if view.took_tag:
        return within
    # the outermost tag is the one that the kernel takes out of the bytes
    has_none = Check(((BYTE, HAS_TAG),), "==", 0)
    beside = _both(_beside(first), _chain(rest, replace(view, took_tag=True)))
    return _either(_both(has_none, within), _both(Negated(has_none), beside))


def _beside(vlan: Vlan) -> Test:
    return Always(True) if vlan.number is None else _number(TAG, vlan.number)


def _tagged(vlan: Vlan, view: View) -> Test:
    there = _any(*(Check(((HALF, view.type),), "==", tag) for tag in TAGS))
    return there if vlan.number is None else _both(there, _number(view.type + 2, vlan.number))


def _number(at: int, vlan: int) -> Test:
    return Check(((HALF, at), (MASK, 0x0FFF)), "==", vlan)


def _is(protocol: str, view: View) -> Test:
    if protocol in ETHERTYPES:
        return _ethertype(ETHERTYPES[protocol], view)
    return _carries(IN_ONE.get(protocol, ""), NUMBERS[protocol], view)


def _ethertype(number: int, view: View) -> Test:
    if view.link != RAW_IP:
        return Check(((HALF, view.type),), "==", number)
    version = {0x0800: 0x40, 0x86DD: 0x60}.get(number)
    if version is None:
        return Always(False)
    return Check(((BYTE, 0), (MASK, 0xF0)), "==", version)


def _carries(layer: str, number: int, view: View) -> Test:
    if layer == "ether":
        return _ethertype(number, view)
    ip = _both(_is("ip", view), _byte(view.network + 9, number))
    fragment = _both(_byte(view.network + 6, FRAGMENT), _byte(view.network + 40, number))
    ip6 = _both(_is("ip6", view), _either(_byte(view.network + 6, number), fragment))
    return {"ip": ip, "ip6": ip6, "": _either(ip6, ip)}[layer]


def _byte(at: int, value: int) -> Test:
    return Check(((BYTE, at),), "==", value)


def _hosts(hosts: Hosts, view: View) -> Test:
    """Addresses stand in IP headers, and those of IPv4 in ARP as well."""
    tests = []
    for network in hosts.networks:
        places = {"ip": (12, 16), "arp": (14, 24), "rarp": (14, 24)}
        if network.family == 6:
            places = {"ip6": (8, 24)}
        for protocol, ends in places.items():
            if hosts.protocol in ("", protocol):
                near, far = (_lies_in(network, view.network + end) for end in ends)
                tests.append(_both(_is(protocol, view), _way(hosts.direction, near, far)))
    return _any(*tests)


def _lies_in(network: Network, at: int) -> Test:
    """Word by word."""
    tests: list[Test] = []
    left = network.length
    words = 1 if network.family == 4 else 4
    for place in range(words):
        bits, left = min(left, 32), max(left - 32, 0)
        mask = 0xFFFFFFFF << 32 - bits & 0xFFFFFFFF
        value = network.address >> 32 * (words - place - 1) & mask
        if bits:
            tests.append(_compared(_masked((WORD, at + 4 * place), mask), "==", value))
    return _all(*tests)


def _masked(load: Load, mask: int, whole: int = 0xFFFFFFFF) -> tuple[Load, ...]:
    return (load,) if mask == whole else (load, (MASK, mask))


def _mac(mac: Mac, view: View) -> Test:
    if view.link == RAW_IP:
        return Always(False)
    first, rest = (int.from_bytes(part, "big") for part in (mac.address[:2], mac.address[2:]))

    def stands_at(at: int) -> Test:
        return _both(Check(((WORD, at + 2),), "==", rest), Check(((HALF, at),), "==", first))

    return _way(mac.direction, stands_at(6), stands_at(0))


def _way(direction: Direction, source: Test, destination: Test) -> Test:
    return {
        "src": source,
        "dst": destination,
        "src and dst": _both(source, destination),
        "": _either(source, destination),
    }[direction]


def _ports(ports: Ports, view: View) -> Test:
    at = view.network

    def lie(first: tuple[Load, ...], second: tuple[Load, ...]) -> Test:
        source, destination = (_range(loads, ports.first, ports.last) for loads in (first, second))
        return _way(ports.direction, source, destination)

    def carried(place: int) -> Test:
        protocols = (ports.protocol,) if ports.protocol else WITH_PORTS
        return _any(*(_byte(at + place, NUMBERS[name]) for name in protocols))

    six = lie(((HALF, at + 40),), ((HALF, at + 42),))
    four = lie(_behind(at, HALF, 0), _behind(at, HALF, 2))
    return _either(
        _all(_is("ip6", view), carried(6), six),
        _all(_is("ip", view), carried(9), _has_transport(at), four),
    )


def _has_transport(at: int) -> Test:
    """Only of the first fragment."""
    return Negated(Check(((HALF, at + 6),), "&", 0x1FFF))


def _behind(network: int, size: int, offset: int) -> tuple[Load, ...]:
    """From the header that follows that of IPv4."""
    return (SKIP_IP, network), (size + BEHIND, network + offset)


def _range(loads: tuple[Load, ...], first: int, last: int) -> Test:
    if first == last:
        return Check(loads, "==", first)
    return _both(Check(loads, ">=", first), Negated(Check(loads, ">", last)))


def _cast(cast: Cast, view: View) -> Test:
    if cast.layer == "ether":
        if view.link == RAW_IP:
            return Always(False)
        if cast.kind == "broadcast":
            return _mac(Mac("dst", b"\xff" * 6), view)
        return Check(((BYTE, 0),), "&", 1)
    if cast.layer == "ip":
        return _both(_is("ip", view), Check(((BYTE, view.network + 16),), ">=", 224))
    return _both(_is("ip6", view), _byte(view.network + 24, 0xFF))


def _bytes(bytes: Bytes, view: View) -> Test:
    size = {1: BYTE, 2: HALF, 4: WORD}[bytes.size]
    whole = (1 << 8 * bytes.size) - 1
    at, protocol = view.network, bytes.protocol
    guard: Test = Always(True)
    if protocol == "ether":
        loads: tuple[Load, ...] = ((size, bytes.offset),)
        guard = Always(view.link != RAW_IP)
    elif protocol in ETHERTYPES:
        loads, guard = ((size, at + bytes.offset),), _is(protocol, view)
    elif protocol == "icmp6":
        loads = ((size, at + 40 + bytes.offset),)
        guard = _both(_is("ip6", view), _byte(at + 6, NUMBERS[protocol]))
    else:
        loads = _behind(at, size, bytes.offset)
        guard = _both(_carries("ip", NUMBERS[protocol], view), _has_transport(at))
    if bytes.mask & whole != whole:
        loads = (*loads, (MASK, bytes.mask))
    return _both(guard, _compared(loads, bytes.relation, bytes.value))


def _compared(loads: tuple[Load, ...], relation: Relation, value: int) -> Test:
    match relation:
        case "!=":
            return Negated(Check(loads, "==", value))
        case "<":
            return Negated(Check(loads, ">=", value))
        case "<=":
            return Negated(Check(loads, ">", value))
        case _:
            return Check(loads, relation, value)


def _both(left: Test, right: Test) -> Test:
    match left, right:
        case (Always(False), _) | (_, Always(False)):
            return Always(False)
        case (Always(True), other) | (other, Always(True)):
            return other
    return Both(left, right)


def _either(left: Test, right: Test) -> Test:
    match left, right:
        case (Always(True), _) | (_, Always(True)):
            return Always(True)
        case (Always(False), other) | (other, Always(False)):
            return other
    return Either(left, right)


def _negated(test: Test) -> Test:
    return Always(not test.holds) if isinstance(test, Always) else Negated(test)


def _all(*tests: Test) -> Test:
    everything: Test = Always(True)
    return reduce(_both, tests, everything)


def _any(*tests: Test) -> Test:
    nothing: Test = Always(False)
    return reduce(_either, tests, nothing)
