"""What can be asked of a packet: every selector of nft, as one table per family of selectors."""

from __future__ import annotations

from dataclasses import dataclass

from . import datatypes as t
from .datatypes import Type, sized


@dataclass(frozen=True)
class Field:
    """A selector: its full words, its type, where the kernel finds it, what must hold before."""

    words: tuple[str, ...]
    type: Type
    source: str
    """payload, meta, ct, exthdr, tcpopt, ipopt, chunk, rt, socket, fib, xfrm, osf."""
    where: tuple[int, ...]
    """payload: base, bit offset, bits; meta: key; exthdr: header, bit offset, bits; …"""

    @property
    def protocol(self) -> str:
        return self.words[0]


LINK, NETWORK, TRANSPORT = 0, 1, 2
BASES = {"ll": LINK, "nh": NETWORK, "th": TRANSPORT}


@dataclass(frozen=True)
class Protocol:
    """A header, and the number by which the header below names it."""

    name: str
    base: int
    number: int
    checksum: int = -1
    """Offset of the checksum over its own header, in bytes."""


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("ether", LINK, 0),
        Protocol("vlan", LINK, 0x8100),
        Protocol("arp", NETWORK, 0x806),
        Protocol("ip", NETWORK, 0x800, 10),
        Protocol("ip6", NETWORK, 0x86DD),
        Protocol("icmp", TRANSPORT, 1, 2),
        Protocol("igmp", TRANSPORT, 2, 2),
        Protocol("tcp", TRANSPORT, 6, 16),
        Protocol("udp", TRANSPORT, 17, 6),
        Protocol("dccp", TRANSPORT, 33),
        Protocol("esp", TRANSPORT, 50),
        Protocol("ah", TRANSPORT, 51),
        Protocol("icmpv6", TRANSPORT, 58, 2),
        Protocol("comp", TRANSPORT, 108),
        Protocol("sctp", TRANSPORT, 132),
        Protocol("udplite", TRANSPORT, 136),
        Protocol("th", TRANSPORT, 0),
    )
}

