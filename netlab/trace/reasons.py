"""What the kernel's reasons for letting a packet fall mean, and what to do about them.

The names are those of ``enum skb_drop_reason`` without what all begin with (Linux,
include/net/dropreason-core.h). Newer kernels have more of them; these are told by their name alone.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """In words that go on from "the packet was dropped: …"."""

    words: str
    advice: str = ""


USUAL = frozenset({"SKB_NOT_DROPPED_YET", "SKB_CONSUMED", "TCP_OLD_DATA", "QUEUE_PURGE"})
"""What is freed without being lost."""

TAKEN = USUAL | {"TCP_RESET", "TCP_FLAGS", "TCP_OLD_ACK"}
"""What is freed by the socket that it came to."""

QUESTIONS = ("inet_rtm_getroute", "inet6_rtm_getroute")
"""Functions in which an empty packet ends that the kernel only asks itself about a route with."""

REASONS: dict[str, Reason] = {
    "NOT_SPECIFIED": Reason("the kernel does not say why", "the function tells more"),
    # sockets
    "NO_SOCKET": Reason("nobody listens on that port", "start the program, or look at its address"),
    "SOCKET_CLOSE": Reason("the socket is being closed"),
    "SOCKET_FILTER": Reason("a filter of the socket's own said no (SO_ATTACH_FILTER)"),
    "SOCKET_RCVBUFF": Reason(
        "the socket's receive buffer is full", "the program reads too slowly; see SO_RCVBUF"
    ),
    "SOCKET_BACKLOG": Reason("the socket is busy, and its backlog is full"),
    "PROTO_MEM": Reason("the memory for all sockets of the protocol is used up", "see tcp_mem"),
    "BPF_CGROUP_EGRESS": Reason("a BPF program of the sender's cgroup said no"),
    "SECURITY_HOOK": Reason("a security module said no"),
    "PACKET_SOCK_ERROR": Reason("a packet socket could not take it"),
    # headers
    "PKT_TOO_SMALL": Reason("it is shorter than its headers say"),
    "HDR_TRUNC": Reason("it is shorter than its headers say"),
    "IP_CSUM": Reason("the checksum of the IP header is wrong"),
    "TCP_CSUM": Reason("the TCP checksum is wrong", "see checksum offload: ethtool -K … tx off"),
    "UDP_CSUM": Reason("the UDP checksum is wrong", "see checksum offload: ethtool -K … tx off"),
    "ICMP_CSUM": Reason("the ICMP checksum is wrong"),
    "SKB_CSUM": Reason("a checksum could not be computed"),
    "IP_INHDR": Reason("something in the IP header is wrong, or its TTL is used up"),
    "IP_NOPROTO": Reason("no protocol of that number is known here"),
    "UNHANDLED_PROTO": Reason("nobody here takes packets of that Ethernet type"),
    "INVALID_PROTO": Reason("its protocol does not fit the device"),
    "IPV6_BAD_EXTHDR": Reason("an IPv6 extension header is wrong"),
    "IPV6DISABLED": Reason(
        "IPv6 is switched off on the device", "sysctl net.ipv6.conf.DEVICE.disable_ipv6=0"
    ),
    "IPV6_NDISC_FRAG": Reason("neighbour discovery never comes in fragments (RFC 6980)"),
    "IPV6_NDISC_HOP_LIMIT": Reason("neighbour discovery from behind a router (hop limit not 255)"),
    "IPV6_NDISC_BAD_CODE": Reason("neighbour discovery with a code that there is not"),
    "IPV6_NDISC_BAD_OPTIONS": Reason("neighbour discovery with broken options"),
    "IPV6_NDISC_NS_OTHERHOST": Reason("it asks for an address that another node has"),
    "DEV_HDR": Reason("the device's header could not be read"),
    # addresses and routes
    "OTHERHOST": Reason("its MAC is another host's", "look at the neighbour entry of the sender"),
    "IP_INNOROUTES": Reason("there is no route to its destination", "ip route get …"),
    "IP_OUTNOROUTES": Reason("there is no route to send it by", "ip route get …"),
    "IP_INADDRERRORS": Reason(
        "the node does not forward, or the address is none for it", "sysctl net.ipv4.ip_forward=1"
    ),
    "IP_RPFILTER": Reason(
        "the way back to its source leads over another device", "sysctl …rp_filter=2, or a route"
    ),
    "IP_LOCAL_SOURCE": Reason("its source is an address of this node itself"),
    "IP_INVALID_SOURCE": Reason("its source can be nobody's: multicast, broadcast or zero"),
    "IP_LOCALNET": Reason("127.0.0.0/8 came from outside", "sysctl …route_localnet=1"),
    "IP_INVALID_DEST": Reason("its destination can be nobody's"),
    "UNICAST_IN_L2_MULTICAST": Reason("an address of one in a frame for many"),
    "LOCAL_MAC": Reason("it came in with a MAC of this node itself: a loop, or two with one MAC"),
    "MAC_INVALID_SOURCE": Reason("its source MAC can be nobody's"),
    "PKT_TOO_BIG": Reason(
        "it is larger than the next link's MTU and must not be fragmented",
        "let ICMP through, or lower the MTU of the sender",
    ),
    "ARP_PVLAN_DISABLE": Reason("proxy ARP is off for hosts of one segment"),
    # neighbours
    "NEIGH_CREATEFAIL": Reason("there is no room for another neighbour", "see gc_thresh3"),
    "NEIGH_FAILED": Reason("nobody answered for the next hop", "is it up, and on that segment?"),
    "NEIGH_QUEUEFULL": Reason("too many wait for the next hop's MAC", "see unres_qlen_bytes"),
    "NEIGH_DEAD": Reason("the neighbour entry has just been deleted"),
    "NEIGH_HH_FILLFAIL": Reason("the frame's header could not be written"),
    # filters
    "NETFILTER_DROP": Reason("an nftables rule, a policy or NAT dropped it", "netlab trace"),
    "XFRM_POLICY": Reason("an IPsec policy said no"),
    "TC_INGRESS": Reason("a filter of tc dropped it as it came in"),
    "TC_EGRESS": Reason("a filter of tc dropped it as it left"),
    "TC_COOKIE_ERROR": Reason("tc lost what it had to remember of the packet"),
    "TC_CHAIN_NOTFOUND": Reason("a filter of tc leads to a chain that there is not"),
    "TC_RECLASSIFY_LOOP": Reason("filters of tc led it in a circle"),
    "XDP": Reason("an XDP program dropped it"),
    # queues
    "QDISC_DROP": Reason("the queueing discipline dropped it: its queue is full"),
    "QDISC_OVERLIMIT": Reason("the queueing discipline is over its limit", "raise limit or rate"),
    "QDISC_CONGESTED": Reason("the queueing discipline dropped it to tell of congestion"),
    "FQ_BAND_LIMIT": Reason("fq: too many packets in one band"),
    "FQ_HORIZON_LIMIT": Reason("fq: it is to be sent too far in the future"),
    "FQ_FLOW_LIMIT": Reason("fq: too many packets of one flow"),
    "CAKE_FLOOD": Reason("cake: too many packets of one flow"),
    "DUALPI2_STEP_DROP": Reason("dualpi2: it waited too long"),
    "CPU_BACKLOG": Reason("a CPU's backlog is full", "see net.core.netdev_max_backlog"),
    "FULL_RING": Reason("nobody reads the tun, tap or veth as fast as it comes"),
    "TAP_FILTER": Reason("a filter of the tun or tap said no"),
    "TAP_TXFILTER": Reason("the tap takes no frames for that MAC"),
    "DEV_READY": Reason("the device, or its peer, is down", "ip link set … up"),
    "NOMEM": Reason("there is no memory"),
    "PFMEMALLOC": Reason("memory is so short that only swapping may send"),
    "SKB_GSO_SEG": Reason("a large packet could not be cut up"),
    "SKB_UCOPY_FAULT": Reason("the program's memory could not be read"),
    "RECURSION_LIMIT": Reason("it came to the same device again and again: tunnels in a circle"),
    # bridges and tunnels
    "NO_TX_TARGET": Reason("the bridge has no port to send it to"),
    "BRIDGE_INGRESS_STP_STATE": Reason(
        "the bridge's port is not forwarding", "wait for STP, or look at bridge link"
    ),
    "MAC_IEEE_MAC_CONTROL": Reason("frames for 01:80:c2:… are not passed on"),
    "VXLAN_INVALID_HDR": Reason("its VXLAN header is wrong"),
    "VXLAN_VNI_NOT_FOUND": Reason("no vxlan device here has that VNI"),
    "VXLAN_ENTRY_EXISTS": Reason("its MAC belongs to another tunnel end, for good"),
    "IP_TUNNEL_ECN": Reason("the congestion marks of outer and inner header contradict"),
    "TUNNEL_TXINFO": Reason("nothing says to which tunnel end it has to go"),
    # fragments
    "DUP_FRAG": Reason("the same fragment has come before"),
    "FRAG_REASM_TIMEOUT": Reason("the other fragments did not come in time"),
    "FRAG_TOO_FAR": Reason("too many fragments of other packets came between"),
    # TCP
    "TCP_FLAGS": Reason("its TCP flags do not fit the connection's state"),
    "TCP_LISTEN_OVERFLOW": Reason(
        "the accept queue is full", "the program accepts too slowly; see listen() and somaxconn"
    ),
    "TCP_ZEROWINDOW": Reason("the receiver has told that it has no room"),
    "TCP_OVERWINDOW": Reason("it is beyond what the receiver has room for"),
    "TCP_OFOMERGE": Reason("all of it has come already"),
    "TCP_OLD_SEQUENCE": Reason("its bytes have all been received before"),
    "TCP_INVALID_SEQUENCE": Reason("its sequence number is outside of the window"),
    "TCP_INVALID_END_SEQUENCE": Reason("it ends outside of the window"),
    "TCP_INVALID_ACK_SEQUENCE": Reason("it acknowledges what is outside of the window"),
    "TCP_OLD_ACK": Reason("it acknowledges what has been acknowledged"),
    "TCP_TOO_OLD_ACK": Reason("it acknowledges what is long past"),
    "TCP_ACK_UNSENT_DATA": Reason("it acknowledges what was never sent"),
    "TCP_RFC7323_PAWS": Reason("its timestamp is older than the last one (RFC 7323, PAWS)"),
    "TCP_RFC7323_PAWS_ACK": Reason("its timestamp is older than the last one (RFC 7323, PAWS)"),
    "TCP_RFC7323_TW_PAWS": Reason("its timestamp is older than the connection before (TIME_WAIT)"),
    "TCP_RFC7323_TSECR": Reason("it echoes a timestamp that was never sent"),
    "TCP_RESET": Reason("it resets the connection"),
    "TCP_INVALID_SYN": Reason("a SYN within a connection"),
    "TCP_CLOSE": Reason("the connection is closed"),
    "TCP_ABORT_ON_DATA": Reason("data for a connection that the program has closed"),
    "TCP_FASTOPEN": Reason("fast open could not be done"),
    "TCP_MINTTL": Reason("its TTL is less than the socket wants (IP_MINTTL)"),
    "TCP_OFO_QUEUE_PRUNE": Reason("the queue of what came out of order was emptied for room"),
    "TCP_OFO_DROP": Reason("there is no room for what comes out of order"),
    "TCP_AUTH_HDR": Reason("its authentication option is broken"),
    "TCP_MD5NOTFOUND": Reason("it bears no MD5 signature, and has to"),
    "TCP_MD5UNEXPECTED": Reason("it bears an MD5 signature, and must not"),
    "TCP_MD5FAILURE": Reason("its MD5 signature is wrong"),
    "TCP_AONOTFOUND": Reason("it bears no authentication option, and has to"),
    "TCP_AOUNEXPECTED": Reason("it bears an authentication option, and must not"),
    "TCP_AOKEYNOTFOUND": Reason("its authentication key is not known"),
    "TCP_AOFAILURE": Reason("its authentication is wrong"),
    # unix sockets
    "UNIX_DISCONNECT": Reason("the other end of the unix socket has gone"),
    "UNIX_SKIP_OOB": Reason("out-of-band data was passed over"),
}


PLACES: dict[str, Reason] = {
    "ip_error": Reason("a blackhole, unreachable or prohibit route took it", "ip route"),
    "do_xdp_generic": Reason("an XDP program dropped it", "bpftool net"),
    "veth_xdp_rcv_skb": Reason("an XDP program dropped it", "bpftool net"),
    "ip_rcv_finish_core": Reason("nobody here has joined that group, or its options are refused"),
    "ip_forward": Reason("it came in a frame that is not for this node alone"),
    "ip_mc_output": Reason("its multicast TTL is used up"),
    "neigh_invalidate": Reason(
        "nobody answered for the next hop", "is it up, and on that segment?"
    ),
    "ip_mr_input": Reason("nobody routes multicast here"),
    "ip6_mc_input": Reason("nobody here has joined that multicast group"),
    "ip6_pkt_drop": Reason("a blackhole, unreachable or prohibit route took it", "ip -6 route"),
    "__dev_forward_skb2": Reason(
        "it is larger than the MTU of the veth's other end", "give both ends one MTU"
    ),
    "br_handle_frame_finish": Reason(
        "the bridge does not pass it on: isolated ports, or a port that does not learn",
        "bridge -d link",
    ),
    "br_flood": Reason("the bridge has no other port to flood it to"),
    "veth_xmit": Reason("the veth's other end is down or gone", "ip link set … up"),
    "tun_net_xmit": Reason("no program has the tun or tap open"),
    "vxlan_xmit": Reason("the tunnel knows no end for that MAC"),
    "arp_rcv": Reason("it is an ARP packet that is wrong, or not for this node"),
    "nf_hook_slow": Reason("a netfilter hook dropped it"),
    "packet_rcv": Reason("a packet socket's buffer is full"),
    "tpacket_rcv": Reason("a packet socket's ring is full"),
}
"""By the kernel's function, where it gives no reason."""


def of(name: str, function: str = "") -> Reason:
    """Of a reason that is not in the table, its name in small letters."""
    if name == "NO_SOCKET" and function.startswith("ping_rcv"):
        return Reason("no ping socket waits for that answer; a raw socket may have had it")
    if name == "NOT_SPECIFIED":
        found = PLACES.get(function.partition("+")[0].partition(".")[0])
        if found is not None:
            return found
    return REASONS.get(name) or Reason(name.lower().replace("_", " "))
