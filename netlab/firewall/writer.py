"""A rule while it is compiled: what is known of the packet, the expressions so far, its sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from . import syntax as s
from .datatypes import Type
from .elements import chain_name, network_order
from .fields import LINK, NETWORK
from .loads import Loaded, field_of, icmp_types, load_all, protocol_of, selectors
from .needs import Item, Packet
from .ops import lookup, reference_by
from .problems import Wrong, did_you_mean
from .scope import CONCAT, INTERVAL, MAP, OBJECT, Scope, SetKind, Tables
from .sets import SetMessage, anonymous


@lru_cache(2048)
def _needed(words: tuple[str, ...]) -> tuple[str, bool, tuple[int, ...]]:
    """The protocol of a selector, whether it lies inside of it, and the icmp types that have it."""
    tree = s.Selector(words)
    found = field_of(tree)
    assert found is not None
    return protocol_of(found), found.source == "exthdr", icmp_types(tree)


@dataclass
class Writer:
    """Statements add to ``items``; anonymous sets become messages before the rule's own."""

    family: str
    table: str
    known: Tables
    scope: Scope
    statement: Callable[[Writer, s.Statement], None]
    inside: str = ""
    """The chain that the rule stands in."""
    packet: Packet = field(init=False)
    items: list[Item] = field(default_factory=list)
    sets: list[SetMessage] = field(default_factory=list)
    icmp: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self.packet = Packet(self.family)

    def emit(self, *items: Item) -> None:
        self.items.extend(items)

    def told(self, tree: s.Expression) -> s.Expression:
        """In full words: what the family, or what is known of the packet, has to say to it."""
        if type(tree) is s.Selector:
            tell = _TOLD.get(tree.words[0])
            return tell(self, tree) if tell else tree
        if isinstance(tree, s.Concat):
            return s.Concat(tuple(map(self.told, tree.parts)), tree.at)
        if isinstance(tree, s.Binary):
            return s.Binary(tree.operator, self.told(tree.left), tree.right, tree.at)
        return tree

    def need(self, tree: s.Expression) -> None:
        """Matches that must precede what an expression reads."""
        for each in (tree,) if type(tree) is s.Selector else selectors(tree):
            if not isinstance(each, s.Selector):
                continue
            protocol, inner, types = _needed(each.words)
            if protocol:
                self.items += self.packet.need(protocol, each.at, inner)
            if types and not (self.icmp and set(self.icmp) <= set(types)):
                self._need_icmp(each, types)

    def _need_icmp(self, tree: s.Expression, types: tuple[int, ...]) -> None:
        assert isinstance(tree, s.Selector)
        self.icmp = types
        selector = s.Selector((tree.words[0], "type"), tree.at)
        values = tuple(s.Value(str(each), False, tree.at) for each in types)
        right: s.Expression = values[0]
        if len(values) > 1:
            right = s.SetLiteral(tuple(s.Element(each, at=tree.at) for each in values), tree.at)
        self.statement(self, s.Match(selector, "", right, None, tree.at))

    def set_named(self, tree: s.SetName | s.Value) -> SetKind:
        name = tree.name if isinstance(tree, s.SetName) else tree.text
        if name not in self.known.sets:
            raise Wrong(tree.at, f"table {self.table} has no set {name!r}",
                        did_you_mean(name, self.known.sets))  # fmt: skip
        return self.known.sets[name]

    def chain(self, tree: s.Verdict) -> str:
        name = chain_name(tree, self.scope)
        if not name:
            return name
        if name not in self.known.chains and not self.known.open:
            raise Wrong(tree.at, f"table {self.table} has no chain {name!r}",
                        did_you_mean(name, self.known.chains))  # fmt: skip
        if name in self.known.bases:
            raise Wrong(tree.at, f"chain {name!r} has a hook: only the kernel enters it",
                        f"{tree.kind} to a chain without one")  # fmt: skip
        self.known.jumps.setdefault(self.inside, {}).setdefault(name, tree.at)
        return name

    def new_set(self, prefix: str, kind: SetKind, loaded: list[Loaded],
                elements: list[s.Element | s.Bulk], key: s.Expression) -> SetKind:  # fmt: skip
        self.sets.extend(
            anonymous(self.table, prefix, kind, loaded, elements, self.scope, self.stateful, key)
        )
        return kind

    def stateful(self, statements: tuple[s.Statement, ...]) -> list[bytes]:
        """Counters and limits that hang on an element."""
        inner = Writer(self.family, self.table, self.known, self.scope, self.statement)
        for each in statements:
            self.statement(inner, each)
        return [item for item in inner.items if isinstance(item, bytes)]

    # ---- looking up

    def look_up(self, key: s.Expression, table: s.Expression, *, slot: int = 0,
                to: int | None = None, data: tuple[Type, ...] | None = None,
                verdicts: bool = False, inverted: bool = False,
                objects: int = 0, ranges: bool = False) -> SetKind:  # fmt: skip
        """``key`` in a set or a map, named or written out; what it finds goes to slot ``to``."""
        table, key = self.scope.replaced(table), self.told(key)
        self.need(key)
        if isinstance(table, s.SetLiteral):
            elements = self.scope.members(table.elements)
            if not elements:
                raise Wrong(table.at, "the set is empty", "nothing would ever match")
            interval = any(map(self._is_span, elements))
            loaded, more = load_all(key, slot, self.scope, interval)
            kind = self._literal_kind(loaded, interval, data, verdicts, objects, ranges)
            self._check_jumps(elements)
            prefix = "objmap" if objects else "set" if to is None else "map"
            self.new_set(prefix, kind, loaded, elements, key)
            name = f"__{prefix}%d"
        elif isinstance(table, s.SetName | s.Value):
            kind = self.set_named(table)
            loaded, more = load_all(key, slot, self.scope, bool(kind.flags & INTERVAL))
            _fits(table, kind, loaded)
            self._check_kind(table, kind, to, data, verdicts, objects)
            name = kind.name
        else:
            raise Wrong(table.at, "expected a set: { … } or @name")
        self.items.extend(more)
        self._looked(name, kind, slot, to, inverted, objects)
        return kind

    def _looked(self, name: str, kind: SetKind, slot: int, to: int | None, inverted: bool,
                objects: int) -> None:  # fmt: skip
        if objects:
            self.emit(reference_by(slot, name, kind.number))
        else:
            self.emit(lookup(slot, name, kind.number, to, inverted))

    def _check_kind(self, table: s.SetName | s.Value, kind: SetKind, to: int | None,
                    data: tuple[Type, ...] | None, verdicts: bool,
                    objects: int) -> None:  # fmt: skip
        if verdicts != kind.verdicts or bool(objects) != bool(kind.object):
            wanted = "a verdict map" if verdicts else "a map of objects" if objects else "a set"
            raise Wrong(table.at, f"{kind.name} is not {wanted}")
        if to is not None and not verdicts and kind.data is None:
            raise Wrong(table.at, f"{kind.name} is a set, and maps to nothing")

    def _check_jumps(self, elements: list[s.Element | s.Bulk]) -> None:
        for each in elements:
            if isinstance(each, s.Element) and isinstance(each.data, s.Verdict):
                self.chain(each.data)

    def _literal_kind(self, loaded: list[Loaded], interval: bool,
                      data: tuple[Type, ...] | None, verdicts: bool, objects: int,
                      ranges: bool) -> SetKind:  # fmt: skip
        types = tuple(each.type for each in loaded)
        flags = 3 | (INTERVAL if interval else 0)
        flags |= MAP if verdicts or data else OBJECT if objects else 0
        if interval:
            types = network_order(types)
            flags |= CONCAT if len(types) > 1 else 0
        return SetKind("", types, data, flags, objects, verdicts, self.scope.next(),
                       data_interval=ranges)  # fmt: skip

    def _is_span(self, each: s.Element | s.Bulk) -> bool:
        if isinstance(each, s.Bulk):
            return any("/" in text or "-" in text for text in each.texts)
        key = self.scope.replaced(each.key)
        parts = key.parts if isinstance(key, s.Concat) else (key,)
        return any(map(self.is_span, parts))

    def is_span(self, tree: s.Expression) -> bool:
        tree = self.scope.replaced(tree)
        if isinstance(tree, s.Value):
            return tree.text.endswith("*") and not tree.text.endswith("\\*")
        return isinstance(tree, s.Prefix | s.Range)


