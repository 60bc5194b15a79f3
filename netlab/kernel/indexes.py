"""Interface indexes: chosen by netlab where it makes a device, so that nothing is looked up."""

from __future__ import annotations

from netlab.errors import KernelRefused
from netlab.kernel import links, wire
from netlab.kernel.namespaces import Namespaces
from netlab.kernel.worker import Worker

FIRST = 16
"""Indexes below are left to the kernel: modules may put devices of their own into namespaces."""


class Indexes:
    """``{name: index}`` of each namespace: known where it is fresh, asked for once elsewhere."""

    def __init__(self, namespaces: Namespaces, worker: Worker) -> None:
        self._namespaces = namespaces
        self._worker = worker
        self._known: dict[str, dict[str, int]] = {}
        self._next: dict[str, int] = {}

    def fresh(self, ns: str) -> None:
        self._known[ns], self._next[ns] = {"lo": 1}, FIRST

    def of(self, ns: str, name: str) -> int | None:
        return self._names(ns).get(name)

    def choose(self, ns: str, name: str) -> int:
        """Never one that this process has chosen before: a request under way may still mean it."""
        names = self._names(ns)
        names[name] = index = self._next[ns]
        self._next[ns] += 1
        return index

    def doubt(self) -> None:
        """Ask again: a queue has been cut short."""
        self._known.clear()

    def forget(self, ns: str, name: str) -> None:
        self._names(ns).pop(name, None)

    def _names(self, ns: str) -> dict[str, int]:
        if ns not in self._known:
            try:
                found = self._worker.call(lambda: self._ask(ns))
            except (FileNotFoundError, KernelRefused):  # whoever adds something there is told
                found = {}
            self._known[ns] = found
            used = [index + 1 for index in found.values()]
            self._next[ns] = max([self._next.get(ns, FIRST), *used])
        return self._known[ns]

    def _ask(self, ns: str) -> dict[str, int]:
        with self._namespaces.inside(ns), wire.open_socket() as sock:
            answers = wire.dump(sock, *links.links())
        return {link.name: link.index for link in map(links.parse_link, answers)}