# protocol: (field, type, first bit, bits; 0 bits: as the type says)
_HEADERS: dict[str, tuple[tuple[str, Type, int, int], ...]] = {
    "ether": (
        ("daddr", t.ETHER, 0, 0),
        ("saddr", t.ETHER, 48, 0),
        ("type", t.ETHER_TYPE, 96, 0),
    ),
    "vlan": (
        ("pcp", t.INTEGER, 112, 3),
        ("dei", t.INTEGER, 115, 1),
        ("cfi", t.INTEGER, 115, 1),
        ("id", t.INTEGER, 116, 12),
        ("type", t.ETHER_TYPE, 128, 0),
    ),
    "arp": (
        ("htype", t.INTEGER, 0, 16),
        ("ptype", t.ETHER_TYPE, 16, 0),
        ("hlen", t.INTEGER, 32, 8),
        ("plen", t.INTEGER, 40, 8),
        ("operation", t.ARP_OP, 48, 0),
        ("saddr ether", t.ETHER, 64, 0),
        ("daddr ether", t.ETHER, 144, 0),
        ("saddr ip", t.IPV4, 112, 0),
        ("daddr ip", t.IPV4, 192, 0),
    ),
    "ip": (
        ("version", t.INTEGER, 0, 4),
        ("hdrlength", t.INTEGER, 4, 4),
        ("dscp", t.DSCP_TYPE, 8, 0),
        ("ecn", t.ECN, 14, 0),
        ("length", t.INTEGER, 16, 16),
        ("id", t.INTEGER, 32, 16),
        ("frag-off", t.INTEGER, 48, 16),
        ("ttl", t.INTEGER, 64, 8),
        ("protocol", t.PROTOCOL, 72, 0),
        ("checksum", t.INTEGER, 80, 16),
        ("saddr", t.IPV4, 96, 0),
        ("daddr", t.IPV4, 128, 0),
    ),
    "icmp": (
        ("type", t.ICMP_TYPE, 0, 0),
        ("code", t.ICMP_CODE, 8, 0),
        ("checksum", t.INTEGER, 16, 16),
        ("id", t.INTEGER, 32, 16),
        ("sequence", t.INTEGER, 48, 16),
        ("gateway", t.INTEGER, 32, 32),
        ("mtu", t.INTEGER, 48, 16),
    ),
    "igmp": (
        ("type", t.IGMP_TYPE, 0, 0),
        ("checksum", t.INTEGER, 16, 16),
        ("mrt", t.INTEGER, 8, 8),
        ("group", t.INTEGER, 32, 32),
    ),
    "ip6": (
        ("version", t.INTEGER, 0, 4),
        ("dscp", t.DSCP_TYPE, 4, 0),
        ("ecn", t.ECN, 10, 0),
        ("flowlabel", t.INTEGER, 12, 20),
        ("length", t.INTEGER, 32, 16),
        ("nexthdr", t.PROTOCOL, 48, 0),
        ("hoplimit", t.INTEGER, 56, 8),
        ("saddr", t.IPV6, 64, 0),
        ("daddr", t.IPV6, 192, 0),
    ),
    "icmpv6": (
        ("type", t.ICMPV6_TYPE, 0, 0),
        ("code", t.ICMPV6_CODE, 8, 0),
        ("checksum", t.INTEGER, 16, 16),
        ("parameter-problem", t.INTEGER, 32, 32),
        ("mtu", t.INTEGER, 32, 32),
        ("id", t.INTEGER, 32, 16),
        ("sequence", t.INTEGER, 48, 16),
        ("max-delay", t.INTEGER, 32, 16),
    ),
    "tcp": (
        ("sport", t.SERVICE, 0, 0),
        ("dport", t.SERVICE, 16, 0),
        ("sequence", t.INTEGER, 32, 32),
        ("ackseq", t.INTEGER, 64, 32),
        ("reserved", t.INTEGER, 100, 4),
        ("doff", t.INTEGER, 96, 4),
        ("flags", t.TCP_FLAG, 104, 0),
        ("window", t.INTEGER, 112, 16),
        ("checksum", t.INTEGER, 128, 16),
        ("urgptr", t.INTEGER, 144, 16),
    ),
    "udp": (
        ("sport", t.SERVICE, 0, 0),
        ("dport", t.SERVICE, 16, 0),
        ("length", t.INTEGER, 32, 16),
        ("checksum", t.INTEGER, 48, 16),
    ),
    "udplite": (
        ("sport", t.SERVICE, 0, 0),
        ("dport", t.SERVICE, 16, 0),
        ("csumcov", t.INTEGER, 32, 16),
        ("checksum", t.INTEGER, 48, 16),
    ),
    "dccp": (
        ("sport", t.SERVICE, 0, 0),
        ("dport", t.SERVICE, 16, 0),
        ("type", t.DCCP_TYPE, 67, 4),
    ),
    "sctp": (
        ("sport", t.SERVICE, 0, 0),
        ("dport", t.SERVICE, 16, 0),
        ("vtag", t.INTEGER, 32, 32),
        ("checksum", t.INTEGER, 64, 32),
    ),
    "th": (("sport", t.SERVICE, 0, 0), ("dport", t.SERVICE, 16, 0)),
    "esp": (("spi", t.INTEGER, 0, 32), ("sequence", t.INTEGER, 32, 32)),
    "ah": (
        ("nexthdr", t.PROTOCOL, 0, 0),
        ("hdrlength", t.INTEGER, 8, 8),
        ("reserved", t.INTEGER, 16, 16),
        ("spi", t.INTEGER, 32, 32),
        ("sequence", t.INTEGER, 64, 32),
    ),
    "comp": (
        ("nexthdr", t.PROTOCOL, 0, 0),
        ("flags", t.HEX, 8, 8),
        ("cpi", t.INTEGER, 16, 16),
    ),
}

