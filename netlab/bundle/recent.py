"""The last packets of a lab, kept while something else is done, and forgotten if all goes well.

A thread takes what the kernel hands over, at most every ``GATHER`` seconds; until then it stays in
a small ring of each interface. More than fits there is lost and counted: a lab under load pays for
no more than that. Nothing is written before it is asked for.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Mapping, Sequence

from netlab.errors import NetlabError
from netlab.kernel.ring import BLOCK, Frame
from netlab.trace.rings import Program, Rings, Source

SECONDS = 10.0
"""Of packets that are kept."""
SNAPLEN = 512
"""Bytes of each packet."""
BYTES = 16 << 20
"""Of packets that are kept at most, whatever their age."""
GATHER = 0.05
BLOCKS, FEW, MANY = 4, 2, 50
"""Of each interface's ring; fewer in a lab of so many nodes. The kernel ends one every 50 ms."""
IDLE = 3600.0


class Recent:
    """From its making until ``stop`` or ``close``; it hears the nodes that there are then."""

    def __init__(
        self,
        lab: str,
        identities: Mapping[str, int],
        program: Program,
        seconds: float = SECONDS,
    ) -> None:
        """Raises KernelRefused, MachineLacks."""
        self._seconds = seconds
        self._kept: deque[list[Frame]] = deque()
        self._bytes = 0
        self._wants = False
        """Whether what the kernel still holds is wanted at the end."""
        self.failure = ""
        """Why it ended before it was to."""
        blocks = BLOCKS if len(identities) < MANY else FEW
        self._rings = Rings(lab, None, program, blocks * BLOCK)
        try:
            self._rings.follow(identities)
        except BaseException:
            self._rings.close()
            raise
        self._ending, self._end = os.pipe2(os.O_CLOEXEC)
        self._rings.watch(self._ending)
        self._thread = threading.Thread(target=self._hear, name=f"packets of {lab}")
        self._thread.start()

    @property
    def sources(self) -> Sequence[Source]:
        """By their number, which frames have."""
        return self._rings.sources

    def stop(self) -> list[Frame]:
        """Packets of the last seconds, in the order of time. Nothing is heard from then on."""
        self._wants = True
        self.close()
        self._thread.join()
        frames = sorted(frame for some in self._kept for frame in some)
        first = frames[-1][0] - int(self._seconds * 1e9) if frames else 0
        return [frame for frame in frames if frame[0] >= first]

    def close(self) -> None:
        """As often as one likes. Does not wait: the kernel takes some 30 ms to let go."""
        if self._end >= 0:
            os.close(self._end)
            self._end = -1

    def _hear(self) -> None:
        try:
            while self._ending not in self._rings.wait(IDLE, GATHER):
                self._keep(self._rings.take()[0])
            if self._wants:
                self._keep(self._rings.stop())
        except (NetlabError, OSError) as failure:
            self.failure = str(failure)
        finally:
            self._rings.close()
            os.close(self._ending)

    def _keep(self, frames: list[Frame]) -> None:
        if not frames:
            return
        self._kept.append(frames)
        self._bytes += _size(frames)
        oldest = frames[-1][0] - int(self._seconds * 1e9)
        while len(self._kept) > 1 and (self._kept[0][-1][0] < oldest or self._bytes > BYTES):
            self._bytes -= _size(self._kept.popleft())


def _size(frames: Sequence[Frame]) -> int:
    return sum(len(frame[4]) for frame in frames)
