"""This Linux machine: its boot, its named namespaces, and the kernels that build labs on it."""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar, cast

from netlab.errors import KernelRefused, MachineLacks
from netlab.kernel import capabilities, enter, names
from netlab.kernel.identity import boot, inode, is_here

if TYPE_CHECKING:
    from netlab.kernel.connection import Tracked
    from netlab.kernel.fresh import Stock
    from netlab.kernel.namespaces import Namespaces
    from netlab.kernel.opened import Socket
    from netlab.kernel.port import Kernel
    from netlab.kernel.supervisor.record import Record
    from netlab.kernel.values import Held, HeldRule, Noted, Running, Table
    from netlab.kernel.worker import Worker

T = TypeVar("T")


class LinuxMachine:
    """A ``Machine``; ``state`` and ``netns`` are the directories of labs and of namespaces."""

    def __init__(self, state: str = enter.STATE, netns: str = enter.NETNS) -> None:
        self._state = state
        self._netns = netns
        self._stock: Stock | None = None

    def foresee(self, namespaces: int) -> None:
        """So many will be asked for: a thread begins to make them. ``close`` ends those left."""
        from netlab.kernel.fresh import Stock

        if os.geteuid() == 0 and self._stock is None:
            self._stock = Stock(namespaces)

    def close(self) -> None:
        stock, self._stock = self._stock, None
        if stock is not None:
            stock.close()

    def admit(self) -> None:
        if os.geteuid() != 0:
            why = "making network namespaces needs root"
            raise MachineLacks(why, hint=f"run it with sudo, or in {capabilities.ROOTLESS}")
        boot()  # without /proc nothing can be begun
        if lacking := capabilities.lacking():
            ways = " ".join(f"--cap-add {name}" for name in lacking)
            why = f"root has no {' and no '.join(lacking)} here"
            raise MachineLacks(why, hint=f"a container needs --privileged or {ways}")

    @property
    def boot(self) -> str:
        return boot()

    @contextmanager
    def kernel(self, lab: str, should_stop: Callable[[], bool]) -> Iterator[Kernel]:
        from netlab.kernel.netlink import NetlinkKernel

        with names.in_use(self._netns):
            kernel = NetlinkKernel(
                lab,
                state=self._state,
                netns=self._netns,
                should_stop=should_stop,
                stock=self._stock,
            )
            with closing(kernel):
                yield kernel

    @contextmanager
    def taker(self, lab: str) -> Iterator[Kernel]:
        from netlab.kernel.taker import Taker

        with names.in_use(self._netns):
            taker = Taker(lab, state=self._state, netns=self._netns)
            with closing(taker):
                yield cast("Kernel", taker)  # the verbs that it has not, nobody asks it for

    def standing(self, inodes: Mapping[str, int]) -> frozenset[str]:
        if os.geteuid() != 0:  # who may not go there goes by the inode
            found = {ns: names.inode_of(self._netns, ns) for ns in inodes}
            return frozenset(ns for ns, told in inodes.items() if found[ns] == inode(told))
        with self._visited(inodes) as (worker, namespaces):
            return worker.call(lambda: frozenset(filter(namespaces.is_ours, inodes)))

    def held(
        self,
        inodes: Mapping[str, int],
        tables: Mapping[str, Collection[Table]],
        ruled: Collection[str],
    ) -> Mapping[str, Held | None]:
        if os.geteuid() != 0:
            return dict.fromkeys(self.standing(inodes))
        with self._visited(inodes) as (worker, namespaces):
            return worker.call(lambda: dict(_held(namespaces, inodes, tables, ruled)))

    def rules(self, ns: str, identity: int, spec: str) -> Sequence[HeldRule]:
        from netlab.kernel import rules

        return self._in_each({ns: identity}, lambda: rules.listed(spec))[ns]

    def connections(self, inodes: Mapping[str, int]) -> Mapping[str, Tracked]:
        from netlab.kernel import conntrack

        return self._in_each(inodes, conntrack.tracked)

    def forget_connections(self, inodes: Mapping[str, int]) -> Mapping[str, int]:
        from netlab.kernel import conntrack

        return self._in_each(inodes, conntrack.forget)

    def sockets(self, inodes: Mapping[str, int]) -> Mapping[str, Sequence[Socket]]:
        from netlab.kernel import sockets

        try:
            return self._in_each(inodes, sockets.held)
        except OSError as problem:
            if problem.errno not in (errno.EPROTONOSUPPORT, errno.ENOENT):
                raise
            why = "the kernel does not tell of its sockets"
            raise MachineLacks(why, hint="it takes CONFIG_INET_DIAG") from problem

    def _in_each(self, inodes: Mapping[str, int], act: Callable[[], T]) -> dict[str, T]:
        def acted(ns: str) -> T:
            try:
                with namespaces.inside(ns):
                    return act()
            except FileNotFoundError as problem:
                gone = f"namespace {ns} has been deleted by somebody else"
                raise KernelRefused(gone, said=gone) from problem

        if os.geteuid() != 0:
            raise MachineLacks("to look into a namespace needs root", hint="run it with sudo")
        with self._visited(inodes) as (worker, namespaces):
            return worker.call(lambda: {ns: acted(ns) for ns in inodes})

    @contextmanager
    def _visited(self, inodes: Mapping[str, int]) -> Iterator[tuple[Worker, Namespaces]]:
        from netlab.kernel.namespaces import Namespaces
        from netlab.kernel.worker import Worker

        worker = Worker()
        namespaces = Namespaces(self._netns, worker)
        namespaces.own(inodes)
        try:
            yield worker, namespaces
        finally:
            worker.close()

    def stands_in(self, inodes: Mapping[str, int]) -> str:
        here = os.stat("/proc/self/ns/net").st_ino
        ours = (ns for ns, told in inodes.items() if inode(told) == here and is_here(told))
        return next(ours, "")

    def processes(self, lab: str) -> Mapping[tuple[str, str], Running]:
        from netlab.kernel.supervisor.record import all_of

        return {(r.node, r.name): _running(r) for r in all_of(f"{self._state}/{lab}")}

    def last_words(self, lab: str, node: str, process: str) -> Sequence[str]:
        from netlab.kernel.supervisor import logs, record

        lines: deque[str] = deque(maxlen=5)
        log = record.path(f"{self._state}/{lab}", node, process, "log")
        logs.tell({log: lines.append}, 0.0, follow=False)
        return tuple(lines)

    def note(self) -> Noted:
        from netlab.kernel import host

        return host.note(self._state, self._netns)

    def tidy(self) -> None:
        names.tidy_directory(self._netns, self._state)

    def settle(self) -> None:
        from netlab.kernel.settle import settle
        from netlab.kernel.worker import Worker

        worker = Worker(1)

        def wait() -> None:
            with worker.elsewhere():
                settle()

        try:
            worker.call(wait)
        finally:
            worker.close()


def _running(record: Record) -> Running:
    """A supervisor that was killed has not written down what ended since."""
    from netlab.kernel.values import Running

    ended = record.state == "running" and not record.is_alive
    state = "failed" if ended else record.state
    return Running(state, record.pid, record.since, record.restarts, record.code)


def _held(
    namespaces: Namespaces,
    wanted: Iterable[str],
    tables: Mapping[str, Collection[Table]],
    ruled: Collection[str],
) -> Iterator[tuple[str, Held]]:
    from netlab.kernel.held import held

    for ns in wanted:
        with suppress(FileNotFoundError, KernelRefused), namespaces.inside(ns):
            yield ns, held(tables.get(ns, ()), is_ruled=ns in ruled)
