"""The table every device kind fills in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from netlab.model.site import Nic
from netlab.model.topology import Interface
from netlab.resources.base import Placed


def _made_elsewhere(nic: Nic) -> Iterator[Placed]:
    return iter(())


def _no_ports(settings: Any) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class DeviceKind:
    settings: type[Interface]
    resources: Callable[[Nic], Iterator[Placed]] = _made_elsewhere
    """What makes the device; what every interface may have (addresses, …) comes by itself."""
    ports: Callable[[Any], tuple[str, ...]] = _no_ports
    """The interfaces that are ports of this one."""
    no_port: str = ""
    """Why it cannot be a port of a bridge."""
    addressed: bool = False
    """Whether it takes an automatic address, as the end of a link does."""
    segment: Callable[[Any], str] = lambda settings: ""
    """Devices of one non-empty answer share a segment (vxlan: its id)."""
    once: Callable[[Any], str] = lambda settings: ""
    """Devices of one non-empty answer cannot be in one node (vxlan: its id and port)."""
