"""`routing: static`: the shortest paths from every node to every prefix, by count of hops.

Sets of prefixes are bits of one integer, in the order of their addresses, so that a whole set is
joined, cut and compared in one operation; what neighbouring bits have in common becomes one route.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_network
from itertools import chain
from typing import NamedTuple, TypeAlias

from netlab.resources.network import Hop

Groups: TypeAlias = tuple[tuple[tuple[Hop, ...], tuple[str, ...]], ...]
"""``((next hops, prefixes), …)``"""

EVERYWHERE = {4: "0.0.0.0/0", 6: "::/0"}
WIDTH = {4: 32, 6: 128}


class Attachment(NamedTuple):
    """An interface with an address on a segment."""

    node: str
    interface: str
    segment: int
    address: str
    forwards: bool
    """Whether its node lets packets through."""


def routes(
    family: int,
    attachments: Sequence[Attachment],
    prefixes: Sequence[tuple[str, int | None, str | None]],
    written: Mapping[str, frozenset[str]],
) -> dict[str, Groups]:
    """Each node's routes, by next hops.

    A prefix belongs to a segment, whose nodes need no route to it, or to one node. ``written`` are
    the prefixes that a node has routes for already: they stay the user's.
    """
    table = _Prefixes(family, prefixes)
    net = _Net(attachments, table)
    found: dict[str, Groups] = {}
    for place, by_way in enumerate(_reached(net.graph)):
        name, ways = net.names[place], net.ways[place]
        own = written.get(name, frozenset())
        groups = _groups(ways, by_way)
        if net.is_simple_host(place) and EVERYWHERE[family] not in own:
            found[name] = ((_hops(ways), (EVERYWHERE[family],)),)
        elif not net.graph.forwards[place] and len(groups) == 1 and EVERYWHERE[family] not in own:
            found[name] = ((next(iter(groups)), (EVERYWHERE[family],)),)
        elif groups:
            found[name] = tuple(_spelt(groups, table, own - {EVERYWHERE[family]}))
    return {name: groups for name, groups in found.items() if groups}


class _Way(NamedTuple):
    node: int
    hop: Hop


class _Graph(NamedTuple):
    """What decides who is reached how, and nothing else: often the same for both families."""

    forwards: tuple[bool, ...]
    ways: tuple[tuple[int, ...], ...]
    """For each node, the nodes that it can hand a packet to."""
    attached: tuple[int, ...]
    owned: tuple[int, ...]
    everything: int


class _Net:
    def __init__(self, attachments: Sequence[Attachment], table: _Prefixes) -> None:
        self.names = list(dict.fromkeys([*(a.node for a in attachments), *table.owners]))
        number = {name: place for place, name in enumerate(self.names)}
        count = len(self.names)
        forwards, attached = [False] * count, [0] * count
        on_segment: dict[int, list[Attachment]] = {}
        first_on: set[tuple[str, str, int]] = set()
        for a in attachments:
            forwards[number[a.node]] = a.forwards
            attached[number[a.node]] |= table.of_segment.get(a.segment, 0)
            if (a.node, a.interface, a.segment) not in first_on:
                first_on.add((a.node, a.interface, a.segment))
                on_segment.setdefault(a.segment, []).append(a)
        owned = [table.owners.get(name, 0) for name in self.names]
        useful = {s: [b for b in all_ if b.forwards or owned[number[b.node]]]
                  for s, all_ in on_segment.items()}  # fmt: skip
        ways: list[dict[Hop, int]] = [{} for _ in self.names]
        for segment, all_ in on_segment.items():
            for a in all_:
                mine = ways[number[a.node]]
                for b in useful[segment]:
                    if b.node != a.node:
                        mine[b.address, a.interface, 1, False] = number[b.node]
        self.ways = [
            [_Way(node, hop) for hop, node in sorted(w.items(), key=lambda way: way[0][1::-1])]
            for w in ways
        ]
        self.graph = _Graph(
            tuple(forwards),
            tuple(tuple(way.node for way in w) for w in self.ways),
            tuple(attached),
            tuple(owned),
            (1 << len(table.ordered)) - 1,
        )

    def is_simple_host(self, place: int) -> bool:
        """It forwards nothing, and has one way out: then that is the way to everything."""
        return (
            not self.graph.forwards[place]
            and len(self.ways[place]) == 1
            and self.graph.forwards[self.ways[place][0].node]
        )


@lru_cache(maxsize=1)
def _reached(graph: _Graph) -> list[list[int]]:
    """For each node and each of its ways, the prefixes that are nearest by it.

    All nodes look one hop further at a time. What a neighbour saw for the first time the last time
    is as near by it as can be; one that does not forward tells of its own prefixes only.
    """
    forwards, ways = graph.forwards, graph.ways
    nodes = range(len(ways))
    unseen = [graph.everything & ~(graph.attached[n] | graph.owned[n]) for n in nodes]
    told = [graph.owned[n] | (graph.attached[n] if forwards[n] else 0) for n in nodes]
    by_way = [[0] * len(w) for w in ways]
    looking = [n for n in nodes if ways[n] and unseen[n]]
    while looking:
        fresh = [0] * len(ways)
        for n in looking:
            new = 0
            for other in ways[n]:
                new |= told[other]
            new &= unseen[n]
            if new:
                unseen[n] ^= new
                mine = by_way[n]
                for place, other in enumerate(ways[n]):
                    if nearest := told[other] & new:
                        mine[place] |= nearest
                if forwards[n]:
                    fresh[n] = new
        told = fresh
        looking = [n for n in looking if unseen[n]] if any(fresh) else []
    return by_way


def _groups(ways: Sequence[_Way], by_way: Sequence[int]) -> dict[tuple[Hop, ...], int]:
    """Prefixes by the set of next hops that are equally near."""
    groups: dict[tuple[Hop, ...], int] = {}
    for way, reached in zip(ways, by_way, strict=True):
        split: dict[tuple[Hop, ...], int] = {}
        rest = reached
        for hops, bits in groups.items():
            both = bits & reached
            if both:
                split[(*hops, way.hop)] = both
                rest &= ~both
            if bits != both:
                split[hops] = bits ^ both
        if rest:
            split[(way.hop,)] = rest
        groups = split
    return groups


def _hops(ways: Sequence[_Way]) -> tuple[Hop, ...]:
    return tuple(way.hop for way in ways)


def _spelt(
    groups: Mapping[tuple[Hop, ...], int], table: _Prefixes, own: frozenset[str]
) -> Iterator[tuple[tuple[Hop, ...], tuple[str, ...]]]:
    """Beside routes of the user's, nothing is put together: it could hide one of them."""
    for hops, bits in groups.items():
        prefixes = table.together(bits) if not own else table.singly(bits)
        left = tuple(p for p in prefixes if p not in own) if own else prefixes
        if left:
            yield hops, left


