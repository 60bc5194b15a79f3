"""A trace as text: how it ended, then each leg node by node, step by step, and why.

A line is its text and its style; what is aligned to the right, the times and the places in the
topology, stands behind a tab.
"""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from netlab.render.words import count
from netlab.trace import model as m
from netlab.trace import moments
from netlab.trace.headers import parse
from netlab.trace.sighting import Sighting

if TYPE_CHECKING:
    from netlab.trace.taught import Taught

Detail: TypeAlias = Literal["brief", "usual", "all", "teach"]
"""``teach``: the usual, with a lesson after each step."""
Line: TypeAlias = tuple[str, str]

WIDTH = 11
"""Columns of a step's first word."""
GOOD = m.REACHED
ARROWS = {"forward": "→", "reply": "←", "error": "←", "clone": "↪"}
LESSON, INDENT = 82, 17
"""Columns of a lesson, and those before it."""
NARROW = 20
SENTENCE = re.compile(r"(?<=[.)]) (?=[A-Z])")
VALUES = ("device", "prefix", "via", "destination", "mac", "original", "reply")
"""Of a step: what a lesson may be told anew with, though it is the same."""
MANY_RULES = 12
"""Of so many rules that did not match only the last few are shown."""
SHOWN_RULES = 4


def lines(
    trace: m.Trace, detail: Detail, taught: Taught | None = None, columns: int = sys.maxsize
) -> Iterator[Line]:
    """``taught``: what was measured at its steps; ``columns``: that lessons fit into."""
    yield _probe(trace), ""
    if trace.source == "observed":
        yield _watchers(trace), "dim"
    yield from _headline(trace)
    lessons = _Lessons(columns)
    if detail == "brief":
        yield from _brief(trace)
    else:
        for number, leg in enumerate(trace.legs):
            if leg.kind != "clone" or detail == "all":
                yield from _leg(leg, detail, _measured(taught, number), lessons)
        clones = [leg for leg in trace.legs if leg.kind == "clone"]
        if clones and detail != "all":
            ends = ", ".join(dict.fromkeys(leg.hops[-1].node for leg in clones))
            yield f"flooded: {count(len(clones), 'copy')} also went to {ends}", "dim"
        yield from _why(trace)
    if trace.foretold is not None:
        yield from _foretold(trace.foretold)
    for gap in trace.gaps:
        yield f"not seen: {gap}", "yellow"
    for lacking in taught.lacking if taught else ():
        yield f"not measured: {lacking}", "yellow"


def _measured(taught: Taught | None, leg: int) -> Mapping[tuple[int, int], str]:
    """By hop and step."""
    said = taught.measured.items() if taught else ()
    return {(hop, step): text for (of, hop, step), text in said if of == leg}


def _foretold(foretold: m.Foretold) -> Iterator[Line]:
    """What `explain` had said."""
    said = f"{foretold.disposition}" + (f" ({foretold.cause})" if foretold.cause else "")
    if foretold.disposition == m.Disposition.UNKNOWN:
        yield f"{'foretold':{WIDTH}} nothing: `netlab explain` tells what it hangs on", "dim"
    elif not foretold.differences:
        yield f"{'foretold':{WIDTH}} {said}, the same way ✓", "green"
    for text in foretold.differences:
        yield f"{'foretold':{WIDTH}} ✗ {text}", "yellow"


def _probe(trace: m.Trace) -> str:
    p = trace.probe
    flow = f"{_end(p.source or p.sender, p.from_port if p.protocol != 'icmp' else 0)}"
    options = [
        f"size {p.size}" if p.size else "", f"ttl {p.ttl}" if p.ttl else "",
        f"tos {p.tos:#04x}" if p.tos else "",
        {True: "df", False: "no df", None: ""}[p.dont_fragment],
    ]  # fmt: skip
    extra = " ".join(o for o in options if o)
    target = f" ({p.target})" if p.target else ""
    words = f"{p.sender} → {_end(p.destination, p.port)}{target}" if not p.source else (
        f"{p.sender} {flow} → {_end(p.destination, p.port)}{target}"
    )
    return f"{trace.lab}: {p.protocol} {words}" + (f"   {extra}" if extra else "")


