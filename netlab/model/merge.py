"""Defaults, then groups, then what is written: mappings are merged, all else is replaced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netlab.model.source import Path


class Origins:
    """Where values were written that stand somewhere else now."""

    def __init__(self) -> None:
        self._written: dict[Path, Path] = {}

    def moved(self, now: Path, written: Path) -> None:
        self._written[now] = written

    def of(self, path: Path) -> Path:
        """The place in the file: that of the nearest thing that was moved, and on from there."""
        if not self._written:
            return path
        for length in range(len(path), 0, -1):
            written = self._written.get(path[:length])
            if written is not None:
                return (*written, *path[length:])
        return path


def merged(
    layers: Sequence[tuple[dict[str, Any], Path]],
    path: Path,
    origins: Origins,
    *,
    is_inner: bool = False,
) -> dict[str, Any]:
    """Later layers win. ``path`` is where the last one stands, and the result."""
    whole: dict[str, Any] = {}
    for data, written in layers:
        if not data:
            continue
        for key, value in data.items():
            before = whole.get(key)
            if isinstance(before, dict) and isinstance(value, dict):
                # what is there already keeps the place it came from
                inner = [(before, origins.of((*path, key))), (value, (*written, key))]
                whole[key] = merged(inner, (*path, key), origins, is_inner=True)
                continue
            whole[key] = value
            if written != path or is_inner or before is not None:
                origins.moved((*path, key), (*written, key))
    return whole
