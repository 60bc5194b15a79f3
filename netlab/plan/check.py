"""What only shows when the blanks are filled in: next hops on no link, addresses held twice, …"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import ip_network
from typing import TypeVar

from netlab.devices import DeviceKind
from netlab.model.site import Nic, Path, Site
from netlab.model.switches import OF_THE_MACHINE, device_of_switch, spelt_switch, switch_parts
from netlab.model.topology import Node, Route, Topology
from netlab.model.words import IP, LEAST_IPV6_MTU, Cidr
from netlab.nodes.host import destination
from netlab.plan.around import Around
from netlab.plan.compile import Compiled
from netlab.plan.entry import wrong_files, wrong_names
from netlab.plan.processes import wrong_order
from netlab.plan.wiring import PLAIN, Wiring, ipv6_is_off
from netlab.resources.network import MAIN

SWITCH_PART = re.compile(r"[A-Za-z0-9_.-]+")
INTERFACE_SWITCH = re.compile(r"(ipv6\.)?(neigh\.)?[A-Za-z0-9_-]+")

HeldT = TypeVar("HeldT", IP, str)

MOST_NAMED = 8
"""How many interfaces or subnets a message lists."""


@dataclass(frozen=True)
class Finding:
    path: Path
    message: str
    hint: str = ""
    about: str = ""
    """Another node that it speaks of, or ""."""


def check(
    topology: Topology,
    compiled: Compiled,
    devices: Mapping[str, DeviceKind],
    around: Around | None = None,
) -> Iterator[Finding]:
    wiring = compiled.wiring
    for name, node in topology.nodes.items():
        site = wiring.sites[name]
        yield from _devices(node, site)
        yield from _ports(site, devices)
        yield from _alike(site, devices)
        yield from _routes(node, site)
        yield from _sysctls(node, site)
    files = wrong_files(topology, around or Around())
    for path, message, hint in (*wrong_names(topology), *files, *wrong_order(topology)):
        yield Finding(path, message, hint)
    yield from (Finding(*wrong) for wrong in compiled.untranslated)
    yield from _segments(wiring)
    for name, site in wiring.sites.items():
        yield from _interfaces(topology.nodes[name], site)
    for path, full in wiring.full:
        yield Finding(path, full.what, "write addresses, or choose a larger pool under addressing")
    for path, other, words in compiled.twice:
        yield Finding(path, f"{words} is here twice", f"the other is {_path(other)}")


# names


def _devices(node: Node, site: Site) -> Iterator[Finding]:
    names = ["lo", *(nic.name for nic in site.nics)]
    for path, dev in _named_devices(node):
        if dev not in names:
            yield _no_interface((*site.path, *path), dev, site, names)


def _named_devices(node: Node) -> Iterator[tuple[Path, str]]:
    for place, route in enumerate(node.routes):
        if route.dev:
            yield ("routes", place, "dev"), route.dev
        if isinstance(route.via, tuple):
            for number, hop in enumerate(route.via):
                if hop.dev:
                    yield ("routes", place, "via", number, "dev"), hop.dev
    for place, rule in enumerate(node.rules):
        for word in ("iif", "oif"):
            if dev := getattr(rule, word):
                yield ("rules", place, word), dev
    for place, neighbour in enumerate(node.neighbours):
        yield ("neighbours", place, "dev"), neighbour.dev


def _ports(site: Site, devices: Mapping[str, DeviceKind]) -> Iterator[Finding]:
    names = [nic.name for nic in site.nics]
    owner: dict[str, str] = {}
    for nic in site.nics:
        for place, port in enumerate(devices[nic.settings.kind].ports(nic.settings)):
            path = (*site.path, "interfaces", nic.name, "ports", place)
            if port == nic.name:
                yield Finding(path, "a bridge cannot be its own port")
            elif port == "lo":
                yield Finding(path, "lo cannot be a port of a bridge")
            elif port not in names:
                yield _no_interface(path, port, site, names)
            elif port in owner:
                yield Finding(path, f"{port} is a port of {owner[port]} already")
            owner.setdefault(port, nic.name)
    for nic in site.nics:
        yield from _port(nic, devices)


def _port(nic: Nic, devices: Mapping[str, DeviceKind]) -> Iterator[Finding]:
    if not nic.master:
        if nic.settings.bridge_port != PLAIN.bridge_port:
            path = (*nic.settings_at, "bridge_port")
            yield Finding(path, f"{nic.name} is a port of no bridge")
        return
    if (why := devices[nic.settings.kind].no_port) and nic.name != nic.master:
        yield Finding(nic.origin, f"{nic.name} cannot be a port of {nic.master}: {why}")
    if nic.addresses:
        hint = f"write {nic.addresses[0]} on {nic.master}"
        message = f"{nic.name} is a port of {nic.master}: nobody answers to its addresses"
        yield Finding(nic.address_at(nic.addresses[0]), message, hint)


def _alike(site: Site, devices: Mapping[str, DeviceKind]) -> Iterator[Finding]:
    first: dict[str, Nic] = {}
    for nic in site.nics:
        what = devices[nic.settings.kind].once(nic.settings)
        if what and first.setdefault(what, nic) is not nic:
            yield Finding(nic.origin, f"{what} is {first[what].name} of {site.name} already")


def _no_interface(path: Path, dev: str, site: Site, names: Collection[str]) -> Finding:
    close = get_close_matches(dev, names, 1)
    has = f"its interfaces: {_some(names)}"
    hint = f"did you mean {close[0]!r}?" if close else has
    return Finding(path, f"{site.name} has no interface {dev}", hint)


# routes


def _routes(node: Node, site: Site) -> Iterator[Finding]:
    direct = [ip_network(destination(r)) for r in node.routes if r.via is None and r.dev]
    down = {n.name for n in site.nics if not n.settings.up and n.name != "lo"}
    there = {str(a.network): (a, n) for n in site.nics for a in n.addresses if _has_route(n, a)}
    for place, route in enumerate(node.routes):
        path = (*site.path, "routes", place)
        yield from _route_shape(route, path)
        if route.table == MAIN and not route.metric and str(route.to) in there:
            address, nic = there[str(route.to)]
            message = f"{route.to} is there by itself, with {address} on {nic.name}"
            yield Finding((*path, "to"), message)
        for where, gateway, dev, onlink in _gateways(route, path):
            if gateway is None or onlink or any(gateway in prefix for prefix in direct):
                continue
            yield from _gateway(where, gateway, dev, site)
        if route.source and not any(a.ip == route.source for n in site.nics for a in n.addresses):
            yield Finding((*path, "source"), f"{route.source} is no address of {site.name}")
    for below, dev in _named_devices(node):
        if below[0] == "routes" and dev in down:
            where = (*site.path, *below)
            yield Finding(where, f"{dev} is switched off: the kernel takes no route over it")


def _has_route(nic: Nic, address: Cidr) -> bool:
    """Whether the kernel makes one to its subnet that no other like it may stand beside (IPv4)."""
    return nic.settings.up and address.version == 4 and address.network.prefixlen < 32



def _route_shape(route: Route, path: Path) -> Iterator[Finding]:
    goes = route.via is not None or route.dev is not None
    if route.type == "unicast" and not goes:
        yield Finding(path, "a route needs `via`, `dev` or a `type` as blackhole")
    if route.type != "unicast" and goes:
        yield Finding(path, f"a route of type {route.type} leads nowhere: no `via` and no `dev`")
    if route.onlink and route.dev is None:
        yield Finding((*path, "onlink"), "`onlink` needs `dev`")
    if isinstance(route.via, tuple) and route.dev:
        yield Finding((*path, "dev"), "with several ways, each has its own `dev`")
    if isinstance(route.via, tuple) and not route.via:
        yield Finding((*path, "via"), "an empty list of ways leads nowhere")
    if route.to == "default":
        versions = {g.version for _, g, _, _ in _gateways(route, path) if g is not None}
        if len(versions) > 1:
            yield Finding((*path, "via"), "all ways must be of one address family")
        return
    for where, gateway, _, _ in _gateways(route, path):
        if gateway is not None and route.to.version == 6 and gateway.version == 4:
            yield Finding(where, f"an IPv6 route cannot lead over the IPv4 gateway {gateway}")
    if route.source and route.source.version != route.to.version:
        yield Finding((*path, "source"), f"{route.source} is IPv{route.source.version}")


def _gateways(route: Route, path: Path) -> Iterator[tuple[Path, IP | None, str | None, bool]]:
    if isinstance(route.via, tuple):
        for number, hop in enumerate(route.via):
            yield (*path, "via", number, "gateway"), hop.gateway, hop.dev, hop.onlink
    elif route.via is not None:
        yield (*path, "via"), route.via, route.dev, route.onlink


def _gateway(path: Path, gateway: IP, dev: str | None, site: Site) -> Iterator[Finding]:
    nics = [n for n in site.nics if dev in (None, n.name)]
    subnets = [a for n in nics for a in n.addresses if a.version == gateway.version]
    if gateway.version == 6 and gateway.is_link_local:
        if dev is None:
            yield Finding(path, f"{gateway} is link-local: `dev` must say on which link")
        return
    if any(a.ip == gateway for n in site.nics for a in n.addresses):
        yield Finding(path, f"{gateway} is an address of {site.name} itself")
        return
    reaching = [(n, a) for n in nics for a in n.addresses if gateway in a.network]
    if reaching and dev is None and not any(n.settings.up for n, _ in reaching):
        name = reaching[0][0].name
        yield Finding(path, f"{gateway} is on {name}, which is switched off (`up: false`)")
    elif what := next((w for _, a in reaching if (w := _of_subnet(gateway, a))), ""):
        yield Finding(path, f"{gateway} is {what}")
    elif not reaching:
        on = f"not on {dev}" if dev else f"on no link of {site.name}"
        links = _some(str(a.network) for a in subnets) or f"none with IPv{gateway.version}"
        yield Finding(path, f"{gateway} is {on} (its links: {links})")


def _of_subnet(ip: IP, address: Cidr) -> str:
    """What an address is that no computer of its subnet can have; "" for all others."""
    subnet = address.network
    if subnet.version == 6 or subnet.prefixlen > 30:
        return ""
    if ip == subnet.network_address:
        return f"the address of the subnet {subnet} itself"
    return f"the broadcast address of {subnet}" if ip == subnet.broadcast_address else ""


# what is written on interfaces


def _sysctls(node: Node, site: Site) -> Iterator[Finding]:
    names = ["lo", *(nic.name for nic in site.nics)]
    for name in node.sysctls:
        path = (*site.path, "sysctls", name)
        device = device_of_switch(name)
        if not _is_switch(name):
            yield Finding(
                path,
                f"{name} is no switch of a network namespace",
                "those begin with `net.`; all others are the whole machine's",
            )
        elif spelt_switch(name) in OF_THE_MACHINE:
            yield Finding(path, f"{name} is the machine's own; no other namespace can set it")
        elif switch_parts(name)[2:4] == ("neigh", "default"):
            hint = "write `neigh.…` under the `sysctls` of an interface"
            yield Finding(path, f"{name} is the machine's own; no other namespace has it", hint)
        elif device and device not in names:
            yield _no_interface(path, device, site, names)
    for nic in site.nics:
        for name in nic.settings.sysctls:
            if not INTERFACE_SWITCH.fullmatch(name):
                path = (*nic.settings_at, "sysctls", name)
                hint = "as `rp_filter`, `ipv6.accept_ra` or `neigh.base_reachable_time_ms`"
                yield Finding(path, f"{name} is no switch of an interface", hint)


def _is_switch(name: str) -> bool:
    parts = switch_parts(spelt_switch(name))
    well_spelt = all(SWITCH_PART.fullmatch(part) and part not in (".", "..") for part in parts)
    return well_spelt and parts[0] == "net" and len(parts) > 2


def _interfaces(node: Node, site: Site) -> Iterator[Finding]:
    held: dict[object, Nic] = {}
    for nic in site.nics:
        if nic.name == "lo":
            yield from _loopback(nic)
        for address in nic.addresses:
            ip = address.ip
            other = held.setdefault(ip, nic)
            for words in _address(address, ip, nic, node, other):
                yield Finding(nic.address_at(address), *words)


def _address(
    address: Cidr, ip: IP, nic: Nic, node: Node, other: Nic
) -> Iterator[tuple[str] | tuple[str, str]]:
    """What is wrong with it on that interface; ``other`` is the first of the node that has it."""
    if address.version == 6 and 0 < nic.mtu < LEAST_IPV6_MTU:
        yield (f"IPv6 needs an mtu of {LEAST_IPV6_MTU} at least ({address})",)
    if address.version == 6 and ipv6_is_off(nic, node):
        yield (f"IPv6 is switched off on {nic.name} (disable_ipv6)",)
    if ip.is_multicast or ip.is_unspecified:
        yield (f"{ip} cannot be an interface's address",)
    elif what := _of_subnet(ip, address):
        first = f"{address.network[1]}/{address.network.prefixlen}"
        yield f"{ip} is {what}", f"the first one in it is {first}"
    if ip.is_loopback and nic.name != "lo":
        yield (f"{ip} belongs to lo",)
    is_told = ip.is_link_local or nic.master or other.master
    if other is not nic and not is_told:
        yield (f"{ip} is on {other.name} of {nic.node} already",)


def _loopback(nic: Nic) -> Iterator[Finding]:
    settings = nic.settings
    for key, is_said in (
        ("mtu", settings.mtu is not None),
        ("mac", settings.mac is not None),
        ("up", not settings.up),
    ):
        if is_said:
            yield Finding((*nic.settings_at, key), f"lo is as the kernel makes it: no `{key}`")
    for address in nic.addresses:
        if str(address.ip) in ("127.0.0.1", "::1"):
            yield Finding(nic.address_at(address), f"{address.ip} is on lo by itself")


def _segments(wiring: Wiring) -> Iterator[Finding]:
    """One address or one MAC twice where both are heard."""
    for members in (*wiring.segments, *wiring.ends):
        macs = ((nic, nic.mac) for nic in members if nic.mac)
        for nic, mac, other in _twice(macs):
            where = (*nic.settings_at, "mac")
            yield Finding(where, f"MAC {mac} is {other.node}:{other.name}'s already")
    for members in wiring.segments:
        held = ((nic, address.ip) for nic in members for address in nic.addresses)
        for nic, ip, other in _twice(held):
            where = nic.address_at(next(a for a in nic.addresses if a.ip == ip))
            yield Finding(where, f"address {ip} is {other.node}:{other.name}'s already")


def _twice(held: Iterable[tuple[Nic, HeldT]]) -> Iterator[tuple[Nic, HeldT, Nic]]:
    """What an interface holds that one of another node has before it."""
    first: dict[HeldT, Nic] = {}
    for nic, value in held:
        other = first.setdefault(value, nic)
        if other is not nic and other.node != nic.node:
            yield nic, value, other


def _some(words: Iterable[str]) -> str:
    found = list(dict.fromkeys(words))
    more = f", … {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return ", ".join(found[:MOST_NAMED]) + more


def _path(path: Path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