def _end(address: str, port: int) -> str:
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _watchers(trace: m.Trace) -> str:
    found = "  ".join(f"{name} {'–' if why else '✓'}" for name, why in trace.backends)
    reasons = "".join(f"; {name}: {why}" for name, why in trace.backends if why)
    cookie = f"cookie {trace.probe.cookie:#010x}" if trace.probe.cookie else "the lab's own packet"
    spent = f"   {trace.milliseconds:.0f} ms" if trace.milliseconds else ""
    return f"{cookie}   {found}{reasons}{spent}"


def _headline(trace: m.Trace) -> Iterator[Line]:
    good = trace.disposition in GOOD
    sign = "✓" if good else "✗"
    where = f" at {_place(trace.place)}" if trace.place and not good else ""
    leg = trace.place.leg if trace.place else "forward"
    of = {"reply": "the answer: ", "error": "the error: "}.get(leg, "") if not good else ""
    yield f"{sign} {of}{trace.disposition}{where}", "green" if good else "red"
    if trace.cause:
        place = f"\t{short(trace.cause.place)}" if trace.cause.place else ""
        yield f"  {trace.cause.sentence}{place}", ""


def _place(place: m.Place) -> str:
    parts = [place.node]
    if place.hook:
        parts.append(f"{place.hook} hook")
    elif place.device:
        parts.append(place.device)
    return ", ".join(parts)


def _brief(trace: m.Trace) -> Iterator[Line]:
    for leg in trace.legs:
        if leg.kind == "clone":
            continue
        for hop in leg.hops:
            way = f"{hop.arrived or '·'} → {hop.left or '·'}"
            end = f"  {leg.disposition}" if hop is leg.hops[-1] else ""
            yield f"{ARROWS[leg.kind]} {hop.node:<12} {way}{end}", ""


def _leg(
    leg: m.Leg, detail: Detail, measured: Mapping[tuple[int, int], str], lessons: _Lessons
) -> Iterator[Line]:
    name = {"reply": "answer", "error": "error", "clone": "copy"}.get(leg.kind, leg.kind)
    yield "", ""
    yield f"{ARROWS[leg.kind]} {name}" + (f"  {_packet(leg.packet)}" if leg.packet else ""), "bold"
    circles = detail != "all" and leg.disposition == m.Disposition.LOOPED
    again = _circling(leg.hops) if circles else range(0)
    for place, hop in enumerate(leg.hops):
        last = place == len(leg.hops) - 1
        if place in again:
            if place == again.start:
                yield f"├─ … and so on, {count(len(again), 'hop')} more", "dim"
            continue
        role = f"  {hop.role}" if hop.role else ""
        yield f"{'└' if last else '├'}─ {hop.node}{role}", "bold"
        bar = "  " if last else "│ "
        here = {step: text for (of, step), text in measured.items() if of == place}
        for text, style in _steps(hop, detail, here, lessons):
            yield f"{bar}   {text}", style


def _circling(hops: Sequence[m.Hop]) -> range:
    """The hops in between that say nothing new, where a packet goes in a circle."""
    nodes = [hop.node for hop in hops]
    second = next((n for n, node in enumerate(nodes) if node in nodes[:n]), len(nodes))
    return range(second, len(nodes) - 1)


def _steps(
    hop: m.Hop, detail: Detail, measured: Mapping[int, str], lessons: _Lessons
) -> Iterator[Line]:
    quiet: list[str] = []
    for place, step in enumerate(hop.steps):
        if detail == "usual" and isinstance(step, m.Hook) and not step.chains:
            quiet.append(step.hook)
            continue
        if quiet:
            yield _quiet(quiet)
            quiet = []
        yield from _STEPS[step.kind](step, detail)
        if detail == "teach":
            yield from lessons.of(step, hop, measured.get(place, ""))
    if quiet:
        yield _quiet(quiet)


class _Lessons:
    """Each sentence is told once, at the first step that it is about."""

    def __init__(self, columns: int) -> None:
        self._width = max(NARROW, min(LESSON, columns - INDENT))
        self._said: set[str] = set()

    def of(self, step: m.Step, hop: m.Hop, measured: str) -> Iterator[Line]:
        """What the kernel does at such a step; then what it did at this one."""
        for line in textwrap.wrap(" ".join(self._new(step, hop)), self._width):
            yield f"{'':{WIDTH}} {line}", "dim"
        for line in textwrap.wrap(f"Here: {measured}" if measured else "", self._width):
            yield f"{'':{WIDTH}} {line}", ""

    def _new(self, step: m.Step, hop: m.Hop) -> Iterator[str]:
        from netlab.trace.teach import lesson

        anywhere: Any = step
        anywhere = replace(anywhere, **{n: "…" for n in VALUES if getattr(step, n, "")})
        said = SENTENCE.split(lesson(step, hop))
        for sentence, known in zip(said, SENTENCE.split(lesson(anywhere, hop)), strict=True):
            if known not in self._said:
                self._said.add(known)
                yield sentence


