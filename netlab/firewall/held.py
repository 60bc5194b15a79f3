"""The ruleset as the kernel dumps it, taken apart: tables, chains, rules, sets, objects."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from .transaction import dump
from .wire import attributes, each, notes, number, string, text

Attributes = dict[int, bytes]
Op = tuple[str, Attributes]
"""An expression of the kernel: its name and its data."""
Dump = Callable[[str, int, bytes], list[tuple[int, Attributes]]]
OF_TRACES = "netlab_trace_"
"""How the tables are called that a trace puts in for as long as it looks: they are no rules."""


@dataclass(frozen=True)
class HeldElement:
    key: bytes
    end: bytes
    """Last key of an interval in a concatenation; b"" elsewhere."""
    flags: int
    data: Attributes
    attributes: Attributes

    @property
    def comment(self) -> str:
        return string(notes(self.attributes.get(6, b"")).get(0, b""))

    @property
    def open(self) -> bool:
        return 1 in notes(self.attributes.get(6, b""))


@dataclass(frozen=True)
class HeldSet:
    name: str
    flags: int
    key_type: int
    key_length: int
    data_type: int
    data_length: int
    object: int
    notes: Attributes
    attributes: Attributes
    elements: tuple[HeldElement, ...] = ()


@dataclass(frozen=True)
class HeldRule:
    handle: int
    ops: tuple[Op, ...]
    comment: str


@dataclass
class HeldChain:
    name: str
    attributes: Attributes
    handle: int
    rules: list[HeldRule] = field(default_factory=list)


@dataclass
class HeldTable:
    family: int
    name: str
    attributes: Attributes
    chains: dict[str, HeldChain] = field(default_factory=dict)
    sets: dict[str, HeldSet] = field(default_factory=dict)
    objects: list[Attributes] = field(default_factory=list)
    flowtables: list[Attributes] = field(default_factory=list)


def held(sock: socket.socket) -> list[HeldTable]:
    """All tables of the namespace that the socket was opened in. Raises ``OSError``."""
    return _tables(lambda what, family, body: dump(sock, what, family, body))


def _tables(ask: Dump) -> list[HeldTable]:
    tables: dict[tuple[int, str], HeldTable] = {}
    for family, data in ask("tables", 0, b""):
        name = string(data.get(1, b""))
        if not name.startswith(OF_TRACES):
            tables[family, name] = HeldTable(family, name, data)
    for family, data in ask("chains", 0, b""):
        table = tables.get((family, string(data.get(1, b""))))
        if table:
            name = string(data.get(3, b""))
            table.chains[name] = HeldChain(name, data, number(data.get(2, b"")))
    for family, data in ask("rules", 0, b""):
        table = tables.get((family, string(data.get(1, b""))))
        chain = table and table.chains.get(string(data.get(2, b"")))
        if chain:
            chain.rules.append(_rule(data))
    for family, data in ask("sets", 0, b""):
        table = tables.get((family, string(data.get(1, b""))))
        if table:
            name = string(data.get(2, b""))
            table.sets[name] = _set(ask, family, table.name, name, data)
    for what in ("objects", "flowtables"):
        for family, data in _asked(ask, what):
            table = tables.get((family, string(data.get(1, b""))))
            if table:
                getattr(table, what).append(data)
    return list(tables.values())


def _asked(ask: Dump, what: str) -> list[tuple[int, Attributes]]:
    try:
        return ask(what, 0, b"")
    except OSError:  # a kernel without flowtables does not know the question
        return []


def _rule(data: Attributes) -> HeldRule:
    said = string(notes(data.get(7, b"")).get(0, b""))
    return HeldRule(number(data.get(3, b"")), ops_of(data.get(4, b"")), said)


def ops_of(data: bytes) -> tuple[Op, ...]:
    return tuple(op_of(body) for _, body in each(data))


def op_of(body: bytes) -> Op:
    parts = attributes(body)
    return string(parts.get(1, b"")), attributes(parts.get(2, b""))


def _set(ask: Dump, family: int, table: str, name: str, data: Attributes) -> HeldSet:
    elements: list[HeldElement] = []
    for _, found in ask("elements", family, text(1, table) + text(2, name)):
        elements += [_element(attributes(body)) for _, body in each(found.get(3, b""))]
    return HeldSet(
        name, number(data.get(3, b"")), number(data.get(4, b"")), number(data.get(5, b"")),
        number(data.get(6, b"")), number(data.get(7, b"")), number(data.get(15, b"")),
        notes(data.get(13, b"")), data, tuple(elements),
    )  # fmt: skip


def _element(parts: Attributes) -> HeldElement:
    return HeldElement(
        attributes(parts.get(1, b"")).get(1, b""), attributes(parts.get(10, b"")).get(1, b""),
        number(parts.get(3, b"")), attributes(parts.get(2, b"")), parts,
    )  # fmt: skip
