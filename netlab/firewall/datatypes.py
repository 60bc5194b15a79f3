"""The types of nft's values: their widths, their names for numbers, how they are read and shown.

Inside the compiler every value is a number, most significant bit first, except strings (bytes).
"""

from __future__ import annotations

from dataclasses import dataclass, field

_NOTHING: dict[str, int] = {}


@dataclass(frozen=True, eq=False)
class Type:
    """``number`` is nft's own for it (it travels with sets); ``bits`` is 0 where the user of the
    type says how wide it is; ``order`` is ``>`` for network and ``=`` for host byte order."""

    name: str
    number: int
    bits: int = 0
    order: str = "="
    form: str = "integer"
    """How it is read and shown: a row of ``values.FORMS``."""
    symbols: dict[str, int] = field(default_factory=lambda: _NOTHING)
    flags: bool = False
    """Values are sets of bits: ``established,related``."""

    @property
    def bytes(self) -> int:
        return (self.bits + 7) // 8


def _numbered(names: str, start: int = 0) -> dict[str, int]:
    return {name: number for number, name in enumerate(names.split(), start)}


def _pairs(text: str) -> dict[str, int]:
    words = text.split()
    return {name: int(number, 0) for name, number in zip(words[::2], words[1::2], strict=True)}


PROTOCOLS = _pairs(
    "ip 0 icmp 1 igmp 2 ggp 3 ipencap 4 st 5 tcp 6 egp 8 igp 9 pup 12 udp 17 hmp 20 xns-idp 22 "
    "rdp 27 iso-tp4 29 dccp 33 xtp 36 ddp 37 idpr-cmtp 38 ipv6 41 ipv6-route 43 ipv6-frag 44 "
    "idrp 45 rsvp 46 gre 47 esp 50 ah 51 skip 57 ipv6-icmp 58 ipv6-nonxt 59 ipv6-opts 60 rspf 73 "
    "vmtp 81 eigrp 88 ospf 89 ax.25 93 ipip 94 etherip 97 encap 98 pim 103 ipcomp 108 vrrp 112 "
    "l2tp 115 isis 124 sctp 132 fc 133 mobility-header 135 udplite 136 mpls-in-ip 137 manet 138 "
    "hip 139 shim6 140 wesp 141 rohc 142 ethernet 143 icmpv6 58 comp 108 ip6 41"
)
ICMP_TYPES = _pairs(
    "echo-reply 0 destination-unreachable 3 source-quench 4 redirect 5 echo-request 8 "
    "router-advertisement 9 router-solicitation 10 time-exceeded 11 parameter-problem 12 "
    "timestamp-request 13 timestamp-reply 14 info-request 15 info-reply 16 "
    "address-mask-request 17 address-mask-reply 18"
)
ICMP_CODES = _pairs(
    "net-unreachable 0 host-unreachable 1 prot-unreachable 2 port-unreachable 3 "
    "net-prohibited 9 host-prohibited 10 admin-prohibited 13 frag-needed 4"
)
ICMPV6_TYPES = _pairs(
    "destination-unreachable 1 packet-too-big 2 time-exceeded 3 parameter-problem 4 "
    "echo-request 128 echo-reply 129 mld-listener-query 130 mld-listener-report 131 "
    "mld-listener-done 132 mld-listener-reduction 132 nd-router-solicit 133 "
    "nd-router-advert 134 nd-neighbor-solicit 135 nd-neighbor-advert 136 nd-redirect 137 "
    "router-renumbering 138 ind-neighbor-solicit 141 ind-neighbor-advert 142 "
    "mld2-listener-report 143"
)
ICMPV6_CODES = _pairs(
    "no-route 0 admin-prohibited 1 addr-unreachable 3 port-unreachable 4 policy-fail 5 "
    "reject-route 6"
)
DSCP = _pairs(
    "cs0 0 cs1 8 cs2 16 cs3 24 cs4 32 cs5 40 cs6 48 cs7 56 df 0 be 0 lephb 1 af11 10 af12 12 "
    "af13 14 af21 18 af22 20 af23 22 af31 26 af32 28 af33 30 af41 34 af42 36 af43 38 va 44 ef 46"
)
ETHER_TYPES = _pairs("ip 0x800 arp 0x806 ip6 0x86dd 8021q 0x8100 8021ad 0x88a8 vlan 0x8100")
DAYS = _numbered("Sunday Monday Tuesday Wednesday Thursday Friday Saturday")

