"""A vxlan tunnel end (RFC 7348).

Example:
    vx100: {kind: vxlan, id: 100, remote: 203.0.113.2, addresses: [10.100.0.1/24]}
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field, model_validator

from netlab.devices.base import DeviceKind
from netlab.model.site import Nic
from netlab.model.topology import Frozen, Interface
from netlab.model.words import AnIP, Mac
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

    @model_validator(mode="after")
    def _one_family(self) -> Vxlan:
        ends = [self.remote, self.local, *(entry.remote for entry in self.fdb)]
        if len({ip.version for ip in ends if ip is not None}) > 1:
            raise ValueError("remote, local and fdb must be of one address family")
        return self


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
    settings=Vxlan, resources=resources, addressed=True, segment=lambda s: f"vxlan {s.id}"
)
