"""What is written on devices and namespaces: addresses, routes, rules, neighbours, sysctls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from netlab.kernel.values import NextHop, RouteKey
from netlab.resources.base import InNode, Key, OnDevice, Resource, Stage, device_key, namespace_key
from netlab.resources.device import Setting

if TYPE_CHECKING:
    from netlab.kernel.port import Kernel
    from netlab.kernel.values import Held, Table

MAIN = 254
"""The main routing table (rtnetlink(7), RT_TABLE_MAIN)."""

GONE = "it was gone"

Hop: TypeAlias = tuple[str, str, int, bool]
"""gateway, device, weight, onlink: a ``NextHop`` as the journal holds it."""


@dataclass(frozen=True)
class Address(OnDevice):
    stage: ClassVar[Stage] = Stage.ADDRESS

    cidr: str

    @property
    def key(self) -> Key:
        return ("address", self.home, self.device, self.cidr)

    @property
    def row(self) -> Key:
        """The first one is the source of what the node sends (IPv6: the last one)."""
        return (self.home, self.device, "IPv6" if ":" in self.cidr else "IPv4")

    @property
    def words(self) -> str:
        return f"address {self.cidr} dev {self.device}"

    def lost(self, there: Mapping[str, Held | None]) -> str:
        held, ip = there.get(self.home), self.cidr.partition("/")[0]
        if held is None or (self.device, ip) in held.addresses:
            return ""
        return GONE if self.device in _usable(held, ip) else ""

    def create(self, kernel: Kernel) -> None:
        kernel.add_address(self.home, self.device, self.cidr)

    def delete(self, kernel: Kernel) -> None:
        kernel.del_address(self.home, self.device, self.cidr)


@dataclass(frozen=True)
class Route(InNode):
    """One route; ``over`` are the keys of what it goes with: the addresses whose subnets reach its
    gateways, a route that does, all of the device's addresses where the last one takes it along.
    """

    stage: ClassVar[Stage] = Stage.ROUTE

    to: str
    hops: tuple[Hop, ...] = ()
    kind: str = "unicast"
    table: int = MAIN
    metric: int = 0
    source: str = ""
    over: tuple[Key, ...] = field(default=(), compare=False)

    @property
    def key(self) -> Key:
        metric = self.metric or usual_metric(self.to)
        return ("route", self.home, str(self.table), self.to, str(metric))

    @property
    def needs(self) -> tuple[Key, ...]:
        devices = tuple(device_key(self.home, d) for _, d, _, _ in self.hops if d)
        return (namespace_key(self.home), *self.over, *devices)

    @property
    def falls_with(self) -> tuple[Key, ...]:
        """Only the namespace surely takes it: deleting what went with a device is done anyway."""
        return (namespace_key(self.home),)

    @property
    def words(self) -> str:
        to = "default" if self.to in ("0.0.0.0/0", "::/0") else self.to
        parts = ["route", "" if self.kind == "unicast" else self.kind, to, hop_words(self.hops)]
        parts += ["" if self.table == MAIN else f"table {self.table}"]
        parts += ["" if not self.metric else f"metric {self.metric}"]
        parts += ["" if not self.source else f"src {self.source}"]
        return " ".join(p for p in parts if p)

    def lost(self, there: Mapping[str, Held | None]) -> str:
        found = _lacking(there.get(self.home), {self.to: self.hops}, self.table, self.metric)
        return GONE if found else ""

    def create(self, kernel: Kernel) -> None:
        self._write(kernel, replace=False)

    def delete(self, kernel: Kernel) -> None:
        hops = [NextHop(*hop) for hop in self.hops]
        kernel.del_route(self.home, self.to, self.kind, self.table, self.metric, hops)

    def follows(self, before: Route) -> bool:
        """IPv6 keeps routes of one prefix side by side, so only IPv4 replaces in one step."""
        return ":" not in self.to and before.kind == self.kind

    def update(self, kernel: Kernel, before: Route) -> None:
        self._write(kernel, replace=True)

    def changes(self, before: Resource) -> str:
        assert isinstance(before, Route)
        if before.hops == self.hops:
            return super().changes(before)
        return f"{hop_words(before.hops)} → {hop_words(self.hops)}"

    def _write(self, kernel: Kernel, *, replace: bool) -> None:
        hops = [NextHop(*hop) for hop in self.hops]
        kernel.add_route(
            self.home, self.to, hops, self.kind, self.table, self.metric, self.source, replace
        )


@dataclass(frozen=True)
class Routing(InNode):
    """The routes that ``routing: static`` computed for one node and family, by next hops."""

    stage: ClassVar[Stage] = Stage.ROUTE

    family: int
    groups: tuple[tuple[tuple[Hop, ...], tuple[str, ...]], ...]
    """``((next hops, prefixes), …)``"""
    over: tuple[Key, ...] = field(default=(), compare=False)

    @property
    def key(self) -> Key:
        return ("routing", self.home, str(self.family))

    @property
    def needs(self) -> tuple[Key, ...]:
        return (namespace_key(self.home), *self.over)

    @property
    def falls_with(self) -> tuple[Key, ...]:
        return (namespace_key(self.home),)

    @property
    def words(self) -> str:
        count = sum(len(prefixes) for _, prefixes in self.groups)
        return f"{count} static IPv{self.family} route{'s' * (count != 1)}"

    def routes(self) -> dict[str, tuple[Hop, ...]]:
        return {prefix: hops for hops, prefixes in self.groups for prefix in prefixes}

    def lost(self, there: Mapping[str, Held | None]) -> str:
        found = _lacking(there.get(self.home), self.routes())
        return f"{len(found)} {'were' if found[1:] else 'was'} gone" if found else ""

    def create(self, kernel: Kernel) -> None:
        for hops, prefixes in self.groups:
            ways = [NextHop(*hop) for hop in hops]
            for prefix in prefixes:
                kernel.add_route(self.home, prefix, ways, "unicast", MAIN, 0, "", False)

    def delete(self, kernel: Kernel) -> None:
        for prefix in self.routes():
            kernel.del_route(self.home, prefix, "unicast", MAIN, 0)

    def follows(self, before: Routing) -> bool:
        return True

    def update(self, kernel: Kernel, before: Routing) -> None:
        """Only the routes that differ; none stands twice, also where this was half done before."""
        old, new = before.routes(), self.routes()
        for prefix in {**old, **new}:
            if new.get(prefix) != old.get(prefix):
                kernel.del_route(self.home, prefix, "unicast", MAIN, 0)
        for prefix, hops in new.items():
            if old.get(prefix) != hops:
                ways = [NextHop(*hop) for hop in hops]
                kernel.add_route(self.home, prefix, ways, "unicast", MAIN, 0, "", False)

    def changes(self, before: Resource) -> str:
        assert isinstance(before, Routing)
        old, new = before.routes(), self.routes()
        added = sum(p not in old for p in new)
        gone = sum(p not in new for p in old)
        moved = sum(new[p] != old[p] for p in new.keys() & old.keys())
        return f"{added} added, {gone} removed, {moved} by another way"


@dataclass(frozen=True)
class Rule(InNode):
    """A policy rule; ``options`` by ip-rule(8)'s words: from, to, iif, oif, fwmark, tos, …"""

    stage: ClassVar[Stage] = Stage.RULE

    family: int
    options: tuple[Setting, ...]

    @property
    def key(self) -> Key:
        return ("rule", self.home, str(self.family), *(f"{k}={v}" for k, v in self.options))

    @property
    def words(self) -> str:
        usual = ("type", "lookup")
        return "rule " + " ".join(f"{k} {v}" for k, v in self.options if (k, v) != usual)

    def create(self, kernel: Kernel) -> None:
        kernel.add_rule(self.home, self.family, dict(self.options))

    def delete(self, kernel: Kernel) -> None:
        kernel.del_rule(self.home, self.family, dict(self.options))


