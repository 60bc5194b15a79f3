"""ICMP of both kinds, and what nodes tell each other besides: IGMP, OSPF; and ESP."""

from __future__ import annotations

from collections.abc import Callable

from netlab.trace.dissect.view import Ends, Short, View, ipv4, ipv6, number

PORTS = {6: "tcp", 17: "udp"}
HEADER = 8
"""Bytes before what an ICMP error quotes."""
ECHO_REPLY, UNREACHABLE, REDIRECT, ECHO, TIME_EXCEEDED, PARAMETER = 0, 3, 5, 8, 11, 12
NEED_FRAGMENT = 4
UNREACHABLE_WORDS = {
    0: "net {to} unreachable",
    1: "host {to} unreachable",
    2: "{to} protocol {protocol} unreachable",
    5: "{to} unreachable - source route failed",
    6: "net {to} unreachable - unknown",
    7: "host {to} unreachable - unknown",
    8: "{to} unreachable - source host isolated",
    9: "net {to} unreachable - admin prohibited",
    10: "host {to} unreachable - admin prohibited",
    11: "net {to} unreachable - tos prohibited",
    12: "host {to} unreachable - tos prohibited",
    13: "host {to} unreachable - admin prohibited filter",
    14: "host {to} unreachable - host precedence violation",
    15: "host {to} unreachable - precedence cutoff",
}
REDIRECT_WORDS = (
    "redirect {to} to net", "redirect {to} to host", "redirect-tos {to} to net",
    "redirect-tos {to} to host",
)  # fmt: skip
TIME_WORDS = {0: "time exceeded in-transit", 1: "ip reassembly time exceeded"}
OTHER_WORDS = {
    4: "source quench", 9: "router advertisement", 10: "router solicitation",
    13: "time stamp query", 14: "time stamp reply",
}  # fmt: skip


def icmp(data: bytes, length: int, ends: Ends, view: View) -> str:
    """RFC 792."""
    try:
        return f"ICMP {_icmp(data, view)}, length {length}"
    except Short:
        return "ICMP [|icmp]"


def _icmp(data: bytes, view: View) -> str:
    kind, code = number(data, 0, 1), number(data, 1, 1)
    match kind:
        case 0 | 8:
            word = "request" if kind == ECHO else "reply"
            return f"echo {word}, id {number(data, 4, 2)}, seq {number(data, 6, 2)}"
        case 3:
            return _unreachable(data, code, view)
        case 5 if code < len(REDIRECT_WORDS):
            to = view.name(ipv4(data, HEADER + 16))
            return f"{REDIRECT_WORDS[code].format(to=to)} {view.name(ipv4(data, 4))}"
        case 11:
            return TIME_WORDS.get(code, f"time exceeded-#{code}")
        case 12:
            return f"parameter problem - octet {number(data, 4, 1)}"
    return OTHER_WORDS.get(kind, f"type-#{kind}")


def _unreachable(data: bytes, code: int, view: View) -> str:
    to, protocol = view.name(ipv4(data, HEADER + 16)), number(data, HEADER + 9, 1)
    if code == NEED_FRAGMENT:
        mtu = number(data, 6, 2)
        return f"{to} unreachable - need to frag" + (f" (mtu {mtu})" if mtu else "")
    if code == 3:
        at = HEADER + (data[HEADER] & 15) * 4
        return f"{_port(to, protocol, number(data, at + 2, 2))} unreachable"
    words = UNREACHABLE_WORDS.get(code, f"{{to}} unreachable - #{code}")
    return words.format(to=to, protocol=protocol)


def _port(to: str, protocol: int, port: int) -> str:
    """``web udp port 53``."""
    if protocol in PORTS:
        return f"{to} {PORTS[protocol]} port {port}"
    return f"{to} protocol {protocol} port {port}"


