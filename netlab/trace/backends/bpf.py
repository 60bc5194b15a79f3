"""BPF programs at the kernel's own tracepoints and at netfilter's hooks: what it does, as it does.

Nothing else is seen of a packet between two devices. The kernel gives a reason for every packet
that it lets fall (include/net/dropreason-core.h, Linux 5.17), says how it decides and who reads.
Three programs stand at each hook of each node: where a packet enters, behind connection tracking
where there is any, and where it leaves (bpf_nf_link_attach, Linux 6.4). They are loaded once.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

from netlab.trace.backends.base import Backend, CannotWatch, Scene
from netlab.trace.bpf.btf import NoSuchType
from netlab.trace.bpf.calls import BpfRefused
from netlab.trace.bpf.events import PROGRAM, SYMBOL, Field, Gate
from netlab.trace.bpf.session import Session
from netlab.trace.bpf.types import Types
from netlab.trace.bpf_choice import Chosen, Following
from netlab.trace.bpf_choice import points as chosen_points
from netlab.trace.bpf_gate import OUTPUT, Gates, Ports
from netlab.trace.bpf_softirq import FIELD, Softirqs
from netlab.trace.bpf_told import HOOKS, Telling, ordered
from netlab.trace.cookie import Mark, marks
from netlab.trace.headers import UDP
from netlab.trace.model import Probe
from netlab.trace.sighting import Sighting
from netlab.trace.terrain import Terrain
from netlab.trace.tracepoints import POINTS, Point, in_depth

ROOM = 1 << 20
"""Bytes; some 2,500 events."""
ROOM_OF_MANY = 4 << 20
"""Where it is not one packet that is followed."""
FAMILIES = {4: 2, 6: 10}
"""``NFPROTO_…`` by IP's versions."""
STAGES = {"first": -499, "tracked": -199, "last": 350}
"""Priorities: before all that is usual, behind connection tracking, and behind NAT."""
TRACKING = frozenset({"prerouting", "output"})
"""Hooks in which a packet's connection is looked up."""
NEIGHBOURS = 16
"""Priorities that are tried where somebody else's program has one already."""
OTHER_FILES = 64
FRAMES = frozenset({"rx", "tx"})
"""Without these nothing can be followed."""
FORBIDDEN = frozenset({errno.EPERM, errno.EACCES})


@dataclass
class Watching:
    """See ``netlab.trace.backends.base.Watch``."""

    session: Session
    telling: Telling
    points: Mapping[int, tuple[str, str]]
    """What each program tells of, and of a hook, at which stage."""
    hooked: frozenset[str] = frozenset()
    """See ``netlab.trace.backends.base.TellsHooks``."""
    _gaps: list[str] = field(default_factory=list)

    def files(self) -> Sequence[int]:
        return [self.session.fd]

    def read(self) -> list[Sighting]:
        return ordered(self._sightings())

    def _sightings(self) -> Iterator[Sighting]:
        for _, head, fields in self.session.records():
            point, stage = self.points[head.number]
            seen = self.telling.sighting(point, head, fields)
            if seen is not None:
                yield replace(seen, stage=stage) if stage else seen

    def end(self, seen: Sequence[Sighting]) -> list[Sighting]:
        return self.read()

    def gaps(self) -> list[str]:
        lost = self.session.lost()
        missing = [f"bpf: {words}" for words in self._gaps]
        return [*missing, *([f"{lost} events of the kernel came too fast"] if lost else [])]

    def close(self) -> None:
        self.session.close()


def watch(scene: Scene) -> Watching:
    types = Types(cache_directory())
    try:
        session = Session(types, ROOM_OF_MANY if scene.choice else ROOM)
    except BpfRefused as refusal:
        raise CannotWatch(_why(refusal)) from refusal
    try:
        found = _watching(scene, session, types)
    except (BpfRefused, NoSuchType) as refusal:
        session.close()
        raise CannotWatch(_why(refusal)) from refusal
    except BaseException:
        session.close()
        raise
    types.keep()
    return found