@dataclass(frozen=True)
class Neighbour(OnDevice):
    """A permanent neighbour, or a proxy entry (an address answered for)."""

    stage: ClassVar[Stage] = Stage.ADDRESS

    to: str
    mac: str = ""
    proxy: bool = False

    @property
    def key(self) -> Key:
        return ("proxy" if self.proxy else "neighbour", self.home, self.device, self.to)

    @property
    def words(self) -> str:
        if self.proxy:
            return f"neighbour proxy {self.to} dev {self.device}"
        return f"neighbour {self.to} lladdr {self.mac} dev {self.device}"

    def create(self, kernel: Kernel) -> None:
        kernel.add_neighbour(self.home, self.device, self.to, self.mac, self.proxy)

    def delete(self, kernel: Kernel) -> None:
        kernel.del_neighbour(self.home, self.device, self.to, self.proxy)


@dataclass(frozen=True)
class Sysctl(InNode):
    """A switch under ``/proc/sys``; ``device`` names the interface it belongs to, if one.

    ``otherwise`` is what it has without this, where another switch of the node says that: when
    that one changes, the kernel writes it over this one, which is written again then.
    """

    stage: ClassVar[Stage] = Stage.SETTING

    name: str
    value: str
    device: str = ""
    otherwise: str = ""

    @property
    def key(self) -> Key:
        return ("sysctl", self.home, self.name)

    @property
    def needs(self) -> tuple[Key, ...]:
        return (device_key(self.home, self.device),) if self.device else (namespace_key(self.home),)

    @property
    def words(self) -> str:
        return f"sysctl {self.name}={self.value}"

    def create(self, kernel: Kernel) -> None:
        kernel.set_sysctl(self.home, self.name, self.value)

    def delete(self, kernel: Kernel) -> None:
        kernel.reset_sysctl(self.home, self.name, self.otherwise)

    def follows(self, before: Sysctl) -> bool:
        return before.device == self.device


