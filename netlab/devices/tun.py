"""A tun device: a program reads and writes whole IP packets.

Example:
    tun0: {kind: tun, addresses: [10.8.0.1/24]}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pydantic import Field, field_validator

from netlab.devices.base import DeviceKind
from netlab.model.site import Nic
from netlab.model.topology import Interface
from netlab.model.words import Mac
from netlab.resources.base import Placed
from netlab.resources.device import Tun

LAST_ID = 2**31 - 1
"""What fcntl.ioctl takes; the kernel's own last one is 2**32 - 2."""


class TunSettings(Interface):
    """A persistent device of /dev/net/tun, opened by a program under its name."""

    owner: int | None = Field(
        None, ge=0, le=LAST_ID, description="Numeric user id that may open the device."
    )
    group: int | None = Field(
        None, ge=0, le=LAST_ID, description="Numeric group id that may open the device."
    )
    multi_queue: bool = Field(
        False, description="Let several programs or threads open one queue each."
    )


def maker(mode: str, *, has_mac: bool) -> Callable[[Nic], Iterator[Placed]]:
    """The ``resources`` of tun and tap; a tun device has no hardware address."""

    def resources(nic: Nic) -> Iterator[Placed]:
        settings = nic.settings
        assert isinstance(settings, TunSettings)
        words = {k: getattr(settings, k) for k in ("owner", "group")}
        options = tuple((k, v) for k, v in words.items() if v is not None)
        options += (("multi_queue", True),) if settings.multi_queue else ()
        mac = nic.mac if has_mac else ""
        yield nic.origin, Tun(nic.ns, nic.name, mode, mac, nic.mtu, settings.up, options)

    return resources


class WithoutMac(TunSettings):
    """A tun device."""

    @field_validator("mac")
    @classmethod
    def _no_mac(cls, mac: Mac | None) -> Mac | None:
        if mac is not None:
            raise ValueError("a tun device carries packets, not frames: it has no MAC")
        return mac


kind = DeviceKind(
    settings=WithoutMac,
    resources=maker("tun", has_mac=False),
    no_port="a tun device carries packets, not frames",
)