def _watching(scene: Scene, session: Session, types: Types) -> Watching:
    probe, terrain = scene.probe, scene.terrain
    inodes = _inodes(scene)
    if scene.choice is not None:
        told: type[Telling] = Following
        gates: Gates = Chosen(session, types, scene.choice.test, inodes)
        wanted, families = chosen_points(), list(FAMILIES.values())
    else:
        found = marks(probe, tunnels=terrain.has_tunnels)
        gates = Gates(session, types, found, os.getpid(), Ports(probe.from_port, probe.port))
        told, wanted = Telling, points_for(probe, terrain)
        families = _families(probe, terrain)
    points: dict[int, tuple[str, str]] = {}
    hooks: dict[str, int] = {}
    lacks = _lacks_apart(types)
    depth = _Depth(session) if scene.in_depth else None
    if depth is not None:
        wanted = {name: depth.point(point) for name, point in wanted.items()}
    for name, point in wanted.items():
        for stage in STAGES if name == "hook" else ("",):
            number = _load(session, gates, name, point, lacks, depth)
            if number is None:
                break
            points[number] = name, stage
            if stage:
                hooks[stage] = number
    telling = told(
        inodes, probe.sender, os.getpid(), terrain,
        _names(types, "skb_drop_reason"), _names(types, "sk_rst_reason"), _offset(),
    )  # fmt: skip
    hooked, gaps = _attach_hooks(scene, session, hooks, families)
    if lacks:
        gaps.insert(0, f"this kernel does not tell {', '.join(lacks)}")
    return Watching(session, telling, points, hooked, gaps)


def _load(
    session: Session,
    gates: Gates,
    name: str,
    point: Point,
    lacks: dict[str, str],
    depth: _Depth | None = None,
) -> int | None:
    """Its number, attached where it has a tracepoint; what this kernel lacks is noted.

    Raises BpfRefused where nothing of it is allowed, and that or NoSuchType where frames cannot be
    seen.
    """
    problem: BpfRefused | NoSuchType
    for fields in _ever_fewer(point.event.fields):
        tried = point.event._replace(fields=fields)
        try:
            gate = depth.gate(gates.of(point)) if depth else gates.of(point)
            number = session.load(tried, gate, answer=int(name == "hook"))
            if number is None:
                problem = NoSuchType(session.missing[-1])
                break
            if name != "hook":
                session.attach(number)
            left = [f.name for f in point.event.fields if f not in fields]
            if left:
                session.missing.append(f"{tried.name or name} cannot tell: {', '.join(left)}")
            return number
        except (BpfRefused, NoSuchType) as refusal:
            problem = refusal
            if getattr(refusal, "errno", 0) in FORBIDDEN:
                break
    if name in FRAMES or getattr(problem, "errno", 0) in FORBIDDEN:
        raise problem
    lacks[point.about] = getattr(problem, "strerror", None) or str(problem)
    return None


def _ever_fewer(fields: tuple[Field, ...]) -> Iterator[tuple[Field, ...]]:
    """Without what takes helpers that older kernels lack: symbols before Linux 5.13, and at hooks
    what is called for a tracepoint's sake."""
    yield fields
    for kind in ((SYMBOL,), (SYMBOL, PROGRAM)):
        fewer = tuple(field for field in fields if not field.source.startswith(kind))
        if fewer != fields:
            yield fewer


class _Depth:
    """What is asked for besides, where a trace is to teach."""

    def __init__(self, session: Session) -> None:
        """Raises BpfRefused."""
        self._softirqs = Softirqs(session)

    def point(self, point: Point) -> Point:
        return in_depth(point, *((FIELD,) if self._softirqs.is_noted else ()))

    def gate(self, gate: Gate) -> Gate:
        return self._softirqs.told(gate) if self._softirqs.is_noted else gate


