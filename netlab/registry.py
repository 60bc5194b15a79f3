"""Find the one value that each file of a package offers."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pkgutil import iter_modules
from typing import TypeVar

T = TypeVar("T")


def discover(package: str, path: Iterable[str], attribute: str, kind: type[T]) -> dict[str, T]:
    """``{file name: its attribute}``, for the files of ``package`` that have one."""
    found = {}
    for module in sorted(m.name for m in iter_modules(path)):
        value = getattr(import_module(f"{package}.{module}"), attribute, None)
        if isinstance(value, kind):
            found[module] = value
    return found
