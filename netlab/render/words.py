"""Small sentences that several reports share."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from netlab.resources.base import Stage

if TYPE_CHECKING:
    from netlab.plan.diff import Step


def count(number: int, noun: str) -> str:
    """``1 node``, ``2 nodes``, ``2 copies``."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("py") else f"{number} {noun}s"


def listed(names: Iterable[str]) -> str:
    """``a, b and c``."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def age(since: float) -> str:
    """How long ago, in the largest unit that fits."""
    passed = max(0.0, time.time() - since)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if passed >= size:
            return f"{passed / size:.0f} {unit}"
    return f"{passed:.0f} s"


def node_of(namespace: str) -> str:
    return namespace.partition(".")[2]


def first_line(text: str) -> str:
    """Of a script, which may be long: ``set -e …``."""
    first, _, rest = text.strip().partition("\n")
    return f"{first.rstrip()} …" if rest else first


def step_words(step: Step) -> str:
    """``~ gw: link gw:wan – web:eth0  mtu 1500 → 1400``."""
    subject = step.subject
    owner = ""
    if subject.ns and subject.stage not in (Stage.NAMESPACE, Stage.LINK):
        owner = f"{node_of(subject.ns)}: "
    changes = ""
    if step.before is not None and step.after is not None:
        changes = f"  {step.after.changes(step.before)}"
    return f"{step.sign} {owner}{first_line(subject.words)}{changes}".rstrip()


def because(step: Step, felt: Iterable[str]) -> str:
    nodes = ", ".join(map(node_of, felt))
    parts = [f"since {step.why}" if step.why else "", f"felt by {nodes}" if nodes else ""]
    return "; ".join(p for p in parts if p)
