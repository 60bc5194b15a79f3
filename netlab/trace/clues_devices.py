"""Clues about devices and what stands at them: programs, queues, bridges' ports, tunnels, ARP.

Also about headers that a node's IP does not take. Where the kernel says why (a drop reason), that
is believed; else what the devices are set to, and the counters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network
from itertools import pairwise

from netlab.trace.clues import Clue, Found, martian, named, neighbour_silent
from netlab.trace.clues_sockets import freed_in
from netlab.trace.evidence import Evidence
from netlab.trace.facts import LinkFact
from netlab.trace.model import Moment, Rx

GENERIC = ("do_xdp_generic", "generic_xdp_tx", "netif_receive_generic_xdp")
NATIVE = ("veth_xdp_rcv_skb", "tun_build_skb", "tun_xdp_one")
RESERVED = "01:80:c2:00:00:0"
"""What every bridge keeps to itself (IEEE 802.1D, table 7-10)."""


def words(e: Evidence) -> Mapping[str, str]:
    """What sentences call things that only devices have."""
    silent = holder_of(e)
    return {
        "xdp": named(with_xdp(e)),
        "guarded": named(guarded(e)),
        "kept_out": named(kept_out(e) or locked_port(e)),
        "holder": silent[0] if silent else "",
        "holder_device": silent[1].name if silent else "",
        "vni": str(_vni(e)),
        "far_vni": ", ".join(map(str, _far_vnis(e))),
        "far": _far(e),
        "twin": named(twin_of(e)),
    }


# programs and queues


def xdp_failed(e: Evidence) -> str:
    moments = (s for s in e.steps if isinstance(s, Moment) and s.what == "xdp-failed")
    return next((m.words for m in moments), "")


def stopped_by_xdp(e: Evidence) -> str:
    """Frames end there without a word; who is told nothing sees that they never came in."""
    found = with_xdp(e)
    if found is None:
        return ""
    unseen = e.freed is None and e.stage == "tx" and not e.inside
    never = f"last seen before {named(found)}" if unseen else ""
    said = freed_in(*GENERIC, *NATIVE)(e) or never
    return f"{said}; a program of XDP is at {named(found)} ({found[1].xdp})" if said else ""


def with_xdp(e: Evidence) -> Found:
    """A device with such a program: where it came in, or where it should have."""
    near = [(e.node, e.facts.links.get(e.came_by)), (e.node, e.link)]
    if e.beyond is not None and e.freed is None:
        near = [(e.beyond.node, e.beyond_link)]
    elif not e.device:
        near += [(e.node, link) for link in e.facts.links.values()]
    return next(((node, link) for node, link in near if link is not None and link.xdp), None)


def xdp_on_the_segment(e: Evidence) -> str:
    """It sees the question who has an address, or the answer, before anybody else does."""
    found = guarded(e)
    return f"a program of XDP is at {named(found)} ({found[1].xdp})" if found else ""


def guarded(e: Evidence) -> Found:
    near = [*e.segment, (e.node, e.out)]
    return next(((node, link) for node, link in near if link is not None and link.xdp), None)


# addresses and headers


def disabled_ipv6(e: Evidence) -> str:
    path = f"net.ipv6.conf.{e.came_by.replace('.', '/')}.disable_ipv6"
    off = e.ip == "ipv6" and e.facts.sysctls.get(path) == "1"
    return f"{path} of {e.node} is 1" if off else ""


def for_many(e: Evidence) -> str:
    """Its MAC means a group, and its address does not."""
    last = next((s for s in reversed(e.steps) if isinstance(s, Rx)), None)
    group = last is not None and last.to in ("multicast", "broadcast")
    alone = not ip_address(e.destination).is_multicast
    return "the frame is for a group of MACs" if group and alone else ""


def to_a_group(e: Evidence) -> str:
    group = ip_address(e.destination).is_multicast
    return f"{e.destination} is a multicast address" if group else ""


def to_nobody(e: Evidence) -> str:
    """RFC 1812, 5.3.7; RFC 4291, 2.5."""
    goal = ip_address(e.destination)
    strange = goal.is_loopback or goal.is_unspecified
    return f"{e.destination} never is on a link" if strange and e.came_by != "lo" else ""


def to_all_of_a_segment(e: Evidence) -> str:
    """IPv4's last address of a prefix."""
    for own in e.facts.addresses:
        if ":" in own.address or own.length > 30:
            continue
        segment = ip_network(f"{own.address}/{own.length}", strict=False)
        if str(segment.broadcast_address) == e.destination:
            return f"{e.destination} means all of {segment} at {own.device} of {e.node}"
    return ""


