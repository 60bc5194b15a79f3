"""What a namespace holds that decides about packets, as values; ``state.py`` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from netlab.firewall.syntax import Script, Table
from netlab.kernel.listeners import Listener

ETHERNET, LOOPBACK, NONE = 1, 772, 65534
"""Types of devices (linux/if_arp.h)."""


class HeldPort(NamedTuple):
    """A device that is plugged into a bridge."""

    bridge: str
    state: str = "forwarding"
    """``disabled``, ``listening``, ``learning``, ``forwarding``, ``blocking``."""
    isolated: bool = False
    hairpin: bool = False
    learning: bool = True
    flood: bool = True
    """Frames whose MAC is not known go out of it, too."""
    flood_multicast: bool = True
    flood_broadcast: bool = True


class HeldBridge(NamedTuple):
    """What is set of a bridge."""

    stp: bool = False
    ageing: int = 30000
    """Hundredths of a second; 0 keeps nothing that was learned."""
    vlan_filtering: bool = False


class HeldVxlan(NamedTuple):
    """What is set of a vxlan device."""

    id: int
    port: int
    local: str = ""
    remote: str = ""
    learning: bool = True


class HeldLink(NamedTuple):
    """A device."""

    name: str
    number: int
    """Its interface index."""
    kind: str = ""
    """``veth``, ``bridge``, ``vxlan``, ``tun`` …; "" for lo."""
    type: int = ETHERNET
    up: bool = True
    carrier: bool = True
    """Whether the other end is there and up; of a tun device, whether a program has it open."""
    arp: bool = True
    mtu: int = 1500
    mac: str = ""
    group: int = 0
    port: HeldPort | None = None
    bridge: HeldBridge | None = None
    vxlan: HeldVxlan | None = None
    conf4: Mapping[str, int] = {}
    """Its switches below ``net.ipv4.conf``."""
    conf6: Mapping[str, int] = {}
    """Below ``net.ipv6.conf``; empty where it has no IPv6."""


class HeldAddress(NamedTuple):
    device: str
    address: str
    length: int
    scope: int = 0
    """0 everywhere, 253 on its link, 254 in its node."""
    flags: tuple[str, ...] = ()
    """``secondary``, ``dadfailed``, ``deprecated``, ``tentative``, ``temporary``."""
    peer: str = ""
    """Of a point-to-point address: the other end."""


class HeldHop(NamedTuple):
    gateway: str = ""
    device: str = ""
    weight: int = 1
    onlink: bool = False
    dead: bool = False
    """Its device is down."""
    linkdown: bool = False
    """Its device has no carrier."""


class HeldRoute(NamedTuple):
    prefix: str
    """``10.1.0.0/24``; everything is ``0.0.0.0/0`` or ``::/0``."""
    table: int = 254
    type: str = "unicast"
    scope: int = 0
    metric: int = 0
    hops: tuple[HeldHop, ...] = ()
    source: str = ""
    """The address to send from."""
    tos: int = 0
    mtu: int = 0
    protocol: int = 0
    sources: str = ""
    """IPv6: only packets from this prefix take it."""
    preference: int = 0
    """IPv6: what a router said of itself (RFC 4191): 1 high, 3 low."""


class HeldPolicy(NamedTuple):
    """A rule of policy routing (ip-rule(8))."""

    version: int
    priority: int
    table: int = 254
    action: str = "lookup"
    """``lookup``, ``goto``, ``nop``, ``blackhole``, ``unreachable``, ``prohibit``."""
    goto: int = 0
    source: str = ""
    """A prefix; "" for all."""
    destination: str = ""
    incoming: str = ""
    outgoing: str = ""
    mark: int = 0
    mask: int = 0
    """0: the mark is not asked for."""
    tos: int = 0
    protocol: int = 0
    sports: tuple[int, int] | None = None
    dports: tuple[int, int] | None = None
    uids: tuple[int, int] | None = None
    inverted: bool = False
    suppress: int = -1
    """Routes of a prefix no longer than that do not count."""
    unread: tuple[str, ...] = ()
    """Conditions of it that netlab does not know."""


class HeldNeighbour(NamedTuple):
    device: str
    address: str
    mac: str
    state: str
    """``reachable``, ``stale``, ``failed``, ``permanent`` …"""
    proxy: bool = False


class HeldForwarding(NamedTuple):
    """An entry of a forwarding database."""

    device: str
    """The port; of a vxlan, the device itself."""
    mac: str
    bridge: str = ""
    """"" for an entry of the device's own."""
    local: bool = False
    remote: str = ""


class HeldTables(NamedTuple):
    """nftables: what the kernel holds, and what the tree of that does not tell."""

    trees: tuple[Table, ...] = ()
    rules: Mapping[tuple[str, str, str], tuple[tuple[int, str], ...]] = {}
    """By family, table and name of a chain, each rule's handle and ``file:line``."""
    script: Script | None = None
    """In place of all that, what will be given to the kernel."""


class Holding(NamedTuple):
    """All of one namespace."""

    links: tuple[HeldLink, ...] = ()
    addresses: tuple[HeldAddress, ...] = ()
    routes: tuple[HeldRoute, ...] = ()
    policies: tuple[HeldPolicy, ...] = ()
    neighbours: tuple[HeldNeighbour, ...] = ()
    forwarding: tuple[HeldForwarding, ...] = ()
    listeners: tuple[Listener, ...] = ()
    unheard: bool = False
    """Whether others may wait, of whom nothing is known."""
    switches: Mapping[str, str] = {}
    """By full name, those that are not of one device."""
    tables: HeldTables = HeldTables()
    release: str = ""
    """Of the kernel: ``6.18.5``."""
