"""Resources as JSON lists and back, for the journal: ``["Address", "lab.h1", "eth0", …]``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from operator import attrgetter
from typing import Any

from netlab.resources import device, entry, firewall, network, process
from netlab.resources.base import Resource


def dump(resource: Resource) -> list[Any]:
    return [type(resource).__name__, *_values(type(resource))(resource)]


def parse(raw: list[Any]) -> Resource:
    """Raises KeyError or TypeError for what ``dump`` never wrote."""
    return _classes()[raw[0]](*map(_frozen, raw[1:]))


def outlives(raw: list[Any]) -> bool:
    """Of what ``dump`` wrote, without making it; see ``Resource``."""
    return _classes()[raw[0]].outlives


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


@cache
def _values(kind: type[Resource]) -> Callable[[Resource], tuple[Any, ...]]:
    names = [f.name for f in fields(kind)]
    get = attrgetter(*names)
    return get if len(names) > 1 else lambda resource: (get(resource),)


@cache
def _classes() -> dict[str, type[Resource]]:
    found = (v for m in (device, network, entry, firewall, process) for v in vars(m).values())
    return {
        c.__name__: c
        for c in found
        if isinstance(c, type) and issubclass(c, Resource) and c is not Resource
    }
