"""Whose address it is: what the kernel tells in numbers is told in names of nodes."""

from __future__ import annotations

from collections.abc import Mapping
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

from netlab.resources import Inventory
from netlab.resources.network import Address


def owners(inventory: Inventory) -> Mapping[str, str]:
    """Address, as the kernel writes it, → node; one that several nodes hold is nobody's."""
    found: dict[str, set[str]] = {}
    for resource in inventory.values():
        if isinstance(resource, Address):
            address = _as_the_kernel(resource.cidr.partition("/")[0])
            found.setdefault(address, set()).add(resource.home.partition(".")[2])
    return {address: min(nodes) for address, nodes in found.items() if len(nodes) == 1}


def _as_the_kernel(address: str) -> str:
    family = AF_INET6 if ":" in address else AF_INET
    return inet_ntop(family, inet_pton(family, address))
