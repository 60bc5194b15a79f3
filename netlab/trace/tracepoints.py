"""What the kernel is asked to tell of a packet: every tracepoint that netlab knows, as one table.

An entry says at which tracepoint, how it is known there that it is about the probe, and what is
told. What a kernel does not have of it is left out, and named. ``net_dev_xmit`` is not among them:
behind it a packet may be gone already, and what it would say is said where that goes on.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from netlab.trace.bpf.events import GATE, Event, Field

Known: TypeAlias = Literal["network", "data", "hook", "context", "socket", "waiting", "reader"]
"""By its IP header, where that is noted; by what it begins with, where nobody has noted it yet; at
a netfilter hook; because the CPU is busy with it; because a socket is, or has it in its queue now,
from where somebody reads it."""

HEADERS = 160
"""Bytes from the IP header on: enough for an ICMP error in a tunnel."""
# what gates leave on the stack, see ``bpf_gate``
NETWORK, LINK, CONNECTION, TRACKED, BUFFER = (GATE - 8 * place for place in range(5))

INODE = "nd_net.net->ns.inum"
"""Of a device: its namespace."""


class Point(NamedTuple):
    """A tracepoint, as the kernel passes it with a packet."""

    event: Event
    known: Known
    about: str
    """What is seen there; goes on from "the kernel does not tell"."""
    leaves: bool = False
    """Whether this CPU is done with the packet for now."""
    reads: bool = False
    """Whether a program reads it."""
    begins: bool = False
    """Whether a packet that a program sends is first met here."""


PACKET = (
    Field("device", "sk_buff.dev->name"),
    Field("namespace", f"sk_buff.dev->{INODE}"),
    Field("mark", "sk_buff.mark"),
    Field("length", "sk_buff.len"),
    Field("bytes", "sk_buff.head"),
    Field("network", f"@{NETWORK}", HEADERS),
)
FRAME = (*PACKET, Field("link", f"@{LINK}", 14), Field("to", "sk_buff.pkt_type"))
OF_SOCKET = "sk_buff.sk->__sk_common.skc_net.net->ns.inum"
"""Where a packet has no device any more."""
SOCKET = (
    Field("namespace", "sock.__sk_common.skc_net.net->ns.inum"),
    Field("family", "sock.__sk_common.skc_family"),
    Field("protocol", "sock.sk_protocol"),
    Field("local", "sock.__sk_common.skc_rcv_saddr"),
    Field("remote", "sock.__sk_common.skc_daddr"),
    Field("local6", "sock.__sk_common.skc_v6_rcv_saddr"),
    Field("remote6", "sock.__sk_common.skc_v6_daddr"),
    Field("local port", "sock.__sk_common.skc_num"),
    Field("remote port", "sock.__sk_common.skc_dport"),
    Field("buffer", f"={BUFFER}", 8),
)
NEIGHBOUR = (
    Field("device", "neighbour.dev->name"),
    Field("namespace", f"neighbour.dev->{INODE}"),
    Field("family", "neighbour.tbl->family"),
    Field("address", "neighbour.primary_key", 16),
    Field("mac", "neighbour.ha", 6),
    Field("state", "neighbour.nud_state"),
)
LEARNED = (
    Field("bridge", "net_bridge.dev->name"),
    Field("namespace", f"net_bridge.dev->{INODE}"),
    Field("device", "net_bridge_port.dev->name"),
    Field("mac", "bytes unsigned char *", 6),
    Field("vlan", "u16"),
)
QUEUE = (
    *PACKET,
    Field("kind", "Qdisc.ops->id", 16),
    Field("backlog", "Qdisc.q.qlen"),
    Field("queue device", "Qdisc.dev_queue->dev->name"),
    Field("queue namespace", f"Qdisc.dev_queue->dev->{INODE}"),
)
HOOK = (
    Field("hook", "nf_hook_state.hook"),
    Field("family", "nf_hook_state.pf"),
    Field("namespace", "nf_hook_state.net->ns.inum"),
    Field("device", "nf_hook_state.in->name"),
    Field("to device", "nf_hook_state.out->name"),
    Field("mark", "sk_buff.mark"),
    Field("length", "sk_buff.len"),
    Field("bytes", "sk_buff.head"),
    Field("network", f"@{NETWORK}", HEADERS),
    Field("tracked", f"={TRACKED}", 8),
    Field("connection", f"={CONNECTION}", 8),
    Field("status", f"@{CONNECTION} nf_conn.status"),
    Field("tuples", f"@{CONNECTION} nf_conn.tuplehash"),
)


def _packet(name: str, *fields: Field, last: bool = False) -> Event:
    return Event(name, "sk_buff *", (*fields, *PACKET), last)


POINTS: dict[str, Point] = {
    # from device to device
    "queue": Point(_packet("net_dev_queue"), "network", "a packet handed to a device", begins=True),
    "tx": Point(Event("net_dev_start_xmit", "sk_buff *", FRAME), "network", "a frame that leaves"),
    "backlog": Point(
        _packet("netif_rx"), "data", "a frame put on a CPU's queue", leaves=True
    ),
    "gro": Point(
        _packet("napi_gro_receive_entry"), "data", "a frame given to GRO"
    ),
    "gro-frags": Point(
        _packet("napi_gro_frags_entry"), "data", "a frame in pieces given to GRO"
    ),
    "rx": Point(Event("netif_receive_skb", "sk_buff *", FRAME), "data", "a frame that came in"),
    "enqueued": Point(
        Event("qdisc_enqueue", "sk_buff *", QUEUE), "network", "a packet in a queue", leaves=True
    ),
    "dequeued": Point(
        Event("qdisc_dequeue", "sk_buff *", QUEUE), "network", "a packet out of a queue"
    ),
    "polled": Point(
        Event(
            "napi_poll",
            "",
            (
                Field("device", "napi_struct.dev->name"),
                Field("namespace", f"napi_struct.dev->{INODE}"),
                Field("work", "int"),
                Field("budget", "int#1"),
            ),
        ),
        "context",
        "which poll took it in",
        leaves=True,
    ),
    "xdp-failed": Point(
        Event(
            "xdp_exception",
            "",
            (
                Field("device", "net_device.name"),
                Field("namespace", f"net_device.{INODE}"),
                Field("action", "u32"),
            ),
        ),
        "context",
        "an XDP program that failed",
    ),
    "page": Point(
        Event("page_pool_state_hold", "", (Field("held", "u32"),)),
        "context",
        "a page taken for a frame",
    ),
    # what is decided
    "route": Point(
        Event(
            "fib_table_lookup",
            "",
            (
                Field("table", "u32"),
                Field("error", "int"),
                Field("address", "flowi4.daddr"),
                Field("source", "flowi4.saddr"),
                Field("device", "fib_nh_common.nhc_dev->name"),
                Field("namespace", f"fib_nh_common.nhc_dev->{INODE}"),
                Field("via", "fib_nh_common.nhc_gw", 16),
                Field("via family", "fib_nh_common.nhc_gw_family"),
                Field("scope", "fib_nh_common.nhc_scope"),
            ),
        ),
        "context",
        "IPv4's routing decisions",
    ),
    "route6": Point(
        Event(
            "fib6_table_lookup",
            "",
            (
                Field("table", "fib6_table.tb6_id"),
                Field("type", "fib6_result.fib6_type"),
                Field("flags", "fib6_result.fib6_flags"),
                Field("address", "flowi6.daddr"),
                Field("source", "flowi6.saddr"),
                Field("device", "fib6_result.nh->nh_common.nhc_dev->name"),
                Field("namespace", "net.ns.inum"),
                Field("via", "fib6_result.nh->nh_common.nhc_gw", 16),
                Field("via family", "fib6_result.nh->nh_common.nhc_gw_family"),
            ),
        ),
        "context",
        "IPv6's routing decisions",
    ),
    "neighbour": Point(
        Event("neigh_event_send_done", "", NEIGHBOUR), "context", "neighbours that are asked for"
    ),
    "neighbour-dead": Point(
        Event("neigh_event_send_dead", "", NEIGHBOUR), "context", "neighbours given up"
    ),
    "neighbour-new": Point(
        Event(
            "neigh_create",
            "",
            (
                Field("device", "net_device.name"),
                Field("namespace", f"net_device.{INODE}"),
                Field("family", "neigh_table.family"),
                Field("address", "bytes void *", 16),
            ),
        ),
        "context",
        "neighbours met for the first time",
    ),
    "neighbour-updated": Point(
        Event("neigh_update_done", "", NEIGHBOUR), "context", "neighbours that answer"
    ),
    "learned": Point(
        Event("br_fdb_update", "", LEARNED), "context", "what a bridge learns from it"
    ),
    "learned-outside": Point(
        Event("br_fdb_external_learn_add", "", LEARNED), "context", "what a bridge is taught"
    ),
    "learned-added": Point(
        Event(
            "br_fdb_add",
            "",
            (
                Field("device", "net_device.name"),
                Field("namespace", f"net_device.{INODE}"),
                Field("mac", "bytes unsigned char *", 6),
                Field("vlan", "u16"),
            ),
        ),
        "context",
        "what is written into a bridge's database",
    ),
    # netfilter; not a tracepoint, but a program at the hook itself
    "hook": Point(Event("", "sk_buff *", HOOK), "hook", "what netfilter's hooks do"),
    # sockets
    "state": Point(
        Event(
            "inet_sock_set_state", "sock *",
            (Field("before", "int"), Field("after", "int#1"), *SOCKET),
        ),
        "socket",
        "how sockets change",
    ),
    "ready": Point(
        Event("sk_data_ready", "sock *", SOCKET), "waiting", "that a program is woken"
    ),
    "received": Point(
        Event(
            "sock_recv_length", "sock *",
            (Field("read", "int"), Field("program", "program"), *SOCKET),
        ),
        "reader",
        "that a program reads a datagram",
    ),
    "read": Point(
        Event(
            "skb_copy_datagram_iovec", "sk_buff *",
            (
                Field("read", "int"),
                Field("program", "program"),
                Field("socket namespace", OF_SOCKET),
                Field("socket family", "sk_buff.sk->__sk_common.skc_family"),
                *PACKET,
            ),
        ),
        "network",
        "that a program reads it",
        reads=True,
    ),
    "refused": Point(
        _packet(
            "udp_fail_queue_rcv_skb", Field("error", "int"), Field("socket namespace", OF_SOCKET)
        ),
        "network",
        "that a UDP socket refuses it",
    ),
    "full": Point(
        _packet(
            "sock_rcvqueue_full", Field("held", "sock.sk_backlog.rmem_alloc.counter"),
            Field("limit", "sock.sk_rcvbuf"),
            Field("socket namespace", "sock.__sk_common.skc_net.net->ns.inum"),
        ),
        "network",
        "that a socket's buffer is full",
    ),
    "bad-checksum": Point(_packet("tcp_bad_csum"), "network", "a wrong TCP checksum"),
    "measured": Point(
        _packet(
            "tcp_probe",
            Field("window", "tcp_sock.snd_cwnd of sock *"),
            Field("round trip", "tcp_sock.srtt_us of sock *"),
            Field("socket namespace", "sock.__sk_common.skc_net.net->ns.inum"),
        ),
        "network",
        "what TCP measures",
    ),
    "again": Point(
        Event("tcp_retransmit_skb", "sock *", SOCKET), "socket", "that TCP sends it again"
    ),
    "answered-again": Point(
        Event("tcp_retransmit_synack", "sock *", SOCKET), "socket", "that TCP answers again"
    ),
    "was-reset": Point(
        Event("tcp_receive_reset", "sock *", SOCKET), "socket", "that a reset came"
    ),
    "failed": Point(
        Event("inet_sk_error_report", "sock *", (Field("error", "sock.sk_err"), *SOCKET)),
        "socket",
        "that a program is told of an error",
    ),
    # what is sent because of it
    "answered": Point(
        _packet("icmp_send", Field("type", "int"), Field("code", "int#1")),
        "network",
        "ICMP errors that it makes",
    ),
    "reset": Point(
        _packet("tcp_send_reset", Field("reason", "enum sk_rst_reason")),
        "network",
        "TCP resets that it makes",
    ),
    # its end
    "freed": Point(
        _packet(
            "kfree_skb", Field("reason", "enum skb_drop_reason"),
            Field("function", "symbol void *"), last=True,
        ),
        "network",
        "the reason why packets are dropped",
    ),
    "used": Point(
        _packet("consume_skb", Field("function", "symbol void *"), last=True),
        "network",
        "where a packet's buffer is given back",
    ),
}  # fmt: skip
"""By what they are called in a sighting."""


SHARED = "sk_buff.head + sk_buff.end: skb_shared_info."
"""Behind the end of the memory, without a pointer to it (``skb_shinfo``)."""
OF_BUFFER = (
    Field("data", "sk_buff.data"),
    Field("tail", "sk_buff.tail"),
    Field("end", "sk_buff.end"),
    Field("paged", "sk_buff.data_len"),
    Field("flags", "sk_buff.__cloned_offset", 1),
    Field("references", f"{SHARED}dataref"),
    Field("segment", f"{SHARED}gso_size"),
    Field("segments", f"{SHARED}gso_segs"),
)
OF_CPU = (Field("running", "program"),)
"""What is only asked for where a trace is to teach; see ``anatomy``."""


def in_depth(point: Point, *more: Field) -> Point:
    """The same, with what is taught: how the buffer lies in memory, who ran, and ``more``."""
    event = point.event
    if event.subject not in ("", "sk_buff *"):
        return point
    of_buffer = OF_BUFFER if event.subject else ()
    fields = (*event.fields, *of_buffer, *OF_CPU, *more)
    return point._replace(event=event._replace(fields=fields))