class _Prefixes:
    """The prefixes there are, in the order of their addresses, and what exactly holds several."""

    def __init__(self, family: int, prefixes: Sequence[tuple[str, int | None, str | None]]) -> None:
        self._width = WIDTH[family]
        spans = {}
        for text, _, _ in prefixes:
            if text not in spans:
                network = ip_network(text)
                spans[text] = (int(network.network_address), network.prefixlen)
        self.ordered = sorted(spans, key=spans.__getitem__)
        bit = {text: 1 << place for place, text in enumerate(self.ordered)}
        self.of_segment: dict[int, int] = {}
        self.owners: dict[str, int] = {}
        for text, segment, node in prefixes:
            if segment is not None:
                self.of_segment[segment] = self.of_segment.get(segment, 0) | bit[text]
            if node is not None:
                self.owners[node] = self.owners.get(node, 0) | bit[text]
        self._larger = self._put_together([spans[text] for text in self.ordered])
        self._known: dict[tuple[int, int], tuple[str, ...]] = {}

    def singly(self, bits: int) -> tuple[str, ...]:
        return tuple(text for start, end in _runs(bits) for text in self.ordered[start:end])

    def together(self, bits: int) -> tuple[str, ...]:
        """Fewest prefixes that hold these and no address beyond them."""
        return tuple(chain.from_iterable(self._cover(start, end) for start, end in _runs(bits)))

    def _cover(self, start: int, end: int) -> tuple[str, ...]:
        known = self._known.get((start, end))
        if known is None:
            found = []
            at = start
            while at < end:
                whole, text = next(c for c in self._larger[at] if c[0] <= end)
                found.append(text)
                at = whole
            known = self._known[start, end] = tuple(found)
        return known

    def _put_together(self, spans: Sequence[tuple[int, int]]) -> list[list[tuple[int, str]]]:
        """For each place, the prefixes that begin there and where they end, largest first."""
        larger = [[(place + 1, text)] for place, text in enumerate(self.ordered)]
        held = {span: (place, place + 1) for place, span in enumerate(spans)}
        level = list(held)
        for length in range(self._width, 1, -1):
            size = 1 << (self._width - length)
            some = [span for span in level if span[1] == length]
            for first, _ in some:
                sibling = held.get((first + size, length))
                parent = (first, length - 1)
                if first & size or sibling is None or parent in held:
                    continue
                start, end = held[first, length]
                if sibling[0] == end:
                    held[parent] = (start, sibling[1])
                    level.append(parent)
                    larger[start].insert(0, (sibling[1], self._text(parent)))
        return larger

    def _text(self, span: tuple[int, int]) -> str:
        return str(ip_network(span))


def _runs(bits: int) -> Iterator[tuple[int, int]]:
    """Where bits follow each other: first place, and the one after the last."""
    for match in re.finditer("1+", bin(bits)[:1:-1]):
        yield match.span()
