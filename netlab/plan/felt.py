"""Which other nodes feel a step: those with an address on the segment it changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from netlab.plan.diff import Plan, Step
from netlab.resources import Inventory, Key, Resource
from netlab.resources.device import Port, Veth
from netlab.resources.network import Address


def felt(plan: Plan, current: Inventory, desired: Inventory) -> list[tuple[str, ...]]:
    """For each step, the namespaces beside its own that lose or change a neighbour."""
    segments = Segments((*current.values(), *desired.values()))
    return [segments.beside(step) for step in plan]


Device: TypeAlias = Key


class Segments:
    """Devices joined by cables and bridges, and who speaks IP on them."""

    def __init__(self, resources: tuple[Resource, ...]) -> None:
        self._above: dict[Device, Device] = {}
        for resource in resources:
            for one, other in _joins(resource):
                self._above[self._root(one)] = self._root(other)
        self._speakers: dict[Device, set[str]] = {}
        for resource in resources:
            if isinstance(resource, Address) and resource.device != "lo":
                at = self._root(("device", resource.home, resource.device))
                self._speakers.setdefault(at, set()).add(resource.home)

    def beside(self, step: Step) -> tuple[str, ...]:
        found: set[str] = set()
        own: set[str] = set()
        for resource in (step.before, step.after):
            if resource is not None:
                own.update(_own(resource))
                for device in _touched(resource):
                    found |= self._speakers.get(self._root(device), set())
        return tuple(sorted(found - own))

    def _root(self, device: Device) -> Device:
        while (above := self._above.get(device, device)) != device:
            self._above[device] = self._above.get(above, above)
            device = above
        return device


def _joins(resource: Resource) -> Iterator[tuple[Device, Device]]:
    if isinstance(resource, Veth):
        yield ("device", resource.a_ns, resource.a_name), ("device", resource.b_ns, resource.b_name)
    elif isinstance(resource, Port):
        yield ("device", resource.home, resource.name), ("device", resource.home, resource.bridge)


def _touched(resource: Resource) -> Iterator[Device]:
    yield from (key for key in resource.provides if key[0] == "device")
    if isinstance(resource, Port | Address):
        yield from (key for key in resource.needs if key[0] == "device")


def _own(resource: Resource) -> tuple[str, ...]:
    return (resource.a_ns, resource.b_ns) if isinstance(resource, Veth) else (resource.ns,)
