"""Records of the real kernel, as ``record`` wrote them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from netlab.trace.conclude import conclude
from netlab.trace.model import Hop, Leg, Trace
from netlab.trace.record import Record, from_json

RECORDS = Path(__file__).parent / "records"
NAMES = sorted(path.stem for path in RECORDS.glob("*.json"))


@cache
def record(name: str) -> Record:
    return from_json(json.loads((RECORDS / f"{name}.json").read_text()))


@cache
def trace(name: str) -> Trace:
    return conclude(record(name))


def leg(found: Trace, kind: str) -> Leg:
    legs = [leg for leg in found.legs if leg.kind == kind]
    assert len(legs) == 1, (kind, [leg.kind for leg in found.legs])
    return legs[0]


def hop(found: Leg, node: str) -> Hop:
    hops = [hop for hop in found.hops if hop.node == node]
    assert len(hops) == 1, (node, [hop.node for hop in found.hops])
    return hops[0]


def way(found: Leg) -> list[str]:
    """``gw: lan → wan``, one a hop."""
    return [f"{hop.node}: {hop.arrived or '·'} → {hop.left or '·'}" for hop in found.hops]
