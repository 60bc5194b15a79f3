"""The page of a bundle that one reads first: what failed, what stands out, where the rest is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

MOST_LINES = 200
"""Of what a test said; all of it stands in a file of its own."""


@dataclass(frozen=True)
class Why:
    """What a bundle was made for."""

    title: str = ""
    """``tests/test_nat.py::test_clients_get_out``."""
    text: str = ""
    """What was said of the failure."""


@dataclass(frozen=True)
class NodePage:
    """What the index says of a node."""

    name: str
    kind: str
    lines: Sequence[str]
    """Facts in a few words each: an interface, a count."""
    notable: Sequence[str]
    files: Mapping[str, str]
    """Title → path in the bundle."""


@dataclass(frozen=True)
class Page:
    """All that the index says."""

    lab: str
    why: Why
    facts: Mapping[str, str]
    """Of the whole: when, which file, which kernel."""
    nodes: Sequence[NodePage]
    files: Mapping[str, str]
    """Of the whole: title → path."""
    missing: Sequence[str] = ()
    """What somebody took away of the topology."""
    packets: Sequence[tuple[str, int, int]] = ()
    """Of each interface: its name, the packets kept, and those that there was no room for."""
    gaps: Sequence[str] = field(default=())
    """What could not be looked at, and why."""


def text(page: Page) -> str:
    """As Markdown."""
    return "".join(f"{line}\n" for line in _lines(page))


def _lines(page: Page) -> Iterator[str]:
    yield f"# {page.lab}: {page.why.title or 'as it stands'}"
    yield ""
    yield from (f"- {name}: {value}" for name, value in page.facts.items() if value)
    yield from (f"- {_link(*item)}" for item in page.files.items())
    if page.why.text:
        yield from ("", "## What failed", "", *_fenced(page.why.text))
    yield from _standing_out(page)
    if page.packets:
        yield from ("", "## The last packets", "")
        yield from (_heard(*one) for one in page.packets)
    yield from ("", "## Nodes")
    for node in page.nodes:
        yield from _node(node)


def _standing_out(page: Page) -> Iterator[str]:
    said = [
        *page.gaps, *page.missing, *(f"{n.name}: {line}" for n in page.nodes for line in n.notable)
    ]  # fmt: skip
    yield from ("", "## What stands out", "")
    yield from (f"- {line}" for line in said or ["nothing"])


def _heard(name: str, kept: int, lost: int) -> str:
    return f"- `{name}` {kept}" + (f", and {lost} that there was no room for" if lost else "")


def _node(node: NodePage) -> Iterator[str]:
    yield from ("", f"### {node.name}" + (f" ({node.kind})" if node.kind else ""), "")
    yield from (f"- {line}" for line in node.lines)
    yield from ("", " · ".join(_link(*item) for item in node.files.items()))


def _fenced(said: str) -> Iterator[str]:
    lines = said.rstrip().splitlines()
    fence = "`" * max(3, 1 + max((_ticks(line) for line in lines), default=0))
    kept = lines[-MOST_LINES:]
    yield fence
    if kept != lines:
        yield f"… {len(lines) - len(kept)} lines before this: failure.txt"
    yield from kept
    yield fence


def _ticks(line: str) -> int:
    return len(line) - len(line.lstrip("`"))


def _link(title: str, path: str) -> str:
    return f"[{title}]({path})"
