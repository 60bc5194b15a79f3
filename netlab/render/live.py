"""Packets of a lab, followed: a line each, and in the end how many arrived and why not all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from netlab.render.journey import short
from netlab.render.words import count
from netlab.trace.headers import ICMP_NAMES
from netlab.trace.model import Cause, Disposition, Leg, Nat, Packet

if TYPE_CHECKING:
    from netlab.trace.live import Sums, Told

KEPT = "\u00a0"
"""A blank where no line ends."""
FEW = 10
"""So many sorts of ends are told of at the end."""
WIDEST = 38
"""Columns of what stands below each other."""
MANY_NODES, SHOWN_NODES = 12, 5
QUESTIONS = {
    "icmp": {"8/0": "echo request", "0/0": "echo reply"},
    "icmpv6": {
        "128/0": "echo request", "129/0": "echo reply", "130/0": "multicast listener query",
        "131/0": "multicast listener report", "132/0": "multicast listener done",
        "133/0": "router solicitation", "134/0": "router advertisement",
        "135/0": "neighbour solicitation", "136/0": "neighbour advertisement",
        "137/0": "redirect", "143/0": "multicast listener report",
    },
}  # fmt: skip
"""What is no error, by type and code (RFC 792, 3810, 4443, 4861)."""


def begun(lab: str, text: str, first: int, dropped: bool) -> str:
    which = f"packets of {lab}" + (f" that match {text!r}" if text else "")
    told = "; those that do not arrive are told" if dropped else ""
    end = f"until {count(first, 'packet')} {'is' if first == 1 else 'are'} told" if first else ""
    return f"following {which}, {end or 'until Ctrl-C'}{told}"


class Lines:
    """As wide as what came up to now, so that columns stand below each other."""

    def __init__(self) -> None:
        self._flow = self._path = 0

    def line(self, told: Told, columns: int) -> Iterator[tuple[str, str, str]]:
        """What is before, the text and its style: one, and where there is no room two, since why
        it ended stands below then."""
        flow, path = flow_words(told), path_words(told)
        self._flow = max(self._flow, min(len(flow), WIDEST))
        self._path = max(self._path, min(len(path), WIDEST))
        sign, end, style = end_words(told)
        begun = f"{clock(told.time)}  {sign} "
        way = f"{flow:<{self._flow}}  {path:<{self._path}}"
        if len(begun) + len(way) + 2 + len(end) <= columns:
            yield begun, f"{way}  {end}".rstrip(), style
            return
        yield begun, way.rstrip(), style
        if not told.has_arrived:
            yield " " * len(begun), end, style


def clock(moment: float) -> str:
    """``12:03:41.123456``; blanks where nobody had a clock."""
    if not moment:
        return " " * 15
    whole = int(moment)
    micro = round((moment - whole) * 1e6)
    return f"{time.strftime('%H:%M:%S', time.localtime(whole))}.{min(micro, 999999):06d}"


def flow_words(told: Told) -> str:
    """``tcp alice:40312 → web:80 [S]``."""
    packet = _leg(told).packet
    if packet is None:
        return told.trace.probe.protocol
    ends = _end(told, packet.source, packet.source_port), _end(
        told, packet.destination, packet.destination_port
    )
    return f"{packet.protocol} {ends[0]} → {ends[1]}{_more(packet)}"


def _more(packet: Packet) -> str:
    if packet.flags:
        return f" [{packet.flags}]"
    if packet.icmp:
        names = ICMP_NAMES.get(packet.protocol, {}) | QUESTIONS.get(packet.protocol, {})
        return f" {names.get(packet.icmp, packet.icmp)}"
    return f" {packet.length} bytes" if packet.protocol == "udp" else ""


def path_words(told: Told) -> str:
    """``alice → gw (gw:8080 ⇒ web:80) → web``: with what NAT made of it, and where."""
    leg = _leg(told)
    ends = _Ends(told, leg.packet)
    parts = []
    for hop in leg.hops:
        changed = [ends.changed(step) for step in hop.steps if isinstance(step, Nat)]
        parts.append(hop.node + (f"{KEPT}({', '.join(changed)})" if changed else ""))
    if len(parts) > MANY_NODES:
        left = len(parts) - 2 * SHOWN_NODES
        parts = [*parts[:SHOWN_NODES], f"… {left} more …", *parts[-SHOWN_NODES:]]
    return " → ".join(parts)


class _Ends:
    """Source and destination of a packet, as NAT changes them."""

    def __init__(self, told: Told, packet: Packet | None) -> None:
        self._told = told
        self._now = {
            "source": packet.source if packet else "",
            "source_port": str(packet.source_port if packet else 0),
            "destination": packet.destination if packet else "",
            "destination_port": str(packet.destination_port if packet else 0),
        }

    def changed(self, nat: Nat) -> str:
        before = dict(self._now)
        self._now |= {change.field: change.after for change in nat.changes}
        which = [
            end for end in ("source", "destination")
            if any(change.field.startswith(end) for change in nat.changes)
        ]  # fmt: skip
        return ", ".join(
            f"{self._words(before, end)}{KEPT}⇒{KEPT}{self._words(self._now, end)}" for end in which
        )

    def _words(self, values: dict[str, str], end: str) -> str:
        return _end(self._told, values[end], int(values[f"{end}_port"]))


def end_words(told: Told) -> tuple[str, str, str]:
    """Whether it arrived, how it ended, where the path's last node says where; and a style."""
    if told.has_arrived:
        return "✓", _span(told.microseconds) if told.microseconds else "", ""
    if told.trace.disposition == Disposition.UNKNOWN:
        return "?", "not seen to its end: something was lost", "yellow"
    if told.trace.disposition == Disposition.LEFT:
        return "→", _why(told), ""
    return "✗", _why(told), "red"


