"""Clues: what can be said of the place where a packet was last seen, in words, or "" for no.

Each is a function of the evidence; those in the first part make such functions.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import TypeAlias

from netlab.trace import reasons
from netlab.trace.evidence import Evidence
from netlab.trace.facts import LinkFact
from netlab.trace.model import Rx
from netlab.trace.terrain import plain

Clue: TypeAlias = Callable[[Evidence], str]
Found: TypeAlias = tuple[str, LinkFact] | None
"""A device, with its node."""
RATE_LIMITED = ("Icmp.OutRateLimitHost", "Icmp.OutRateLimitGlobal", "Icmp6.OutRateLimitHost")
"""Counters of ICMP errors that were not sent, since too many had been."""


def after(*stages: str) -> Clue:
    """It was last seen there: at a device, or at the end of a hook."""

    def clue(e: Evidence) -> str:
        blind = not e.hooks_seen and e.stage == "rx" and "prerouting" in stages
        seen = blind or e.stage in stages
        where = f" at {e.device}" if e.stage in ("rx", "tx", "egress") else ""
        return f"last seen in {e.node} after {e.stage}{where}" if seen and not e.inside else ""

    return clue


def never_sent(e: Evidence) -> str:
    return f"{e.node} sent nothing" if not e.stage and not e.inside else ""


def dropped_at_hook(e: Evidence) -> str:
    """By something that no chain of nftables tells of."""
    said = e.freed is not None and e.freed.reason == "NETFILTER_DROP"
    return f"the kernel says NETFILTER_DROP within the {e.inside} hook" if said and e.inside else ""


def let_fall(e: Evidence) -> str:
    if e.freed is None or e.arrived or e.freed.reason in reasons.USUAL:
        return ""
    return f"the kernel says {e.freed.reason} in {e.freed.function.partition('+')[0]}"


def of_leg(*kinds: str) -> Clue:
    return lambda e: f"it is of the {e.leg} leg" if e.leg in kinds else ""


def counted(*counters: str) -> Clue:
    return lambda e: e.grew(*counters)


def error_lost(e: Evidence) -> str:
    return f"the ICMP error ended at {e.error_lost}" if e.error_lost else ""


def result(*codes: str) -> Clue:
    def clue(e: Evidence) -> str:
        return f"the program was told {e.probe.result}" if e.probe.result in codes else ""

    return clue


def route_says(*codes: str) -> Clue:
    """The kernel's answer when asked for the route."""

    def clue(e: Evidence) -> str:
        said = e.route.error if e.route else ""
        return f"the route lookup says: {said}" if any(f"[{c}]" in said for c in codes) else ""

    return clue


def told(*codes: str) -> Clue:
    """An ICMP error of one of these types and codes came of it."""

    def clue(e: Evidence) -> str:
        return f"{e.error_maker} sent {e.error}" if e.error in codes else ""

    return clue


def sysctl(name: str, *values: str) -> Clue:
    """``{ip}`` and ``{device}`` in the name stand for those of the evidence."""

    def clue(e: Evidence) -> str:
        path = name.format(ip=e.ip, device=e.device.replace(".", "/"))
        found = e.facts.sysctls.get(path)
        return f"{path} of {e.node} is {found}" if found in values else ""

    return clue


def either(*clues: Clue) -> Clue:
    return lambda e: next((words for clue in clues if (words := clue(e))), "")


def every(*clues: Clue) -> Clue:
    def clue(e: Evidence) -> str:
        found = [c(e) for c in clues]
        return "; ".join(found) if all(found) else ""

    return clue


def no(clue: Clue, words: str) -> Clue:
    return lambda e: "" if clue(e) else words


# nftables


def dropped_by_rule(e: Evidence) -> str:
    return f"the trace of nftables says drop: {e.rule.text}" if e.rule else ""


def dropped_by_policy(e: Evidence) -> str:
    if e.chain is None or e.rule is not None or e.chain.verdict != "drop":
        return ""
    return f"the trace of nftables says policy drop of chain {e.chain.name}"


def rule_says(*words: str) -> Clue:
    def clue(e: Evidence) -> str:
        text = e.rule.text.partition(" comment ")[0] if e.rule else ""
        return next((f"the rule has “{w}”" for w in words if w in text), "")

    return clue


def another_way(e: Evidence) -> str:
    passed = " → ".join(e.forward_way)
    return f"the probe had passed {passed}" if e.node not in e.forward_way else ""


def no_error(e: Evidence) -> str:
    return "" if e.error else "no ICMP error was seen"


# sockets


def arrived(e: Evidence) -> str:
    return f"the IP of {e.node} took it in" if e.arrived else ""


def elsewhere(e: Evidence) -> str:
    """With the address it was sent to, and so not because somebody rewrote that."""
    meant = e.probe.target
    if not meant or e.node == meant or e.destination != plain(e.probe.destination):
        return ""
    return f"it was meant for {meant}"


def also_held(e: Evidence) -> str:
    """Beside the node that was meant."""
    holders = e.terrain.holders.get(e.destination, ())
    both = e.probe.target in holders and e.facts.holds(e.destination)
    return f"{e.node} has {e.destination}, and so has {e.probe.target}" if both else ""


