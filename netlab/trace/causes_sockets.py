"""Causes at the end of the way: what the receiving IP, and the socket behind it, do not take."""

from __future__ import annotations

from netlab.trace.clues import (
    answered_by_reset,
    arrived,
    counted,
    either,
    every,
    is_fragment,
    of_leg,
    of_protocol,
    told,
)
from netlab.trace.clues_sockets import (
    do_not_fit,
    in_vain,
    kernel_says,
    let_fall_within,
    no_room_for_fragments,
    only_counted,
    overflowed,
    queue_of_requests,
    timed_out,
    waits_elsewhere,
    within_connection,
)
from netlab.trace.entry import Entry
from netlab.trace.model import Disposition

OFFLOAD = (
    "who computes it is told by `ethtool -k DEVICE`; a rule that writes into packets may have"
    " spoiled it"
)

FRAGMENTS: tuple[Entry, ...] = (
    Entry(
        "reassembly-timeout",
        Disposition.NOT_REASSEMBLED,
        (is_fragment, timed_out),
        "only a part of the packet's fragments came to {node}, which has given up waiting for the"
        " rest",
        "a rule on the way may drop later fragments: they have no ports; how long {node} waits is"
        " said by net.ipv4.ipfrag_time and net.ipv6.ip6frag_time",
    ),
    Entry(
        "fragments-no-room",
        Disposition.NOT_REASSEMBLED,
        (is_fragment, in_vain, no_room_for_fragments),
        "{node} has no memory left for packets in fragments, and throws those of {what} away",
        "see net.ipv4.ipfrag_high_thresh and net.ipv6.ip6frag_high_thresh of {node}; else send"
        " packets that need no fragments",
    ),
    Entry(
        "fragments-overlap",
        Disposition.NOT_REASSEMBLED,
        (is_fragment, in_vain, do_not_fit),
        "the fragments of {what} do not fit together (they overlap, or have several ends), and"
        " {node} throws all of them away (RFC 5722)",
        "something on the way wrote into their headers, or somebody attacks",
    ),
)
"""Before those of fragments that only are not all there."""

IP_CHECKSUM = Entry(
    "checksum-ip",
    Disposition.DROPPED,
    (either(kernel_says("IP_CSUM"), only_counted("IpExt.InCsumErrors")),),
    "the checksum in the IP header of {what} is wrong, and {node} does not believe the rest",
    "a rule or a program on the way writes into headers and does not correct it",
)

CHECKSUMS = tuple(
    Entry(
        f"checksum-{protocol}",
        Disposition.DROPPED,
        (
            arrived,
            in_vain,
            of_protocol(protocol),
            either(kernel_says(*reasons), only_counted(*counters)),
        ),
        f"the {protocol.upper()} checksum of {{what}} is wrong, and {{node}} lets it fall"
        " without a word",
        OFFLOAD,
    )
    for protocol, reasons, counters in (
        ("tcp", ("TCP_CSUM",), ("Tcp.InCsumErrors",)),
        ("udp", ("UDP_CSUM",), ("Udp.InCsumErrors", "Udp6.InCsumErrors")),
        ("icmp", ("ICMP_CSUM", "SKB_CSUM"), ("Icmp.InCsumErrors", "Icmp6.InCsumErrors")),
    )
)

TCP: tuple[Entry, ...] = (
    Entry(
        "ttl-too-low",
        Disposition.DROPPED,
        (
            arrived,
            in_vain,
            either(kernel_says("TCP_MINTTL"), only_counted("TcpExt.TCPMinTTLDrop")),
        ),
        "the program of {node} takes nothing that has passed so many routers (IP_MINTTL, as BGP"
        " uses it: RFC 5082), and {what} came with a TTL of {ttl}",
        "send with a TTL of 255 from the same segment, or let the program expect more hops",
    ),
    Entry(
        "tcp-md5",
        Disposition.DENIED,
        (
            arrived,
            in_vain,
            either(
                kernel_says("TCP_MD5NOTFOUND", "TCP_MD5UNEXPECTED", "TCP_MD5FAILURE"),
                only_counted(
                    "TcpExt.TCPMD5NotFound", "TcpExt.TCPMD5Unexpected", "TcpExt.TCPMD5Failure"
                ),
            ),
        ),
        "the program of {node} wants TCP segments from {source} signed with a key (TCP_MD5SIG, as"
        " BGP does), and {what} is not",
        "give both ends the same key; `ss -tln` tells nothing of it, the program's configuration"
        " does",
    ),
    Entry(
        "syn-cookie-invalid",
        Disposition.REFUSED,
        (
            arrived,
            of_leg("forward"),
            of_protocol("tcp"),
            in_vain,
            within_connection,
            counted("TcpExt.SyncookiesFailed"),
        ),
        "{node} answers with SYN cookies, and {what}, which would be the last of a handshake, bears"
        " none that is right",
        "the handshake took too long, or was not with {node}; see net.ipv4.tcp_syncookies, and why"
        " the queue of requests is full",
    ),
    Entry(
        "tcp-half-open",
        Disposition.DROPPED,
        (
            arrived,
            in_vain,
            either(kernel_says("TCP_INVALID_SYN"), only_counted("TcpExt.TCPSYNChallenge")),
        ),
        "{node} still has a connection with {source}, port {source_port}, of which {sender} knows"
        " nothing any more: it does not take a new one for it, and asks back (challenge ACK)",
        "let the reset of {sender} come to {node}, or close the connection there: ss -K",
    ),
    Entry(
        "tcp-time-wait",
        Disposition.DROPPED,
        (
            arrived,
            in_vain,
            either(kernel_says("TCP_RFC7323_TW_PAWS"), only_counted("TcpExt.PAWSTimewait")),
        ),
        "{node} has just closed a connection with {source}, port {source_port}, and the timestamp"
        " of {what} is older than the last one of that (TIME_WAIT, PAWS)",
        "several hosts behind one address have different clocks: net.ipv4.tcp_timestamps=0, or more"
        " ports to masquerade to",
    ),
    Entry(
        "tcp-timestamp",
        Disposition.DROPPED,
        (
            arrived,
            in_vain,
            either(
                kernel_says("TCP_RFC7323_PAWS", "TCP_RFC7323_PAWS_ACK", "TCP_RFC7323_TSECR"),
                only_counted("TcpExt.PAWSActive", "TcpExt.PAWSEstab", "TcpExt.TSEcrRejected"),
            ),
        ),
        "the TCP timestamps of {what} cannot be right: they are older than what {node} has seen, or"
        " echo what it never sent (RFC 7323)",
        "something on the way rewrites TCP options; or strips them from one direction alone",
    ),
    Entry(
        "tcp-out-of-window",
        Disposition.DROPPED,
        (
            arrived,
            in_vain,
            kernel_says(
                "TCP_INVALID_SEQUENCE", "TCP_INVALID_END_SEQUENCE", "TCP_OVERWINDOW",
                "TCP_INVALID_ACK_SEQUENCE", "TCP_OLD_SEQUENCE", "TCP_OLD_ACK", "TCP_TOO_OLD_ACK",
                "TCP_ACK_UNSENT_DATA", "TCP_ZEROWINDOW",
            ),
        ),
        "{node} has a connection with {source}, port {source_port}, but the sequence numbers of"
        " {what} are outside of its window",
        "something on the way changes sequence numbers, or it belongs to an older connection",
    ),
    Entry(
        "no-connection",
        Disposition.REFUSED,
        (
            arrived,
            of_leg("forward"),
            of_protocol("tcp"),
            in_vain,
            within_connection,
            either(kernel_says("TCP_FLAGS", "NO_SOCKET"), only_counted("Tcp.OutRsts")),
        ),
        "{what} came to {node} as a part of a connection, which {node} does not have",
        "the beginning went elsewhere or was before a restart; or something on the way changes"
        " TCP's flags",
    ),
    Entry(
        "tcp-flags",
        Disposition.DROPPED,
        (arrived, in_vain, kernel_says("TCP_FLAGS")),
        "{what} came to {node} with the TCP flags [{flags}], which do not fit what it waits for",
        "something on the way changes TCP's flags",
    ),
)  # fmt: skip

