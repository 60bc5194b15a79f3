"""Tracepoints by files: the kernel's reason for a drop, on machines that allow these and no BPF.

No event tells the headers of a packet, nor its namespace. What is the probe is known by who sends
it: veth pairs, bridges and routers pass a packet on at once, on the CPU and in the name of the
process that sent it. Its buffer is followed from there by its address; devices have names only,
and which node's they are is known from the way that it has come, link by link.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from netlab.trace.backends.base import Backend, CannotWatch, Scene
from netlab.trace.cookie import Way, written
from netlab.trace.model import Probe
from netlab.trace.sighting import Sighting
from netlab.trace.terrain import Terrain
from netlab.trace.tracefs import instance as instances
from netlab.trace.tracefs import symbols
from netlab.trace.tracefs.formats import Value
from netlab.trace.tracefs.instance import Instance

EVENTS = (
    "net/net_dev_start_xmit",
    "net/netif_receive_skb",
    "skb/kfree_skb",
    "skb/consume_skb",
    "icmp/icmp_send",
)
IP = frozenset({0x0800, 0x86DD})
LOST = "tracefs: events came too fast, so that an end may be missing"


@dataclass(frozen=True)
class Event:
    """What is followed of one."""

    time: int
    """Nanoseconds of CLOCK_MONOTONIC."""
    name: str
    values: Mapping[str, Value]

    @property
    def buffer(self) -> int:
        return int(self.values["skbaddr"])

    @property
    def device(self) -> str:
        return str(self.values.get("name", ""))


@dataclass
class _Buffer:
    """Where a packet is."""

    way: Way
    node: str
    device: str


@dataclass
class Walk:
    """Events in order → where packets of the probe ended. Pure."""

    probe: Probe
    terrain: Terrain
    _buffers: dict[int, _Buffer] = field(default_factory=dict)
    _here: str = ""
    """The node that the CPU is busy in."""
    _errs: bool = False
    """Whether the next packet of its own is an ICMP error."""

    def __post_init__(self) -> None:
        self._here = self.probe.sender

    def follow(self, event: Event) -> tuple[_Buffer, Event] | None:
        """A packet that was dropped, and the event that tells so."""
        known = self._buffers.get(event.buffer)
        if event.name == "net_dev_start_xmit":
            self._leaves(event, known)
        elif event.name == "netif_receive_skb" and known is not None:
            self._comes(event, known)
        elif event.name == "icmp_send":
            self._errs = True
        elif event.name in ("kfree_skb", "consume_skb"):
            self._buffers.pop(event.buffer, None)
            if event.name == "kfree_skb" and known is not None:
                return known, event
        return None

    def _leaves(self, event: Event, known: _Buffer | None) -> None:
        if known is not None:
            known.device = event.device
        elif event.values.get("protocol") in IP and self._is_of(self._here, event.device):
            way: Way = "forward"
            if self._here != self.probe.sender or any(
                b.way != "forward" for b in self._buffers.values()
            ):
                way = "error" if self._errs else "reply"
            self._buffers[event.buffer] = _Buffer(way, self._here, event.device)
        self._errs = False

    def _comes(self, event: Event, known: _Buffer) -> None:
        """Over a link to another node; else to another device of the same one, as a bridge."""
        node, device = self.terrain.peer(known.node, known.device)
        if node and device == event.device:
            known.node = node
        elif not self._is_of(known.node, event.device):
            self._buffers.pop(event.buffer)  # an address used anew
            return
        known.device = event.device
        self._here = known.node

    def _is_of(self, node: str, device: str) -> bool:
        spot = self.terrain.spots.get(node)
        return spot is not None and (device == "lo" or spot.device(device) is not None)


@dataclass
class Watching:
    """See ``netlab.trace.backends.base.Watch``."""

    instance: Instance
    walk: Walk
    offset: int
    """Nanoseconds from CLOCK_MONOTONIC to the epoch."""

    def files(self) -> Sequence[int]:
        return self.instance.files

    def read(self) -> list[Sighting]:
        ended = list(self._ended())
        places = {int(event.values["location"]) for _, event in ended}
        names = symbols.names(places) if places else {}
        return [self._sighting(*one, names) for one in ended]

    def _ended(self) -> Iterator[tuple[_Buffer, Event]]:
        for moment, told, _, data in self.instance.read():
            found = self.walk.follow(Event(moment, told.name, told.read(data)))
            if found is not None:
                yield found

    def _sighting(self, buffer: _Buffer, event: Event, names: Mapping[int, str]) -> Sighting:
        return Sighting(
            buffer.node,
            "tracefs",
            "freed",
            device=buffer.device,
            time=event.time + self.offset,
            network=written(self.walk.probe, buffer.way),
            name=str(event.values.get("reason", "")),
            function=names.get(int(event.values["location"]), ""),
        )

    def end(self, seen: Sequence[Sighting]) -> list[Sighting]:
        return self.read()

    def gaps(self) -> list[str]:
        missing = [f"tracefs: there is no event {name}" for name in self.instance.missing]
        return [*missing, *([LOST] if self.instance.lost else [])]

    def close(self) -> None:
        self.instance.close()


def watch(scene: Scene) -> Watching:
    try:
        mine = f"common_pid == {instances.own_number()}"
        opened = Instance(EVENTS, dict.fromkeys(EVENTS, mine))
    except OSError as problem:
        raise CannotWatch(problem.strerror or str(problem)) from problem
    offset = time.time_ns() - time.monotonic_ns()
    return Watching(opened, Walk(scene.probe, scene.terrain), offset)


def lacks() -> Mapping[str, str]:
    """See ``Backend``."""
    hidden = symbols.obstacle()
    return {"the function that lets a packet fall": hidden} if hidden else {}


backend = Backend(
    about="the kernel's reason for a drop, where BPF is not allowed",
    option="CONFIG_FTRACE",
    obstacle=instances.obstacle,
    watch=watch,
    lacks=lacks,
    sees_ways=False,
    instead_of="bpf",
)
