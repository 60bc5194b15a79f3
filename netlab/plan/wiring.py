"""Fill in what the file leaves open: names of interfaces, bridges' ports, MACs, addresses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2s
from typing import TypeAlias

from netlab.devices import DeviceKind
from netlab.model.site import Nic, Path, Site
from netlab.model.switches import spelt_switch, switch_of
from netlab.model.topology import Interface, Link, Node, Topology
from netlab.model.words import LEAST_IPV6_MTU, RESERVED_INTERFACES, Cidr, Prefix
from netlab.nodes import NodeKind
from netlab.plan.addressing import Full, Member, Segment, number

Spot: TypeAlias = tuple[str, str]
"""node, interface"""

PLAIN = Interface()
"""One of which nobody has said anything."""

LONGEST_NAME = 15
"""Bytes in an interface's name: IFNAMSIZ less its NUL (linux/if.h)."""


@dataclass(frozen=True)
class Wiring:
    """The topology with its blanks filled in."""

    sites: Mapping[str, Site]
    ends: tuple[tuple[Nic, Nic], ...]
    """The two interfaces of each link, in the links' order."""
    segments: tuple[tuple[Nic, ...], ...]
    """Interfaces that share a layer-2 segment and may hold addresses."""
    full: tuple[tuple[Path, Full], ...]
    """Subnets and pools that ran out, and where."""


def wire(
    topology: Topology, nodes: Mapping[str, NodeKind], devices: Mapping[str, DeviceKind]
) -> Wiring:
    names = _names(topology, nodes)
    nics = _nics(topology, nodes, devices, names)
    groups = _segments(nics, names, devices, nodes, topology)
    addresses, full = number([g.segment for g in groups], _pools(topology), _taken(nics, groups))
    wired = {s: _addressed(nic, addresses, topology.nodes[s[0]]) for s, nic in nics.items()}
    by_node: dict[str, list[Nic]] = {name: [] for name in topology.nodes}
    for (node, _), nic in wired.items():
        by_node[node].append(nic)
    lab = topology.name
    return Wiring(
        {n: Site(lab, n, f"{lab}.{n}", tuple(found)) for n, found in by_node.items()},
        tuple((wired[a], wired[b]) for a, b in names),
        tuple(tuple(wired[m.node, m.interface] for m in g.segment.members) for g in groups),
        tuple((nics[groups[f.segment].first].origin, f) for f in full),
    )


# names


def _names(topology: Topology, nodes: Mapping[str, NodeKind]) -> list[tuple[Spot, Spot]]:
    """Each link's two interfaces: as written, else the next ethN, on a switch the neighbour."""
    taken = _written_names(topology, nodes)
    counters = dict.fromkeys(topology.nodes, 0)
    named = []
    for link in topology.links:
        a, b = link.endpoints
        ends = []
        for end, other in ((a, b), (b, a)):
            name = end.interface
            if name is None and nodes[topology.nodes[end.node].kind].bridge:
                name = _after_neighbour(other.node, taken[end.node])
            elif name is None:
                name, counters[end.node] = _next_eth(counters[end.node], taken[end.node])
            taken[end.node].add(name)
            ends.append((end.node, name))
        named.append((ends[0], ends[1]))
    return named


def _written_names(topology: Topology, nodes: Mapping[str, NodeKind]) -> dict[str, set[str]]:
    taken = {
        name: {*node.interfaces, nodes[node.kind].bridge or "lo", *RESERVED_INTERFACES}
        for name, node in topology.nodes.items()
    }
    for link in topology.links:
        for end in link.endpoints:
            if end.interface is not None:
                taken[end.node].add(end.interface)
    return taken


def _next_eth(counter: int, taken: set[str]) -> tuple[str, int]:
    while f"eth{counter}" in taken:
        counter += 1
    return f"eth{counter}", counter + 1


def _after_neighbour(neighbour: str, taken: set[str]) -> str:
    name, count = neighbour[:LONGEST_NAME], 1
    while name in taken:
        count += 1
        tail = f"-{count}"
        name = neighbour[: LONGEST_NAME - len(tail)] + tail
    return name


# interfaces


def _nics(
    topology: Topology,
    nodes: Mapping[str, NodeKind],
    devices: Mapping[str, DeviceKind],
    names: list[tuple[Spot, Spot]],
) -> dict[Spot, Nic]:
    found: dict[Spot, Nic] = {}
    for place, ((a, b), link) in enumerate(zip(names, topology.links, strict=True)):
        for side, (spot, peer) in enumerate(((a, b), (b, a))):
            found[spot] = _link_nic(topology, spot, peer, link, ("links", place), side)
    for name, node in topology.nodes.items():
        bridge = nodes[node.kind].bridge
        for interface in (*(() if not bridge else (bridge,)), *node.interfaces):
            spot = (name, interface)
            if spot not in found:
                settings = node.interfaces.get(interface, PLAIN)
                origin = ("nodes", name, "interfaces", interface)
                found[spot] = _nic(topology, spot, settings, origin, settings.mtu or 0)
    return _with_masters(topology, nodes, devices, found)


def _link_nic(topology: Topology, spot: Spot, peer: Spot, link: Link, at: Path, side: int) -> Nic:
    node, interface = spot
    settings = topology.nodes[node].interfaces.get(interface, PLAIN)
    origin = (*at, "endpoints", side)
    mtu = settings.mtu or link.mtu
    written = link.endpoints[side].addresses
    if written is None:
        return _nic(topology, spot, settings, origin, mtu, peer)
    settings = settings.model_copy(update={"addresses": written})
    return _nic(topology, spot, settings, origin, mtu, peer, (*origin, "addresses"))