# icmp fields that exist only in messages of some types: (protocol, field): types
ICMP_NEEDS: dict[tuple[str, str], tuple[int, ...]] = {
    ("icmp", "id"): (8, 0),
    ("icmp", "sequence"): (8, 0),
    ("icmp", "gateway"): (5,),
    ("icmp", "mtu"): (3,),
    ("icmpv6", "id"): (128, 129),
    ("icmpv6", "sequence"): (128, 129),
    ("icmpv6", "mtu"): (2,),
    ("icmpv6", "parameter-problem"): (4,),
    ("icmpv6", "max-delay"): (130,),
}

_META: tuple[tuple[str, int, Type], ...] = (
    ("length", 0, sized(t.INTEGER, 32)),
    ("protocol", 1, t.ETHER_TYPE),
    ("priority", 2, t.CLASSID),
    ("mark", 3, t.MARK),
    ("iif", 4, t.IFINDEX),
    ("oif", 5, t.IFINDEX),
    ("iifname", 6, t.IFNAME),
    ("oifname", 7, t.IFNAME),
    ("iiftype", 8, t.IFTYPE),
    ("oiftype", 9, t.IFTYPE),
    ("skuid", 10, t.UID),
    ("skgid", 11, t.GID),
    ("nftrace", 12, sized(t.INTEGER, 1)),
    ("rtclassid", 13, t.REALM),
    ("secmark", 14, sized(t.INTEGER, 32)),
    ("nfproto", 15, t.NFPROTO),
    ("l4proto", 16, t.PROTOCOL),
    ("ibrname", 17, t.IFNAME),
    ("obrname", 18, t.IFNAME),
    ("pkttype", 19, t.PKTTYPE),
    ("cpu", 20, sized(t.INTEGER, 32)),
    ("iifgroup", 21, t.DEVGROUP),
    ("oifgroup", 22, t.DEVGROUP),
    ("cgroup", 23, sized(t.INTEGER, 32)),
    ("random", 24, sized(t.INTEGER, 32, ">")),
    ("ipsec", 25, t.BOOLEAN),
    ("iifkind", 26, t.IFNAME),
    ("oifkind", 27, t.IFNAME),
    ("ibrpvid", 28, sized(t.INTEGER, 16)),
    ("ibrvproto", 29, t.ETHER_TYPE),
    ("time", 30, t.TIME),
    ("day", 31, t.DAY),
    ("hour", 32, t.HOUR),
    ("sdif", 33, t.IFINDEX),
    ("sdifname", 34, t.IFNAME),
)
META_ALIASES = {"ibridgename": "ibrname", "obridgename": "obrname", "secpath": "ipsec"}
BARE_META = frozenset((
    "iif", "oif", "iifname", "oifname", "iiftype", "oiftype", "iifgroup", "oifgroup", "mark",
    "skuid", "skgid", "nftrace", "rtclassid", "ibrname", "obrname", "ibridgename", "obridgename",
    "pkttype", "cpu", "cgroup", "ipsec", "secpath", "time", "day", "hour",
))  # fmt: skip
SHOWN_BARE = frozenset((
    "iif", "oif", "iifname", "oifname", "iifgroup", "oifgroup",
))  # fmt: skip

