"""What a kernel declined → the option that it lacks, or the chains where such a rule belongs.

Of an expression that it has never heard of, a kernel says: no such file or directory; of one that
it has, but not so or not here: not supported. Options: ``net/netfilter/Kconfig`` and neighbours.
"""

from __future__ import annotations

import errno

from .compile import NEWCHAIN, NEWFLOWTABLE, NEWOBJ, NEWRULE, NEWTABLE, Message
from .fields import FIELDS
from .sets import OBJECT_KINDS
from .wire import attributes, each, number, string

_HEADERS = 20
"""Bytes of nlmsghdr and nfgenmsg before the attributes."""
_FAMILIES = {1: "INET", 2: "IPV4", 3: "ARP", 5: "NETDEV", 7: "BRIDGE", 10: "IPV6"}
EXPRESSIONS = {
    "connlimit": "NFT_CONNLIMIT", "ct": "NFT_CT", "dup": "NFT_DUP", "exthdr": "NFT_EXTHDR",
    "fib": "NFT_FIB", "flow_offload": "NFT_FLOW_OFFLOAD", "fwd": "NFT_FWD", "hash": "NFT_HASH",
    "limit": "NFT_LIMIT", "log": "NFT_LOG", "masq": "NFT_MASQ", "nat": "NFT_NAT",
    "notrack": "NFT_CT", "numgen": "NFT_NUMGEN", "osf": "NFT_OSF", "queue": "NFT_QUEUE",
    "quota": "NFT_QUOTA", "redir": "NFT_REDIR", "reject": "NFT_REJECT", "socket": "NFT_SOCKET",
    "synproxy": "NFT_SYNPROXY", "tproxy": "NFT_TPROXY", "xfrm": "NFT_XFRM",
}  # fmt: skip
_OF_A_FAMILY = {
    "dup": ("IPV4", "IPV6", "NETDEV"), "fwd": ("NETDEV",),
    "fib": ("IPV4", "IPV6", "INET", "NETDEV"),
    "reject": ("IPV4", "IPV6", "INET", "NETDEV", "BRIDGE"),
}  # fmt: skip
KEYS = {
    "ibrname": "NFT_BRIDGE_META", "obrname": "NFT_BRIDGE_META", "ibrpvid": "NFT_BRIDGE_META",
    "ibrvproto": "NFT_BRIDGE_META", "rtclassid": "IP_ROUTE_CLASSID", "secmark": "NETWORK_SECMARK",
    "cgroup": "CGROUP_NET_CLASSID", "ipsec": "XFRM", "mark": "NF_CONNTRACK_MARK",
    "zone": "NF_CONNTRACK_ZONES", "label": "NF_CONNTRACK_LABELS", "event": "NF_CONNTRACK_EVENTS",
}  # fmt: skip
OBJECTS = {
    "quota": "NFT_QUOTA", "limit": "NFT_LIMIT", "connlimit": "NFT_CONNLIMIT",
    "synproxy": "NFT_SYNPROXY", "ct expectation": "NFT_CT",
    "ct timeout": "NF_CONNTRACK_TIMEOUT",
}  # fmt: skip
_HELPERS = {
    "amanda": "AMANDA", "ftp": "FTP", "irc": "IRC", "netbios-ns": "NETBIOS_NS", "pptp": "PPTP",
    "sane": "SANE", "sip": "SIP", "snmp": "SNMP", "tftp": "TFTP",
    **dict.fromkeys(("RAS", "Q.931", "H.245"), "H323"),
}  # fmt: skip
_BELONGS = {
    "nat": "snat and dnat belong in chains of type nat",
    "masq": "masquerade belongs in chains of type nat, hook postrouting",
    "redir": "redirect belongs in chains of type nat, hook prerouting or output",
    "tproxy": "tproxy belongs in chains of hook prerouting",
    "synproxy": "synproxy belongs in chains of hook input or forward",
    "reject": "reject belongs in chains of hook prerouting, input, forward or output",
    "flow_offload": "flow add belongs in chains of hook forward",
    "rt": "rt mtu is known in chains of hook forward, output and postrouting",
    "fib": "fib … iif is known in chains of hook prerouting, input and forward",
    "osf": "osf is known in chains of hook prerouting, input and forward",
    "socket": "socket is known in chains of hook prerouting, input and output",
    "xfrm": "ipsec in is known in chains of hook prerouting, input and forward, "
            "ipsec out in those of forward, output and postrouting",
}


