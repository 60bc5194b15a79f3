"""Events as they are declared, and the program that tells of one.

    Event("kfree_skb", "sk_buff *", (
        Field("reason", "enum skb_drop_reason"),
        Field("device", "sk_buff.dev->name"),
    ))

A field is an argument, found by its type (``int#1`` is the second ``int``), or a way from the
argument that points to the first struct of its path (``tcp_sock.snd_cwnd of sock *``: of one that
points to what that struct begins with); ``symbol void *`` is what the kernel calls the place that
the argument points to, ``bytes u8 *`` what lies there; ``program`` is the name of the program that
the CPU runs. What has no pointer to it is found from where two members point together:
``sk_buff.head + sk_buff.end: skb_shared_info.gso_size``. So arguments may come and go with kernels;
what a kernel does not have is left out, and named. Each record begins with a header, see ``Head``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from netlab.trace.bpf import pids
from netlab.trace.bpf.assembler import (
    FP,
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    Code,
    Register,
    Size,
)
from netlab.trace.bpf.btf import NoSuchType, Way

_HEAD = struct.Struct("=QQIIII")
_SCRATCH = -8
"""On the stack: a pointer that is being followed. Gates have what lies below ``GATE``."""
_INDEX = -16
GATE = -24
SYMBOL = "symbol "
SYMBOL_BYTES = 64
BYTES = "bytes "
PROGRAM = "program"
PROGRAM_BYTES = 16
FORMAT = b"%pS\0"
"""How the kernel writes a symbol: with the offset into it (core-api/printk-formats.rst)."""
HOOK = ("nf_hook_state *", "sk_buff *")
"""What a program at a netfilter hook is given (linux/bpf.h, ``struct bpf_nf_ctx``)."""


class Field(NamedTuple):
    """A value to be told."""

    name: str
    source: str
    """An argument's type, or a path; see above. Of a gate's, ``=-32`` is what it left in that place
    of the stack, ``@-32`` is what lies at the address that it left there, ``@-32 nf_conn.status``
    is found from there."""
    size: int = 0
    """Bytes; 0 for as many as the type has."""


class Event(NamedTuple):
    """A tracepoint, or a netfilter hook where the name is ""."""

    name: str
    subject: str
    """The type of the argument that the gate looks at; "" for none."""
    fields: tuple[Field, ...] = ()
    last: bool = False
    """Whether the subject is gone after it."""


class Head(NamedTuple):
    """What every record begins with."""

    time: int
    """Nanoseconds of CLOCK_MONOTONIC."""
    subject: int
    """An address; 0 for none."""
    number: int
    """Of the program."""
    cpu: int
    pid: int
    """Of the process that the CPU ran, which need not have to do with it."""
    more: int
    """The gate's own."""


class Asked(Protocol):
    """Who knows the kernel's types; see ``netlab.trace.bpf.types``."""

    def way(self, path: str, tracepoint: str = "") -> Way: ...

    def arguments(self, tracepoint: str) -> tuple[str, ...]: ...


Gate = Callable[[Code, Event], None]
"""Writes what decides whether an event is told: jumps to "out", or goes on. R7 holds the subject,
R6 the context; R8 and R9 are its own, and what is left in R9 is the head's ``more``."""


@dataclass(frozen=True)
class Layout:
    """Where the fields of an event's record lie."""

    event: Event
    unpack: struct.Struct
    names: tuple[str, ...]
    missing: tuple[str, ...]
    """What this kernel does not have, in words."""

    @property
    def size(self) -> int:
        return _HEAD.size + self.unpack.size

    def read(self, record: bytes) -> tuple[Head, dict[str, int | bytes]]:
        head = Head(*_HEAD.unpack_from(record))
        return head, dict(zip(self.names, self.unpack.unpack_from(record, _HEAD.size), strict=True))


def number_of(record: bytes) -> int:
    """Of the program that wrote it."""
    return Head(*_HEAD.unpack_from(record)).number


class _Known(NamedTuple):
    field: Field
    argument: int
    """-1 for what a gate left."""
    way: Way | None
    size: int
    at: int
    """In the record."""
    together: tuple[Way, Way] | None = None
    """The two members that point to where ``way`` begins."""

    @property
    def is_symbol(self) -> bool:
        return self.field.source.startswith(SYMBOL)

    @property
    def left(self) -> int:
        """Of what a gate left: where on the stack."""
        return int(self.field.source[1:].partition(" ")[0])


