"""What nodes will hold, read off a plan: what it says, and what the kernel adds by itself.

Nothing has been learned yet: no neighbour, no MAC behind a port. What programs do is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_interface
from typing import TypeVar

from netlab.kernel.baseline import BASELINE
from netlab.kernel.holding import (
    LOOPBACK,
    NONE,
    HeldAddress,
    HeldBridge,
    HeldForwarding,
    HeldHop,
    HeldLink,
    HeldNeighbour,
    HeldPolicy,
    HeldPort,
    HeldRoute,
    HeldTables,
    HeldVxlan,
    Holding,
)
from netlab.kernel.listeners import Listener
from netlab.kernel.rules import script_of
from netlab.kernel.state import CONF4, CONF6
from netlab.resources import Inventory, Resource
from netlab.resources.base import Key
from netlab.resources.device import Device, ForwardingEntry, Port, Tun, Veth
from netlab.resources.firewall import Firewall
from netlab.resources.namespace import Namespace
from netlab.resources.network import (
    Address,
    Neighbour,
    Route,
    Routing,
    Rule,
    Sysctl,
    usual_metric,
)
from netlab.resources.process import Process
from netlab.trace.explain.state import HOST, LINK, LOCAL, MAIN, USUAL_POLICIES, NodeState, World
from netlab.trace.terrain import Terrain

R = TypeVar("R", bound=Resource)
KERNEL, STATIC = 2, 4
"""Who made a route (rtnetlink(7))."""
CONNECTED_METRIC = {4: 0, 6: 256}
FIRST_NUMBER = 2
LAST_FREE = 32765
"""The priority of the first policy rule that says none; each further one is one less."""
LEAST_IPV6_MTU = 1280
AGEING = 30000
PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "ipv6-icmp": 58, "sctp": 132}

Placed = Callable[[Key], str]
"""``file:line`` of what asks for a resource, by its key."""


def of_plan(inventory: Inventory, terrain: Terrain, place: Placed = lambda key: "") -> World:
    mine: dict[str, list[Resource]] = {spot.ns: [] for spot in terrain.spots.values()}
    for resource in inventory.values():
        for ns in _homes(resource):
            if ns in mine:
                mine[ns].append(resource)
    nodes = {}
    for name, spot in terrain.spots.items():
        node = _Node(spot.ns, mine[spot.ns])
        places = {
            prefix: where for route, prefix in node.asked_routes() if (where := place(route.key))
        }
        nodes[name] = NodeState(name, spot.role, node.holding(), places)
    return World(terrain, nodes, planned=True)


def _homes(resource: Resource) -> Iterable[str]:
    return {resource.a_ns, resource.b_ns} if isinstance(resource, Veth) else {resource.ns}


@dataclass
class _Node:
    """One node's resources, and what becomes of them."""

    ns: str
    resources: list[Resource]
    switches: dict[str, str] = field(default_factory=dict)

    def of(self, kind: type[R]) -> Iterator[R]:
        return (r for r in self.resources if isinstance(r, kind))

    def holding(self) -> Holding:
        self.switches = self._switches()
        links = tuple(self._links())
        addresses = tuple(self._addresses(links))
        routes = [*self._own_routes(links, addresses), *self._asked(addresses)]
        processes = list(self.of(Process))
        return Holding(
            links,
            addresses,
            tuple(routes),
            tuple(self._policies()),
            tuple(
                HeldNeighbour(n.device, n.to, n.mac, "permanent", n.proxy)
                for n in self.of(Neighbour)
            ),
            tuple(
                HeldForwarding(f.device, f.mac, "", False, f.remote)
                for f in self.of(ForwardingEntry)
            ),
            tuple(
                Listener(p.ready[0], "::", int(p.ready[1]), "", True)
                for p in processes
                if p.ready and p.ready[0] in ("tcp", "udp")
            ),
            bool(processes),
            self.switches,
            self._tables(),
        )

    # switches

    def _switches(self) -> dict[str, str]:
        found = dict(BASELINE)
        for namespace in self.of(Namespace):
            found |= namespace.defaults
        found |= {s.name: s.value for s in self.of(Sysctl) if not s.device}
        if "net.ipv4.conf.all.forwarding" in found:
            found["net.ipv4.ip_forward"] = found["net.ipv4.conf.all.forwarding"]
        found.setdefault("net.ipv4.conf.all.forwarding", found["net.ipv4.ip_forward"])
        return {name.replace("/", "."): value for name, value in found.items()}

    def _conf(self, family: str, device: str, names: Iterable[str]) -> dict[str, int]:
        """A device's own switches: what it is made with, what ``all`` writes over it, its own."""
        found = {}
        own = {s.name.replace("/", "."): s.value for s in self.of(Sysctl) if s.device == device}
        of_device = device.replace("/", ".")
        for name in names:
            value = _USUAL.get(name, "0")
            if device != "lo":  # it is there before anything is set for new devices
                value = self.switches.get(f"net.{family}.conf.default.{name}", value)
            if name in ("forwarding", "disable_ipv6"):
                value = self._over_all(family, name, value)
            value = own.get(f"net.{family}.conf.{of_device}.{name}", value)
            found[name] = int(value)
        return found

    def _over_all(self, family: str, name: str, value: str) -> str:
        """Of some switches ``all`` is written into every device's own."""
        every = self.switches.get(f"net.{family}.conf.all.{name}", "0")
        if family == "ipv4":
            every = self.switches["net.ipv4.ip_forward"]
        return every if int(every) else value

    # devices

    def _links(self) -> Iterator[HeldLink]:
        yield self._link("lo", 1, "", LOOPBACK, True, 65536, "00:00:00:00:00:00", True)
        ports = {p.name: p for p in self.of(Port)}
        number = FIRST_NUMBER
        for resource in sorted(self.resources, key=lambda resource: resource.stage):
            for link in self._of_resource(resource, number):
                number += 1
                port = ports.get(link.name)
                yield link._replace(port=_port(port) if port else None)

    def _of_resource(self, resource: Resource, number: int) -> Iterator[HeldLink]:
        match resource:
            case Veth():
                a = (resource.a_name, resource.a_up, resource.a_mtu, resource.a_mac)
                b = (resource.b_name, resource.b_up, resource.b_mtu, resource.b_mac)
                ends = [(resource.a_ns, a, b), (resource.b_ns, b, a)]
                here = [(own, far) for ns, own, far in ends if ns == self.ns]
                for n, ((name, up, mtu, mac), far) in enumerate(here):
                    yield self._link(
                        name, number + n, "veth", 1, up, mtu or 1500, mac, up and far[1]
                    )
            case Tun():
                kind = NONE if resource.mode == "tun" else 1
                yield self._link(
                    resource.name, number, "tun", kind, resource.up, resource.mtu or 1500,
                    resource.mac, False,
                )  # fmt: skip
            case Device():
                yield self._device(resource, number)

    def _device(self, device: Device, number: int) -> HeldLink:
        options = dict(device.options)
        mtu = device.mtu or self._usual_mtu(device)
        link = self._link(
            device.name, number, device.kind, 1, device.up, mtu, device.mac, device.up
        )
        if device.kind == "bridge":
            ageing = int(options.get("ageing_time", AGEING // 100)) * 100
            stp = bool(options.get("stp_state", False))
            return link._replace(bridge=HeldBridge(stp, ageing))
        if device.kind == "vxlan":
            return link._replace(
                vxlan=HeldVxlan(
                    int(options["id"]),
                    int(options.get("dstport", 4789)),
                    str(options.get("local", "")),
                    str(options.get("remote", "")),
                    bool(options.get("learning", True)),
                )
            )
        return link

    def _usual_mtu(self, device: Device) -> int:
        """A bridge takes the least of its ports'."""
        if device.kind != "bridge":
            return 1500
        ports = {p.name for p in self.of(Port) if p.bridge == device.name}
        some = [link.mtu for r in self.resources if not (isinstance(r, Device) and
                r.kind == "bridge") for link in self._of_resource(r, 0)
                if link.name in ports]  # fmt: skip
        return min(some, default=1500)

    def _link(
        self, name: str, number: int, kind: str, sort: int, up: bool, mtu: int, mac: str,
        carrier: bool,
    ) -> HeldLink:  # fmt: skip
        conf6 = self._conf("ipv6", name, CONF6) if mtu >= LEAST_IPV6_MTU else {}
        if conf6:
            conf6["mtu"] = mtu
        return HeldLink(
            name, number, kind, sort, up, carrier, sort != NONE, mtu, mac,
            conf4=self._conf("ipv4", name, CONF4), conf6=conf6,
        )  # fmt: skip

    # addresses, and the routes that come with them

    def _addresses(self, links: tuple[HeldLink, ...]) -> Iterator[HeldAddress]:
        subnets: set[tuple[str, str]] = set()
        order = {link.name: link.number for link in links}
        yield HeldAddress("lo", "127.0.0.1", 8, HOST)
        for address in sorted(self.of(Address), key=lambda address: order[address.device]):
            cidr = ip_interface(address.cidr)
            subnet = (address.device, str(cidr.network))
            flags = ("secondary",) if cidr.version == 4 and subnet in subnets else ()
            subnets.add(subnet)
            if cidr.version == 4:
                yield _address(address, cidr, flags)
        if _has_ipv6(links[0]):
            yield HeldAddress("lo", "::1", 128, HOST)
        for link in links:
            yield from self._ipv6_addresses(link)

    def _ipv6_addresses(self, link: HeldLink) -> Iterator[HeldAddress]:
        """Of one scope, the newest first (ipv6_link_dev_addr)."""
        if not _has_ipv6(link):
            return
        for address in reversed(list(self.of(Address))):
            cidr = ip_interface(address.cidr)
            if cidr.version == 6 and address.device == link.name:
                yield _address(address, cidr, ())
        if link.type == 1 and link.up and link.carrier:
            yield HeldAddress(link.name, str(_link_local(link.mac)), 64, LINK)

    def _own_routes(
        self, links: tuple[HeldLink, ...], addresses: tuple[HeldAddress, ...]
    ) -> Iterator[HeldRoute]:
        up = {link.name: link for link in links if link.up}
        for address in addresses:
            link = up.get(address.device)
            if link is not None:
                yield from _routes_of(address, link)
        for link in up.values():
            if link.name != "lo" and link.carrier and _has_ipv6(link):
                yield HeldRoute(
                    "ff00::/8", LOCAL, "multicast", 0, 256, (_straight(link),), protocol=KERNEL
                )

    def asked_routes(self) -> Iterator[tuple[Route | Routing, str]]:
        """Each with its prefix."""
        for route in self.of(Route):
            yield route, route.to
        for several in self.of(Routing):
            for prefix in several.routes():
                yield several, prefix

    def _asked(self, addresses: tuple[HeldAddress, ...]) -> Iterator[HeldRoute]:
        reach = [
            (ip_interface(f"{a.address}/{a.length}").network, a.device)
            for a in addresses
            if a.scope < HOST
        ]

        def hop(gateway: str, device: str, weight: int, onlink: bool) -> HeldHop:
            known = (d for net, d in reach if gateway and ip_address(gateway) in net)
            return HeldHop(gateway, device or next(known, ""), weight, onlink)

        for route in self.of(Route):
            hops = tuple(hop(*way) for way in route.hops)
            yield HeldRoute(
                route.to, route.table, route.kind, 0 if hops and hops[0].gateway else LINK,
                route.metric or usual_metric(route.to), hops, route.source, protocol=STATIC,
            )  # fmt: skip
        for several in self.of(Routing):
            for prefix, ways in several.routes().items():
                hops = tuple(hop(*way) for way in ways)
                yield HeldRoute(
                    prefix, MAIN, "unicast", 0, usual_metric(prefix), hops, protocol=STATIC
                )

    def _policies(self) -> Iterator[HeldPolicy]:
        free = {4: LAST_FREE, 6: LAST_FREE}
        for version, usual in USUAL_POLICIES.items():
            yield from (HeldPolicy(version, priority, table) for priority, table in usual)
        for rule in self.of(Rule):
            said = dict(rule.options)
            if "priority" not in said:
                said["priority"] = free[rule.family]
            free[rule.family] = min(free[rule.family], int(said["priority"]) - 1)
            yield _policy(rule.family, said)

    def _tables(self) -> HeldTables:
        spec = next((r.spec for r in self.of(Firewall)), "")
        return HeldTables(script=script_of(spec)) if spec else HeldTables()


_USUAL = {"hop_limit": "64"}


def _port(port: Port) -> HeldPort:
    said = dict(port.options)

    def on(word: str, otherwise: bool) -> bool:
        return bool(said.get(word, otherwise))

    return HeldPort(
        port.bridge, "forwarding", on("isolated", False), on("hairpin", False),
        on("learning", True), on("flood", True),
    )  # fmt: skip


def _has_ipv6(link: HeldLink | None) -> bool:
    return link is not None and bool(link.conf6) and not link.conf6["disable_ipv6"]


def _address(
    address: Address, cidr: IPv4Interface | IPv6Interface, flags: tuple[str, ...]
) -> HeldAddress:
    scope = LINK if cidr.version == 6 and cidr.ip.is_link_local else 0
    return HeldAddress(address.device, str(cidr.ip), cidr.network.prefixlen, scope, flags)


def _link_local(mac: str) -> IPv6Address:
    """Modified EUI-64 (RFC 4291, appendix A)."""
    parts = bytearray(bytes.fromhex(mac.replace(":", "")))
    parts[0] ^= 2
    low = bytes((*parts[:3], 0xFF, 0xFE, *parts[3:]))
    return IPv6Address(b"\xfe\x80" + bytes(6) + low)


def _straight(link: HeldLink) -> HeldHop:
    return HeldHop("", link.name, 1, False, False, not link.carrier)


def _routes_of(address: HeldAddress, link: HeldLink) -> Iterator[HeldRoute]:
    """What the kernel adds with an address (fib_add_ifaddr, addrconf_add_ifaddr)."""
    hops = (_straight(link),)
    own = ip_interface(f"{address.peer or address.address}/{address.length}")
    if own.version == 4:
        yield from _routes_of_ipv4(address, own, hops)
        return
    yield HeldRoute(f"{address.address}/128", LOCAL, "local", 0, 0, hops, protocol=KERNEL)
    if address.device != "lo":
        yield HeldRoute(str(own.network), MAIN, "unicast", 0, 256, hops, protocol=KERNEL)
    if link.conf6["forwarding"] and address.length < 127 and address.device != "lo":
        anycast = f"{own.network.network_address}/128"
        yield HeldRoute(anycast, LOCAL, "anycast", 0, 0, hops, protocol=KERNEL)


def _routes_of_ipv4(
    address: HeldAddress, own: IPv4Interface | IPv6Interface, hops: tuple[HeldHop, ...]
) -> Iterator[HeldRoute]:
    me = address.address
    yield HeldRoute(f"{me}/32", LOCAL, "local", HOST, 0, hops, me, protocol=KERNEL)
    if "secondary" in address.flags:
        return
    if address.device == "lo":
        yield HeldRoute(str(own.network), LOCAL, "local", HOST, 0, hops, me, protocol=KERNEL)
    elif address.length < 32 or address.peer:
        yield HeldRoute(str(own.network), MAIN, "unicast", LINK, 0, hops, me, protocol=KERNEL)
    if address.length < 31:
        last = f"{own.network.broadcast_address}/32"
        yield HeldRoute(last, LOCAL, "broadcast", LINK, 0, hops, me, protocol=KERNEL)


def _policy(version: int, said: Mapping[str, int | str | bool]) -> HeldPolicy:
    mark, _, mask = str(said.get("fwmark", "0/0")).partition("/")

    def ports(word: str) -> tuple[int, int] | None:
        low, _, high = str(said.get(word, "")).partition("-")
        return (int(low), int(high or low)) if low else None

    return HeldPolicy(
        version,
        int(said["priority"]),
        int(said.get("table", MAIN)),
        str(said.get("type", "lookup")),
        0,
        str(said.get("from", "")),
        str(said.get("to", "")),
        str(said.get("iif", "")),
        str(said.get("oif", "")),
        int(mark, 0),
        int(mask or "0xffffffff", 0),
        int(said.get("tos", 0)),
        PROTOCOLS.get(str(said.get("ipproto", "")), 0),
        ports("sport"),
        ports("dport"),
        suppress=int(said.get("suppress_prefixlength", -1)),
    )