QUEUES: tuple[Entry, ...] = (
    Entry(
        "backlog-full",
        Disposition.UNREAD,
        (
            arrived,
            of_protocol("tcp"),
            in_vain,
            either(kernel_says("TCP_LISTEN_OVERFLOW"), overflowed),
        ),
        "{node} got it, but its program accepts no connections: they queue up to its limit",
        "see `ss -tln`, column Recv-Q: the program has to call accept(), or listen() for more",
    ),
    Entry(
        "syn-queue-full",
        Disposition.UNREAD,
        (arrived, of_protocol("tcp"), in_vain, queue_of_requests),
        "{node} got it, but too many handshakes with it have begun and not ended, and it takes no"
        " further one",
        "net.ipv4.tcp_syncookies=1 would answer all the same; see also tcp_max_syn_backlog and"
        " listen()",
    ),
    Entry(
        "buffer-full",
        Disposition.UNREAD,
        (
            arrived,
            in_vain,
            of_protocol("udp"),
            either(
                kernel_says("SOCKET_RCVBUFF"),
                only_counted("Udp.RcvbufErrors", "Udp6.RcvbufErrors"),
            ),
        ),
        "{node} got it, but its program does not read: the socket's buffer is full",
        "see `ss -ulnm`, column Recv-Q",
    ),
    Entry(
        "socket-filter",
        Disposition.DENIED,
        (
            arrived,
            in_vain,
            either(kernel_says("SOCKET_FILTER"), only_counted("Udp.InErrors", "Udp6.InErrors")),
        ),
        "the socket of {node} that {what} came to has a filter of its own, which said no"
        " (SO_ATTACH_FILTER)",
        "it is the program's; `ss -tulnb` shows it",
    ),
)

LISTENERS: tuple[Entry, ...] = (
    Entry(
        "listens-elsewhere",
        Disposition.REFUSED,
        (
            arrived,
            of_leg("forward"),
            either(answered_by_reset, told("icmp 3/3", "icmpv6 1/4")),
            waits_elsewhere,
        ),
        "a program of {node} waits on {port}, but only at {places}, and not at {destination}",
        "let it listen there as well, or on all addresses: 0.0.0.0, [::]",
    ),
    Entry(
        "protocol-unknown",
        Disposition.REFUSED,
        (either(told("icmp 3/2"), every(told("icmpv6 4/1"), of_leg("forward"))),),
        "{error_maker} does not know the protocol that {what} says it is of",
        "something on the way changes the number, or {error_maker} lacks a module",
    ),
)

LAST: tuple[Entry, ...] = (
    Entry(
        "kernel-drop",
        Disposition.DROPPED,
        (let_fall_within,),
        "{node} let {what} fall: {reason}",
        "{reason_advice}",
    ),
)

ARRIVED = (*CHECKSUMS, *TCP, *LISTENERS)
"""Before those that only know that nobody listens."""

_BY_WORD = frozenset({
    "ttl-too-low", "tcp-md5", "tcp-half-open", "tcp-time-wait", "tcp-timestamp", "buffer-full",
    "socket-filter",
})  # fmt: skip
BY_WORD = (*CHECKSUMS, *(entry for entry in (*TCP, *QUEUES) if entry.name in _BY_WORD))
"""Those that the kernel's own word is enough for, whatever the packet was a part of."""
