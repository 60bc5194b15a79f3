"""What a lab looks like, from its journal: nodes, links, and what is written on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from netlab.kernel.identity import inode
from netlab.kernel.values import Running
from netlab.lab.glance import Header, Summary
from netlab.resources import Inventory, Resource
from netlab.resources import process as program
from netlab.resources.device import Device, ForwardingEntry, Offload, Port, Tun, Veth
from netlab.resources.entry import Command, Entry
from netlab.resources.firewall import Firewall
from netlab.resources.namespace import Namespace
from netlab.resources.network import Address, Neighbour, Route, Routing, Rule, Sysctl


@dataclass
class Interface:
    name: str
    kind: str
    mac: str
    mtu: int
    """In bytes; 0 where the kernel chose."""
    up: bool
    addresses: list[str] = field(default_factory=list)
    peer: str = ""
    """``node:interface`` at the other end of the link."""
    bridge: str = ""
    """The bridge it is a port of."""
    settings: dict[str, int | str | bool] = field(default_factory=dict)


@dataclass
class Process:
    """A program of a node, and how it stands."""

    name: str
    command: str
    ready: str = ""
    """What shows that it is ready: ``tcp/80``."""
    state: str = "stopped"
    """See ``netlab.kernel.port.Running``."""
    pid: int = 0
    since: float = 0.0
    restarts: int = 0
    code: int | None = None


@dataclass
class Node:
    name: str
    kind: str
    namespace: str
    inode: int
    lost: bool = False
    """Whether somebody else took its namespace away."""
    interfaces: list[Interface] = field(default_factory=list)
    routes: list[str] = field(default_factory=list)
    """In ip-route(8)'s words."""
    rules: list[str] = field(default_factory=list)
    neighbours: list[str] = field(default_factory=list)
    nat: list[str] = field(default_factory=list)
    """What is said under `nat:`, an item each."""
    sysctls: dict[str, str] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)
    exec: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Portrait:
    lab: str
    file: str
    description: str
    since: float
    """Seconds since the epoch."""
    half_built: bool
    nodes: Mapping[str, Node]
    links: tuple[tuple[str, str], ...]


def portrait(
    header: Header,
    summary: Summary | None,
    inventory: Inventory,
    inodes: Mapping[str, int],
    lost: Iterable[str] = (),
    running: Mapping[tuple[str, str], Running] | None = None,
) -> Portrait:
    kinds = summary.nodes if summary else {}
    nodes: dict[str, Node] = {}
    gone = set(lost)
    for resource in inventory.values():
        if isinstance(resource, Namespace):
            name = resource.name.partition(".")[2]
            number = inode(inodes.get(resource.name, 0))
            kind = kinds.get(name, "")
            nodes[name] = Node(name, kind, resource.name, number, resource.name in gone)
            nodes[name].sysctls.update(resource.defaults)
    painter = _Painter(nodes, running or {})
    for resource in inventory.values():
        painter.add(resource)
    order = [name for name in kinds if name in nodes]
    order += [name for name in nodes if name not in kinds]
    return Portrait(
        header.lab,
        header.file,
        summary.description if summary else "",
        summary.since if summary else 0.0,
        summary is None,
        {name: nodes[name] for name in order},
        tuple(painter.links),
    )


class _Painter:
    """Foundations come first, so that a device is there before what is written on it."""

    def __init__(
        self, nodes: Mapping[str, Node], running: Mapping[tuple[str, str], Running]
    ) -> None:
        self._nodes = nodes
        self._running = running
        self._interfaces: dict[tuple[str, str], Interface] = {}
        self.links: list[tuple[str, str]] = []

    def add(self, resource: Resource) -> None:
        node = self._nodes.get(resource.ns.partition(".")[2])
        if node is None:
            return
        match resource:
            case Device() | Tun():
                kind = resource.kind if isinstance(resource, Device) else resource.mode
                self._interface(resource.home, Interface(
                    resource.name, kind, resource.mac, resource.mtu, resource.up,
                    settings=dict(resource.options),
                ))  # fmt: skip
            case Veth():
                self._link(resource)
            case Port():
                self._on(resource.home, resource.name).bridge = resource.bridge
                self._on(resource.home, resource.name).settings.update(resource.options)
            case Address():
                self._on(resource.home, resource.device).addresses.append(resource.cidr)
            case Offload():
                self._on(resource.home, resource.device).settings[resource.feature] = resource.on
            case Routing():
                node.routes += [
                    Route(resource.home, prefix, hops).words.removeprefix("route ")
                    for hops, prefixes in resource.groups
                    for prefix in prefixes
                ]
            case Route():
                node.routes.append(resource.words.removeprefix("route "))
            case Rule():
                node.rules.append(f"IPv{resource.family} {resource.words.removeprefix('rule ')}")
            case Neighbour():
                node.neighbours.append(resource.words.removeprefix("neighbour "))
            case ForwardingEntry():
                node.neighbours.append(resource.words)
            case Firewall():
                node.nat += resource.entries
            case Sysctl():
                node.sysctls[resource.name] = resource.value
            case Entry():
                node.files = [path for path, _, _ in resource.files]
                node.env = dict(resource.env)
            case program.Process():
                node.processes.append(self._process(node.name, resource))
            case Command():
                node.exec.append(resource.command)

    def _process(self, node: str, resource: program.Process) -> Process:
        now = self._running.get((node, resource.name), Running("stopped"))
        ready = "/".join(resource.ready)
        return Process(resource.name, resource.line, ready, *now)

    def _link(self, veth: Veth) -> None:
        ends = [f"{ns.partition('.')[2]}:{name}" for ns, name in (
            (veth.a_ns, veth.a_name), (veth.b_ns, veth.b_name))]  # fmt: skip
        a = Interface(veth.a_name, "veth", veth.a_mac, veth.a_mtu, veth.a_up, peer=ends[1])
        b = Interface(veth.b_name, "veth", veth.b_mac, veth.b_mtu, veth.b_up, peer=ends[0])
        self._interface(veth.a_ns, a)
        self._interface(veth.b_ns, b)
        self.links.append((ends[0], ends[1]))

    def _interface(self, ns: str, interface: Interface) -> None:
        self._interfaces[ns, interface.name] = interface
        node = self._nodes.get(ns.partition(".")[2])
        if node is not None:
            node.interfaces.append(interface)

    def _on(self, ns: str, name: str) -> Interface:
        """Also what is written on an interface that nobody made, as lo."""
        if (ns, name) not in self._interfaces:
            self._interface(ns, Interface(name, "loopback" if name == "lo" else "", "", 0, True))
        return self._interfaces[ns, name]
