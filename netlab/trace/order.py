"""Packets from several places, in one order of time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from netlab.kernel.ring import Frame


class Order:
    """Holds packets back until no earlier one can come any more."""

    def __init__(self) -> None:
        self._held: list[Frame] = []
        self._told = 0
        self.late = 0
        """How many came when later ones had been let go already."""

    @property
    def holds(self) -> bool:
        return bool(self._held)

    def add(self, frames: Sequence[Frame]) -> None:
        self._held += frames
        self._held.sort()

    def release(self, until: int | None = None) -> list[Frame]:
        """Those seen up to that time, all without one; in order."""
        end = len(self._held) if until is None else bisect_right(self._held, (until + 1,))
        frames, self._held = self._held[:end], self._held[end:]
        if frames:
            self.late += bisect_right(frames, (self._told,))
            self._told = max(self._told, frames[-1][0])
        return frames
