"""What a kernel is told of and tells, as values; what asks for it is ``port.py``."""

from __future__ import annotations

from collections.abc import Mapping
from signal import Signals
from typing import Any, NamedTuple

Options = Mapping[str, int | str | bool]
"""Device settings by their ip(8) words, lower case, ``-`` written ``_``; times in seconds."""


class NextHop(NamedTuple):
    """One way out of a route: a gateway, a device, or both; ``weight`` 1 to 256."""

    gateway: str = ""
    device: str = ""
    weight: int = 1
    onlink: bool = False


class VethEnd(NamedTuple):
    """One end of a veth pair: created in place, never moved."""

    ns: str
    name: str
    mac: str
    mtu: int
    up: bool


class Running(NamedTuple):
    """A process of a lab, as it stands now."""

    state: str
    """``running``, ``exited`` with 0, ``failed``, ``waiting`` to be started again, ``stopped``."""
    pid: int = 0
    since: float = 0.0
    """Seconds since the epoch, of the last change of state."""
    restarts: int = 0
    code: int | None = None
    """Exit code of its last end, 128 + number for a signal; None where nobody saw one."""


class HeldRule(NamedTuple):
    """An nftables rule as the kernel holds it, and the line that made it, where that is known."""

    family: str
    table: str
    chain: str
    handle: int
    text: str
    """In nft syntax, with its counters."""
    place: str = ""
    """``file:line``."""
    packets: int | None = None
    bytes: int | None = None
    by: str = "netlab"
    """What translates its table: netlab, or libnftables where netlab does not cover it."""


Noted = Mapping[str, Any]
"""What a machine is like, as ``netlab.kernel.host`` notes and reads it: plain data, for JSON."""

Table = tuple[int, int]
"""Of routes: the version of IP, and the table's number."""


RulesKey = tuple[str, str]
"""Of a table of nftables: its family and its name."""


class RouteKey(NamedTuple):
    """What tells a route from all others of its namespace."""

    to: str
    table: int
    metric: int
    """0 for one of IPv4 that has none."""


class Held(NamedTuple):
    """What a namespace holds of what labs put there; somebody may have taken some of it away."""

    devices: frozenset[str]
    up: frozenset[str]
    """Devices that are switched on."""
    without_ipv6: frozenset[str]
    """Devices that take no IPv6 address: it is off there, or the mtu is too small."""
    addresses: frozenset[tuple[str, str]]
    """Device, and address without its prefix length."""
    routes: frozenset[RouteKey] | None
    """Whoever made them; None where nobody asked for them."""
    rules: frozenset[RulesKey] | None = None
    """nftables tables, by family and name; None where nobody asked, or the kernel has none."""


def signal_of(code: int) -> str:
    """``SIGKILL`` for 137; "" for what is no signal's code."""
    try:
        return Signals(code - 128).name if code > 128 else ""
    except ValueError:
        return ""
