"""Causes at devices, in their queues, in bridges and tunnels, and in headers that are no use."""

from __future__ import annotations

from netlab.trace.clues import (
    after,
    arrived,
    either,
    every,
    neighbour_silent,
    never_sent,
    not_its_own,
    of_leg,
    result,
    route_of_type,
    told,
)
from netlab.trace.clues_devices import (
    device_counted,
    disabled_ipv6,
    filters_loosely,
    for_many,
    full_of_unread,
    has_queue,
    holder_answers_no_arp,
    holder_ignores_arp,
    holder_without_ipv6,
    kept_from_flood,
    leads_nowhere,
    other_network,
    port_locked,
    reserved_for_bridges,
    same_mac,
    stopped_by_xdp,
    to_a_group,
    to_all_of_a_segment,
    to_nobody,
    with_own_source,
    xdp_failed,
    xdp_on_the_segment,
)
from netlab.trace.clues_sockets import freed_in, kernel_says, only_counted
from netlab.trace.entry import Entry
from netlab.trace.model import Disposition

WHICH_PROGRAM = "`netlab exec {lab} {node} -- bpftool net` shows which; ip link set DEVICE xdp off"
IN_ITS_HEADER = "something on the way writes into headers, or the sender made it so"

PROGRAMS: tuple[Entry, ...] = (
    Entry(
        "xdp-aborted",
        Disposition.DENIED,
        (xdp_failed,),
        "the XDP program at {xdp} failed on {what}, which is dropped then (XDP_ABORTED, or an"
        " action that there is not)",
        "the program has a mistake; " + WHICH_PROGRAM,
    ),
    Entry(
        "xdp-drop",
        Disposition.DENIED,
        (either(kernel_says("XDP"), stopped_by_xdp),),
        "the XDP program at {xdp} does not let {what} pass: it ends there, before any rule or route"
        " is asked",
        WHICH_PROGRAM,
    ),
    Entry(
        "tc-drop",
        Disposition.DENIED,
        (kernel_says("TC_INGRESS"),),
        "a filter of tc, or a BPF program in its place, drops {what} as it comes in by {device} of"
        " {node}",
        "netlab exec {lab} {node} -- tc filter show dev {device} ingress; bpftool net",
    ),
    Entry(
        "tc-drop",
        Disposition.DENIED,
        (kernel_says("TC_EGRESS"),),
        "a filter of tc, or a BPF program in its place, drops {what} as it leaves by {out} of"
        " {node}",
        "netlab exec {lab} {node} -- tc filter show dev {out} egress; bpftool net",
    ),
)

QUEUES: tuple[Entry, ...] = (
    Entry(
        "queue-full",
        Disposition.DROPPED,
        (
            kernel_says(
                "QDISC_DROP", "QDISC_OVERLIMIT", "QDISC_CONGESTED", "FQ_BAND_LIMIT",
                "FQ_HORIZON_LIMIT", "FQ_FLOW_LIMIT", "CAKE_FLOOD", "DUALPI2_STEP_DROP",
            ),
            has_queue,
        ),
        "the queue of {out} of {node} does not take {what}: it is full, or {what} is larger than"
        " its burst",
        "netlab exec {lab} {node} -- tc -s qdisc show dev {out} tells its limit, and what was"
        " dropped",
    ),
    Entry(
        "reader-too-slow",
        Disposition.UNREAD,
        (either(kernel_says("FULL_RING"), every(after("tx", "egress"), full_of_unread)),),
        "{device} of {node} holds as many packets as it may, and who has it open does not read"
        " them",
        "the program is too slow or hangs; txqueuelen of {device} says how many may wait",
    ),
    Entry(
        "neighbour-queue-full",
        Disposition.NO_NEIGHBOUR,
        (kernel_says("NEIGH_QUEUEFULL"),),
        "nobody answered for {via} yet, and more packets wait for that than {node} keeps: {what}"
        " was thrown away for a later one",
        "look why {via} does not answer; net.ipv4.neigh.{out}.unres_qlen_bytes says how many wait",
    ),
)  # fmt: skip

