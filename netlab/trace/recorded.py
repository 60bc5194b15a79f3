"""The frames of a trace as one pcapng file: an interface for each node's device, comments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from netlab.trace import pcapng
from netlab.trace.record import Record
from netlab.trace.sighting import Sighting

TO = {
    "host": pcapng.UNICAST,
    "other": pcapng.PROMISCUOUS,
    "broadcast": pcapng.BROADCAST,
    "multicast": pcapng.MULTICAST,
}
Comments = Mapping[tuple[str, str, str, float], Sequence[str]]
"""By node, ``rx`` or ``tx``, device, and microseconds since the first frame."""


def file_of(record: Record, comments: Comments) -> bytes:
    """Only frames have bytes and times: what hooks saw stands in their comments."""
    return b"".join(_blocks(record, comments))


def _blocks(record: Record, comments: Comments) -> Iterator[bytes]:
    probe = record.probe
    frames = sorted((s for s in record.sightings if s.time and s.network), key=lambda s: s.time)
    frames = [s for s in frames if s.point in ("rx", "tx")]
    words = f"netlab trace {record.terrain.lab} {probe.sender} {probe.target or probe.destination}"
    yield pcapng.section(f"{words}: {probe.result}", "netlab")
    numbers: dict[tuple[str, str], int] = {}
    for frame in frames:
        where = frame.node, frame.device
        if where not in numbers:
            numbers[where] = len(numbers)
            yield pcapng.interface(_link(frame), f"{frame.node}:{frame.device}")
    yield pcapng.names({a: nodes for a, nodes in record.terrain.holders.items() if nodes})
    zero = frames[0].time if frames else 0
    for frame in frames:
        data = frame.link + frame.network
        mark = frame.node, frame.point, frame.device, round((frame.time - zero) / 1000, 1)
        yield pcapng.packet(
            numbers[frame.node, frame.device],
            frame.time,
            data,
            len(data),
            _flags(frame),
            comments.get(mark, ()),
        )


def _link(frame: Sighting) -> int:
    return pcapng.ETHERNET if frame.link else pcapng.RAW_IP


def _flags(frame: Sighting) -> int:
    if frame.point == "tx":
        return pcapng.OUTBOUND
    return pcapng.INBOUND | TO.get(frame.to, 0)
