"""BPF programs at the kernel's own tracepoints: where a packet was freed, by what, and why.

Between two hooks nothing else is seen of a packet. The kernel gives a reason for every packet that
it lets fall (include/net/dropreason-core.h, Linux 5.17), and says what it answers with.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from netlab.trace.backends.base import Backend, CannotWatch, Scene
from netlab.trace.bpf import session as sessions
from netlab.trace.bpf.btf import NoSuchType
from netlab.trace.bpf.calls import BpfRefused
from netlab.trace.bpf.events import Event, Field, Head, Layout
from netlab.trace.bpf.session import Session
from netlab.trace.bpf.types import Types
from netlab.trace.bpf_gate import NETWORK, Gates
from netlab.trace.cookie import marks
from netlab.trace.sighting import Sighting

HEADERS = 160
"""Bytes from the IP header on: enough for an ICMP error in a tunnel."""
REASON = "SKB_DROP_REASON_"
ROOM = 1 << 19

PACKET = (
    Field("device", "sk_buff.dev->name"),
    Field("namespace", "sk_buff.dev->nd_net.net->ns.inum"),
    Field("mark", "sk_buff.mark"),
    Field("network", f"@{NETWORK}", HEADERS),
)

EVENTS = {
    "freed": Event(
        "kfree_skb",
        "sk_buff *",
        (
            Field("reason", "enum skb_drop_reason"),
            Field("function", "symbol void *"),
            *PACKET,
        ),
        last=True,
    ),
    "used": Event("consume_skb", "sk_buff *", PACKET, last=True),
    "answered": Event(
        "icmp_send", "sk_buff *", (Field("type", "int"), Field("code", "int#1"), *PACKET)
    ),
    "reset": Event(
        "tcp_send_reset", "sk_buff *", (Field("reason", "enum sk_rst_reason"), *PACKET)
    ),
    "came": Event("netif_receive_skb", "sk_buff *", PACKET),
    "left": Event("net_dev_start_xmit", "sk_buff *", PACKET),
}
"""By what they are called here. The last two are there to know buffers by."""
TOLD = ("freed", "answered", "reset")


@dataclass
class Watching:
    """See ``netlab.trace.backends.base.Watch``."""

    session: Session
    numbers: Mapping[int, str]
    """What each program tells of."""
    nodes: Mapping[int, str]
    """By the inodes of their namespaces."""
    reasons: Mapping[int, str]
    offset: int
    """Nanoseconds from CLOCK_MONOTONIC to the epoch."""

    def files(self) -> Sequence[int]:
        return [self.session.fd]

    def read(self) -> list[Sighting]:
        return list(self._sightings())

    def _sightings(self) -> Iterator[Sighting]:
        for layout, head, fields in self.session.records():
            found = self._sighting(layout, head, fields)
            if found is not None:
                yield found

    def _sighting(
        self, layout: Layout, head: Head, fields: Mapping[str, int | bytes]
    ) -> Sighting | None:
        point = self.numbers[head.number]
        node = self.nodes.get(_number(fields, "namespace"), "")
        if point not in TOLD or not node:
            return None
        return Sighting(
            node,
            "bpf",
            point,
            device=_text(fields, "device"),
            time=head.time + self.offset,
            network=bytes(fields.get("network", b"")),
            mark=_number(fields, "mark"),
            name=self._name(point, fields),
            function=_text(fields, "function"),
        )

    def _name(self, point: str, fields: Mapping[str, int | bytes]) -> str:
        if point == "answered":
            return f"{_number(fields, 'type')}/{_number(fields, 'code')}"
        if point == "freed":
            number = _number(fields, "reason")
            return self.reasons.get(number, str(number)).removeprefix(REASON)
        return ""

    def end(self, seen: Sequence[Sighting]) -> list[Sighting]:
        return self.read()

    def gaps(self) -> list[str]:
        lost = self.session.lost()
        missing = [f"bpf: {words}" for words in self.session.missing]
        return [*missing, *([f"{lost} events of the kernel came too fast"] if lost else [])]

    def close(self) -> None:
        self.session.close()


def _number(fields: Mapping[str, int | bytes], name: str) -> int:
    found = fields.get(name, 0)
    return found if isinstance(found, int) else 0


def _text(fields: Mapping[str, int | bytes], name: str) -> str:
    found = fields.get(name, b"")
    return found.split(b"\0")[0].decode(errors="replace") if isinstance(found, bytes) else ""


def watch(scene: Scene) -> Watching:
    types = Types(cache_directory())
    try:
        session = Session(types, ROOM)
    except BpfRefused as refusal:
        raise CannotWatch(str(refusal.strerror)) from refusal
    try:
        found = marks(scene.probe, tunnels=scene.terrain.has_tunnels)
        gates = Gates(session, types, found, os.getpid())
        numbers = {}
        for point, event in EVENTS.items():
            number = session.load(event, gates.of(event))
            if number is not None:
                numbers[number] = point
        for number in numbers:
            session.attach(number)
        inodes = scene.visits.each(
            {ns: lambda: os.stat("/proc/thread-self/ns/net").st_ino for ns in scene.nodes.values()}
        )
        nodes = {inodes[ns]: node for node, ns in scene.nodes.items()}
        reasons = types.names("skb_drop_reason")
    except (BpfRefused, NoSuchType) as refusal:
        session.close()
        raise CannotWatch(getattr(refusal, "strerror", None) or str(refusal)) from refusal
    except BaseException:
        session.close()
        raise
    types.keep()
    return Watching(session, numbers, nodes, reasons, time.time_ns() - time.monotonic_ns())


def cache_directory() -> str:
    """Where what is known of the kernel's types is kept (XDG Base Directory Specification)."""
    home = os.environ.get("XDG_CACHE_HOME") or f"{os.environ.get('HOME', '/root')}/.cache"
    return f"{home}/netlab"


backend = Backend(
    about="the kernel's reason for every packet that it lets fall",
    option="CONFIG_DEBUG_INFO_BTF",
    obstacle=sessions.obstacle,
    watch=watch,
)