def _quiet(hooks: Sequence[str]) -> Line:
    return _row("hooks", f"{', '.join(hooks)}: no rules")[0], "dim"


def _row(word: str, text: str, right: str = "") -> Line:
    return f"{word:<{WIDTH}} {text}" + (f"\t{right}" if right else ""), ""


def _at(time: float | None) -> str:
    return "" if time is None else f"{time:.1f} µs"


# a line or more for each sort of step


def _socket(step: Any, detail: Detail) -> Iterator[Line]:
    yield _row("socket", step.words + (f"  {step.outcome}" if step.outcome else ""), _at(step.time))


def _rx(step: Any, detail: Detail) -> Iterator[Line]:
    to = {"host": "", "other": "  for another MAC"}.get(step.to, f"  {step.to}")
    if step.to == "other" and detail in ("usual", "teach"):
        to = ""
    more = f"  {_packet(step.packet)}" if detail == "all" and step.packet else ""
    yield _row("in", f"{step.device}{to}{more}", _at(step.time))


def _tx(step: Any, detail: Detail) -> Iterator[Line]:
    size = f"  {step.packet.length} bytes" if step.packet and step.packet.length else ""
    if step.packet and step.packet.within:
        size += f" in {step.packet.within.partition(' ')[0]}"
    if step.packet and step.packet.fragment and detail != "all":
        size += ", the first fragment"
    more = f"  {_packet(step.packet)}" if detail == "all" and step.packet else ""
    yield _row("out", f"{step.device}{size}{more}", _at(step.time))


def _hook(step: Any, detail: Detail) -> Iterator[Line]:
    layer = {"bridge": "bridge ", "netdev": ""}.get(step.layer, "")
    device = f" {step.device}" if step.layer == "netdev" else ""
    bridged = "  (a bridged frame)" if step.bridged else ""
    all_of_it = detail == "all"
    spent = f"  ({step.took:.1f} µs)" if all_of_it and step.took is not None else ""
    right = _at(step.time) if all_of_it else ""
    if not step.chains:
        yield _row("hook", f"{layer}{step.hook}: no rules{bridged}{spent}", right)
    for place, chain in enumerate(step.chains):
        more, at = ("", "") if place else (spent, right)
        yield _chain_head(f"{layer}{step.hook}{device}", chain, bridged, more, at)
        yield from _chain_rules(chain, detail)


def _chain_head(hook: str, chain: m.Chain, bridged: str, more: str, right: str) -> Line:
    name = f"{chain.family} {chain.table} {chain.name}"
    ending = f"policy {chain.verdict}" if chain.by_policy else chain.verdict
    style = "red" if chain.verdict == "drop" else ""
    text = f"{name}{bridged}" + (f"  {ending}" if ending else "") + more
    return _row(hook, text, right)[0], style


def _chain_rules(chain: m.Chain, detail: Detail) -> Iterator[Line]:
    skipped = _few(chain.rules) if detail != "all" else 0
    if skipped:
        yield f"{'':<{WIDTH}}   … {skipped} rules that did not match", "dim"
    for rule in chain.rules[skipped:]:
        yield _rule(rule)


def _few(rules: Sequence[m.Rule]) -> int:
    """How many at the beginning can go unsaid."""
    first = next((n for n, rule in enumerate(rules) if rule.matched is not False), len(rules))
    return first - SHOWN_RULES if first > MANY_RULES else 0


def _rule(rule: m.Rule) -> Line:
    sign = {True: "●", False: "○", None: "?"}[rule.matched]
    verdict = f"  ⇒ {rule.verdict}" if rule.matched and rule.verdict != "continue" else ""
    text = f"{'':<{WIDTH}}   {'  ' * rule.depth}{sign} {rule.text}{verdict}"
    style = "dim" if rule.matched is False else "red" if rule.verdict == "drop" else ""
    return text + (f"\t{short(rule.place)}" if rule.place else ""), style


