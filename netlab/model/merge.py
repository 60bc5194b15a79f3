"""Defaults, then groups, then what is written: mappings are merged, all else is replaced."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
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
    layers: Sequence[tuple[dict[str, Any], Path]], path: Path, origins: Origins
) -> dict[str, Any]:
    """Later layers win. Each comes with the place it was written at; ``path`` is the result's."""
    whole: dict[str, Any] = {}
    for key in dict.fromkeys(key for data, _ in layers for key in data):
        values = [(data[key], (*written, key)) for data, written in layers if key in data]
        value, written = values[-1]
        mappings = _last_mappings(values)
        whole[key] = merged(mappings, (*path, key), origins) if len(mappings) > 1 else value
        if written != (*path, key):
            origins.moved((*path, key), written)
    return whole


def _last_mappings(values: Sequence[tuple[Any, Path]]) -> list[tuple[dict[str, Any], Path]]:
    """Those that no later text, number or list replaces."""
    found = [*takewhile(lambda value: isinstance(value[0], dict), reversed(values))]
    return found[::-1]
