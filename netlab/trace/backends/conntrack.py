"""Connection tracking: the entries of the probe's connection, both directions as expected.

Looked up at the end, in the nodes that said they track it; without nftables' trace, in those that
it came through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netlab.errors import KernelRefused, MachineLacks
from netlab.kernel import conntrack
from netlab.kernel.connection import Connection, Direction
from netlab.trace.assemble import end_words
from netlab.trace.backends.base import Backend, Scene
from netlab.trace.headers import NAMES, parse
from netlab.trace.sighting import Sighting


@dataclass
class Tracking:
    """See ``netlab.trace.backends.base.Watch``."""

    scene: Scene
    refusal: str = ""

    def files(self) -> Sequence[int]:
        return ()

    def read(self) -> list[Sighting]:
        return []

    def end(self, seen: Sequence[Sighting]) -> list[Sighting]:
        nodes = {s.node for s in seen if s.ct_id} or {s.node for s in seen if s.point == "rx"}
        flows = {flow for s in seen if (flow := _flow(s))}
        spaces = {self.scene.nodes[node]: node for node in nodes}
        try:
            found = self.scene.visits.each(dict.fromkeys(spaces, conntrack.tracked))
        except (OSError, KernelRefused, MachineLacks) as problem:
            self.refusal = f"connections could not be read: {problem}"
            return []
        return [
            _sighting(spaces[ns], connection)
            for ns, tracked in found.items()
            for connection in tracked.connections
            if _ends(connection.original) in flows or _ends(connection.reply) in flows
        ]

    def gaps(self) -> list[str]:
        return [self.refusal] if self.refusal else []

    def close(self) -> None:
        """Nothing was opened."""


def _flow(seen: Sighting) -> tuple[str, str]:
    """Both ends, where the headers of the probe or of its answer were seen."""
    headers = parse(seen.network, seen.transport) if seen.network else None
    if headers is None:
        return ("", "")
    packet = headers.innermost.packet
    if packet.protocol not in NAMES.values() or headers.is_error:
        return ("", "")
    source = end_words(packet.source, packet.source_port)
    return source, end_words(packet.destination, packet.destination_port)


def _ends(direction: Direction) -> tuple[str, str]:
    source, destination = direction.source, direction.destination
    to = end_words(destination.address, destination.port or 0)
    return end_words(source.address, source.port or 0), to


def _sighting(node: str, connection: Connection) -> Sighting:
    return Sighting(
        node,
        "conntrack",
        "connection",
        original=" → ".join(_ends(connection.original)),
        reply=" → ".join(_ends(connection.reply)),
        ct_state=connection.state,
        name=" ".join(connection.status),
    )


def obstacle() -> str:
    try:
        conntrack.tracked()
    except (OSError, MachineLacks) as problem:
        return str(problem)
    return ""


backend = Backend(
    about="the connection that a packet belongs to, and how NAT translates it",
    option="CONFIG_NF_CT_NETLINK",
    obstacle=obstacle,
    watch=Tracking,
)