def points_for(probe: Probe, terrain: Terrain) -> dict[str, Point]:
    """What can be of use: a program that nobody needs is in the way of every packet."""
    relays = any(d.kind in ("tun", "tap") for s in terrain.spots.values() for d in s.devices)
    other = {4: ("route6",), 6: ("route",)}[probe.version] if not terrain.has_tunnels else ()
    unless = {*other, *(() if relays else ("queue",))}
    found = {name: point for name, point in POINTS.items() if name not in unless}
    return found | {"hook": POINTS["hook"]._replace(begins=relays)}


def _families(probe: Probe, terrain: Terrain) -> list[int]:
    """A tunnel may carry the one in the other."""
    versions = (4, 6) if terrain.has_tunnels else (probe.version,)
    return [FAMILIES[version] for version in versions]


def _names(types: Types, enum: str) -> Mapping[int, str]:
    """None where the kernel does not give any."""
    try:
        return types.names(enum)
    except NoSuchType:
        return {}


def _inodes(scene: Scene) -> Mapping[int, str]:
    asked = {
        ns: lambda: os.stat("/proc/thread-self/ns/net").st_ino for ns in scene.nodes.values()
    }
    found = scene.visits.each(asked)
    return {found[ns]: node for node, ns in scene.nodes.items()}


