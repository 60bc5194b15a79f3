"""Looking up what is known of a key in a set or a map: what may be found, and what may not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from netlab.firewall import syntax as s
from netlab.firewall.datatypes import Type
from netlab.firewall.scope import Scope
from netlab.trace.explain.packet import Span

Key = tuple[tuple[int, int], ...]
"""Of each part of a key, first and last number."""


@dataclass
class Members:
    """The elements of a set, ready to be asked for."""

    exact: dict[tuple[int, ...], s.Element] = field(default_factory=dict)
    spans: list[tuple[Key, s.Element]] = field(default_factory=list)
    rest: s.Element | None = None
    """``*``: what is found where nothing else is."""

    def find(self, keys: Sequence[Span]) -> tuple[s.Element | None, ...]:
        """All that may be found; None among them stands for nothing."""
        if all(key.known for key in keys):
            return (self._find(tuple(key.low for key in keys)),)
        found: list[s.Element | None] = []
        surely = False
        for numbers, element in self.exact.items():
            if all(k.low <= n <= k.high for k, n in zip(keys, numbers, strict=True)):
                found.append(element)
        for spans, element in self.spans:
            pairs = list(zip(keys, spans, strict=True))
            if all(key.low <= high and low <= key.high for key, (low, high) in pairs):
                found.append(element)
                surely |= all(low <= key.low and key.high <= high for key, (low, high) in pairs)
        if len(keys) == 1 and not surely:
            surely = _all_of(keys[0], [n[0] for n in self.exact], [k[0] for k, _ in self.spans])
        return tuple(found) if surely else (*found, self.rest)

    def _find(self, numbers: tuple[int, ...]) -> s.Element | None:
        if numbers in self.exact:
            return self.exact[numbers]
        for spans, element in self.spans:
            if all(low <= n <= high for n, (low, high) in zip(numbers, spans, strict=True)):
                return element
        return self.rest


def _all_of(key: Span, numbers: list[int], spans: list[tuple[int, int]]) -> bool:
    """Whether every number that the key may be is in the set."""
    at = key.low
    for low, high in sorted([*((n, n) for n in numbers), *spans]):
        if low > at:
            return False
        at = max(at, high + 1)
        if at > key.high:
            return True
    return at > key.high


def members(elements: tuple[s.Member, ...], kinds: Sequence[Type], scope: Scope) -> Members:
    """Raises ``Wrong`` where an element is none of those types."""
    found = Members()
    for element in scope.elements(elements):
        tree = scope.replaced(element.key)
        if isinstance(tree, s.Wildcard):
            found.rest = element
            continue
        parts = tree.parts if isinstance(tree, s.Concat) else (tree,)
        spans = tuple(scope.span(kind, part) for kind, part in zip(kinds, parts, strict=True))
        if all(low == high for low, high in spans):
            found.exact.setdefault(tuple(low for low, _ in spans), element)
        else:
            found.spans.append((spans, element))
    return found


class Put(NamedTuple):
    """What a rule has put into a set while a packet was under way, or taken out of it."""

    keys: tuple[Span, ...]
    element: s.Element | None
    """None where it was taken out."""
    keeps: bool = False
    """Whether what was there before is left as it is: ``add``, unlike ``update``."""


def since(
    found: tuple[s.Element | None, ...], wanted: Sequence[Span], puts: Sequence[Put]
) -> tuple[s.Element | None, ...]:
    """What may be found now, of what would have been found before."""
    for put in puts:
        same = _same(put.keys, wanted)
        now = found if put.keeps and None not in found else (put.element,)
        if same:
            found = now
        elif same is None:
            found = tuple(dict.fromkeys((*found, *now)))
    return found


def _same(keys: Sequence[Span], others: Sequence[Span]) -> bool | None:
    """None where that cannot be known. What is not known is the same number as itself."""
    pairs = list(zip(keys, others, strict=True))
    if any(key.high < other.low or other.high < key.low for key, other in pairs):
        return False
    return True if all(k is o or (k.known and o.known) for k, o in pairs) else None