def same_mac(e: Evidence) -> str:
    """Another node has the MAC that it came to, so that a bridge sent it to the wrong one."""
    other = twin_of(e)
    link = e.facts.links.get(e.came_by)
    if link is None or other is None:
        return ""
    return f"{link.name} of {e.node} and {named(other)} both are {link.mac}"


def twin_of(e: Evidence) -> Found:
    link = e.facts.links.get(e.came_by)
    if link is None or not link.mac.strip("0:"):
        return None
    rest = (facts for facts in e.all_facts.values() if facts.node != e.node)
    found = ((facts.node, x) for facts in rest for x in facts.links.values() if x.mac == link.mac)
    return next(found, None)


def filters_loosely(e: Evidence) -> str:
    """By any way at all (RFC 3704, 2.4)."""
    paths = [f"net.ipv4.conf.{d.replace('.', '/')}.rp_filter" for d in ("all", e.came_by)]
    values = [e.facts.sysctls.get(path, "0") for path in paths]
    return f"rp_filter of {e.node} is 2" if max(values) == "2" else ""


def with_own_source(e: Evidence) -> str:
    """IPv6's are dropped before anybody is asked (ip6_rcv_core)."""
    return martian(e) if e.ip == "ipv6" else ""


# queues


def full_of_unread(e: Evidence) -> str:
    """Whose frames a program takes."""
    reads = e.link is not None and e.link.kind == "tun" and e.link.carrier
    return device_counted("tx_dropped")(e) if reads else ""


def has_queue(e: Evidence) -> str:
    """A device that is down has none, and drops all: that is another matter."""
    link = e.out or e.link
    ready = link is not None and link.up and link.carrier
    return f"{link.name} of {e.node} is up" if link and ready else ""


# bridges


def reserved_for_bridges(e: Evidence) -> str:
    mac = e.packet.destination_mac if e.packet else ""
    port = e.terrain.bridge_of(e.node, e.device)
    return f"the frame is for {mac}" if port and mac.startswith(RESERVED) else ""


def kept_from_flood(e: Evidence) -> str:
    """A frame, or the question who has an address, which is for all as well."""
    found = kept_out(e)
    if found is None:
        return ""
    return f"{named(found)} is flooded with no {_flooded(e)} frames"


def kept_out(e: Evidence) -> Found:
    return next(((n, p) for n, p in _ports(e) if _flooded(e) in p.unflooded), None)


def _flooded(e: Evidence) -> str:
    if e.stage.startswith("bridge"):
        return "unicast"
    return "broadcast" if e.ip == "ipv4" else "multicast"


def _ports(e: Evidence) -> Iterator[tuple[str, LinkFact]]:
    """That lead on from where it was last seen; of a bridge it came into, the one that it wants."""
    if not e.stage.startswith("bridge"):
        yield from _ports_on(e.segment) if neighbour_silent(e) else ()
        return
    mac = e.packet.destination_mac if e.packet else ""
    known = any(f.mac == mac and f.device != e.device for f in e.facts.fdb)
    if not known and e.out_port is not None:
        yield e.node, e.out_port


def _ports_on(way: Sequence[tuple[str, LinkFact]]) -> Iterator[tuple[str, LinkFact]]:
    """By which bridges send on."""
    for (node, link), (following, _) in pairwise(way):
        if link.master and node != following:
            yield node, link


def port_locked(e: Evidence) -> str:
    found = locked_port(e)
    mac = e.packet.source_mac if e.packet else ""
    known = any(f.mac == mac and found and f.device == found[1].name for f in e.facts.fdb)
    return f"{named(found)} is locked" if found and not known else ""


def locked_port(e: Evidence) -> Found:
    """Only as it comes in is a frame looked at for that."""
    if e.stage.startswith("bridge"):
        return (e.node, e.link) if e.link is not None and e.link.locked else None
    return next(((n, p) for n, p in e.segment if p.locked), None)


