"""Why a packet ended, by the same table of causes as for one that was seen: ``netlab.trace.why``.

What the table asks for beside the place are facts of nodes: those are read off their states.
"""

from __future__ import annotations

from netlab.trace import why
from netlab.trace.evidence import Evidence
from netlab.trace.explain import route
from netlab.trace.explain.packet import as_told
from netlab.trace.explain.state import NodeState
from netlab.trace.explain.story import Fate, Story
from netlab.trace.facts import AddressFact, Facts, FdbFact, LinkFact, NeighbourFact
from netlab.trace.model import Cause, Disposition, Hop, Probe, Route

COUNTERS = {
    "rp-filter": "TcpExt.IPReversePathFilter",
    "forwarding-off": "Ip.InAddrErrors",
}
"""What the kernel would count at the end of that name."""


def judged(
    story: Story,
    probe: Probe,
    leg: str,
    fate: Fate,
    back: Fate | None,
    forward_way: tuple[str, ...] = (),
) -> tuple[Disposition, Cause | None]:
    """``back``: what came of the answer or the error to it, if there was one."""
    evidence = _evidence(story, probe, leg, fate, back, forward_way)
    disposition, cause = why.explain(evidence)
    if cause is not None and (disposition == fate.disposition or fate.arrived):
        return disposition, cause
    named = why.by_name(fate.cause, evidence) if fate.cause else None
    if named is not None:
        return fate.disposition, named
    if fate.disposition in (Disposition.NO_NEIGHBOUR, Disposition.NOT_SWITCHED) and cause:
        return disposition, cause
    return fate.disposition, None


def _evidence(
    story: Story,
    probe: Probe,
    leg: str,
    fate: Fate,
    back: Fate | None,
    forward_way: tuple[str, ...],
) -> Evidence:
    nodes = story.world.nodes
    facts = {name: facts_of(story, state, probe.protocol) for name, state in nodes.items()}
    here = facts[fate.node]
    if fate.cause in COUNTERS:
        here = Facts(**vars(here) | {"counts": {COUNTERS[fate.cause]: 1}})
    peer, far = story.world.peer(fate.node, fate.device) if fate.stage == "tx" else ("", "")
    sent = fate.made is not None and (back is None or bool(back.stage or back.hook))
    made = fate.made.packet if fate.made and sent else None
    error = as_told(made) if made is not None and made.is_error else None
    return Evidence(
        probe=probe,
        terrain=story.world.terrain,
        leg=leg,
        node=fate.node,
        facts=here,
        stage=fate.stage,
        inside=fate.hook,
        device=fate.device,
        packet=as_told(fate.packet),
        chain=fate.chain,
        rule=fate.rule,
        route=_route(story, fate, back),
        steps=fate.trail.hops[-1].steps if fate.trail.hops else (),
        passed=fate.trail.nodes,
        beyond=facts.get(peer),
        beyond_device=far,
        error=f"{error.protocol} {error.icmp}" if error else "",
        error_maker=fate.node if error else "",
        error_lost=back.node if error and back and not back.arrived else "",
        answered=made is not None and error is None,
        forward_way=forward_way,
        arrived=fate.arrived,
        reset=bool(made and made.protocol == "tcp" and "R" in as_told(made).flags),
        all_facts=facts,
    )


def _route(story: Story, fate: Fate, back: Fate | None) -> Route | None:
    """Of a packet that was answered in vain: the one that the answer did not find."""
    decided = fate.decided
    state = story.state(fate.node)
    if fate.arrived and back is not None and not back.stage and back.decided:
        decided = back.decided
    return route.as_told(state, decided) if decided else None


def facts_of(story: Story, state: NodeState, protocol: str) -> Facts:
    holding = state.holding
    waiting = tuple(one for one in holding.listeners if one.protocol == protocol)
    silent = [
        NeighbourFact(str(address), device, mac, "reachable" if mac else "failed")
        for (node, device, address), mac in story.neighbours.items()
        if node == state.node
    ]
    return Facts(
        state.node,
        {
            link.name: LinkFact(
                link.name, link.kind, link.up, link.carrier, link.mtu, link.mac,
                link.port.bridge if link.port else "", link.port.state if link.port else "",
                bool(link.port and link.port.isolated), bool(link.port and link.port.hairpin),
                link.vxlan.remote if link.vxlan else "",
            )
            for link in holding.links
        },
        tuple(AddressFact(a.device, a.address, a.length, a.flags) for a in holding.addresses),
        (
            *silent,
            *(NeighbourFact(n.address, n.device, n.mac, n.state) for n in holding.neighbours),
        ),
        tuple(
            FdbFact(f.mac, f.device, f.bridge, f.local, f.remote) for f in holding.forwarding
        ),
        sysctls=dict(holding.switches) | _of_devices(state),
        listening=frozenset(one.port for one in waiting),
        waiting=waiting,
    )  # fmt: skip


def _of_devices(state: NodeState) -> dict[str, str]:
    return {
        f"net.ipv4.conf.{link.name.replace('.', '/')}.{name}": str(value)
        for link in state.holding.links
        for name, value in link.conf4.items()
    }


def with_last(hops: tuple[Hop, ...], *steps: object) -> tuple[Hop, ...]:
    last = hops[-1]
    return (*hops[:-1], Hop(last.node, last.role, (*last.steps, *steps)))  # type: ignore[arg-type]
