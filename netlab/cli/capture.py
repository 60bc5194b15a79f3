"""`netlab capture`: from words to interfaces, a filter and a place for the packets."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import TYPE_CHECKING

from netlab.cli.main import installed_version
from netlab.cli.trace import lab_of
from netlab.cli.which import renderer, state_directory
from netlab.errors import LabNotFound, MachineLacks, UsageError
from netlab.kernel.devices import Devices
from netlab.kernel.limits import raise_limit
from netlab.kernel.ring import Frame, Instruction
from netlab.kernel.supervisor.logs import Watch
from netlab.kernel.visits import visiting
from netlab.lab.interrupt import Interrupt, watched
from netlab.lab.state import JOURNAL
from netlab.trace import filters
from netlab.trace.capture import Captured, Limits, Sink, capture
from netlab.trace.filters.tree import And, Bound, Expression
from netlab.trace.packets import Teller
from netlab.trace.recording import Head, Output, Pipe, PlainFile, Recording, Rotation
from netlab.trace.rings import Rings, Source, Where

if TYPE_CHECKING:
    from netlab.render.base import Renderer
    from netlab.trace.terrain import Terrain

STDOUT = 1
BROKEN_PIPE = 141
"""As a shell tells of a program that SIGPIPE has ended."""
AGAIN = 0.2
"""Seconds between two looks at a lab that is changing."""
NEVER = 3600.0


@dataclass(frozen=True)
class Options:
    """As they were written."""

    write: str = ""
    """A file, ``-`` for standard output, "" for lines to read."""
    count: int = 0
    duration: str = ""
    rotate_size: str = ""
    rotate_time: str = ""
    files: int = 0
    snaplen: int = 0
    buffer: str = ""
    numeric: bool = False
    json: bool = False


def run(lab_or_file: str, words: Sequence[str], filter_words: Sequence[str], opts: Options) -> int:
    """The exit code. ``filter_words``: what surely belongs to the filter."""
    limits, rotation = _limits(opts), _rotation(opts)
    memory = _size("--buffer", opts.buffer)
    if os.geteuid() != 0:
        raise MachineLacks("capturing packets needs root", hint="run it with sudo")
    terrain, identities, gaps = lab_of(lab_or_file)
    where, rest = _places(terrain, words, sure=bool(filter_words))
    text = " ".join([*rest, *filter_words])
    chosen = Chosen(_filter(terrain, text), opts.snaplen)
    _check_interfaces(terrain, identities, where)
    put = renderer(opts.json)
    raise_limit()
    with (
        watched() as interrupt,
        woken() as signals,
        _watching() as journal,
        closing(Rings(terrain.lab, where, chosen.program, memory)) as rings,
    ):
        rings.follow(identities)
        names = Names(terrain, rings.sources)
        lab = Lab(terrain.lab, rings, names, journal)
        for file in (signals.fileno(), lab.file):
            rings.watch(file)
        if opts.write in ("", "-"):
            rings.watch(STDOUT, 0)
        sink = _sink(opts, put, rings.sources, names, interrupt, text, rotation, terrain)
        put.capturing(terrain.lab, [source.name for source in rings.sources])
        done = capture(rings, sink, limits, Outside(interrupt, signals, lab))
    done.notes += [*gaps, *(f"{name} is left out: its packets begin in a way that is not known"
                            for name in rings.unknown)]  # fmt: skip
    if isinstance(sink, Recording):
        done.files, done.turns, done.bytes = sink.files, sink.number, sink.bytes
    put.captured(terrain.lab, done, streams=opts.write in ("", "-"))
    return _exit_code(done, limits)


def _exit_code(done: Captured, limits: Limits) -> int:
    """Who says no end means to end it with a signal; who does is interrupted by one."""
    if done.failure is not None:
        raise done.failure
    if done.why == "reader":
        return BROKEN_PIPE
    cut_short = done.why == "interrupted" and bool(limits.count or limits.seconds)
    return 130 if cut_short else 0


# words


def _limits(opts: Options) -> Limits:
    return Limits(opts.count, _seconds("--duration", opts.duration))


def _rotation(opts: Options) -> Rotation:
    size = _size("--rotate-size", opts.rotate_size)
    found = Rotation(size, _seconds("--rotate-time", opts.rotate_time), opts.files)
    if found and opts.write in ("", "-"):
        raise UsageError("only a file can be followed by others", hint="-w FILE")
    if opts.files and not found:
        raise UsageError("--files: when is a file full?", hint="--rotate-size, --rotate-time")
    if opts.json and opts.write == "-":
        raise UsageError("--json or `-w -`, not both: there is one standard output")
    if opts.write == "-" and os.isatty(STDOUT):
        raise UsageError("a terminal cannot show a pcapng file", hint="… -w - | wireshark -k -i -")
    return found


def _seconds(option: str, text: str) -> float:
    if not text:
        return 0.0
    from netlab.model.processes import seconds

    try:
        found = seconds(float(text) if re.fullmatch(r"[0-9.]*[0-9]", text) else text)
    except ValueError as problem:
        raise UsageError(f"{option}: {problem}") from None
    if not found:
        raise UsageError(f"{option}: {text} is no time at all")
    return found


def _size(option: str, text: str) -> int:
    if not text:
        return 0
    from netlab.model.processes import SIZES

    match = re.fullmatch(r"([0-9]{1,9})([KMG]?)", text)
    if match is None or not int(match[1]):
        raise UsageError(f"{option}: {text!r} is no size: write 65536, 64K or 1M")
    return int(match[1]) * SIZES[match[2]]


def _places(
    terrain: Terrain, words: Sequence[str], *, sure: bool
) -> tuple[Where | None, list[str]]:
    """Where to listen, None for everywhere; and the words of the filter, which come last.

    ``sure``: whether all words are places.
    """
    found: dict[str, frozenset[str] | None] = {}
    for place, word in enumerate(words):
        node, colon, interface = word.partition(":")
        if node not in terrain.spots:
            if not sure and filters.is_filter(word):
                return found or None, list(words[place:])
            raise _no_such_node(terrain, node)
        held = found.get(node, frozenset())
        found[node] = None if held is None or not colon else held | {interface}
    return found or None, []


def _no_such_node(terrain: Terrain, node: str) -> LabNotFound:
    from netlab.model.guess import meant

    guess = meant(node, terrain.spots)
    sentence = f"lab {terrain.lab} has no node {node}" + (f"; {guess}" if guess else "")
    return LabNotFound(sentence, hint=f"it has {', '.join(terrain.spots)}")


def _check_interfaces(terrain: Terrain, identities: Mapping[str, int], where: Where | None) -> None:
    """Those that are named have to be there now."""
    named = {terrain.spots[node].ns: some for node, some in (where or {}).items() if some}
    if not named:
        return
    with visiting({ns: identities[ns] for ns in named}) as visits:
        for ns, wanted in named.items():
            there = visits.at(ns, _device_names)
            for name in sorted(wanted - set(there)):
                node = ns.removeprefix(f"{terrain.lab}.")
                hint = f"it has {', '.join(there)}"
                raise LabNotFound(f"{node} has no interface {name!r}", hint=hint)


def _device_names() -> list[str]:
    devices = Devices()
    try:
        return [device.name for device in devices.now().values()]
    finally:
        devices.close()


def _filter(terrain: Terrain, text: str) -> Expression | None:
    nodes = {name: spot.addresses for name, spot in terrain.spots.items()}
    try:
        found = filters.parse(text, nodes)
        filters.compiled(found, filters.ETHERNET)
    except filters.WrongFilter as wrong:
        mark = f"{' ' * (wrong.column - 1)}^"
        raise UsageError(f"filter, {wrong}", hint=f"{text}\n  {mark}") from None
    except ValueError as problem:
        raise UsageError(f"filter: {problem}") from None
    return found


@dataclass(frozen=True)
class Chosen:
    """Which packets, and how much of each."""

    expression: Expression | None
    snaplen: int

    def program(self, link: int, twice: bool) -> list[Instruction]:
        """``twice``: what goes out comes in again, and is wanted once."""
        expression = self.expression
        if twice:
            inward = Bound(outward=False)
            expression = inward if expression is None else And(inward, expression)
        return filters.compiled(expression, link, self.snaplen or filters.WHOLE)


# the lab, while it is listened to


class Names(dict[str, str]):
    """By address the node that has it: those that were given, and those that MACs bring along."""

    def __init__(self, terrain: Terrain, sources: Sequence[Source]) -> None:
        self._sources, self._known = sources, 0
        self.learn(terrain)

    def learn(self, terrain: Terrain | None = None) -> None:
        if terrain is not None:
            self.update((a, nodes[0]) for a, nodes in terrain.holders.items() if len(nodes) == 1)
        for source in self._sources[self._known :]:
            if len(source.mac) == 6 and any(source.mac):
                self.setdefault(link_local(source.mac), source.node)
        self._known = len(self._sources)


def link_local(mac: bytes) -> str:
    """The address that an interface gives itself (RFC 4291, appendix A)."""
    identifier = bytes((mac[0] ^ 2, *mac[1:3], 0xFF, 0xFE, *mac[3:]))
    return str(IPv6Address(b"\xfe\x80" + b"\0" * 6 + identifier))


class Lab:
    """What changes in a lab is in its journal; who holds its namespaces has to know at once."""

    def __init__(self, lab: str, rings: Rings, names: Names, journal: Watch) -> None:
        self._lab, self._rings, self._names, self._watch = lab, rings, names, journal
        self._journal = f"{state_directory()}/{lab}/{JOURNAL}"
        self._looked = time.monotonic()
        self._has_changed = False
        self._watch_it()

    @property
    def file(self) -> int:
        return self._watch.fd

    def changes(self) -> None:
        self._watch.changed()
        self._has_changed = True
        self._watch_it()

    def look(self) -> None:
        """Where it has changed, and was not looked at just now."""
        if not self._has_changed or self.due() > 0:
            return
        self._has_changed, self._looked = False, time.monotonic()
        try:
            terrain, identities, _ = lab_of(self._lab)
        except LabNotFound:
            self._rings.follow({})
            return
        self._rings.follow(identities)
        self._names.learn(terrain)

    def due(self) -> float:
        """Seconds until it is to be looked at."""
        if not self._has_changed:
            return NEVER
        return max(0.0, self._looked + AGAIN - time.monotonic())

    def _watch_it(self) -> None:
        with suppress(FileNotFoundError):  # it is down
            self._watch.add(self._journal)


class Outside:
    """Signals, and the lab; see ``netlab.trace.capture.Outside``."""

    def __init__(self, interrupt: Interrupt, signals: socket.socket, lab: Lab) -> None:
        self._interrupt, self._signals, self._lab = interrupt, signals, lab
        self._is_unread = False

    def hear(self, files: list[int]) -> None:
        if self._signals.fileno() in files:
            self._signals.recv(1 << 10)
        if self._lab.file in files:
            self._lab.changes()
        if STDOUT in files:
            self._is_unread = True
        self._lab.look()

    def why(self) -> str:
        if self._interrupt():
            return "interrupted"
        return "reader" if self._is_unread else ""

    def patience(self) -> float:
        return self._lab.due()


@contextmanager
def woken() -> Iterator[socket.socket]:
    """A socket that can be read when a signal has come, so that one need not wait for packets."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(before)
        reader.close()
        writer.close()


