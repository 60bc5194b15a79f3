"""The lab as a packet finds it: nodes, their devices, what these are plugged into, addresses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from ipaddress import ip_address

from netlab.lab.portrait import Node as PortraitNode
from netlab.lab.portrait import Portrait
from netlab.resources import Inventory
from netlab.resources.firewall import Firewall


@dataclass(frozen=True)
class Device:
    """A device of a node, as the topology wants it."""

    name: str
    kind: str
    mac: str = ""
    mtu: int = 0
    """In bytes; 0 where the kernel chose."""
    addresses: tuple[str, ...] = ()
    """With prefix lengths."""
    peer: tuple[str, str] = ("", "")
    """Node and device at the other end of its link."""
    bridge: str = ""
    """The bridge that it is a port of."""


@dataclass(frozen=True)
class Spot:
    """A node."""

    name: str
    role: str
    """Its kind: ``host``, ``router``, ``switch``."""
    ns: str
    devices: tuple[Device, ...] = ()
    rules: str = ""
    """What made its nftables rules, see ``netlab.resources.firewall``; "" for none."""

    def device(self, name: str) -> Device | None:
        return next((d for d in self.devices if d.name == name), None)

    @property
    def addresses(self) -> list[str]:
        """Without lengths, in the order of its devices."""
        return [a.partition("/")[0] for d in self.devices for a in d.addresses]


@dataclass(frozen=True)
class Terrain:
    lab: str
    file: str
    spots: Mapping[str, Spot]
    """By node."""
    digest: str = ""
    """Of the file's text, as the lab is up from it."""

    @cached_property
    def holders(self) -> Mapping[str, tuple[str, ...]]:
        """The nodes that hold an address; more than one is a mistake, or anycast."""
        found: dict[str, tuple[str, ...]] = {}
        for spot in self.spots.values():
            for address in map(plain, spot.addresses):
                if spot.name not in found.get(address, ()):
                    found[address] = (*found.get(address, ()), spot.name)
        return found

    @cached_property
    def has_tunnels(self) -> bool:
        return any(d.kind == "vxlan" for s in self.spots.values() for d in s.devices)

    def role(self, node: str) -> str:
        return self.spots[node].role if node in self.spots else ""

    def peer(self, node: str, device: str) -> tuple[str, str]:
        """("", "") where nothing of the lab is plugged in."""
        found = self.spots[node].device(device) if node in self.spots else None
        return found.peer if found else ("", "")

    def bridge_of(self, node: str, device: str) -> str:
        """"" for what is no port of one."""
        found = self.spots[node].device(device) if node in self.spots else None
        return found.bridge if found else ""

    def segment_way(self, node: str, device: str, goal: str) -> tuple[tuple[str, str], ...]:
        """The devices that a frame passes which leaves by one and is to reach the goal's node.

        Over links and through bridges, by the topology; () where the goal is on another segment.
        """
        first = self.peer(node, device)
        before: dict[tuple[str, str], tuple[str, str]] = {first: ("", "")}
        waiting = [first] if first[0] else []
        while waiting:
            here = waiting.pop(0)
            if here[0] == goal:
                return tuple(_back(here, before))
            for port in self._through(*here):
                far = self.peer(here[0], port)
                if far[0] and far not in before:
                    before[(here[0], port)], before[far] = here, (here[0], port)
                    waiting.append(far)
        return ()

    def tunnels(self, node: str, device: str) -> list[tuple[str, str]]:
        """The ends of tunnels that get what is flooded by one device, as a question by ARP is."""
        reached = [self.peer(node, device)]
        for here in reached:  # it grows meanwhile
            far = (self.peer(here[0], port) for port in self._through(*here))
            reached += [end for end in far if end[0] and end not in reached]
        ports = ((n, p) for n, d in reached for p in self._through(n, d))
        return [(n, p) for n, p in ports if (d := self.spots[n].device(p)) and d.kind == "vxlan"]

    def _through(self, node: str, port: str) -> list[str]:
        """The other ports of the bridge that a device is a port of."""
        bridge = self.bridge_of(node, port)
        if not bridge:
            return []
        return [d.name for d in self.spots[node].devices if d.bridge == bridge and d.name != port]

    def between(self, one: str, other: str) -> list[str]:
        """All nodes, those first that lie on the shortest ways between two, by the links."""
        near = [self._distances(one), self._distances(other)]
        far = len(self.spots)
        return sorted(self.spots, key=lambda node: sum(d.get(node, far) for d in near))

    def _distances(self, start: str) -> Mapping[str, int]:
        """In links; of those that can be reached."""
        found = {start: 0} if start in self.spots else {}
        waiting = list(found)
        for node in waiting:
            for device in self.spots[node].devices:
                far = device.peer[0]
                if far in self.spots and far not in found:
                    found[far] = found[node] + 1
                    waiting.append(far)
        return found

    def with_mac(self, mac: str) -> str:
        """The node that has a device of that MAC; "" for none."""
        found = (s.name for s in self.spots.values() for d in s.devices if d.mac == mac and mac)
        return next(found, "")

    def holder(self, address: str) -> str:
        """The node that has the address; "" for one that none has, or several."""
        found = self.holders.get(plain(address), ())
        return found[0] if len(found) == 1 else ""


def _back(
    end: tuple[str, str], before: Mapping[tuple[str, str], tuple[str, str]]
) -> list[tuple[str, str]]:
    way = [end]
    while before[way[-1]] != ("", ""):
        way.append(before[way[-1]])
    return way[::-1]


def plain(address: str) -> str:
    """An address in the usual spelling; what is none stays as it is."""
    try:
        return str(ip_address(address.partition("%")[0]))
    except ValueError:
        return address


def of_lab(portrait: Portrait, inventory: Inventory) -> Terrain:
    """Of a lab that is up."""
    rules = {r.ns: r.spec for r in inventory.values() if isinstance(r, Firewall)}
    spots = [
        Spot(name, node.kind, node.namespace, tuple(_devices(node)), rules.get(node.namespace, ""))
        for name, node in portrait.nodes.items()
    ]
    return Terrain(portrait.lab, portrait.file, {spot.name: spot for spot in spots})


def without(terrain: Terrain, gone: Iterable[str]) -> Terrain:
    """The same, less some nodes."""
    left = {name: spot for name, spot in terrain.spots.items() if name not in set(gone)}
    return replace(terrain, spots=left)


def _devices(node: PortraitNode) -> Iterable[Device]:
    for i in node.interfaces:
        peer_node, _, peer_device = i.peer.partition(":")
        yield Device(
            i.name, i.kind, i.mac, i.mtu, tuple(i.addresses), (peer_node, peer_device), i.bridge
        )
