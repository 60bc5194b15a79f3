"""From one ruleset to another in one transaction: only the tables that differ are made anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from . import syntax as s
from .compile import FAMILIES, NEWRULE, Batch, Message, TableName, compile_script
from .sources import Place
from .wire import attributes, string

_FAMILIES = {number: name for name, number in FAMILIES.items()}
_APPEND, _REPLACE = 0x800, 0x100

Known = Mapping[str, int]
"""Names of the namespace's interfaces and their indexes."""


def tables(script: s.Script) -> list[TableName]:
    """The tables that a script speaks of, in its order."""
    return list(dict.fromkeys(_name(c) for c in _commands(script.lines) if c.table))


def mentions(script: s.Script, name: TableName) -> list[Place]:
    """Where a script speaks of a table."""
    found = (line.at for line in _commands(script.lines) if _name(line) == name)
    return [script.sources.place(at) for at in found]


def only(script: s.Script, names: set[TableName]) -> s.Script:
    """The part that concerns some tables, with all definitions."""
    lines: list[s.Line] = []
    for line in _flat(script.lines):
        if isinstance(line, s.Define) or _name(line) in names:
            lines.append(line)
    return s.Script(tuple(lines), script.sources)


def differing(before: s.Script, after: s.Script, links: Known) -> list[TableName]:
    """Tables whose messages to the kernel are not the same in both."""
    names = list(dict.fromkeys([*tables(before), *tables(after)]))
    return [n for n in names if _messages(before, n, links) != _messages(after, n, links)]


def swap(before: s.Script, after: s.Script, links: Known) -> Batch:
    """What makes ``after`` out of ``before``. Raises RulesetError, Uncovered."""
    names = differing(before, after, links)
    held = set(tables(before))
    old = [line for name in names if name in held for line in _taken_away(name)]
    new = only(after, set(names))
    return compile_script(s.Script((*old, *new.lines), after.sources), links=links)


def text_of(before: s.Script, after: s.Script, names: list[TableName]) -> s.Script:
    """The same as a script, for whoever takes text."""
    held = set(tables(before))
    old = [line for name in names if name in held for line in _taken_away(name)]
    return s.Script((*old, *only(after, set(names)).lines), after.sources)


def rule_places(script: s.Script, links: Known) -> dict[tuple[str, str, str], list[Place]]:
    """Where each rule of a chain was written, in the chain's order; left out where that is open.

    By family, table and chain. Raises RulesetError, Uncovered.
    """
    batch = compile_script(script, links=links)
    found: dict[tuple[str, str, str], list[Place]] = {}
    unclear: set[tuple[str, str, str]] = set()
    for place, message in enumerate(batch.messages):
        if message.number != NEWRULE:
            continue
        said = attributes(message.body)
        chain = (_FAMILIES[message.family], string(said[1]), string(said[2]))
        known = found.setdefault(chain, [])
        if 6 in said or message.flags & _REPLACE:  # NFTA_RULE_POSITION: beside another one
            unclear.add(chain)
        known.insert(len(known) if message.flags & _APPEND else 0, batch.place(place))
    return {chain: places for chain, places in found.items() if chain not in unclear}


def _taken_away(name: TableName) -> Iterator[s.Line]:
    """Deleting what is not there would be refused, so it is added before."""
    family, table = name
    yield s.Command("add", "table", family, table, body=s.Table(family, table))
    yield s.Command("delete", "table", family, table)


def _messages(script: s.Script, name: TableName, links: Known) -> list[Message]:
    batch = compile_script(only(script, {name}), links=links)
    return [message._replace(at=0) for message in batch.messages]


def _commands(lines: tuple[s.Line, ...]) -> Iterator[s.Command]:
    return (line for line in _flat(lines) if isinstance(line, s.Command))


def _flat(lines: tuple[s.Line, ...]) -> Iterator[s.Command | s.Define]:
    for line in lines:
        if isinstance(line, s.Include):
            yield from _flat(line.lines)
        else:
            yield line


def _name(line: s.Command | s.Define) -> TableName:
    return (line.family or "ip", line.table) if isinstance(line, s.Command) else ("", "")
