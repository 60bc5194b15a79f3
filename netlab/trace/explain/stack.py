"""The network stack of one node, as packets pass it: what stands where, and what decides.

A *gate* is a hook of netfilter; a *stop* is what a packet meets there: a chain, connection
tracking, NAT. Pure: it is all read off the state of the node.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Literal

from netlab.kernel.holding import LOOPBACK, HeldLink, HeldRoute
from netlab.kernel.state import SWITCHES
from netlab.trace.explain.hooks import FIRST, LAST, TRACKING, TRANSLATES
from netlab.trace.explain.route import NAMES, policy_words
from netlab.trace.explain.ruleset import FAMILIES, Chain, Ruleset
from netlab.trace.explain.state import LOCAL, MAIN, USUAL_POLICIES, NodeState
from netlab.trace.terrain import Terrain

DEFRAGMENTATION, CONFIRMATION = -400, (1 << 31) - 1
"""Priorities (linux/netfilter_ipv4.h)."""
GATES = (
    ("netdev", "ingress"),
    *(("bridge", h) for h in ("prerouting", "input", "forward", "output", "postrouting")),
    *(("arp", h) for h in ("input", "output")),
    *(("ip", h) for h in ("prerouting", "input", "forward", "output", "postrouting")),
    ("netdev", "egress"),
)
"""All that there are, as a packet comes by; those of which nothing is at stay out."""
OF_DEVICES = (
    "rp_filter", "accept_local", "route_localnet", "src_valid_mark", "bc_forwarding",
    "ignore_routes_with_linkdown", "proxy_arp", "arp_ignore", "arp_filter", "arp_announce",
)  # fmt: skip
"""IPv4 switches of which the higher of the device's and of ``all`` counts."""
USUAL = {
    "net.ipv4.ip_default_ttl": "64",
    "net.ipv4.ip_local_port_range": "32768\t60999",
    "net.netfilter.nf_conntrack_tcp_loose": "1",
}
"""Of the switches that are not 0 where nobody has set them."""
FORWARDING = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}
OF_NODES = {n for n in SWITCHES if ".conf." not in n} - set(FORWARDING.values())
"""A file may set others: they decide nothing about packets."""

What = Literal["chain", "nat", "tracking", "defragmentation", "confirmation"]


@dataclass(frozen=True)
class Nic:
    """A device."""

    name: str
    kind: str
    state: str
    """``up``, ``down``, ``no carrier``."""
    mtu: int
    mac: str
    addresses: tuple[str, ...] = ()
    """With prefix lengths, and what else is to be said of them in parentheses."""
    peer: str = ""
    """The other end of its link: ``NODE:INTERFACE``."""
    bridge: str = ""
    """The bridge that it is a port of."""
    notes: tuple[str, ...] = ()
    """What is unusual about it as a port, where a tunnel leads to."""


@dataclass(frozen=True)
class Bridge:
    name: str
    ports: tuple[str, ...]
    stp: bool
    vlan_filtering: bool
    known: int
    """MACs that are known to be behind ports."""


@dataclass(frozen=True)
class Stop:
    """What a packet meets at a gate."""

    priority: int
    """As declared; a chain of NAT is asked at that of NAT, whatever its own is."""
    what: What
    versions: tuple[int, ...] = ()
    """Of IP: those that it is for."""
    family: str = ""
    table: str = ""
    chain: str = ""
    type: str = ""
    """``filter``, ``nat``, ``route``."""
    policy: str = ""
    rules: int = 0
    devices: tuple[str, ...] = ()
    place: str = ""
    """``file:line`` of its first rule; of a chain without rules only before it is up."""


@dataclass(frozen=True)
class Gate:
    layer: str
    """``netdev``, ``bridge``, ``arp``, ``ip``."""
    hook: str
    stops: tuple[Stop, ...]
    """In the order in which a packet meets them."""


@dataclass(frozen=True)
class Way:
    """A next hop."""

    via: str
    device: str
    weight: int
    dead: bool
    """Its device is down."""


@dataclass(frozen=True)
class Route:
    to: str
    type: str
    ways: tuple[Way, ...]
    metric: int
    source: str
    mtu: int
    place: str


@dataclass(frozen=True)
class Table:
    """Routes of one table and IP version; what the kernel adds for every address stays out."""

    version: int
    name: str
    routes: tuple[Route, ...]


@dataclass(frozen=True)
class Neighbour:
    """An entry that somebody wrote."""

    address: str
    device: str
    mac: str
    proxy: bool


@dataclass(frozen=True)
class Socket:
    """One that waits for anybody."""

    protocol: str
    address: str
    port: int
    device: str


