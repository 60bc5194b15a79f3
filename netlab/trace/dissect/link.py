"""Ethernet, and what it carries besides IP: ARP, spanning tree, LLDP, VLAN tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from netlab.trace.dissect import network
from netlab.trace.dissect.view import Facts, Flows, Short, View, ipv4, mac, number, piece

ETHERNET, RAW_IP = 1, 101
"""Link types, as pcap numbers them."""

TYPE = 12
HEADER = 14
LONGEST_LLC = 1500
"""A type up to this one is a length instead (IEEE 802.3)."""
STP = b"\x42\x42\x03"
"""The LLC header of a bridge's messages."""
TREES = {0: "STP 802.1d", 2: "STP 802.1w", 3: "STP 802.1s"}
TOPOLOGY_CHANGE = 0x80
BRIDGE_FLAGS = ((0x01, "Topology change"), (0x80, "Topology change ACK"))
TAGS = (0x8100, 0x88A8, 0x9100)
ARP_WORDS = {1: "Request", 2: "Reply", 3: "Reverse Request", 4: "Reverse Reply"}


def told(
    data: bytes, length: int, link: int, names: Mapping[str, str], flows: Flows
) -> tuple[str, Facts]:
    """The line, and the facts. ``names``: by address; ``length``: how many bytes there were."""
    view = View(names, flows)
    line = network.any_ip(data, view) if link == RAW_IP else frame(data, length, view)
    if not line.isprintable():  # a name in DNS may hold anything
        line = "".join(c if c.isprintable() else "." for c in line)
    return line, view.facts


def frame(data: bytes, length: int, view: View) -> str:
    try:
        return _typed(number(data, TYPE, 2), data, HEADER, length, view)
    except Short:
        return "[|ether]"


def _typed(kind: int, data: bytes, at: int, length: int, view: View) -> str:
    if kind in TAGS:
        tag = number(data, at, 2)
        view.found("vlan")
        inner = _typed(number(data, at + 2, 2), data, at + 4, length, view)
        return f"vlan {tag & 0x0FFF}, {inner}"
    payload = data[at:]
    if kind in (0x0800, 0x86DD):
        return network.any_ip(payload, view)
    if kind in (0x0806, 0x8035):
        return _arp(payload, length - at, view)
    if kind <= LONGEST_LLC:
        return _llc(payload, kind, data, view)
    if kind == 0x88CC:
        view.found("lldp")
        return f"LLDP, length {length - at}"
    view.found(f"0x{kind:04x}")
    ends = f"{mac(data, 6)} > {mac(data, 0)}"
    return f"{ends}, ethertype Unknown (0x{kind:04x}), length {length}"


def _arp(data: bytes, length: int, view: View) -> str:
    """RFC 826."""
    view.found("arp")
    try:
        operation, sizes = number(data, 6, 2), piece(data, 4, 2)
        if sizes != b"\6\4":
            return f"ARP, operation {operation}, length {length}"
        sender, target = ipv4(data, 14), ipv4(data, 24)
        view.facts.source, view.facts.destination = sender, target
        asked = "" if not any(data[18:24]) else f" ({mac(data, 18)})"
        words = {
            1: f"who-has {view.name(target)}{asked} tell {view.name(sender)}",
            2: f"{view.name(sender)} is-at {mac(data, 8)}",
            3: f"who-is {mac(data, 18)} tell {mac(data, 8)}",
            4: f"{mac(data, 18)} at {view.name(target)}",
        }.get(operation, "")
    except Short:
        return "ARP, [|arp]"
    return f"ARP, {ARP_WORDS.get(operation, f'Unknown ({operation})')} {words}, length {length}"


def _llc(data: bytes, length: int, whole: bytes, view: View) -> str:
    """IEEE 802.2; of what is behind it only a bridge's messages are told."""
    if data[:3] != STP:
        view.found("llc")
        return f"{mac(whole, 6)} > {mac(whole, 0)}, 802.3, length {length}"
    view.found("stp")
    try:
        tree, kind = TREES.get(number(data, 5, 1), "STP"), number(data, 6, 1)
        if kind == TOPOLOGY_CHANGE:
            return f"{tree}, Topology Change"
        flags = [word for bit, word in BRIDGE_FLAGS if number(data, 7, 1) & bit]
        bridge = f"{piece(data, 20, 2).hex()}.{mac(data, 22)}.{piece(data, 28, 2).hex()}"
    except Short:
        return "STP [|stp]"
    shown = ", ".join(flags) or "none"
    word = "Config" if kind == 0 else "Rapid STP"
    return f"{tree}, {word}, Flags [{shown}], bridge-id {bridge}, length {length - 3}"


def inner(data: bytes, view: View) -> str:
    """A frame that a tunnel holds."""
    return frame(data, len(data), replace(view, is_inner=True))
