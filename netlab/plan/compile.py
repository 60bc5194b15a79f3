"""A topology as the resources it stands for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from netlab.devices import DeviceKind
from netlab.links import LinkKind
from netlab.model.growing import growing
from netlab.model.nat import Nat
from netlab.model.site import Nic, Path
from netlab.model.topology import Topology
from netlab.nodes import NodeKind
from netlab.nodes.host import destination
from netlab.plan.around import Around, Misruled
from netlab.plan.nat_names import Wrong
from netlab.plan.processes import processes
from netlab.plan.routing import Attachment, routes
from netlab.plan.wiring import Wiring, wire
from netlab.resources import Inventory, Key
from netlab.resources.base import Placed
from netlab.resources.entry import Hosts
from netlab.resources.network import MAIN, Address, Routing

NO_NAT = Nat()


class Kinds(Protocol):
    """The kinds there are, by name."""

    @property
    def nodes(self) -> Mapping[str, NodeKind]: ...
    @property
    def devices(self) -> Mapping[str, DeviceKind]: ...
    @property
    def links(self) -> Mapping[str, LinkKind]: ...


@dataclass(frozen=True)
class Compiled:
    """What a file asks of the kernel, and the place in the file that asks for each."""

    inventory: Inventory
    origins: Mapping[Key, Path]
    wiring: Wiring
    twice: tuple[tuple[Path, Path, str], ...] = ()
    """What is asked for again: where, where first, and what."""
    misruled: tuple[Misruled, ...] = ()
    """What is wrong with nftables rules."""
    untranslated: tuple[Wrong, ...] = ()
    """What is wrong with `nat:`."""


@growing()
def compile_topology(
    topology: Topology, kinds: Kinds, around: Around | None = None
) -> Compiled:
    """``around``: where the file lies, since processes start there, and rules lie beside it."""
    around = around or Around()
    wiring = wire(topology, kinds.nodes, kinds.devices)
    misruled: list[Misruled] = []
    untranslated: list[Wrong] = []
    placed = list(_resources(topology, kinds, wiring, around, misruled, untranslated))
    first: dict[Key, Placed] = {}
    twice = []
    for path, resource in placed:
        found = first.setdefault(resource.key, (path, resource))
        if found[0] is not path:
            one, other = sorted((found, (path, resource)), key=_place)
            twice.append((other[0], one[0], other[1].words))
    origins = {key: path for key, (path, _) in first.items()}
    inventory = Inventory(r for _, r in placed)
    return Compiled(
        inventory, origins, wiring, tuple(twice), tuple(misruled), tuple(untranslated)
    )


def _place(placed: Placed) -> list[tuple[int, str]]:
    """What sorts by the order in lists of the file."""
    return [(part, "") if isinstance(part, int) else (0, part) for part in placed[0]]


def _resources(
    topology: Topology,
    kinds: Kinds,
    wiring: Wiring,
    around: Around,
    misruled: list[Misruled],
    untranslated: list[Wrong],
) -> Iterator[Placed]:
    for name, node in topology.nodes.items():
        yield from kinds.nodes[node.kind].resources(node, wiring.sites[name])
    for site in wiring.sites.values():
        for nic in site.nics:
            yield from kinds.devices[nic.settings.kind].resources(nic)
    for place, (link, (a, b)) in enumerate(zip(topology.links, wiring.ends, strict=True)):
        for resource in kinds.links[link.kind].resources(link, a, b):
            yield ("links", place), resource
    if any(node.hosts for node in topology.nodes.values()):
        yield ("nodes",), Hosts(topology.name, hosts_text(wiring))
    if topology.routing == "static":
        yield from _static(topology, kinds.nodes, wiring)
    if any(node.nftables is not None or node.nat != NO_NAT for node in topology.nodes.values()):
        from netlab.plan.firewall import Firewalls  # the compiler takes 50 ms to load

        found = Firewalls(kinds.nodes, misruled, untranslated)
        yield from found.resources(topology, wiring, around)
    yield from processes(topology, around.directory)


def hosts_text(wiring: Wiring) -> str:
    """hosts(5) of the lab: every address of every node, in the order of its interfaces.

    Less what means something else in every node: 127.0.0.1, fe80::1.
    """
    lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"]
    for name, site in wiring.sites.items():
        addresses = [
            ip
            for nic in site.nics
            for ip in (address.ip for address in nic.addresses)
            if not (ip.is_loopback or (ip.version == 6 and ip.is_link_local))
        ]
        addresses.sort(key=lambda ip: ip.version)
        lines += [f"{ip}\t{name}" for ip in addresses]
    return "\n".join(lines) + "\n"


def _static(topology: Topology, nodes: Mapping[str, NodeKind], wiring: Wiring) -> Iterator[Placed]:
    written = {
        name: frozenset(destination(r) for r in node.routes if r.table == MAIN)
        for name, node in topology.nodes.items()
    }
    for family in (4, 6):
        attachments, prefixes = _subnets(topology, nodes, wiring, family)
        for node, groups in routes(family, attachments, prefixes, written).items():
            site = wiring.sites[node]
            devices = {device for hops, _ in groups for _, device, _, _ in hops}
            over = tuple(
                Address(site.ns, nic.name, str(a)).key
                for nic in site.nics
                if nic.name in devices
                for a in nic.addresses
                if a.version == family
            )
            yield site.path, Routing(site.ns, family, groups, over)


def _subnets(
    topology: Topology, nodes: Mapping[str, NodeKind], wiring: Wiring, family: int
) -> tuple[list[Attachment], list[tuple[str, int | None, str | None]]]:
    """Who stands on which subnet, and the prefixes there are to reach."""
    forwards = {n: nodes[node.kind].forwards for n, node in topology.nodes.items()}
    attachments: list[Attachment] = []
    prefixes: list[tuple[str, int | None, str | None]] = []
    shared: set[tuple[str, str]] = set()
    for members in wiring.segments:
        numbers: dict[str, int] = {}
        for nic in members:
            shared.add((nic.node, nic.name))
            for prefix, ip in _on(nic, family):
                if _is_host(prefix, family):
                    prefixes.append((prefix, None, nic.node))
                    continue
                if prefix not in numbers:
                    numbers[prefix] = len(prefixes)
                    prefixes.append((prefix, len(prefixes), None))
                at = numbers[prefix]
                attachments.append(Attachment(nic.node, nic.name, at, ip, forwards[nic.node]))
    for site in wiring.sites.values():
        for nic in site.nics:
            if (nic.node, nic.name) not in shared:
                prefixes += [(prefix, None, nic.node) for prefix, _ in _on(nic, family)]
    return attachments, prefixes


def _on(nic: Nic, family: int) -> Iterator[tuple[str, str]]:
    """Prefixes and addresses; nothing leads to or over an interface that is switched off."""
    for address in nic.addresses if nic.settings.up else ():
        if address.version == family:
            yield str(address.network), str(address.ip)


def _is_host(prefix: str, family: int) -> bool:
    return prefix.endswith("/32" if family == 4 else "/128")
