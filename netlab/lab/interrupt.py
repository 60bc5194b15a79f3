"""SIGINT, SIGTERM and SIGHUP as a question one asks between batches, not as an exception."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupt:
    """Whether somebody has asked to stop; true once asked, however often."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        return self.asked

    def ask(self, number: int = 0, frame: Any = None) -> None:
        self.asked = True


@contextmanager
def watched() -> Iterator[Interrupt]:
    """What was ignored before (nohup) stays ignored."""
    interrupt = Interrupt()
    before = {n: signal.getsignal(n) for n in SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, interrupt.ask)
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