class Maps(NamedTuple):
    """File descriptors of what programs write to, and read from."""

    ring: int
    lost: int
    """A per-CPU array with one counter of 8 bytes, for what found no room."""
    format: int
    """``FORMAT``, see ``netlab.trace.bpf.calls.constant``."""


def lay_out(event: Event, types: Asked) -> tuple[Layout, Sequence[_Known], int]:
    """The layout, the fields that there are, and the place of the subject among the arguments.

    Raises NoSuchType where there is no such event, or none with such a subject.
    """
    arguments = types.arguments(event.name) if event.name else HOOK
    if event.subject and event.subject not in arguments:
        raise NoSuchType(f"{event.name} has no {event.subject}")
    known: list[_Known] = []
    missing: list[str] = []
    at = _HEAD.size
    for field in event.fields:
        try:
            found = _find(field, arguments, event, types, at)
        except NoSuchType as reason:
            missing.append(str(reason))
            continue
        known.append(found)
        at += (found.size + 7) & ~7
    parts = "".join(_part(found.size) for found in known)
    names = tuple(found.field.name for found in known)
    layout = Layout(event, struct.Struct(f"={parts}"), names, tuple(missing))
    return layout, known, arguments.index(event.subject) if event.subject else -1


def _part(size: int) -> str:
    """A number where it is as wide as one; each field begins at a multiple of 8."""
    whole = {1: "B7x", 2: "H6x", 4: "I4x", 8: "Q"}
    return whole.get(size) or f"{size}s{-size % 8}x"


def _find(field: Field, arguments: Sequence[str], event: Event, types: Asked, at: int) -> _Known:
    if field.source.startswith("="):
        return _Known(field, -1, None, field.size, at)
    if field.source == PROGRAM:
        return _Known(field, -1, None, PROGRAM_BYTES, at)
    if " + " in field.source:
        return _find_together(field, arguments, event, types, at)
    if field.source.startswith("@"):
        path = field.source.partition(" ")[2]
        way = types.way(path, event.name) if path else Way((0,), field.size)
        return _Known(field, -1, way, field.size or way.size, at)
    if "." in field.source:
        path, _, pointer = field.source.partition(" of ")
        pointer = pointer or f"{path.partition('.')[0]} *"
        if pointer not in arguments:
            raise NoSuchType(f"{event.name} has no {pointer}")
        way = types.way(path, event.name)
        return _Known(field, arguments.index(pointer), way, field.size or way.size, at)
    kind, _, count = field.source.removeprefix(SYMBOL).removeprefix(BYTES).partition("#")
    places = [place for place, found in enumerate(arguments) if found == kind]
    if len(places) <= int(count or 0):
        raise NoSuchType(f"{event.name} has no {field.source}")
    if field.source.startswith(BYTES):
        return _Known(field, places[int(count or 0)], Way((0,), field.size), field.size, at)
    size = SYMBOL_BYTES if field.source.startswith(SYMBOL) else field.size or _width(kind)
    return _Known(field, places[int(count or 0)], None, size, at)


def _find_together(
    field: Field, arguments: Sequence[str], event: Event, types: Asked, at: int
) -> _Known:
    base, _, path = field.source.partition(": ")
    first, _, second = base.partition(" + ")
    pointer = f"{first.partition('.')[0]} *"
    if pointer not in arguments:
        raise NoSuchType(f"{event.name} has no {pointer}")
    way = types.way(path, event.name)
    together = types.way(first, event.name), types.way(second, event.name)
    size = field.size or way.size
    return _Known(field, arguments.index(pointer), way, size, at, together)


def _width(kind: str) -> int:
    """Of an argument, in bytes; every one is passed in 8."""
    if kind.endswith("*") or "long" in kind or kind in ("u64", "s64", "size_t"):
        return 8
    return 4


def program(
    known: Sequence[_Known],
    subject: int,
    layout: Layout,
    number: int,
    gate: Gate,
    maps: Maps,
    answer: int = 0,
) -> bytes:
    """The program's instructions; ``answer`` is what it returns."""
    code = Code()
    code.set(R6, R1)
    if subject >= 0:
        code.load(8, R7, R6, 8 * subject)
        code.jump_if(R7, "==", 0, "out")
    else:
        code.set(R7, 0)
    code.set(R9, 0)
    gate(code, layout.event)
    _reserve(code, layout.size, number, maps.ring)
    for found in known:
        _tell(code, found, maps)
    code.set(R1, R9)
    code.set(R2, 0)
    code.call("ringbuf_submit")
    code.jump("out")
    code.label("no room")
    _count(code, maps.lost)
    code.label("out")
    code.set(R0, answer)
    code.exit()
    return bytes(code)


