"""What nodes hold, as values that can be asked: devices, addresses, routes, neighbours, rules.

There are two ways to it: ``held`` asks the kernel of a lab that is up, ``planned`` reads off a plan
what it will be. Whoever asks sees no difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from netlab.kernel.holding import (
    HeldAddress,
    HeldLink,
    HeldPolicy,
    HeldRoute,
    Holding,
)
from netlab.kernel.listeners import Listener
from netlab.model.words import IP
from netlab.trace.explain.ruleset import Ruleset, of_script, of_tables
from netlab.trace.explain.scene import Nic
from netlab.trace.terrain import Terrain

LOCAL, MAIN, DEFAULT = 255, 254, 253
UNIVERSE, LINK, HOST = 0, 253, 254
"""Scopes (rtnetlink(7))."""
USUAL_POLICIES = {4: ((0, LOCAL), (32766, MAIN), (32767, DEFAULT)), 6: ((0, LOCAL), (32766, MAIN))}


class Own(NamedTuple):
    """An address of a device."""

    ip: IP
    held: HeldAddress

    @property
    def device(self) -> str:
        return self.held.device


Table = dict[int, dict[int, list[HeldRoute]]]
"""Routes by the length of their prefix, then by its number."""


@dataclass(frozen=True)
class NodeState:
    """One node."""

    node: str
    role: str
    holding: Holding
    places: Mapping[str, str] = field(default_factory=dict)
    """Of routes, by their prefix, the line of the topology that asked for them."""

    @cached_property
    def links(self) -> Mapping[str, HeldLink]:
        return {link.name: link for link in self.holding.links}

    @cached_property
    def nics(self) -> Mapping[str, Nic]:
        """The devices as rules see them."""
        return {
            link.name: Nic(
                link.name, link.number, link.kind, link.type, link.group,
                link.port.bridge if link.port else "",
            )
            for link in self.holding.links
        }  # fmt: skip

    @cached_property
    def ruleset(self) -> Ruleset:
        numbers = {link.name: link.number for link in self.holding.links}
        tables = self.holding.tables
        if tables.script is not None:
            return of_script(tables.script, numbers)
        return of_tables(tables.trees, tables.rules, numbers)

    # addresses

    @cached_property
    def addresses(self) -> tuple[Own, ...]:
        return tuple(Own(ip_address(a.address), a) for a in self.holding.addresses)

    def of_device(self, device: str, version: int) -> Iterator[Own]:
        return (a for a in self.addresses if a.device == device and a.ip.version == version)

    def holder(self, address: IP) -> Own | None:
        return next((a for a in self.addresses if a.ip == address), None)

    # routes

    def tables(self, version: int) -> Mapping[int, Table]:
        return self._tables[version]

    @cached_property
    def _tables(self) -> Mapping[int, Mapping[int, Table]]:
        found: dict[int, dict[int, Table]] = {4: {}, 6: {}}
        for route in self.holding.routes:
            prefix = ip_network(route.prefix)
            table = found[prefix.version].setdefault(route.table, {})
            here = table.setdefault(prefix.prefixlen, {})
            here.setdefault(int(prefix.network_address), []).append(route)
        return found

    def policies(self, version: int) -> list[HeldPolicy]:
        found = (p for p in self.holding.policies if p.version == version)
        return sorted(found, key=lambda policy: policy.priority)

    def is_usual(self, version: int) -> bool:
        """Whether nobody changed the policy rules that every namespace begins with."""
        plain = tuple(
            HeldPolicy(version, priority, table) for priority, table in USUAL_POLICIES[version]
        )
        return tuple(self.policies(version)) == plain

    # switches

    def switch(self, name: str, otherwise: int = 0) -> int:
        said = self.holding.switches.get(name, "").split()
        return int(said[0]) if said and said[0].lstrip("-").isdecimal() else otherwise

    def conf(self, version: int, device: str, name: str) -> int:
        """One device's own switch."""
        link = self.links.get(device)
        found = (link.conf4 if version == 4 else link.conf6) if link else {}
        return found.get(name, 0)

    def most(self, device: str, name: str) -> int:
        """Of IPv4 switches where the higher of the device's and of ``all`` counts."""
        return max(self.conf(4, device, name), self.switch(f"net.ipv4.conf.all.{name}"))

    def forwards(self, version: int, device: str) -> bool:
        if version == 6:
            return bool(self.switch("net.ipv6.conf.all.forwarding"))
        return bool(self.conf(4, device, "forwarding"))

    # sockets

    def listener(self, protocol: str, address: IP, port: int, device: str) -> Listener | None:
        """Who takes it; raises LookupError where that is not known."""
        for one in self.holding.listeners:
            here = ip_address(one.address)
            fits = here == address or (
                here.is_unspecified and (here.version == address.version or one.both)
            )
            waits = one.protocol == protocol and one.port == port
            if waits and fits and one.device in ("", device):
                return one
        if self.holding.unheard:
            raise LookupError
        return None


@dataclass(frozen=True)
class World:
    """All nodes of a lab."""

    terrain: Terrain
    nodes: Mapping[str, NodeState]
    gaps: tuple[str, ...] = ()
    """What could not be read."""
    planned: bool = False
    """Whether it is read off a plan: nothing has been learned yet."""

    def with_listener(self, node: str, one: Listener) -> World:
        """One more waits there, behind those that did already."""
        state = self.nodes[node]
        holding = state.holding._replace(listeners=(*state.holding.listeners, one))
        return replace(self, nodes={**self.nodes, node: replace(state, holding=holding)})

    def peer(self, node: str, device: str) -> tuple[str, str]:
        """The other end of a link; ("", "") where nothing of the lab is plugged in."""
        other, far = self.terrain.peer(node, device)
        known = other in self.nodes and far in self.nodes[other].links
        return (other, far) if known else ("", "")
