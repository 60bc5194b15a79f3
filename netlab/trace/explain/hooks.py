"""A netfilter hook, passed: tracking, chains by their priorities, translation."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, NamedTuple

from netlab.model.words import IP
from netlab.trace import model
from netlab.trace.explain.evaluate import Outcome, go_through
from netlab.trace.explain.packet import Packet, as_told
from netlab.trace.explain.route import Flow, address_type, decide
from netlab.trace.explain.ruleset import Chain
from netlab.trace.explain.scene import Found, Layer, Scene
from netlab.trace.explain.story import Fate, Story, Trail
from netlab.trace.explain.tracking import NOTHING, Seen, changes, in_words, translate
from netlab.trace.explain.translating import translated
from netlab.trace.model import Disposition, Hooks, Step

TRACKING = -200
DESTINATION, SOURCE = -100, 100
"""Priorities at which the kernel translates, whatever those of the chains of NAT are."""
TRANSLATES: dict[str, tuple[int, Literal["source", "destination"]]] = {
    "prerouting": (DESTINATION, "destination"),
    "output": (DESTINATION, "destination"),
    "postrouting": (SOURCE, "source"),
    "input": (SOURCE, "source"),
}
FIRST = frozenset({"prerouting", "output"})
LAST = frozenset({"postrouting", "input"})


class Passed(NamedTuple):
    packet: Packet
    seen: Seen
    verdict: str
    steps: tuple[Step, ...]
    outcome: Outcome | None = None
    """Of the chain that decided, where it was not let through."""
    chain: model.Chain | None = None
    reroute: bool = False
    """Whether its route has to be looked up again."""


class Passage:
    """One packet at one hook."""

    def __init__(self, story: Story, scene: Scene, *, bridged: bool = False) -> None:
        self.story = story
        self.scene = scene
        self.bridged = bridged
        self.state = story.state(scene.node)
        self.chains: list[model.Chain] = []
        self.after: list[Step] = []
        self.outcome: Outcome | None = None
        self.reroute = False

    def go(self) -> Passed:
        first = self.scene.packet
        verdict = "accept"
        for act in self._entries():
            verdict = act() if callable(act) else self._chain(act)
            if verdict != "accept":
                break
        if verdict == "queue":
            verdict = self._queued()
        if verdict == "accept" and self.scene.hook in LAST and self.scene.layer == "ip":
            self.story.tracker(self.scene.node).confirm(self.scene.seen)
        steps: list[Step] = []
        if self.chains or (self.scene.layer == "ip" and not self.bridged):
            steps.append(self._told(first))
        chain = self.chains[-1] if self.chains else None
        return Passed(
            self.scene.packet, self.scene.seen, verdict, (*steps, *self.after), self.outcome,
            chain, self.reroute,
        )  # fmt: skip

    def _told(self, packet: Packet) -> Step:
        scene = self.scene
        device = (scene.incoming or scene.outgoing) if scene.layer != "ip" else ""
        return model.Hook(
            _hook(scene.hook), scene.layer, tuple(self.chains), device, self.bridged,
            as_told(packet),
        )  # fmt: skip

    def _entries(self) -> list[object]:
        """Of one priority, the newest first: translation is as old as the first chain of it."""
        scene = self.scene
        device = scene.incoming or scene.outgoing if scene.layer == "netdev" else ""
        rules = self.state.ruleset
        version = scene.packet.version
        layer = "arp" if scene.packet.protocol == "arp" and scene.layer == "ip" else scene.layer
        found = rules.base_chains(layer, scene.hook, version, device)
        entries: list[tuple[tuple[int, int], object]] = [
            ((chain.priority, -chain.number), chain) for chain in found if chain.type != "nat"
        ]
        if scene.layer == "ip" and rules.tracks(version):
            if scene.hook in FIRST:
                entries.append(((TRACKING, 0), self._track))
            first = rules.translates(version)
            if scene.hook in TRANSLATES and first is not None:
                nat = [chain for chain in found if chain.type == "nat"]
                place = (TRANSLATES[scene.hook][0], -first)
                entries.append((place, lambda: self._translate(nat)))
        return [act for _, act in sorted(entries, key=lambda entry: entry[0])]

    # what happens there

    def _chain(self, chain: object) -> str:
        assert isinstance(chain, Chain)
        before = self.scene.packet
        outcome = self._through(chain)
        self.scene = replace(self.scene, packet=outcome.packet, seen=outcome.seen)
        if chain.type == "route" and _routed_by(before) != _routed_by(outcome.packet):
            self.reroute = True
        return outcome.verdict

    def _through(self, chain: Chain) -> Outcome:
        outcome = go_through(chain, self.state.ruleset, self.scene)
        self.chains.append(outcome.chain)
        self.after += [model.Note(note) for note in outcome.notes]
        self.outcome = outcome
        where = (self.scene.node, chain.family, chain.table)
        self.story.counted += [(*where, rule) for rule in outcome.counted]
        return outcome

    def _track(self) -> str:
        if self.scene.seen is NOTHING:
            seen = self.story.tracker(self.scene.node).look(self.scene.packet)
            self.scene = replace(self.scene, seen=seen)
        self.after.append(told(self.scene.seen))
        return "accept"

    def _translate(self, chains: list[Chain]) -> str:
        seen, what = self.scene.seen, TRANSLATES[self.scene.hook][1]
        connection = seen.connection
        if connection is None:
            return "accept"
        rule = None
        undecided = what not in connection.translated and not self.scene.packet.is_error
        if seen.state in ("new", "related") and undecided:
            for chain in chains:
                outcome = self._through(chain)
                if outcome.verdict != "accept":
                    return outcome.verdict
                if outcome.translation is not None:
                    rule = outcome.chain.rules[-1]
                    if not translated(self.story, self.scene, outcome.translation):
                        return "drop"
                    break
            connection.translated.add(what)
        self._rewrite(what, rule)
        return "accept"

    def _rewrite(self, what: Literal["source", "destination"], rule: model.Rule | None) -> None:
        before = self.scene.packet
        packet = translate(before, self.scene.seen, what)
        self.scene = replace(self.scene, packet=packet)
        found = changes(before, packet)
        if found:
            self.after.append(model.Nat(_hook(self.scene.hook), found, rule))
            self.reroute |= what == "destination"

    def _queued(self) -> str:
        question = f"what the program says that {self.scene.node} queues the packet for"
        return ("accept", "drop")[self.story.choices.choose(question, ("accept", "drop"))]


def _hook(name: str) -> Hooks:
    found: dict[str, Hooks] = {
        "ingress": "ingress", "prerouting": "prerouting", "input": "input", "forward": "forward",
        "output": "output", "postrouting": "postrouting", "egress": "egress",
    }  # fmt: skip
    return found[name]


def _routed_by(packet: Packet) -> tuple[object, ...]:
    """What a chain of type route may change so that the kernel looks for another way."""
    return packet.source, packet.destination, packet.mark, packet.tos


def told(seen: Seen) -> model.Conntrack:
    connection = seen.connection
    if connection is None:
        return model.Conntrack(seen.state)
    return model.Conntrack(
        seen.state,
        seen.direction,
        0,
        connection.status,
        in_words(connection.original),
        in_words(connection.reply),
    )


def at(
    story: Story,
    node: str,
    hook: str,
    packet: Packet,
    *,
    layer: Layer = "ip",
    incoming: str = "",
    outgoing: str = "",
    seen: Seen = NOTHING,
    to: str = "host",
    user: int | None = None,
    bridged: bool = False,
    next_hop: IP | None = None,
    skipped: bool = False,
) -> Passed:
    """Through all that the node has at one hook; ``skipped``: it has been there before."""
    if skipped:
        return Passed(packet, seen, "accept", ())
    state = story.state(node)

    def fib(address: IP, other: IP | None, device: str, mark: int) -> Found:
        found = decide(state, Flow(address, other, "", device, mark), story.choices)
        return Found(found.type, "" if found.error else found.device)

    scene = Scene(
        packet,
        hook,
        layer,
        incoming,
        outgoing,
        state.nics,
        seen,
        to,
        user,
        hook not in ("prerouting", "ingress"),
        fib,
        lambda address, device: address_type(state, address, device),
        story.choices,
        story.seconds,
        node,
        next_hop,
        story.puts,
    )
    return Passage(story, scene, bridged=bridged).go()


def denied(
    passed: Passed, node: str, hook: str, trail: Trail, device: str, stage: str = ""
) -> Fate:
    """The fate of what a hook did not let through."""
    outcome = passed.outcome
    chain = passed.chain
    rule = None
    if outcome is not None and chain is not None and not chain.by_policy and chain.rules:
        decided = [r for r in chain.rules if r.verdict == chain.verdict]
        rule = decided[-1] if decided else None
    return Fate(
        node, passed.packet, trail.then(*passed.steps), Disposition.DENIED, "nft", stage, device,
        hook, chain=chain, rule=rule,
    )  # fmt: skip
