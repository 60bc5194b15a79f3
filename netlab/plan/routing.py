"""`routing: static`: the shortest paths from every node to every prefix, by count of hops.

Sets of prefixes are bits of one integer, in the order of their addresses, so that a whole set is
joined, cut and compared in one operation; what neighbouring bits have in common becomes one route.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_network
from typing import NamedTuple, TypeAlias

from netlab.resources.network import Hop

_Run: TypeAlias = tuple[int, int]
"""Places in the order of prefixes: the first, and the one after the last."""

Groups: TypeAlias = tuple[tuple[tuple[Hop, ...], tuple[str, ...]], ...]
"""``((next hops, prefixes), …)``"""

EVERYWHERE = {4: "0.0.0.0/0", 6: "::/0"}
WIDTH = {4: 32, 6: 128}

MOST_SETS = 20_000
"""Of prefixes, whose runs are kept: some megabytes."""


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
        ways: list[dict[tuple[str, int], str]] = [{} for _ in self.names]
        for all_ in on_segment.values():
            known = [(number[b.node], b) for b in all_]
            useful = [(n, b.address) for n, b in known if b.forwards or owned[n]]
            for a in all_:
                here = number[a.node]
                for other, address in useful:
                    if other != here:
                        # a link with several subnets is one way: the first address there
                        ways[here].setdefault((a.interface, other), address)
        self.ways = [
            sorted((_Way(o, (a, i, 1, False)) for (i, o), a in w.items()), key=_by_device)
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


def _by_device(way: _Way) -> tuple[str, str]:
    return way.hop[1], way.hop[0]


@lru_cache(maxsize=1)
def _reached(graph: _Graph) -> list[list[int]]:
    """For each node and each of its ways, the prefixes that are nearest by it.

    All nodes look one hop further at a time. What a neighbour saw for the first time the last time
    is as near by it as can be; one that does not forward tells of its own prefixes only.
    A host with one neighbour need not look: it sees what that one sees.
    """
    forwards, ways = graph.forwards, graph.ways
    nodes = range(len(ways))
    unseen = [graph.everything & ~(graph.attached[n] | graph.owned[n]) for n in nodes]
    told = [graph.owned[n] | (graph.attached[n] if forwards[n] else 0) for n in nodes]
    by_way = [[0] * len(w) for w in ways]
    only = {n: ways[n][0] for n in nodes if not forwards[n] and len(set(ways[n])) == 1}
    looking = [n for n in nodes if ways[n] and unseen[n] and n not in only]
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
    for n, other in only.items():
        seen = ~unseen[other] if forwards[other] else graph.owned[other]
        by_way[n] = [seen & unseen[n]] * len(ways[n])
    return by_way


def _groups(ways: Sequence[_Way], by_way: Sequence[int]) -> dict[tuple[Hop, ...], int]:
    """Prefixes by the set of next hops that are equally near."""
    alike: dict[int, list[Hop]] = {}
    for way, reached in zip(ways, by_way, strict=True):
        alike.setdefault(reached, []).append(way.hop)
    alike.pop(0, None)
    once = twice = 0
    for reached in alike:
        twice |= once & reached
        once |= reached
    groups = {tuple(hops): alone for bits, hops in alike.items() if (alone := bits & ~twice)}
    for hops, bits in _split(twice, alike):
        groups[tuple(sorted(hops, key=lambda hop: hop[1::-1]))] = bits
    return groups


def _split(bits: int, alike: Mapping[int, list[Hop]]) -> Iterator[tuple[list[Hop], int]]:
    """Cut a set wherever one of the others ends: each piece, and the hops of all that hold it."""
    pieces: list[tuple[list[Hop], int]] = [([], bits)] if bits else []
    for reached, hops in alike.items():
        if not reached & bits:
            continue
        cut = []
        for found, piece in pieces:
            both = piece & reached
            if both:
                cut.append(([*found, *hops], both))
            if piece != both:
                cut.append((found, piece ^ both))
        pieces = cut
    yield from pieces


def _hops(ways: Sequence[_Way]) -> tuple[Hop, ...]:
    return tuple(way.hop for way in ways)


def _spelt(
    groups: Mapping[tuple[Hop, ...], int], table: _Prefixes, own: frozenset[str]
) -> Iterator[tuple[tuple[Hop, ...], tuple[str, ...]]]:
    """Routes of the user's are walls: what is put together neither hides one nor goes under it."""
    walls = table.walls(own)
    kept = ~table.known(own)
    for hops, bits in groups.items():
        if bits & kept:
            yield hops, table.together(bits & kept, walls)


class _Prefixes:
    """The prefixes there are, in the order of their addresses, and what exactly holds several."""

    def __init__(self, family: int, prefixes: Sequence[tuple[str, int | None, str | None]]) -> None:
        self._width = WIDTH[family]
        networks = {text: ip_network(text) for text in dict.fromkeys(p[0] for p in prefixes)}
        spans = {
            text: (int(network.network_address), network.prefixlen)
            for text, network in networks.items()
            if family == 4 or not network.is_link_local  # fe80::/64 is on every device
        }
        self.ordered = sorted(spans, key=spans.__getitem__)
        bit = {text: 1 << place for place, text in enumerate(self.ordered)}
        self.of_segment: dict[int, int] = {}
        self.owners: dict[str, int] = {}
        for text, segment, node in prefixes:
            if segment is not None:
                self.of_segment[segment] = self.of_segment.get(segment, 0) | bit.get(text, 0)
            if node is not None:
                self.owners[node] = self.owners.get(node, 0) | bit.get(text, 0)
        self._bit = bit
        self._spans = [spans[text] for text in self.ordered]
        self._larger = self._put_together(self._spans)
        self._covers: dict[_Run, tuple[str, ...]] = {}
        self._sets: dict[int, tuple[str, ...]] = {}

    def known(self, own: Iterable[str]) -> int:
        """Those of a user's prefixes that are destinations here."""
        return sum(self._bit.get(text, 0) for text in own)

    def walls(self, own: Iterable[str]) -> tuple[_Run, ...]:
        """Where each of a user's prefixes holds some of ours: the first place, the one after."""
        found = []
        for network in (ip_network(text) for text in own):
            if network.max_prefixlen == self._width and network.prefixlen:
                first, after = int(network[0]), int(network[-1]) + 1
                start = bisect_left(self._spans, (first, network.prefixlen))
                end = bisect_left(self._spans, (after, 0))
                found += [(start, end)] if start < end else []
        return tuple(found)

    def together(self, bits: int, walls: Sequence[_Run] = ()) -> tuple[str, ...]:
        """Fewest prefixes that hold these and no address beyond them; none holds a wall."""
        if walls:
            return tuple(text for run in _runs(bits) for text in self._cover(*run, walls))
        found = self._sets.get(bits)
        if found is None:
            covers, texts = self._covers, list[str]()
            for run in _runs(bits):
                cover = covers.get(run)
                if cover is None:
                    cover = covers[run] = tuple(self._cover(*run, ()))
                texts += cover
            found = self._sets[bits] = tuple(texts)
        return found

    def _cover(self, at: int, end: int, walls: Sequence[_Run]) -> Iterator[str]:
        while at < end:
            at, text = next(
                (after, text)
                for after, text in self._larger[at]
                if after == at + 1
                or (after <= end and not any(at <= a and b <= after for a, b in walls))
            )
            yield text

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


@lru_cache(maxsize=MOST_SETS)
def _runs(bits: int) -> tuple[_Run, ...]:
    """Where bits follow each other. Often the same sets for both families, so they are kept."""
    return tuple(match.span() for match in re.finditer("1+", bin(bits)[:1:-1]))