def _reserve(code: Code, size: int, number: int, ring: int) -> None:
    """From here on R9 is the record, and its head is filled in."""
    code.store(8, FP, _SCRATCH, R9)
    code.set_map(R1, ring)
    code.set(R2, size)
    code.set(R3, 0)
    code.call("ringbuf_reserve")
    code.jump_if(R0, "==", 0, "no room")
    code.set(R9, R0)
    code.load(8, R1, FP, _SCRATCH)
    code.store(4, R9, 28, R1)
    code.store(8, R9, 8, R7)
    code.store(4, R9, 16, number)
    code.call("ktime_get_ns")
    code.store(8, R9, 0, R0)
    code.call("get_smp_processor_id")
    code.store(4, R9, 20, R0)
    current_pid(code, _SCRATCH)
    code.store(4, R9, 24, R0)


def current_pid(code: Code, scratch: int) -> None:
    """To R0, the process that the CPU runs for, by its number here; 0 where it has none.

    ``scratch`` is the place of 8 bytes on the stack.
    """
    found = pids.namespace()
    if found is None:
        code.call("get_current_pid_tgid")
        code.shift_right(R0, 32)
        return
    code.set(R1, found[0])
    code.set(R2, found[1])
    for shift in (code.shift_left, code.shift_right):
        shift(R2, 32)  # an inode has no sign
    code.set(R3, FP)
    code.add(R3, scratch)
    code.set(R4, 8)
    code.call("get_ns_current_pid_tgid")
    code.load(4, R0, FP, scratch + 4)


def _tell(code: Code, found: _Known, maps: Maps) -> None:
    if found.is_symbol:
        code.load(8, R1, R6, 8 * found.argument)
        code.store(8, FP, _SCRATCH, R1)
        code.set(R1, R9)
        code.add(R1, found.at)
        code.set(R2, found.size)
        code.set_map_value(R3, maps.format)
        code.set(R4, FP)
        code.add(R4, _SCRATCH)
        code.set(R5, 8)
        code.call("snprintf")
        return
    if found.field.source == PROGRAM:
        code.set(R1, R9)
        code.add(R1, found.at)
        code.set(R2, found.size)
        code.call("get_current_comm")
        return
    if found.way is None:  # a place on the stack, or the argument itself
        if found.argument < 0:
            code.load(8, R1, FP, found.left)
        else:
            code.load(8, R1, R6, 8 * found.argument)
        code.store(_SIZES[found.size], R9, found.at, R1)
        return
    if found.argument < 0:
        code.load(8, R8, FP, found.left)
    else:
        code.load(8, R8, R6, 8 * found.argument)
    if found.together:
        _point_together(code, *found.together)
    *pointers, last = found.way.offsets
    for offset in pointers:
        read(code, FP, _SCRATCH, 8, R8, offset)
        code.load(8, R8, FP, _SCRATCH)
    read(code, R9, found.at, found.size, R8, last)


_SIZES: dict[int, Size] = {1: 1, 2: 2, 4: 4, 8: 8}


def _point_together(code: Code, first: Way, second: Way) -> None:
    """R8 is what two members of it are, one added to the other."""
    read(code, FP, _SCRATCH, first.size, R8, first.offsets[0])
    read(code, FP, _INDEX, second.size, R8, second.offsets[0])
    code.load(_SIZES[first.size], R8, FP, _SCRATCH)
    code.load(_SIZES[second.size], R1, FP, _INDEX)
    code.add(R8, R1)


def read(code: Code, to: Register, at: int, size: int, base: Register, offset: int) -> None:
    """From anywhere in the kernel to the stack or a record; zeros where nothing can be read."""
    code.set(R1, to)
    code.add(R1, at)
    code.set(R2, size)
    code.set(R3, base)
    if offset:
        code.add(R3, offset)
    code.call("probe_read_kernel")


def _count(code: Code, counter: int) -> None:
    code.store(4, FP, _INDEX, 0)
    code.set_map(R1, counter)
    code.set(R2, FP)
    code.add(R2, _INDEX)
    code.call("map_lookup_elem")
    code.jump_if(R0, "==", 0, "out")
    code.load(8, R1, R0)
    code.add(R1, 1)
    code.store(8, R0, 0, R1)
