"""The ruleset of a namespace → syntax tree and text, as ``nft list ruleset`` writes it."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass

from . import decompile
from . import syntax as s
from .compile import FAMILIES
from .held import Attributes, HeldChain, HeldTable, held
from .hooks import HOOKS, priorities
from .read_objects import named_object
from .read_sets import anonymous, declaration
from .registers import Reading
from .show import table as table_lines
from .wire import attributes, each, notes, number, string

_FAMILY_NAMES = {number: name for name, number in FAMILIES.items()}
_DORMANT = (("dormant", 1), ("owner", 2), ("persist", 4))
_SIGN = 1 << 31
_ONLY = {"dstnat": "prerouting", "srcnat": "postrouting", "out": "output"}
"""Priorities that have their name on one hook only."""


@dataclass(frozen=True)
class Listed:
    """A rule as the kernel holds it: table, chain, handle, and its syntax (with counters)."""

    family: str
    table: str
    chain: str
    handle: int
    rule: s.Rule


def read_ruleset(sock: socket.socket, links: Mapping[str, int] | None = None) -> list[s.Table]:
    """All tables of the namespace in which the socket was opened. Raises ``OSError``.

    ``links``: names of the namespace's interfaces and their indexes.
    """
    names = _names(links)
    return [_table(each, names) for each in held(sock)]


def list_ruleset(sock: socket.socket, links: Mapping[str, int] | None = None) -> str:
    """The text of ``nft list ruleset``."""
    tables = read_ruleset(sock, links)
    return "".join(f"{line}\n" for table in tables for line in table_lines(table))


def list_rules(sock: socket.socket, links: Mapping[str, int] | None = None) -> list[Listed]:
    """Every rule with its handle, in the order of tables, chains and rules."""
    names = _names(links)
    return [
        Listed(_FAMILY_NAMES[table.family], table.name, chain.name, rule.handle,
               decompile.rule(_FAMILY_NAMES[table.family], table, rule, names))
        for table in held(sock)
        for chain in table.chains.values()
        for rule in chain.rules
    ]  # fmt: skip


def _names(links: Mapping[str, int] | None) -> dict[int, str]:
    return {1: "lo"} | {index: name for name, index in (links or {}).items()}


def _table(table: HeldTable, names: dict[int, str]) -> s.Table:
    family = _FAMILY_NAMES.get(table.family, "ip")
    r = Reading(family, table, names)
    parts: list[s.Part] = list(map(named_object, table.objects))
    parts += [declaration(r, each) for each in table.sets.values() if not anonymous(each)]
    parts += list(map(_flowtable, table.flowtables))
    parts += [_chain(family, table, chain, names) for chain in table.chains.values()]
    bits = number(table.attributes.get(2, b""))
    flags = tuple(name for name, bit in _DORMANT if bits & bit)
    comment = string(notes(table.attributes.get(6, b"")).get(0, b""))
    return s.Table(family, table.name, tuple(parts), flags, comment)


def _chain(family: str, table: HeldTable, chain: HeldChain, names: dict[int, str]) -> s.Chain:
    data = chain.attributes
    rules = tuple(decompile.rule(family, table, rule, names) for rule in chain.rules)
    comment = string(notes(data.get(12, b"")).get(0, b""))
    if 4 not in data:
        return s.Chain(chain.name, rules=rules, comment=comment)
    policy = "accept" if number(data.get(5, b"\1")) else "drop"
    offload = bool(number(data.get(10, b"")) & 2)
    return s.Chain(chain.name, _hook(family, data), policy, rules, comment, offload)


def _hook(family: str, data: Attributes) -> s.Hook:
    hook = attributes(data[4])
    which = number(hook[1])
    name = next(name for name, code in HOOKS[family].items() if code == which)
    priority, offset = named_priority(family, name, _signed(number(hook[2])))
    return s.Hook(string(data[7]), name, priority, offset, _devices(hook, 3, 4))


def _devices(hook: Attributes, one: int, several: int) -> tuple[s.Expression, ...]:
    names = sorted(string(name) for _, name in each(hook.get(several, b"")))
    if len(names) > 1:
        return tuple(map(s.Value, names))
    return (s.Value(string(hook[one]), True),) if one in hook else ()


def _signed(value: int) -> int:
    return value - (1 << 32) if value & _SIGN else value


def named_priority(family: str, hook: str, value: int) -> tuple[s.Expression, int]:
    """A name where one is at most ten away, else the number."""
    for name, near in priorities(family).items():
        if hook != _ONLY.get(name, hook):
            continue
        if abs(value - near) <= 10:
            return s.Value(name), value - near
    return s.Value(str(value)), 0


def _flowtable(data: Attributes) -> s.Flowtable:
    hook = attributes(data.get(3, b""))
    priority, offset = named_priority("netdev", "ingress", _signed(number(hook.get(2, b""))))
    bits = number(data.get(7, b""))
    flags = tuple(name for name, bit in (("offload", 1), ("counter", 2)) if bits & bit)
    return s.Flowtable(string(data.get(2, b"")), priority, offset, _devices(hook, 9, 3), flags)
