"""What TCP and UDP carry, where labs often look at it: DNS, DHCP and HTTP."""

from __future__ import annotations

import re

from netlab.trace.dissect.view import Short, View, ipv4, ipv6, mac, number, piece

DNS, MDNS = 53, 5353
DHCP = frozenset({67, 68})
HTTP = frozenset({80, 8080, 3128})
HTTP_LINE = re.compile(rb"(?:[A-Z]{3,10} \S+ HTTP/\d\.\d|HTTP/\d\.\d \d{3}[^\r\n]*)")
TYPES = {
    1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV",
    41: "OPT", 255: "ANY",
}  # fmt: skip
ERRORS = {1: "FormErr", 2: "ServFail", 3: "NXDomain", 4: "NotImp", 5: "Refused"}
ANSWER, AUTHORITATIVE, CUT, RECURSE, RECURSES = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080
DNS_HEADER = 12
DEEPEST = 32
"""Labels and pointers in a name that are followed."""


def told(ports: tuple[int, int], data: bytes, length: int, view: View) -> str:
    """``length``: of what UDP carries. "" where it is neither."""
    try:
        if DNS in ports or MDNS in ports:
            return _dns(data, length, view)
        if set(ports) <= DHCP:
            return _dhcp(data, length, view)
    except Short:
        return ""
    return ""


def _dns(data: bytes, length: int, view: View) -> str:
    """RFC 1035: the question, or how many answers and the first ones."""
    number_of, flags = number(data, 0, 2), number(data, 2, 2)
    counts = [number(data, at, 2) for at in (4, 6, 8, 10)]
    at, question = DNS_HEADER, ""
    if counts[0]:
        name, at = _name(data, at)
        question = f"{_type(number(data, at, 2))}? {name}"
        at += 4
    view.found("dns")
    if not flags & ANSWER:
        extra = f"[{counts[3]}au] " if counts[3] else ""
        return f"{number_of}{'+' if flags & RECURSE else ''} {extra}{question} ({length})"
    failed = f" {ERRORS.get(flags & 15, f'Resp{flags & 15}')}" if flags & 15 else ""
    marks = "*" if flags & AUTHORITATIVE else ""
    marks += "" if flags & RECURSES else "-"
    marks += "|" if flags & CUT else ""
    answers = "".join(
        f"{', ' if n else ' '}{a}" for n, a in enumerate(_answers(data, at, counts[1]))
    )
    sizes = "/".join(map(str, counts[1:]))
    return f"{number_of}{failed}{marks} {sizes}{answers} ({length})"


def _answers(data: bytes, at: int, count: int) -> list[str]:
    found = []
    for _ in range(count):
        try:
            _, at = _name(data, at)
            kind, size = number(data, at, 2), number(data, at + 8, 2)
            found.append(_answer(data, at + 10, kind))
        except Short:
            found.append("[|domain]")
            break
        at += 10 + size
    return found


def _answer(data: bytes, at: int, kind: int) -> str:
    word = _type(kind)
    match kind:
        case 1:
            return f"{word} {ipv4(data, at)}"
        case 28:
            return f"{word} {ipv6(data, at)}"
        case 2 | 5 | 12:
            return f"{word} {_name(data, at)[0]}"
    return word


def _name(data: bytes, at: int) -> tuple[str, int]:
    """And where it ends."""
    labels: list[str] = []
    end = 0
    for _ in range(DEEPEST):
        size = number(data, at, 1)
        if size == 0:
            return ".".join([*labels, ""]) if labels else ".", end or at + 1
        if size & 0xC0:
            end = end or at + 2
            at = number(data, at, 2) & 0x3FFF
            continue
        labels.append(piece(data, at + 1, size).decode("ascii", "replace"))
        at += 1 + size
    raise Short


def _type(kind: int) -> str:
    return TYPES.get(kind, f"Type{kind}")


def _dhcp(data: bytes, length: int, view: View) -> str:
    """RFC 2131."""
    operation = number(data, 0, 1)
    view.found("dhcp")
    if operation == 1:
        return f"BOOTP/DHCP, Request from {mac(data, 28)}, length {length}"
    return f"BOOTP/DHCP, Reply, length {length}"


def http(ports: tuple[int, int], data: bytes, view: View) -> str:
    """RFC 9112: the first line; "" where there is none."""
    found = HTTP_LINE.match(data) if HTTP & set(ports) else None
    if found is None:
        return ""
    view.found("http")
    return f"HTTP: {found[0].decode('ascii', 'replace')}"