def _offset() -> int:
    """Nanoseconds from CLOCK_MONOTONIC to the epoch: of three tries, the one without a pause."""
    tries = []
    for _ in range(3):
        before, now, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        tries.append((after - before, now - (before + after) // 2))
    return min(tries)[1]


# hooks


def _attach_hooks(
    scene: Scene, session: Session, hooks: Mapping[str, int], families: Sequence[int]
) -> tuple[frozenset[str], list[str]]:
    """The nodes where they stand now, and what could not be, in words."""
    if not hooks:
        return frozenset(), []
    places = [
        (hooks[stage], family, number, priority)
        for family in families
        for number, hook in enumerate(HOOKS)
        for stage, priority in STAGES.items()
        if stage in hooks and (stage != "tracked" or hook in TRACKING)
    ]
    nodes = _within_limits(scene.nodes, len(places))
    acts = {ns: partial(_attach_in, session, places) for ns in nodes.values()}
    refused = {ns: why for ns, why in scene.visits.each(acts).items() if why}
    gaps = [
        f"no programs at the hooks of {len(refused)} of {len(acts)} nodes: {why}"
        for why in list(refused.values())[:1]
    ]
    left = len(scene.nodes) - len(nodes)
    if left:
        gaps.append(f"the hooks of {left} nodes are not timed: too many open files (ulimit -n)")
    return frozenset(node for node, ns in nodes.items() if ns not in refused), gaps


def _attach_in(session: Session, places: Sequence[tuple[int, int, int, int]]) -> str:
    """In the namespace that the thread stands in; why not, or ""."""
    try:
        for number, family, hook, priority in places:
            _attach(session, number, family, hook, priority)
    except BpfRefused as refusal:
        return str(refusal.strerror)
    return ""


def _attach(session: Session, number: int, family: int, hook: int, priority: int) -> None:
    """Two programs cannot have one priority: of another trace, the next one is taken."""
    for further in range(NEIGHBOURS):
        try:
            session.attach_hook(number, family, hook, priority + further)
            return
        except BpfRefused as refusal:
            if refusal.errno != errno.EBUSY or further == NEIGHBOURS - 1:
                raise


def _within_limits(nodes: Mapping[str, str], each: int) -> Mapping[str, str]:
    """As many as files can be open for: each program at a hook is one."""
    from netlab.kernel.limits import raise_limit

    if each * len(nodes) > _room(nodes):
        raise_limit()
    most = max(0, _room(nodes) // max(1, each))
    return dict(list(nodes.items())[:most])


def _room(nodes: Mapping[str, str]) -> int:
    """Files that may be opened yet; others who watch need two of each node."""
    import resource

    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most - len(os.listdir("/proc/self/fd")) - 2 * len(nodes) - OTHER_FILES


def cache_directory() -> str:
    """Where what is known of the kernel's types is kept (XDG Base Directory Specification)."""
    home = os.environ.get("XDG_CACHE_HOME") or f"{os.environ.get('HOME', '/root')}/.cache"
    return f"{home}/netlab"


def _why(problem: BpfRefused | NoSuchType) -> str:
    if isinstance(problem, NoSuchType):
        return str(problem)
    said = str(problem.strerror)
    if problem.errno in FORBIDDEN:
        return f"{said}: BPF is for root, or for CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN together"
    if problem.errno == errno.ENOSYS:
        return f"{said} (CONFIG_BPF_SYSCALL)"
    return f"{said} (ring buffers came with Linux 5.8)" if "map" in said else said


def obstacle() -> str:
    try:
        with closing(_on_trial()) as (session, gates, _):
            _load(session, gates, "rx", POINTS["rx"], {})
    except (BpfRefused, NoSuchType) as problem:
        return _why(problem)
    return ""


def lacks() -> Mapping[str, str]:
    """Each program is loaded, and nothing is watched; see ``Backend``."""
    found: dict[str, str] = {}
    with suppress(BpfRefused, NoSuchType), closing(_on_trial()) as (session, gates, types):
        found |= _lacks_apart(types) | _lacks_in_depth(session, gates)
        for name, point in POINTS.items():
            before = len(session.missing)
            number = _load(session, gates, name, point, found)
            if number is not None and len(session.missing) > before:
                found[f"all of {point.about}"] = ", ".join(session.missing[before:])
            if name == "hook" and number is not None:
                try:
                    _attach(session, number, FAMILIES[4], OUTPUT, STAGES["first"])
                except BpfRefused as refusal:
                    found[point.about] = str(refusal.strerror)
    return found


def _lacks_in_depth(session: Session, gates: Gates) -> dict[str, str]:
    """Of what only a trace that teaches asks for; a frame that comes in has all of it."""
    found: dict[str, str] = {}
    depth = _Depth(session)
    if session.missing:
        found["which softirq runs, for --teach"] = ", ".join(session.missing)
    before = len(session.missing)
    usual = POINTS["rx"]
    bare = usual._replace(event=usual.event._replace(fields=()))
    _load(session, gates, "rx", depth.point(bare), {}, depth)
    if len(session.missing) > before:
        found["how buffers lie in memory, for --teach"] = ", ".join(session.missing[before:])
    return found


def _lacks_apart(types: Types) -> dict[str, str]:
    """What no program asks for by itself."""
    asked: Mapping[str, Callable[[], object]] = {
        "what reasons for a drop are called": lambda: types.names("skb_drop_reason"),
        "what connection tracking takes it for": lambda: types.way("sk_buff._nfct"),
    }
    found = {}
    for what, ask in asked.items():
        try:
            ask()
        except NoSuchType as missing:
            found[what] = str(missing)
    return found


class _Trial(NamedTuple):
    session: Session
    gates: Gates
    types: Types

    def close(self) -> None:
        self.session.close()


def _on_trial() -> _Trial:
    """Of no packet. Raises BpfRefused, NoSuchType."""
    types = Types(cache_directory())
    session = Session(types)
    try:
        gates = Gates(session, types, [Mark(UDP, 0, 8, 0)], 0, Ports())
    except BaseException:
        session.close()
        raise
    types.keep()
    return _Trial(session, gates, types)


backend = Backend(
    about="what the kernel does with it between two devices, and why it lets it fall",
    option="CONFIG_DEBUG_INFO_BTF",
    privilege="CAP_BPF",
    obstacle=obstacle,
    lacks=lacks,
    watch=watch,
)