def _nic(
    topology: Topology,
    spot: Spot,
    settings: Interface,
    origin: Path,
    mtu: int,
    peer: Spot = ("", ""),
    addresses_at: Path = (),
) -> Nic:
    """``addresses_at``: where they are written, if that is with the link."""
    node, interface = spot
    ns = f"{topology.name}.{node}"
    mac = "" if interface == "lo" else settings.mac or computed_mac(ns, interface)
    own = ("nodes", node, "interfaces", interface, "addresses")
    place = addresses_at or (origin if settings.addresses is None else own)
    addresses = settings.addresses or ()
    return Nic(
        node, ns, interface, settings, origin, mac, mtu, addresses, peer=peer, addresses_at=place
    )


def computed_mac(ns: str, interface: str) -> str:
    """A locally administered unicast MAC that is the same in every run."""
    digest = blake2s(f"{ns}:{interface}".encode(), digest_size=5).hexdigest()
    return "02:" + ":".join(digest[i : i + 2] for i in range(0, 10, 2))


def _with_masters(
    topology: Topology,
    nodes: Mapping[str, NodeKind],
    devices: Mapping[str, DeviceKind],
    nics: dict[Spot, Nic],
) -> dict[Spot, Nic]:
    masters: dict[Spot, str] = {}
    for (node, interface), nic in nics.items():
        bridge = nodes[topology.nodes[node].kind].bridge
        if bridge and interface not in (bridge, "lo"):
            masters[node, interface] = bridge
        for port in devices[nic.settings.kind].ports(nic.settings):
            masters[node, port] = interface
    return {s: n._replace(master=masters[s]) if s in masters else n for s, n in nics.items()}


# segments


@dataclass
class _Group:
    first: Spot
    switched: bool = False
    members: list[Member] = field(default_factory=list)

    @property
    def segment(self) -> Segment:
        return Segment(tuple(self.members), self.switched)


class _Union:
    """Disjoint sets of interfaces."""

    def __init__(self) -> None:
        self._above: dict[Spot, Spot] = {}

    def find(self, spot: Spot) -> Spot:
        root = spot
        while (above := self._above.get(root, root)) != root:
            root = above
        while spot != root:
            self._above[spot], spot = root, self._above.get(spot, spot)
        return root

    def join(self, one: Spot, other: Spot) -> None:
        self._above[self.find(other)] = self.find(one)


def _segments(
    nics: dict[Spot, Nic],
    names: Iterable[tuple[Spot, Spot]],
    devices: Mapping[str, DeviceKind],
    nodes: Mapping[str, NodeKind],
    topology: Topology,
) -> list[_Group]:
    union, bridges = _Union(), set()
    for a, b in names:
        union.join(a, b)
    for (node, interface), nic in nics.items():
        if nic.master:
            union.join((node, interface), (node, nic.master))
            bridges.add((node, nic.master))
        if shared := devices[nic.settings.kind].segment(nic.settings):
            union.join(("", shared), (node, interface))
    groups: dict[Spot, _Group] = {}
    for spot, nic in nics.items():
        if spot[1] == "lo" or not devices[nic.settings.kind].addressed:
            continue
        group = groups.setdefault(union.find(spot), _Group(spot))
        if not nic.master and not _silent(spot, nic, nodes, topology):
            group.members.append(Member(*spot, nic.settings.addresses))
    for bridge in bridges:
        if (root := union.find(bridge)) in groups:
            groups[root].switched = True
    return list(groups.values())


def _silent(spot: Spot, nic: Nic, nodes: Mapping[str, NodeKind], topology: Topology) -> bool:
    """A switch's own bridge speaks IP only if somebody wrote it an address."""
    is_switch = nodes[topology.nodes[spot[0]].kind].bridge == spot[1]
    return is_switch and nic.settings.addresses is None


def _pools(topology: Topology) -> dict[int, Prefix | None]:
    pools = topology.addressing
    return {
        4: None if pools.ipv4 == "none" else pools.ipv4,
        6: None if pools.ipv6 == "none" else pools.ipv6,
    }


def _taken(nics: Mapping[Spot, Nic], groups: Iterable[_Group]) -> Iterator[Prefix]:
    members = {(m.node, m.interface) for g in groups for m in g.members}
    for spot, nic in nics.items():
        if spot not in members:
            yield from (address.network for address in nic.addresses)


def _addressed(nic: Nic, addresses: Mapping[Spot, tuple[Cidr, ...]], node: Node) -> Nic:
    """Automatic addresses, less IPv6 where the mtu is too small for it or where it is off."""
    found = addresses.get((nic.node, nic.name))
    if found is None or found == nic.addresses:
        return nic
    is_automatic = nic.settings.addresses is None
    if is_automatic and (0 < nic.mtu < LEAST_IPV6_MTU or ipv6_is_off(nic, node)):
        found = tuple(a for a in found if a.version == 4)
    return nic._replace(addresses=found)


def ipv6_is_off(nic: Nic, node: Node) -> bool:
    """As the interface's own switch says, else that of all, else that of new devices."""
    switch = "disable_ipv6"
    if not any(switch in name for name in (*node.sysctls, *nic.settings.sysctls)):
        return False
    said = {spelt_switch(name): value for name, value in node.sysctls.items()}
    places = (nic.name, "all", *(() if nic.name == "lo" else ("default",)))
    names = [switch_of(("net", "ipv6", "conf", place, switch)) for place in places]
    values = [nic.settings.sysctls.get(f"ipv6.{switch}"), *map(said.get, names)]
    return next((value for value in values if value is not None), "0") != "0"
