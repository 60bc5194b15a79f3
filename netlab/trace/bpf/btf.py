"""What the running kernel's types look like, from BTF (Documentation/bpf/btf.rst).

Three questions are asked: where a member lies, by a path as one would write it in C; what the
arguments of a tracepoint are; what the numbers of an enum are called. Reading all types takes a
tenth of a second, so that answers are kept in a file, by the build id of the kernel.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

DIRECTORY = "/sys/kernel/btf"
VMLINUX = "vmlinux"

_MAGIC = 0xEB9F
_INT, _PTR, _ARRAY, _STRUCT, _UNION, _ENUM, _FWD, _TYPEDEF = 1, 2, 3, 4, 5, 6, 7, 8
_VOLATILE, _CONST, _RESTRICT, _FUNC_PROTO, _TYPE_TAG = 9, 10, 11, 13, 18
_QUALIFIERS = frozenset({_TYPEDEF, _VOLATILE, _CONST, _RESTRICT, _TYPE_TAG})
_ASKED_FOR = frozenset({_STRUCT, _UNION, _ENUM, _TYPEDEF})
_EXTRA = {_INT: 4, _ARRAY: 12, 14: 4, 17: 4}
"""Bytes behind the 12 of every record; VAR and DECL_TAG have no name here."""
_EACH = {_STRUCT: 12, _UNION: 12, _ENUM: 8, _FUNC_PROTO: 8, 15: 12, 19: 12}
"""Bytes for each of ``vlen`` parts; DATASEC and ENUM64 likewise."""

_RECORD = struct.Struct("=III")


class NoSuchType(LookupError):
    """This kernel has no such type, member or tracepoint; in words."""


@dataclass(frozen=True)
class Way:
    """How to come from a pointer to a value: add, follow, add, follow, …, add, and read."""

    offsets: tuple[int, ...]
    size: int
    """Bytes of the value."""


class Btf:
    """The types of the kernel, or of the kernel and one module (split BTF)."""

    def __init__(self, data: bytes, base: Btf | None = None) -> None:
        """Raises NoSuchType where that is no BTF of this machine."""
        try:
            magic, _, _, header, *sections = struct.unpack_from("=HBBIIIII", data)
        except struct.error as problem:
            raise NoSuchType("what should be BTF is too short") from problem
        if magic != _MAGIC:
            raise NoSuchType("what should be BTF is something else")
        types, size, strings, length = sections
        self._base = base
        self._data = data[header + types : header + types + size]
        self._strings = data[header + strings : header + strings + length]
        self._first = base.count if base else 1
        self._first_string = len(base._strings) if base else 0

    @cached_property
    def _places(self) -> list[int]:
        """Where each record lies; its number less the first is its place here."""
        places: list[int] = []
        at, data, end = 0, self._data, len(self._data)
        unpack, put, extra, each = _RECORD.unpack_from, places.append, _EXTRA.get, _EACH.get
        while at < end:
            put(at)
            info = unpack(data, at)[1]
            kind = info >> 24 & 31
            at += 12 + extra(kind, 0) + each(kind, 0) * (info & 0xFFFF)
        return places

    @property
    def count(self) -> int:
        return self._first + len(self._places)

    # names

    def _text(self, offset: int) -> str:
        if self._base is not None and offset < self._first_string:
            return self._base._text(offset)
        start = offset - self._first_string
        return self._strings[start : self._strings.index(b"\0", start)].decode()

    def _offsets_of(self, name: str) -> set[int]:
        found = self._base._offsets_of(name) if self._base else set()
        wanted = b"\0" + name.encode() + b"\0"
        at = self._strings.find(wanted)
        while at >= 0:
            found.add(self._first_string + at + 1)
            at = self._strings.find(wanted, at + 1)
        return found

    def numbers(self, name: str, kinds: Collection[int]) -> list[int]:
        """Of all types of that name and one of these kinds, the module's own last."""
        found = self._base.numbers(name, kinds) if self._base else []
        for offset in self._offsets_of(name):
            found += [n for n, kind in self._named.get(offset, ()) if kind in kinds]
        return found

    @cached_property
    def _named(self) -> dict[int, list[tuple[int, int]]]:
        """By the place of its name: number and kind of each type that can be asked for."""
        named: dict[int, list[tuple[int, int]]] = {}
        unpack, data = _RECORD.unpack_from, self._data
        for number, at in enumerate(self._places, self._first):
            called, info, _ = unpack(data, at)
            kind = info >> 24 & 31
            if called and kind in _ASKED_FOR:
                named.setdefault(called, []).append((number, kind))
        return named

    # records

    def _record(self, number: int) -> tuple[str, int, int, int, bytes]:
        """Name, kind, info, size or type, and what follows."""
        if self._base is not None and number < self._first:
            return self._base._record(number)
        if not self._first <= number < self.count:
            return "", 0, 0, 0, b""  # void
        at = self._places[number - self._first]
        called, info, size = _RECORD.unpack_from(self._data, at)
        kind = info >> 24 & 31
        length = _EXTRA.get(kind, 0) + _EACH.get(kind, 0) * (info & 0xFFFF)
        name = self._text(called) if called else ""
        return name, kind, info, size, self._data[at + 12 : at + 12 + length]

    def _bare(self, number: int) -> int:
        """Without const, volatile, typedef."""
        while True:
            _, kind, _, inner, _ = self._record(number)
            if kind not in _QUALIFIERS:
                return number
            number = inner

    def _size(self, number: int) -> int:
        _, kind, _, size, more = self._record(self._bare(number))
        if kind == _PTR:
            return 8
        if kind == _ARRAY:
            inner, _, count = _RECORD.unpack(more)
            return int(self._size(inner) * count)
        return int(size)

    # answers

    def way(self, path: str) -> Way:
        """``sk_buff.dev->ifindex``: the value at the end, from a pointer to the first struct."""
        struct_name, _, rest = path.partition(".")
        found = self.numbers(struct_name, (_STRUCT, _UNION))
        if not found:
            raise NoSuchType(f"there is no struct {struct_name}")
        number, offsets = found[0], [0]
        for place, part in enumerate(rest.split("->")):
            if place:
                number = self._pointed(number, path)
                offsets.append(0)
            for name in part.split("."):
                bits, number = self._member(self._bare(number), name, path)
                if bits % 8:
                    raise NoSuchType(f"{path} begins within a byte")
                offsets[-1] += bits // 8
        return Way(tuple(offsets), self._size(number))

    def _pointed(self, number: int, path: str) -> int:
        _, kind, _, inner, _ = self._record(self._bare(number))
        if kind != _PTR:
            raise NoSuchType(f"{path} follows what is no pointer")
        return inner

    def _member(self, number: int, name: str, path: str) -> tuple[int, int]:
        """Its offset in bits and its type."""
        found = self._in(number, name, 0)
        if found is None:
            raise NoSuchType(f"{path} does not exist: no {name}")
        return found

    def _in(self, number: int, name: str, before: int) -> tuple[int, int] | None:
        _, kind, info, _, more = self._record(number)
        if kind not in (_STRUCT, _UNION):
            return None
        has_bits = info >> 31
        for called, inner, offset in _RECORD.iter_unpack(more):
            bits = before + (offset & 0xFFFFFF if has_bits else offset)
            if called and self._text(called) == name:
                return bits, inner
            if not called:  # a struct or union without a name: its members are the outer one's
                found = self._in(self._bare(inner), name, bits)
                if found is not None:
                    return found
        return None

    def arguments(self, tracepoint: str) -> tuple[str, ...]:
        """As in C, without const: ``sk_buff *``, ``enum skb_drop_reason``, ``int``, ``void *``."""
        found = self.numbers(f"btf_trace_{tracepoint}", (_TYPEDEF,))
        if not found:
            raise NoSuchType(f"there is no tracepoint {tracepoint}")
        _, _, _, pointer, _ = self._record(found[-1])
        _, _, _, prototype, _ = self._record(pointer)
        _, _, _, _, more = self._record(prototype)
        kinds = [inner for _, inner in struct.iter_unpack("=II", more)]
        return tuple(self._words(inner) for inner in kinds[1:])  # the first is the kernel's own

    def _words(self, number: int) -> str:
        name, kind, _, inner, _ = self._record(number)
        if kind == _PTR:
            return f"{self._words(inner)} *"
        if kind in _QUALIFIERS:
            return name if kind == _TYPEDEF else self._words(inner)
        return f"enum {name}" if kind == _ENUM else name or "void"

    def names(self, enum: str) -> dict[int, str]:
        found = self.numbers(enum, (_ENUM,))
        if not found:
            raise NoSuchType(f"there is no enum {enum}")
        _, _, _, _, more = self._record(found[-1])
        return {value: self._text(called) for called, value in struct.iter_unpack("=Ii", more)}


def kernel() -> Btf:
    """Raises NoSuchType."""
    return Btf(_read(VMLINUX))


def module_of(tracepoint: str) -> str | None:
    """The module that has a tracepoint, found without reading its types."""
    wanted = f"\0btf_trace_{tracepoint}\0".encode()
    return next((name for name in sorted(_listed()) if wanted in _read(name)), None)


def open_module(name: str, base: Btf) -> Btf:
    return base if name == VMLINUX else Btf(_read(name), base)


def _listed() -> Sequence[str]:
    try:
        return os.listdir(DIRECTORY)
    except FileNotFoundError as problem:
        raise NoSuchType("the kernel tells nothing of its types") from problem


def _read(name: str) -> bytes:
    try:
        with open(f"{DIRECTORY}/{name}", "rb") as file:
            return file.read()
    except OSError as problem:
        raise NoSuchType(f"{DIRECTORY}/{name}: {problem.strerror}") from problem
