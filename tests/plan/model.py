"""A kernel that keeps what it is asked for, and refuses what Linux would refuse.

It knows what goes with what: a device's addresses, the IPv4 routes over a device that loses its
last address, what new devices take over from ``conf/default``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from netlab.errors import KernelRefused
from netlab.kernel.values import NextHop, Options, VethEnd
from netlab.model.switches import device_of_switch, is_for_new_devices

Thing = tuple[Any, ...]


class ModelKernel:
    def __init__(self) -> None:
        self.held: dict[Thing, Any] = {}
        self.ran: list[tuple[str, str]] = []
        self._on: dict[Thing, tuple[Thing, ...]] = {}
        self._inode = 0
        self._token: object = None

    # what is held

    def _refuse(self, said: str) -> None:
        raise KernelRefused(f"the kernel refused: {said}", said=said, token=self._token)

    def _add(self, thing: Thing, value: Any, *needs: Thing, replace: bool = False) -> None:
        if thing in self.held and not replace:
            self._refuse(f"{thing} is there already")
        for need in needs:
            if need not in self.held:
                self._refuse(f"{thing} needs {need}")
        self.held[thing] = value
        self._on[thing] = needs

    def _drop(self, thing: Thing) -> None:
        if self.held.pop(thing, None) is None:
            return
        self._on.pop(thing)
        for other in [t for t, needs in self._on.items() if thing in needs]:
            self._drop(other)

    def begin(self, token: object) -> None:
        self._token = token

    def flush(self) -> None:
        pass

    # namespaces

    def most_namespaces(self) -> int:
        return 1000

    def make_namespaces(self, names: Sequence[str]) -> Mapping[str, int]:
        made = {}
        for name in names:
            self._inode += 1
            made[name] = self._inode
        return made

    def add_namespace(self, ns: str) -> None:
        self._add(("ns", ns), True)
        self._add(("dev", ns, "lo"), "lo", ("ns", ns))

    def del_namespace(self, ns: str) -> None:
        self._drop(("ns", ns))

    def own(self, inodes: Mapping[str, int]) -> None:
        pass

    def insist(self) -> None:
        pass

    # devices

    def _device(self, ns: str, name: str, *value: Any, also: tuple[Thing, ...] = ()) -> None:
        defaults = sorted((t[2], v) for t, v in self.held.items() if t[:2] == ("default", ns))
        self._add(("dev", ns, name), (*value, tuple(defaults)), ("ns", ns), *also)

    def add_veth(self, a: VethEnd, b: VethEnd) -> None:
        self._device(a.ns, a.name, "veth", a.mac, a.mtu, a.up, also=(("ns", b.ns),))
        self._device(b.ns, b.name, "veth", b.mac, b.mtu, b.up, also=(("dev", a.ns, a.name),))
        if ("dev", a.ns, a.name) in self._on:
            self._on[("dev", a.ns, a.name)] += (("dev", b.ns, b.name),)

    def add_device(
        self, ns: str, name: str, kind: str, mac: str, mtu: int, up: bool, options: Options
    ) -> None:
        self._device(ns, name, kind, mac, mtu, up)
        self._add(("options", ns, name), dict(options), ("dev", ns, name))

    def add_tun(
        self, ns: str, name: str, mode: str, mac: str, mtu: int, up: bool, options: Options
    ) -> None:
        self.add_device(ns, name, mode, mac, mtu, up, options)

    def set_device(self, ns: str, name: str, kind: str, options: Options) -> None:
        assert kind == "bridge", "Linux changes no other device's options"
        thing = ("options", ns, name)
        self._add(thing, {**self.held.get(thing, {}), **options}, ("dev", ns, name), replace=True)

    def set_mtu(self, ns: str, name: str, mtu: int) -> None:
        if ("dev", ns, name) not in self.held:
            self._refuse(f"no {name} in {ns}")
        kind, mac, before, *rest = self.held[("dev", ns, name)]
        assert (before < 1280) == (mtu < 1280), "IPv6 would go, or not come back"
        self.held[("dev", ns, name)] = (kind, mac, mtu, *rest)

    def del_device(self, ns: str, name: str) -> None:
        self._drop(("dev", ns, name))

    def set_offload(self, ns: str, name: str, feature: str, on: bool) -> None:
        thing, device = ("offload", ns, name, feature), ("dev", ns, name)
        if device not in self.held:
            self._refuse(f"no {name} in {ns}")
        usual = not (self.held[device][0] == "veth" and feature == "gro")
        self._drop(thing)
        if on != usual:
            self._add(thing, on, device)

    # bridges

    def set_master(self, ns: str, name: str, master: str) -> None:
        if not master:
            self._drop(("master", ns, name))
            return
        self._add(("master", ns, name), master, ("dev", ns, name), ("dev", ns, master))

    def set_port(self, ns: str, name: str, options: Options) -> None:
        self._add(("port", ns, name), dict(options), ("master", ns, name))

    def add_fdb(self, ns: str, name: str, mac: str, remote: str) -> None:
        self._add(("fdb", ns, name, mac, remote), True, ("dev", ns, name))

    def del_fdb(self, ns: str, name: str, mac: str, remote: str) -> None:
        self._drop(("fdb", ns, name, mac, remote))

    # layer 3

    def add_address(self, ns: str, name: str, cidr: str) -> None:
        if ":" in cidr and self._lacks_ipv6(ns, name):
            self._refuse(f"IPv6 is disabled on {name} of {ns}")
        self._add(("address", ns, name, cidr), True, ("dev", ns, name))

    def _lacks_ipv6(self, ns: str, name: str) -> bool:
        switch = "net.ipv6.conf.{}.disable_ipv6"
        own = self.held.get(("sysctl", ns, switch.format(name)))
        every = self.held.get(("sysctl", ns, switch.format("all")))
        device = self.held.get(("dev", ns, name))
        usual = dict(device[-1]) if isinstance(device, tuple) else {}
        said = (own, every, usual.get(switch.format("default")))
        return next((value for value in said if value is not None), "0") == "1"

    def del_address(self, ns: str, name: str, cidr: str) -> None:
        self._drop(("address", ns, name, cidr))
        if ":" in cidr:
            return
        left = {t[3] for t in self.held if t[:2] == ("address", ns) and t[2] == name}
        if not any(":" not in other for other in left):
            self._drop_routes(ns, lambda hops, source: any(h.device == name for h in hops))
        ip = cidr.partition("/")[0]
        self._drop_routes(ns, lambda hops, source: source == ip)

    def _drop_routes(self, ns: str, falls: Any) -> None:
        routes = [t for t in self.held if t[:2] == ("route", ns) and ":" not in t[3]]
        for thing in routes:
            _, hops, source = self.held[thing]
            if falls(hops, source):
                self._drop(thing)

    def add_route(
        self,
        ns: str,
        to: str,
        hops: Sequence[NextHop],
        kind: str,
        table: int,
        metric: int,
        source: str,
        replace: bool,
    ) -> None:
        for hop in hops:
            if hop.gateway and not hop.onlink and not self._reaches(ns, hop, table):
                self._refuse(f"{hop.gateway} cannot be reached")
        if source and not self._has(ns, source):
            self._refuse(f"{source} is not an address of {ns}")
        if ":" not in to and (table, metric) == (254, 0) and self._is_connected(ns, to):
            self._refuse(f"{to} is there already")
        devices = [("dev", ns, hop.device) for hop in hops if hop.device]
        thing = ("route", ns, table, to, metric or (1024 if ":" in to else 0))
        if not all(self._is_up(device) for device in devices):
            self._refuse("Device for nexthop is not up")
        self._add(thing, (kind, tuple(hops), source), ("ns", ns), *devices, replace=replace)

    def _is_up(self, device: Thing) -> bool:
        return device[2] == "lo" or (device in self.held and self.held[device][3])

    def _subnets(self, ns: str, device: str = "") -> list[str]:
        """That have a route of their own: a device that is switched off has none."""
        return [
            str(ip_interface(cidr).network)
            for _, _, name, cidr in (t for t in self.held if t[:2] == ("address", ns))
            if device in ("", name) and (name == "lo" or self.held[("dev", ns, name)][3])
        ]

    def _reaches(self, ns: str, hop: NextHop, table: int) -> bool:
        gateway = ip_address(hop.gateway)
        direct = [
            thing[3]
            for thing, value in self.held.items()
            if thing[:2] == ("route", ns) and thing[2] in (254, table)
            if not any(other.gateway for other in value[1])
        ]
        subnets = map(ip_network, [*self._subnets(ns, hop.device), *direct])
        return gateway.is_link_local or any(gateway in subnet for subnet in subnets)

    def _has(self, ns: str, ip: str) -> bool:
        cidrs = [t[3] for t in self.held if t[:2] == ("address", ns)]
        return any(cidr.partition("/")[0] == ip for cidr in cidrs)

    def _is_connected(self, ns: str, to: str) -> bool:
        return not to.endswith("/32") and to in self._subnets(ns)

    def del_route(
        self, ns: str, to: str, kind: str, table: int, metric: int, hops: Sequence[NextHop] = ()
    ) -> None:
        self._drop(("route", ns, table, to, metric or (1024 if ":" in to else 0)))

    def add_rule(self, ns: str, family: int, options: Options) -> None:
        self._add(("rule", ns, family, *sorted(options.items(), key=str)), True, ("ns", ns))

    def del_rule(self, ns: str, family: int, options: Options) -> None:
        self._drop(("rule", ns, family, *sorted(options.items(), key=str)))

    def add_neighbour(self, ns: str, name: str, to: str, mac: str, proxy: bool) -> None:
        self._add(("neighbour", ns, name, to, proxy), mac, ("dev", ns, name))

    def del_neighbour(self, ns: str, name: str, to: str, proxy: bool) -> None:
        self._drop(("neighbour", ns, name, to, proxy))

    def set_sysctl(self, ns: str, name: str, value: str) -> None:
        if is_for_new_devices(name):
            self._add(("default", ns, name), value, ("ns", ns), replace=True)
            return
        device = device_of_switch(name)
        need = ("dev", ns, device) if device else ("ns", ns)
        self._add(("sysctl", ns, name), value, need, replace=True)

    def reset_sysctl(self, ns: str, name: str, otherwise: str = "") -> None:
        self._drop(("sysctl", ns, name))

    def set_rules(self, ns: str, before: str, after: str) -> None:
        if self.held.get(("rules", ns), "") != before:
            self._refuse(f"the rules of {ns} are not those that are to be changed")
        self._drop(("rules", ns))
        if after:
            self._add(("rules", ns), after, ("ns", ns))

    # what a process in a node sees

    def write_entry(self, ns: str, entry: str) -> None:
        self._add(("entry", ns), entry, replace=True)

    def del_entry(self, ns: str) -> None:
        self._drop(("entry", ns))

    def write_hosts(self, lab: str, text: str) -> None:
        self._add(("hosts", lab), text, replace=True)

    def del_hosts(self, lab: str) -> None:
        self._drop(("hosts", lab))

    def start_supervisor(self, lab: str) -> None:
        self._add(("supervisor", lab), True)

    def stop_supervisor(self, lab: str) -> None:
        self._drop(("supervisor", lab))

    def start_process(self, ns: str, name: str, spec: str, turn: int) -> None:
        self._add(("process", ns, name), spec, ("ns", ns))

    def set_process(self, ns: str, name: str, spec: str) -> None:
        self._add(("process", ns, name), spec, ("ns", ns), replace=True)

    def stop_process(self, ns: str, name: str, turn: int, forget: bool = True) -> None:
        self._drop(("process", ns, name))

    def run(self, ns: str, command: str) -> None:
        if ("ns", ns) not in self.held:
            self._refuse(f"no namespace {ns}")
        self.ran.append((ns, command))
