"""Going into a lab's namespaces to look and to listen: sockets opened there are used from here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from netlab.kernel.enter import NETNS
from netlab.kernel.namespaces import Namespaces
from netlab.kernel.worker import Worker

T = TypeVar("T")


class Visits:
    """What is done in namespaces is done by a worker's threads; this process stays where it is."""

    def __init__(self, worker: Worker, namespaces: Namespaces) -> None:
        self._worker = worker
        self._namespaces = namespaces

    def at(self, ns: str, act: Callable[[], T]) -> T:
        """Raises FileNotFoundError where it is gone, KernelRefused where it is not the lab's."""
        return self._worker.call(lambda: self._inside(ns, act))

    def each(self, acts: Mapping[str, Callable[[], T]]) -> dict[str, T]:
        """Side by side, by namespace; raises what the first that failed raised."""
        jobs = {
            ns: self._worker.begin(lambda ns=ns, act=act: self._inside(ns, act))  # type: ignore[misc]
            for ns, act in acts.items()
        }
        return {ns: self._worker.wait(job) for ns, job in jobs.items()}

    def apart(self, act: Callable[[], T]) -> T:
        """In a namespace of its own, which ends with it. Raises OSError."""

        def there() -> T:
            fd = self._worker.unshare()
            try:
                return act()
            finally:
                os.close(fd)

        return self._worker.call(there)

    def _inside(self, ns: str, act: Callable[[], T]) -> T:
        with self._namespaces.inside(ns):
            return act()


@contextmanager
def visiting(identities: Mapping[str, int], netns: str = NETNS) -> Iterator[Visits]:
    """``identities``: of each namespace, see ``netlab.kernel.identity``."""
    worker = Worker()
    namespaces = Namespaces(netns, worker)
    namespaces.own(identities)
    try:
        yield Visits(worker, namespaces)
    finally:
        worker.close()
