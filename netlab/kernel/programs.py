"""A lab's processes, started, waited for until they are ready, and stopped: by its supervisor."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netlab.errors import UNWRITABLE, CommandFailed, KernelRefused, unwritable
from netlab.kernel import cgroups, enter
from netlab.kernel.namespaces import Namespaces
from netlab.kernel.supervisor import client, readiness
from netlab.kernel.supervisor import record as records
from netlab.kernel.supervisor.readiness import Said
from netlab.kernel.values import signal_of
from netlab.kernel.worker import Worker

SOON, LATER = 0.005, 0.05
"""Seconds between two looks at whether a process is ready."""

WHY_NOT = {
    "tcp": "nothing listens on tcp/{}",
    "udp": "nothing is bound to udp/{}",
    "unix": "nothing listens at {}",
    "file": "there is no {}",
    "log": "no line of its log matches {}",
    "exec": "`{}` does not exit with 0",
}


@dataclass(frozen=True)
class Wanted:
    """A process to be started; ``token`` is what a failure carries."""

    token: object
    node: str
    name: str
    inode: int
    spec: Mapping[str, Any]

    def request(self) -> dict[str, Any]:
        return {
            "do": "start",
            "node": self.node,
            "name": self.name,
            "inode": self.inode,
            "spec": self.spec,
            "environ": enter.callers_environment(),
        }


class Programs:
    """Of one lab. Readiness is looked at in the worker's thread, inside the node."""

    def __init__(
        self,
        lab: str,
        state: str,
        netns: str,
        worker: Worker,
        namespaces: Namespaces,
        should_stop: Callable[[], bool],
    ) -> None:
        self._lab, self._state, self._netns = lab, state, netns
        self._lab_dir = f"{state}/{lab}"
        self._worker = worker
        self._namespaces = namespaces
        self._should_stop = should_stop

    def open(self) -> None:
        """The supervisor is there."""
        self._supervisor().close()

    def close(self) -> None:
        """It is there no more, nor are the lab's control groups."""
        client.stop(self._lab_dir, cgroups.root(), self._lab)

    def start(self, wanted: Sequence[Wanted]) -> None:
        """All at once; returns when all are ready. Raises CommandFailed with what one said."""
        said = [self._said(w) for w in wanted]
        begun = time.monotonic()
        answers = self._ask([w.request() for w in wanted])
        for one, answer in zip(wanted, answers, strict=True):
            if answer.get("errno") in UNWRITABLE:
                raise unwritable(self._lab_dir, OSError(answer["errno"], answer["error"]))
            if "error" in answer:
                raise _failure(one, f"cannot be started: {answer['error']}")
        for one, its in zip(wanted, said, strict=True):
            self._wait(one, its, begun)

    def set(self, node: str, name: str, spec: Mapping[str, Any]) -> None:
        self._ask([{"do": "set", "node": node, "name": name, "spec": spec}])

    def stop(self, which: Sequence[tuple[str, str]], *, forget: bool) -> None:
        """Asked to end, killed after their grace; done where there is no such process."""
        known = [r for node, name in which if (r := records.read(self._lab_dir, node, name))]
        if not known:
            return
        grace = max(float(r.spec.get("grace", 5.0)) for r in known)
        words = [{"node": r.node, "name": r.name} for r in known]
        patience = grace + client.ANSWER_DEADLINE
        self._ask([{"do": "stop", **w} for w in words], patience, persist=True)
        if forget:
            self._ask([{"do": "forget", **w} for w in words], persist=True)

    # the supervisor

    def _supervisor(self) -> client.Supervisor:
        return client.start(self._lab, self._state, self._netns)

    def _ask(
        self,
        requests: Sequence[Mapping[str, Any]],
        patience: float = client.ANSWER_DEADLINE,
        *,
        persist: bool = False,
    ) -> list[dict[str, Any]]:
        """One that is killed while it is asked has another one asked the same."""
        stop = (lambda: False) if persist else self._should_stop
        try:
            return self._ask_one(requests, patience, stop)
        except KernelRefused as refusal:
            if isinstance(refusal.__cause__, TimeoutError):
                raise
            return self._ask_one(requests, patience, stop)

    def _ask_one(
        self, requests: Sequence[Mapping[str, Any]], patience: float, stop: Callable[[], bool]
    ) -> list[dict[str, Any]]:
        supervisor = self._supervisor()
        try:
            return supervisor.ask(requests, patience=patience, should_stop=stop)
        finally:
            supervisor.close()

    # readiness

    def _wait(self, wanted: Wanted, said: Said, begun: float) -> None:
        if not wanted.spec["ready"]:
            return
        way, value = wanted.spec["ready"]
        pause = SOON
        while not self._is_ready(wanted, way, value, said):
            self._still_runs(wanted, said)
            if self._should_stop():
                raise _failure(wanted, "was being waited for")
            if time.monotonic() - begun > wanted.spec["within"]:
                why = WHY_NOT[way].format(value)
                what = f"is not ready after {wanted.spec['within']:g} s: {why}"
                raise _failure(wanted, what, said)
            time.sleep(pause)  # the kernel tells nobody that a socket begins to listen
            pause = min(2 * pause, LATER)

    def _is_ready(self, wanted: Wanted, way: str, value: str, said: Said) -> bool:
        match way:
            case "log":
                return said.matches()
            case "file":
                found = records.read(self._lab_dir, wanted.node, wanted.name)
                return found is not None and os.path.lexists(f"/proc/{found.pid}/root{value}")
            case "exec":
                return self._exits_well(wanted, value)
        ns = f"{self._lab}.{wanted.node}"
        return self._worker.call(lambda: self._listens(ns, way, value))

    def _listens(self, ns: str, way: str, value: str) -> bool:
        with self._namespaces.inside(ns):
            return readiness.listens(way, value)

    def _exits_well(self, wanted: Wanted, line: str) -> bool:
        path = f"{self._netns}/{self._lab}.{wanted.node}"
        until = time.monotonic() + float(wanted.spec["within"])

        def is_late() -> bool:
            return self._should_stop() or time.monotonic() > until

        code, _ = enter.run_line(self._lab_dir, path, wanted.node, line, is_late, wanted.inode)
        return code == 0

    def _still_runs(self, wanted: Wanted, said: Said) -> None:
        found = records.read(self._lab_dir, wanted.node, wanted.name)
        if found is not None and not found.wanted:
            raise _failure(wanted, f"{_ended(found.code)} before it was ready", said)

    def _said(self, wanted: Wanted) -> Said:
        """From now on."""
        log = records.path(self._lab_dir, wanted.node, wanted.name, "log")
        way, pattern = wanted.spec["ready"] or ("", "")
        return Said(log, pattern if way == "log" else "")


def _failure(wanted: Wanted, what: str, said: Said | None = None) -> CommandFailed:
    """With the last lines of what it has said."""
    tail = said.tail() if said else ""
    told = f"; it said:\n{tail}" if tail else "; it said nothing" if said else ""
    failure = CommandFailed(what + told)
    failure.token = wanted.token
    return failure


def _ended(code: int | None) -> str:
    if code is None:
        return "ended"
    signal = signal_of(code)
    return f"was killed by {signal}" if signal else f"ended with code {code}"


def parsed(spec: str) -> dict[str, Any]:
    """Raises KernelRefused for what no netlab wrote."""
    try:
        found: dict[str, Any] = json.loads(spec)
    except ValueError as problem:
        raise KernelRefused(f"a process cannot be understood: {problem}") from problem
    return found
