"""What a plan is read as, against what the kernel holds once the lab is up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from netlab.cli.explain import of_file
from netlab.cli.explain import of_lab as held_of
from netlab.cli.trace import lab_of
from netlab.kernel.holding import HeldHop, HeldLink, HeldRoute
from netlab.trace.explain.state import NodeState, World
from tests.live.conftest import Write
from tests.live.world import ROOT, done, settled

TOPOLOGIES = sorted(ROOT.glob("topologies/*.yaml"))
ALIVE = frozenset({"dhcp-dns", "ospf", "slaac"})
"""Programs of theirs give addresses and routes, which no plan knows."""


@pytest.mark.parametrize("file", TOPOLOGIES, ids=lambda file: file.stem)
def test_a_plan_is_what_the_kernel_holds(file: Path, write: Write) -> None:
    if file.stem in ALIVE:
        pytest.skip("its programs change what the nodes hold")
    topology = write(renamed(file))
    for beside in filter(Path.is_dir, file.parent.iterdir()):
        (topology.parent / beside.name).symlink_to(beside)
    planned = of_file(str(topology))
    done("up", topology)
    held = held_of(*lab_of(str(topology)))
    for node in held.nodes:
        if told(planned, node) != told(held, node):  # IPv6 begins when the carrier has been noticed
            held = settled(
                lambda: held_of(*lab_of(str(topology))),
                lambda held, node=node: told(planned, node) == told(held, node),
            )
        assert told(planned, node) == told(held, node), node


def renamed(file: Path) -> str:
    """Under the test's own name, which the file's stem gives."""
    lines = file.read_text().splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("name:"))


def told(world: World, node: str) -> Mapping[str, object]:
    """What is compared: without what is counted and learned."""
    state = world.nodes[node]
    holding = state.holding
    quiet = {link.name for link in holding.links if not link.carrier}
    return {
        "links": {link.name: _link(link) for link in holding.links},
        "addresses": sorted(
            (a.device, a.address, a.length, a.scope, tuple(f for f in a.flags if f != "tentative"))
            for a in holding.addresses
            if a.device not in quiet
        ),
        "first addresses": [a.address for a in holding.addresses if a.scope == 0],
        "routes": sorted(map(_route, holding.routes)),
        "rules": sorted(holding.policies),
        "neighbours": sorted(n for n in holding.neighbours if n.state == "permanent"),
        "peers": {link: world.peer(node, link) for link in state.links},
        "chains": [
            (c.family, c.table, c.name, c.hook, c.type, c.priority, c.policy, len(c.rules))
            for table in state.ruleset.tables
            for c in table.chains.values()
        ],
        "switches": _switches(state),
    }


def _link(link: HeldLink) -> object:
    return link._replace(number=0, conf6={**link.conf6, "mtu": 0} if link.conf6 else {})


def _route(route: HeldRoute) -> HeldRoute:
    hops = tuple(sorted(HeldHop(h.gateway, h.device, h.weight, h.onlink) for h in route.hops))
    return route._replace(hops=hops, protocol=0, scope=0)


def _switches(state: NodeState) -> object:
    names = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", "net.ipv4.conf.all.rp_filter")
    return {name: state.switch(name) for name in names}
