"""Open files, which are limited: how many namespaces may be held at once."""

from __future__ import annotations

import resource
from contextlib import suppress

OTHER_FILES = 48
"""Open files left to everything else."""

MOST_OPEN = 200
"""Namespaces held open at once beside the fresh ones."""

_soft_limit: list[int] = []


def raise_limit() -> None:
    """Each fresh namespace is two open files; what is started gets the limit there was."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        _soft_limit[:] = [soft]
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def restore_limit() -> None:
    """In a child, before it becomes a program: a high limit makes some of them slow."""
    if _soft_limit:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (_soft_limit[0], hard))


def most_open() -> int:
    """How many namespaces may be opened at once, beside the fresh ones and all other files."""
    return max(2, min(MOST_OPEN, room() // 3))


def most_fresh() -> int:
    """How many fresh namespaces may be held: each is two open files."""
    return max(1, (room() - most_open()) // 2)


def room() -> int:
    """Files that may be open beside ``OTHER_FILES``."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(soft, 1 << 20) - OTHER_FILES
