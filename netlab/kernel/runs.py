"""How what is queued is done: in which thread, in which namespace, over which socket."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from netlab.errors import CommandFailed, KernelRefused
from netlab.kernel.acts import Op, as_refusal, perform, refused, send
from netlab.kernel.limits import most_open
from netlab.kernel.queues import Commands, Links, Names, Nodes, Pair, Run, Turn

if TYPE_CHECKING:
    from socket import socket

    from netlab.kernel.namespaces import Namespaces
    from netlab.kernel.programs import Programs
    from netlab.kernel.worker import Job, Worker

T = TypeVar("T")

FEW = 8
"""Namespaces that are not worth two threads."""


class Runs:
    """All but commands and processes are done in the worker's threads."""

    def __init__(
        self, worker: Worker, namespaces: Namespaces, programs: Callable[[], Programs]
    ) -> None:
        self._worker = worker
        self._namespaces = namespaces
        self._programs = programs
        self._naming: list[Job[None]] = []
        self._base: socket | None = None

    def close(self) -> None:
        if self._base is not None:
            self._base.close()

    def do(self, runs: Iterable[Run]) -> None:
        """Raises the first refusal."""
        try:
            for run in runs:
                self._do(run)
        finally:
            self._all_named()  # also when something else fails: it came first

    def _do(self, run: Run) -> None:
        match run:
            case Nodes():
                self._do_nodes(run.ops)
            case Links():
                self._worker.call(lambda: self._do_links(run))
                self._do_nodes(run.after)
            case Names():
                self._do_names(run)
                self._do_nodes(run.after)
            case Turn():
                self._all_named()
                self._do_turn(run)
            case Commands():
                self._all_named()
                _do_commands(run.ops)

    # in namespaces

    def _do_nodes(self, ops: Mapping[str, list[Op]]) -> None:
        """Namespaces do not wait for each other; those of the first half are told of first."""
        self._share(list(ops.items()), self._do_some)

    def _share(self, subjects: list[T], act: Callable[[list[T]], object]) -> None:
        """Between two threads, where there are many."""
        half = -(-len(subjects) // 2) if len(subjects) > FEW else len(subjects)
        parts = [part for part in (subjects[:half], subjects[half:]) if part]
        self._worker.share([partial(act, part) for part in parts])

    def _do_some(self, nodes: Iterable[tuple[str, list[Op]]]) -> None:
        for ns, some in nodes:
            try:
                self._do_node(ns, some)
            except FileNotFoundError as problem:
                lasting = next((op for op in some if not op.deletes), None)
                if lasting is not None:
                    raise _gone(ns, lasting.token, lasting.option) from problem
            except KernelRefused as problem:
                problem.token = problem.token or some[0].token
                raise

    def _do_node(self, ns: str, some: Sequence[Op]) -> None:
        calls = any(callable(op.act) for op in some)
        messages = any(not callable(op.act) for op in some)
        with ExitStack() as stack:
            sock = stack.enter_context(self._namespaces.socket(ns)) if messages else None
            if calls and ns:
                stack.enter_context(self._namespaces.inside(ns))
            perform(some, sock)

    # links

    def _do_links(self, run: Links) -> None:
        fds: dict[str, int] = {}
        ops: list[Op] = []
        base, most = self._base_socket(), most_open()
        try:
            for pair in run.pairs:
                ops.append(self._linked(pair, fds))
                if len(fds) >= most - 1:
                    send(ops, base)
                    _close_all(fds)
                    ops.clear()
            send(ops, base)
        finally:
            _close_all(fds)

    def _linked(self, pair: Pair, fds: dict[str, int]) -> Op:
        for ns in (pair.a_ns, pair.b_ns):
            if ns not in fds:
                fds[ns] = self._open(ns, pair.token)
        return Op(pair.token, pair.request(fds[pair.a_ns], fds[pair.b_ns]), option=pair.option)

    def _open(self, ns: str, token: object) -> int:
        try:
            return self._namespaces.open(ns)
        except FileNotFoundError as problem:
            raise _gone(ns, token) from problem

    def _base_socket(self) -> socket:
        """In a namespace without devices: a link's chosen index is looked up there as well."""
        if self._base is None:
            from netlab.kernel.wire import open_socket

            os.close(self._worker.unshare())
            self._base = open_socket()
        return self._base

    # names

    def _do_names(self, run: Names) -> None:
        """Names are given while the namespaces are already being filled."""
        if run.take:
            self._all_named()
            try:
                self._worker.call(lambda: self._namespaces.take(run.take))
            except OSError as problem:
                raise as_refusal(problem, run.token) from problem
            except KernelRefused as problem:
                problem.token = run.token
                raise
        if run.add:
            self._naming.append(self._worker.begin(lambda: _name(run.add)))

    def _all_named(self) -> None:
        naming, self._naming = self._naming, []
        for job in naming:
            self._worker.wait(job)

    # programs

    def _do_turn(self, run: Turn) -> None:
        try:
            if run.stop:
                self._programs().stop(run.stop, forget=run.forget)
            if run.start:
                self._programs().start(run.start)
        except KernelRefused as problem:
            problem.token = problem.token or run.token or next(w.token for w in run.start)
            raise


def _name(ops: Sequence[Op]) -> None:
    for op in ops:
        try:
            perform([op], None)
        except KernelRefused as problem:
            problem.token = problem.token or op.token
            raise


def _do_commands(ops: Iterable[Op]) -> None:
    for op in ops:
        assert callable(op.act)
        try:
            op.act()
        except CommandFailed as failure:
            failure.token = op.token
            raise


def _gone(ns: str, token: object, option: str = "") -> KernelRefused:
    said = f"namespace {ns} has been deleted by somebody else"
    return refused(token, errno.ENOENT, said, option)


def _close_all(fds: dict[str, int]) -> None:
    while fds:
        os.close(fds.popitem()[1])
