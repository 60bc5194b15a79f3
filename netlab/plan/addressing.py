"""Automatic addresses: the same in every run, and stable when a link is added at the end."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from itertools import islice
from typing import NamedTuple, TypeAlias

from netlab.model.words import Cidr, Prefix

Spot: TypeAlias = tuple[str, str]
"""node, interface"""

WIDTH = {4: 32, 6: 128}
BLOCK = {4: 24, 6: 64}
"""Prefix length of a switched segment, and of the block that point-to-point links share."""


def _address(version: int, host: int, length: int) -> Cidr:
    return IPv4Interface((host, length)) if version == 4 else IPv6Interface((host, length))


class Member(NamedTuple):
    """An interface that may hold addresses; ``written`` is None where nobody said which."""

    node: str
    interface: str
    written: tuple[Cidr, ...] | None


class Segment(NamedTuple):
    members: tuple[Member, ...]
    switched: bool
    """Whether a bridge joins it, so that more members may come."""


@dataclass(frozen=True)
class Full:
    """A subnet or a pool without room for all who need an address; ``segment`` is the first's."""

    segment: int
    what: str


def number(
    segments: Sequence[Segment], pools: Mapping[int, Prefix | None], taken: Iterable[Prefix]
) -> tuple[dict[Spot, tuple[Cidr, ...]], list[Full]]:
    """Each member's addresses, written or found, IPv4 first; and what ran out."""
    addresses: dict[Spot, list[Cidr]] = {
        (m.node, m.interface): list(m.written or ()) for s in segments for m in s.members
    }
    full: list[Full] = []
    written = [a.network for s in segments for m in s.members for a in m.written or ()]
    used = [*written, *taken]
    for version in (4, 6):
        pool = pools[version]
        free = None if pool is None else _Pool(pool, [p for p in used if p.version == version])
        for place, segment in enumerate(segments):
            open_members = [m for m in segment.members if m.written is None]
            if not open_members:
                continue
            if any(m.written for m in segment.members):
                found, what = _beside(segment, len(open_members), version)
            else:
                found, what = _fresh(segment, len(open_members), free, version)
            for member, address in zip(open_members, found, strict=False):
                addresses[member.node, member.interface].append(address)
            if what:
                full.append(Full(place, what))
    return {spot: tuple(found) for spot, found in addresses.items()}, full


def _beside(segment: Segment, wanted: int, version: int) -> tuple[list[Cidr], str]:
    """The lowest free hosts of the first subnet that somebody wrote."""
    held = [a for m in segment.members for a in m.written or () if a.version == version]
    subnets = [a.network for a in held if a.network.prefixlen < WIDTH[version]]
    if not subnets:
        return [], ""
    taken = {int(a.ip) for a in held}
    hosts = (h for h in _hosts(subnets[0]) if h not in taken)
    length = subnets[0].prefixlen
    found = [_address(version, host, length) for host in islice(hosts, wanted)]
    return found, "" if len(found) == wanted else f"{subnets[0]} has no free address left"


def _hosts(subnet: Prefix) -> Iterator[int]:
    """All but the network's and, for IPv4, the broadcast address (RFC 3021, RFC 6164 excepted)."""
    first, last = int(subnet.network_address), int(subnet.broadcast_address)
    if last - first < 2:
        yield from range(first, last + 1)
        return
    yield from range(first + 1, last if subnet.version == 4 else last + 1)


def _fresh(
    segment: Segment, wanted: int, free: _Pool | None, version: int
) -> tuple[list[Cidr], str]:
    if free is None:
        return [], ""
    is_link = wanted == 2 == len(segment.members) and not segment.switched
    if is_link:
        length, first, offset = WIDTH[version] - 1, free.link(), 0
    else:
        length, first = free.block(wanted + 2)
        offset = 1
    if first is None:
        return [], f"the IPv{version} pool {free.pool} is used up"
    return [_address(version, first + offset + n, length) for n in range(wanted)], ""


class _Pool:
    """What is free of a pool, from its beginning on."""

    def __init__(self, pool: Prefix, used: Iterable[Prefix]) -> None:
        self.pool = pool
        self._width = WIDTH[pool.version]
        self._next = int(pool.network_address)
        self._end = int(pool.broadcast_address) + 1
        self._used: list[tuple[int, int]] = []
        for prefix in set(used):
            span = int(prefix.network_address), int(prefix.broadcast_address)
            if span[1] >= self._next and span[0] < self._end:
                insort(self._used, span)
        self._reach = self._reaches()
        self._links = iter(range(0))
        self._gone: set[int] = set()

    def _reaches(self) -> list[int]:
        """The last address held by any up to each one: used prefixes may lie in each other."""
        reaches: list[int] = []
        for _, last in self._used:
            reaches.append(max(last, reaches[-1] if reaches else last))
        return reaches

    def link(self) -> int | None:
        """The first of two addresses, out of a block that links share."""
        first = next(self._links, None)
        if first is not None:
            return first
        length, block = self.block(2)
        if block is None:
            return None
        # of a /64 as many links as of a /24: nobody has to read longer addresses than these
        self._links = iter(range(block, block + min(256, 1 << (self._width - length)), 2))
        return next(self._links, None)

    def block(self, least: int) -> tuple[int, int | None]:
        """A free prefix of the usual length, or larger to hold that many addresses.

        Where no such is left, the smallest that holds them: its length, its first address.
        """
        smallest = self._width - (least - 1).bit_length()
        for length in (min(BLOCK[self.pool.version], smallest), smallest):
            if length not in self._gone:
                first = self._take(1 << (self._width - length))
                if first is not None:
                    return length, first
                self._gone.add(length)
        return smallest, None

    def _take(self, size: int) -> int | None:
        first = -(-self._next // size) * size
        while first + size <= self._end:
            past = self._past(first, first + size - 1)
            if past is None:
                self._next = first + size
                return first
            first = -(-past // size) * size
        return None

    def _past(self, first: int, last: int) -> int | None:
        """Where the used prefix that overlaps ends; None if none does."""
        place = bisect_left(self._used, (last + 1, 0))
        if place and self._reach[place - 1] >= first:
            return self._reach[place - 1] + 1
        return None