INTEGER = Type("integer", 4)
VERDICT = Type("verdict", 1)
NFPROTO = Type("nf_proto", 2, 8, symbols={"ipv4": 2, "ipv6": 10})
STRING = Type("string", 5, 128, form="string")
LLADDR = Type("ll_addr", 6, 0, ">", form="ether")
IPV4 = Type("ipv4_addr", 7, 32, ">", form="ipv4")
IPV6 = Type("ipv6_addr", 8, 128, ">", form="ipv6")
ETHER = Type("ether_addr", 9, 48, ">", form="ether")
ETHER_TYPE = Type("ether_type", 10, 16, ">", form="hex", symbols=ETHER_TYPES)
ARP_OP = Type(
    "arp_op", 11, 16, ">",
    symbols=_pairs("request 1 reply 2 rrequest 3 rreply 4 inrequest 8 inreply 9 nak 10"),
)  # fmt: skip
PROTOCOL = Type("inet_proto", 12, 8, ">", symbols=PROTOCOLS)
SERVICE = Type("inet_service", 13, 16, ">", form="service")
ICMP_TYPE = Type("icmp_type", 14, 8, ">", symbols=ICMP_TYPES)
TCP_FLAG = Type(
    "tcp_flag", 15, 8, "=", form="0x", flags=True,
    symbols=_pairs("fin 1 syn 2 rst 4 psh 8 ack 16 urg 32 ecn 64 cwr 128"),
)  # fmt: skip
DCCP_TYPE = Type(
    "dccp_pkttype", 16, 4, ">",
    symbols=_numbered("request response data ack dataack closereq close reset sync syncack"),
)  # fmt: skip
MH_TYPE = Type(
    "mh_type", 17, 8, ">",
    symbols=_numbered(
        "binding-refresh-request home-test-init careof-test-init home-test careof-test "
        "binding-update binding-acknowledgement binding-error fast-binding-update "
        "fast-binding-acknowledgement fast-binding-advertisement experimental-mobility-header "
        "home-agent-switch-message"
    ),
)  # fmt: skip
DURATION = Type("time", 18, 32, form="duration")
MARK = Type("mark", 19, 32, form="mark")
IFINDEX = Type("iface_index", 20, 32, form="ifindex")
IFTYPE = Type(
    "iface_type", 21, 16,
    symbols=_pairs("ether 1 ppp 512 ipip 768 ipip6 769 loopback 772 sit 776 ipgre 778"),
)  # fmt: skip
REALM = Type("realm", 22, 32, form="named", symbols={"cosmos": 0})
CLASSID = Type("classid", 23, 32, form="classid")
UID = Type("uid", 24, 32, form="uid")
GID = Type("gid", 25, 32, form="gid")
CT_STATE = Type(
    "ct_state", 26, 32, form="0x", flags=True,
    symbols=_pairs("invalid 1 new 8 established 2 related 4 untracked 64"),
)  # fmt: skip
CT_DIRECTION = Type("ct_dir", 27, 8, symbols={"original": 0, "reply": 1})
CT_STATUS = Type(
    "ct_status", 28, 32, form="0x", flags=True,
    symbols=_pairs(
        "expected 1 seen-reply 2 assured 4 confirmed 8 snat 16 dnat 32 dying 512"
    ),
)  # fmt: skip
ICMPV6_TYPE = Type("icmpv6_type", 29, 8, ">", symbols=ICMPV6_TYPES)
CT_LABEL = Type("ct_label", 30, 128, form="label", flags=True)
PKTTYPE = Type(
    "pkt_type", 31, 8, symbols=_pairs("host 0 unicast 0 broadcast 1 multicast 2 other 3")
)
ICMP_CODE = Type("icmp_code", 32, 8, ">", symbols=ICMP_CODES)
ICMPV6_CODE = Type("icmpv6_code", 33, 8, ">", symbols=ICMPV6_CODES)
ICMPX_CODE = Type(
    "icmpx_code", 34, 8, ">",
    symbols=_pairs("port-unreachable 1 admin-prohibited 3 no-route 0 host-unreachable 2"),
)  # fmt: skip
DEVGROUP = Type("devgroup", 35, 32, form="named", symbols={"default": 0})
DSCP_TYPE = Type("dscp", 36, 6, ">", form="hex", symbols=DSCP)
ECN = Type("ecn", 37, 2, ">", form="0x", symbols=_pairs("not-ect 0 ect1 1 ect0 2 ce 3"))
ADDRTYPE = Type(
    "fib_addrtype", 38, 32,
    symbols=_numbered(
        "unspec unicast local broadcast anycast multicast blackhole unreachable prohibit"
    ),
)  # fmt: skip
BOOLEAN = Type("boolean", 39, 8, symbols={"exists": 1, "missing": 0})
CT_EVENT = Type(
    "ct_event", 40, 32, form="0x", flags=True,
    symbols={
        name: 1 << bit
        for name, bit in _pairs(
            "new 0 related 1 destroy 2 reply 3 assured 4 protoinfo 5 helper 6 mark 7 "
            "seqadj 8 secmark 9 label 10"
        ).items()
    },
)  # fmt: skip
IFNAME = Type("ifname", 41, 128, form="string")
IGMP_TYPE = Type(
    "igmp_type", 42, 8, ">",
    symbols=_pairs(
        "membership-query 17 membership-report-v1 18 membership-report-v2 22 "
        "membership-report-v3 34 leave-group 23"
    ),
)  # fmt: skip
TIME = Type("time", 43, 64, form="date")
HOUR = Type("hour", 44, 32, form="hour")
DAY = Type("day", 45, 8, form="day", symbols=DAYS)
CGROUP2 = Type("cgroupsv2", 46, 64, form="cgroup")

TYPES = {value.name: value for value in list(globals().values()) if isinstance(value, Type)}
TYPES["time"] = DURATION
HEX = Type("integer", 4, form="0x")
BY_NUMBER = {kind.number: kind for kind in [*TYPES.values(), TIME]}


def sized(kind: Type, bits: int, order: str = "") -> Type:
    """The same type, as wide as a field that holds it."""
    order = order or kind.order
    if kind.bits == bits and kind.order == order:
        return kind
    return _SIZED.setdefault(
        (kind.name, kind.form, bits, order),
        Type(kind.name, kind.number, bits, order, kind.form, kind.symbols, kind.flags),
    )


_SIZED: dict[tuple[str, str, int, str], Type] = {}
