"""What is known about the place where a packet was last seen: what the causes are found by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netlab.trace.facts import Facts, LinkFact
from netlab.trace.model import Chain, Dropped, Packet, Probe, Route, Rule, Rx, Step
from netlab.trace.terrain import Terrain


@dataclass(frozen=True)
class Evidence:
    """Of one leg that did not arrive, or of the whole where its beginning is missing."""

    probe: Probe
    terrain: Terrain
    leg: str
    """``forward``, ``reply``, ``error``."""
    node: str
    """Where it was last seen."""
    facts: Facts
    stage: str = ""
    """How far it came there, see ``assemble``; "" where it never was sent."""
    inside: str = ""
    """The hook that it did not come out of."""
    device: str = ""
    """The device it was last at."""
    packet: Packet | None = None
    """As it was last seen."""
    chain: Chain | None = None
    """The one that dropped it."""
    rule: Rule | None = None
    """Of that chain, the rule that did; None where its policy did."""
    route: Route | None = None
    """The last one that was looked up, or would have been."""
    steps: tuple[Step, ...] = ()
    """Of the last hop."""
    passed: tuple[str, ...] = ()
    """The nodes on the way, the last one included."""
    beyond: Facts | None = None
    """Of the node at the other end of the last device."""
    beyond_device: str = ""
    error: str = ""
    """The ICMP error that came of it: ``icmp 3/1``; "" for none."""
    error_maker: str = ""
    """The node that made it."""
    error_lost: str = ""
    """The node where it ended, if it did not come to whom it was sent to."""
    answered: bool = False
    """Whether there was any reply at all, wherever it ended."""
    forward_way: tuple[str, ...] = ()
    """Of a reply, the nodes that the probe had passed."""
    hooks_seen: bool = True
    """Whether nftables' trace was there to tell about hooks."""
    freed: Dropped | None = None
    """What the kernel said of its end, where a backend saw that."""
    arrived: bool = False
    """Whether the IP of the last node took it in."""
    reset: bool = False
    """Whether what came back is a TCP reset."""
    all_facts: Mapping[str, Facts] = field(default_factory=dict)

    @property
    def link(self) -> LinkFact | None:
        return self.facts.links.get(self.device)

    @property
    def beyond_link(self) -> LinkFact | None:
        return self.beyond.links.get(self.beyond_device) if self.beyond else None

    @property
    def next_hop(self) -> str:
        """The address that has to be on the segment; "" where none is known."""
        return (self.route.via or self.route.destination) if self.route else ""

    @property
    def segment(self) -> list[tuple[str, LinkFact]]:
        """The devices between here and the node that has the next hop's address, by node."""
        out = self.route.device if self.route else self.device
        for goal in self.terrain.holders.get(self.next_hop, ()):
            way = self.terrain.segment_way(self.node, out, goal)
            found = [(node, self._link(node, device)) for node, device in way]
            return [(node, link) for node, link in found if link is not None]
        return []

    def _link(self, node: str, device: str) -> LinkFact | None:
        facts = self.all_facts.get(node)
        return facts.links.get(device) if facts else None

    @property
    def came_by(self) -> str:
        """The device that routing saw it come in by; of a bridge's port, the bridge."""
        device = next((s.device for s in reversed(self.steps) if isinstance(s, Rx)), "")
        return self.terrain.bridge_of(self.node, device) or device

    @property
    def out(self) -> LinkFact | None:
        """The device that it was to leave by, as far as routing decided."""
        return self.facts.links.get(self.route.device) if self.route else None

    @property
    def out_port(self) -> LinkFact | None:
        """Of a bridge: the port that leads to the MAC where the frame goes."""
        bridge = self.terrain.bridge_of(self.node, self.device)
        mac = self.packet.destination_mac if self.packet else ""
        goal = self.terrain.with_mac(mac)
        for port in self.facts.links.values():
            is_other = port.master == bridge and port.name != self.device
            if is_other and goal and self.terrain.segment_way(self.node, port.name, goal):
                return port
        return None

    @property
    def ports(self) -> list[tuple[str, LinkFact]]:
        """The bridges' ports that it had to pass from where it was last seen, by node."""
        if self.terrain.bridge_of(self.node, self.device) and self.stage != "postrouting":
            here = (self.link, self.out_port)
            return [(self.node, link) for link in here if link is not None]
        return [(node, link) for node, link in self.segment if link.master]

    @property
    def peer_of_tunnel(self) -> str:
        """The other end of the tunnel that it is in; "" where it is in none."""
        within = self.packet.within if self.packet else ""
        return within.rpartition(" → ")[2]

    @property
    def destination(self) -> str:
        return self.packet.destination if self.packet else self.probe.destination

    @property
    def source(self) -> str:
        return self.packet.source if self.packet else self.probe.source

    @property
    def ip(self) -> str:
        """``ipv4`` or ``ipv6``, as sysctls are called."""
        return "ipv6" if ":" in self.destination else "ipv4"

    def grew(self, *names: str) -> str:
        """The first of some counters that did, in words; "" for none."""
        for name in names:
            if count := self.facts.counts.get(name, 0):
                return f"{name} of {self.node} grew by {count}"
        return ""
