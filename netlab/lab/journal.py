"""What has been done to the kernel for a lab: JSON lines, each written before it is done.

The first line says whose journal it is. A ``do`` line holds one batch of steps, and the inodes of
the namespaces it makes; the next line confirms it. An ``up`` line ends a finished change: what the
file was then, and what ``ls`` tells, so that listing labs reads two lines. A last line without its
end was never acted on.

    {"format": 2, "lab": "ring", "boot": "9f…", "file": "/…/ring.yaml", "digest": "b1…"}
    {"inodes": {"ring.r1": 4026532301}, "do": [[null, ["Namespace", "ring.r1", []]]]}
    {"up": {"since": 1700000000, "nodes": {"r1": "router"}, …}, "file": "/…/ring.yaml", …}
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from netlab.lab.glance import FORMAT, Header, Summary, check_format, understanding
from netlab.plan.diff import Plan, Step
from netlab.resources import Inventory, Key, Resource, wire
from netlab.resources.base import Stage


class Journal(NamedTuple):
    """A journal, read."""

    header: Header
    inventory: Inventory
    inodes: Mapping[str, int]
    doubtful: Plan = ()
    """The steps of the last batch, when nothing says that it was finished."""
    summary: Summary | None = None
    """None while a change is under way, or was cut short."""
    steps: int = 0


def read(raw: bytes, *, for_down: bool = False) -> Journal | None:
    """None for a journal cut before its first line was whole: nothing had been done by then.

    ``for_down``, only of what does not go with the namespaces; lines that speak of nothing else
    are not even parsed. Raises StateRefused for what no netlab wrote.
    """
    lines = raw.split(b"\n")[:-1]
    if not lines:
        return None
    with understanding():
        told = [json.loads(line) for line in lines if not for_down or _concerns_down(line)]
        return _replay(told, for_down)


def _replay(lines: Sequence[dict[str, Any]], for_down: bool) -> Journal:
    first = lines[0]
    check_format(first)
    file, digest = first["file"], first["digest"]
    held: dict[Any, Resource] = {}
    inodes: dict[str, int] = {}
    steps, summary = 0, None
    last: Plan = ()
    for line in lines[1:]:
        file, digest = line.get("file", file), line.get("digest", digest)
        asked = line.get("do", ())
        last = tuple([_step(raw) for raw in asked if not for_down or _outlives(raw)])
        steps += len(last)
        inodes.update(line.get("inodes", {}))
        _take(held, last)
        summary = Summary(**line["up"]) if "up" in line else None
    header = Header(first["lab"], first["boot"], file, digest)
    return Journal(header, Inventory(held.values()), inodes, last, summary, steps)


def _take(held: dict[Any, Resource], steps: Plan) -> None:
    gone: set[Key] = set()
    for step in steps:
        if step.after is None:
            assert step.before is not None
            held.pop(step.before.key, None)
            gone.update(step.before.provides)
            continue
        if step.before is None and step.after.key in held:  # what had half fallen
            gone.update(held.pop(step.after.key).provides)
        _drop_fallen(held, gone)  # before anything is built in their place
        gone = set()
        held[step.after.key] = step.after
    _drop_fallen(held, gone)


def _drop_fallen(held: dict[Any, Resource], gone: set[Key]) -> None:
    """What went with something taken down, without a step of its own.

    A link of which one end still stands has not gone: the kernel takes that end away when it gets
    to it, and until then nothing of its name can be made.
    """
    fallen = set(gone)
    while fallen:
        standing = {p for r in held.values() for p in r.provides}
        doomed = [
            k
            for k, r in held.items()
            if not fallen.isdisjoint(r.needs)
            and (r.stage != Stage.LINK or standing.isdisjoint(r.falls_with))
        ]
        fallen = {p for key in doomed for p in held.pop(key).provides}


def reached(inventory: Inventory, steps: Plan) -> Inventory:
    """The inventory after some steps."""
    held = dict(inventory)
    _take(held, steps)
    return Inventory(held.values())


def _concerns_down(line: bytes) -> bool:
    return not line.startswith(b'{"do":') or wire.tells_of_outliving(line)


def _outlives(raw: list[Any]) -> bool:
    return wire.outlives(raw[0] or raw[1])


def _step(raw: list[Any]) -> Step:
    before, after = (wire.parse(r) if r else None for r in raw)
    if before is None and after is None:
        raise ValueError("a step that changes nothing")
    return Step(before, after)


class Writer:
    """Appends to a journal, which it makes if there is none."""

    def __init__(self, directory: str, header: Header) -> None:
        self._path = f"{directory}/journal"
        self.inodes: dict[str, int] = {}
        """Those that it was told of."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._fd = os.open(self._path, flags)
            self._cut_torn_line()
        except FileNotFoundError:
            self._fd = os.open(self._path, flags | os.O_CREAT | os.O_EXCL, 0o644)
        if not os.fstat(self._fd).st_size:
            self._begin(header)

    def _begin(self, header: Header) -> None:
        try:
            self._append({"format": FORMAT, **header._asdict()})
        except OSError:
            self.close()
            self.remove()
            raise

    def do(self, steps: Iterable[Step], inodes: Mapping[str, int]) -> None:
        batch = [[_dumped(step.before), _dumped(step.after)] for step in steps]
        self._append({**({"inodes": dict(inodes)} if inodes else {}), "do": batch})
        self.inodes.update(inodes)

    def up(self, summary: Summary, file: str, digest: str) -> None:
        self._append({"up": summary._asdict(), "file": file, "digest": digest})

    def remove(self) -> None:
        os.unlink(self._path)

    def close(self) -> None:
        os.close(self._fd)

    def _append(self, line: Mapping[str, Any]) -> None:
        """Raises OSError when the disk is full; the torn line is then taken back."""
        text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
        data = text.encode(errors="surrogatepass") + b"\n"  # a file's name may be no text
        before = os.fstat(self._fd).st_size
        try:
            _write_all(self._fd, data)
        except OSError:
            os.ftruncate(self._fd, before)
            raise

    def _cut_torn_line(self) -> None:
        with open(self._path, "rb") as file:
            data = file.read()
        os.ftruncate(self._fd, data.rfind(b"\n") + 1)


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _dumped(resource: Resource | None) -> list[Any] | None:
    return None if resource is None else wire.dump(resource)