@dataclass(frozen=True)
class Stack:
    lab: str
    node: str
    kind: str
    """``host``, ``router``, ``switch`` …"""
    planned: bool
    """Whether it is read off a file, and not asked of the kernel."""
    forwards: tuple[int, ...]
    """The IP versions that it forwards."""
    uses_ip: bool
    """Whether it takes part in IP: a switch without addresses only switches."""
    nics: tuple[Nic, ...]
    bridges: tuple[Bridge, ...]
    gates: tuple[Gate, ...]
    rules: tuple[str, ...]
    """Of policy routing, in ip-rule(8)'s words, where they are not the usual ones."""
    tables: tuple[Table, ...]
    neighbours: tuple[Neighbour, ...]
    switches: Mapping[str, str]
    """Those of forwarding, and others that decide and are not as usual, by full name."""
    sockets: tuple[Socket, ...]
    unheard: bool
    """Whether programs may open more sockets, of which nothing is known."""
    gaps: tuple[str, ...] = field(default=())

    def gate(self, layer: str, hook: str) -> Gate | None:
        return next((g for g in self.gates if (g.layer, g.hook) == (layer, hook)), None)


def stack_of(state: NodeState, terrain: Terrain, *, planned: bool = False) -> Stack:
    links = [link for link in state.holding.links if link.type != LOOPBACK]
    forwards = tuple(v for v, name in FORWARDING.items() if state.switch(name))
    return Stack(
        terrain.lab,
        state.node,
        state.role,
        planned,
        forwards,
        bool(forwards) or any(_own(state)),
        tuple(_nic(state, link, terrain) for link in _with_lo(state, links)),
        tuple(_bridge(state, link) for link in links if link.bridge),
        tuple(_gates(state.ruleset)),
        tuple(_rules(state)),
        tuple(_tables(state)),
        tuple(_neighbours(state)),
        dict(_switches(state, links)),
        tuple(_sockets(state)),
        state.holding.unheard,
        state.ruleset.gaps,
    )


# devices


def _own(state: NodeState) -> Iterator[str]:
    """The addresses that somebody gave it."""
    links = {link.name: link for link in state.holding.links}
    for own in state.addresses:
        lo = links[own.device].type == LOOPBACK if own.device in links else False
        if not own.ip.is_link_local and not (lo and own.ip.is_loopback):
            yield str(own.ip)


def _with_lo(state: NodeState, links: Iterable[HeldLink]) -> list[HeldLink]:
    """lo only where it has more than everybody's."""
    more = [a for a in state.addresses if not a.ip.is_loopback]
    named = {a.device for a in more}
    lo = [k for k in state.holding.links if k.type == LOOPBACK and k.name in named]
    return [*lo, *links]


def _nic(state: NodeState, link: HeldLink, terrain: Terrain) -> Nic:
    alive = "up" if link.carrier else "no carrier"
    node, device = terrain.peer(state.node, link.name)
    return Nic(
        link.name,
        link.kind or "loopback",
        alive if link.up else "down",
        link.mtu,
        link.mac,
        tuple(_addresses(state, link.name)),
        f"{node}:{device}" if node else "",
        link.port.bridge if link.port else "",
        tuple(_notes(link)),
    )


def _addresses(state: NodeState, device: str) -> Iterator[str]:
    for own in state.addresses:
        if own.device == device:
            flags = [f for f in own.held.flags if f != "secondary"]
            said = f" ({', '.join(flags)})" if flags else ""
            peer = f" peer {own.held.peer}" if own.held.peer else ""
            yield f"{own.ip}{peer}/{own.held.length}{said}"


def _notes(link: HeldLink) -> Iterator[str]:
    port, tunnel = link.port, link.vxlan
    if port is not None:
        if port.state != "forwarding":
            yield port.state
        unusual = (
            (port.isolated, "isolated"), (port.hairpin, "hairpin"),
            (not port.learning, "learns nothing"), (not port.flood, "not flooded to"),
        )  # fmt: skip
        yield from (word for holds, word in unusual if holds)
    if tunnel is not None:
        to = f" to {tunnel.remote}" if tunnel.remote else ""
        yield f"vni {tunnel.id}{to}, udp {tunnel.port}"


def _bridge(state: NodeState, link: HeldLink) -> Bridge:
    held = state.holding
    ports = tuple(p.name for p in held.links if p.port and p.port.bridge == link.name)
    known = {f.mac for f in held.forwarding if f.bridge == link.name and not f.local}
    assert link.bridge is not None
    return Bridge(link.name, ports, link.bridge.stp, link.bridge.vlan_filtering, len(known))


# gates


def _gates(rules: Ruleset) -> Iterator[Gate]:
    for layer, hook in GATES:
        chains = [(_at(chain), _stop(chain)) for chain in _chains(rules, layer, hook)]
        others = _tracking(rules, hook, chains) if layer == "ip" else ()
        stops = sorted([*chains, *others], key=lambda entry: entry[0])
        if stops:
            yield Gate(layer, hook, tuple(stop for _, stop in stops))


def _chains(rules: Ruleset, layer: str, hook: str) -> list[Chain]:
    """Of one priority the newest first, as the kernel asks them."""
    families = FAMILIES[layer][4] | FAMILIES[layer][6]
    return [
        chain
        for table in reversed(rules.tables)
        if table.family in families and not table.dormant
        for chain in reversed(table.chains.values())
        if chain.hook == hook
    ]


def _at(chain: Chain) -> tuple[int, int]:
    """When it is asked: chains of NAT at NAT's turn."""
    turn = TRANSLATES[chain.hook][0] if chain.type == "nat" else chain.priority
    return turn, chain.priority


