"""Reports for people; colour only on a terminal. What is only printed loads no rich."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import IO, TYPE_CHECKING

from netlab.errors import NetlabError, TopologyError
from netlab.kernel.values import signal_of
from netlab.render.words import age, because, count, duration, first_line, listed, step_words

if TYPE_CHECKING:
    from netlab.checks.verdicts import Verdict
    from netlab.kernel.connection import Tracked
    from netlab.kernel.opened import Socket
    from netlab.kernel.values import HeldRule
    from netlab.lab.lifecycle import Done, Road
    from netlab.lab.portrait import Interface, Node, Portrait, Process
    from netlab.matrix.compare import Difference
    from netlab.matrix.model import Matrix
    from netlab.plan.diff import Step
    from netlab.render.base import Checked, Feature, KindText, LabLine
    from netlab.render.journey import Detail
    from netlab.trace.capture import Captured
    from netlab.trace.drops import Drop
    from netlab.trace.drops import Sums as DropSums
    from netlab.trace.explain.stack import Stack
    from netlab.trace.live import Sums, Told
    from netlab.trace.model import Trace
    from netlab.trace.packets import Seen
    from netlab.trace.sighting import Sighting
    from netlab.trace.taught import Taught

MOST_NODES = 40
"""A summary shows so many; `show` shows all."""

MOST_STEPS = 40
RIGHT_EDGE = 110
"""The column that short texts at the right end in, where the terminal is wide enough."""
NARROW = 20
"""Columns that a wrapped text takes at least."""


class TextRenderer:
    def __init__(self, out: IO[str] = sys.stdout, err: IO[str] = sys.stderr) -> None:
        self._out, self._err = out, err

    def up(self, done: Done, draw: Callable[[], Portrait]) -> None:
        size = f"{count(len(done.summary.nodes), 'node')}, {count(done.summary.links, 'link')}"
        for ns in done.road.lost:
            self._say(f"{ns} had been deleted by somebody else", "yellow")
        if not done.road.plan:
            self._say(f"{done.lab} is unchanged: {size}", "green")
            return
        steps = f"{count(len(done.road.plan), 'step')} in {duration(done.seconds)}"
        if not done.road.is_new:
            self._changed(f"{done.lab}: {steps}", done.road)
            return
        self._say(f"{done.lab} is up: {size}, {steps}", "green")
        portrait = draw()
        self._summary(portrait)
        ends = _ends(portrait)
        if len(ends) > 1:
            self._say(f"try  netlab exec {done.lab} {ends[0]} -- ping {ends[-1]}", "dim")

    def _changed(self, title: str, road: Road) -> None:
        """A single step on the same line."""
        if len(road.plan) == 1:
            self._say(f"{title}    {_step_line(road.plan[0])}", "green")
            return
        self._say(title, "green")
        self._steps(road, [() for _ in road.plan])

    def planned(self, lab: str, road: Road, felt: Sequence[tuple[str, ...]]) -> None:
        self._lost(road.lost)
        if not road.plan:
            self._say(f"{lab} is unchanged", "green")
            return
        self._say(f"{lab}: {count(len(road.plan), 'step')}, none taken yet")
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
            self._wrapped("", portrait.description.strip())
        rows = [row for node in portrait.nodes.values() for row in _node_rows(node)]
        head = ("node", "kind", "interface", "addresses", "mtu", "mac", "to")
        self._table(head, rows, spare="mac")
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
            spare="mac",
        )
        self._list("routes", node.routes)
        self._list("rules", node.rules)
        self._list("neighbours", node.neighbours)
        self._list("nat", node.nat)
        self._list("sysctls", [f"{k} = {v}" for k, v in node.sysctls.items()])
        self._list("files", node.files)
        self._list("environment", [f"{k}={v}" for k, v in node.env.items()])
        self._list("exec", node.exec)
        if node.processes:
            self._say("")
            rows = [(p.name, *_process_cells(p)) for p in node.processes]
            self._table(("process", *PROCESS_HEAD), rows)

    def rules(self, lab: str, node: str, rules: Sequence[HeldRule]) -> None:
        if not rules:
            self._say(f"{node} has no nftables rules", "dim")
        chains = groupby(rules, key=lambda r: f"table {r.family} {r.table}  chain {r.chain}")
        for place, (chain, some) in enumerate(chains):
            if place:
                self._say("")
            rows = list(some)
            by = "" if rows[0].by == "netlab" else f"  (loaded by {rows[0].by})"
            self._say(f"{chain}{by}", "bold")
            self._table(("rule", "line"), [(f"  {r.text}", r.place) for r in rows])

    def connections(
        self,
        lab: str,
        tracked: Mapping[str, Tracked],
        owners: Mapping[str, str],
        lost: Sequence[str],
    ) -> None:
        from netlab.render.connections import HEAD, row

        self._lost(lost)
        told = {node: one for node, one in tracked.items() if one.connections}
        for place, (node, one) in enumerate(told.items()):
            if place:
                self._say("")
            self._say(f"{node}: {count(len(one.connections), 'connection')}", "bold")
            self._table(HEAD, [row(c, owners) for c in one.connections])
        silent = [node for node, one in tracked.items() if one.is_asked_for and node not in told]
        deaf = [node for node in tracked if node not in silent and node not in told]
        if told and (silent or deaf):
            self._say("")
        if silent:
            self._wrapped("", f"no connection in {listed(silent)}", "dim")
        if deaf:
            reason = "no nftables rule there looks at connections"
            self._wrapped("", f"nothing is tracked in {listed(deaf)}: {reason}", "dim")

    def sockets(
        self,
        lab: str,
        held: Mapping[str, Sequence[Socket]],
        owners: Mapping[str, str],
        lost: Sequence[str],
    ) -> None:
        from netlab.render.sockets import HEAD, row

        self._lost(lost)
        told = {node: some for node, some in held.items() if some}
        for node, some in told.items():
            self._say(f"{node}: {count(len(some), 'socket')}", "bold")
            self._table(HEAD, [row(one, owners) for one in some])
            self._say("")
        silent = [node for node in held if node not in told]
        if silent:
            self._wrapped("", f"no socket in {listed(silent)}", "dim")

    def forgotten(self, lab: str, counts: Mapping[str, int], lost: Sequence[str]) -> None:
        self._lost(lost)
        for node, number in counts.items():
            if number:
                self._say(f"{node}: {count(number, 'connection')} forgotten", "green")
        if counts and not any(counts.values()):
            self._wrapped("", f"no connection was tracked in {listed(counts)}", "dim")

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
        if len({kind.name for kind in kinds}) == 1:
            for kind in kinds:
                self._kind(kind)
            return
        rows = [(k.sort, k.name, k.about.partition("\n")[0]) for k in kinds]
        self._table(("sort", "kind", "what it is"), rows)

    def traced(
        self,
        trace: Trace,
        detail: Detail,
        events: Sequence[Sighting],
        taught: Taught | None = None,
    ) -> None:
        from netlab.render import journey

        for text, style in journey.lines(trace, detail, taught, self._columns()):
            self._aligned(text, style)
        if detail == "all":
            for text, style in journey.events(events):
                self._aligned(text, style)

    def live_begun(
        self, lab: str, text: str, first: int, dropped: bool, lacks: Sequence[str]
    ) -> None:
        from netlab.render import live

        self._lines = live.Lines()
        self._complain(live.begun(lab, text, first, dropped), "dim")
        for lack in lacks:
            self._complain(lack, "yellow")
        self._err.flush()

    def live(self, told: Told, detail: Detail | None) -> None:
        from netlab.render import live

        if detail is None:
            for before, text, style in self._lines.line(told, self._columns()):
                self._wrapped(before, text, style)
        else:
            self._say(live.clock(told.time), "bold")
            self.traced(told.trace, detail, told.sightings, told.taught)
            self._say("")
        self._out.flush()

    def live_ended(self, sums: Sums) -> None:
        from netlab.render import live

        for words, style in live.ended(sums):
            _print(words, style, self._err)

    def stack(self, stack: Stack) -> None:
        from netlab.render.stack import lines

        for line, style in lines(stack):
            self._say(line, style)

    def capturing(self, lab: str, interfaces: Sequence[str]) -> None:
        from netlab.render import capture

        self._complain(capture.begun(lab, interfaces), "dim")
        self._err.flush()

    def packets(self, packets: Iterable[Seen], width: int) -> None:
        from netlab.render import capture

        for seen in packets:
            self._say(capture.line(seen, width))
        self._out.flush()

    def captured(self, lab: str, done: Captured, *, streams: bool) -> None:
        from netlab.render import capture

        for line, style in capture.ended(done):
            _print(line, style, self._err)

    def drops_begun(self, lab: str, nodes: int, seconds: float, gaps: Sequence[str]) -> None:
        from netlab.render import drops

        self._complain(drops.begun(lab, nodes, seconds), "dim")
        for gap in gaps:
            self._complain(gap, "yellow")
        self._err.flush()

    def drops(self, drops: Iterable[Drop], width: int) -> None:
        from netlab.render.drops import line

        for drop in drops:
            for words, style in line(drop, width):
                self._say(words, style)
        self._out.flush()

    def drops_ended(self, sums: DropSums, lost: int, missed: Sequence[str]) -> None:
        from netlab.render.drops import ended

        for words, style in ended(sums, lost, missed):
            _print(words, style, self._err)

    def testing(self, lab: str, tests: int, seed: int | None) -> None:
        order = "" if seed is None else f" in an order of chance: --shuffle {seed}"
        self._complain(f"{lab}: {count(tests, 'test')}{order}", "dim")

    def verdict(self, verdict: Verdict, width: int) -> None:
        from netlab.render.verdicts import STYLES, line

        self._say(line(verdict, width), STYLES[verdict.verdict])
        self._out.flush()

    def tested(
        self, lab: str, verdicts: Sequence[Verdict], seconds: float, seed: int | None
    ) -> None:
        from netlab.render.verdicts import evidence, summary

        for verdict in verdicts:
            for before, words, style in evidence(verdict):
                self._wrapped(before, words, style)
        if any(verdict.verdict != "pass" for verdict in verdicts):
            self._say("")
        words, style = summary(lab, verdicts, seconds, seed)
        self._say(words, style)

    def matrix(self, matrix: Matrix, found: Sequence[Difference] | None, name: str) -> None:
        from netlab.render.matrix import WIDTH, compared, lines

        width = self._columns()
        for line in lines(matrix, WIDTH if width == sys.maxsize else width):
            self._spans(line)
        for line in compared(found, name, len(matrix.cells)) if found is not None else ():
            self._spans(line)

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
        self._table(("key", "meaning"), list(kind.keys.items()))

    def _lost(self, namespaces: Sequence[str]) -> None:
        for ns in namespaces:
            self._say(f"{ns} has been deleted by somebody else", "yellow")

    def _summary(self, portrait: Portrait) -> None:
        shown = list(portrait.nodes.values())[:MOST_NODES]
        names = max((len(n.name) for n in shown), default=0)
        kinds = max((len(n.kind) for n in shown), default=0)
        for node in shown:
            self._wrapped(f"  {node.name:<{names}}  {node.kind:<{kinds}}  ", _brief(node))
        rest = len(portrait.nodes) - len(shown)
        if rest:
            self._say(f"  … and {count(rest, 'node')} more: netlab show {portrait.lab}", "dim")

    def _steps(self, road: Road, felt: Sequence[tuple[str, ...]], most: int = MOST_STEPS) -> None:
        for step, nodes in list(zip(road.plan, felt, strict=True))[:most]:
            style = {"+": "green", "-": "red", "~": "yellow"}[step.sign]
            line = _step_line(step, nodes)
            self._wrapped(f"  {line[:2]}", line[2:], style)
        if len(road.plan) > most:
            self._say(f"  … and {count(len(road.plan) - most, 'step')} more", "dim")

    def _list(self, title: str, lines: Iterable[str]) -> None:
        for place, line in enumerate(lines):
            self._wrapped(f"{title if not place else '':<12} ", line)

    def _table(
        self, head: Sequence[str], rows: Sequence[Sequence[str]], *, spare: str = ""
    ) -> None:
        """Empty columns are left out, and so is ``spare`` where the terminal is too narrow."""
        used = [n for n in range(len(head)) if any(row[n] for row in rows)]
        if not used:
            return
        widths = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head))]
        if spare and sum(widths[n] + 2 for n in used) - 2 > self._columns():
            used = [n for n in used if head[n] != spare]
        for place, row in enumerate((head, *rows)):
            *cells, last = [f"{row[n]:<{widths[n]}}  " for n in used]
            self._wrapped("".join(cells), last.rstrip(), "" if place else "dim")

    def _aligned(self, text: str, style: str = "") -> None:
        """What is behind a tab stands at the right edge."""
        left, _, right = text.partition("\t")
        edge = min(self._columns(), RIGHT_EDGE)
        gap = max(2, edge - len(left) - len(right))
        self._say(f"{left}{' ' * gap}{right}" if right else left, style)

    def _wrapped(self, before: str, text: str, style: str = "") -> None:
        """What does not fit goes on below, as far in as it began."""
        room = self._columns() - len(before)
        lines = [text] if len(text) <= max(room, 0) else _folded(text, max(room, NARROW))
        for place, line in enumerate(lines):
            self._say(f"{' ' * len(before) if place else before}{line}".rstrip(), style)

    def _columns(self) -> int:
        """Of the terminal; where there is none, nothing is wrapped."""
        if not self._out.isatty():
            return sys.maxsize
        return os.get_terminal_size(self._out.fileno()).columns or sys.maxsize

    def _say(self, text: str, style: str = "") -> None:
        _print(text, style, self._out)

    def _spans(self, spans: Sequence[tuple[str, str]]) -> None:
        """A line of several styles."""
        print("".join(_painted(text, style, self._out) for text, style in spans), file=self._out)

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
    print(_painted(text, style, file), file=file)


def _painted(text: str, style: str, file: IO[str]) -> str:
    safe = text.translate(CONTROLS).replace(KEPT, " ")
    return f"\033[{SGR[style]}m{safe}\033[0m" if style and coloured(file) else safe


KEPT = "\u00a0"
"""A blank where no line ends."""

CONTROLS = {n: f"\\x{n:02x}" for n in (*range(9), *range(11, 32), *range(127, 160))}
"""What a file says must not steer the terminal."""


def _folded(text: str, width: int) -> list[str]:
    from textwrap import wrap

    paragraphs = text.splitlines()
    fold = partial(wrap, width=width, break_long_words=False, break_on_hyphens=False)
    return [line for paragraph in paragraphs for line in fold(paragraph) or [""]]


def _step_line(step: Step, felt: Sequence[str] = ()) -> str:
    reason = because(step, felt)
    return step_words(step) + (f"   ({reason})" if reason else "")


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
        "" if p.code is None else signal_of(p.code) or str(p.code),
        first_line(p.command),
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
    parts += node.nat
    for p in node.processes:
        listens = p.state == "running" and p.ready.startswith(("tcp", "udp", "unix"))
        parts.append(f"{p.name} ready on {p.ready}" if listens else f"{p.name} {p.state}")
    return (" " if ports_only else "   ").join(part.replace(" ", KEPT) for part in parts)
