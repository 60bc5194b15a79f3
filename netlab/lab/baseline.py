"""A lab that is up, as it was when it came up: between two tests that share it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol, TypeVar

from netlab.kernel import afresh
from netlab.lab.lifecycle import Wanted
from netlab.resources import Inventory
from netlab.resources.device import Device, Tun, Veth

T = TypeVar("T")


class Inside(Protocol):
    """Goes into namespaces; see ``netlab.kernel.visits.Visits``."""

    def each(self, acts: Mapping[str, Callable[[], T]]) -> dict[str, T]: ...


def switch(wanted: Wanted, inside: Inside) -> bool:
    """Devices as the topology says, on or off; whether any was not."""
    acts = {ns: partial(afresh.switch, some) for ns, some in _switched(wanted).items()}
    return any(inside.each(acts).values())


def forget(wanted: Wanted, inside: Inside) -> list[str]:
    """What was learned and counted; what the kernel cannot forget, a sentence for each node."""
    found = inside.each({f"{wanted.lab}.{node}": afresh.forget for node in wanted.nodes})
    return [f"{ns.partition('.')[2]}: {said}" for ns, some in found.items() for said in some]


def _switched(wanted: Wanted) -> dict[str, dict[str, bool]]:
    """By namespace, its devices: whether each is to be on."""
    found: dict[str, dict[str, bool]] = {}
    for ns, name, is_up in _devices(wanted.inventory):
        found.setdefault(ns, {})[name] = is_up
    return found


def _devices(inventory: Inventory) -> list[tuple[str, str, bool]]:
    found = []
    for resource in inventory.values():
        match resource:
            case Veth():
                found.append((resource.a_ns, resource.a_name, resource.a_up))
                found.append((resource.b_ns, resource.b_name, resource.b_up))
            case Device() | Tun():
                found.append((resource.home, resource.name, resource.up))
    return found
