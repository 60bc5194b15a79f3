"""A matrix as a table: in words where there is room, else a sign a cell, else those alike as one.

No line is wider than what it is given, so that none is wrapped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, TypeAlias

from netlab.matrix.alike import Group, groups
from netlab.matrix.model import SILENCE
from netlab.render.words import count, duration

if TYPE_CHECKING:
    from netlab.matrix.compare import Difference
    from netlab.matrix.model import Cell, Matrix

WIDTH = 100
"""Columns, where there is no terminal."""
STYLES = {
    "answered": "green",
    "refused": "yellow",
    "denied": "red",
    "unreachable": "red",
    "no-neighbour": "red",
    "no-route": "yellow",
    "no-address": "dim",
    "unknown": "bold",
}
SIGNS = {
    "answered": "✓",
    "refused": "r",
    "denied": "✗",
    "unreachable": "u",
    "no-neighbour": "n",
    "no-route": "-",
    "no-address": "0",
    "unknown": "?",
}
CORNER = "asks →"
"""What a row does to a column."""
NOBODY = "·"
"""A node and itself."""
LONGEST = 15
"""Characters of a name in a table of signs; a longer one is cut."""
FEW = 8
"""Nodes that are named one by one, where they are alike."""
MOST = 20
"""Lines that tell one by one what a table has no room for."""
MOST_DIFFERENCES = 60

Span: TypeAlias = tuple[str, str]
"""Text, and its style."""
Line: TypeAlias = Sequence[Span]


def lines(matrix: Matrix, width: int = WIDTH) -> Iterator[Line]:
    for probe in matrix.probes:
        cells = matrix.of(probe)
        yield [(_title(matrix, probe, cells.values()), "bold")]
        yield from _table(matrix.nodes, cells, width)
        yield from _reasons(cells.values(), width)
    if matrix.left_out:
        yield _cut(f"left out, as switches have no address: {' '.join(matrix.left_out)}", width)
    for node in matrix.limited:
        words = f"{node} had more errors to send than icmp_ratelimit lets it: silence may hide some"
        yield [(words, "yellow")]
    for gap in matrix.gaps:
        yield [(gap, "yellow")]


def _title(matrix: Matrix, probe: str, cells: Iterable[Cell]) -> str:
    found = Counter(cell.word for cell in cells)
    told = ", ".join(f"{found[word]:,} {word}" for word in STYLES if found[word])
    size = f"{count(len(matrix.nodes), 'node')}, {_pairs(sum(found.values()))}"
    version = f" -{matrix.version}" if matrix.version else ""
    spent = duration(matrix.seconds)
    return f"{matrix.lab}, {probe}{version}: {told or 'nobody to ask'}  ({size}, {spent})"


def _pairs(number: int) -> str:
    return f"{number:,} pair{'' if number == 1 else 's'}"


def _table(
    nodes: Sequence[str], cells: Mapping[tuple[str, str], Cell], width: int
) -> Iterator[Line]:
    """From the widest that fits to what always does."""
    words = {pair: cell.word for pair, cell in cells.items()}
    if len(nodes) < 2:
        return
    for draw in (_in_words, _in_signs):
        if (found := draw(nodes, words, width)) is not None:
            yield from found
            yield from _legend(words.values(), draw is _in_signs)
            return
    alike = groups(nodes, words)
    if len(alike) == 1:
        yield [(f"  all of them: {alike[0].within}", STYLES[alike[0].within])]
        return
    labels = {_label(group): group for group in alike}
    few = {
        (a, b): words[_pair(labels[a], labels[b])] if a != b else labels[a].within
        for a in labels
        for b in labels
    }
    for draw in (_in_words, _in_signs):
        if (found := draw(list(labels), few, width)) is not None:
            yield from found
            yield from _legend(few.values(), draw is _in_signs)
            yield from _members(labels, width)
            return
    yield from _exceptions(nodes, words, width)


def _pair(one: Group, other: Group) -> tuple[str, str]:
    return one.nodes[0], other.nodes[0]


def _in_words(
    nodes: Sequence[str], words: Mapping[tuple[str, str], str], width: int
) -> list[Line] | None:
    """Who asks stands on the left, who is asked above."""
    first = max(len(CORNER), *map(len, nodes))
    columns = [
        max(len(b), *(len(words.get((a, b), "")) for a in nodes)) for b in nodes
    ]  # fmt: skip
    if first + sum(columns) + 2 * len(columns) > width:
        return None
    head = "".join(f"  {b:<{wide}}" for b, wide in zip(nodes, columns, strict=True))
    found: list[Line] = [[(f"{CORNER:<{first}}{head}".rstrip(), "dim")]]
    for a in nodes:
        line: list[Span] = [(f"{a:<{first}}", "")]
        for b, wide in zip(nodes, columns, strict=True):
            word = words.get((a, b), "")
            shown = word or NOBODY
            line.append((f"  {shown}" if b == nodes[-1] else f"  {shown:<{wide}}",
                         STYLES.get(word, "dim")))  # fmt: skip
        found.append(line)
    return found


def _in_signs(
    nodes: Sequence[str], words: Mapping[tuple[str, str], str], width: int
) -> list[Line] | None:
    """Columns go by the number of the row, read from above down."""
    digits = len(str(len(nodes)))
    first = digits + 1 + min(LONGEST, max(len(CORNER), *map(len, nodes)))
    if first + 2 * len(nodes) > width:
        return None
    numbers = [f"{number:>{digits}}" for number in range(1, len(nodes) + 1)]
    found: list[Line] = [
        [(f"{corner:<{first}}" + "".join(f" {n[place]}" for n in numbers), "dim")]
        for place, corner in enumerate([""] * (digits - 1) + [" " * (digits + 1) + CORNER])
    ]
    for number, a in zip(numbers, nodes, strict=True):
        name = a if len(a) <= LONGEST else f"{a[: LONGEST - 1]}…"
        line: list[Span] = [(f"{number} ", "dim"), (f"{name:<{first - digits - 1}}", "")]
        for b in nodes:
            word = words.get((a, b), "")
            line.append((f" {SIGNS.get(word, NOBODY)}", STYLES.get(word, "dim")))
        found.append(line)
    return found


def _legend(words: Iterable[str], in_signs: bool) -> Iterator[Line]:
    if in_signs:
        used = set(words)
        told = [(f"  {SIGNS[w]} {w}", style) for w, style in STYLES.items() if w in used]
        yield [("", ""), *told]


def _label(group: Group) -> str:
    """``h1 …98``: the first, and how many more."""
    more = len(group.nodes) - 1
    return f"{group.nodes[0]} +{more}" if more else group.nodes[0]


def _members(labels: Mapping[str, Group], width: int) -> Iterator[Line]:
    for label, group in labels.items():
        if len(group.nodes) > 1:
            yield _cut(f"{label}: {' '.join(group.nodes)}", width)


def _exceptions(
    nodes: Sequence[str], words: Mapping[tuple[str, str], str], width: int
) -> Iterator[Line]:
    """What is not as most pairs are, by who asks."""
    usual = Counter(words.values()).most_common(1)[0][0]
    others = {pair: word for pair, word in words.items() if word != usual}
    yield [("most pairs: ", ""), (usual, STYLES[usual]), (f"; all {len(others):,} others:", "")]
    told: list[Line] = []
    for source in nodes:
        of_it = {b: others[source, b] for b in nodes if (source, b) in others}
        for word in dict.fromkeys(of_it.values()):
            some = [b for b, found in of_it.items() if found == word]
            all_of_them = len(some) == len(nodes) - 1
            names = "all others" if all_of_them else " ".join(some)
            text = f"  {source} → {names}"
            told.append([*_cut(text, width - len(word) - 2), (f"  {word}", STYLES[word])])
    yield from told[:MOST]
    if len(told) > MOST:
        yield [(f"  … and {len(told) - MOST} lines more: --html and --json have all", "dim")]


def _reasons(cells: Iterable[Cell], width: int) -> Iterator[Line]:
    """Who said what, and why there was silence; nothing of what the target itself said."""
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for cell in filter(_is_told, cells):
        by = "" if cell.by in ("", cell.source) else f"{cell.by}: "
        sources = found.setdefault((cell.word, f"{by}{cell.why}"), {})
        sources.setdefault(cell.source, []).append(cell.target)
    for (word, why), sources in list(found.items())[:MOST]:
        number = sum(map(len, sources.values()))
        yield from _reason(word, why, f"({_pairs(number)}: {_whom(sources)})", width)
    if len(found) > MOST:
        yield [(f"… and {len(found) - MOST} reasons more: --html and --json have all", "dim")]


def _reason(word: str, why: str, whom: str, width: int) -> Iterator[Line]:
    """In a line where there is room for both; else the reason stands below, folded."""
    if len(word) + len(why) + len(whom) + 3 <= width:
        yield [(word, STYLES[word]), (f"  {why} {whom}", "")]
        return
    yield [(word, STYLES[word]), *_cut(f"  {whom}", width - len(word))]
    yield from ([(f"    {line}", "dim")] for line in wrap(why, width - 4, break_on_hyphens=False))


def _is_told(cell: Cell) -> bool:
    if cell.word == "refused":
        return cell.by != cell.target
    return cell.word != "answered" and (bool(cell.by or not cell.address) or cell.why != SILENCE)


def _whom(sources: Mapping[str, Sequence[str]]) -> str:
    """``office db → customer; 99 nodes → h7``."""
    by_targets: dict[tuple[str, ...], list[str]] = {}
    for source, targets in sources.items():
        by_targets.setdefault(tuple(targets), []).append(source)
    return "; ".join(f"{_some(asking)} → {_some(asked)}" for asked, asking in by_targets.items())


def _some(nodes: Sequence[str]) -> str:
    return " ".join(nodes) if len(nodes) <= FEW else f"{len(nodes)} nodes"


def _cut(text: str, width: int) -> Line:
    return [(text if len(text) <= width else f"{text[: max(1, width - 1)]}…", "")]


def compared(found: Sequence[Difference], name: str, pairs: int) -> Iterator[Line]:
    """``client → db: was denied, is answered``."""
    if not found:
        yield [(f"as in {name}: {pairs:,} pairs", "green")]
        return
    yield [(f"{count(len(found), 'difference')} from {name}:", "red")]
    for one in found[:MOST_DIFFERENCES]:
        yield [(f"  {one.words}", ""), (f"  ({one.why})" if one.why else "", "dim")]
    if len(found) > MOST_DIFFERENCES:
        yield [(f"  … and {len(found) - MOST_DIFFERENCES} more: --html and --json have all", "dim")]
