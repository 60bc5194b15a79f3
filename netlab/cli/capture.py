"""`netlab capture`: packets of a lab, to be read or to be kept."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from netlab.cli.listening import Lab, Names, Outside, watching, woken
from netlab.cli.main import installed_version
from netlab.cli.selection import (
    STDOUT,
    Chosen,
    Options,
    check_interfaces,
    filter_of,
    limits_of,
    places,
    rotation_of,
    size_of,
)
from netlab.cli.trace import lab_of
from netlab.cli.which import renderer
from netlab.errors import MachineLacks
from netlab.kernel.limits import raise_limit
from netlab.kernel.ring import Frame
from netlab.lab.interrupt import Interrupt, watched
from netlab.trace.capture import Captured, Limits, Sink, capture
from netlab.trace.packets import Teller
from netlab.trace.recording import Head, Output, Pipe, PlainFile, Recording, Rotation
from netlab.trace.rings import Rings, Source

if TYPE_CHECKING:
    from netlab.render.base import Renderer
    from netlab.trace.terrain import Terrain

BROKEN_PIPE = 141
"""As a shell tells of a program that SIGPIPE has ended."""


def run(lab_or_file: str, words: Sequence[str], filter_words: Sequence[str], opts: Options) -> int:
    """The exit code. ``filter_words``: what surely belongs to the filter."""
    limits, rotation = limits_of(opts), rotation_of(opts)
    memory = size_of("--buffer", opts.buffer)
    if os.geteuid() != 0:
        raise MachineLacks("capturing packets needs root", hint="run it with sudo")
    terrain, identities, gaps = lab_of(lab_or_file)
    where, rest = places(terrain, words, sure=bool(filter_words))
    chosen = filter_of(terrain, " ".join([*rest, *filter_words]), opts.snaplen)
    check_interfaces(terrain, identities, where)
    put = renderer(opts.json)
    raise_limit()
    with (
        watched() as interrupt,
        woken() as signals,
        watching() as journal,
        closing(Rings(terrain.lab, where, chosen.program, memory)) as rings,
    ):
        rings.follow(identities)
        names = Names(terrain, rings.sources)
        lab = Lab(terrain.lab, rings, names, journal)
        for file in (signals.fileno(), lab.file):
            rings.watch(file)
        if opts.write in ("", "-"):
            rings.watch(STDOUT, 0)
        if opts.write:
            head = head_of(terrain, names, chosen)
            sink: Sink = _recording(opts, head, rotation, rings.sources, interrupt)
        else:
            sink = Lines(put, opts.numeric, rings.sources, names)
        put.capturing(terrain.lab, [source.name for source in rings.sources])
        done = capture(rings, sink, limits, Outside(interrupt, signals, lab))
    unknown = "is left out: its packets begin in a way that is not known"
    done.notes += [*gaps, *(f"{name} {unknown}" for name in rings.unknown)]
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


class Lines:
    """A sink that tells each packet in a line."""

    def __init__(
        self, put: Renderer, numeric: bool, sources: Sequence[Source], names: Names
    ) -> None:
        self._put, self._names = put, names
        self._teller = Teller(sources, names, numeric)
        self._width = max((len(source.name) for source in sources), default=0)

    def add(self, frames: Sequence[Frame]) -> None:
        self._names.learn()
        self._put.packets(map(self._teller.tell, frames), self._width)

    def close(self) -> None:
        """Nothing is left."""


def _recording(
    opts: Options,
    head: Head,
    rotation: Rotation,
    sources: Sequence[Source],
    interrupt: Interrupt,
) -> Recording:
    def output(number: int) -> Output:
        if opts.write == "-":
            return Pipe(STDOUT, interrupt)
        return PlainFile(_numbered(opts.write, number) if rotation else opts.write)

    return Recording(head, output, rotation, sources)


def head_of(terrain: Terrain, names: Names, chosen: Chosen) -> Head:
    """What a file of the lab's packets says of itself."""
    system = os.uname()
    return Head(
        comment=f"lab {terrain.lab}, from {terrain.file}",
        program=f"netlab {installed_version()}",
        system=f"{system.sysname} {system.release}",
        hardware=system.machine,
        filter=chosen.text,
        snaplen=chosen.snaplen,
        names={address: (node,) for address, node in names.items()},
        about=lambda source: _about(terrain, source),
    )


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
