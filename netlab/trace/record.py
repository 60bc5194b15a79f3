"""All that a trace is concluded from: what was seen, and what the nodes held. JSON both ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netlab.trace import model, sighting
from netlab.trace.facts import Facts
from netlab.trace.model import Probe
from netlab.trace.sighting import Sighting
from netlab.trace.terrain import Terrain


@dataclass(frozen=True)
class Record:
    terrain: Terrain
    probe: Probe
    sightings: tuple[Sighting, ...]
    facts: Mapping[str, Facts]
    """By node, of those that were asked."""
    backends: tuple[tuple[str, str], ...] = ()
    gaps: tuple[str, ...] = ()
    milliseconds: float = 0.0

    def watched(self, backend: str) -> bool:
        return (backend, "") in self.backends

    @property
    def sees_hooks(self) -> bool:
        """Whether somebody stood at the hooks: nftables' trace, or programs of ``bpf``."""
        return self.watched("nft-trace") or any(s.hook for s in self.sightings)


def as_json(record: Record) -> dict[str, Any]:
    data: dict[str, Any] = model.as_json(record)
    return data | {"sightings": [sighting.as_json(s) for s in record.sightings]}


def from_json(data: dict[str, Any]) -> Record:
    from pydantic import TypeAdapter

    seen = [sighting.from_json(s) for s in data["sightings"]]
    found = TypeAdapter(Record).validate_python(data | {"sightings": []})
    return Record(**vars(found) | {"sightings": tuple(seen)})
