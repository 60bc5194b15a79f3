"""Which rule let a packet fall, of those that the kernel says netfilter dropped.

In nodes that have chains of nftables, packets are traced by it, up to so many a second; what says
drop is kept for a while, by the packet's headers, until the kernel tells of the packet's end. Where
it was not seen, the chain is named if there is but one that can have done it.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple, TypeVar

from netlab.errors import KernelRefused
from netlab.kernel.visits import Visits
from netlab.trace.backends import nft_trace
from netlab.trace.backends.base import CannotWatch, Scene, Watch
from netlab.trace.choice import Choice
from netlab.trace.cookie import Picked, fresh
from netlab.trace.facts import ChainFact
from netlab.trace.gather import Key, key_of
from netlab.trace.headers import parse
from netlab.trace.inquire import chains_of
from netlab.trace.sighting import Sighting
from netlab.trace.terrain import Terrain

K = TypeVar("K")
V = TypeVar("V")

MOST_A_SECOND = 500
"""Packets that are traced, in each node, at each place where one is first met."""
MOST = 4096
FRESH = 1.0
"""Seconds for which the chains of a node are taken to be the same."""
DENIES = ("drop", "reject")
POLICY = "policy drop"


class Blame(NamedTuple):
    """Of a packet that netfilter dropped, as far as it is known."""

    chain: str = ""
    """``inet filter forward``."""
    rule: str = ""
    """In nft syntax; ``policy drop`` for the chain's policy."""
    place: str = ""
    """``office.yaml:31``."""


class DropRules:
    """From now on, in all nodes of a lab. ``close`` leaves nothing."""

    def __init__(self, terrain: Terrain, visits: Visits) -> None:
        self._terrain, self._visits = terrain, visits
        self._watch: Watch | None = None
        self._groups: OrderedDict[tuple[str, int], Key] = OrderedDict()
        """The packet that a node's nftables gave this number to last."""
        self._said: OrderedDict[tuple[str, Key], Sighting] = OrderedDict()
        self._chains: dict[str, tuple[float, tuple[ChainFact, ...]]] = {}
        self._obstacle = ""
        scene = Scene(
            terrain, Picked("", "", "tcp", "", "", cookie=fresh()), visits,
            Choice(most=MOST_A_SECOND), hooked=frozenset(terrain.spots),
        )  # fmt: skip
        try:
            self._watch = nft_trace.watch(scene)
        except CannotWatch as obstacle:
            self._obstacle = f"which rule drops is not seen: {obstacle}"

    def files(self) -> Sequence[int]:
        return self._watch.files() if self._watch is not None else ()

    def gaps(self) -> list[str]:
        if self._watch is None:
            return [self._obstacle]
        return self._watch.gaps()

    def read(self) -> None:
        """What rules have said by now."""
        if self._watch is not None:
            self._note(self._watch.read())

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()

    def _note(self, sightings: Iterable[Sighting]) -> None:
        for seen in sightings:
            group = seen.node, seen.id
            headers = parse(seen.network, seen.transport, seen.link)
            if headers is not None:
                _keep(self._groups, group, key_of(headers))
            if seen.verdict == "drop" and group in self._groups:
                _keep(self._said, (seen.node, self._groups[group]), seen)

    def of(self, node: str, network: bytes) -> Blame:
        """Of a packet, from its IP header on."""
        headers = parse(network)
        said = self._said.get((node, key_of(headers))) if headers else None
        if said is None:
            return self._only_one(node)
        chain = f"{said.family} {said.table} {said.chain}"
        held = (fact for fact in self._held(node, said) if fact.key == _chain_of(said))
        fact = next(held, None)
        if fact is not None and said.point == "policy":
            return Blame(chain, POLICY, fact.place)
        rules = (rule for rule in (fact.rules if fact else ()) if rule.handle == said.handle)
        rule = next(rules, None)
        return Blame(chain, rule.text, rule.place) if rule else Blame(chain)

    def _only_one(self, node: str) -> Blame:
        held = {chain.key: chain for chain in self._held(node)}
        able = [
            chain for chain in held.values() if chain.hook and (chain.policy == "drop"
            or any(_denies(held[key]) for key in _reached(chain, held)))
        ]  # fmt: skip
        return Blame(" ".join(able[0].key)) if len(able) == 1 else Blame()

    def _held(self, node: str, said: Sighting | None = None) -> tuple[ChainFact, ...]:
        """Asked for again where a rule is not among them, and after a while."""
        when, chains = self._chains.get(node, (0.0, ()))
        is_known = said is None or any(_has(chain, said) for chain in chains)
        if when and is_known and time.monotonic() - when < FRESH:
            return chains
        spot = self._terrain.spots[node]
        with suppress(FileNotFoundError, KernelRefused):  # the node went down
            chains = self._visits.at(spot.ns, partial(chains_of, spot.rules))
        self._chains[node] = time.monotonic(), chains
        return chains


def _chain_of(said: Sighting) -> tuple[str, str, str]:
    return said.family, said.table, said.chain


def _has(chain: ChainFact, said: Sighting) -> bool:
    if chain.key != _chain_of(said):
        return False
    return said.point == "policy" or any(rule.handle == said.handle for rule in chain.rules)


def _denies(chain: ChainFact) -> bool:
    return any(word in DENIES for rule in chain.rules for word in rule.text.split())


def _reached(
    chain: ChainFact, held: Mapping[tuple[str, str, str], ChainFact]
) -> Iterable[tuple[str, str, str]]:
    """Itself, and the chains that its rules lead to."""
    found = {chain.key: None}
    waiting = [chain]
    while waiting:
        here = waiting.pop()
        for word in (word for rule in here.rules for word in rule.text.split()):
            key = (*here.key[:2], word.strip(",;"))
            if key in held and key not in found:
                found[key] = None
                waiting.append(held[key])
    return found


def _keep(kept: OrderedDict[K, V], key: K, value: V) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > MOST:
        kept.popitem(last=False)
