"""A capture in words: what is listened at, each packet, and how it went."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from netlab.render.words import count, duration

if TYPE_CHECKING:
    from netlab.trace.capture import Captured
    from netlab.trace.packets import Seen

FEW = 4
"""So many names are told one by one."""

WAYS = {"host": "in", "broadcast": "bcast", "multicast": "mcast", "other": "other", "": "out"}
"""Whom a packet is for, in a column."""
COLUMN = max(map(len, WAYS.values()))

ENDS = {"lab": "the lab has gone", "reader": "nobody reads any more"}
"""Why it ended, where that is news."""

LOSS = "the machine was too slow for them; a filter, --snaplen or a larger --buffer helps"


def begun(lab: str, interfaces: Sequence[str]) -> str:
    if not interfaces:
        return f"capturing in {lab}, where no interface is up yet; Ctrl-C ends it"
    where = ", ".join(interfaces)
    if len(interfaces) > FEW:
        nodes = dict.fromkeys(name.partition(":")[0] for name in interfaces)
        size = f"{count(len(interfaces), 'interface')} of {count(len(nodes), 'node')}"
        where = f"{size} of {lab}"
    return f"capturing on {where}; Ctrl-C ends it"


def line(seen: Seen, width: int) -> str:
    """``12:00:01.123456  gw:wan  out    IP alice.1000 > web.80: …``; ``width`` of the place."""
    whole = int(seen.time)
    clock = time.strftime("%H:%M:%S", time.localtime(whole))
    clock += f".{round((seen.time - whole) * 1e6):06d}"
    place = f"{seen.node}:{seen.interface}"
    return f"{clock}  {place:<{width}}  {WAYS[seen.to]:<{COLUMN}}  {seen.text}"


def ended(done: Captured) -> Iterator[tuple[str, str]]:
    """Lines, each with its style."""
    told = f"{count(done.packets, 'packet')} in {duration(done.seconds)}"
    told += f", {done.dropped} lost" if done.dropped else ", none lost"
    if done.files not in ([], ["-"]):
        told += f": {_files(done)}, {size(done.bytes)}"
    if done.why in ENDS:
        told += f"; {ENDS[done.why]}"
    yield told, "red" if done.dropped else "green"
    if done.dropped:
        losers = sorted((s for s in done.sources if s.dropped), key=lambda s: -s.dropped)
        places = ", ".join(f"{s.name} {s.dropped}" for s in losers[:FEW])
        yield f"  lost at {places}{' …' if len(losers) > FEW else ''}", ""
        yield f"  {LOSS}", ""
    if done.late:
        yield f"  {count(done.late, 'packet')} came too late to stand in order", "yellow"
    for note in done.notes:
        yield f"  {note}", "yellow"


def _files(done: Captured) -> str:
    names = done.files if len(done.files) <= FEW else [done.files[0], "…", done.files[-1]]
    if done.turns == 1:
        return names[0]
    kept = "" if len(done.files) == done.turns else f", the last {len(done.files)} of them kept"
    return f"{done.turns} files{kept}: {' '.join(names)}"


def document(lab: str, done: Captured) -> dict[str, Any]:
    """For programs."""
    return {
        "lab": lab,
        "packets": done.packets,
        "lost": done.dropped,
        "late": done.late,
        "seconds": round(done.seconds, 6),
        "ended_by": done.why,
        "files": done.files,
        "files_written": done.turns,
        "bytes": done.bytes,
        "interfaces": [
            {"node": s.node, "interface": s.device, "received": s.received, "lost": s.dropped}
            for s in done.sources
        ],
        "notes": done.notes,
    }


def size(number: int) -> str:
    """``512 bytes``, ``2.1 KB``."""
    for unit, name in ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "KB")):
        if number >= unit:
            return f"{number / unit:.1f} {name}"
    return count(number, "byte")
