"""Reports for people; colour only on a terminal. What is only printed loads no rich."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, TYPE_CHECKING

from netlab.errors import NetlabError, TopologyError
from netlab.render.words import age, because, count, duration, step_words

if TYPE_CHECKING:
    from rich.console import Console

    from netlab.lab.lifecycle import Done, Road
    from netlab.lab.portrait import Interface, Node, Portrait, Process
    from netlab.render.base import Checked, Feature, KindText, LabLine

MOST_NODES = 40
"""A summary shows so many; `show` shows all."""

MOST_STEPS = 40
WIDE = 400
"""Columns, where no terminal says how many: nothing is cut."""


class TextRenderer:
    def __init__(self, out: IO[str] = sys.stdout, err: IO[str] = sys.stderr) -> None:
        self._out, self._err = out, err

    def up(self, done: Done, portrait: Portrait) -> None:
        size = f"{count(len(portrait.nodes), 'node')}, {count(len(portrait.links), 'link')}"
        for ns in done.road.lost:
            self._say(f"{ns} had been deleted by somebody else", "yellow")
        if not done.road.plan:
            self._say(f"{done.lab} is unchanged: {size}", "green")
            return
        steps = f"{count(len(done.road.plan), 'step')} in {duration(done.seconds)}"
        if not done.road.is_new:
            self._say(f"{done.lab}: {steps}", "green")
            self._steps(done.road, [() for _ in done.road.plan])
            return
        self._say(f"{done.lab} is up: {size}, {steps}", "green")
        self._summary(portrait)
        ends = _ends(portrait)
        if len(ends) > 1:
            self._say(f"try  netlab exec {done.lab} {ends[0]} -- ping {ends[-1]}", "dim")

    def planned(self, lab: str, road: Road, felt: Sequence[tuple[str, ...]]) -> None:
        if not road.plan:
            self._say(f"{lab} is unchanged", "green")
            return
        self._say(f"{lab}: {count(len(road.plan), 'step')}" + (", none taken yet"))
        self._steps(road, felt, most=len(road.plan))

    def down(
        self, labs: Sequence[Done], failures: Mapping[str, NetlabError] | None = None
    ) -> None:
        for done in labs:
            for note in done.notes:
                self._say(f"{done.lab}: {note}", "yellow")
            nodes = done.summary.nodes
            size = count(len(nodes), "node") if nodes else "what there was"
            self._say(f"{done.lab} is down: {size} in {duration(done.seconds)}", "green")
        for failure in (failures or {}).values():
            self.failure(failure)
        if not (labs or failures):
            self._say("no lab is up", "dim")

    def labs(self, lines: Sequence[LabLine]) -> None:
        if not lines:
            self._say("no lab is up", "dim")
            return
        rows = [
            (
                line.lab,
                line.state,
                str(line.nodes) if line.state == "up" else "",
                str(line.links) if line.state == "up" else "",
                f"{line.running}/{line.processes}" if line.processes else "",
                age(line.since) if line.since else "",
                line.file,
            )
            for line in lines
        ]
        self._table(("lab", "state", "nodes", "links", "processes", "age", "file"), rows)

    def lab(self, portrait: Portrait) -> None:
        state = "half-built" if portrait.half_built else f"up for {age(portrait.since)}"
        size = f"{count(len(portrait.nodes), 'node')}, {count(len(portrait.links), 'link')}"
        self._say(f"{portrait.lab}: {state}, {size}, from {portrait.file}", "bold")
        if portrait.description:
            self._say(portrait.description.strip())
        rows = [row for node in portrait.nodes.values() for row in _node_rows(node)]
        head = ("node", "kind", "interface", "addresses", "mtu", "mac", "to")
        self._table(head, rows)
        processes = [
            (f"{node.name}/{p.name}", *_process_cells(p))
            for node in portrait.nodes.values()
            for p in node.processes
        ]
        if processes:
            self._say("")
            self._table(("process", *PROCESS_HEAD), processes)

    def node(self, portrait: Portrait, node: Node) -> None:
        title = f"{node.name}: {node.kind}, namespace {node.namespace} (inode {node.inode})"
        self._say(title, "bold")
        if node.lost:
            self._say("its namespace has been deleted by somebody else", "red")
        self._table(
            ("interface", "kind", "addresses", "mtu", "mac", "to", "settings"),
            [(*_cells(i), _settings(i)) for i in node.interfaces],
        )
        self._list("routes", node.routes)
        self._list("rules", node.rules)
        self._list("neighbours", node.neighbours)
        self._list("sysctls", [f"{k} = {v}" for k, v in node.sysctls.items()])
        self._list("files", node.files)
        self._list("environment", [f"{k}={v}" for k, v in node.env.items()])
        self._list("exec", node.exec)
        if node.processes:
            self._say("")
            rows = [(p.name, *_process_cells(p)) for p in node.processes]
            self._table(("process", *PROCESS_HEAD), rows)

    def checked(self, files: Sequence[Checked]) -> None:
        wrong = 0
        for file in files:
            for sentence in file.sentences:
                self._complain(sentence)
            wrong += len(file.sentences)
            if not file.sentences:
                size = f"{count(file.nodes, 'node')}, {count(file.links, 'link')}"
                steps = count(file.steps, "step")
                self._say(f"{file.file}: {file.lab} is fine: {size}, {steps}", "green")
        if wrong:
            self._complain(f"{count(wrong, 'error')}, nothing was touched")

    def features(self, kernel: str, features: Sequence[Feature]) -> None:
        self._say(kernel, "bold")
        rows = [
            (
                "yes" if f.present else "no",
                f.name,
                f.what_for,
                f.detail if f.present else f"{f.option}{f'  ({f.detail})' if f.detail else ''}",
            )
            for f in features
        ]
        self._table(("", "feature", "what for", "missing is"), rows)

    def kinds(self, kinds: Sequence[KindText]) -> None:
        if len(kinds) == 1:
            self._kind(kinds[0])
            return
        self._table(("sort", "kind", "what it is"), [(k.sort, k.name, k.about) for k in kinds])

    def controlled(self, lab: str, verb: str, names: Sequence[str], seconds: float) -> None:
        done = {"start": "started", "stop": "stopped", "restart": "restarted"}[verb]
        self._say(f"{lab}: {', '.join(names)} {done} in {duration(seconds)}", "green")

    def log_line(self, process: str, line: str, width: int) -> None:
        self._say(f"{process:<{width}} | {line}" if width else line)
        self._out.flush()

    def swept(self, sentences: Sequence[str]) -> None:
        for sentence in sentences or ("nothing to sweep",):
            self._say(sentence)

    def failure(self, failure: NetlabError) -> None:
        self._complain(str(failure))
        if isinstance(failure, TopologyError):
            self._complain(f"{count(len(failure.problems), 'error')}, nothing was touched")
        for note in getattr(failure, "__notes__", ()):
            self._complain(f"  {note}")
        if failure.hint:
            self._complain(f"  {failure.hint}", "")

    # parts

    def _kind(self, kind: KindText) -> None:
        self._say(f"{kind.name}, a {kind.sort} kind: {kind.about}", "bold")
        if kind.example:
            self._say("")
            for line in kind.example.splitlines():
                self._say(f"    {line}")
            self._say("")
        self._table(("key", "meaning"), list(kind.keys.items()), wrap=True)

    def _summary(self, portrait: Portrait) -> None:
        shown = list(portrait.nodes.values())[:MOST_NODES]
        names = max((len(n.name) for n in shown), default=0)
        kinds = max((len(n.kind) for n in shown), default=0)
        for node in shown:
            self._say(f"  {node.name:<{names}}  {node.kind:<{kinds}}  {_brief(node)}".rstrip())
        rest = len(portrait.nodes) - len(shown)
        if rest:
            self._say(f"  … and {count(rest, 'node')} more: netlab show {portrait.lab}", "dim")

    def _steps(self, road: Road, felt: Sequence[tuple[str, ...]], most: int = MOST_STEPS) -> None:
        for step, nodes in list(zip(road.plan, felt, strict=True))[:most]:
            reason = because(step, nodes)
            style = {"+": "green", "-": "red", "~": "yellow"}[step.sign]
            self._say(f"  {step_words(step)}" + (f"   ({reason})" if reason else ""), style)
        if len(road.plan) > most:
            self._say(f"  … and {count(len(road.plan) - most, 'step')} more", "dim")

    def _list(self, title: str, lines: Iterable[str]) -> None:
        for place, line in enumerate(lines):
            self._say(f"{title if not place else '':<12} {line}")

    def _table(
        self, head: Sequence[str], rows: Sequence[Sequence[str]], *, wrap: bool = False
    ) -> None:
        used = [n for n in range(len(head)) if any(row[n] for row in rows)]
        if wrap:
            self._wrapped([head[n] for n in used], [[row[n] for n in used] for row in rows])
            return
        widths = [max(len(row[n]) for row in (head, *rows)) for n in used]
        for place, row in enumerate((head, *rows)):
            cells = (f"{row[n]:<{width}}" for n, width in zip(used, widths, strict=True))
            self._say("  ".join(cells).rstrip(), "" if place else "dim")

    def _wrapped(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
        for place, title in enumerate(head):
            table.add_column(title, no_wrap=not place)
        for row in rows:
            table.add_row(*map(Text, row))
        self._console().print(table)

    def _console(self) -> Console:
        from rich.console import Console

        return Console(
            file=self._out,
            highlight=False,
            width=None if self._out.isatty() else WIDE,
            color_system="auto" if coloured(self._out) else None,
        )

    def _say(self, text: str, style: str = "") -> None:
        _print(text, style, self._out)

    def _complain(self, text: str, style: str = "red") -> None:
        self._out.flush()
        _print(text, style, self._err)


def coloured(file: IO[str]) -> bool:
    """On a terminal that is not a dumb one, unless NO_COLOR is set (no-color.org)."""
    usual = os.environ.get("TERM", "") not in ("", "dumb")
    return file.isatty() and usual and not os.environ.get("NO_COLOR")


SGR = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33}
"""Select Graphic Rendition (ECMA-48, 8.3.117)."""


def _print(text: str, style: str, file: IO[str]) -> None:
    painted = f"\033[{SGR[style]}m{text}\033[0m" if style and coloured(file) else text
    print(painted, file=file)


def _ends(portrait: Portrait) -> list[str]:
    """Nodes with addresses: the hosts, unless there are fewer than two."""
    nodes = [n for n in portrait.nodes.values() if any(i.addresses for i in n.interfaces)]
    hosts = [n.name for n in nodes if n.kind == "host"]
    return hosts if len(hosts) > 1 else [n.name for n in nodes]


def _node_rows(node: Node) -> list[tuple[str, ...]]:
    first = (node.name, f"{node.kind} (lost)" if node.lost else node.kind)
    rows = [(i.name, *_cells(i)[2:]) for i in node.interfaces] or [("",) * 5]
    return [(*(first if not n else ("", "")), *row) for n, row in enumerate(rows)]


def _cells(i: Interface) -> tuple[str, ...]:
    to = " ".join(p for p in (i.peer, f"in {i.bridge}" if i.bridge else "") if p)
    state = "" if i.up else " down"
    return (i.name, i.kind, " ".join(i.addresses), f"{i.mtu or ''}{state}", i.mac, to)


PROCESS_HEAD = ("state", "pid", "for", "restarts", "code", "command")


def _process_cells(p: Process) -> tuple[str, ...]:
    return (
        p.state,
        str(p.pid or ""),
        age(p.since) if p.since else "",
        str(p.restarts or ""),
        "" if p.code is None else str(p.code),
        p.command,
    )


def _settings(interface: Interface) -> str:
    return " ".join(f"{k} {_word(v)}" for k, v in interface.settings.items())


def _word(value: int | str | bool) -> str:
    return ("off", "on")[value] if isinstance(value, bool) else str(value)


def _brief(node: Node) -> str:
    """Interfaces with their addresses; a bridge's ports by their names alone."""
    parts = []
    for i in node.interfaces:
        if i.addresses:
            parts.append(f"{i.name} {' '.join(i.addresses)}")
        elif i.bridge:
            parts.append(i.name)
    ports_only = not node.processes and all(" " not in part for part in parts)
    for p in node.processes:
        listens = p.state == "running" and p.ready.startswith(("tcp", "udp", "unix"))
        parts.append(f"{p.name} ready on {p.ready}" if listens else f"{p.name} {p.state}")
    return (" " if ports_only else "   ").join(parts)
