"""A computer: it sends and receives, and forwards nothing.

Example:
    h1: {kind: host, routes: [{to: default, via: 10.0.1.1}]}
"""

from __future__ import annotations

from collections.abc import Iterator

from netlab.model.site import Nic, Site
from netlab.model.topology import Node, Resolver, Route, Rule
from netlab.model.words import IP
from netlab.nodes.base import NodeKind
from netlab.resources import network
from netlab.resources.base import Key, Placed
from netlab.resources.device import Namespace, Offload, Port, Setting
from netlab.resources.entry import Command, Entry

ANYWHERE = {4: "0.0.0.0/0", 6: "::/0"}


def resources(node: Node, site: Site) -> Iterator[Placed]:
    yield site.path, Namespace(site.ns)
    for name, value in node.sysctls.items():
        yield (*site.path, "sysctls", name), network.Sysctl(site.ns, name, value)
    for nic in site.nics:
        yield from _on_interface(nic)
    for place, route in enumerate(node.routes):
        yield (*site.path, "routes", place), _route(route, site)
    for place, rule in enumerate(node.rules):
        yield from (((*site.path, "rules", place), r) for r in _rules(rule, site))
    for place, entry in enumerate(node.neighbours):
        neighbour = network.Neighbour(
            site.ns, entry.dev, str(entry.to), entry.mac or "", entry.proxy
        )
        yield (*site.path, "neighbours", place), neighbour
    yield from _entry(node, site)
    for place, line in enumerate(node.exec):
        yield (*site.path, "exec", place), Command(site.ns, place, line)


def _on_interface(nic: Nic) -> Iterator[Placed]:
    settings = nic.settings
    if nic.master:
        yield nic.origin, Port(nic.ns, nic.name, nic.master, _said(settings.bridge_port))
    for feature, on in _said(settings.offload):
        yield (*nic.origin, "offload", feature), Offload(nic.ns, nic.name, feature, bool(on))
    for name, value in settings.sysctls.items():
        full = interface_sysctl(nic.name, name)
        yield (*nic.origin, "sysctls", name), network.Sysctl(nic.ns, full, value, nic.name)
    for address in nic.addresses:
        yield nic.origin, network.Address(nic.ns, nic.name, str(address))


def interface_sysctl(device: str, name: str) -> str:
    """``ipv6.neigh.gc_stale_time`` → ``net/ipv6/neigh/DEVICE/gc_stale_time`` (sysctl(8) spelling).

    Written with slashes, since a device's name may hold a dot.
    """
    family = "ipv6" if name.startswith("ipv6.") else "ipv4"
    rest = name.removeprefix("ipv6.")
    room = "neigh" if rest.startswith("neigh.") else "conf"
    return f"net/{family}/{room}/{device}/{rest.removeprefix('neigh.')}"


def _said(settings: object) -> tuple[tuple[str, int | bool], ...]:
    return tuple((k, v) for k, v in vars(settings).items() if v is not None)


def _route(route: Route, site: Site) -> network.Route:
    hops = _hops(route, site)
    gateways = [hop[0] for hop in hops if hop[0]]
    to = ANYWHERE[6 if any(":" in g for g in gateways) else 4]
    over = {key for g in gateways for key in _reaching(g, site)}
    return network.Route(
        site.ns,
        to if route.to == "default" else str(route.to),
        hops,
        route.type,
        route.table,
        route.metric,
        str(route.source or ""),
        tuple(sorted(over | _source(route, site))),
    )


def _hops(route: Route, site: Site) -> tuple[network.Hop, ...]:
    if isinstance(route.via, tuple):
        return tuple(
            (str(h.gateway or ""), h.dev or _device(h.gateway, site), h.weight, h.onlink)
            for h in route.via
        )
    if route.via is None and route.dev is None:
        return ()
    device = route.dev or _device(route.via, site)
    return ((str(route.via or ""), device, 1, route.onlink),)


def _device(gateway: IP | None, site: Site) -> str:
    """The interface whose subnet reaches a gateway; "" lets the kernel look."""
    found = [n.name for n in site.nics for a in n.addresses if gateway and gateway in a.network]
    return found[0] if found else ""


def _reaching(gateway: str, site: Site) -> set[Key]:
    from ipaddress import ip_address

    ip = ip_address(gateway)
    return {_key(n, str(a)) for n in site.nics for a in n.addresses if ip in a.network}


def _source(route: Route, site: Site) -> set[Key]:
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
