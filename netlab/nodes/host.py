"""A computer: it sends and receives, and forwards nothing.

Example:
    h1: {kind: host, routes: [{to: default, via: 10.0.1.1}]}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_network
from types import MappingProxyType
from typing import NamedTuple

from netlab.model.site import Nic, Path, Site
from netlab.model.switches import (
    device_of_switch,
    for_all,
    for_new,
    is_for_new_devices,
    spelt_switch,
    switch_of,
)
from netlab.model.topology import Hop, Node, Resolver, Route, Rule
from netlab.model.words import IP, Cidr, Prefix
from netlab.nodes.base import NodeKind
from netlab.resources import network
from netlab.resources.base import Key, Placed
from netlab.resources.device import Offload, Port, Setting
from netlab.resources.entry import Command, Entry
from netlab.resources.namespace import Namespace

ANYWHERE = {4: "0.0.0.0/0", 6: "::/0"}

OFF_AT_FIRST = {("veth", "gro")}
"""Offloads that a kind of device starts without (ethtool -k); all others it starts with."""


def resources(
    node: Node, site: Site, usual: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Placed]:
    """``usual``: switches that are set unless the node's own settings say otherwise."""
    switches = list(_switches(node, site, {**usual, **_secondaries(site.nics)}))
    said = {name: value for _, name, value in switches}
    defaults = _defaults(said)
    yield site.path, Namespace(site.ns, tuple(defaults.items()))
    for path, name, value in sorted(switches, key=lambda switch: bool(device_of_switch(switch[1]))):
        if name not in defaults:
            yield path, _switch(site.ns, name, value, said)
    for nic in site.nics:
        yield from _on_interface(nic, said)
    for place, route in _routes(node, site):
        yield (*site.path, "routes", place), route
    for place, rule in enumerate(node.rules):
        yield from (((*site.path, "rules", place), r) for r in _rules(rule, site))
    for place, entry in enumerate(node.neighbours):
        neighbour = network.Neighbour(
            site.ns, entry.dev, str(entry.to), entry.mac or "", entry.proxy
        )
        yield (*site.path, "neighbours", place), neighbour
    yield from _entry(node, site)
    for place, line in enumerate(node.exec):
        nth = node.exec[:place].count(line)
        yield (*site.path, "exec", place), Command(site.ns, nth, line)


def _secondaries(nics: Sequence[Nic]) -> dict[str, str]:
    """Where several addresses share a subnet: without the first, Linux takes the others too."""
    for nic in nics:
        subnets = [a.network for a in nic.addresses if a.version == 4]
        if len(set(subnets)) < len(subnets):
            return {"net.ipv4.conf.all.promote_secondaries": "1"}
    return {}


def _switches(
    node: Node, site: Site, usual: Mapping[str, str]
) -> Iterator[tuple[Path, str, str]]:
    own = {name: spelt_switch(name) for name in node.sysctls}
    said = set(own.values())
    yield from ((site.path, name, value) for name, value in usual.items() if name not in said)
    for name, value in node.sysctls.items():
        yield (*site.path, "sysctls", name), own[name], value


def _defaults(said: Mapping[str, str]) -> dict[str, str]:
    """What new devices start from, and then what the kernel writes over it."""
    own = {name: value for name, value in said.items() if is_for_new_devices(name)}
    over = {name: said[name] for one in own for name in for_all(one) if name in said}
    return own | over


def _switch(ns: str, name: str, value: str, said: Mapping[str, str]) -> network.Sysctl:
    device = device_of_switch(name)
    above = (*for_all(name), for_new(name)) if device else ()
    otherwise = next((said[one] for one in above if one in said), "")
    return network.Sysctl(ns, name, value, device, otherwise)


def _on_interface(nic: Nic, switches: Mapping[str, str]) -> Iterator[Placed]:
    settings = nic.settings
    if nic.master:
        said = _said(settings.bridge_port)
        path = (*nic.settings_at, "bridge_port") if said else nic.origin
        yield path, Port(nic.ns, nic.name, nic.master, said)
    for feature, on in _said(settings.offload):
        at_first = (settings.kind, feature) not in OFF_AT_FIRST
        path = (*nic.settings_at, "offload", feature)
        yield path, Offload(nic.ns, nic.name, feature, bool(on), at_first)
    for name, value in settings.sysctls.items():
        full = interface_sysctl(nic.name, name)
        yield (*nic.settings_at, "sysctls", name), _switch(nic.ns, full, value, switches)
    for address in nic.addresses:
        yield nic.address_at(address), network.Address(nic.ns, nic.name, str(address))


def interface_sysctl(device: str, name: str) -> str:
    """``ipv6.neigh.gc_stale_time`` → ``net.ipv6.neigh.DEVICE.gc_stale_time``."""
    family = "ipv6" if name.startswith("ipv6.") else "ipv4"
    rest = name.removeprefix("ipv6.")
    room = "neigh" if rest.startswith("neigh.") else "conf"
    parts = ("net", family, room, device, rest.removeprefix("neigh."))
    return switch_of(parts)


