"""Resources as JSON lists and back, for the journal: ``["Address", "lab.h1", "eth0", …]``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from importlib import import_module
from operator import attrgetter
from typing import Any

from netlab.resources.base import Resource

OUTLIVES, FALLS = True, False

KINDS = {
    "Namespace": ("namespace", OUTLIVES),
    "Veth": ("device", FALLS),
    "Device": ("device", FALLS),
    "Tun": ("device", FALLS),
    "Port": ("device", FALLS),
    "ForwardingEntry": ("device", FALLS),
    "Offload": ("device", FALLS),
    "Address": ("network", FALLS),
    "Neighbour": ("network", FALLS),
    "Route": ("network", FALLS),
    "Routing": ("network", FALLS),
    "Rule": ("network", FALLS),
    "Sysctl": ("network", FALLS),
    "Firewall": ("firewall", FALLS),
    "Hosts": ("entry", OUTLIVES),
    "Entry": ("entry", OUTLIVES),
    "Command": ("entry", FALLS),
    "Supervisor": ("process", OUTLIVES),
    "Process": ("process", OUTLIVES),
}
"""The module of each, and whether it outlives its namespace: `netlab down` loads no other."""

_OUTLIVING = tuple(f'["{name}",'.encode() for name, (_, outlives) in KINDS.items() if outlives)


def dump(resource: Resource) -> list[Any]:
    return [type(resource).__name__, *_values(type(resource))(resource)]


def parse(raw: list[Any]) -> Resource:
    """Raises KeyError or TypeError for what ``dump`` never wrote."""
    return _class(raw[0])(*[_frozen(v) if type(v) is list else v for v in raw[1:]])


def outlives(raw: list[Any]) -> bool:
    """Of what ``dump`` wrote, without making it; see ``Resource``. Raises as ``parse``."""
    return KINDS[raw[0]][1]


def tells_of_outliving(text: bytes) -> bool:
    """Of JSON text without blanks; in a string its marks would be escaped, and mean nothing."""
    return any(mark in text for mark in _OUTLIVING)


def _frozen(value: list[Any]) -> tuple[Any, ...]:
    return tuple([_frozen(v) if type(v) is list else v for v in value])


@cache
def _values(kind: type[Resource]) -> Callable[[Resource], tuple[Any, ...]]:
    names = [f.name for f in fields(kind)]
    get = attrgetter(*names)
    return get if len(names) > 1 else lambda resource: (get(resource),)


@cache
def _class(name: str) -> type[Resource]:
    module, _ = KINDS[name]
    found: type[Resource] = getattr(import_module(f"netlab.resources.{module}"), name)
    return found
