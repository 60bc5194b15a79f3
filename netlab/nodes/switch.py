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
from netlab.resources.network import Sysctl

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
            if any(a.version == 6 for a in nic.addresses):
                name = f"net.ipv6.conf.{BRIDGE}.disable_ipv6"
                yield nic.origin, Sysctl(site.ns, name, "0", BRIDGE)
    yield from host.resources(node, site, QUIET)


kind = NodeKind(settings=Switch, resources=resources, bridge=BRIDGE)
