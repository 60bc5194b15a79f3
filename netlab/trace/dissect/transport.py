"""TCP, UDP and SCTP, and the tunnel that UDP carries: VXLAN."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.trace.dissect import applications
from netlab.trace.dissect.view import Ends, Short, View, number, piece

TCP_HEADER, UDP_HEADER = 20, 8
FIN, SYN, RST, ACK, URG = 1, 2, 4, 16, 32
FLAGS = "FSRP.UEW"
"""By bit, from the lowest."""
VXLAN = frozenset({4789, 8472})
"""The registered port, and the one that Linux had before it was."""
CHUNKS = (
    "DATA", "INIT", "INIT ACK", "SACK", "HB REQ", "HB ACK", "ABORT", "SHUTDOWN", "SHUTDOWN ACK",
    "OP ERR", "COOKIE ECHO", "COOKIE ACK",
)  # fmt: skip


def tcp(data: bytes, length: int, ends: Ends, view: View) -> str:
    """RFC 9293."""
    try:
        return _tcp(data, length, ends, view)
    except Short:
        return "[|tcp]"


def _tcp(data: bytes, length: int, ends: Ends, view: View) -> str:
    ports = number(data, 0, 2), number(data, 2, 2)
    sequence, acknowledged = number(data, 4, 4), number(data, 8, 4)
    header, flags = (number(data, 12, 1) >> 4) * 4, number(data, 13, 1)
    window, urgent = number(data, 14, 2), number(data, 18, 2)
    if header < TCP_HEADER or header > length:
        return f"Flags [{_flags(flags)}], bad header length {header}"
    size = length - header
    flow = (ends.source, ports[0], ends.destination, ports[1])
    begun = sequence, acknowledged
    if flags & ACK:
        begins = bool(flags & SYN)
        sequence, acknowledged = view.flows.relative(flow, *begun, begins=begins)
    # what is acknowledged of single blocks counts from the same byte as all that is acknowledged
    base = begun[1] - acknowledged & 0xFFFFFFFF
    parts = [f"Flags [{_flags(flags)}]"]
    if size:
        parts.append(f"seq {sequence}:{sequence + size & 0xFFFFFFFF}")
    elif flags & (FIN | SYN | RST):
        parts.append(f"seq {sequence}")
    if flags & ACK:
        parts.append(f"ack {acknowledged}")
    parts.append(f"win {window}")
    if flags & URG:
        parts.append(f"urg {urgent}")
    options = ",".join(_options(data[TCP_HEADER:header], base))
    if header > TCP_HEADER:
        cut = "" if len(data) >= header else "[|tcp]"
        parts.append(f"options [{options}{cut}]")
    line = applications.http(ports, data[header:], view)
    return f"{', '.join(parts)}, length {size}" + (f": {line}" if line else "")


def _flags(flags: int) -> str:
    return "".join(letter for bit, letter in enumerate(FLAGS) if flags >> bit & 1) or "none"


def _options(data: bytes, base: int) -> Iterator[str]:
    at = 0
    while at < len(data):
        kind = data[at]
        if kind in (0, 1):
            yield ("eol", "nop")[kind]
            at += 1
            if kind == 0:
                return
            continue
        size = data[at + 1] if at + 1 < len(data) else 0
        value = data[at + 2 : at + size]
        if size < 2 or len(value) != size - 2:
            return
        yield _option(kind, value, base)
        at += size


def _option(kind: int, value: bytes, base: int) -> str:
    whole = int.from_bytes(value, "big")
    match kind, len(value):
        case 2, 2:
            return f"mss {whole}"
        case 3, 1:
            return f"wscale {whole}"
        case 4, 0:
            return "sackOK"
        case 5, size if size and size % 8 == 0:
            edges = [int.from_bytes(value[n : n + 4], "big") for n in range(0, size, 4)]
            near = [edge - base & 0xFFFFFFFF for edge in edges]
            blocks = "".join(f"{{{a}:{b}}}" for a, b in zip(near[::2], near[1::2], strict=True))
            return f"sack {size // 8} {blocks}"
        case 8, 8:
            return f"TS val {whole >> 32} ecr {whole & 0xFFFFFFFF}"
    return f"unknown-{kind}" + (f" 0x{value.hex()}" if value else "")


def udp(data: bytes, length: int, ends: Ends, view: View) -> str:
    """RFC 768."""
    try:
        ports, size = (number(data, 0, 2), number(data, 2, 2)), number(data, 4, 2)
        piece(data, 0, UDP_HEADER)
    except Short:
        return "[|udp]"
    inside = data[UDP_HEADER:]
    if ports[1] in VXLAN and (told := _vxlan(inside, view)):
        return told
    if told := applications.told(ports, inside, size - UDP_HEADER, view):
        return told
    return f"UDP, length {size - UDP_HEADER}"


def _vxlan(data: bytes, view: View) -> str:
    """RFC 7348; "" for what is none."""
    from netlab.trace.dissect import link

    try:
        flags, network = number(data, 0, 1), number(data, 4, 3)
    except Short:
        return ""
    if not flags & 8:
        return ""
    view.found("vxlan")
    return f"VXLAN, vni {network}: {link.inner(data[8:], view)}"


def sctp(data: bytes, length: int, ends: Ends, view: View) -> str:
    """RFC 9260: the names of its chunks."""
    names = []
    at = 12
    try:
        while at < length:
            kind, size = number(data, at, 1), number(data, at + 2, 2)
            names.append(CHUNKS[kind] if kind < len(CHUNKS) else f"type {kind}")
            if size < 4:
                break
            at += size + (-size & 3)
    except Short:
        names.append("|sctp")
    return f"sctp {' '.join(f'[{name}]' for name in names)}, length {length}"
