"""What was measured at a step, in words: the buffer, who ran, the sockets. See ``measured``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from netlab.kernel.opened import Socket, Tcp
from netlab.trace import model as m
from netlab.trace.anatomy import PROCESS, Anatomy
from netlab.trace.measured import Measured, Place, is_sent, measure
from netlab.trace.record import Record
from netlab.trace.sighting import Sighting

IN_SOFTIRQ = frozenset({"rx", "gro", "gro-frags"})
"""Tracepoints that are met in a softirq, or with softirqs kept away."""
HEADERS = {14: "the Ethernet header was", 18: "the Ethernet header with a VLAN's tag was"}


@dataclass(frozen=True)
class Taught:
    """Beside a trace."""

    measured: Mapping[Place, str]
    """"" or nothing for steps at which nothing was."""
    lacking: tuple[str, ...]
    """What is not measured, in sentences."""


def of(record: Record, trace: m.Trace) -> Taught:
    found = measure(_lettered(record), trace)
    said = {}
    for (leg, hop, step), here in found.items():
        text = words(trace.legs[leg].hops[hop].steps[step], here)
        if text:
            said[leg, hop, step] = text
    return Taught(said, tuple(_lacking(record)))


def _lettered(record: Record) -> Record:
    """Pieces of memory counted anew, in the order in which this packet lay in them."""
    numbers: dict[int, int] = {}
    seen = []
    for one in sorted(record.sightings, key=lambda s: s.time):
        a = one.anatomy
        if a is not None and a.memory:
            number = numbers.setdefault(a.memory, len(numbers) + 1)
            one = replace(one, anatomy=replace(a, memory=number))
        seen.append(one)
    return replace(record, sightings=tuple(seen))


def _lacking(record: Record) -> Iterator[str]:
    told = dict(record.backends)
    if told.get("bpf", "it was not chosen"):
        why = told.get("bpf", "it was not chosen")
        yield f"how buffers lie in memory, on which CPU and in which context: bpf: {why}"
    elif not any(s.anatomy and s.anatomy.context for s in record.sightings):
        yield "in which context: this kernel does not tell when softirqs begin and end"
    if not any(f.sockets for f in record.facts.values()) and record.probe.protocol != "icmp":
        yield "what the sockets hold: none is left, or the kernel does not tell (CONFIG_INET_DIAG)"


def words(step: m.Step, here: Measured) -> str:
    tell = _WORDS.get(step.kind)
    return " ".join(sentence for sentence in tell(step, here) if sentence) if tell else ""


# the buffer


def _lies(seen: Sighting) -> str:
    """``memory A, headroom 118, 74 bytes, tailroom 64``"""
    a = seen.anatomy
    if a is None or a.headroom is None:
        return ""
    parts = [f"memory {letters(a.memory)}", f"headroom {a.headroom}", f"{a.held} bytes"]
    parts.append(f"tailroom {a.tailroom}")
    if a.paged:
        parts.append(f"{a.paged} more in pages")
    return ", ".join(parts) + (f"; {a.shares} buffers share it (dataref)" if a.shares > 1 else "")


def _now(seen: Sighting) -> str:
    lies = _lies(seen)
    return f"Now: {lies}." if lies else ""


def letters(number: int) -> str:
    """A, B, … Z, AA"""
    text = ""
    while number > 0:
        number, digit = divmod(number - 1, 26)
        text = chr(ord("A") + digit) + text
    return text


def _moved(here: Measured, why: str) -> str:
    """From the step before to this one; ``why``: what would have changed the bytes for others."""
    before, now = _two(here)
    if before is None or now is None or before.headroom is None or now.headroom is None:
        return ""
    if before.memory != now.memory:
        return _copied(before, now, why, here)
    by = now.headroom - before.headroom
    name = HEADERS.get(abs(by), f"{abs(by)} bytes of headers were")
    if by < 0:
        return f"Its data pointer went {-by} back: {name} put in front (skb_push)."
    return f"Its data pointer went {by} on: {name} taken off (skb_pull)." if by else ""


def _copied(before: Anatomy, now: Anatomy, why: str, here: Measured) -> str:
    old, new = letters(before.memory), letters(now.memory)
    if here.link is not None and here.link.xdp == "native":
        return f"From memory {old} to {new}: the device's poll built a new buffer after XDP."
    if before.shares > 1 or before.is_cloned:
        many = f"{before.shares} buffers shared memory {old}" if before.shares > 1 else (
            f"memory {old} was a clone's"
        )
        what = f"the first {now.held} bytes" if now.paged else "the bytes"
        return f"Copy on write: {many}, so {why} copied {what} to {new} first."
    return f"The bytes were copied from memory {old} to {new}."


def _two(here: Measured) -> tuple[Anatomy | None, Anatomy | None]:
    return (
        here.before.anatomy if here.before else None, here.now.anatomy if here.now else None,
    )  # fmt: skip


# who ran


def _who(now: Sighting) -> str:
    a, cpu = now.anatomy, f"CPU {now.cpu}"
    if a is None:
        return cpu
    program = f"{a.program} (pid {a.pid})"
    if a.context == PROCESS:
        return f"{cpu}, in a system call of {program}"
    if a.context:
        softirq = f"{cpu}, softirq {a.context}"
        if not a.pid:
            return f"{softirq}, while nothing else ran"
        if a.program.startswith("ksoftirqd/"):
            return f"{softirq} in {a.program}, which runs what is too much at once"
        return f"{softirq} on top of {program}"
    if now.point in IN_SOFTIRQ:
        return f"{cpu}, in a softirq by its tracepoint, on top of {program}"
    return f"{cpu}, while {program} ran"


def _who_else(here: Measured) -> str:
    """Where it is another context than that of the step before."""
    if here.now is None or here.now.anatomy is None:
        return ""
    if here.before is not None and _context(here.before) == _context(here.now):
        return ""
    return f"{_who(here.now)}."


def _short(seen: Sighting) -> str:
    found = seen.anatomy.context if seen.anatomy else ""
    return f", {'in a system call' if found == PROCESS else f'softirq {found}'}" if found else ""


def _context(seen: Sighting) -> tuple[object, ...]:
    a = seen.anatomy
    return (seen.cpu, a.context, a.pid) if a else (seen.cpu,)


# sentences for each sort of step


def _socket(step: m.Socket, here: Measured) -> Iterator[str]:
    if here.now is not None and is_sent(step):
        yield f"{_who(here.now)}."
        lies = _lies(here.now)
        if lies:
            yield f"The bytes lie in {lies}."
        a = here.now.anatomy
        if a and a.shares > 1 and step.words.startswith("connect"):
            yield "One is TCP's own, kept to be sent again."
    elif here.now is not None:
        yield f"{_who(here.now)}."
    if here.listener is not None:
        yield from _listener(here.listener)
    if here.socket is not None and here.socket.tcp is not None:
        yield _tcp(here.socket, here.socket.tcp)
    yield _stays(here.stays)


def _listener(one: Socket) -> Iterator[str]:
    if one.state == "LISTEN":
        yield (
            f"Afterwards: accept queue {one.receive_queue} of {one.send_queue},"
            f" SYN queue {one.half_open}."
        )
    elif one.memory is not None:
        yield (
            f"Afterwards: {one.memory.receive} of {one.memory.receive_limit} bytes in its receive"
            f" buffer, {one.memory.drops} dropped so far."
        )


def _tcp(one: Socket, tcp: Tcp) -> str:
    parts = [one.state, tcp.congestion]
    parts += [f"cwnd {tcp.window}"] if tcp.window is not None else []
    parts += [f"RTT {tcp.rtt:g} ms"] if tcp.rtt else []
    parts += [f"{tcp.retransmitted} sent again"] if tcp.retransmitted is not None else []
    parts += [f"{tcp.out_of_order} came out of order so far"] if tcp.out_of_order else []
    waits = one.waits_out_of_order
    if waits is not None:
        parts.append(f"out-of-order queue {f'{waits} bytes' if waits else 'empty'}")
    return f"Its socket: {', '.join(p for p in parts if p)}."


def _stays(stays: Sequence[tuple[int, tuple[str, ...]]]) -> str:
    if not stays:
        return ""
    parts = [f"{letters(memory)} in {', '.join(nodes)}" for memory, nodes in stays]
    most = max(len(nodes) for _, nodes in stays)
    one = f"one piece of memory in {most} namespaces" if most > 1 else "the way in memory"
    return f"The whole way, {one}: {'; '.join(parts)}."


def _rx(step: m.Rx, here: Measured) -> Iterator[str]:
    if here.now is None:
        yield _xdp(here)
        return
    yield f"{_who(here.now)}{_arrived(here)}."
    moved = _moved(here, "who took it in")
    before, now = _two(here)
    came = here.before.node if here.before else ""
    if before and now and before.memory == now.memory and came != here.now.node:
        yield f"The same memory as on {came}: nothing was copied."
    yield moved
    yield _now(here.now)
    yield _xdp(here)


def _arrived(here: Measured) -> str:
    if here.by_gro:
        return "; the NAPI poll of its device gave it to GRO first"
    if here.waited is None:
        return ""
    waited = f"; {here.waited:.1f} µs in that CPU's backlog"
    return f"{waited}, for the device has no NAPI poll of its own, nor GRO" if here.is_first else (
        waited
    )


def _xdp(here: Measured) -> str:
    if here.link is None:
        return ""
    name, mode = here.link.name, here.link.xdp
    if mode == "native":
        return f"{name} has an XDP program: it saw the frame before there was this sk_buff."
    if mode:
        return f"{name} has an XDP program ({mode})."
    if here.is_first:
        return f"No XDP program is on {name}: it would have run before there is an sk_buff."
    return ""


def _tx(step: m.Tx, here: Measured) -> Iterator[str]:
    if here.now is None:
        return
    yield _who_else(here)
    yield _moved(here, "who sends it on")
    yield _now(here.now)
    a = here.now.anatomy
    if a and a.segment:
        yield f"It stands for {a.segments} segments of {a.segment} bytes (gso_size)" + (
            ": one large buffer for every device, cut only where one cannot take it."
            if here.is_first else ", in one buffer still."
        )  # fmt: skip
    elif a and here.is_first:
        yield "gso_size 0: it is one segment, nothing for GSO to cut."


def _hook(step: m.Hook, here: Measured) -> Iterator[str]:
    lowered = "the lowering of its TTL" if step.hook == "forward" else "who had to write"
    before, now = _two(here)
    yield _who_else(here)
    if before and now and before.memory != now.memory:
        yield _moved(here, lowered)
    if step.took is not None:
        yield f"{step.took:.1f} µs were spent in it."


def _nat(step: m.Nat, here: Measured) -> Iterator[str]:
    before, now = _two(here)
    if before and now and before.memory != now.memory:
        yield _moved(here, "NAT")
    elif now is not None and now.memory:
        alone = "nobody else's" if now.shares == 1 else f"shared by {now.shares}"
        if now.of_payload:
            alone += f", but {now.of_payload} leaves the headers to others (dataref's upper half)"
        yield f"Memory {letters(now.memory)} is {alone}: the headers were changed where they lie."


def _route(step: m.Route, here: Measured) -> Iterator[str]:
    if here.now is not None:
        yield _who_else(here) or f"Looked up on CPU {here.now.cpu}{_short(here.now)}."


def _switched(step: m.Switched, here: Measured) -> Iterator[str]:
    a = here.now.anatomy if here.now else None
    if a is None or not a.memory:
        return
    if len(step.ports) > 1:
        yield (
            f"{here.copies} buffers, one memory {letters(a.memory)}: {a.shares} shared it when the"
            " first left (dataref)."
        )
    else:
        yield f"The bytes stayed in memory {letters(a.memory)}: a bridge only reads them."


def _tunnelled(step: m.Tunnelled, here: Measured) -> Iterator[str]:
    if here.now is not None:
        yield _moved(here, "who wraps it")
        yield _now(here.now)


def _dropped(step: m.Dropped, here: Measured) -> Iterator[str]:
    if here.now is not None:
        yield f"{_who(here.now)}."
        lies = _lies(here.now)
        if lies:
            yield f"It ended in {lies}."
    yield _stays(here.stays)


_WORDS: Mapping[str, Callable[[Any, Measured], Iterator[str]]] = {
    "socket": _socket, "rx": _rx, "tx": _tx, "hook": _hook, "nat": _nat, "route": _route,
    "switched": _switched, "tunnelled": _tunnelled, "dropped": _dropped,
}  # fmt: skip
"""By kind of step; of the others nothing is measured that they do not tell themselves."""
