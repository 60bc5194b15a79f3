"""A tap device: a program reads and writes Ethernet frames.

Example:
    tap0: {kind: tap, addresses: [10.9.0.1/24]}
"""

from pydantic import Field

from netlab.devices.base import DeviceKind
from netlab.devices.tun import TunSettings, maker

LARGEST = 65535 - 14
"""The kernel counts the frame's own header (drivers/net/tun.c, tun_net_initialize)."""


class Tap(TunSettings):
    """A tap device."""

    mtu: int | None = Field(None, ge=68, le=LARGEST, description="Largest packet in bytes.")


kind = DeviceKind(settings=Tap, resources=maker("tap", has_mac=True))
