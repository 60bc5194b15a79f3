"""nftables rules as a packet goes through them: chains by hook and priority, sets, objects.

Made of what the kernel holds (``of_tables``), or of a script that will be given to it
(``of_script``); rules know the line that made them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from netlab.firewall import syntax as s
from netlab.firewall.hooks import device_names, priority
from netlab.firewall.scope import Scope
from netlab.firewall.show_rules import rule as rule_text
from netlab.trace.explain.sets import Members

ChainName = tuple[str, str, str]
"""Family, table and name."""
FAMILIES: Mapping[str, Mapping[int, frozenset[str]]] = {
    "ip": {4: frozenset({"ip", "inet"}), 6: frozenset({"ip6", "inet"})},
    "bridge": dict.fromkeys((4, 6), frozenset({"bridge"})),
    "netdev": dict.fromkeys((4, 6), frozenset({"netdev", "inet"})),
    "arp": dict.fromkeys((4, 6), frozenset({"arp"})),
}
"""Of each layer and IP version, the families of tables that are asked."""


@dataclass(frozen=True)
class Rule:
    tree: s.Rule
    scope: Scope
    """What its names mean."""
    handle: int = 0
    """The kernel's; 0 where it has none yet."""
    place: str = ""
    """``file:line``."""

    @cached_property
    def text(self) -> str:
        return rule_text(self.tree)


@dataclass(frozen=True)
class Chain:
    family: str
    table: str
    name: str
    hook: str = ""
    """"" for one that is only jumped to."""
    type: str = ""
    priority: int = 0
    policy: str = "accept"
    devices: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    place: str = ""
    number: int = 0
    """The place among all chains, in the order in which they were made."""


@dataclass
class Table:
    family: str
    name: str
    chains: dict[str, Chain] = field(default_factory=dict)
    sets: dict[str, s.Set] = field(default_factory=dict)
    objects: dict[tuple[str, str], s.Object] = field(default_factory=dict)
    """By kind and name."""
    scope: Scope = field(default_factory=lambda: Scope({}))
    dormant: bool = False
    ready: dict[str, Members] = field(default_factory=dict)
    """Sets that have been asked for, by name."""


@dataclass(frozen=True)
class Ruleset:
    tables: tuple[Table, ...] = ()
    gaps: tuple[str, ...] = ()
    """What of the text could not be followed."""

    def base_chains(self, layer: str, hook: str, version: int, device: str = "") -> list[Chain]:
        """In the order in which the kernel asks them; of one priority, the newest first."""
        families = FAMILIES[layer][version]
        found = [
            chain
            for table in self.tables
            if table.family in families and not table.dormant
            for chain in table.chains.values()
            if chain.hook == hook and (not chain.devices or device in chain.devices)
        ]
        return sorted(found, key=lambda chain: (chain.priority, -chain.number))

    def table_of(self, chain: Chain) -> Table:
        return next(t for t in self.tables if (t.family, t.name) == (chain.family, chain.table))

    def tracks(self, version: int) -> bool:
        """Whether the kernel tracks connections: only where something asks for them."""
        return bool(self._tracking & FAMILIES["ip"][version])

    def translates(self, version: int) -> int | None:
        """The number of the first chain of NAT; None where there is none."""
        chains = (chain for table in self.tables for chain in table.chains.values())
        families = FAMILIES["ip"][version]
        found = (c.number for c in chains if c.type == "nat" and c.family in families)
        return min(found, default=None)

    @cached_property
    def _tracking(self) -> frozenset[str]:
        """The families of tables that ask for it."""
        asking = (
            table.family
            for table in self.tables
            for chain in table.chains.values()
            if chain.type == "nat" or any(map(_asks_for_tracking, chain.rules))
        )
        return frozenset(asking)



def _asks_for_tracking(rule: Rule) -> bool:
    return any(_mentions(statement) for statement in rule.tree.statements)


def _mentions(tree: object) -> bool:
    """Whether ``ct``, NAT or anything else that needs tracking is in a piece of syntax."""
    match tree:
        case s.Selector(words):
            return words[0] == "ct"
        case s.Nat() | s.Connections() | s.Synproxy():
            return True
        case s.Refer(kind):
            return kind.startswith("ct ") or kind == "synproxy"
        case tuple():
            return any(map(_mentions, tree))
        case s.Bulk():
            return False
    names = getattr(tree, "__slots__", ())
    return any(_mentions(getattr(tree, name)) for name in names)


def of_tables(
    trees: Iterable[s.Table],
    known: Mapping[ChainName, Sequence[tuple[int, str]]],
    links: Mapping[str, int],
) -> Ruleset:
    """As the kernel holds them; ``known``: of a chain's rules, handle and place."""
    lines = [s.Command("add", "table", tree.family, tree.name, body=tree) for tree in trees]
    found = of_script(s.Script(tuple(lines)), links)
    return replace(found, tables=tuple(_numbered(table, known) for table in found.tables))


def _numbered(table: Table, known: Mapping[ChainName, Sequence[tuple[int, str]]]) -> Table:
    chains = {}
    for name, chain in table.chains.items():
        told = known.get((table.family, table.name, name), ())
        rules = [
            replace(rule, handle=told[n][0], place=told[n][1]) if n < len(told) else rule
            for n, rule in enumerate(chain.rules)
        ]
        chains[name] = replace(chain, rules=tuple(rules))
    return replace(table, chains=chains)


