"""The table of causes, each with what shows it, a sentence and an advice.

A cause is one entry. It holds where all of its clues hold; the first entry of the table that holds
is the one, so that what is certain stands before what is only likely. A clue is a function of the
evidence that answers in words, or "" where it is not so; the words are the trace's ``evidence``.
Those of devices, of firewalls and of sockets stand in files of their own, and here in their place.

A new cause::

    Entry("rp-filter", SPOOFED, (after("rx", "prerouting"), counted("TcpExt.IPReversePathFilter")),
          "{node} expects {source} from another device than {device}", "…")
"""

from __future__ import annotations

from netlab.trace import causes_devices, causes_filters, causes_sockets
from netlab.trace.clues import (
    RATE_LIMITED,
    after,
    also_held,
    another_way,
    answered_by_reset,
    arrived,
    asked_through_wrong_tunnel,
    back_where_it_came,
    both_isolated,
    counted,
    dropped_at_hook,
    dropped_by_policy,
    dropped_by_rule,
    either,
    elsewhere,
    error_lost,
    every,
    exceeds_mtu,
    filters_sources,
    for_another_mac,
    forwards_nothing,
    from_another_address,
    goes_in_circles,
    is_fragment,
    leads_outside,
    let_fall,
    link_down,
    longer_than_peer_takes,
    martian,
    neighbour_silent,
    never_sent,
    next_hop_tentative,
    no_error,
    no_tunnel_there,
    not_heard,
    not_its_own,
    of_leg,
    of_protocol,
    own_address_tentative,
    own_link_down,
    port_blocked,
    port_down,
    result,
    route_of_type,
    route_refused,
    route_says,
    rule_says,
    told,
    ttl_used_up,
    tun_without_reader,
    unanswered,
    waits_for_fragments,
)
from netlab.trace.clues_filters import limited_before
from netlab.trace.clues_sockets import ignores_echoes
from netlab.trace.entry import Entry
from netlab.trace.model import Disposition