def _said(settings: object) -> tuple[tuple[str, int | bool], ...]:
    return tuple((k, v) for k, v in vars(settings).items() if v is not None)


class _Reach(NamedTuple):
    """What reaches gateways: an address's subnet, or a route straight to a device."""

    subnet: Prefix
    device: str
    key: Key
    table: int = network.MAIN


def _routes(node: Node, site: Site) -> Iterator[tuple[int, network.Route]]:
    """What leads straight to a device comes first: others' gateways may be reached by it."""
    if not node.routes:
        return
    reaches = [_Reach(a.network, n.name, _key(n, str(a))) for n in site.nics for a in n.addresses]
    placed = sorted(enumerate(node.routes), key=lambda found: found[1].via is not None)
    for place, route in placed:
        made = _route(route, site, reaches)
        if route.via is None and route.dev:
            reaches.append(_Reach(ip_network(made.to), route.dev, made.key, route.table))
        yield place, made


def _route(route: Route, site: Site, reaches: Sequence[_Reach]) -> network.Route:
    to = destination(route)
    hops, over = [], _source(route, site)
    for hop in _ways(route):
        found = _reaching(hop.gateway, route.table, reaches) if hop.gateway else []
        device = hop.dev or (found[0].device if found else "")
        hops.append((str(hop.gateway or ""), device, hop.weight, hop.onlink))
        keys = {reach.key for reach in found if reach.device == device}
        over |= keys
        if ":" not in to and not any(key[0] == "address" for key in keys):
            # with a device's last IPv4 address all IPv4 routes over it go (fib_disable_ip)
            over |= {_key(n, str(a)) for n in site.nics if n.name == device for a in _ipv4(n)}
    return network.Route(
        site.ns,
        to,
        tuple(hops),
        route.type,
        route.table,
        route.metric,
        str(route.source or ""),
        tuple(sorted(over)),
    )


def _reaching(gateway: IP, table: int, reaches: Sequence[_Reach]) -> list[_Reach]:
    """The narrowest first, as the kernel chooses."""
    tables = (table, network.MAIN)
    found = [r for r in reaches if r.table in tables and gateway in r.subnet]
    return sorted(found, key=lambda r: -r.subnet.prefixlen)


def destination(route: Route) -> str:
    """As a prefix: which ``default`` is meant, its gateways tell."""
    if route.to != "default":
        return str(route.to)
    ways = [hop.gateway for hop in route.via] if isinstance(route.via, tuple) else [route.via]
    is_six = any(ip is not None and ip.version == 6 for ip in (*ways, route.source))
    return ANYWHERE[6 if is_six else 4]


def _ways(route: Route) -> tuple[Hop, ...]:
    if isinstance(route.via, tuple):
        return route.via
    if route.via is None and route.dev is None:
        return ()
    return (Hop(gateway=route.via, dev=route.dev, onlink=route.onlink),)


def _ipv4(nic: Nic) -> Iterator[Cidr]:
    return (a for a in nic.addresses if a.version == 4)


def _source(route: Route, site: Site) -> set[Key]:
    if route.source is None:
        return set()
    return {_key(n, str(a)) for n in site.nics for a in n.addresses if a.ip == route.source}


def _key(nic: Nic, cidr: str) -> Key:
    return network.Address(nic.ns, nic.name, cidr).key


def _rules(rule: Rule, site: Site) -> Iterator[network.Rule]:
    """One for each family the rule speaks of: an address tells it, else both."""
    versions = {p.version for p in (rule.from_, rule.to) if p is not None and p != "all"}
    for family in sorted({rule.family} if rule.family else versions or {4, 6}):
        yield network.Rule(site.ns, family, tuple(_rule_words(rule)))


def _rule_words(rule: Rule) -> Iterator[Setting]:
    values = {"from": rule.from_, **{k: v for k, v in vars(rule).items() if k != "from_"}}
    for word, value in values.items():
        if value is None or word == "family" or (word, value) in (("from", "all"), ("to", "all")):
            continue
        yield word, value if isinstance(value, int | str) else str(value)


def _entry(node: Node, site: Site) -> Iterator[Placed]:
    entry = Entry(
        site.ns,
        node.hosts,
        _resolver_text(node.resolv_conf),
        tuple(node.env.items()),
        tuple((path, f.text, f.mode) for path, f in node.files.items()),
    )
    if entry != Entry(site.ns):
        yield site.path, entry


def _resolver_text(resolver: Resolver) -> str:
    """resolv.conf(5)."""
    lines = [f"nameserver {server}" for server in resolver.nameservers]
    lines += [f"search {' '.join(resolver.search)}"] if resolver.search else []
    lines += [f"options {' '.join(resolver.options)}"] if resolver.options else []
    return "".join(f"{line}\n" for line in lines)


kind = NodeKind(settings=Node, resources=resources)
