"""What a backend saw of a packet, at one place and as it was there. The raw matter of a trace."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from netlab.trace.anatomy import Anatomy


@dataclass(frozen=True)
class Sighting:
    """One observation. What a backend cannot know stays empty."""

    node: str
    by: str
    """The backend."""
    point: str
    """``rx``, ``tx`` of a device; ``rule``, ``policy``, ``return`` of a chain; ``count``, …; for
    what the kernel itself tells see ``tracepoints``."""
    device: str = ""
    """Where it came, or was on; of a chain, the incoming one."""
    to_device: str = ""
    """Of a chain, the outgoing one."""
    time: int = 0
    """Nanoseconds since the epoch; 0 where only the order is known."""
    to: str = ""
    """Whom the frame was for: ``host``, ``other``, ``broadcast``, ``multicast``."""
    link: bytes = b""
    """The Ethernet header, if there is one."""
    network: bytes = b""
    """From the IP header on; of a chain, no more than 40 bytes."""
    transport: bytes = b""
    """Of a chain, where ``network`` holds only the IP header: 20 bytes at most."""
    family: str = ""
    table: str = ""
    chain: str = ""
    handle: int = 0
    verdict: str = ""
    jump: str = ""
    """The chain that the verdict leads to."""
    id: int = 0
    """One packet in one node has one, but copies and other packets may have the same."""
    mark: int = 0
    ct_id: int = 0
    ct_state: str = ""
    ct_direction: str = ""
    ct_status: int = 0
    name: str = ""
    """Of a counter: ``TcpExt.IPReversePathFilter``; of a packet that was freed, the reason."""
    function: str = ""
    """Where in the kernel it was freed: ``nft_do_chain+0x3e8/0x620``."""
    original: str = ""
    """Of a ``connection``: its first direction, ``10.1.0.2:50106 → 203.0.113.1:8080``."""
    reply: str = ""
    count: int = 0
    """By how much it grew; of a queue, how many are in it; of what is read or lies there, bytes."""
    # what the kernel itself tells of (``bpf``)
    buffer: int = 0
    """Which of the probe's buffers (``struct sk_buff``) it was in, counted as they are met."""
    source_buffer: int = 0
    """That whose bytes it shares or has in it: of a copy, a tunnel, a program that sends it on."""
    known: str = ""
    """By what it is known, if not by its bytes: ``buffer``, ``fragment``, ``program``."""
    cpu: int = 0
    hook: str = ""
    stage: str = ""
    """Of a hook: ``first``, ``tracked`` (by connection tracking), ``last``."""
    address: str = ""
    """That is looked for: a route's destination, a neighbour; of a socket its own, with a port."""
    source: str = ""
    via: str = ""
    mac: str = ""
    state: str = ""
    """Of a neighbour, of a socket."""
    error: int = 0
    """An errno, as the kernel has it: not below 0."""
    pid: int = 0
    program: str = ""
    anatomy: Anatomy | None = None
    """Of the buffer, and who ran; only where that is to be taught."""


def as_json(sighting: Sighting) -> dict[str, Any]:
    """Without what is empty; bytes as hexadecimal digits."""
    found = {name: value for name, value in asdict(sighting).items() if value}
    return {k: v.hex() if isinstance(v, bytes) else v for k, v in found.items()}


def from_json(data: dict[str, Any]) -> Sighting:
    of_bytes = {f.name for f in fields(Sighting) if f.type == "bytes"}
    told: dict[str, Any] = {
        k: bytes.fromhex(v) if k in of_bytes else v for k, v in data.items()
    }
    if "anatomy" in told:
        told["anatomy"] = Anatomy(**told["anatomy"])
    return Sighting(**told)