def _addresses(w: Writer, tree: s.Selector) -> s.Selector:
    """``ct original saddr``, ``rt nexthop``: of the table's family."""
    words = tree.words
    if words[-1] not in ("saddr", "daddr", "nexthop") or "ip" in words or "ip6" in words:
        return tree
    family = w.family if w.family in ("ip", "ip6") else w.packet.known.get(NETWORK, "")
    if family not in ("ip", "ip6"):
        raise Wrong(tree.at, "which addresses are meant?",
                    f"write {' '.join((*words[:-1], 'ip', words[-1]))}")  # fmt: skip
    return s.Selector((*words[:-1], family, words[-1]), tree.at)


def _vlan(w: Writer, tree: s.Selector) -> s.Selector:
    """Behind ``vlan type 8021q`` the next header is meant."""
    deeper = w.packet.known.get(LINK, "").removeprefix("vlan")
    return s.Selector((*tree.words, deeper), tree.at) if deeper.startswith("+") else tree


_TOLD: dict[str, Callable[[Writer, s.Selector], s.Selector]] = {
    "ct": _addresses, "rt": _addresses, "vlan": _vlan,
}  # fmt: skip


def _fits(table: s.SetName | s.Value, kind: SetKind, loaded: list[Loaded]) -> None:
    if len(kind.key) != len(loaded):
        raise Wrong(table.at, f"keys of {kind.name} have {len(kind.key)} parts, "
                    f"this has {len(loaded)}")  # fmt: skip
    for wanted, got in zip(kind.key, loaded, strict=True):
        if wanted.bytes != got.width:
            raise Wrong(table.at, f"{kind.name} holds {wanted.name}, this is {got.type.name}")