MOST_ROUTES = 20_000
"""In a lab; more would take longer to look for than all else that `up` does."""


def tables(resources: Iterable[Resource]) -> dict[str, set[Table]]:
    """Where there are routes, by namespace, unless they are too many to be looked for."""
    found: dict[str, set[Table]] = {}
    count = 0
    for resource in resources:
        if isinstance(resource, Route):
            version = 6 if ":" in resource.to else 4
            found.setdefault(resource.ns, set()).add((version, resource.table))
            count += 1
        elif isinstance(resource, Routing):
            found.setdefault(resource.ns, set()).add((resource.family, MAIN))
            count += sum(len(prefixes) for _, prefixes in resource.groups)
    return found if count <= MOST_ROUTES else {}


def _lacking(
    held: Held | None, wanted: Mapping[str, tuple[Hop, ...]], table: int = MAIN, metric: int = 0
) -> list[str]:
    """The prefixes to which a route has gone, and where one could be."""
    if held is None or held.routes is None:
        return []
    return [
        to
        for to, hops in wanted.items()
        if RouteKey(to, table, metric or usual_metric(to)) not in held.routes
        and _usable(held, to).issuperset(device for _, device, _, _ in hops if device)
    ]


def _usable(held: Held, address: str) -> frozenset[str]:
    """Devices that take such addresses and routes: what somebody switched off is left so."""
    return held.up - held.without_ipv6 if ":" in address else held.up


def usual_metric(prefix: str) -> int:
    """Of a route that says none (IP6_RT_PRIO_USER)."""
    return 1024 if ":" in prefix else 0


def hop_words(hops: tuple[Hop, ...]) -> str:
    if len(hops) == 1:
        gateway, device, _, onlink = hops[0]
        words = (f"via {gateway}" if gateway else "", f"dev {device}" if device else "")
        return " ".join(w for w in (*words, "onlink" if onlink else "") if w)
    return " ".join(
        f"nexthop {f'via {gateway}' if gateway else f'dev {device}'} weight {weight}"
        for gateway, device, weight, _ in hops
    )
