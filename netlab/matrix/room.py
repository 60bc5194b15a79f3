"""Room in the kernel's table of neighbours, which all namespaces of a machine share."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial

from netlab.attempts import Where
from netlab.kernel import neighbours

SPARE = 64
"""Entries left to whoever else wants some."""
LEAST = 16
"""Pairs that it is worth while to ask at once."""
MOST = 1 << 14
"""Pairs that are asked at once however much room there is."""


class Room:
    """What the nodes learn on the way is forgotten where the table would overflow."""

    def __init__(
        self, where: Where, nodes: Sequence[str], versions: Collection[int], pairs: int
    ) -> None:
        """``nodes``: all of the lab; ``pairs``: so many are going to be asked."""
        self._where, self._nodes, self._versions = where, nodes, versions
        self._known: dict[str, neighbours.Known] = {}
        self._was_short = False
        self._is_scarce = 2 * pairs > self._free()
        if self._is_scarce:
            self._known = {node: where.inside(node, neighbours.learned) for node in nodes}

    def pairs(self, entries: int) -> int:
        """How many may be asked now, where each makes so many entries; 0: later."""
        if not self._is_scarce:
            return MOST
        if self._free() < self._most() // 2:
            self._was_short = True
            self._forget(self._known)
        found = min(MOST, self._free() // entries)
        return found if found >= LEAST else 0

    def refused(self) -> int:
        """How often the table has been full."""
        return sum(table.refused for table in self._tables())

    def close(self) -> None:
        """Others find it as empty as it was."""
        if self._was_short:
            self._forget(self._known)

    def doubt(self) -> None:
        """All that was ever learned is forgotten: who is gone would be believed to be there."""
        self._forget({})

    def _forget(self, but: Mapping[str, neighbours.Known]) -> None:
        for node in self._nodes:
            known = but.get(node, frozenset())
            self._where.inside(node, partial(neighbours.forget, known, sought=False))

    def _free(self) -> int:
        return min((t.most - t.entries for t in self._tables()), default=MOST) - SPARE

    def _most(self) -> int:
        return min((t.most for t in self._tables()), default=MOST)

    def _tables(self) -> list[neighbours.Table]:
        held = neighbours.tables()
        return [held[version] for version in self._versions if version in held]
