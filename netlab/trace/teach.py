"""What the kernel does at each step, in a few sentences, with the values of this packet.

Facts are those of Linux' own documentation and sources, which each lesson names at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from netlab.trace import model as m


def lesson(step: m.Step, hop: m.Hop) -> str:
    """"" for what explains itself."""
    return " ".join(_LESSONS[step.kind](step, hop))


def _socket(step: m.Socket, hop: m.Hop) -> Iterator[str]:
    if step.words.startswith("connect()"):
        yield "connect() chooses a source address by a route lookup and a free port, then"
        yield "sends a SYN;"
        yield "the program sleeps until SYN-ACK, RST or an ICMP error comes back. (tcp_v4_connect)"
    elif step.words.startswith("send()"):
        yield "A datagram is copied into a buffer (sk_buff) and goes down at once: nobody"
        yield "waits for it,"
        yield "and an ICMP error is told by the next call on the socket. (udp_sendmsg)"
    elif step.words.startswith("nobody listens"):
        yield "The lookup by addresses and ports found no socket: TCP answers with RST, UDP"
        yield "with ICMP"
        yield "port unreachable. (tcp_v4_rcv, __udp4_lib_rcv)"
    elif "waits on" in step.words:
        yield "The buffer is queued at the socket that the lookup by addresses and ports found; the"
        yield "program is woken and copies the data out. Of a SYN only a small request is"
        yield "kept until"
        yield "the handshake is over (SYN queue), then the connection waits in the accept queue."


def _rx(step: m.Rx, hop: m.Hop) -> Iterator[str]:
    is_port = hop.role == "switch" or any(isinstance(s, m.Switched) for s in hop.steps)
    if step.to == "other" and is_port:
        yield f"{step.device} is a port of a bridge, which takes frames for any MAC, before IP sees"
        yield "them: it learns whose MAC is behind that port. (br_handle_frame)"
        return
    if step.to == "other":
        yield "The frame's MAC is somebody else's: it is marked PACKET_OTHERHOST and IP drops it"
        yield "without a word; only bridges and packet sockets look at it. (eth_type_trans, ip_rcv)"
        return
    yield f"{step.device} hands the frame to this CPU's queue, and a softirq (NET_RX) takes it from"
    yield "there: generic XDP and packet sockets see it first, then the ingress hook, then the"
    yield "bridge if the device is a port of one, else its protocol. (__netif_receive_skb_core)"


def _tx(step: m.Tx, hop: m.Hop) -> Iterator[str]:
    yield "The Ethernet header is put in front, the netdev egress hook and the queueing"
    yield "discipline are"
    yield f"passed, and the driver of {step.device} gets the buffer. A veth's driver makes no"
    yield "copy: the"
    yield "same sk_buff appears at the other end, in the other namespace. (dev_queue_xmit,"
    yield "veth_xmit)"


_HOOKS: Mapping[str, str] = {
    "ingress": "the first hook there is, before the kernel knows the protocol; one device's own",
    "prerouting": "passed before the routing decision; conntrack looks it up, DNAT happens here",
    "input": "for packets to this node itself, after the routing decision",
    "forward": "for packets that only pass through, after the routing decision",
    "output": "for packets of this node's own programs; DNAT of these happens here",
    "postrouting": "the last of IP's hooks: SNAT and masquerade, then conntrack confirms its entry",
    "egress": "passed just before the queueing discipline; one device's own",
}


def _hook(step: m.Hook, hop: m.Hop) -> Iterator[str]:
    yield f"This hook is {_HOOKS[step.hook]}."
    if step.bridged:
        yield "br_netfilter takes bridged frames through IP's hooks as well: the address is"
        yield "looked at"
        yield "though the node does not route it."
    if len(step.chains) > 1:
        yield "Chains are passed in the order of their priorities; an accept ends one chain only, a"
        yield "drop ends all. (nf_hook_slow)"
    elif step.chains:
        yield "Rules are tried in their order until one has a verdict; else the chain's"
        yield "policy holds."


def _conntrack(step: m.Conntrack, hop: m.Hop) -> Iterator[str]:
    said = {
        "new": "No entry has its addresses and ports: one is made, and confirmed at the last hook.",
        "established": "An entry knows its addresses and ports, and both directions were seen.",
        "related": "It belongs to another connection: an ICMP error does, or FTP's data channel.",
        "invalid": "It fits no connection, and begins none: a wrong window, a stray ACK.",
        "untracked": "A rule said notrack: no entry is looked for.",
    }.get(step.state)
    if said:
        yield said
    if step.original and step.reply:
        yield f"The entry has two directions: {step.original}, and for answers {step.reply};"
        yield "they are mirror images but for NAT. (nf_conntrack_in)"


def _nat(step: m.Nat, hop: m.Hop) -> Iterator[str]:
    if step.rule is None:
        yield "Rules are asked for the first packet only. This one is rewritten by its connection's"
        yield "entry, which is why no rule's counter moves. (nf_nat_packet)"
    else:
        yield "The rule is asked for a connection's first packet; what it says is put into"
        yield "the entry,"
        yield "and every packet after it, both ways, is rewritten by that. (nf_nat_setup_info)"


def _route(step: m.Route, hop: m.Hop) -> Iterator[str]:
    if step.type == "local":
        yield f"Table local has {step.destination}: the packet is for this node. (fib_lookup)"
        return
    yield "Policy rules choose tables in order (local, main, default unless there are others); in a"
    if step.prefix:
        yield f"table the longest prefix wins: {step.prefix}. (fib_lookup, fib_table_lookup)"
    else:
        yield "table the longest prefix wins; none fits here, so there is no way. (fib_lookup)"
    if step.via:
        yield f"The packet keeps its destination; only the frame goes to {step.via}."


def _neighbour(step: m.Neighbour, hop: m.Hop) -> Iterator[str]:
    asked = "neighbour discovery" if ":" in step.address else "ARP"
    states = {
        "reachable": "The MAC was confirmed a short while ago.",
        "stale": "The MAC is old: it is used, and will be confirmed.",
        "delay": "The MAC is old and in use: it is asked for again in 5 s unless TCP confirms it.",
        "probe": "It is being asked for again.",
        "incomplete": f"{asked} asks for it now; the packet waits in a queue meanwhile.",
        "failed": f"{asked} asked three times and nobody answered: what waited is dropped.",
        "permanent": "It was set by hand and is never asked for.",
    }
    yield f"The next hop's MAC is needed for the frame. {states.get(step.state, '')}".rstrip()


def _switched(step: m.Switched, hop: m.Hop) -> Iterator[str]:
    if step.local:
        yield "The MAC is the bridge's own: the frame goes up to the node's IP. (br_pass_frame_up)"
    elif step.known:
        yield f"The forwarding database learned {step.mac} from a frame that came in by that"
        yield "port, and"
        yield "forgets it after ageing_time (300 s). (br_handle_frame_finish, fdb)"
    else:
        yield "Nobody with that MAC was heard yet: a copy goes out by every other port that"
        yield "forwards."
        yield "All copies share the data; only the small head is cloned. (br_flood, skb_clone)"


def _tunnelled(step: m.Tunnelled, hop: m.Hop) -> Iterator[str]:
    if step.wrapped:
        yield f"{step.device} puts new headers in front and the outer packet is routed anew: inside"
        yield "there are 50 bytes less room than outside (VXLAN over IPv4). (vxlan_xmit)"
    else:
        yield "The UDP socket of the tunnel takes the outer headers off, and the inner frame"
        yield "comes in"
        yield "by the tunnel's device as if it had been received there. (vxlan_rcv)"


def _made(step: m.Made, hop: m.Hop) -> Iterator[str]:
    if step.words.startswith("ICMP"):
        yield "It quotes the packet's first bytes, so that the sender knows which one it is"
        yield "about. Such"
        yield "errors are limited (icmp_ratelimit): not every packet gets one. (icmp_send)"


def _dropped(step: m.Dropped, hop: m.Hop) -> Iterator[str]:
    if step.reason:
        from netlab.trace import reasons

        yield f"kfree_skb() gave {step.reason} as the reason: {reasons.of(step.reason).words}."


def _moment(step: m.Moment, hop: m.Hop) -> Iterator[str]:
    """Told beside the step that it belongs to."""
    yield from ()


def _note(step: m.Note, hop: m.Hop) -> Iterator[str]:
    return iter(())


_LESSONS: Mapping[str, Callable[[Any, m.Hop], Iterator[str]]] = {
    "socket": _socket, "rx": _rx, "tx": _tx, "hook": _hook, "conntrack": _conntrack, "nat": _nat,
    "route": _route, "neighbour": _neighbour, "switched": _switched, "tunnelled": _tunnelled,
    "made": _made, "dropped": _dropped, "moment": _moment, "note": _note,
}  # fmt: skip
