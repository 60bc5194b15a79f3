"""The address that a node sends from: of IPv4 the first that fits, of IPv6 by RFC 6724."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING

from netlab.model.words import IP
from netlab.trace.explain.state import HOST, LINK, NodeState, Own

if TYPE_CHECKING:
    from netlab.trace.explain.route import Decision

LABELS = tuple(
    (IPv6Network(prefix), label)
    for prefix, label in (
        ("::1/128", 0), ("::ffff:0:0/96", 4), ("::/96", 3), ("2001::/32", 6), ("2001:10::/28", 7),
        ("3ffe::/16", 12), ("2002::/16", 2), ("fec0::/10", 11), ("fc00::/7", 5), ("::/0", 1),
    )
)  # fmt: skip
"""The kernel's policy table (net/ipv6/addrlabel.c), the longest prefixes first."""
UNUSABLE = frozenset({"tentative", "dadfailed"})


def source_of(state: NodeState, found: Decision) -> IP | None:
    """Of a packet that says none itself."""
    route, flow = found.route, found.flow
    if route is None:
        return None
    if route.source and (route.type != "local" or flow.version == 4):
        return ip_address(route.source)
    device = found.device
    if flow.version == 4:
        if route.type == "local":
            return flow.destination
        return select(state, device, found.next_hop if found.hop.gateway else flow.destination)
    return select_ipv6(state, device, flow.destination)


def select(state: NodeState, device: str, near: IP | None, scope: int = LINK) -> IP | None:
    """inet_select_addr: the device's first address on the subnet of ``near``, else its first."""
    first = None
    for own in state.of_device(device, 4):
        if own.held.scope > scope or "secondary" in own.held.flags:
            continue
        if near is None or _on_subnet(own, near):
            return own.ip
        first = first or own.ip
    if first is not None:
        return first
    for own in state.addresses:
        held = own.held
        fits = held.scope not in (LINK, HOST) and held.scope <= scope
        if own.ip.version == 4 and fits and "secondary" not in held.flags:
            return own.ip
    return None


def _on_subnet(own: Own, near: IP) -> bool:
    shift = 32 - own.held.length
    subnet = ip_address(own.held.peer) if own.held.peer else own.ip
    return int(subnet) >> shift == int(near) >> shift


def select_ipv6(state: NodeState, device: str, destination: IP) -> IP | None:
    """ipv6_dev_get_saddr; of equals the one that comes first."""
    assert isinstance(destination, IPv6Address)
    best: Own | None = None
    for own in _candidates(state, device, destination):
        if best is None or _rank(own, device, destination) > _rank(best, device, destination):
            best = own
    return best.ip if best else None


def _candidates(state: NodeState, device: str, destination: IPv6Address) -> Iterator[Own]:
    near = destination.is_link_local or destination.is_multicast or state.conf(
        6, device, "use_oif_addrs_only"
    )  # fmt: skip
    for own in state.addresses:
        if own.ip.version != 6 or UNUSABLE & set(own.held.flags) or own.ip.is_multicast:
            continue
        if not near or own.device == device:
            yield own


def _rank(own: Own, device: str, destination: IPv6Address) -> tuple[int, ...]:
    """Higher is better; the rules of RFC 6724 in their order."""
    assert isinstance(own.ip, IPv6Address)
    scope, wanted = _scope(own.ip), _scope(destination)
    fits = -scope if scope >= wanted else scope - 128
    return (
        own.ip == destination,
        fits,
        "deprecated" not in own.held.flags,
        own.device == device,
        _label(own.ip) == _label(destination),
        "temporary" not in own.held.flags,
        _common(own, destination),
    )


def _scope(address: IPv6Address) -> int:
    """Of multicast addresses it is written in them; else RFC 4007's."""
    if address.is_multicast:
        return int(address) >> 112 & 0xF
    if address.is_link_local or address.is_loopback:
        return 2
    return 5 if address.is_site_local else 14


def _label(address: IPv6Address) -> int:
    return next(label for network, label in LABELS if address in network)


def _common(own: Own, destination: IPv6Address) -> int:
    """Bits that both begin with, no more than belong to the prefix."""
    differs = int(own.ip) ^ int(destination)
    return min(128 - differs.bit_length(), own.held.length)
