"""A progress bar for what takes long enough to be seen; only on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

PATIENCE = 0.5
"""Seconds before a bar is worth showing."""


@contextmanager
def progress(wanted: bool) -> Iterator[Callable[[int, int], None]]:
    """What is given tells the bar: steps done, steps in all."""
    if not (wanted and sys.stderr.isatty()):
        yield lambda done, of: None
        return
    bar = _Bar()
    try:
        yield bar.tell
    finally:
        bar.close()


class _Bar:
    """Appears late, and only then loads rich."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._live: Any = None

    def tell(self, done: int, of: int) -> None:
        if self._live is None:
            if time.monotonic() - self._start < PATIENCE or done == of:
                return
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

            columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._live = Progress(*columns, console=Console(stderr=True), transient=True)
            self._live.start()
            self._task = self._live.add_task("steps", total=of)
        self._live.update(self._task, completed=done, total=of)

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