def answered_by_reset(e: Evidence) -> str:
    return f"{e.node} sent a TCP reset" if e.reset else ""


def unanswered(e: Evidence) -> str:
    return "" if e.answered or e.error else "no answer was sent"


def from_another_address(e: Evidence) -> str:
    """An answer that came back to the sender, which knows of no connection with whom it is from."""
    if e.leg != "reply" or not e.arrived or e.node != e.probe.sender:
        return ""
    asked = plain(e.probe.destination)
    group = ip_address(asked).is_multicast or e.probe.result in ("connected", "answered")
    return "" if group or e.source == asked else f"the probe had been sent to {asked}"


def not_heard(e: Evidence) -> str:
    port = e.packet.destination_port if e.packet else e.probe.port
    heard = port in e.facts.listening
    silent = e.probe.protocol == "udp" and not heard and not e.answered and not e.error
    return f"no program of {e.node} waits on udp/{port}" if silent else ""


def of_protocol(name: str) -> Clue:
    return lambda e: f"it is {name}" if e.probe.protocol == name else ""


# routing


def route_refused(e: Evidence) -> str:
    return f"the route lookup says: {e.route.error}" if e.route and e.route.error else ""


def route_of_type(kind: str) -> Clue:
    def clue(e: Evidence) -> str:
        found = e.route is not None and e.route.type == kind
        return f"{e.node} has the route {kind} {e.route.prefix}" if e.route and found else ""

    return clue


def ttl_used_up(e: Evidence) -> str:
    near = e.packet is not None and e.packet.ttl == 1 and e.route is not None
    return "its TTL was 1" if near and e.route and e.route.type == "unicast" else ""


def goes_in_circles(e: Evidence) -> str:
    circle = circle_of(e)
    return f"it came to {e.node} {e.passed.count(e.node)} times" if circle else ""


def martian(e: Evidence) -> str:
    """RFC 1812, 5.3.7."""
    source = ip_address(e.source)
    strange = source.is_loopback or source.is_multicast or source.is_unspecified
    if strange:
        return f"{e.source} is never the source of a packet on a link"
    return f"{e.source} is {e.node}'s own address" if e.facts.holds(e.source) else ""


def filters_sources(e: Evidence) -> str:
    names = [f"net.ipv4.conf.{d.replace('.', '/')}.rp_filter" for d in ("all", e.came_by)]
    values = [e.facts.sysctls.get(name, "0") for name in names]
    return f"rp_filter of {e.node} is {max(values)}" if max(values) != "0" else ""


def forwards_nothing(e: Evidence) -> str:
    path = {
        "ipv4": f"net.ipv4.conf.{e.came_by.replace('.', '/')}.forwarding",
        "ipv6": "net.ipv6.conf.all.forwarding",
    }[e.ip]
    return f"{path} of {e.node} is 0" if e.facts.sysctls.get(path) == "0" else ""


def not_its_own(e: Evidence) -> str:
    own = e.facts.holds(e.destination)
    return "" if own else f"{e.destination} is none of its addresses"


def own_link_down(e: Evidence) -> str:
    spot = e.terrain.spots[e.node]
    for device in spot.devices:
        link = e.facts.links.get(device.name)
        if device.addresses and link is not None and not (link.up and link.carrier):
            return f"{device.name} of {e.node} is down"
    return ""


def own_address_tentative(e: Evidence) -> str:
    """A node answers nobody who asks for such an address, and so gets no answers to it."""
    version = ":" in e.probe.destination
    own = [a for a in e.facts.addresses if (":" in a.address) == version]
    nameless = e.packet is None or ip_address(e.source).is_loopback
    used = [a for a in own if a.address == e.source or nameless]
    found = next((a for a in used if "tentative" in a.flags), None)
    return f"{found.address} of {e.node} is tentative" if found else ""


# sizes


def exceeds_mtu(e: Evidence) -> str:
    packet, mtu = e.packet, mtu_of(e)
    whole = packet is not None and (packet.dont_fragment or e.ip == "ipv6")
    long = packet is not None and 0 < mtu < packet.length
    return f"it is longer than the mtu {mtu}, with DF" if whole and long else ""


def longer_than_peer_takes(e: Evidence) -> str:
    """A veth takes 4 bytes more, for a VLAN tag (net/core/dev.c, is_skb_forwardable)."""
    if e.beyond_link is None or e.packet is None or e.packet.length <= e.beyond_link.mtu + 4:
        return ""
    return f"the mtu of {e.beyond_device} is {e.beyond_link.mtu}"


def is_fragment(e: Evidence) -> str:
    return f"it is a fragment: {e.packet.fragment}" if e.packet and e.packet.fragment else ""


def waits_for_fragments(e: Evidence) -> str:
    """In connection tracking, or where the packet is taken in."""
    if e.inside in ("prerouting", "output"):
        return f"connection tracking of {e.node} did not let it go on"
    local = e.route is not None and e.route.type == "local"
    return f"{e.node} did not take it in" if local and e.stage == "prerouting" else ""