_CT: tuple[tuple[str, int, Type], ...] = (
    ("state", 0, t.CT_STATE),
    ("direction", 1, t.CT_DIRECTION),
    ("status", 2, t.CT_STATUS),
    ("mark", 3, t.MARK),
    ("secmark", 4, sized(t.INTEGER, 32)),
    ("expiration", 5, t.DURATION),
    ("helper", 6, t.STRING),
    ("l3proto", 7, t.NFPROTO),
    ("saddr", 8, t.INTEGER),
    ("daddr", 9, t.INTEGER),
    ("protocol", 10, t.PROTOCOL),
    ("proto-src", 11, t.SERVICE),
    ("proto-dst", 12, t.SERVICE),
    ("label", 13, t.CT_LABEL),
    ("packets", 14, sized(t.INTEGER, 64)),
    ("bytes", 15, sized(t.INTEGER, 64)),
    ("avgpkt", 16, sized(t.INTEGER, 64)),
    ("zone", 17, sized(t.INTEGER, 16)),
    ("event", 18, t.CT_EVENT),
    ("ip saddr", 19, t.IPV4),
    ("ip daddr", 20, t.IPV4),
    ("ip6 saddr", 21, t.IPV6),
    ("ip6 daddr", 22, t.IPV6),
    ("id", 23, sized(t.INTEGER, 32, ">")),
)
CT_DIRECTED = frozenset((
    "l3proto", "saddr", "daddr", "protocol", "proto-src", "proto-dst", "packets", "bytes",
    "avgpkt", "zone", "ip saddr", "ip daddr", "ip6 saddr", "ip6 daddr",
))  # fmt: skip
CT_UNDIRECTED = frozenset(["l3proto", "protocol", "packets", "bytes", "avgpkt", "zone"])

# IPv6 extension headers: name: (number, (field, type, first bit, bits))
EXTHDRS = {"hbh": 0, "dst": 60, "rt": 43, "frag": 44, "mh": 135, "rt0": 43, "srh": 43}
_EXTENSIONS: dict[str, tuple[tuple[str, Type, int, int], ...]] = {
    "hbh": (("nexthdr", t.PROTOCOL, 0, 8), ("hdrlength", t.INTEGER, 8, 8)),
    "dst": (("nexthdr", t.PROTOCOL, 0, 8), ("hdrlength", t.INTEGER, 8, 8)),
    "rt": (
        ("nexthdr", t.PROTOCOL, 0, 8),
        ("hdrlength", t.INTEGER, 8, 8),
        ("type", t.INTEGER, 16, 8),
        ("seg-left", t.INTEGER, 24, 8),
    ),
    "srh": (
        ("last-entry", t.INTEGER, 32, 8),
        ("flags", t.INTEGER, 40, 8),
        ("tag", t.INTEGER, 48, 16),
        *((f"sid[{n + 1}]", t.IPV6, 64 + 128 * n, 128) for n in range(2)),
    ),
    "rt0": (
        ("reserved", t.INTEGER, 32, 32),
        *((f"addr[{n + 1}]", t.IPV6, 64 + 128 * n, 128) for n in range(16)),
    ),
    "frag": (
        ("nexthdr", t.PROTOCOL, 0, 8),
        ("reserved", t.INTEGER, 8, 8),
        ("frag-off", t.INTEGER, 16, 13),
        ("reserved2", t.INTEGER, 29, 2),
        ("more-fragments", t.INTEGER, 31, 1),
        ("id", t.INTEGER, 32, 32),
    ),
    "mh": (
        ("nexthdr", t.PROTOCOL, 0, 8),
        ("hdrlength", t.INTEGER, 8, 8),
        ("type", t.MH_TYPE, 16, 8),
        ("reserved", t.INTEGER, 24, 8),
        ("checksum", t.INTEGER, 32, 16),
    ),
}

TCP_OPTIONS = {
    "eol": 0, "nop": 1, "maxseg": 2, "window": 3, "sack-perm": 4, "sack": 5, "sack0": 5,
    "sack1": 5, "sack2": 5, "sack3": 5, "timestamp": 8, "fastopen": 34, "md5sig": 19, "mptcp": 30,
}  # fmt: skip
OPTION_ALIASES = {"sack-permitted": "sack-perm", "mss": "maxseg", "noop": "nop"}
_OPTIONS: dict[str, tuple[tuple[str, int, int], ...]] = {
    "maxseg": (("length", 8, 8), ("size", 16, 16)),
    "window": (("length", 8, 8), ("count", 16, 8)),
    "sack-perm": (("length", 8, 8),),
    "sack": (("length", 8, 8), ("left", 16, 32), ("right", 48, 32)),
    "sack0": (("left", 16, 32), ("right", 48, 32)),
    "sack1": (("left", 80, 32), ("right", 112, 32)),
    "sack2": (("left", 144, 32), ("right", 176, 32)),
    "sack3": (("left", 208, 32), ("right", 240, 32)),
    "timestamp": (("length", 8, 8), ("tsval", 16, 32), ("tsecr", 48, 32)),
    "fastopen": (("length", 8, 8),),
    "md5sig": (("length", 8, 8),),
    "mptcp": (("length", 8, 8), ("subtype", 16, 4)),
}