CAUSES: tuple[Entry, ...] = (
    # never sent
    Entry(
        "address-tentative",
        Disposition.NO_NEIGHBOUR,
        (either(never_sent, after("postrouting")), own_address_tentative),
        "{sender} may not use its address yet: IPv6 still looks whether somebody else has it",
        "wait a second, or see net.ipv6.conf.*.accept_dad and dad_transmits",
    ),
    Entry(
        "link-down",
        Disposition.LINK_DOWN,
        (never_sent, route_says("ENETUNREACH"), own_link_down),
        "{node} has no way to {destination}: the device that would lead there is down",
        "netlab exec {lab} {node} -- ip link set DEVICE up, and its routes again",
    ),
    *causes_devices.NOT_SENT,
    # nftables
    Entry(
        "asymmetric-path",
        Disposition.DENIED,
        (of_leg("reply"), either(dropped_by_rule, dropped_by_policy), another_way),
        "{what} goes another way than the probe came, through {node}, which has not seen the"
        " beginning of the connection and drops it",
        "let both directions pass one firewall, or let {node} accept what it has not seen begin",
    ),
    *causes_filters.RULES,
    Entry(
        "conntrack-invalid",
        Disposition.DENIED,
        (dropped_by_rule, rule_says("ct state invalid", "ct state { invalid")),
        "{node} takes {what} for a part of no connection it knows, and drops that",
        "both directions have to pass {node}, or the rule has to let such packets through",
    ),
    Entry(
        "icmp-rate-limited",
        Disposition.DENIED,
        (dropped_by_rule, rule_says("reject"), no_error, counted(*RATE_LIMITED)),
        "a rule of {node} rejects {what}, but the ICMP error that would say so was held back: too"
        " many were sent just before",
        "net.ipv4.icmp_ratelimit and icmp_msgs_per_sec of {node} say how many may be sent",
    ),
    Entry(
        "nft-reject",
        Disposition.DENIED,
        (dropped_by_rule, rule_says("reject")),
        "a rule of {node} rejects {what}: {rule}",
        "change the rule, or put one that accepts before it",
    ),
    Entry(
        "nft-limit",
        Disposition.DENIED,
        (dropped_by_rule, rule_says("limit rate")),
        "a rule of {node} drops what comes too fast: {rule}",
        "raise the rule's rate or burst",
    ),
    *causes_filters.LOGGED,
    Entry(
        "nft-drop",
        Disposition.DENIED,
        (dropped_by_rule,),
        "a rule of {node} drops {what} without a word, so that the sender waits: {rule}",
        "change the rule, or put one that accepts before it; `reject` would fail at once",
    ),
    *causes_filters.POLICIES,
    Entry(
        "nft-limit",
        Disposition.DENIED,
        (dropped_by_policy, limited_before),
        "no rule of chain {chain} in {node} accepts {what}, since it came faster than one of them"
        " allows, and the chain's policy is drop",
        "raise the rule's rate or burst",
    ),
    Entry(
        "nft-policy",
        Disposition.DENIED,
        (dropped_by_policy,),
        "no rule of chain {chain} in {node} accepts {what}, and the chain's policy is drop",
        "add a rule that accepts it",
    ),
    *causes_filters.STATE,
    # it arrived, and was not answered
    Entry(
        "vxlan-wrong-peer",
        Disposition.MISDIRECTED,
        (no_tunnel_there,),
        "the tunnel carries {what} to {peer_of_tunnel}, where no such tunnel ends",
        "see `remote` of the vxlan device, and the number that it has at both ends",
    ),
    Entry(
        "unexpected-source",
        Disposition.UNREAD,
        (from_another_address,),
        "the answer came to {node} from {source}, and not from {asked}, where {node} had sent to:"
        " no socket of it waits for that",
        "what was rewritten on the way there has to come back the same way: masquerade what goes"
        " back to the segment it came from, as `nat: publish` does (hairpin NAT)",
    ),
    Entry(
        "duplicate-address",
        Disposition.MISDIRECTED,
        (arrived, of_leg("forward"), elsewhere, also_held),
        "{node} took it, which has the address {destination} as well as {target}",
        "give one of them another address",
    ),
    Entry(
        "wrong-node",
        Disposition.MISDIRECTED,
        (arrived, of_leg("forward"), elsewhere),
        "{node} took it, since {destination} is its own; it was meant for {target}",
        "a dnat rule in {node} would pass it on, see `nat: publish`",
    ),
    *causes_devices.BROADCAST,
    *causes_sockets.ARRIVED,
    Entry(
        "no-listener-tcp",
        Disposition.REFUSED,
        (arrived, of_leg("forward"), answered_by_reset),
        "nobody listens on {port} in {node}, which said so by a reset",
        "start the program, or see on which address and port it listens: ss -tln",
    ),
    Entry(
        "no-listener-udp",
        Disposition.REFUSED,
        (arrived, of_leg("forward"), told("icmp 3/3", "icmpv6 1/4")),
        "nobody listens on {port} in {node}, which said so by ICMP",
        "start the program, or see on which address and port it listens: ss -uln",
    ),
    Entry(
        "no-return-route",
        Disposition.NO_ROUTE,
        (arrived, of_leg("forward"), unanswered, route_refused),
        "{node} got it and has no route back to {source}, so that no answer was sent",
        "give {node} a route to {source}, or let a router on the way masquerade",
    ),
    Entry(
        "icmp-rate-limited",
        Disposition.REFUSED,
        (arrived, of_leg("forward"), not_heard, counted(*RATE_LIMITED)),
        "nobody listens on {port} in {node}, but the ICMP error that would say so was held back:"
        " too many were sent just before",
        "net.ipv4.icmp_ratelimit and icmp_msgs_per_sec of {node} say how many may be sent",
    ),
    Entry(
        "echo-ignored",
        Disposition.UNREAD,
        (arrived, of_leg("forward"), of_protocol("icmp"), ignores_echoes),
        "{node} got it and answers no echo requests",
        "net.ipv4.icmp_echo_ignore_all, net.ipv6.icmp.echo_ignore_all of {node}",
    ),
    *causes_sockets.QUEUES,
    # programs and queues at devices, and headers
    *causes_devices.PROGRAMS,
    *causes_devices.QUEUES,
    causes_devices.VNI,
    causes_sockets.IP_CHECKSUM,
    *causes_devices.HEADERS,
    # routing
    Entry(
        "routing-loop",
        Disposition.LOOPED,
        (goes_in_circles,),
        "the packet goes in a circle: {circle}",
        "one of them has a route that leads back; see `route` in each hop",
    ),
    Entry(
        "ttl",
        Disposition.TTL_EXPIRED,
        (after("prerouting"), either(told("icmp 11/0", "icmpv6 3/0"), ttl_used_up)),
        "{what} had a TTL of 1 when it came to {node}, which would have had to forward it",
        "the way is longer than the TTL that it was sent with",
    ),
    *causes_devices.ROUTES,
    Entry(
        "martian-source",
        Disposition.SPOOFED,
        (after("prerouting"), martian),
        "{node} drops {what}: its source {source} cannot come from outside",
        "somebody sends with an address that belongs to {node}, or to nobody",
    ),
    Entry(
        "rp-filter",
        Disposition.SPOOFED,
        (
            after("prerouting"),
            either(
                counted("TcpExt.IPReversePathFilter"),
                every(filters_sources, route_says("EXDEV", "EINVAL")),
            ),
        ),
        "{node} drops {what}: it would send to {source} by another device than it came in by"
        " (rp_filter)",
        "give {node} a route to {source} by {came_by}, or set rp_filter to 2 (any way) or 0",
    ),
    Entry(
        "forwarding-off",
        Disposition.NOT_FORWARDED,
        (after("prerouting"), forwards_nothing, not_its_own),
        "{node} got {what} for somebody else, and forwards nothing",
        "a `kind: router` forwards; or set net.ipv4.ip_forward, net.ipv6.conf.all.forwarding",
    ),
    Entry(
        "blackhole",
        Disposition.NULL_ROUTED,
        (either(after("prerouting"), never_sent), route_of_type("blackhole")),
        "{node} has a blackhole route for {prefix}",
        "take the route away, or give a more specific one",
    ),
    Entry(
        "unreachable",
        Disposition.NULL_ROUTED,
        (either(after("prerouting"), never_sent), route_of_type("unreachable")),
        "{node} has an unreachable route for {prefix}",
        "take the route away, or give a more specific one",
    ),
    Entry(
        "prohibit",
        Disposition.NULL_ROUTED,
        (either(after("prerouting"), never_sent), route_of_type("prohibit")),
        "{node} has a prohibit route for {prefix}",
        "take the route away, or give a more specific one",
    ),
    Entry(
        "no-return-route",
        Disposition.NO_ROUTE,
        (of_leg("reply"), after("prerouting"), route_says("ENETUNREACH")),
        "the answer ends at {node}, which has no route to {destination}",
        "give {node} a route to {destination}",
    ),
    Entry(
        "no-route",
        Disposition.NO_ROUTE,
        (either(after("prerouting"), never_sent), route_says("ENETUNREACH")),
        "{node} has no route to {destination}",
        "give {node} a route to {destination}, or `routing: static` for the whole lab",
    ),
    # size
    Entry(
        "mtu-black-hole",
        Disposition.TOO_BIG,
        (told("icmp 3/4", "icmpv6 2/0"), error_lost),
        "{what} has {length} bytes, more than the {mtu} that fit through {out} of {node}, and the"
        " ICMP error that says so ended at {error_lost}: {sender} will send the same again",
        "let ICMP errors pass {error_lost} (`ct state related accept`), or lower what TCP agrees on"
        " before the bottleneck: `tcp flags syn tcp option maxseg size set rt mtu`",
    ),
    Entry(
        "mtu",
        Disposition.TOO_BIG,
        (
            either(
                told("icmp 3/4", "icmpv6 2/0"),
                result("EMSGSIZE"),
                every(after("prerouting"), exceeds_mtu),
            ),
        ),
        "{what} has {length} bytes, more than the {mtu} that fit through {out} of {node}, and may"
        " not be fragmented",
        "raise the mtu of the link, or send less; where ICMP errors are dropped, TCP needs"
        " `tcp option maxseg size set rt mtu`",
    ),
    Entry(
        "mtu-mismatch",
        Disposition.TOO_BIG,
        (after("tx"), longer_than_peer_takes),
        "{what} has {length} bytes, and {peer_device} of {peer} takes {peer_mtu}: the two ends of"
        " the link have different mtus",
        "give both ends the same mtu",
    ),
    *causes_sockets.FRAGMENTS,
    Entry(
        "fragments-missing",
        Disposition.NOT_REASSEMBLED,
        (is_fragment, waits_for_fragments),
        "only a part of the packet's fragments came to {node}, which waits for the rest",
        "a rule on the way may drop later fragments: they have no ports",
    ),
    # the segment
    Entry(
        "address-tentative",
        Disposition.NO_NEIGHBOUR,
        (after("postrouting"), next_hop_tentative),
        "the next hop {via} does not answer yet: IPv6 still looks whether somebody else has its"
        " address",
        "wait a second, or see net.ipv6.conf.*.accept_dad and dad_transmits",
    ),
    Entry(
        "stp-blocking",
        Disposition.NOT_SWITCHED,
        (after("postrouting", "rx", "bridge prerouting"), port_blocked),
        "{blocked} lets nothing through: its spanning tree state is not forwarding",
        "wait until STP has decided (twice forward_delay), or look why that port is the one",
    ),
    Entry(
        "bridge-port-down",
        Disposition.NOT_SWITCHED,
        (after("postrouting", "rx", "bridge prerouting"), port_down),
        "{down}, which is the switch's port on the way, is down",
        "netlab exec {lab} {down_node} -- ip link set {down_device} up",
    ),
    Entry(
        "isolated-port",
        Disposition.NOT_SWITCHED,
        (after("postrouting", "bridge prerouting"), both_isolated),
        "{isolated} are isolated ports: a bridge passes nothing from one to the other",
        "one of them has to be an ordinary port",
    ),
    Entry(
        "hairpin-off",
        Disposition.NOT_SWITCHED,
        (after("bridge prerouting"), back_where_it_came),
        "the frame would have to leave {node} by {device}, where it came in",
        "set hairpin of that port",
    ),
    Entry(
        "link-down",
        Disposition.LINK_DOWN,
        (after("postrouting", "tx", "egress", "rx"), link_down),
        "{dead} is down",
        "netlab exec {lab} {dead_node} -- ip link set {dead_device} up",
    ),
    *causes_devices.SEGMENT,
    Entry(
        "tun-without-reader",
        Disposition.UNREAD,
        (after("egress", "postrouting", "tx"), tun_without_reader),
        "{what} went to {out} of {node}, which no program has open",
        "start the program that reads it; `netlab logs` tells what it said",
    ),
    Entry(
        "left",
        Disposition.LEFT,
        (after("tx"), leads_outside),
        "{what} left {node} by {device}, where a program or another machine takes it",
        "",
    ),
    Entry(
        "vxlan-wrong-peer",
        Disposition.NO_NEIGHBOUR,
        (either(after("postrouting"), never_sent), asked_through_wrong_tunnel),
        "nobody answers for {via}: {tunnel} carries what {node} asks to {remote}, where no such"
        " tunnel ends",
        "see `remote` of the vxlan device, and the number that it has at both ends",
    ),
    Entry(
        "neighbour-failed",
        Disposition.NO_NEIGHBOUR,
        (either(after("postrouting"), never_sent), neighbour_silent),
        "nobody on the segment of {out} answers for {via}, which {node} asked for",
        "is {via} the right address, and is the node that has it up and on the same segment?",
    ),
    Entry(
        "wrong-mac",
        Disposition.NOT_FOR_ME,
        (after("rx"), for_another_mac),
        "the frame came to {node} with the MAC {mac}, which {node} does not have",
        "the sender's neighbour entry is wrong: see `neighbours` there, or ip neigh flush",
    ),
    # what only the kernel's own word is known of
    Entry(
        "netfilter-drop",
        Disposition.DENIED,
        (dropped_at_hook,),
        "something at the {hook} hook of {node} drops {what}, and no rule that was seen",
        "a rule of nftables is named where nft-trace watches; else see iptables-legacy-save, and"
        " bpftool net",
    ),
    Entry(
        "kernel-drop",
        Disposition.DROPPED,
        (let_fall,),
        "{node} let {what} fall: {reason}",
        "{reason_advice}",
    ),
    *causes_sockets.LAST,
    *causes_devices.LAST,
)
"""The first that holds."""