HEADERS: tuple[Entry, ...] = (
    Entry(
        "ethertype-unknown",
        Disposition.NOT_FOR_ME,
        (kernel_says("UNHANDLED_PROTO"),),
        "nobody in {node} takes frames of the Ethernet type that {what} came with",
        "something on the way changed it; or the VLAN, MPLS or PPPoE that it is of is missing here",
    ),
    Entry(
        "ipv6-disabled",
        Disposition.NOT_FOR_ME,
        (after("rx"), disabled_ipv6),
        "IPv6 is switched off at {device} of {node}",
        "net.ipv6.conf.{device}.disable_ipv6 of {node} is 1",
    ),
    Entry(
        "truncated",
        Disposition.DROPPED,
        (
            either(
                every(
                    kernel_says("PKT_TOO_SMALL", "HDR_TRUNC"),
                    freed_in("ip_rcv_core", "ip6_rcv_core"),
                ),
                every(
                    after("rx"), only_counted("IpExt.InTruncatedPkts", "Ip6.InTruncatedPkts")
                ),
            ),
        ),
        "{what} is shorter than its IP header says, and {node} throws it away",
        IN_ITS_HEADER,
    ),
    Entry(
        "martian-destination",
        Disposition.SPOOFED,
        (after("rx", "prerouting"), to_nobody),
        "{node} drops {what}: {destination} is no address that one sends to over a link",
        "a dnat rule, or the sender's route, leads wrong; net.ipv4.conf.*.route_localnet would"
        " allow 127.0.0.0/8",
    ),
    Entry(
        "martian-source",
        Disposition.SPOOFED,
        (after("rx"), with_own_source),
        "{node} drops {what}: its source {source} cannot come from outside",
        "somebody sends with an address that belongs to {node}, or to nobody",
    ),
    Entry(
        "extension-header",
        Disposition.REFUSED,
        (told("icmpv6 4/2"),),
        "{error_maker} does not know an option in an IPv6 extension header of {what} that says it"
        " must not be passed over",
        "see RFC 8200, 4.2: the two highest bits of an option's type say what is done with unknown"
        " ones",
    ),
    Entry(
        "routing-header",
        Disposition.REFUSED,
        (told("icmpv6 4/0"),),
        "{error_maker} takes no routing header of the type that {what} has: type 0 is refused by"
        " all (RFC 5095)",
        "segment routing is type 4, which is taken where net.ipv6.conf.*.seg6_enabled is 1, and"
        " else dropped without a word",
    ),
    Entry(
        "ip-options",
        Disposition.REFUSED,
        (told("icmp 12/0"),),
        "the IP options of {what} make no sense to {error_maker}, which said so by ICMP",
        IN_ITS_HEADER,
    ),
    Entry(
        "header-invalid",
        Disposition.DROPPED,
        (
            after("rx"),
            either(
                every(kernel_says("IP_INHDR"), freed_in("ip_rcv_core", "ip6_rcv_core")),
                only_counted("Ip.InHdrErrors", "Ip6.InHdrErrors"),
            ),
        ),
        "the IP header of {what} contradicts itself (version, lengths), and {node} throws it away",
        IN_ITS_HEADER,
    ),
    Entry(
        "frame-for-many",
        Disposition.NOT_FOR_ME,
        (
            either(
                kernel_says("UNICAST_IN_L2_MULTICAST"),
                every(after("prerouting"), for_many, not_its_own),
            ),
            for_many,
        ),
        "the frame came to a MAC that stands for many, and {node} takes from such ones nothing that"
        " is for one alone",
        "the sender's neighbour entry is wrong, or a cluster shares that MAC; see"
        " net.*.conf.*.drop_unicast_in_l2_multicast",
    ),
    Entry(
        "multicast-not-joined",
        Disposition.NOT_FOR_ME,
        (after("rx", "prerouting"), to_a_group),
        "{destination} is a group that nobody in {node} has joined, and {node} passes none on",
        "a program joins by IP_ADD_MEMBERSHIP: see ip maddr; routers need a multicast daemon",
    ),
)

VNI = Entry(
    "vxlan-vni",
    Disposition.MISDIRECTED,
    (either(kernel_says("VXLAN_VNI_NOT_FOUND"), every(after("input"), other_network)),),
    "{node} has no tunnel of the network {vni} that {what} came in, only of {far_vni}",
    "give the vxlan devices of both ends the same number: `id`",
)

BROADCAST: tuple[Entry, ...] = (
    Entry(
        "directed-broadcast",
        Disposition.MISDIRECTED,
        (arrived, of_leg("forward"), to_all_of_a_segment),
        "{destination} is the broadcast address of a segment of {node}, which took {what} itself"
        " and passes it on to nobody",
        "net.ipv4.conf.*.bc_forwarding=1, where that is wanted",
    ),
)

NOT_SENT: tuple[Entry, ...] = (
    Entry(
        "broadcast-not-allowed",
        Disposition.UNREAD,
        (never_sent, result("EACCES"), route_of_type("broadcast")),
        "{destination} is a broadcast address, and {sender}'s kernel sends to such ones only for"
        " programs that want it (SO_BROADCAST)",
        "a trace follows one packet to one node: name that",
    ),
)

