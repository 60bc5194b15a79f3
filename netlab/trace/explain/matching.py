"""Whether ``selector operator value`` holds for a packet: yes, no, or why that cannot be said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from netlab.firewall import syntax as s
from netlab.firewall.datatypes import BOOLEAN, Type
from netlab.firewall.loads import field_of, type_of
from netlab.firewall.scope import Scope
from netlab.firewall.sets import kind_of
from netlab.firewall.show_rules import expression
from netlab.trace.explain.packet import Span
from netlab.trace.explain.reading import fib_finds, keys, read
from netlab.trace.explain.ruleset import Table
from netlab.trace.explain.scene import Scene
from netlab.trace.explain.sets import Members, members, since

Truth: TypeAlias = bool | str
"""A text says what is not known."""
ORDERS = ("<", "<=", ">", ">=")


def holds(tree: s.Match, scene: Scene, scope: Scope, table: Table) -> Truth:
    right = scope.replaced(tree.right)
    if isinstance(right, s.SetLiteral | s.SetName):
        return _in_set(tree, right, scene, scope, table)
    if isinstance(tree.left, s.Concat):
        literal = s.SetLiteral((s.Element(right),))
        return _in_set(tree, literal, scene, scope, table)
    if isinstance(right, s.Value) and right.text in BOOLEAN.symbols:
        field = field_of(tree.left)
        if isinstance(tree.left, s.Selector) and field is not None and field.source == "fib":
            return _present(tree, tree.left, right, scene)
    left = read(tree.left, scene, scope)
    if left is None:
        return False
    return _compared(tree, left, right, scope)


def turned(truth: Truth) -> Truth:
    return truth if isinstance(truth, str) else not truth


def _present(tree: s.Match, left: s.Selector, right: s.Value, scene: Scene) -> Truth:
    found = fib_finds(left, scene)
    if found is None:
        return expression(left)
    holds = found == bool(BOOLEAN.symbols[right.text])
    return not holds if tree.operator == "!=" else holds


def _compared(tree: s.Match, left: Span, right: s.Expression, scope: Scope) -> Truth:
    kind = type_of(tree.left)
    if tree.mask is not None:
        bits, wanted = scope.number(kind, tree.mask), scope.number(kind, right)
        truth = _bits(left, bits, wanted, tree)
        return turned(truth) if tree.operator == "!=" else truth
    computed = isinstance(tree.left, s.Binary)
    if tree.operator == "!" or (kind.flags and not tree.operator and not computed):
        return _flags(left, scope.number(kind, right), tree)
    low, high = scope.span(kind, right)
    match tree.operator:
        case "<" | "<=":
            return _below(left, low if tree.operator == "<" else low + 1, tree)
        case ">" | ">=":
            return turned(_below(left, low + 1 if tree.operator == ">" else low, tree))
        case "!=":
            return turned(_within(left, low, high, tree))
    return _within(left, low, high, tree)


def _within(left: Span, low: int, high: int, tree: s.Match) -> Truth:
    if low <= left.low and left.high <= high:
        return True
    return why(left, tree.left) if left.low <= high and low <= left.high else False


def _below(left: Span, limit: int, tree: s.Match) -> Truth:
    if left.high < limit:
        return True
    return why(left, tree.left) if left.low < limit else False


def _flags(left: Span, bits: int, tree: s.Match) -> Truth:
    """Any of the bits; with ``!`` none of them."""
    if not left.known:
        return why(left, tree.left)
    return bool(left.low & bits) != (tree.operator == "!")


def _bits(left: Span, mask: int, wanted: int, tree: s.Match) -> Truth:
    return left.low & mask == wanted if left.known else why(left, tree.left)


def why(left: Span, tree: s.Expression) -> str:
    return left.why or expression(tree)


# sets


def _in_set(
    tree: s.Match, right: s.SetLiteral | s.SetName, scene: Scene, scope: Scope, table: Table
) -> Truth:
    wanted = keys(tree.left, scene, scope)
    if wanted is None:
        return False
    found = finds(tree.left, right, wanted, scene, scope, table)
    inside = [element is not None for element in found]
    if any(inside) and not all(inside):
        return next((k.why for k in wanted if not k.known and k.why), expression(tree.left))
    return all(inside) != (tree.operator == "!=")


def finds(
    key: s.Expression,
    tree: s.SetLiteral | s.SetName | s.Value,
    wanted: Sequence[Span],
    scene: Scene,
    scope: Scope,
    table: Table,
) -> tuple[s.Element | None, ...]:
    """All that may be found in a set or a map, written out or by its name."""
    if isinstance(tree, s.SetLiteral):
        return members(tree.elements, key_types(key), scope).find(wanted)
    name = tree.name if isinstance(tree, s.SetName) else tree.text
    found = contents(name, table).find(wanted)
    return since(found, wanted, scene.puts.get(place_of(name, scene, table), ()))


def contents(name: str, table: Table) -> Members:
    """What a set held before the packet was sent."""
    held = table.sets[name]
    known = table.ready.get(name)
    if known is None:
        known = members(held.elements, kind_of(held, 0, table.scope).key, table.scope)
        table.ready[name] = known
    return known


def place_of(name: str, scene: Scene, table: Table) -> tuple[str, ...]:
    return scene.node, table.family, table.name, name


def key_types(key: s.Expression) -> list[Type]:
    parts = key.parts if isinstance(key, s.Concat) else (key,)
    return [type_of(part) for part in parts]