def _conntrack(step: Any, detail: Detail) -> Iterator[Line]:
    more = f"  {step.direction}" if step.direction else ""
    status = f"  ({', '.join(step.status)})" if step.status else ""
    tuples = f"  {step.original}, answers {step.reply}" if step.original else ""
    number = f"  #{step.id}" if detail == "all" and step.id else ""
    right = _at(step.time) if detail == "all" else ""
    yield _row("conntrack", f"{step.state}{more}{status}{tuples}{number}", right)


def _nat(step: Any, detail: Detail) -> Iterator[Line]:
    by = "" if step.rule else "  by the connection's entry"
    if step.unseen:
        by = "  by a rule that nobody saw"
    place = short(step.rule.place) if step.rule else ""
    yield _row("nat", ", ".join(_changes(step.changes)) + by, place)


def _changes(changes: Sequence[m.Change]) -> Iterator[str]:
    """``destination 10.1.0.1:8080 → 10.2.0.2:80``: address and port together."""
    found: dict[str, m.Change] = {c.field: c for c in changes}
    for name in ("source", "destination"):
        address, port = found.get(name), found.get(f"{name}_port")
        if address and port:
            before = _end(address.before, int(port.before))
            yield f"{name} {before} → {_end(address.after, int(port.after))}"
        elif address or port:
            one = address or port
            assert one is not None
            yield f"{one.field.replace('_', ' ')} {one.before} → {one.after}"


def _route(step: Any, detail: Detail) -> Iterator[Line]:
    if step.error:
        null = f"{step.type} {step.prefix}: " if step.prefix else ""
        yield _row("route", f"{step.destination} → {null}{step.error}")[0], "red"
        return
    way = f" via {step.via}" if step.via else ""
    device = f" dev {step.device}" if step.device else ""
    if step.type == "local":
        way, device = " is the node's own", ""
    kind = f"{step.type} " if step.type not in ("unicast", "local") else ""
    table = f"  (table {step.table})" if step.table not in ("main", "local") else ""
    rule = f"  by the rule “{step.rule}”" if step.rule else ""
    mtu = f"  mtu {step.mtu} was learned" if step.mtu else ""
    target = f"{step.destination} → {kind}{step.prefix}".rstrip()
    if step.type == "local":
        target = step.destination
    right = short(step.place) or (_at(step.time) if detail == "all" else "")
    yield _row("route", f"{target}{way}{device}{table}{rule}{mtu}", right)


def _neighbour(step: Any, detail: Detail) -> Iterator[Line]:
    mac = f" is {step.mac}" if step.mac else ""
    right = _at(step.time) if detail == "all" else ""
    yield _row("neighbour", f"{step.address}{mac}  ({step.state})", right)


def _switched(step: Any, detail: Detail) -> Iterator[Line]:
    if not step.mac and step.ports:
        yield _row("bridge", f"{step.bridge}: at port {', '.join(step.ports)}")
    elif step.local:
        yield _row("bridge", f"{step.bridge}: {step.mac} is the bridge's own")
    elif not step.ports:
        yield _row("bridge", f"{step.bridge}: {step.mac} goes to no port")[0], "red"
    elif step.known:
        yield _row("bridge", f"{step.bridge}: {step.mac} is at port {step.ports[0]}")
    else:
        ports = ", ".join(step.ports)
        yield _row("bridge", f"{step.bridge}: nobody knows {step.mac}, flooded to {ports}")


def _tunnelled(step: Any, detail: Detail) -> Iterator[Line]:
    by = f" by {step.program}" if step.program else ""
    if step.wrapped:
        outer = f" into {_packet(step.outer)}" if step.outer else ""
        yield _row("tunnel", f"{step.device}: wrapped{by}{outer}")
    else:
        yield _row("tunnel", f"{step.device}: taken out{by}")


def _made(step: Any, detail: Detail) -> Iterator[Line]:
    to = f" to {step.packet.destination}" if step.packet else ""
    yield _row("sends", f"{step.words}{to}")


def _dropped(step: Any, detail: Detail) -> Iterator[Line]:
    kernel = " ".join(p for p in (step.reason, f"in {step.function}" if step.function else "") if p)
    yield _row("✗", step.words, _at(step.time))[0], "red"
    if kernel:
        yield _row("kernel", kernel)[0], "red"


def _moment(step: Any, detail: Detail) -> Iterator[Line]:
    if detail == "all":
        yield _row("·", step.words, _at(step.time))[0], "dim"


