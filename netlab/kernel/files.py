"""Files of a lab in the state directory: at once or not at all."""

from __future__ import annotations

import os
from contextlib import suppress

from netlab.errors import UNWRITABLE, unwritable


def write(path: str, text: str) -> None:
    """Raises StateRefused on a full disk."""
    try:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        with os.fdopen(fd, "w", newline="") as file:
            file.write(text)
        os.replace(f"{path}.new", path)
    except OSError as problem:
        remove(f"{path}.new")
        if problem.errno not in UNWRITABLE:
            raise
        raise unwritable(path, problem) from problem


def remove(path: str) -> None:
    """Done where there is none."""
    with suppress(FileNotFoundError):
        os.unlink(path)
