"""Trails and what the nodes hold → legs, hops and steps. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, cast

from netlab.trace import moments
from netlab.trace.chains import dropped_words, walked
from netlab.trace.facts import Ask, Facts
from netlab.trace.follow import FRAMES, TIMED, Seen, Visit, bursts
from netlab.trace.heard import Heard, took
from netlab.trace.model import (
    Chain,
    Change,
    Conntrack,
    Dropped,
    Hook,
    Hooks,
    Moment,
    Nat,
    Note,
    Packet,
    Route,
    Rule,
    Rx,
    Socket,
    Step,
    Switched,
    Tunnelled,
    Tx,
)
from netlab.trace.sighting import Sighting
from netlab.trace.terrain import Terrain

IP = ("inet", "ip", "ip6")
LAYERS: dict[str, Literal["ip", "bridge", "netdev"]] = {
    **dict.fromkeys(IP, "ip"), "bridge": "bridge", "netdev": "netdev",
}  # fmt: skip
STATUS = (
    (2, "seen-reply"), (4, "assured"), (16, "src-nat"), (32, "dst-nat"),
)  # fmt: skip
REWRITES = ("snat", "dnat", "masquerade", "redirect")
NO_ARP = frozenset({"", "tun"})
"""Kinds of devices on which nobody is asked for."""


@dataclass
class _Open:
    """A hook that the packet is in."""

    hook: str
    layer: Literal["ip", "bridge", "netdev"]
    packet: Packet | None
    device: str
    bridged: bool
    at: int = 0
    """How many steps there were before it."""
    chains: list[Chain] = field(default_factory=list)
    time: float | None = None
    took: float | None = None
    by_kernel: bool = False
    """Whether only a program at the hook tells of it, and no chain."""


class Builder:
    """The steps of one visit, one after the other."""

    def __init__(
        self, visit: Visit, facts: Facts, terrain: Terrain, zero: int
    ) -> None:
        self._visit = visit
        self._facts = facts
        self._terrain = terrain
        self._zero = zero
        self._open: list[_Open] = []
        self.packet: Packet | None = None
        self._outer: Packet | None = None
        """What is around it: the same where nothing is."""
        self._hidden: list[tuple[int, Hook]] = []
        """Hooks that a bridged frame passed, and how many steps there were before them."""
        self._conntrack: tuple[object, ...] = ()
        self._pending: Route | None = None
        """A route whose next hop has not been told yet."""
        self.route: Route | None = None
        self._bridging = False
        self._switched = False
        self._in = ""
        self._leaving = ""
        """A device of which the egress hook was seen, and nothing more where frames are not."""
        self._sees_frames = any(s.sighting.point in FRAMES for s in visit.seen)
        self._mac = ""
        """Where the frame goes, as it came in."""
        self.steps: list[Step] = []
        self.asks: list[Ask] = []
        """The routes that it would have known."""
        self.dropped: tuple[Chain, Rule | None] | None = None
        self.freed: Dropped | None = None
        """What the kernel itself said of its end."""
        self.delivered: Socket | None = None
        """Who got it, as the kernel said."""
        self._relay = ""
        """The program that has read it."""
        self._heard = Heard(self._time)
        self._has_rules = any(s.sighting.table for s in visit.seen)
        self._has_ends = any(s.is_own and not s.is_first for s in visit.seen)
        """Whether chains tell where a hook is over."""
        self._unnumbered: Conntrack | None = None
        """What connection tracking said, as long as its number is not known."""
        self._tracked_at: float | None = None
        """When connection tracking was seen to be done."""
        self.stage = ""
        """How far it came: ``rx``, ``prerouting``, ``bridge forward``, ``egress``, ``tx`` …"""
        self.inside = ""
        """The hook that it went into and did not come out of."""
        self.device = ""
        """The device that it was last seen at."""

    @property
    def packet_within(self) -> str:
        """The tunnel that it was last seen in."""
        return self.packet.within if self.packet else ""

    @property
    def destination(self) -> str:
        return self.packet.destination if self.packet else ""

    # what was seen, in order

    def build(self) -> list[Step]:
        for item in _items(self._visit.seen):
            if isinstance(item, Seen) and item.is_between:
                self._moment(item)
            elif isinstance(item, Seen):
                self._frame(item)
            else:
                self._burst(item)
        unfinished = [o for o in self._open if o.layer != "netdev"]
        self.inside = unfinished[-1].hook if unfinished else ""
        self._close_all()
        self._ended()
        return self.steps

    def _frame(self, frame: Seen) -> None:
        self._close_netdev()
        sighting = frame.sighting
        packet = frame.packet
        time = self._time(sighting.time)
        if sighting.point == "freed":
            self.freed = Dropped("", sighting.name, sighting.function, time)
            return
        if sighting.point == "rx":
            self._unwrapped(frame)
            self._came(sighting.device)
            self.steps.append(Rx(sighting.device, packet, sighting.to or "host", time))
        else:
            self._wrapped(frame)
            self._unnoticed(packet)
            self._leaves(sighting.device, packet)
            self.steps.append(Tx(sighting.device, packet, time))
        self.packet, self._outer = packet, frame.outer
        self._mac = packet.destination_mac if packet else ""
        self.stage, self.device = sighting.point, sighting.device

    def _moment(self, seen: Seen) -> None:
        sighting = seen.sighting
        if sighting.point == "hook" and not seen.is_piece:
            self._at_hook(seen)
            return
        self._heard.hear(sighting)
        if sighting.point in moments.DELIVERED:
            words = moments.delivered(sighting, self.delivered)
            self.delivered = Socket(words, time=self._time(sighting.time))
            self._relay = moments.program_words(sighting) if sighting.pid else self._relay
        words = moments.words(sighting)
        if words:
            time = self._time(sighting.time)
            step = Moment(sighting.point, words, time, sighting.cpu, sighting.buffer)
            self.steps.append(step)

    def _at_hook(self, seen: Seen) -> None:
        sighting, time = seen.sighting, self._time(seen.sighting.time)
        if sighting.stage == "first":
            if not any(o.hook == seen.hook and o.layer == "ip" for o in self._open):
                self._enter(seen, "ip")
                self._open[-1].by_kernel = True
            self._open[-1].time = time
            return
        if sighting.stage == "tracked":
            self._tracked_at = time
        if sighting.stage == "tracked" and seen.packet is not None:
            self._track(sighting, seen.packet)
        if not self._has_rules:
            self._noticed(seen, "ip")
        elif sighting.stage == "last":
            self._rewritten(seen)
        here = next((o for o in self._open if o.hook == seen.hook and o.layer == "ip"), None)
        if sighting.stage == "last" and here is not None:
            here.took = took(here.time, time)
            if here.by_kernel or not self._has_ends:
                self._leave(seen.hook, "ip")

    def _burst(self, messages: Sequence[Seen]) -> None:
        first = messages[0]
        layer = LAYERS.get(first.sighting.family)
        if layer is None:
            return
        if layer != "netdev":
            self._close_netdev()
        if first.is_own and first.is_first:
            self._enter(first, layer)
        elif not first.is_own:
            self._chain(messages, layer)
        self._noticed(first, layer)
        if first.is_own and not first.is_first:
            self._leave(first.hook, layer)

    # hooks

    def _enter(self, first: Seen, layer: Literal["ip", "bridge", "netdev"]) -> None:
        hook, sighting = first.hook, first.sighting
        if self.dropped is not None and self.dropped[0].verdict == "stolen":
            self.dropped = None  # and sent on by who took it
        self._close_same(layer)
        if hook == "ingress" and not self._has_come(sighting.device):
            self._unwrapped(first)
            self._came(sighting.device)
            self.steps.append(Rx(sighting.device, first.packet))
        if layer == "ip" and hook == "output":
            self._bridging = False
            self._wrapped(first)
            self._decide(first.outer, "", sighting.to_device)
        elif layer == "ip" and not self._bridging and hook in ("input", "forward"):
            self._decide(first.outer, self._in, sighting.to_device)
        if layer == "bridge" and hook == "input":
            self._bridging = False
        if layer == "netdev":
            self.stage = {"ingress": "rx"}.get(hook, hook)
            self.device = sighting.device or sighting.to_device
        if hook == "ingress" and first.packet and first.packet.destination_mac:
            self._mac = first.packet.destination_mac
        if hook == "egress":
            self._leaves(sighting.to_device, first.packet)
            self._leaving = sighting.to_device
        device = sighting.device or sighting.to_device if layer != "ip" else ""
        bridged = layer == "ip" and self._bridging
        at = len(self.steps)
        self._open.append(_Open(hook, layer, first.packet, device, bridged, at))

    def _leave(self, hook: str, layer: str) -> None:
        while self._open:
            top = self._open.pop()
            self._put(top)
            if (top.hook, top.layer) == (hook, layer):
                if layer == "ip" and not top.bridged:
                    self.stage = hook
                elif layer == "bridge":
                    self.stage = f"bridge {hook}"
                return

    def _put(self, hook: _Open) -> None:
        """In the order in which they were entered; of bridges and devices only what has chains."""
        step = Hook(
            cast(Hooks, hook.hook), hook.layer, tuple(hook.chains), hook.device, hook.bridged,
            hook.packet, hook.time, hook.took,
        )  # fmt: skip
        if hook.chains or (hook.layer == "ip" and not hook.bridged):
            self.steps.insert(hook.at, step)
        elif hook.layer == "ip":
            self._hidden.append((hook.at, replace(step, bridged=False)))

    def _close_same(self, layer: str) -> None:
        if any(o.layer == layer for o in self._open):
            while self._open:
                top = self._open.pop()
                self._put(top)
                if top.layer == layer:
                    break

    def _close_netdev(self) -> None:
        if self._open and self._open[-1].layer == "netdev":
            self._put(self._open.pop())
            self._left()

    def _left(self) -> None:
        if self._leaving and not self._sees_frames and self.dropped is None:
            self.steps.append(Tx(self._leaving, self.packet))
            self.stage = "tx"
        self._leaving = ""

    def _close_all(self) -> None:
        while self._open:
            self._put(self._open.pop())
        self._left()

    def _chain(self, messages: Sequence[Seen], layer: str) -> None:
        first = messages[0].sighting
        fact = self._facts.chain(first.family, first.table, first.chain)
        chain = walked(messages, fact, self._facts)
        where = self._open[-1] if self._open else None
        if where is None or where.layer != layer:
            hook = fact.hook if fact and fact.hook else "forward"
            bridged = self._bridging and layer == "ip"
            where = _Open(
                hook, LAYERS[first.family], messages[0].packet, "", bridged, len(self.steps)
            )
            self._open.append(where)
        where.chains.append(chain)
        if chain.verdict in ("drop", "stolen", "queue"):
            decided = [r for r in chain.rules if r.matched and r.verdict == chain.verdict]
            self.dropped = (chain, None if chain.by_policy or not decided else decided[-1])

    # what the headers tell

    def _noticed(self, first: Seen, layer: str) -> None:
        packet = first.packet
        if packet is None:
            return
        sighting = first.sighting
        self._track(sighting, packet)
        self._rewritten(first)

    def _track(self, sighting: Sighting, packet: Packet) -> None:
        """The kernel tells the state as soon as there is one, nftables knows the number as well."""
        state = (sighting.ct_state, sighting.ct_direction, sighting.ct_id)
        if not sighting.ct_state or state == self._conntrack:
            return
        before, self._conntrack = self._conntrack, state
        if not sighting.ct_id and before[:2] == state[:2]:
            self._conntrack = before
            return
        step = self._tracked(sighting, packet)
        place = next((n for n, s in enumerate(self.steps) if s == self._unnumbered), -1)
        if place >= 0 and before == (*state[:2], 0):
            self.steps[place] = step
        else:
            self.steps.append(step)
        self._unnumbered = None if sighting.ct_id else step

    def _rewritten(self, seen: Seen) -> None:
        before, packet = self.packet, seen.packet
        if packet is None:
            return
        if before is not None and self._bridging and not packet.destination_mac:
            macs = before.source_mac, before.destination_mac
            packet = replace(packet, source_mac=macs[0], destination_mac=macs[1])
        if before is not None and before.within == packet.within:
            changes = tuple(changed(before, packet))
            if changes:
                self._translated(changes)
        self.packet, self._outer = packet, seen.outer

    def _tracked(self, sighting: Sighting, packet: Packet) -> Conntrack:
        flows = {flow_words(p) for p in (self.packet, packet) if p is not None}
        found = (c for c in self._facts.connections if not flows.isdisjoint((c.original, c.reply)))
        known = next(found, None)
        return Conntrack(
            sighting.ct_state,
            sighting.ct_direction,
            sighting.ct_id,
            tuple(word for bit, word in STATUS if sighting.ct_status & bit),
            known.original if known else sighting.original,
            known.reply if known else sighting.reply,
            self._tracked_at,
        )

    def _translated(self, changes: tuple[Change, ...]) -> None:
        here = self._open[-1] if self._open else None
        hook = here.hook if here else "postrouting"
        chains = here.chains if here else []
        rules = [
            r for c in chains for r in c.rules
            if c.type == "nat" and r.matched and any(w in r.text.split() for w in REWRITES)
        ]  # fmt: skip
        unseen = not rules and not self._has_rules and self._conntrack[:1] == ("new",)
        step = Nat(cast(Hooks, hook), changes, rules[-1] if rules else None, unseen)
        self.steps.append(step)

    def _unnoticed(self, packet: Packet | None) -> None:
        """Where no hook told: destinations are rewritten on the way in, sources on the way out."""
        before = self.packet
        if before is None or packet is None or before.within != packet.within:
            return
        changes = list(changed(before, packet))
        hooks: tuple[Hooks, ...] = ("prerouting", "postrouting")
        for hook, what in zip(hooks, ("destination", "source"), strict=True):
            some = tuple(c for c in changes if c.field.startswith(what))
            if some:
                self.steps.append(Nat(hook, some))

    # devices

    def _has_come(self, device: str) -> bool:
        last = self.steps[-1] if self.steps else None
        return isinstance(last, Rx) and last.device == device

    def _came(self, device: str) -> None:
        if self._in and self._terrain.bridge_of(self._visit.node, self._in) == device:
            self._rises(device)
        self._in = device
        self._bridging = bool(self._terrain.bridge_of(self._visit.node, device))
        if self._bridging:
            self._switched = False

    def _rises(self, bridge: str) -> None:
        """From a bridge's port to the node's own IP, which passed its first hook in the bridge."""
        for place, (at, hook) in enumerate(self._hidden):
            self.steps.insert(at + place, hook)
        self._hidden = []
        self.steps.append(Switched(bridge, self._mac, (), local=True))

    def _leaves(self, device: str, packet: Packet | None) -> None:
        """What is decided between the last hook and the device."""
        bridge = self._terrain.bridge_of(self._visit.node, device)
        if bridge and not self._switched and packet is not None:
            self._switched = True
            self.steps.append(self._choice(bridge, packet.destination_mac or self._mac))
        elif not bridge or not self._bridging:
            self._neighbour(device)

    def _choice(self, bridge: str, mac: str) -> Switched:
        left = dict.fromkeys(
            s.sighting.device if s.sighting.point == "tx" else s.sighting.to_device
            for s in self._visit.seen
            if s.sighting.point == "tx" or (s.is_own and s.hook == "egress")
        )
        ports = tuple(d for d in left if self._terrain.bridge_of(self._visit.node, d) == bridge)
        return Switched(bridge, mac, ports, known=len(ports) < 2)

    def _neighbour(self, device: str) -> None:
        route = self._pending
        if route is None or route.device != device or route.type == "local":
            return
        self._pending = None
        link = self._facts.links.get(device)
        if link is not None and link.kind in NO_ARP:
            return
        address = route.via or route.destination
        known = self._facts.neighbour(address, device)
        found = self._heard.neighbour(address, device, known)
        if found is not None:
            self.steps.append(found)

    # decisions

    def _decide(self, packet: Packet | None, device: str, out: str = "") -> None:
        if packet is None or device == "lo":  # what came back by lo has its route still
            return
        if device and self._terrain.bridge_of(self._visit.node, device):
            device = self._terrain.bridge_of(self._visit.node, device)
        ask = Ask(
            packet.destination, packet.source, device, packet.mark, packet.tos, packet.protocol,
            packet.source_port, packet.destination_port,
        )  # fmt: skip
        self.asks.append(ask)
        route, otherwise = self._heard.decided(self._facts.route(ask), packet.destination, out)
        self._pending = self.route = route
        if route is not None:
            self.steps.append(route)
        if otherwise:
            self.steps.append(Note(otherwise))

    def _ended(self) -> None:
        """What was to be decided next, where nothing more was seen."""
        if self.dropped is not None:
            chain, rule = self.dropped
            dropped = Dropped(dropped_words(chain, rule))
            self.steps.append(replace(self.freed, words=dropped.words) if self.freed else dropped)
        elif self.stage == "prerouting" and not self._bridging and not self.inside:
            self._decide(self._outer, self._in)
        elif self.stage == "postrouting" and self.route is not None and not self._bridging:
            self._neighbour(self.route.device)

    # tunnels

    def _wrapped(self, seen: Seen) -> None:
        packet, outer = seen.packet, seen.outer
        if packet is None or not packet.within or self.packet is None or self.packet.within:
            return
        device = next((s.device for s in reversed(self.steps) if isinstance(s, Tx)), "")
        self.steps.append(Tunnelled(device, True, outer, self._relay))
        self.packet = packet

    def _unwrapped(self, seen: Seen) -> None:
        packet = seen.packet
        if packet is None or packet.within or self.packet is None or not self.packet.within:
            return
        self.steps.append(Tunnelled(seen.sighting.device, False, program=self._relay))
        self.packet = packet

    def _time(self, at: int) -> float | None:
        return round((at - self._zero) / 1000, 1) if at else None


def _items(seen: Sequence[Seen]) -> Iterator[Seen | list[Seen]]:
    """Frames, and between them the bursts of chains."""
    told: list[Seen] = []
    for one in seen:
        if one.sighting.point in TIMED or one.is_between:
            yield from (b.messages for b in bursts(told))
            told = []
            yield one
        else:
            told.append(one)
    yield from (b.messages for b in bursts(told))


def flow_words(packet: Packet) -> str:
    """As a connection is told: ``10.1.0.2:50106 → 203.0.113.1:8080``."""
    source = end_words(packet.source, packet.source_port)
    return f"{source} → {end_words(packet.destination, packet.destination_port)}"


def end_words(address: str, port: int) -> str:
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def changed(before: Packet, after: Packet) -> Iterator[Change]:
    """What NAT changes, where both are known."""
    names: tuple[Literal["source", "destination", "source_port", "destination_port"], ...] = (
        "source", "source_port", "destination", "destination_port",
    )  # fmt: skip
    for name in names:
        old, new = getattr(before, name), getattr(after, name)
        if old != new and old and new:
            yield Change(name, str(old), str(new))


# chains