_LIMITS = {
    errno.ENFILE: "the set is full: give it a larger size",
    errno.EMLINK: "chains may call each other 16 deep",
}


def hint(message: Message, code: int, offset: int) -> str:
    """What may help, "" where nothing is known; ``offset``: of what the kernel points at."""
    if code in _LIMITS:
        return _LIMITS[code]
    find = _FIND.get(message.number)
    at = offset - _HEADERS
    pointed = next(each(message.body[at:]), (0, b"")) if at >= 0 else (0, b"")
    return find(message, code, *pointed) if find else ""


def _lacks(option: str) -> str:
    return f"this kernel lacks CONFIG_{option}" if option else ""


def _table(message: Message, code: int, kind: int, data: bytes) -> str:
    known = code in (errno.EOPNOTSUPP, errno.EAFNOSUPPORT)
    return _lacks(f"NF_TABLES_{_FAMILIES[message.family]}") if known else ""


def _chain(message: Message, code: int, kind: int, data: bytes) -> str:
    if code == errno.ENOENT and kind == 7:  # NFTA_CHAIN_TYPE
        plain = f"NF_TABLES_{_FAMILIES[message.family]}"
        return _lacks("NFT_NAT" if string(data) == "nat" else plain)
    is_nat = string(attributes(message.body).get(7, b"")) == "nat"
    if code == errno.EOPNOTSUPP and is_nat:
        return "chains of type nat have a priority above -200: connections are tracked by then"
    return ""


def _rule(message: Message, code: int, kind: int, data: bytes) -> str:
    said = attributes(data)
    name = string(said.get(1, b"")) if kind == 1 else ""
    if code == errno.ENOENT:
        return _expression(name, _FAMILIES[message.family])
    if code == errno.EPROTO and name == "ct":
        return _connections(_FAMILIES[message.family])
    if code != errno.EOPNOTSUPP:
        return ""
    if name in ("meta", "ct"):
        return _lacks(KEYS.get(_key(name, attributes(said.get(2, b""))), ""))
    names = [name] if name else _names(message)
    return "; ".join(dict.fromkeys(_BELONGS[each] for each in names if each in _BELONGS))


def _expression(name: str, family: str) -> str:
    if name == "last":
        return "this kernel is older than Linux 5.14"
    families = _OF_A_FAMILY.get(name)
    if families and family not in families:
        return f"no kernel knows {name} in tables of this family"
    if name == "reject" and family == "BRIDGE":
        return _lacks("NFT_BRIDGE_REJECT")
    option = EXPRESSIONS.get(name, "")
    return _lacks(f"{option}_{family}" if families else option)


def _connections(family: str) -> str:
    if family in ("ARP", "NETDEV"):
        return "no kernel tracks connections for tables of this family"
    return _lacks("NF_CONNTRACK_BRIDGE" if family == "BRIDGE" else "NF_CONNTRACK")


def _key(name: str, data: dict[int, bytes]) -> str:
    key = number(data.get(2, b""))
    found = (f.words[-1] for f in FIELDS.values() if f.source == name and f.where[0] == key)
    return next(found, "")


def _names(message: Message) -> list[str]:
    expressions = attributes(message.body).get(4, b"")
    return [string(attributes(data).get(1, b"")) for _, data in each(expressions)]


def _object(message: Message, code: int, kind: int, data: bytes) -> str:
    said = attributes(message.body)
    names = {code: name for name, code in OBJECT_KINDS.items()}
    name = names.get(number(said.get(3, b"")), "")
    if code not in (errno.ENOENT, errno.EOPNOTSUPP):
        return ""
    if name == "secmark":
        return "the context must be known to the security module in charge (CONFIG_NETWORK_SECMARK)"
    if name == "ct helper":
        helper = string(attributes(said.get(4, b"")).get(1, b""))
        if helper in _HELPERS:
            return _lacks(f"NF_CONNTRACK_{_HELPERS[helper]}")
        return f"kernels have the helpers {', '.join(_HELPERS)}"
    return _lacks(OBJECTS.get(name, ""))


def _flowtable(message: Message, code: int, kind: int, data: bytes) -> str:
    missing = code in (errno.ENOENT, errno.EOPNOTSUPP)
    return _lacks("NF_FLOW_TABLE") if missing else ""


_FIND = {
    NEWTABLE: _table, NEWCHAIN: _chain, NEWRULE: _rule, NEWOBJ: _object,
    NEWFLOWTABLE: _flowtable,
}  # fmt: skip