ROUTES: tuple[Entry, ...] = (
    Entry(
        "duplicate-mac",
        Disposition.MISDIRECTED,
        (after("rx", "prerouting"), not_its_own, same_mac),
        "{what} was not meant for {node}, which got it since {twin} has the same MAC: a switch"
        " sends to whichever of the two it heard of last",
        "give one of them another MAC: ip link set {device} address …; clones of one machine often"
        " have the same",
    ),
    Entry(
        "beyond-scope",
        Disposition.NOT_FORWARDED,
        (after("prerouting"), told("icmpv6 1/2")),
        "{node} forwards nothing that comes from {source}: that address means something on its own"
        " link alone",
        "give {sender} an address of a wider scope: an own one, or by router advertisements",
    ),
    Entry(
        "rp-filter-loose",
        Disposition.SPOOFED,
        (
            after("prerouting"),
            either(kernel_says("IP_RPFILTER"), only_counted("TcpExt.IPReversePathFilter")),
            filters_loosely,
        ),
        "{node} has no route to {source} by any device, and drops {what} (rp_filter is 2)",
        "give {node} a route to {source}; or somebody sends with an address that nobody has",
    ),
)

SEGMENT: tuple[Entry, ...] = (
    Entry(
        "reserved-mac",
        Disposition.NOT_SWITCHED,
        (after("rx", "bridge prerouting"), reserved_for_bridges),
        "bridges keep frames for {mac} to themselves: {node} does not pass {what} on",
        "no host has such a MAC: look at the sender's neighbour entry; group_fwd_mask of a bridge"
        " lets some of them through",
    ),
    Entry(
        "port-locked",
        Disposition.NOT_SWITCHED,
        (
            either(
                after("bridge prerouting"), every(after("postrouting"), neighbour_silent)
            ),
            port_locked,
        ),
        "{kept_out} is a locked port: it takes only frames of MACs that are in the bridge's"
        " database",
        "let the sender authenticate (802.1X); or bridge fdb add MAC dev PORT master static",
    ),
    Entry(
        "flood-off",
        Disposition.NOT_SWITCHED,
        (after("bridge prerouting", "postrouting"), kept_from_flood),
        "{kept_out} gets no frames that the bridge would have to flood, and by that neither {what}"
        " nor the question who has {destination}",
        "bridge link set dev PORT flood on mcast_flood on bcast_flood on; or an entry in its"
        " database",
    ),
    Entry(
        "arp-off",
        Disposition.NO_NEIGHBOUR,
        (either(after("postrouting"), never_sent), neighbour_silent, holder_answers_no_arp),
        "{holder} has {via}, and answers nobody who asks: ARP is switched off at {holder_device}",
        "netlab exec {lab} {holder} -- ip link set {holder_device} arp on",
    ),
    Entry(
        "arp-ignored",
        Disposition.NO_NEIGHBOUR,
        (either(after("postrouting"), never_sent), neighbour_silent, holder_ignores_arp),
        "{holder} has {via}, and does not answer who asks for it at {holder_device} (arp_ignore)",
        "net.ipv4.conf.{holder_device}.arp_ignore of {holder}: 1 answers for addresses of that"
        " device alone, 8 for none",
    ),
    Entry(
        "ipv6-disabled",
        Disposition.NO_NEIGHBOUR,
        (either(after("postrouting"), never_sent), neighbour_silent, holder_without_ipv6),
        "{holder}, which should have {via}, has IPv6 switched off at {holder_device}",
        "net.ipv6.conf.{holder_device}.disable_ipv6 of {holder} is 1",
    ),
    Entry(
        "xdp-drop",
        Disposition.NO_NEIGHBOUR,
        (either(after("postrouting"), never_sent), neighbour_silent, xdp_on_the_segment),
        "nobody answers for {via}, and an XDP program stands at {guarded}: it may take the question"
        " or the answer",
        "ARP and IPv6's neighbour discovery have to pass it too; bpftool net shows which it is",
    ),
    Entry(
        "vxlan-vni",
        Disposition.NO_NEIGHBOUR,
        (either(after("postrouting"), never_sent), neighbour_silent, other_network),
        "nobody answers for {via}: the tunnel is of the network {vni}, and {far} has only"
        " {far_vni}",
        "give the vxlan devices of both ends the same number: `id`",
    ),
    Entry(
        "vxlan-no-remote",
        Disposition.NOT_SWITCHED,
        (after("postrouting", "tx", "egress"), leads_nowhere),
        "the tunnel {out} of {node} knows no other end that {what} could be sent to",
        "give it a `remote`; or bridge fdb append 00:00:00:00:00:00 dev {out} dst ADDRESS",
    ),
)

LAST: tuple[Entry, ...] = (
    Entry(
        "device-dropped",
        Disposition.DROPPED,
        (after("rx", "tx", "postrouting", "egress"), device_counted("rx_dropped", "tx_dropped")),
        "{what} was last seen at {device} of {node}, where a device counted a packet that it"
        " dropped",
        "the kernel's reason is told where BPF is allowed: `netlab doctor`",
    ),
)