ERRORS6 = frozenset({1, 2, 3, 4})
UNREACHABLE6 = {
    0: "unreachable route {to}",
    1: "unreachable prohibited {to}",
    2: "beyond scope {to}, source address {source}",
    3: "unreachable address {to}",
    5: "source address {source} failed policy",
    6: "rejected route to {to}",
}
PARAMETER6 = ("erroneous", "next header", "option")
PLAIN6 = {
    130: "multicast listener query",
    131: "multicast listener report",
    132: "multicast listener done",
    133: "router solicitation",
    134: "router advertisement",
}


def icmp6(data: bytes, length: int, ends: Ends, view: View) -> str:
    """RFC 4443, RFC 4861, RFC 3810."""
    try:
        return f"ICMP6, {_icmp6(data, view)}, length {length}"
    except Short:
        return "ICMP6, [|icmp6]"


def _icmp6(data: bytes, view: View) -> str:
    kind, code = number(data, 0, 1), number(data, 1, 1)
    match kind:
        case 1:
            return f"destination unreachable, {_unreachable6(data, code, view)}"
        case 2:
            return f"packet too big, mtu {number(data, 4, 4)}"
        case 3 if code == 0:
            return f"time exceeded in-transit for {view.name(ipv6(data, HEADER + 24))}"
        case 3:
            return "time exceeded in-transit (reassembly)"
        case 4:
            word = PARAMETER6[code] if code < len(PARAMETER6) else f"code {code}"
            return f"parameter problem, {word} - octet {number(data, 4, 4)}"
        case 128 | 129:
            word = "request" if kind == 128 else "reply"
            return f"echo {word}, id {number(data, 4, 2)}, seq {number(data, 6, 2)}"
        case 135:
            return f"neighbor solicitation, who has {view.name(ipv6(data, HEADER))}"
        case 136:
            return f"neighbor advertisement, tgt is {view.name(ipv6(data, HEADER))}"
        case 137:
            to, via = (view.name(ipv6(data, at)) for at in (HEADER + 16, HEADER))
            return f"redirect, {to} to {via}"
        case 143:
            return f"multicast listener report v2, {number(data, 6, 2)} group record(s)"
    return PLAIN6.get(kind, f"type-#{kind}")


def _unreachable6(data: bytes, code: int, view: View) -> str:
    source, to = (view.name(ipv6(data, at)) for at in (HEADER + 8, HEADER + 24))
    if code == 4:
        protocol, port = number(data, HEADER + 6, 1), number(data, HEADER + 42, 2)
        return f"unreachable port, {_port(to, protocol, port)}"
    return UNREACHABLE6.get(code, f"unknown unreach code ({code})").format(to=to, source=source)


IGMP: dict[int, Callable[[bytes], str]] = {
    0x11: lambda data: f"query v{3 if len(data) >= 12 else 2}",
    0x12: lambda data: f"v1 report {ipv4(data, 4)}",
    0x16: lambda data: f"v2 report {ipv4(data, 4)}",
    0x17: lambda data: f"leave {ipv4(data, 4)}",
    0x22: lambda data: f"v3 report, {number(data, 6, 2)} group record(s)",
}


def igmp(data: bytes, length: int, ends: Ends, view: View) -> str:
    """RFC 3376."""
    try:
        kind = number(data, 0, 1)
        return f"igmp {IGMP[kind](data) if kind in IGMP else f'type-#{kind}'}"
    except Short:
        return "igmp [|igmp]"


OSPF = {1: "Hello", 2: "Database Description", 3: "LS-Request", 4: "LS-Update", 5: "LS-Ack"}


def ospf(data: bytes, length: int, ends: Ends, view: View) -> str:
    """RFC 2328, RFC 5340."""
    try:
        version, kind = number(data, 0, 1), number(data, 1, 1)
    except Short:
        return "[|ospf]"
    return f"OSPFv{version}, {OSPF.get(kind, f'unknown type ({kind})')}, length {length}"


def esp(data: bytes, length: int, ends: Ends, view: View) -> str:
    """RFC 4303."""
    try:
        index, sequence = number(data, 0, 4), number(data, 4, 4)
    except Short:
        return "[|esp]"
    return f"ESP(spi=0x{index:08x},seq=0x{sequence:x}), length {length}"
