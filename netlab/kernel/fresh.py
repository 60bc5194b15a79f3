"""Namespaces that have no name yet: made one after the other, or ahead of time by a thread.

They end with the process unless they are named.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Mapping
from contextlib import ExitStack, suppress

from netlab.kernel import baseline, identity, libc
from netlab.kernel.limits import most_fresh, raise_limit
from netlab.kernel.wire import open_socket
from netlab.kernel.worker import DEADLINE

SWITCH = 0.0002
"""Seconds until a thread that computes lets one through that has come back from the kernel."""


class Fresh:
    """A namespace that this process has made, and a socket in it."""

    def __init__(self, sysctls: Mapping[str, str] | None = None) -> None:
        """Leaves the calling thread in it. Raises OSError."""
        libc.unshare(libc.CLONE_NEWNET)
        with ExitStack() as undo:
            self.socket = undo.enter_context(open_socket())
            self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            undo.callback(os.close, self.fd)
            self.identity = identity.of_here(self.fd)
            self.sysctls = baseline.differing() if sysctls is None else sysctls
            for name, value in self.sysctls.items():
                baseline.write(name, value)
            undo.pop_all()

    def close(self) -> None:
        os.close(self.fd)
        self.socket.close()


class Stock:
    """Makes so many namespaces ahead, in a thread of its own, while others do other things."""

    def __init__(self, count: int) -> None:
        raise_limit()
        self._left = min(count, most_fresh())
        self._made: queue.SimpleQueue[Fresh | None] = queue.SimpleQueue()
        self._is_wanted = True
        self._before = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH)
        self._thread = threading.Thread(target=self._work, args=(self._left,), name="stock")
        self._thread.daemon = True
        self._thread.start()

    def take(self) -> Fresh | None:
        """The next one, as soon as it is made; None when there are no more."""
        if not self._left:
            return None
        self._left -= 1
        fresh = self._made.get()
        if fresh is None:
            self._left = 0
        return fresh

    def close(self) -> None:
        """Those that nobody took end here."""
        self._is_wanted = False
        self._thread.join(DEADLINE)
        sys.setswitchinterval(self._before)
        with suppress(queue.Empty):
            while True:
                fresh = self._made.get_nowait()
                if fresh is not None:
                    fresh.close()

    def _work(self, count: int) -> None:
        sysctls: Mapping[str, str] | None = None
        with suppress(OSError):  # whoever takes next will make one, and be told
            for _ in range(count):
                if not self._is_wanted:
                    break
                fresh = Fresh(sysctls)
                sysctls = fresh.sysctls
                self._made.put(fresh)
        self._made.put(None)
