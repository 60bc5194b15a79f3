"""Syntax tree → one batch of netlink messages, each with the place in the text that made it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from . import syntax as s
from .flowtables import flowtable_body
from .hooks import chain_hook
from .objects import object_body
from .pace import without_collector
from .problems import RuleProblem, RulesetError, Uncovered, Wrong, did_you_mean
from .scope import Scope, SetKind, Tables, circles
from .sets import CREATE, NEWSETELEM, OBJECT_KINDS, SetMessage, filled, kind_of, named
from .sources import Place, Sources
from .statements import rule_expressions, statement
from .wire import attribute, attributes, nest, text, u32, u64, userdata
from .writer import Writer

FAMILIES = {"inet": 1, "ip": 2, "arp": 3, "netdev": 5, "bridge": 7, "ip6": 10}
(NEWTABLE, DELTABLE, NEWCHAIN, DELCHAIN, NEWRULE, DELRULE, DELSET, DELSETELEM, NEWOBJ, DELOBJ,
 NEWFLOWTABLE, DELFLOWTABLE) = 0, 2, 3, 5, 6, 8, 11, 14, 18, 20, 22, 24  # fmt: skip
_DESTROYED = {DELTABLE: 26, DELCHAIN: 27, DELRULE: 28, DELSET: 29, DELSETELEM: 30, DELOBJ: 31,
              DELFLOWTABLE: 32}  # fmt: skip
_EXCL, _APPEND, _REPLACE = 0x200, 0x800, 0x100


class Message(NamedTuple):
    """One change: NFT_MSG number, family, NLM_F flags, attributes, and where it was written."""

    number: int
    family: int
    flags: int
    body: bytes
    at: int


@dataclass(frozen=True)
class Batch:
    """The messages of a whole script; they come true together or not at all."""

    messages: tuple[Message, ...]
    sources: Sources

    def place(self, message: int) -> Place:
        """Where in the text a message came from."""
        return self.sources.place(self.messages[message].at)


TableName = tuple[str, str]
"""A family and a name."""


def compile_script(script: s.Script, *, links: Mapping[str, int] | None = None,
                   known: Mapping[TableName, Tables] | None = None) -> Batch:  # fmt: skip
    """All changes of a script, as messages; all mistakes at once, as ``RulesetError``.

    ``links``: names of the namespace's interfaces and their indexes (``iif``, ``oif``, ``fwd``);
    only those that rules name are looked up.
    ``known``: what the kernel holds already and the script may name.
    Correct rules that are not covered raise ``Uncovered``.
    """
    work = _Work(Scope({"lo": 1} if links is None else links), dict(known or {}))
    with without_collector():
        work.lines(script.lines)
    work.problems += [wrong for tables in work.tables.values() for wrong in circles(tables)]
    if work.problems:
        kind = Uncovered if all(wrong.uncovered for wrong in work.problems) else RulesetError
        raise kind(tuple(sorted({_problem(script, wrong) for wrong in work.problems})))
    return Batch(tuple(work.messages), script.sources)


def _problem(script: s.Script, wrong: Wrong) -> RuleProblem:
    return RuleProblem(script.sources.place(wrong.at), wrong.message, wrong.hint)


@dataclass
class _Work:
    scope: Scope
    tables: dict[TableName, Tables]
    messages: list[Message] = field(default_factory=list)
    problems: list[Wrong] = field(default_factory=list)

    def lines(self, lines: tuple[s.Line, ...]) -> None:
        for line in lines:
            try:
                self.line(line)
            except Wrong as wrong:
                self.problems.append(wrong)

    def line(self, line: s.Line) -> None:
        if isinstance(line, s.Define):
            self.scope.define(line)
        elif isinstance(line, s.Include):
            self.lines(line.lines)
        else:
            self.command(line)

    def say(self, number: int, family: str, flags: int, body: bytes, at: int) -> None:
        self.messages.append(Message(number, FAMILIES.get(family, 0), flags, body, at))

    def table(self, tree: s.Command) -> Tables:
        name = (tree.family, tree.table)
        if name not in self.tables:
            self.tables[name] = Tables(open=True)
        return self.tables[name]

    # ---- commands

    def command(self, tree: s.Command) -> None:
        if tree.kind == "ruleset":
            self.say(DELTABLE, tree.family, 0, b"", tree.at)
            return
        if tree.kind == "table" and isinstance(tree.body, s.Table):
            self.whole_table(tree, tree.body)
            return
        do = _COMMANDS.get((tree.verb, tree.kind)) or _OBJECT_COMMANDS.get(tree.verb)
        if do is None:
            raise Wrong(tree.at, f"{tree.verb} does not go with a {tree.kind}")
        do(self, tree)

    def whole_table(self, tree: s.Command, body: s.Table) -> None:
        name = (tree.family, tree.table)
        tables = self.tables.setdefault(name, Tables())
        create = CREATE | (_EXCL if tree.verb == "create" else 0)
        self.say(NEWTABLE, tree.family, create, _table_body(body), tree.at)
        outer = self.scope
        self.scope = outer.inner()
        try:
            _TableWork(self, tree.family, tree.table, tables).parts(body.parts)
        finally:
            outer.counted = self.scope.counted
            self.scope = outer

    def inside(self, tree: s.Command) -> _TableWork:
        return _TableWork(self, tree.family, tree.table, self.table(tree))


def _table_body(tree: s.Table) -> bytes:
    flags = 0
    for flag in tree.flags:
        flags |= {"dormant": 1, "owner": 2, "persist": 4}[flag]
    body = text(1, tree.name) + u32(2, flags)
    if tree.comment:
        body += attribute(6, userdata((0, tree.comment.encode() + b"\0")))
    return body


@dataclass
class _TableWork:
    """The inside of one table."""

    work: _Work
    family: str
    name: str
    tables: Tables

    def say(self, number: int, flags: int, body: bytes, at: int) -> None:
        self.work.say(number, self.family, flags, body, at)

    def parts(self, parts: tuple[s.Part | s.Define, ...]) -> None:
        """First what rules name (in the order that nft sends), then the rules."""
        plain = [part for part in parts if not isinstance(part, s.Define)]
        for part in parts:
            if isinstance(part, s.Define):
                self.work.scope.define(part)
        for kind in (s.Chain, s.Object, s.Set, s.Flowtable):
            for part in plain:
                if isinstance(part, kind):
                    self.attempt(lambda part=part: self.declare(part))  # type: ignore[misc]
        for part in plain:
            if isinstance(part, s.Chain):
                for rule in part.rules:
                    try:
                        self.rule(part.name, rule, CREATE | _APPEND)
                    except Wrong as wrong:
                        self.work.problems.append(wrong)
            elif isinstance(part, s.Set) and part.elements:
                self.attempt(lambda part=part: self.fill(part))  # type: ignore[misc]

    def attempt(self, do: Callable[[], None]) -> None:
        try:
            do()
        except Wrong as wrong:
            self.work.problems.append(wrong)

    def declare(self, part: s.Part, create: int = CREATE) -> None:
        if isinstance(part, s.Chain):
            self.tables.chains.add(part.name)
            if part.hook:
                self.tables.bases.add(part.name)
            self.say(NEWCHAIN, create, self.chain_body(part), part.at)
        elif isinstance(part, s.Object):
            self.tables.objects[part.name, part.kind] = OBJECT_KINDS[part.kind]
            self.say(NEWOBJ, create, text(1, self.name) + object_body(part, self.family), part.at)
        elif isinstance(part, s.Set):
            kind = kind_of(part, self.work.scope.next(), self.work.scope)
            self.tables.sets[part.name] = kind
            self.tell(named(self.name, part, kind, create, self.writer().stateful))
        else:
            self.tables.flowtables.add(part.name)
            body = text(1, self.name) + flowtable_body(part, self.work.scope)
            self.say(NEWFLOWTABLE, create, body, part.at)

    def tell(self, message: SetMessage) -> None:
        self.say(message.number, message.flags, message.body, message.at)

    def chain_body(self, tree: s.Chain) -> bytes:
        body = text(1, self.name) + text(3, tree.name)
        if tree.hook:
            body += chain_hook(tree, tree.hook, self.family, self.work.scope)
        elif tree.policy:
            raise Wrong(tree.at, "a chain without a hook has no policy", "add 'type … hook …'")
        if tree.comment:
            body += attribute(12, userdata((0, tree.comment.encode() + b"\0")))
        return body

    def fill(self, part: s.Set) -> None:
        kind = self.tables.sets.get(part.name)
        if kind is not None:
            self.elements(kind, part.elements, part.at, CREATE, NEWSETELEM)

    def elements(self, kind: SetKind, members: tuple[s.Member, ...], at: int,
                 flags: int, number: int) -> None:  # fmt: skip
        scope = self.work.scope
        for message in filled(self.name, kind, scope.members(members), scope,
                              self.writer().stateful, at, flags, number):  # fmt: skip
            self.tell(message)

    def writer(self, chain: str = "") -> Writer:
        return Writer(self.family, self.name, self.tables, self.work.scope, statement, chain)

    def rule(self, chain: str, tree: s.Rule, flags: int, more: bytes = b"",
             index: int | None = None) -> None:  # fmt: skip
        """``index``: of the rule in its chain that it comes next to."""
        writer = self.writer(chain)
        expressions = rule_expressions(writer, tree)
        for message in writer.sets:
            self.say(message.number, message.flags, message.body, tree.at)
        rules = self.tables.rules.setdefault(chain, [])
        if index is not None:
            more = self.beside(chain, index, tree.at)
        body = text(1, self.name) + text(2, chain) + more + nest(4, *expressions)
        if tree.comment:
            body += attribute(7, userdata((0, tree.comment.encode() + b"\0")))
        first, last = (index, index + 1) if index is not None else (0, len(rules))
        rules.insert(last if flags & _APPEND else first, len(self.work.messages))
        self.say(NEWRULE, flags, body, tree.at)

    def beside(self, chain: str, index: int, at: int) -> bytes:
        """NFTA_RULE_POSITION_ID; the other rule gets an NFTA_RULE_ID for it."""
        rules = self.tables.rules[chain]
        if self.tables.open or index >= len(rules):
            raise Wrong(at, f"chain {chain} has no rule with index {index} here",
                        f"it has {len(rules)}; the first has index 0")  # fmt: skip
        message = self.work.messages[rules[index]]
        known = attributes(message.body).get(9)
        if known is not None:
            return attribute(10, known)
        number = self.work.scope.next()
        self.work.messages[rules[index]] = message._replace(body=message.body + u32(9, number))
        return u32(10, number)


# ---- single commands


def _add_table(work: _Work, tree: s.Command) -> None:
    work.whole_table(tree, s.Table(tree.family, tree.table))


def _delete_table(work: _Work, tree: s.Command) -> None:
    body = u64(4, tree.handle) if tree.handle is not None else text(1, tree.table)
    work.say(_gone(tree, DELTABLE), tree.family, 0, body, tree.at)
    work.tables.pop((tree.family, tree.table), None)


def _gone(tree: s.Command, number: int) -> int:
    return _DESTROYED[number] if tree.verb == "destroy" else number


def _flush_table(work: _Work, tree: s.Command) -> None:
    work.table(tree).rules.clear()
    work.say(DELRULE, tree.family, 0, text(1, tree.table), tree.at)


def _add_part(work: _Work, tree: s.Command) -> None:
    inside = work.inside(tree)
    assert isinstance(tree.body, s.Chain | s.Set | s.Object | s.Flowtable)
    inside.declare(tree.body, CREATE | (_EXCL if tree.verb == "create" else 0))
    if isinstance(tree.body, s.Set) and tree.body.elements:
        inside.fill(tree.body)
    if isinstance(tree.body, s.Chain):
        for rule in tree.body.rules:
            inside.rule(tree.body.name, rule, CREATE | _APPEND)


def _delete_chain(work: _Work, tree: s.Command) -> None:
    name = u64(2, tree.handle) if tree.handle is not None else text(3, tree.name)
    work.say(_gone(tree, DELCHAIN), tree.family, 0, text(1, tree.table) + name, tree.at)


def _flush_chain(work: _Work, tree: s.Command) -> None:
    work.table(tree).rules.pop(tree.name, None)
    work.say(DELRULE, tree.family, 0, text(1, tree.table) + text(2, tree.name), tree.at)


def _delete_set(work: _Work, tree: s.Command) -> None:
    name = u64(16, tree.handle) if tree.handle is not None else text(2, tree.name)
    work.say(_gone(tree, DELSET), tree.family, 0, text(1, tree.table) + name, tree.at)


def _flush_set(work: _Work, tree: s.Command) -> None:
    work.say(DELSETELEM, tree.family, 0, text(1, tree.table) + text(2, tree.name), tree.at)


def _elements(work: _Work, tree: s.Command) -> None:
    inside = work.inside(tree)
    kind = inside.tables.sets.get(tree.name)
    if kind is None:
        raise Wrong(tree.at, f"table {tree.table} has no set {tree.name!r}",
                    did_you_mean(tree.name, inside.tables.sets))  # fmt: skip
    assert isinstance(tree.body, s.SetLiteral)
    adding = tree.verb in ("add", "create")
    flags = CREATE | (_EXCL if tree.verb == "create" else 0) if adding else 0
    number = NEWSETELEM if adding else _gone(tree, DELSETELEM)
    inside.elements(kind, tree.body.elements, tree.at, flags, number)


def _rule(work: _Work, tree: s.Command) -> None:
    assert isinstance(tree.body, s.Rule)
    flags = {"add": CREATE | _APPEND, "insert": CREATE, "create": CREATE | _APPEND,
             "replace": _REPLACE}[tree.verb]  # fmt: skip
    inside = work.inside(tree)
    if tree.name not in inside.tables.chains and not inside.tables.open:
        raise Wrong(tree.at, f"table {tree.table} has no chain {tree.name!r}",
                    did_you_mean(tree.name, inside.tables.chains))  # fmt: skip
    word, number = tree.position or ("", 0)
    if tree.verb == "replace" and word != "handle":
        raise Wrong(tree.at, "replace needs the handle of a rule")
    more = u64(3 if tree.verb == "replace" else 6, number) if word else b""
    inside.rule(tree.name, tree.body, flags, more, number if word == "index" else None)


def _delete_rule(work: _Work, tree: s.Command) -> None:
    if not tree.position or tree.position[0] != "handle":
        raise Wrong(tree.at, f"{tree.verb} rule needs the handle of a rule")
    body = text(1, tree.table) + text(2, tree.name) + u64(3, tree.position[1])
    work.say(_gone(tree, DELRULE), tree.family, 0, body, tree.at)


def _delete_flowtable(work: _Work, tree: s.Command) -> None:
    body = text(1, tree.table) + text(2, tree.name)
    work.say(_gone(tree, DELFLOWTABLE), tree.family, 0, body, tree.at)


def _delete_object(work: _Work, tree: s.Command) -> None:
    name = u64(6, tree.handle) if tree.handle is not None else text(2, tree.name)
    kind = u32(3, OBJECT_KINDS[tree.kind])
    work.say(_gone(tree, DELOBJ), tree.family, 0, text(1, tree.table) + name + kind, tree.at)


_Do = Callable[[_Work, s.Command], None]


def _commands() -> Iterator[tuple[tuple[str, str], _Do]]:
    for verb in ("add", "create"):
        yield (verb, "table"), _add_table
        for kind in ("chain", "set", "map", "flowtable"):
            yield (verb, kind), _add_part
    for verb in ("delete", "destroy"):
        yield (verb, "table"), _delete_table
        yield (verb, "chain"), _delete_chain
        yield (verb, "rule"), _delete_rule
        yield (verb, "flowtable"), _delete_flowtable
        yield from (((verb, kind), _delete_set) for kind in ("set", "map"))
    yield from (((verb, "element"), _elements) for verb in ("add", "create", "delete", "destroy"))
    yield from (((verb, "rule"), _rule) for verb in ("add", "insert", "replace", "create"))
    yield ("flush", "table"), _flush_table
    yield ("flush", "chain"), _flush_chain
    yield ("flush", "set"), _flush_set
    yield ("flush", "map"), _flush_set


_COMMANDS: dict[tuple[str, str], _Do] = dict(_commands())
_OBJECT_COMMANDS: dict[str, _Do] = {
    "add": _add_part, "create": _add_part, "delete": _delete_object, "destroy": _delete_object,
}  # fmt: skip