def _note(step: Any, detail: Detail) -> Iterator[Line]:
    yield _row("note", step.words)[0], "yellow"


_STEPS: Mapping[str, Callable[[Any, Detail], Iterator[Line]]] = {
    "socket": _socket, "rx": _rx, "tx": _tx, "hook": _hook, "conntrack": _conntrack, "nat": _nat,
    "route": _route, "neighbour": _neighbour, "switched": _switched, "tunnelled": _tunnelled,
    "made": _made, "dropped": _dropped, "moment": _moment, "note": _note,
}  # fmt: skip


def _packet(packet: m.Packet) -> str:
    ports = packet.protocol in ("tcp", "udp")
    source = _end(packet.source, packet.source_port if ports else 0)
    target = _end(packet.destination, packet.destination_port if ports else 0)
    flags = f" [{packet.flags}]" if packet.flags else ""
    icmp = f" {packet.icmp}" if packet.icmp else ""
    fragment = f" fragment {packet.fragment}" if packet.fragment else ""
    within = f" in {packet.within}" if packet.within else ""
    head = f"{packet.protocol}{icmp} {source} → {target}{flags}"
    return f"{head} ttl {packet.ttl}{fragment}{within}"


Mark: TypeAlias = tuple[str, str, str, float]
"""Of a frame: its node, ``rx`` or ``tx``, its device, and microseconds since the first."""


def comments(trace: m.Trace) -> dict[Mark, list[str]]:
    """For a capture: what happened to each frame, and after it until the next one."""
    found: dict[Mark, list[str]] = {}
    for leg in trace.legs:
        for place, hop in enumerate(leg.hops, 1):
            told: list[str] = []
            first = True
            for step in hop.steps:
                if isinstance(step, m.Rx | m.Tx) and step.time is not None:
                    before = told if first else []
                    told = found.setdefault((hop.node, step.kind, step.device, step.time), [])
                    told += [f"{leg.kind}, hop {place} of {len(leg.hops)}: {hop.node}", *before]
                    first = False
                else:
                    told += [
                        " ".join(text.replace("\t", " ").split())
                        for text, _ in _STEPS[step.kind](step, "usual")
                    ]
    return found


def events(seen: Sequence[Sighting]) -> Iterator[Line]:
    """All that was seen: frames by their times, what chains told in its order."""
    yield "", ""
    yield "everything that was seen", "bold"
    frames = sorted((s for s in seen if s.time), key=lambda s: s.time)
    zero = frames[0].time if frames else 0
    for s in frames:
        headers = parse(s.network, link=s.link)
        words = " ".join(p for p in (s.hook, s.stage, moments.words(s)) if p)
        words = words or (_packet(headers.innermost.packet) if headers else _looked_up(s))
        at = f"{(s.time - zero) / 1000:.1f} µs"
        yield f"{s.node:<10} {s.point:<9} {s.device:<10} {words}\t{at}", ""
    for s in seen:
        if s.table:
            verdict = f"{s.verdict} {s.jump}".rstrip()
            devices = "→".join(d for d in (s.device, s.to_device) if d)
            chain = f"{s.family} {s.table} {s.chain}"
            rule = f" rule {s.handle}" if s.handle else ""
            yield f"{s.node:<10} {chain}{rule}: {s.point} {verdict}  {devices}\t{s.id:08x}", "dim"
    for s in seen:
        if s.count:
            yield f"{s.node:<10} {s.name} +{s.count}", "dim"


def _looked_up(seen: Sighting) -> str:
    ends = f"{seen.source} → {seen.address}" if seen.source else seen.address
    return " ".join(part for part in (ends, seen.via, seen.mac, seen.state, seen.name) if part)


def _why(trace: m.Trace) -> Iterator[Line]:
    cause = trace.cause
    if cause is None:
        return
    yield "", ""
    for place, words in enumerate((cause.name, *cause.evidence)):
        yield _row("" if place else "why", f"– {words}" if place else words)[0], ""
    if cause.advice:
        yield _row("fix", cause.advice)


def short(place: str) -> str:
    """``office.yaml:31``: from where one stands, where that is shorter."""
    if not place.startswith("/"):
        return place
    try:
        near = os.path.relpath(place)
    except (OSError, ValueError):
        return place
    return near if len(near) < len(place) and not near.startswith("../../") else place