def _stop(chain: Chain) -> Stop:
    place = next((rule.place for rule in chain.rules if rule.place), chain.place)
    return Stop(
        chain.priority, "chain", _versions(chain.family), chain.family, chain.table, chain.name,
        chain.type, chain.policy, len(chain.rules), chain.devices, place,
    )  # fmt: skip


def _versions(family: str) -> tuple[int, ...]:
    return tuple(v for v, families in FAMILIES["ip"].items() if family in families)


def _tracking(
    rules: Ruleset, hook: str, chains: Iterable[tuple[tuple[int, int], Stop]]
) -> Iterator[tuple[tuple[int, int], Stop]]:
    """What the kernel puts there by itself, once rules ask for tracking or NAT."""
    tracked = tuple(v for v in (4, 6) if rules.tracks(v))
    turns: list[tuple[int, What, tuple[int, ...]]] = []
    if hook in FIRST:
        turns += [(DEFRAGMENTATION, "defragmentation", tracked), (TRACKING, "tracking", tracked)]
    if hook in TRANSLATES:
        there = {v for _, stop in chains if stop.type == "nat" for v in stop.versions}
        bare = tuple(v for v in tracked if rules.translates(v) and v not in there)
        turns.append((TRANSLATES[hook][0], "nat", bare))
    if hook in LAST:
        turns.append((CONFIRMATION, "confirmation", tracked))
    for priority, what, versions in turns:
        if versions:
            yield (priority, priority), Stop(priority, what, versions)


# routing


def _rules(state: NodeState) -> Iterator[str]:
    for version in (4, 6):
        if not state.is_usual(version):
            usual = USUAL_POLICIES[version]
            policies = state.policies(version)
            family = "" if version == 4 else "-6 "
            yield from (
                f"{family}{policy_words(p)}"
                for p in policies
                if version == 4 or (p.priority, p.table) not in usual
            )


def _tables(state: NodeState) -> Iterator[Table]:
    """The main one first; in each, the default first."""
    for version in (4, 6):
        tables = state.tables(version)
        for number in sorted(tables, key=lambda number: (number != MAIN, number)):
            every = (r for of_length in tables[number].values() for r in of_length.values())
            routes = sorted((r for some in every for r in some if _is_told(r)), key=_order)
            if routes and number != LOCAL:
                name = NAMES.get(number, str(number))
                yield Table(version, name, tuple(_route(state, route) for route in routes))


def _order(route: HeldRoute) -> tuple[int, int, int]:
    network = ip_network(route.prefix)
    return network.prefixlen, int(network.network_address), route.metric


def _is_told(route: HeldRoute) -> bool:
    """Not those that every device with IPv6 has."""
    network = ip_network(route.prefix)
    return not network.network_address.is_multicast and not (
        network.version == 6 and network.is_link_local
    )


def _route(state: NodeState, route: HeldRoute) -> Route:
    ways = tuple(Way(h.gateway, h.device, h.weight, h.dead) for h in route.hops)
    return Route(
        "default" if route.prefix in ("0.0.0.0/0", "::/0") else route.prefix,
        route.type,
        ways if route.type == "unicast" else (),
        route.metric,
        route.source,
        route.mtu,
        state.places.get(route.prefix, ""),
    )


def _neighbours(state: NodeState) -> Iterator[Neighbour]:
    for held in state.holding.neighbours:
        if held.proxy or (held.state == "permanent" and not ip_address(held.address).is_multicast):
            yield Neighbour(held.address, held.device, held.mac, held.proxy)


def _switches(state: NodeState, links: Iterable[HeldLink]) -> Iterator[tuple[str, str]]:
    held = state.holding.switches
    used = {own.device for own in state.addresses}
    for name in FORWARDING.values():
        yield name, held.get(name, "0")
    for link in links:
        for name in OF_DEVICES:
            if value := state.most(link.name, name):
                yield f"net.ipv4.conf.{link.name}.{name}", str(value)
        whole = state.switch(FORWARDING[4])
        if link.conf4 and state.conf(4, link.name, "forwarding") != whole:
            yield f"net.ipv4.conf.{link.name}.forwarding", str(int(not whole))
        for name in ("proxy_ndp", "disable_ipv6"):
            if (value := state.conf(6, link.name, name)) and link.name in used:
                yield f"net.ipv6.conf.{link.name}.{name}", str(value)
    for name, said in held.items():
        if name in OF_NODES and said != USUAL.get(name, "0") and _concerns(state, name):
            yield name, said


def _concerns(state: NodeState, name: str) -> bool:
    """Whether the node has what a switch is about."""
    if "bridge" in name:
        return any(link.bridge for link in state.holding.links)
    return "conntrack" not in name or any(map(state.ruleset.tracks, (4, 6)))


def _sockets(state: NodeState) -> Iterator[Socket]:
    for one in sorted(state.holding.listeners, key=lambda s: (s.protocol, s.port, s.address)):
        address = "*" if one.both and ip_address(one.address).is_unspecified else one.address
        yield Socket(one.protocol, address, one.port, one.device)
