"""A buffer at one moment, and who ran: what is asked for where a trace is to teach.

    head ├── headroom ──┤ data ├── held ──┤ tail ├── tailroom ──┤ end   (struct sk_buff)

Headers are put in front by moving ``data`` towards ``head``, and taken off by moving it away.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

SOFTIRQ = "softirq"
"""The field of that name; see ``bpf_softirq``, which knows where it is from."""

CLONED = 1 if sys.byteorder == "little" else 1 << 7
"""The first of several bits in one byte (linux/skbuff.h, ``CLONED_MASK``)."""
REFERENCES, OF_PAYLOAD = 0xFFFF, 16
"""Bits of ``dataref`` that count buffers; above them, those that leave the headers to others."""
SOFTIRQS = (
    "HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU",
)  # fmt: skip
"""In the kernel's order (linux/interrupt.h)."""
PROCESS = "process"


@dataclass(frozen=True)
class Anatomy:
    """Bytes, where nothing else is said; None for what the kernel does not tell."""

    memory: int = 0
    """Which piece of memory the bytes lie in, counted as they are met; 0 where it is not known."""
    headroom: int | None = None
    held: int | None = None
    """Between ``data`` and ``tail``."""
    tailroom: int | None = None
    paged: int = 0
    """Held in pages besides."""
    is_cloned: bool | None = None
    shares: int = 0
    """How many buffers have their bytes in that memory; 0 where it is not known."""
    of_payload: int = 0
    """How many of these use no more than what is behind the headers, as TCP's own does."""
    segment: int = 0
    """Of each segment that it stands for (``gso_size``); 0 for one that is not cut."""
    segments: int = 0
    context: str = ""
    """What the CPU was at: a softirq, by its name, or a ``process``'s own business; "" where the
    kernel does not tell."""
    program: str = ""
    """That the CPU had last given itself to: a softirq runs on top of whatever there is."""
    pid: int = 0


def of(
    fields: Mapping[str, int | bytes], memory: int, program: str, pid: int
) -> Anatomy:

    def number(name: str) -> int | None:
        found = fields.get(name)
        return found if isinstance(found, int) else None

    tail, flags = number("tail"), number("flags")
    headroom = _between(number("bytes"), number("data"))
    return Anatomy(
        memory,
        headroom,
        _between(headroom, tail),
        _between(tail, number("end")),
        number("paged") or 0,
        None if flags is None else bool(flags & CLONED),
        (number("references") or 0) & REFERENCES,
        (number("references") or 0) >> OF_PAYLOAD,
        number("segment") or 0,
        number("segments") or 0,
        context(number(SOFTIRQ)),
        program,
        pid,
    )


def _between(first: int | None, second: int | None) -> int | None:
    return None if first is None or second is None else second - first


def context(softirq: int | None) -> str:
    """By the number of the softirq that the CPU serves, counted from 1; 0 for none."""
    if softirq is None:
        return ""
    if not softirq:
        return PROCESS
    return SOFTIRQS[softirq - 1] if softirq <= len(SOFTIRQS) else f"softirq {softirq - 1}"
