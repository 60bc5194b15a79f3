"""A host that forwards, IPv4 and IPv6.

Example:
    r1: {kind: router}
"""

from __future__ import annotations

from collections.abc import Iterator

from netlab.model.site import Site
from netlab.model.topology import Node
from netlab.nodes import host
from netlab.nodes.base import NodeKind
from netlab.resources.base import Placed
from netlab.resources.network import Sysctl

FORWARDING = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding")


def resources(node: Node, site: Site) -> Iterator[Placed]:
    for name in FORWARDING:
        if name not in node.sysctls:
            yield site.path, Sysctl(site.ns, name, "1")
    yield from host.resources(node, site)


kind = NodeKind(settings=Node, resources=resources, forwards=True)
