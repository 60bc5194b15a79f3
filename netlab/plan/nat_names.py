"""Names in `nat:`: which interfaces, which addresses are meant, and whether packets get there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import NamedTuple

from netlab.model.guess import meant
from netlab.model.nat import AddressRange, OneToOne, Target
from netlab.model.site import Nic, Path, Site
from netlab.model.topology import Node
from netlab.model.words import IP

NAMED = {4: "ip", 6: "ip6"}
"""Families, as nft calls them."""


class Wrong(NamedTuple):
    """Where, what, and what would be right."""

    path: Path
    message: str
    hint: str
    about: str
    """Another node that it speaks of, or ""."""


@dataclass
class Names:
    """What a node's names stand for."""

    node: Node
    site: Site
    sites: Mapping[str, Site]
    wrong: list[Wrong] = field(default_factory=list)

    def say(self, path: Path, message: str, hint: str = "", about: str = "") -> None:
        """``path`` goes on from `nat`."""
        self.wrong.append(Wrong((*self.site.path, "nat", *path), message, hint, about))

    # interfaces

    def outer(self, names: Sequence[str], path: Path) -> list[Nic]:
        """Interfaces that packets leave and come by; none where one of them is wrong."""
        found = [self._nic(name, (*path, place)) for place, name in enumerate(names)]
        for place, name in enumerate(names):
            if name in names[:place]:
                self.say((*path, place), f"{name} stands here twice")
        right = {nic.name: nic for nic in found if nic is not None}
        return [*right.values()] if len(right) == len(set(names)) else []

    def _nic(self, name: str, path: Path) -> Nic | None:
        nic = next((nic for nic in self.site.nics if nic.name == name), None)
        if name == "lo":
            self.say(path, "lo leads nowhere: an interface to the outside is meant")
        elif nic is None:
            known = [nic.name for nic in self._speaking()]
            hint = meant(name, known) or f"its interfaces: {', '.join(known) or 'none'}"
            self.say(path, f"{self.site.name} has no interface {name}", hint)
        elif nic.master:
            message = f"{name} is a port of {nic.master}: packets come and go by the bridge"
            self.say(path, message, f"write {nic.master}")
            return None
        return nic if name != "lo" else None

    def _speaking(self) -> list[Nic]:
        """Those that IP packets come and go by."""
        return [nic for nic in self.site.nics if nic.name != "lo" and not nic.master]

    def families(self, nics: Sequence[Nic]) -> set[int]:
        """Of their addresses; both where addresses come later."""
        if not all(nic.addresses for nic in nics):
            return {4, 6}
        return {family for nic in nics for family in (4, 6) if of_family(nic, family)}

    def outer_of(self, entry: OneToOne, path: Path) -> Nic | None:
        """The interface of an outer address: said, or known by its subnet."""
        if entry.on is not None:
            return self._nic(entry.on, (*path, "on"))
        for nic in self._speaking():
            if any(entry.outside in address.network for address in nic.addresses):
                return nic
        message = f"{entry.outside} is in no subnet of {self.site.name}"
        self.say((*path, "outside"), message, "say by `on` which interface is the outer one")
        return None

    # addresses

    def answers(self, path: Path, addresses: AddressRange) -> None:
        """In a subnet of its own the node has to answer for an address, else nobody does."""
        held = {a.ip for nic in self.site.nics for a in nic.addresses}
        held |= {neighbour.to for neighbour in self.node.neighbours if neighbour.proxy}
        ip = addresses.low
        while ip in held and ip != addresses.high:
            ip = ip_address(int(ip) + 1) if int(ip) < int(addresses.high) else addresses.high
        for nic in self._speaking() if ip not in held else ():
            for address in nic.addresses:
                if ip in address.network:
                    right = f"{ip}/{address.network.prefixlen}"
                    message = f"{ip} is in the subnet of {nic.name}, and no address of "
                    message += f"{self.site.name}: nobody answers for it"
                    self.say(path, message, f"add {right} to the addresses of {nic.name}")
                    return

    def targets(self, target: Target, outer: Collection[Nic], path: Path) -> dict[int, str]:
        """Addresses by family: those in a subnet that both share first, the inner ones first."""
        if not isinstance(target.to, str):
            return {target.to.version: str(target.to)}
        other = self.sites.get(target.to)
        if other is None:
            hint = meant(target.to, self.sites)
            self.say(path, f"unknown node {target.to!r}", hint)
            return {}
        inner = [nic for nic in self._speaking() if nic not in outer]
        found: dict[int, str] = {}
        for family in (4, 6):
            known = [ip for nic in other.nics for ip in of_family(nic, family)]
            near = [ip for ip in known if any(_is_on(ip, nic) for nic in inner)]
            near += [ip for ip in known if any(_is_on(ip, nic) for nic in outer)]
            if known:
                found[family] = (near or known)[0]
        if not found:
            self.say(path, f"{target.to} has no address", about=target.to)
        return found

    def node_of(self, target: Target) -> str:
        return target.to if isinstance(target.to, str) else ""

    def loop(self, to: str) -> str:
        """What matches packets that go back where they came from, on the way to an address."""
        family = ip_address(to).version
        if any(to in of_family(nic, family) for nic in self.site.nics):
            return ""
        nics = self._speaking()
        near = [nic for nic in nics if _is_on(to, nic)] or nics
        bridged = [nic for nic in near if any(port.master == nic.name for port in self.site.nics)]
        if len(near) == 1 and bridged:
            # what br_netfilter translated goes from port to port, and leaves by no way it came in
            subnets = [str(a.network) for a in near[0].addresses if a.version == family]
            return f'oifname "{near[0].name}" {NAMED[family]} saddr {set_of(subnets)}'
        if len(near) == 1:
            return f'iifname "{near[0].name}" oifname "{near[0].name}"'
        pairs = ", ".join(f'"{nic.name}" . "{nic.name}"' for nic in near)
        return f"iifname . oifname {{ {pairs} }}" if pairs else ""


def set_of(words: Iterable[str]) -> str:
    """One as it is, several as a set."""
    found = list(dict.fromkeys(words))
    return found[0] if len(found) == 1 else f"{{ {', '.join(found)} }}"


def of_family(nic: Nic, family: int) -> list[str]:
    """Addresses that others can send to."""
    return [
        str(a.ip)
        for a in nic.addresses
        if a.version == family and not (a.ip.is_loopback or a.ip.is_link_local)
    ]


def _is_on(address: str, nic: Nic) -> bool:
    ip: IP = ip_address(address)
    return any(ip in a.network for a in nic.addresses)


def families_words(families: Iterable[int]) -> str:
    """``IPv4 and IPv6``, ``IPv6 only``, ``no address``."""
    found = sorted(set(families))
    if not found:
        return "no address"
    return "IPv4 and IPv6" if len(found) == 2 else f"IPv{found[0]} only"