def of_script(script: s.Script, links: Mapping[str, int]) -> Ruleset:
    """What the kernel would hold after a script was given to it."""
    maker = _Maker(script, Scope(dict(links)))
    maker.lines(script.lines)
    return Ruleset(tuple(maker.tables.values()), tuple(dict.fromkeys(maker.gaps)))


@dataclass
class _Maker:
    """Follows a script, line by line."""

    script: s.Script
    scope: Scope
    tables: dict[tuple[str, str], Table] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)
    chains: int = 0

    def lines(self, lines: Iterable[s.Line]) -> None:
        for line in lines:
            if isinstance(line, s.Define):
                self.scope.define(line)
            elif isinstance(line, s.Include):
                self.lines(line.lines)
            else:
                self.command(line)

    def place(self, at: int) -> str:
        if not self.script.sources.texts:
            return ""
        place = self.script.sources.place(at)
        return f"{place.file}:{place.line}" if place.file != "<text>" else ""

    def table(self, command: s.Command) -> Table:
        name = (command.family or "ip", command.table)
        if name not in self.tables:
            self.tables[name] = Table(*name, scope=self.scope.inner())
        return self.tables[name]

    def command(self, command: s.Command) -> None:
        do = _VERBS.get(command.verb)
        if do is not None and do(self, command):
            return
        self.gaps.append(f"{self.place(command.at)}: {command.verb} {command.kind}, not followed")

    def add(self, command: s.Command) -> bool:
        table = self.table(command)
        body = command.body
        match body:
            case s.Table():
                table.dormant = "dormant" in body.flags
                table.scope = self.scope.inner()
                self.parts(table, body.parts)
            case s.Chain() | s.Set() | s.Object() | s.Flowtable():
                table.scope.variables.update(self.scope.variables)
                self.parts(table, (body,))
            case s.Rule():
                return self.rule(table, command, body)
            case s.SetLiteral():
                return self.elements(table, command, body.elements)
        return True

    def parts(self, table: Table, parts: Iterable[s.Part | s.Define | s.Include]) -> None:
        some = list(parts)
        for part in some:
            if isinstance(part, s.Define):
                table.scope.define(part)
        for part in some:
            if isinstance(part, s.Chain):
                self.chain(table, part)
            elif isinstance(part, s.Set):
                before = table.sets.get(part.name)
                if before is not None:
                    part = replace(part, elements=(*before.elements, *part.elements))
                table.sets[part.name] = part
            elif isinstance(part, s.Object):
                table.objects[part.kind, part.name] = part

    def chain(self, table: Table, part: s.Chain) -> None:
        chain = table.chains.get(part.name)
        if chain is None:
            self.chains += 1
            place = self.place(part.at)
            chain = Chain(
                table.family, table.name, part.name, place=place, number=self.chains
            )
        if part.hook is not None:
            chain = replace(
                chain,
                hook=part.hook.hook,
                type=part.hook.type,
                priority=priority(part.hook, table.family, table.scope),
                devices=tuple(device_names(part.hook.devices, table.scope)),
            )
        if part.policy:
            chain = replace(chain, policy=self.policy(table, part))
        rules = tuple(self.made(table, rule) for rule in part.rules)
        table.chains[part.name] = replace(chain, rules=(*chain.rules, *rules))

    def policy(self, table: Table, part: s.Chain) -> str:
        if not part.policy.startswith("$"):
            return part.policy
        value = table.scope.replaced(s.Variable(part.policy[1:], part.at))
        return value.kind if isinstance(value, s.Verdict) else getattr(value, "text", "accept")

    def made(self, table: Table, tree: s.Rule) -> Rule:
        return Rule(tree, table.scope, place=self.place(tree.at))

    def rule(self, table: Table, command: s.Command, tree: s.Rule) -> bool:
        chain = table.chains.get(command.name)
        if chain is None or command.position:
            return False
        table.scope.variables.update(self.scope.variables)
        made = self.made(table, tree)
        first = command.verb == "insert"
        rules = (made, *chain.rules) if first else (*chain.rules, made)
        table.chains[command.name] = replace(chain, rules=rules)
        return command.verb in ("add", "insert", "create")

    def elements(self, table: Table, command: s.Command, more: tuple[s.Member, ...]) -> bool:
        held = table.sets.get(command.name)
        if held is None:
            return False
        table.sets[command.name] = replace(held, elements=(*held.elements, *more))
        return True

    def remove(self, command: s.Command) -> bool:
        name = (command.family or "ip", command.table)
        if command.kind == "table" and command.handle is None:
            self.tables.pop(name, None)
            return True
        table = self.tables.get(name)
        if table is None:
            return command.verb == "destroy"
        if command.kind == "chain":
            return table.chains.pop(command.name, None) is not None
        if command.kind in ("set", "map"):
            return table.sets.pop(command.name, None) is not None
        return False

    def flush(self, command: s.Command) -> bool:
        if command.kind == "ruleset":
            self.tables.clear()
            return True
        table = self.tables.get((command.family or "ip", command.table))
        if table is None:
            return False
        for name in self.flushed(table, command):
            table.chains[name] = replace(table.chains[name], rules=())
        if command.kind in ("set", "map") and command.name in table.sets:
            table.sets[command.name] = replace(table.sets[command.name], elements=())
        return True

    def flushed(self, table: Table, command: s.Command) -> Iterator[str]:
        if command.kind == "table":
            yield from list(table.chains)
        elif command.kind == "chain" and command.name in table.chains:
            yield command.name


_VERBS = {
    **dict.fromkeys(("", "add", "create", "insert"), _Maker.add),
    **dict.fromkeys(("delete", "destroy"), _Maker.remove),
    "flush": _Maker.flush,
}
