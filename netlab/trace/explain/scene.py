"""Where a packet is when rules look at it: all that they can ask beside its headers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from netlab.model.words import IP
from netlab.trace.explain.choices import Choices
from netlab.trace.explain.packet import Packet
from netlab.trace.explain.sets import Put
from netlab.trace.explain.tracking import NOTHING, Seen

Layer = Literal["ip", "bridge", "netdev"]


@dataclass(frozen=True)
class Nic:
    """What rules may ask of a device."""

    name: str
    index: int
    kind: str
    """Its rtnetlink kind: ``veth``, ``bridge``; "" for lo."""
    type: int = 1
    """ARPHRD: 1 Ethernet, 772 loopback, 65534 none."""
    group: int = 0
    bridge: str = ""
    """The bridge that it is a port of."""


class Found(NamedTuple):
    """What ``fib`` gives: the type of an address or of the route to it, and the way out."""

    type: str
    device: str


Fib = Callable[[IP, IP | None, str, int], Found]
"""Of an address; the packet's other one, the device it has to go by ("" for any), the mark."""
AddressType = Callable[[IP, str], str]
"""Of an address, on one device or ("") on any."""


@dataclass(frozen=True)
class Scene:
    """A packet at a hook."""

    packet: Packet
    hook: str
    layer: Layer = "ip"
    incoming: str = ""
    outgoing: str = ""
    nics: Mapping[str, Nic] = field(default_factory=dict)
    seen: Seen = NOTHING
    to: str = "host"
    """Whom the frame is for: ``host``, ``other``, ``broadcast``, ``multicast``."""
    user: int | None = None
    """Whose socket it belongs to; None where it has none."""
    routed: bool = False
    """Whether its route is known by now."""
    fib: Fib | None = None
    address_type: AddressType | None = None
    choices: Choices = field(default_factory=Choices)
    seconds: float = 0.0
    """Now, since the epoch."""
    node: str = ""
    next_hop: IP | None = None
    puts: dict[tuple[str, ...], list[Put]] = field(default_factory=dict)
    """By node, family, table and set: what rules have put into it since; it changes."""

    def nic(self, name: str) -> Nic | None:
        return self.nics.get(name) if name else None
