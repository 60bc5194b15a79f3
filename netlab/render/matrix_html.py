"""A matrix as one page of HTML that needs nothing else: no script, no font, no picture."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from netlab.matrix.model import MEANING
from netlab.render.matrix import NOBODY, SIGNS
from netlab.render.words import count, duration

if TYPE_CHECKING:
    from netlab.matrix.compare import Difference
    from netlab.matrix.model import Cell, Matrix

STYLE = """
:root { color-scheme: light dark }
body { font: 14px/1.4 system-ui, sans-serif; margin: 1.5em }
.wide { overflow: auto; max-height: 85vh; width: fit-content; max-width: 100% }
table { border-collapse: separate; border-spacing: 1px }
th { font-weight: normal; padding: 2px 6px; background: Canvas; white-space: nowrap }
thead th { position: sticky; top: 0; vertical-align: bottom; writing-mode: vertical-rl;
  transform: rotate(180deg); padding: 6px 2px; text-align: left }
tbody th { position: sticky; left: 0; text-align: right }
td { min-width: 1.5em; height: 1.5em; text-align: center; border-radius: 3px; color: #111 }
td.answered, i.answered { background: #8fd19e } td.refused, i.refused { background: #f5d76e }
td.denied, i.denied { background: #f0918c } td.unreachable, i.unreachable { background: #e57bb0 }
td.no-neighbour, i.no-neighbour { background: #c39bd8 }
td.no-route, i.no-route { background: #f3b26b } td.no-address, i.no-address { background: #cfcfcf }
td.unknown, i.unknown { background: #9fc5e8 }
td.changed { outline: 3px solid #d00; outline-offset: -2px }
i { font-style: normal; color: #111; display: inline-block; width: 1.5em; text-align: center;
  border-radius: 3px; margin: 0 .4em 0 1em }
"""


def page(matrix: Matrix, found: Sequence[Difference] | None) -> str:
    """``found``: how it differs from what was saved, None where that was not asked."""
    return "".join(f"{line}\n" for line in _page(matrix, found))


def _page(matrix: Matrix, found: Sequence[Difference] | None) -> Iterator[str]:
    title = f"{matrix.lab}: every node to every node"
    yield '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
    yield f"<title>{escape(title)}</title>\n<style>{STYLE}</style></head><body>"
    yield f"<h1>{escape(title)}</h1>"
    size = f"{count(len(matrix.nodes), 'node')}, {len(matrix.cells):,} cells"
    version = f", IPv{matrix.version}" if matrix.version else ""
    yield f"<p>{size}{version}, {duration(matrix.seconds)}. Rows ask columns; point at a cell.</p>"
    yield from _list("What is to be known", matrix.gaps)
    if found is not None:
        words = [f"{one.words} {one.why}".strip() for one in found]
        yield from _list("What is not as it was saved", words or ["nothing"])
    changed = {(one.source, one.target, one.probe): one.was for one in found or ()}
    for probe in matrix.probes:
        yield f"<h2>{escape(probe)}</h2>"
        cells = matrix.of(probe)
        yield _legend({cell.word for cell in cells.values()})
        yield from _table(matrix.nodes, cells, changed)
    if matrix.left_out:
        yield from _list("Switches, which have no address", matrix.left_out)
    yield "</body></html>"


def _list(title: str, words: Sequence[str]) -> Iterator[str]:
    if words:
        items = "".join(f"<li>{escape(word)}</li>" for word in words)
        yield f"<h2>{escape(title)}</h2><ul>{items}</ul>"


def _legend(used: Collection[str]) -> str:
    signs = (
        f'<i class="{word}">{SIGNS[word]}</i><b>{word}</b> {escape(meaning)}'
        for word, meaning in MEANING.items()
        if word in used
    )
    return f"<p>{'<br>'.join(signs)}</p>"


def _table(
    nodes: Sequence[str],
    cells: Mapping[tuple[str, str], Cell],
    changed: Mapping[tuple[str, str, str], str],
) -> Iterator[str]:
    head = "".join(f"<th>{escape(node)}</th>" for node in nodes)
    yield f'<div class="wide"><table><thead><tr><th></th>{head}</tr></thead><tbody>'
    for source in nodes:
        row = "".join(_cell(cells.get((source, target)), changed) for target in nodes)
        yield f"<tr><th>{escape(source)}</th>{row}</tr>"
    yield "</tbody></table></div>"


def _cell(cell: Cell | None, changed: Mapping[tuple[str, str, str], str]) -> str:
    if cell is None:
        return f"<td>{NOBODY}</td>"
    was = changed.get(cell.key, "")
    title = told(cell) + (f"; was {was}" if was else "")
    classes = f"{cell.word} changed" if was else cell.word
    return f'<td class="{classes}" title="{escape(title)}">{SIGNS[cell.word]}</td>'


def told(cell: Cell) -> str:
    """``client → db (10.1.0.5) ping: unreachable, fw: host unreachable``."""
    address = f" ({cell.address})" if cell.address else ""
    text = f"{cell.source} → {cell.target}{address} {cell.probe}: {cell.word}"
    if cell.milliseconds is not None:
        return f"{text} in {cell.milliseconds:g} ms"
    by = f"{cell.by}: " if cell.by else ""
    return f"{text}, {by}{cell.why}" if cell.why else text
