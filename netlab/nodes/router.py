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

FORWARDING = {"net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "1"}


def resources(node: Node, site: Site) -> Iterator[Placed]:
    yield from host.resources(node, site, FORWARDING)


kind = NodeKind(settings=Node, resources=resources, forwards=True)
