"""The frames of a trace as one pcapng file: an interface for each node's device, comments."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from netlab.trace import pcapng
from netlab.trace.record import Record
from netlab.trace.sighting import Sighting

TO = {
    "host": pcapng.UNICAST,
    "other": pcapng.PROMISCUOUS,
    "broadcast": pcapng.BROADCAST,
    "multicast": pcapng.MULTICAST,
}
Place: TypeAlias = tuple[str, str, str]
"""A node, ``rx`` or ``tx``, a device."""
Comments = Mapping[tuple[str, str, str, float], Sequence[str]]
"""By a place, and microseconds since the beginning."""


def file_of(record: Record, comments: Comments) -> bytes:
    """Only frames have bytes and times: what hooks saw stands in their comments."""
    return b"".join(_blocks(record, comments))


def _blocks(record: Record, comments: Comments) -> Iterator[bytes]:
    probe = record.probe
    frames = sorted((s for s in record.sightings if s.by == "taps"), key=lambda s: s.time)
    waiting = _by_place(comments)
    words = f"netlab trace {record.terrain.lab} {probe.sender} {probe.target or probe.destination}"
    yield pcapng.section(f"{words}: {probe.result}", "netlab")
    numbers: dict[tuple[str, str], int] = {}
    for frame in frames:
        where = frame.node, frame.device
        if where not in numbers:
            numbers[where] = len(numbers)
            yield pcapng.interface(_link(frame), f"{frame.node}:{frame.device}")
    yield pcapng.names({a: nodes for a, nodes in record.terrain.holders.items() if nodes})
    for frame in frames:
        data = frame.link + frame.network
        told = waiting.get((frame.node, frame.point, frame.device))
        yield pcapng.packet(
            numbers[frame.node, frame.device],
            frame.time,
            data,
            len(data),
            _flags(frame),
            told.popleft() if told else (),
        )


def _by_place(comments: Comments) -> Mapping[Place, deque[Sequence[str]]]:
    """In their order: who tells what happened to a frame may have another clock than its socket."""
    found: dict[Place, deque[Sequence[str]]] = {}
    for node, point, device, time in sorted(comments, key=lambda mark: mark[3]):
        told = found.setdefault((node, point, device), deque())
        told.append(comments[node, point, device, time])
    return found


def _link(frame: Sighting) -> int:
    return pcapng.ETHERNET if frame.link else pcapng.RAW_IP


def _flags(frame: Sighting) -> int:
    if frame.point == "tx":
        return pcapng.OUTBOUND
    return pcapng.INBOUND | TO.get(frame.to, 0)
