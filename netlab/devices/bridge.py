"""A bridge inside a host, as a container host has one.

Example:
    br0: {kind: bridge, ports: [eth0, eth1], addresses: [172.17.0.1/16]}
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from netlab.devices.base import DeviceKind
from netlab.model.site import Nic
from netlab.model.topology import BridgeSettings, Interface
from netlab.model.words import InterfaceName
from netlab.resources.base import Placed
from netlab.resources.device import Device


class Bridge(BridgeSettings, Interface):
    """A bridge device."""

    ports: tuple[InterfaceName, ...] = Field((), description="The interfaces plugged in.")


def resources(nic: Nic) -> Iterator[Placed]:
    settings = nic.settings
    assert isinstance(settings, Bridge)
    options = settings.bridge_options()
    yield nic.origin, Device(nic.ns, nic.name, "bridge", nic.mac, nic.mtu, settings.up, options)


kind = DeviceKind(
    settings=Bridge,
    resources=resources,
    ports=lambda settings: settings.ports,
    no_port="it is a bridge itself",
    addressed=True,
)
