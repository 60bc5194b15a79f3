"""Nodes that cannot be told apart by their cells, so that a hundred of them are one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass
class Group:
    """Nodes that are all answered alike, and all get the same answers."""

    nodes: list[str] = field(default_factory=list)
    within: str = ""
    """What one of them gets from another one; "" while it is alone."""


Words = Mapping[tuple[str, str], str]
"""By source and target."""


def groups(nodes: Sequence[str], words: Words) -> list[Group]:
    """In the order of their first nodes; each has one at least."""
    rows = {a: [words.get((a, b), "") for b in nodes] for a in nodes}
    columns = {b: [words.get((a, b), "") for a in nodes] for b in nodes}
    places = {node: place for place, node in enumerate(nodes)}
    found: list[Group] = []
    for node in nodes:
        for group in found:
            first = group.nodes[0]
            both = {words.get((node, first), ""), words.get((first, node), "")}
            pair = (places[node], places[first])
            if (
                len(both | ({group.within} if group.within else set())) == 1
                and _without(rows[node], pair) == _without(rows[first], pair)
                and _without(columns[node], pair) == _without(columns[first], pair)
            ):
                group.nodes.append(node)
                group.within = both.pop()
                break
        else:
            found.append(Group([node]))
    return found


def _without(line: Sequence[str], pair: tuple[int, int]) -> list[str]:
    low, high = sorted(pair)
    return [*line[:low], *line[low + 1 : high], *line[high + 1 :]]