# who is asked for, and does not answer


def holder_of(e: Evidence) -> Found:
    """Who has the next hop's address, with its device on the segment."""
    held = (facts.node for facts in e.all_facts.values() if facts.holds(e.next_hop))
    goals = (*e.terrain.holders.get(e.next_hop, ()), *held) if e.route else ()
    for goal in goals:
        way = e.terrain.segment_way(e.node, e.route.device, goal) if e.route else ()
        facts = e.all_facts.get(goal)
        if way and facts is not None and way[-1][1] in facts.links:
            return goal, facts.links[way[-1][1]]
    return None


def holder_answers_no_arp(e: Evidence) -> str:
    found = holder_of(e)
    if found is None or found[1].arp:
        return ""
    return f"{named(found)} has ARP switched off (NOARP)"


def holder_ignores_arp(e: Evidence) -> str:
    found = holder_of(e)
    facts = e.all_facts.get(found[0]) if found else None
    if found is None or facts is None or e.ip != "ipv4":
        return ""
    names = [f"net.ipv4.conf.{d.replace('.', '/')}.arp_ignore" for d in ("all", found[1].name)]
    value = max(facts.sysctls.get(name, "0") for name in names)
    return f"arp_ignore of {named(found)} is {value}" if value != "0" else ""


def holder_without_ipv6(e: Evidence) -> str:
    found = holder_of(e)
    facts = e.all_facts.get(found[0]) if found else None
    if found is None or facts is None or e.ip != "ipv6":
        return ""
    path = f"net.ipv6.conf.{found[1].name.replace('.', '/')}.disable_ipv6"
    return f"{path} of {found[0]} is 1" if facts.sysctls.get(path) == "1" else ""


# tunnels


def other_network(e: Evidence) -> str:
    """Both ends are tunnels, of different networks."""
    here, there = _vni(e), _far_vnis(e)
    if not (here and there) or here in there:
        return ""
    return f"{_tunnel_words(e)} is of network {here}, and {_far(e)} has {there[0]}"


def leads_nowhere(e: Evidence) -> str:
    """A tunnel that neither has a remote end nor has learned of one."""
    tunnel = _tunnel(e)
    if tunnel is None or tunnel.remote:
        return ""
    mac = e.packet.destination_mac if e.packet else ""
    held = [f for f in e.facts.fdb if f.device == tunnel.name and f.remote]
    some = any(f.mac in (mac, "00:00:00:00:00:00") for f in held)
    return "" if some else f"{tunnel.name} of {e.node} has no remote end and knows of none"


def _tunnel(e: Evidence) -> LinkFact | None:
    """The one that it was to leave by."""
    return next((x for x in (e.out, e.link) if x is not None and x.kind == "vxlan"), None)


def _tunnel_words(e: Evidence) -> str:
    tunnel = _tunnel(e)
    return f"{tunnel.name} of {e.node}" if tunnel else "the tunnel that it is in"


def _vni(e: Evidence) -> int:
    """Of the tunnel that it is in, or was to go by; 0 for none."""
    within = e.packet.within.split() if e.packet else []
    if len(within) > 1 and within[0] == "vxlan" and within[1].isdigit():
        return int(within[1])
    tunnel = _tunnel(e)
    return tunnel.vni if tunnel else 0


def _far(e: Evidence) -> str:
    """The node at the other end of that tunnel."""
    tunnel = _tunnel(e)
    end = e.peer_of_tunnel or (tunnel.remote if tunnel else "")
    return e.terrain.holder(end) if end else ""


def _far_vnis(e: Evidence) -> list[int]:
    facts = e.all_facts.get(_far(e))
    return [x.vni for x in facts.links.values() if x.kind == "vxlan"] if facts else []


def device_counted(*columns: str) -> Clue:
    """Where nobody is told the kernel's reasons: that the last device, or the next, drops."""

    def clue(e: Evidence) -> str:
        places = [(e.facts, e.device)]
        places += [(e.beyond, e.beyond_device)] if e.beyond else []
        for facts, device in places:
            for column in columns:
                if not e.freed and device and (n := facts.counts.get(f"{device}.{column}", 0)):
                    return f"{column} of {device} of {facts.node} grew by {n}"
        return ""

    return clue
