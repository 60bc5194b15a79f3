"""An event's ``format`` file → its fields; records → values (Documentation/trace/events.rst)."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["number", "text", "dynamic", "bytes"]

_FIELD = re.compile(r"field:(.*?);\s*offset:(\d+);\s*size:(\d+);\s*signed:(\d);")
_NAMED = re.compile(r"(\w+)(\[[^]]*\])?$")
_SYMBOLS = re.compile(r"__print_symbolic\(REC->(\w+), (.*?\})\)")
_SYMBOL = re.compile(r'\{ (-?\w+), "([^"]*)" \}')
_SIZES = {1: "b", 2: "h", 4: "i", 8: "q"}
COMMON = 8
"""Bytes that all events begin with: the event's number, flags, and the process's."""

Value: TypeAlias = int | str | bytes


class Field(NamedTuple):
    name: str
    kind: Kind
    offset: int
    size: int
    is_signed: bool


@dataclass(frozen=True)
class Format:
    """What an event looks like, as this kernel tells."""

    number: int
    name: str
    fields: tuple[Field, ...]
    symbols: Mapping[str, Mapping[int, str]]
    """By field, what its numbers are called."""

    def read(self, data: bytes) -> dict[str, Value]:
        """Of a record: its fields by name; numbers that have names are told by these."""
        found: dict[str, Value] = {}
        for field in self.fields:
            value = _value(field, data)
            if isinstance(value, int):
                value = self.symbols.get(field.name, {}).get(value, value)
            found[field.name] = value
        return found


class Head(NamedTuple):
    """What every record begins with."""

    number: int
    pid: int


def head(data: bytes) -> Head:
    number, _, _, pid = struct.unpack_from("=HBBi", data)
    return Head(number, pid)


def parse(text: str) -> Format:
    """Raises ValueError for what is no format file."""
    name, number = re.search(r"^name: (\S+)", text, re.M), re.search(r"^ID: (\d+)", text, re.M)
    if name is None or number is None:
        raise ValueError("no event is described here")
    fields = tuple(
        field
        for declared, offset, size, signed in _FIELD.findall(text)
        if not (field := _field(declared, int(offset), int(size), signed == "1")).name.startswith(
            "common_"
        )
    )
    return Format(int(number[1]), name[1], fields, _symbols(text.partition("print fmt:")[2]))


def _field(declared: str, offset: int, size: int, is_signed: bool) -> Field:
    found = _NAMED.search(declared.strip())
    name, array = (found[1], found[2]) if found else (declared, None)
    kind: Kind
    if declared.startswith("__data_loc"):
        kind = "dynamic"
    elif array is not None:
        kind = "text" if declared.startswith("char") else "bytes"
    else:
        kind = "number" if size in _SIZES else "bytes"
    return Field(name, kind, offset, size, is_signed)


def _value(field: Field, data: bytes) -> Value:
    part = data[field.offset : field.offset + field.size]
    if field.kind == "number":
        letter = _SIZES[field.size]
        number: int = struct.unpack("=" + (letter if field.is_signed else letter.upper()), part)[0]
        return number
    if field.kind == "dynamic":  # where it lies in the record, and how long it is
        where = struct.unpack("=I", part)[0]
        part = data[where & 0xFFFF : (where & 0xFFFF) + (where >> 16)]
    return part if field.kind == "bytes" else part.split(b"\0")[0].decode(errors="replace")


def _symbols(printed: str) -> dict[str, dict[int, str]]:
    found: dict[str, dict[int, str]] = {}
    for name, listed in _SYMBOLS.findall(printed):
        numbers = {}
        for number, word in _SYMBOL.findall(listed):
            try:
                numbers[int(number, 0)] = word
            except ValueError:  # a name of the kernel's that is no number here
                continue
        found[name] = numbers
    return found
