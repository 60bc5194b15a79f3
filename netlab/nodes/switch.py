"""A bridge in a namespace of its own, with every interface plugged in.

Example:
    sw1: {kind: switch, stp: true, priority: 4096}
"""

from __future__ import annotations

from collections.abc import Iterator

from netlab.model.site import Site
from netlab.model.topology import BridgeSettings, Node
from netlab.nodes import host
from netlab.nodes.base import NodeKind
from netlab.resources.base import Placed
from netlab.resources.device import Device

BRIDGE = "br0"


class Switch(BridgeSettings, Node):
    """A node that switches frames between all its interfaces."""


QUIET = {"net.ipv6.conf.default.disable_ipv6": "1"}
"""A switch has no business in IPv6: its ports would announce themselves on every segment."""


def resources(node: Switch, site: Site) -> Iterator[Placed]:
    for nic in site.nics:
        if nic.name == BRIDGE:
            yield (
                site.path,
                Device(
                    site.ns,
                    BRIDGE,
                    "bridge",
                    nic.mac,
                    nic.mtu,
                    nic.settings.up,
                    node.bridge_options(),
                ),
            )
    yield from host.resources(node, site, QUIET | _heard(site))


def _heard(site: Site) -> dict[str, str]:
    """Its own bridge speaks IPv6 where somebody wrote it an address."""
    bridges = (nic for nic in site.nics if nic.name == BRIDGE)
    speaks = any(a.version == 6 for nic in bridges for a in nic.addresses)
    return {f"net.ipv6.conf.{BRIDGE}.disable_ipv6": "0"} if speaks else {}


kind = NodeKind(settings=Switch, resources=resources, bridge=BRIDGE)
