"""Who asks whom, at which address, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from itertools import combinations, product
from typing import NamedTuple

TILE = 16
"""So many nodes ask so many others before it is the turn of the next."""


class Pair(NamedTuple):
    source: str
    target: str
    address: str
    """Of the target; "" where the two have none in common."""
    why: str = ""
    """Then, whose fault it is."""


Addresses = Mapping[str, Sequence[str]]
"""By node, without lengths, those first that it is known by."""


def pairs(addresses: Addresses, version: int) -> list[Pair]:
    """Each node to each other one, by IPv4 where both have it, else by IPv6.

    ``version``: of IP, 0 for either. The address is the target's first, as in `netlab trace`.
    """
    firsts = {node: _first_of_each(some) for node, some in addresses.items()}
    wanted = (version,) if version else (4, 6)
    return [
        _pair(source, target, firsts, wanted) for source, target in in_tiles(list(addresses))
    ]


def _pair(
    source: str, target: str, firsts: Mapping[str, Mapping[int, str]], wanted: Sequence[int]
) -> Pair:
    for version in wanted:
        if version in firsts[source] and version in firsts[target]:
            return Pair(source, target, firsts[target][version])
    what = f"IPv{wanted[0]} address" if len(wanted) == 1 else "address"
    for node in (target, source):
        if not any(version in firsts[node] for version in wanted):
            return Pair(source, target, "", f"{node} has no {what}")
    return Pair(source, target, "", f"{source} and {target} have no version of IP in common")


def _first_of_each(addresses: Sequence[str]) -> dict[int, str]:
    found: dict[int, str] = {}
    for address in filter(is_usual, addresses):
        found.setdefault(6 if ":" in address else 4, address)
    return found


def is_usual(address: str) -> bool:
    """Not one that means something else in every node."""
    parsed = ip_address(address)
    return not (parsed.is_loopback or (parsed.version == 6 and parsed.is_link_local))


def in_tiles(nodes: Sequence[str]) -> Iterator[tuple[str, str]]:
    """All ordered pairs, both directions one after the other; few nodes at a time.

    Two nodes of a segment that talk to each other learn each other's MACs, once for both
    directions. So what is learned grows half as fast as what is asked.
    """
    groups = [nodes[at : at + TILE] for at in range(0, len(nodes), TILE)]
    for place, group in enumerate(groups):
        for a, b in combinations(group, 2):
            yield from ((a, b), (b, a))
        for other in groups[place + 1 :]:
            for a, b in product(group, other):
                yield from ((a, b), (b, a))