def _why(told: Told) -> str:
    cause = told.trace.cause
    if cause is None:
        return f"{told.trace.disposition}: nothing that was seen says why"
    words = f"denied: {_rule(cause)}" if cause.rule else cause.sentence
    return f"{words}  {short(cause.place)}" if cause.place else words


def _rule(cause: Cause) -> str:
    rule = cause.rule
    return f"{rule.text}" if rule else ""


def _span(microseconds: float) -> str:
    if microseconds < 1000:
        return f"{microseconds:.0f} µs"
    milliseconds = microseconds / 1000
    return f"{milliseconds:.1f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def _leg(told: Told) -> Leg:
    return next(leg for leg in told.trace.legs if leg.kind == "forward")


def _end(told: Told, address: str, port: int) -> str:
    name = told.terrain.holder(address) if address else ""
    if not port:
        return name or address
    return f"[{address}]:{port}" if not name and ":" in address else f"{name or address}:{port}"


def ended(sums: Sums) -> Iterator[tuple[str, str]]:
    """What is said when it is over."""
    failed = sum(sums.ends.values()) + sums.sorts_left
    parts = [f"{sums.arrived} arrived", f"{failed} did not"]
    if sums.left:
        parts.append(f"{sums.left} left the lab")
    if sums.unseen:
        parts.append(f"{sums.unseen} not seen to the end")
    style = "red" if failed else "yellow" if sums.unseen or not sums.packets else "green"
    yield f"{count(sums.packets, 'packet')}: {', '.join(parts)}", style
    width = max((len(node) for node, _, _ in sums.ends), default=0)
    for (node, words, place), times in sums.ends.most_common(FEW):
        where = f"  {short(place)}" if place else ""
        yield f"  {times:>6}  {node:<{width}}  {words}{where}", ""
    if len(sums.ends) > FEW:
        yield f"  … and {len(sums.ends) - FEW} more sorts", ""
    if sums.under_way:
        yield f"{count(sums.under_way, 'packet')} still under way", "dim"
    if sums.early:
        yield f"{count(sums.early, 'packet')} told before the end: too many at a time", "yellow"
    for gap in sums.gaps:
        yield f"not seen: {gap}", "yellow"
