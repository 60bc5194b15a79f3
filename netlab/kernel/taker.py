"""The verbs that take a lab down: only what outlives its namespaces, all else goes with them.

`netlab down` loads no others; the rest of a ``Kernel`` is ``netlink.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

from netlab.errors import KernelRefused
from netlab.kernel import enter, files
from netlab.kernel.limits import raise_limit
from netlab.kernel.namespaces import Namespaces
from netlab.kernel.queues import Names, Queue
from netlab.kernel.runs import Runs
from netlab.kernel.worker import Worker

if TYPE_CHECKING:
    from netlab.kernel.fresh import Stock
    from netlab.kernel.programs import Programs


class Taker:
    """What ``Resource.delete`` asks for where ``Resource.outlives``."""

    def __init__(
        self,
        lab: str,
        *,
        state: str = enter.STATE,
        netns: str = enter.NETNS,
        should_stop: Callable[[], bool] = lambda: False,
        stock: Stock | None = None,
    ) -> None:
        """``should_stop`` is asked while a program of the topology runs.

        ``stock`` holds namespaces made ahead; it is closed by whoever made it.
        """
        self._lab, self._state, self._netns = lab, state, netns
        self._lab_dir = f"{state}/{lab}"
        self._should_stop = should_stop
        raise_limit()
        self._worker = Worker()
        self._namespaces = Namespaces(netns, self._worker, stock)
        self._queue = Queue()
        self._runs = Runs(self._worker, self._namespaces, lambda: self._programs)

    @cached_property
    def _programs(self) -> Programs:
        """Loaded for labs that have processes only."""
        from netlab.kernel.programs import Programs

        names = self._namespaces
        return Programs(
            self._lab, self._state, self._netns, self._worker, names, lambda: self._should_stop()
        )

    def close(self) -> None:
        self._runs.close()
        with suppress(KernelRefused):  # it hangs, which has been said
            self._worker.call(self._namespaces.close)
        self._worker.close()

    def begin(self, token: object) -> None:
        self._queue.token = token

    def flush(self) -> None:
        self._runs.do(self._queue.taken())

    def insist(self) -> None:
        self._should_stop = lambda: False

    def own(self, inodes: Mapping[str, int]) -> None:
        self._namespaces.own(inodes)

    def del_namespace(self, ns: str) -> None:
        run = self._queue.run(Names)
        run.take.append(ns)
        run.token = self._queue.token

    def del_entry(self, ns: str) -> None:
        self._queue.add("", lambda: files.remove(self._entry(ns)))

    def del_hosts(self, lab: str) -> None:
        self._queue.add("", lambda: files.remove(self._hosts))

    def stop_supervisor(self, lab: str) -> None:
        self._queue.add("", lambda: self._programs.close())

    def stop_process(self, ns: str, name: str, turn: int, forget: bool = True) -> None:
        run = self._queue.turn(turn, starts=False, forget=forget)
        run.stop.append((ns.partition(".")[2], name))
        run.token = self._queue.token

    @property
    def _hosts(self) -> str:
        return f"{self._lab_dir}/hosts"

    def _entry(self, ns: str) -> str:
        return f"{self._lab_dir}/nodes/{ns.partition('.')[2]}.json"