@contextmanager
def _watching() -> Iterator[Watch]:
    watch = Watch()
    try:
        yield watch
    finally:
        watch.close()


# where packets go


class Lines:
    """A line per packet."""

    def __init__(self, put: Renderer, teller: Teller, names: Names, width: int) -> None:
        self._put, self._teller, self._names, self._width = put, teller, names, width

    def add(self, frames: Sequence[Frame]) -> None:
        self._names.learn()
        self._put.packets(map(self._teller.tell, frames), self._width)

    def close(self) -> None:
        """Nothing is left."""


def _sink(
    opts: Options,
    put: Renderer,
    sources: Sequence[Source],
    names: Names,
    interrupt: Interrupt,
    text: str,
    rotation: Rotation,
    terrain: Terrain,
) -> Sink:
    if not opts.write:
        width = max((len(source.name) for source in sources), default=0)
        return Lines(put, Teller(sources, names, opts.numeric), names, width)
    system = os.uname()
    head = Head(
        comment=f"lab {terrain.lab}, from {terrain.file}",
        program=f"netlab {installed_version()}",
        system=f"{system.sysname} {system.release}",
        hardware=system.machine,
        filter=text,
        snaplen=opts.snaplen,
        names={address: (node,) for address, node in names.items()},
        about=lambda source: _about(terrain, source),
    )

    def output(number: int) -> Output:
        if opts.write == "-":
            return Pipe(STDOUT, interrupt)
        return PlainFile(_numbered(opts.write, number) if rotation else opts.write)

    return Recording(head, output, rotation, sources)


def _about(terrain: Terrain, source: Source) -> str:
    """``router gw, to web:eth0``."""
    node, device = terrain.peer(source.node, source.device)
    bridge = terrain.bridge_of(source.node, source.device)
    whose = f"{terrain.role(source.node)} {source.node}".strip()
    return ", ".join((whose, *([f"to {node}:{device}"] if node else []),
                      *([f"in {bridge}"] if bridge else [])))  # fmt: skip


def _numbered(path: str, number: int) -> str:
    """``lab.pcapng`` → ``lab-00001.pcapng``."""
    stem, suffix = os.path.splitext(path)
    return f"{stem}-{number:05d}{suffix}"