_BOTH: tuple[tuple[str, int, int], ...] = (("type", 0, 8), ("length", 8, 8))
IP_OPTIONS = {"rr": 7, "lsrr": 131, "ssrr": 137, "ra": 148}
_IP_OPTIONS: dict[str, tuple[tuple[str, int, int], ...]] = {
    **dict.fromkeys(("rr", "lsrr", "ssrr"), (*_BOTH, ("ptr", 16, 8), ("addr", 24, 32))),
    "ra": (*_BOTH, ("value", 16, 16)),
}

SCTP_CHUNKS = {
    "data": 0, "init": 1, "init-ack": 2, "sack": 3, "heartbeat": 4, "heartbeat-ack": 5,
    "abort": 6, "shutdown": 7, "shutdown-ack": 8, "error": 9, "cookie-echo": 10, "cookie-ack": 11,
    "ecne": 12, "cwr": 13, "shutdown-complete": 14, "asconf-ack": 128, "forward-tsn": 192,
    "asconf": 193,
}  # fmt: skip
_INIT = (
    ("init-tag", 32, 32), ("a-rwnd", 64, 32), ("num-outbound-streams", 96, 16),
    ("num-inbound-streams", 112, 16), ("initial-tsn", 128, 32),
)  # fmt: skip
_SCTP_CHUNKS: dict[str, tuple[tuple[str, int, int], ...]] = {
    "data": (("tsn", 32, 32), ("stream", 64, 16), ("ssn", 80, 16), ("ppid", 96, 32)),
    "init": _INIT,
    "init-ack": _INIT,
    "sack": (("cum-tsn-ack", 32, 32), ("a-rwnd", 64, 32), ("num-gap-ack-blocks", 96, 16),
             ("num-dup-tsns", 112, 16)),
    "shutdown": (("cum-tsn-ack", 32, 32),),
    "ecne": (("lowest-tsn", 32, 32),),
    "cwr": (("lowest-tsn", 32, 32),),
    "asconf": (("seqno", 32, 32),),
    "asconf-ack": (("seqno", 32, 32),),
    "forward-tsn": (("new-cum-tsn", 32, 32),),
}  # fmt: skip

_RT: tuple[tuple[str, int, Type], ...] = (
    ("classid", 0, t.REALM),
    ("ip nexthop", 1, t.IPV4),
    ("ip6 nexthop", 2, t.IPV6),
    ("mtu", 3, sized(t.INTEGER, 16)),
    ("ipsec", 4, t.BOOLEAN),
)
_SOCKET: tuple[tuple[str, int, Type], ...] = (
    ("transparent", 0, sized(t.INTEGER, 8)),
    ("mark", 1, t.MARK),
    ("wildcard", 2, sized(t.INTEGER, 8)),
)
_XFRM: tuple[tuple[str, int, Type], ...] = (
    ("ip daddr", 1, t.IPV4),
    ("ip6 daddr", 2, t.IPV6),
    ("ip saddr", 3, t.IPV4),
    ("ip6 saddr", 4, t.IPV6),
    ("reqid", 5, sized(t.INTEGER, 32)),
    ("spi", 6, sized(t.INTEGER, 32, ">")),
)
FIB_FLAGS = {"saddr": 1, "daddr": 2, "mark": 4, "iif": 8, "oif": 16}
FIB_RESULTS = {"oif": (1, t.IFINDEX), "oifname": (2, t.IFNAME), "type": (3, t.ADDRTYPE)}
FIB_PRESENT = 32


