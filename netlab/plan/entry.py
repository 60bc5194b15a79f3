"""What programs in the nodes cannot be shown: names that clash, files where none can be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from netlab.model.site import Path
from netlab.model.topology import Resolver, Topology
from netlab.plan.around import Around

Wrong: TypeAlias = tuple[Path, str, str]
"""Where, what, and what would be right."""

OF_EVERY_NODE = ("localhost", "ip6-localhost", "ip6-loopback")
"""Names in /etc/hosts that mean each node itself."""


def wrong_names(topology: Topology) -> Iterator[Wrong]:
    """Those in hosts(5) have no capitals."""
    if not any(node.hosts for node in topology.nodes.values()):
        return
    first = dict.fromkeys(OF_EVERY_NODE, "every node's name for itself")
    for name in topology.nodes:
        if name.lower() in first:
            hint = "choose another name, or say `hosts: false` in all nodes"
            yield ("nodes", name), f"in /etc/hosts {name} is {first[name.lower()]}", hint
        first.setdefault(name.lower(), f"the same name as {name}")


def wrong_files(topology: Topology, around: Around) -> Iterator[Wrong]:
    for name, node in topology.nodes.items():
        if "/etc/resolv.conf" in node.files and node.resolv_conf != Resolver():
            hint = "either it or `resolv_conf`"
            yield ("nodes", name, "files", "/etc/resolv.conf"), "the node has two of them", hint
        for path in node.files:
            if why := around.unshowable(path):
                yield ("nodes", name, "files", path), why, ""
