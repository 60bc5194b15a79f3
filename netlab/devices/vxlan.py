"""A vxlan tunnel end (RFC 7348).

Example:
    vx100: {kind: vxlan, id: 100, remote: 203.0.113.2, addresses: [10.100.0.1/24]}
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field, ValidationInfo, field_validator, model_validator

from netlab.devices.base import DeviceKind
from netlab.model.site import Nic
from netlab.model.topology import Frozen, Interface
from netlab.model.words import IP, AnIP, Mac
from netlab.resources.base import Placed
from netlab.resources.device import Device, ForwardingEntry, Setting

EVERYTHING_ELSE = "00:00:00:00:00:00"
"""The MAC of bridge(8)'s default destination: broadcast, multicast, unknown unicast."""


class Fdb(Frozen):
    """A static forwarding entry."""

    mac: Mac | None = Field(
        None,
        description="The MAC behind that tunnel end; absent: all that is unknown or broadcast.",
    )
    remote: AnIP = Field(description="The tunnel end to send it to.")


class Vxlan(Interface):
    """A vxlan device."""

    id: int = Field(ge=1, le=2**24 - 1, description="VXLAN network identifier (VNI).")
    remote: AnIP | None = Field(None, description="The other tunnel end, for a tunnel between two.")
    local: AnIP | None = Field(None, description="Source address of the outer packets.")
    port: int = Field(4789, ge=1, le=65535, description="UDP port (IANA: 4789).")
    learning: bool = Field(True, description="Learn which MAC is behind which tunnel end.")
    fdb: tuple[Fdb, ...] = Field((), description="Static forwarding entries.")

    @field_validator("remote", "local")
    @classmethod
    def _one_end(cls, ip: IP | None, info: ValidationInfo) -> IP | None:
        """Groups and links would need a device below, which is not the kernel's to guess."""
        if ip is not None and ip.is_multicast:
            instead = "write each tunnel end under `fdb`" if info.field_name == "remote" else ""
            raise ValueError(f"{ip} is a multicast group{instead and ': '}{instead}")
        if ip is not None and ip.version == 6 and ip.is_link_local:
            raise ValueError(f"{ip} is link-local: a tunnel end needs an address of wider scope")
        return ip

    @model_validator(mode="after")
    def _one_family(self) -> Vxlan:
        ends = [self.remote, self.local, *(entry.remote for entry in self.fdb)]
        if len({ip.version for ip in ends if ip is not None}) > 1:
            raise ValueError("remote, local and fdb must be of one address family")
        if self.version == 4 and any(entry.remote.version == 6 for entry in self.fdb):
            raise ValueError("with tunnel ends of IPv6, `local` or `remote` must say so")
        return self

    @property
    def version(self) -> int:
        """Of its tunnel: IPv4 unless an end of its own says otherwise."""
        return next((ip.version for ip in (self.local, self.remote) if ip is not None), 4)


def resources(nic: Nic) -> Iterator[Placed]:
    settings = nic.settings
    assert isinstance(settings, Vxlan)
    options: list[Setting] = [("id", settings.id), ("dstport", settings.port)]
    options += [("learning", settings.learning)]
    options += [(k, str(ip)) for k in ("remote", "local") if (ip := getattr(settings, k))]
    device = Device(nic.ns, nic.name, "vxlan", nic.mac, nic.mtu, settings.up, tuple(options))
    yield nic.origin, device
    for place, entry in enumerate(settings.fdb):
        mac = entry.mac or EVERYTHING_ELSE
        forwarding = ForwardingEntry(nic.ns, nic.name, mac, str(entry.remote))
        yield (*nic.origin, "fdb", place), forwarding


kind = DeviceKind(
    settings=Vxlan,
    resources=resources,
    addressed=True,
    segment=lambda s: f"vxlan {s.id}",
    once=lambda s: f"vxlan id {s.id} on IPv{s.version} port {s.port}",
)