# the segment


def port_blocked(e: Evidence) -> str:
    found = blocked_port(e)
    return f"{named(found)} is {found[1].state}" if found else ""


def port_down(e: Evidence) -> str:
    found = shut_port(e)
    return f"{named(found)} is switched off" if found else ""


def both_isolated(e: Evidence) -> str:
    found = isolated_ports(e)
    return " and ".join(f"{named(pair)} is isolated" for pair in found)


def back_where_it_came(e: Evidence) -> str:
    mac = e.packet.destination_mac if e.packet else ""
    known = any(f.mac == mac and f.device == e.device for f in e.facts.fdb)
    off = e.link is not None and not e.link.hairpin
    return f"{e.node} knows {mac} at {e.device}" if known and off else ""


def link_down(e: Evidence) -> str:
    found = dead_link(e)
    return f"{named(found)} is switched off" if found else ""


def next_hop_tentative(e: Evidence) -> str:
    for facts in e.all_facts.values():
        held = facts.holds(e.next_hop)
        if held and "tentative" in held.flags:
            return f"{e.next_hop} of {facts.node} is tentative"
    return ""


def neighbour_silent(e: Evidence) -> str:
    if not e.next_hop or e.route is None or e.out is None or e.out.kind == "tun":
        return ""
    found = e.facts.neighbour(e.next_hop, e.route.device)
    state = found.state if found else "not there"
    silent = state in ("failed", "incomplete", "not there", "none")
    return f"the neighbour entry of {e.next_hop} is {state}" if silent else ""


def for_another_mac(e: Evidence) -> str:
    last = next((s for s in reversed(e.steps) if isinstance(s, Rx)), None)
    port = e.terrain.bridge_of(e.node, e.device)
    return "the frame is for another MAC" if last and last.to == "other" and not port else ""


def tun_without_reader(e: Evidence) -> str:
    for link in (e.out, e.link):
        if link is not None and link.kind == "tun" and not link.carrier:
            return f"{link.name} of {e.node} has no carrier: no program has it open"
    return ""


def leads_outside(e: Evidence) -> str:
    known = e.terrain.peer(e.node, e.device) != ("", "")
    inner = e.link is not None and e.link.kind in ("bridge", "vxlan")
    return "" if known or inner else f"the other end of {e.device} is not a part of the lab"


def no_tunnel_there(e: Evidence) -> str:
    return _no_tunnel(e, e.peer_of_tunnel)


def asked_through_wrong_tunnel(e: Evidence) -> str:
    found = wrong_tunnel(e)
    return _no_tunnel(e, found[1].remote) if found and neighbour_silent(e) else ""


def _no_tunnel(e: Evidence, end: str) -> str:
    if not end:
        return ""
    holder = e.terrain.holder(end)
    if not holder:
        return f"no node has the address {end}"
    spot = e.terrain.spots[holder]
    ends = any(d.kind == "vxlan" for d in spot.devices)
    return "" if ends else f"{holder}, which has {end}, has no vxlan device"


# what several clues and sentences look for


def dead_link(e: Evidence) -> Found:
    """A device on the way that is down: here, at the other end, or further on the segment."""
    near = [(e.node, e.out), (e.node, e.link)]
    near += [(e.beyond.node, e.beyond_link)] if e.beyond else []
    bridge = e.terrain.bridge_of(e.node, e.device)
    near += [(e.node, e.facts.links.get(bridge))] if bridge else []
    for node, link in (*near, *e.segment):
        if link is not None and link.kind not in ("tun", "") and not link.up:
            return node, link
    return None


def blocked_port(e: Evidence) -> Found:
    shut = ("blocking", "listening", "learning", "disabled")
    alive = [(node, port) for node, port in e.ports if port.up and port.carrier]
    return next(((node, port) for node, port in alive if port.state in shut), None)


def shut_port(e: Evidence) -> Found:
    return next(((n, p) for n, p in e.ports if not p.up), None)


def isolated_ports(e: Evidence) -> list[tuple[str, LinkFact]]:
    found = [(node, port) for node, port in e.ports if port.isolated]
    return found if len({node for node, _ in found}) == 1 and len(found) > 1 else []


def wrong_tunnel(e: Evidence) -> Found:
    """On the segment: one that leads to where none ends."""
    ends = e.terrain.tunnels(e.node, e.route.device) if e.route else []
    some = [(n, f.links[d]) for n, d in ends if (f := e.all_facts.get(n)) and d in f.links]
    return next(((n, link) for n, link in some if _no_tunnel(e, link.remote)), None)


def circle_of(e: Evidence) -> list[str]:
    """The nodes between two visits of the last one; () where it came there once."""
    way = list(e.passed)
    if way.count(e.node) < 3:
        return []
    last = len(way) - 1
    before = max(n for n in range(last) if way[n] == e.node)
    return way[before:]


def named(found: Found) -> str:
    return f"{found[1].name} of {found[0]}" if found else ""


def mtu_of(e: Evidence) -> int:
    if e.route and e.route.mtu:
        return e.route.mtu
    link = e.out or e.link
    return link.mtu if link else 0