def _payload() -> list[Field]:
    return [
        Field((name, *field.split()), _wide(kind, bits), "payload",
              (PROTOCOLS[name].base, first, bits or kind.bits))
        for name, fields in _HEADERS.items()
        for field, kind, first, bits in fields
    ]  # fmt: skip


def _wide(kind: Type, bits: int) -> Type:
    return sized(kind, bits or kind.bits, "=" if kind is t.TCP_FLAG else ">")


def _keyed(first: str, rows: tuple[tuple[str, int, Type], ...]) -> list[Field]:
    return [Field((first, *name.split()), kind, first, (key,)) for name, key, kind in rows]


def _ct() -> list[Field]:
    found = []
    for name, key, kind in _CT:
        if name not in CT_DIRECTED or name in CT_UNDIRECTED:
            found.append(Field(("ct", *name.split()), kind, "ct", (key, -1)))
        if name in CT_DIRECTED:
            for number, direction in enumerate(("original", "reply")):
                words = ("ct", direction, *name.split())
                found.append(Field(words, kind, "ct", (key, number)))
    return found


def _exthdr() -> list[Field]:
    found = [Field(("exthdr", name), t.BOOLEAN, "exthdr", (EXTHDRS[name], 0, 8, 1))
             for name in ("hbh", "dst", "rt", "frag", "mh")]  # fmt: skip
    for name, fields in _EXTENSIONS.items():
        for field, kind, first, bits in fields:
            found.append(Field((name, field), sized(kind, bits, ">"), "exthdr",
                               (EXTHDRS[name], first, bits, 0)))  # fmt: skip
    return found


def _options(first: str, source: str, numbers: dict[str, int],
             fields: dict[str, tuple[tuple[str, int, int], ...]]) -> list[Field]:  # fmt: skip
    """Whether there is one, and what stands in it."""
    found = [Field((first, name), t.BOOLEAN, source, (number, 0, 8, 1))
             for name, number in numbers.items()]  # fmt: skip
    for name, rows in fields.items():
        for field, start, bits in rows:
            found.append(Field((first, name, field), sized(t.INTEGER, bits, ">"), source,
                               (numbers[name], start, bits, 0)))  # fmt: skip
    return found


def _all_options() -> list[Field]:
    chunks = {name: (("type", 0, 8), ("flags", 8, 8), ("length", 16, 16),
                     *_SCTP_CHUNKS.get(name, ())) for name in SCTP_CHUNKS}  # fmt: skip
    return [
        *_options("tcp option", "tcpopt", TCP_OPTIONS, _OPTIONS),
        *_options("ip option", "ipopt", IP_OPTIONS, _IP_OPTIONS),
        *_options("sctp chunk", "chunk", SCTP_CHUNKS, chunks),
    ]


def _xfrm() -> list[Field]:
    return [
        Field(("ipsec", way, *name.split()), kind, "xfrm", (key, number))
        for name, key, kind in _XFRM
        for number, way in enumerate(("in", "out"))
    ]


FIELDS: dict[tuple[str, ...], Field] = {
    field.words: field
    for field in (
        *_payload(), *_keyed("meta", _META), *_ct(), *_exthdr(), *_all_options(),
        *_keyed("rt", _RT), *_keyed("socket", _SOCKET), *_xfrm(),
        Field(("osf", "name"), t.STRING, "osf", (0, 0)),
        Field(("osf", "version"), t.STRING, "osf", (0, 1)),
        Field(("osf", "ttl", "loose", "name"), t.STRING, "osf", (1, 0)),
        Field(("osf", "ttl", "skip", "name"), t.STRING, "osf", (2, 0)),
        Field(("osf", "ttl", "loose", "version"), t.STRING, "osf", (1, 1)),
        Field(("osf", "ttl", "skip", "version"), t.STRING, "osf", (2, 1)),
    )
}  # fmt: skip

FIRST_WORDS: dict[str, list[tuple[str, ...]]] = {}
for _words in FIELDS:
    FIRST_WORDS.setdefault(_words[0], []).append(_words)
