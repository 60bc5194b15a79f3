"""IPv4 and IPv6, their fragments, and what is wrapped into them again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from netlab.trace.dissect import control, transport
from netlab.trace.dissect.view import Ends, Short, View, ipv4, ipv6, number

IPV4_HEADER, IPV6_HEADER = 20, 40
OPTIONS = {0: "HBH", 60: "DSTOPT", 43: "RT6"}
"""IPv6 headers that are passed over; a routing header is not taken apart."""
FRAGMENT, NOTHING = 44, 59
GRE = 47
WRAPPED = {4: "ipip", 41: "sit", GRE: "gre"}
TYPES = {0x0800, 0x86DD}
GRE_CHECKSUM, GRE_KEY, GRE_SEQUENCE = 0x8000, 0x2000, 0x1000
"""Each is a word of four bytes where it is set."""
TRANSPARENT_ETHERNET = 0x6558

Told = Callable[[bytes, int, Ends, View], str]
"""From its header on, the length that IP tells, the addresses."""

CARRIED: dict[int, tuple[str, Told]] = {
    1: ("icmp", control.icmp),
    2: ("igmp", control.igmp),
    6: ("tcp", transport.tcp),
    17: ("udp", transport.udp),
    50: ("esp", control.esp),
    58: ("icmp6", control.icmp6),
    89: ("ospf", control.ospf),
    132: ("sctp", transport.sctp),
}
WITH_PORTS = {6, 17, 132}
"""Of these the ports are written behind the addresses."""


def any_ip(data: bytes, view: View) -> str:
    version = data[0] >> 4 if data else 0
    if version == 4:
        return _of_version("IP", "ip", _ipv4, data, view)
    if version == 6:
        return _of_version("IP6", "ip6", _ipv6, data, view)
    return f"IP{version} (invalid)" if data else "[|ip]"


def _of_version(
    word: str, protocol: str, tell: Callable[[bytes, View], str], data: bytes, view: View
) -> str:
    view.found(protocol)
    try:
        return f"{word} {tell(data, view)}"
    except Short:
        return f"{word} [|{protocol}]"


def _ipv4(data: bytes, view: View) -> str:
    ends = Ends(ipv4(data, 12), ipv4(data, 16))
    view.ends(ends)
    header, length = (data[0] & 15) * 4, number(data, 2, 2)
    if header < IPV4_HEADER or length < header:
        return f"{_between(ends, view)}: bad header length {header} of {length}"
    field = number(data, 6, 2)
    offset, more = (field & 0x1FFF) * 8, bool(field & 0x2000)
    note = f"frag ({offset}|{length - header})" if offset or more else ""
    return _carried(data[9], data[header:length], length - header, ends, view, note, offset)


def _ipv6(data: bytes, view: View) -> str:
    ends = Ends(ipv6(data, 8), ipv6(data, 24))
    view.ends(ends)
    following, at, length = data[6], IPV6_HEADER, number(data, 4, 2) + IPV6_HEADER
    notes, offset = [], 0
    while following in OPTIONS or following == FRAGMENT:
        if following == FRAGMENT:
            offset = number(data, at + 2, 2) & 0xFFF8
            notes.append(f"frag ({offset}|{length - at - 8})")
            following, at = number(data, at, 1), at + 8
            break
        notes.append(OPTIONS[following])
        following, at = number(data, at, 1), at + 8 + number(data, at + 1, 1) * 8
    note = " ".join(notes)
    if following == NOTHING:
        return f"{_between(ends, view)}: {' '.join([*notes, 'no next header'])}"
    return _carried(following, data[at:length], length - at, ends, view, note, offset)


def _carried(
    protocol: int, data: bytes, length: int, ends: Ends, view: View, note: str, offset: int
) -> str:
    """``note`` stands before it; at an ``offset`` there is no header."""
    name, tell = CARRIED.get(protocol, ("", None))
    before = f"{note} " if note else ""
    if offset:
        view.found(name or str(protocol))
        return f"{_between(ends, view)}: {before}{name or f'ip-proto-{protocol}'}"
    if protocol in WRAPPED:
        view.found(WRAPPED[protocol])
        inside = replace(view, is_inner=True)
        told = _gre(data, length, inside) if protocol == GRE else any_ip(data, inside)
        return f"{_between(ends, view)}: {before}{told}"
    if tell is None:
        view.found(str(protocol))
        return f"{_between(ends, view)}: {before}ip-proto-{protocol}, length {length}"
    view.found(name)
    if protocol not in WITH_PORTS:
        return f"{_between(ends, view)}: {before}{tell(data, length, ends, view)}"
    try:
        ports = number(data, 0, 2), number(data, 2, 2)
    except Short:
        return f"{_between(ends, view)}: {before}[|{name}]"
    view.ports(*ports)
    return f"{_between(ends, view, *ports)}: {before}{tell(data, length, ends, view)}"


def _between(ends: Ends, view: View, *ports: int) -> str:
    """``alice.1000 > web.80``."""
    source, destination = view.name(ends.source), view.name(ends.destination)
    if ports:
        return f"{source}.{ports[0]} > {destination}.{ports[1]}"
    return f"{source} > {destination}"


def _gre(data: bytes, length: int, view: View) -> str:
    """RFC 2784, RFC 2890."""
    from netlab.trace.dissect import link

    try:
        flags, kind = number(data, 0, 2), number(data, 2, 2)
        at_key = 8 if flags & GRE_CHECKSUM else 4
        key = f", key=0x{number(data, at_key, 4):x}" if flags & GRE_KEY else ""
    except Short:
        return "GRE [|gre]"
    at = 4 + sum(4 for bit in (GRE_CHECKSUM, GRE_KEY, GRE_SEQUENCE) if flags & bit)
    head = f"GREv{flags & 7}{key}, length {length}"
    if kind in TYPES:
        return f"{head}: {any_ip(data[at:], view)}"
    if kind == TRANSPARENT_ETHERNET:
        return f"{head}: {link.inner(data[at:], view)}"
    return f"{head}: gre-proto-0x{kind:04x}"
