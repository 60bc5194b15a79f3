"""From one ruleset to another in one transaction: only the tables that differ are made anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from . import syntax as s
from .compile import Batch, Message, TableName, compile_script
from .problems import Uncovered
from .show import show
from .sources import Place

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
    """Tables that do not come to the same in both."""
    names = list(dict.fromkeys([*tables(before), *tables(after)]))
    return [n for n in names if _meaning(before, n, links) != _meaning(after, n, links)]


def _meaning(script: s.Script, name: TableName, links: Known) -> list[Message] | str:
    """The messages to the kernel; of what is not covered, the text."""
    part = only(script, {name})
    try:
        batch = compile_script(part, links=links)
    except Uncovered:
        return show(part)
    return [message._replace(at=0) for message in batch.messages]


def uncovered(script: s.Script, links: Known) -> set[TableName]:
    """Tables that are not translated here: libnftables loads them."""
    return {name for name in tables(script) if isinstance(_meaning(script, name, links), str)}


def swap(before: s.Script, after: s.Script, links: Known) -> Batch:
    """What makes ``after`` out of ``before``. Raises RulesetError, Uncovered."""
    names = differing(before, after, links)
    return compile_script(text_of(before, after, names), links=links)


def text_of(before: s.Script, after: s.Script, names: list[TableName]) -> s.Script:
    """The same as a script, for whoever takes text."""
    held = set(tables(before))
    old = [line for name in names if name in held for line in _taken_away(name)]
    return s.Script((*old, *only(after, set(names)).lines), after.sources)


ChainName = tuple[str, str, str]
"""A family, a table and a chain."""


def rule_places(script: s.Script) -> dict[ChainName, list[Place]]:
    """Where each rule of a chain was written, in the chain's order; left out where that is open."""
    found: dict[ChainName, list[int]] = {}
    unclear: set[ChainName] = set()
    for line in _commands(script.lines):
        chain = (line.family or "ip", line.table, line.name)
        if isinstance(line.body, s.Table):
            for part in line.body.parts:
                if isinstance(part, s.Chain):
                    known = found.setdefault((*chain[:2], part.name), [])
                    known += [rule.at for rule in part.rules]
        elif isinstance(line.body, s.Chain):
            found.setdefault(chain, []).extend(rule.at for rule in line.body.rules)
        elif line.kind == "rule":
            if not _one_more(line, found.setdefault(chain, [])):
                unclear.add(chain)
        else:
            _gone(line, found)
    return {chain: [script.sources.place(at) for at in rules]
            for chain, rules in found.items() if chain not in unclear}  # fmt: skip


def chain_places(script: s.Script) -> dict[ChainName, Place]:
    """Where each chain was first written."""
    found: dict[ChainName, int] = {}
    for line in _commands(script.lines):
        table = line.family or "ip", line.table
        parts = line.body.parts if isinstance(line.body, s.Table) else ()
        chains = [(part.name, part) for part in parts if isinstance(part, s.Chain)]
        if isinstance(line.body, s.Chain):
            chains.append((line.name, line.body))
        for name, chain in chains:
            found.setdefault((*table, name), chain.at)
    return {chain: script.sources.place(at) for chain, at in found.items()}


def _one_more(line: s.Command, rules: list[int]) -> bool:
    """A rule by itself; False where its place cannot be told from the text."""
    word, index = line.position or ("", 0)
    if word not in ("", "index") or line.verb not in ("add", "create", "insert"):
        return False
    assert isinstance(line.body, s.Rule)
    last = index + 1 if word else len(rules)
    rules.insert(index if line.verb == "insert" else last, line.body.at)
    return True


def _gone(line: s.Command, found: dict[ChainName, list[int]]) -> None:
    """What empties chains, or takes them away."""
    for chain in [each for each in found if _speaks_of(line, each)]:
        del found[chain]


def _speaks_of(line: s.Command, chain: ChainName) -> bool:
    if line.verb not in ("flush", "delete", "destroy"):
        return False
    if line.kind == "ruleset":
        return line.family in ("", chain[0])
    if (line.family or "ip", line.table) != chain[:2]:
        return False
    return line.kind == "table" or (line.kind == "chain" and line.name == chain[2])


def _taken_away(name: TableName) -> Iterator[s.Line]:
    """Deleting what is not there would be refused, so it is added before."""
    family, table = name
    yield s.Command("add", "table", family, table, body=s.Table(family, table))
    yield s.Command("delete", "table", family, table)


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
