"""Reports for programs: one JSON document on stdout. docs/json.md tells what each holds."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Any

from netlab.errors import NetlabError, TopologyError
from netlab.render.words import node_of, step_words

if TYPE_CHECKING:
    from netlab.checks.verdicts import Verdict
    from netlab.kernel.connection import Connection, Direction, End, Tracked
    from netlab.kernel.opened import Socket
    from netlab.kernel.values import HeldRule
    from netlab.lab.lifecycle import Done, Road
    from netlab.lab.portrait import Node, Portrait
    from netlab.matrix.compare import Difference
    from netlab.matrix.model import Matrix
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


WORDS = ("pass", "fail", "inconclusive")


class JsonRenderer:
    def __init__(self, out: IO[str] = sys.stdout, err: IO[str] = sys.stderr) -> None:
        self._out, self._err = out, err

    def up(self, done: Done, draw: Callable[[], Portrait]) -> None:
        self._put(
            {
                "lab": done.lab,
                "changed": bool(done.road.plan),
                "steps": len(done.road.plan),
                "seconds": round(done.seconds, 6),
                "lost": list(done.road.lost),
                "up": _portrait(draw()),
            }
        )

    def planned(self, lab: str, road: Road, felt: Sequence[tuple[str, ...]]) -> None:
        steps = [
            {
                "change": {"+": "add", "-": "remove", "~": "change"}[step.sign],
                "node": node_of(step.subject.ns),
                "what": step.subject.words,
                "words": step_words(step),
                "why": step.why,
                "felt_by": list(map(node_of, nodes)),
            }
            for step, nodes in zip(road.plan, felt, strict=True)
        ]
        self._put({"lab": lab, "new": road.is_new, "lost": list(road.lost), "steps": steps})

    def down(
        self, labs: Sequence[Done], failures: Mapping[str, NetlabError] | None = None
    ) -> None:
        gone: list[dict[str, Any]] = [
            {
                "lab": done.lab,
                "nodes": list(done.summary.nodes),
                "seconds": round(done.seconds, 6),
                "notes": list(done.notes),
            }
            for done in labs
        ]
        if failures is None:
            self._put(gone[0])
            return
        self._put([*gone, *({"lab": lab, "error": _error(f)} for lab, f in failures.items())])
        for lab, failure in failures.items():
            print(f"{lab}: {failure}", file=self._err)

    def labs(self, lines: Sequence[LabLine]) -> None:
        self._put([asdict(line) for line in lines])

    def lab(self, portrait: Portrait) -> None:
        self._put(_portrait(portrait))

    def node(self, portrait: Portrait, node: Node) -> None:
        self._put({"lab": portrait.lab, **asdict(node)})

    def rules(self, lab: str, node: str, rules: Sequence[HeldRule]) -> None:
        self._put({"lab": lab, "node": node, "rules": [rule._asdict() for rule in rules]})

    def connections(
        self,
        lab: str,
        tracked: Mapping[str, Tracked],
        owners: Mapping[str, str],
        lost: Sequence[str],
    ) -> None:
        nodes = [
            {
                "node": node,
                "asked_for": one.is_asked_for,
                "connections": [_connection(c, owners) for c in one.connections],
            }
            for node, one in tracked.items()
        ]
        self._put({"lab": lab, "lost": list(lost), "nodes": nodes})

    def sockets(
        self,
        lab: str,
        held: Mapping[str, Sequence[Socket]],
        owners: Mapping[str, str],
        lost: Sequence[str],
    ) -> None:
        from netlab.render.sockets import document

        nodes = [
            {"node": node, "sockets": [document(one, owners) for one in some]}
            for node, some in held.items()
        ]
        self._put({"lab": lab, "lost": list(lost), "nodes": nodes})

    def forgotten(self, lab: str, counts: Mapping[str, int], lost: Sequence[str]) -> None:
        self._put({"lab": lab, "lost": list(lost), "forgotten": dict(counts)})

    def checked(self, files: Sequence[Checked]) -> None:
        self._put(
            [{**asdict(file), "problems": [p._asdict() for p in file.problems]} for file in files]
        )

    def features(self, kernel: str, features: Sequence[Feature]) -> None:
        self._put({"kernel": kernel, "features": [asdict(f) for f in features]})

    def kinds(self, kinds: Sequence[KindText]) -> None:
        self._put([asdict(kind) for kind in kinds])

    def traced(
        self,
        trace: Trace,
        detail: Detail,
        events: Sequence[Sighting],
        taught: Taught | None = None,
    ) -> None:
        from netlab.trace.model import as_json

        self._put(as_json(trace))

    def live_begun(
        self, lab: str, text: str, first: int, dropped: bool, lacks: Sequence[str]
    ) -> None:
        from netlab.render import live

        for words in (live.begun(lab, text, first, dropped), *lacks):
            print(words, file=self._err, flush=True)

    def live(self, told: Told, detail: Detail | None) -> None:
        from netlab.trace.model import as_json

        found = {"time": told.time, "microseconds": told.microseconds, **as_json(told.trace)}
        print(json.dumps(found, ensure_ascii=False), file=self._out, flush=True)

    def live_ended(self, sums: Sums) -> None:
        from netlab.render import live

        for words, _ in live.ended(sums):
            print(words, file=self._err)

    def stack(self, stack: Stack) -> None:
        self._put(asdict(stack))

    def capturing(self, lab: str, interfaces: Sequence[str]) -> None:
        from netlab.render import capture

        print(capture.begun(lab, interfaces), file=self._err, flush=True)

    def packets(self, packets: Iterable[Seen], width: int) -> None:
        for seen in packets:
            print(json.dumps(asdict(seen), ensure_ascii=False), file=self._out)
        self._out.flush()

    def captured(self, lab: str, done: Captured, *, streams: bool) -> None:
        from netlab.render import capture

        if not streams:
            self._put(capture.document(lab, done))
            return
        for line, _ in capture.ended(done):
            print(line, file=self._err)

    def drops_begun(self, lab: str, nodes: int, seconds: float, gaps: Sequence[str]) -> None:
        from netlab.render import drops

        for words in (drops.begun(lab, nodes, seconds), *gaps):
            print(words, file=self._err, flush=True)

    def drops(self, drops: Iterable[Drop], width: int) -> None:
        for drop in drops:
            print(json.dumps(asdict(drop), ensure_ascii=False), file=self._out)
        self._out.flush()

    def drops_ended(self, sums: DropSums, lost: int, missed: Sequence[str]) -> None:
        from netlab.render.drops import ended

        for words, _ in ended(sums, lost, missed):
            print(words, file=self._err)

    def testing(self, lab: str, tests: int, seed: int | None) -> None:
        pass

    def verdict(self, verdict: Verdict, width: int) -> None:
        pass

    def tested(
        self, lab: str, verdicts: Sequence[Verdict], seconds: float, seed: int | None
    ) -> None:
        counts = {word: sum(v.verdict == word for v in verdicts) for word in WORDS}
        tests = [asdict(verdict) for verdict in verdicts]
        head = {"lab": lab, "seconds": round(seconds, 3), "seed": seed}
        self._put({**head, **counts, "tests": tests})

    def matrix(self, matrix: Matrix, found: Sequence[Difference] | None, name: str) -> None:
        from netlab.matrix.model import document

        told = [one._asdict() for one in found or ()]
        self._out.write(document(matrix, {"against": name, "differences": told}))

    def controlled(self, lab: str, verb: str, names: Sequence[str], seconds: float) -> None:
        said = {"lab": lab, "did": verb, "processes": list(names), "seconds": round(seconds, 6)}
        self._put(said)

    def log_line(self, process: str, line: str, width: int) -> None:
        print(json.dumps({"process": process, "line": line}, ensure_ascii=False), file=self._out)
        self._out.flush()

    def swept(self, sentences: Sequence[str]) -> None:
        self._put(list(sentences))

    def failure(self, failure: NetlabError) -> None:
        self._put({"error": _error(failure)})
        print(failure, file=self._err)

    def _put(self, document: object) -> None:
        json.dump(document, self._out, ensure_ascii=False, indent=2)
        self._out.write("\n")


def _error(failure: NetlabError) -> dict[str, Any]:
    error: dict[str, Any] = {
        "kind": type(failure).__name__,
        "message": str(failure),
        "hint": failure.hint,
        "notes": list(getattr(failure, "__notes__", ())),
        "exit": failure.exit_code,
    }
    if isinstance(failure, TopologyError):
        error["problems"] = [p._asdict() for p in failure.problems]
    return error


def _connection(connection: Connection, owners: Mapping[str, str]) -> dict[str, Any]:
    def end(one: End | None) -> dict[str, Any] | None:
        return one and {**one._asdict(), "node": owners.get(one.address, "")}

    def direction(one: Direction) -> dict[str, Any]:
        return {
            **one._asdict(),
            "source": end(one.source),
            "destination": end(one.destination),
            "icmp": one.icmp and one.icmp._asdict(),
        }

    return {
        **connection._asdict(),
        "original": direction(connection.original),
        "reply": direction(connection.reply),
        "source_nat": end(connection.source_nat),
        "destination_nat": end(connection.destination_nat),
    }


def _portrait(portrait: Portrait) -> dict[str, Any]:
    return {**asdict(portrait), "nodes": [asdict(n) for n in portrait.nodes.values()]}
