"""What the words of `netlab capture` mean: where to listen, which packets, how long."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from netlab.errors import LabNotFound, UsageError
from netlab.kernel.devices import Devices
from netlab.kernel.ring import Instruction
from netlab.kernel.visits import visiting
from netlab.trace import filters
from netlab.trace.capture import Limits
from netlab.trace.filters.tree import And, Bound, Expression
from netlab.trace.recording import Rotation
from netlab.trace.rings import Where
from netlab.trace.terrain import Terrain

STDOUT = 1


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


def limits_of(opts: Options) -> Limits:
    return Limits(opts.count, _seconds("--duration", opts.duration))


def rotation_of(opts: Options) -> Rotation:
    size = size_of("--rotate-size", opts.rotate_size)
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


def size_of(option: str, text: str) -> int:
    if not text:
        return 0
    from netlab.model.processes import SIZES

    match = re.fullmatch(r"([0-9]{1,9})([KMG]?)", text)
    if match is None or not int(match[1]):
        raise UsageError(f"{option}: {text!r} is no size: write 65536, 64K or 1M")
    return int(match[1]) * SIZES[match[2]]


def places(terrain: Terrain, words: Sequence[str], *, sure: bool) -> tuple[Where | None, list[str]]:
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


def check_interfaces(terrain: Terrain, identities: Mapping[str, int], where: Where | None) -> None:
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


@dataclass(frozen=True)
class Chosen:
    """Which packets, and how much of each."""

    text: str
    expression: Expression | None
    snaplen: int
    """Bytes; 0 for all."""

    def program(self, link: int, twice: bool) -> list[Instruction]:
        """``twice``: what goes out comes in again, and is wanted once."""
        expression = self.expression
        if twice:
            inward = Bound(outward=False)
            expression = inward if expression is None else And(inward, expression)
        return filters.compiled(expression, link, self.snaplen or filters.WHOLE)


def filter_of(terrain: Terrain, text: str, snaplen: int) -> Chosen:
    """Raises UsageError where it does not parse, or is too long."""
    nodes = {name: spot.addresses for name, spot in terrain.spots.items()}
    try:
        chosen = Chosen(text, filters.parse(text, nodes), snaplen)
        chosen.program(filters.ETHERNET, False)
    except filters.WrongFilter as wrong:
        mark = f"{' ' * (wrong.column - 1)}^"
        raise UsageError(f"filter, {wrong}", hint=f"{text}\n  {mark}") from None
    except ValueError as problem:
        raise UsageError(f"filter: {problem}") from None
    return chosen
