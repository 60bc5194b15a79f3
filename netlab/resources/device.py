"""The devices in namespaces, and the links between them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from netlab.kernel.values import VethEnd
from netlab.resources.base import InNode, Key, OnDevice, Resource, Stage, device_key, namespace_key

if TYPE_CHECKING:
    from netlab.kernel.port import Kernel

Setting: TypeAlias = tuple[str, int | str | bool]

LEAST_IPV6_MTU = 1280
"""Below it Linux takes IPv6 off the device (RFC 8200 section 5, addrconf_notify)."""


@dataclass(frozen=True)
class Veth(Resource):
    """A veth pair between two namespaces (or within one)."""

    stage: ClassVar[Stage] = Stage.LINK

    a_ns: str
    a_name: str
    b_ns: str
    b_name: str
    a_mac: str
    b_mac: str
    a_mtu: int
    b_mtu: int
    a_up: bool = True
    b_up: bool = True

    @property
    def ns(self) -> str:
        return self.a_ns

    @property
    def key(self) -> Key:
        return ("link", self.a_ns, self.a_name, self.b_ns, self.b_name)

    @property
    def provides(self) -> tuple[Key, ...]:
        return (self.key, device_key(self.a_ns, self.a_name), device_key(self.b_ns, self.b_name))

    @property
    def needs(self) -> tuple[Key, ...]:
        return (namespace_key(self.a_ns), namespace_key(self.b_ns))

    @property
    def words(self) -> str:
        return f"link {_node(self.a_ns)}:{self.a_name} – {_node(self.b_ns)}:{self.b_name}"

    def create(self, kernel: Kernel) -> None:
        kernel.add_veth(
            VethEnd(self.a_ns, self.a_name, self.a_mac, self.a_mtu, self.a_up),
            VethEnd(self.b_ns, self.b_name, self.b_mac, self.b_mtu, self.b_up),
        )

    def delete(self, kernel: Kernel) -> None:
        """Both ends: one of the namespaces may be gone, and its devices only soon."""
        kernel.del_device(self.a_ns, self.a_name)
        kernel.del_device(self.b_ns, self.b_name)

    def follows(self, before: Veth) -> bool:
        return _differ_in(self, before) <= {"a_mtu", "b_mtu"} and not any(
            crosses_ipv6(old, new)
            for old, new in ((before.a_mtu, self.a_mtu), (before.b_mtu, self.b_mtu))
        )

    def update(self, kernel: Kernel, before: Veth) -> None:
        if self.a_mtu != before.a_mtu:
            kernel.set_mtu(self.a_ns, self.a_name, self.a_mtu)
        if self.b_mtu != before.b_mtu:
            kernel.set_mtu(self.b_ns, self.b_name, self.b_mtu)

    def changes(self, before: Resource) -> str:
        """One ``mtu`` where both ends change alike, as the file says it."""
        assert isinstance(before, Veth)
        if before.a_mtu == before.b_mtu != self.a_mtu == self.b_mtu:
            return f"mtu {before.a_mtu} → {self.a_mtu}"
        ends = (
            (self.a_ns, self.a_name, before.a_mtu, self.a_mtu),
            (self.b_ns, self.b_name, before.b_mtu, self.b_mtu),
        )
        return "  ".join(
            f"mtu of {_node(ns)}:{name} {old} → {new}" for ns, name, old, new in ends if old != new
        )


@dataclass(frozen=True)
class Device(InNode):
    """A bridge or a vxlan; ``options`` by their ip(8) words."""

    stage: ClassVar[Stage] = Stage.DEVICE

    name: str
    kind: str
    mac: str
    mtu: int
    up: bool
    options: tuple[Setting, ...] = ()

    @property
    def key(self) -> Key:
        return device_key(self.home, self.name)

    @property
    def words(self) -> str:
        return f"{self.kind} {self.name}"

    def create(self, kernel: Kernel) -> None:
        kernel.add_device(
            self.home, self.name, self.kind, self.mac, self.mtu, self.up, dict(self.options)
        )

    def delete(self, kernel: Kernel) -> None:
        kernel.del_device(self.home, self.name)

    def follows(self, before: Device) -> bool:
        """A bridge takes new options and any device a new mtu; all else means a new device."""
        changed = _differ_in(self, before)
        if not changed <= {"mtu", "options"} or (0 in (before.mtu, self.mtu) and "mtu" in changed):
            return False
        same_words = [k for k, _ in self.options] == [k for k, _ in before.options]
        return (
            "options" not in changed or (self.kind == "bridge" and same_words)
        ) and not crosses_ipv6(before.mtu, self.mtu)

    def update(self, kernel: Kernel, before: Device) -> None:
        if self.options != before.options:
            changed = dict(set(self.options) - set(before.options))
            kernel.set_device(self.home, self.name, self.kind, changed)
        if self.mtu != before.mtu:
            kernel.set_mtu(self.home, self.name, self.mtu)


@dataclass(frozen=True)
class Tun(InNode):
    """A persistent tun or tap device, for a program to open by name."""

    stage: ClassVar[Stage] = Stage.DEVICE

    name: str
    mode: str
    mac: str
    mtu: int
    up: bool
    options: tuple[Setting, ...] = ()

    @property
    def key(self) -> Key:
        return device_key(self.home, self.name)

    @property
    def words(self) -> str:
        return f"{self.mode} {self.name}"

    def create(self, kernel: Kernel) -> None:
        kernel.add_tun(
            self.home, self.name, self.mode, self.mac, self.mtu, self.up, dict(self.options)
        )

    def delete(self, kernel: Kernel) -> None:
        kernel.del_device(self.home, self.name)


@dataclass(frozen=True)
class Port(InNode):
    """A device plugged into a bridge, with its port settings."""

    stage: ClassVar[Stage] = Stage.PORT

    name: str
    bridge: str
    options: tuple[Setting, ...] = ()

    @property
    def key(self) -> Key:
        return ("port", self.home, self.name)

    @property
    def needs(self) -> tuple[Key, ...]:
        return (device_key(self.home, self.name), device_key(self.home, self.bridge))

    @property
    def words(self) -> str:
        return f"port {self.name} of {self.bridge}"

    def create(self, kernel: Kernel) -> None:
        kernel.set_master(self.home, self.name, self.bridge)
        if self.options:
            kernel.set_port(self.home, self.name, dict(self.options))

    def delete(self, kernel: Kernel) -> None:
        kernel.set_master(self.home, self.name, "")


@dataclass(frozen=True)
class ForwardingEntry(OnDevice):
    """A static vxlan forwarding entry: this MAC is behind that tunnel end."""

    stage: ClassVar[Stage] = Stage.PORT

    mac: str
    remote: str

    @property
    def key(self) -> Key:
        return ("fdb", self.home, self.device, self.mac, self.remote)

    @property
    def words(self) -> str:
        return f"fdb {self.mac} dst {self.remote} dev {self.device}"

    def create(self, kernel: Kernel) -> None:
        kernel.add_fdb(self.home, self.device, self.mac, self.remote)

    def delete(self, kernel: Kernel) -> None:
        kernel.del_fdb(self.home, self.device, self.mac, self.remote)


@dataclass(frozen=True)
class Offload(OnDevice):
    """One ethtool(8) feature of a device, switched."""

    stage: ClassVar[Stage] = Stage.SETTING

    feature: str
    on: bool
    at_first: bool = True
    """What the device starts with."""

    @property
    def key(self) -> Key:
        return ("offload", self.home, self.device, self.feature)

    @property
    def words(self) -> str:
        return f"offload {self.feature} {'on' if self.on else 'off'} dev {self.device}"

    def create(self, kernel: Kernel) -> None:
        kernel.set_offload(self.home, self.device, self.feature, self.on)

    def delete(self, kernel: Kernel) -> None:
        kernel.set_offload(self.home, self.device, self.feature, self.at_first)

    def follows(self, before: Offload) -> bool:
        return True

    def changes(self, before: Resource) -> str:
        return "on → off" if not self.on else "off → on"


def crosses_ipv6(old: int, new: int) -> bool:
    """Whether a change of mtu takes IPv6 off the device, or should bring it back."""
    return (old < LEAST_IPV6_MTU) != (new < LEAST_IPV6_MTU)


def _differ_in(one: Any, other: Any) -> set[str]:
    return {f.name for f in fields(one) if getattr(one, f.name) != getattr(other, f.name)}


def _node(ns: str) -> str:
    return ns.partition(".")[2]
