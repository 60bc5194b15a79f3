"""What the running kernel's types look like, from BTF (Documentation/bpf/btf.rst).

Three questions are asked: where a member lies, by a path as one would write it in C; what the
arguments of a tracepoint are; what the numbers of an enum are called. Reading all types takes a
tenth of a second, so that answers are kept in a file, by the build id of the kernel.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Collection
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
_BEGINNING = struct.Struct("=II")


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
    def _index(self) -> tuple[list[int], dict[int, list[tuple[int, int]]]]:
        """Where each record lies, from the first on; and by the places of their names the number
        and the kind of those that can be asked for. All of them are gone through once.
        """
        places: list[int] = []
        named: dict[int, list[tuple[int, int]]] = {}
        at, data, end, number = 0, self._data, len(self._data), self._first
        sizes = [12 + _EXTRA.get(kind, 0) for kind in range(32)]
        parts = [_EACH.get(kind, 0) for kind in range(32)]
        asked = [kind in _ASKED_FOR for kind in range(32)]
        unpack, put = _BEGINNING.unpack_from, places.append
        while at < end:
            put(at)
            called, info = unpack(data, at)
            kind = info >> 24 & 31
            if called and asked[kind]:
                named.setdefault(called, []).append((number, kind))
            at += sizes[kind]
            if parts[kind]:
                at += parts[kind] * (info & 0xFFFF)
            number += 1
        return places, named

    @property
    def count(self) -> int:
        return self._first + len(self._index[0])

    # names

    def _text(self, offset: int) -> str:
        if self._base is not None and offset < self._first_string:
            return self._base._text(offset)
        start = offset - self._first_string
        return self._strings[start : self._strings.index(b"\0", start)].decode()

    def numbers(self, name: str, kinds: Collection[int]) -> list[int]:
        """Of all types of that name and one of these kinds, the module's own last."""
        found = self._base.numbers(name, kinds) if self._base else []
        return found + [n for n, kind in self._by_name.get(name, ()) if kind in kinds]

    @cached_property
    def _by_name(self) -> dict[str, list[tuple[int, int]]]:
        found: dict[str, list[tuple[int, int]]] = {}
        for offset, types in self._index[1].items():
            found.setdefault(self._text(offset), []).extend(types)
        return found

    # records

    def _record(self, number: int) -> tuple[str, int, int, int, bytes]:
        """Name, kind, info, size or type, and what follows."""
        if self._base is not None and number < self._first:
            return self._base._record(number)
        if not self._first <= number < self.count:
            return "", 0, 0, 0, b""  # void
        at = self._index[0][number - self._first]
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
    return Btf(read(VMLINUX))


Read = Callable[[str], bytes]
"""Of a module, or of the kernel, what lies in its file. Raises NoSuchType."""


def module_of(tracepoint: str, read: Read) -> str | None:
    """The module that has a tracepoint, or the kernel, found without looking at the types."""
    wanted = f"\0btf_trace_{tracepoint}\0".encode()
    return next((name for name in _listed() if wanted in read(name)), None)


def modules() -> list[str]:
    """Whose types the kernel tells, its own first; [] where it tells none."""
    try:
        return _listed()
    except NoSuchType:
        return []


def _listed() -> list[str]:
    try:
        return sorted(os.listdir(DIRECTORY), key=lambda name: (name != VMLINUX, name))
    except FileNotFoundError as problem:
        raise NoSuchType("the kernel tells nothing of its types") from problem


def read(name: str) -> bytes:
    """Raises NoSuchType."""
    try:
        with open(f"{DIRECTORY}/{name}", "rb") as file:
            return file.read()
    except OSError as problem:
        raise NoSuchType(f"{DIRECTORY}/{name}: {problem.strerror}") from problem
