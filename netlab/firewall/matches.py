"""``selector operator value`` → kernel expressions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import ops
from . import syntax as s
from .datatypes import BOOLEAN, Type
from .fields import Field
from .loads import Loaded, field_of, into_network_order, load, type_of
from .needs import TELLING, Equal
from .problems import Wrong
from .writer import Writer

_COMPARE = {"": ops.EQ, "==": ops.EQ, "!=": ops.NEQ, "<": ops.LT, "<=": ops.LTE, ">": ops.GT,
            ">=": ops.GTE, "!": ops.EQ}  # fmt: skip


def match(w: Writer, tree: s.Match) -> None:
    """A comparison, a range, a set, or a test of flags."""
    left = w.told(tree.left)
    if left is not tree.left:
        tree = s.Match(left, tree.operator, tree.right, tree.mask, tree.at)
    right = w.scope.replaced(tree.right)
    _RIGHT.get(type(right), _plain)(w, tree, right)


def _literal(w: Writer, tree: s.Match, right: s.SetLiteral) -> None:
    one = _single(w, right)
    if one is None:
        _in_set(w, tree, right)
    else:
        right_one = w.scope.replaced(one)
        _RIGHT.get(type(right_one), _plain)(w, tree, right_one)


def _plain(w: Writer, tree: s.Match, right: s.Expression) -> None:
    if isinstance(tree.left, s.Concat):
        _concatenation(w, tree, right)
        return
    w.need(tree.left)
    if isinstance(right, s.Value) and right.text[-1:] == "*" and w.is_span(right) and (
        type_of(tree.left).form == "string"
    ):  # fmt: skip
        _beginning(w, tree, right)
    else:
        _value(w, tree, right)


def _single(w: Writer, right: s.SetLiteral) -> s.Expression | None:
    """A set of one plain element is no set."""
    members = w.scope.members(right.elements)
    if len(members) != 1:
        return None
    each = members[0]
    if isinstance(each, s.Bulk):
        return s.plain(each.texts[0], each.at) if len(each.texts) == 1 else None
    if each.comment or each.timeout or each.statements or each.data is not None:
        return None
    if isinstance(each.key, s.Concat | s.Wildcard):
        return None
    return each.key


def _in_set(w: Writer, tree: s.Match, right: s.Expression) -> None:
    _no_order(tree, "a set")
    w.look_up(tree.left, right, inverted=tree.operator == "!=")
    if isinstance(right, s.SetLiteral) and _is_icmp_type(tree.left) and tree.operator != "!=":
        kind = type_of(tree.left)
        w.icmp = tuple(w.scope.span(kind, each.key)[0] for each in w.scope.elements(right.elements))


def _is_icmp_type(left: s.Expression) -> bool:
    return isinstance(left, s.Selector) and left.words in (("icmp", "type"), ("icmpv6", "type"))


def _concatenation(w: Writer, tree: s.Match, right: s.Expression) -> None:
    literal = s.SetLiteral((s.Element(right, at=right.at),), right.at)
    w.look_up(tree.left, literal, inverted=tree.operator == "!=")


def _load(w: Writer, left: s.Expression, right: s.Expression) -> Loaded:
    boolean = isinstance(right, s.Value) and right.text in BOOLEAN.symbols
    field = field_of(left)
    present = boolean and field is not None and field.source == "fib"
    loaded, found = load(left, 0, w.scope, present)
    w.items.extend(found)
    return loaded


def _turned(w: Writer, loaded: Loaded) -> Loaded:
    found: list[bytes] = []
    turned = into_network_order(loaded, 0, found)
    w.items.extend(found)
    return turned


def _span(w: Writer, tree: s.Match, right: s.Range) -> None:
    if isinstance(tree.left, s.Concat):
        _concatenation(w, tree, right)
        return
    w.need(tree.left)
    _no_order(tree, "a range")
    loaded = _turned(w, _load(w, tree.left, right))
    low, high = map(loaded.encode, w.scope.span(_typed(loaded), right))
    if tree.operator == "!=":
        w.emit(ops.outside(0, low, high))
    else:
        w.emit(ops.compare(0, ops.GTE, low), ops.compare(0, ops.LTE, high))


def _no_order(tree: s.Match, what: str) -> None:
    if tree.operator not in ("", "==", "!="):
        raise Wrong(tree.at, f"{tree.operator} does not go with {what}")


def _typed(loaded: Loaded) -> Type:
    """The type as the user writes it."""
    return loaded.field.type if loaded.field is not None and loaded.mask != -1 else loaded.type


def _prefix(w: Writer, tree: s.Match, right: s.Prefix) -> None:
    if isinstance(tree.left, s.Concat):
        _concatenation(w, tree, right)
        return
    w.need(tree.left)
    _no_order(tree, "a range")
    field = field_of(tree.left)
    kind = type_of(tree.left)
    low, _ = w.scope.span(kind, right)
    operator = ops.NEQ if tree.operator == "!=" else ops.EQ
    if right.length % 8 == 0 < right.length and kind.order == ">" and field is not None:
        data = low.to_bytes(kind.bytes, "big")[: right.length // 8]
        _first_bytes(w, tree, right, field, operator, data)
        return
    loaded = _load(w, tree.left, right)
    mask = (1 << kind.bits) - (1 << kind.bits - right.length)
    if right.length < kind.bits:
        w.emit(ops.bitwise(0, loaded.encode(mask), bytes(loaded.width)))
    w.emit(ops.compare(0, operator, loaded.encode(low)))


def _first_bytes(w: Writer, tree: s.Match, right: s.Prefix, field: Field, operator: int,
                 data: bytes) -> None:  # fmt: skip
    """A prefix of whole bytes: only these are compared, and read, where they can be read alone."""
    if field.source != "payload":
        _load(w, tree.left, right)
        w.emit(ops.compare(0, operator, data))
        return
    base, first, bits = field.where
    if operator == ops.EQ and right.length == bits:
        w.emit(Equal(base, first // 8, data))
    else:
        w.emit(ops.payload(0, base, first // 8, len(data)), ops.compare(0, operator, data))


def _beginning(w: Writer, tree: s.Match, right: s.Value) -> None:
    """``"eth*"``: as many bytes as are said."""
    data = right.text[:-1].encode()
    if not data:
        raise Wrong(right.at, '"*" alone matches everything', "leave it out")
    if len(data) > 15:
        raise Wrong(right.at, f"{right.text!r} is longer than 15 bytes")
    _no_order(tree, "a name")
    _load(w, tree.left, right)
    w.emit(ops.compare(0, _COMPARE[tree.operator], data))


def _without_xor(tree: s.Match, right: s.Expression) -> tuple[s.Match, s.Expression]:
    """``x ^ bits == value`` is ``x == value ^ bits``."""
    left = tree.left
    while isinstance(left, s.Binary) and left.operator == "^":
        right = s.Binary("^", right, left.right, right.at)
        left = left.left
    return s.Match(left, tree.operator or "==", right, None, tree.at), right


def _value(w: Writer, tree: s.Match, right: s.Expression) -> None:
    computed = isinstance(tree.left, s.Binary)
    if computed and tree.operator in ("", "==", "!="):
        tree, right = _without_xor(tree, right)
    field = field_of(tree.left)
    flags = (field.type if field else type_of(tree.left)).flags
    if tree.mask is not None:
        _flags_of(w, tree, right, tree.mask)
    elif tree.operator == "!" or (flags and not tree.operator and not computed):
        _flags(w, tree, right)
    elif tree.operator in _ORDERS:
        loaded = _turned(w, _load(w, tree.left, right))
        number = w.scope.number(_typed(loaded), right)
        w.emit(ops.compare(0, _COMPARE[tree.operator], loaded.encode(number)))
    else:
        _equal(w, tree, right, field)


_ORDERS = ("<", "<=", ">", ">=")


def _equal(w: Writer, tree: s.Match, right: s.Expression, field: Field | None) -> None:
    operator = _COMPARE[tree.operator]
    if field is not None and operator == ops.EQ and field.source == "payload":
        base, first, bits = field.where
        if not (first | bits) % 8:
            number = w.scope.number(field.type, right)
            w.emit(Equal(base, first // 8, number.to_bytes(bits // 8, "big")))
            _learn(w, tree.left, number)
            return
    loaded = _load(w, tree.left, right)
    number = w.scope.number(_typed(loaded), right)
    w.emit(ops.compare(0, operator, loaded.encode(number)))
    if field is not None and operator == ops.EQ:
        _learn(w, tree.left, number)


def _learn(w: Writer, left: s.Expression, number: int) -> None:
    if isinstance(left, s.Selector) and left.words[:2] in TELLING:
        w.packet.learn(left.words[:2], number)
        if _is_icmp_type(left):
            w.icmp = (number,)


def _flags(w: Writer, tree: s.Match, right: s.Expression) -> None:
    """Any of the bits (``!``: none)."""
    loaded = _load(w, tree.left, right)
    mask = loaded.encode(w.scope.number(_typed(loaded), right))
    zero = bytes(loaded.width)
    w.emit(ops.bitwise(0, mask, zero))
    w.emit(ops.compare(0, ops.EQ if tree.operator == "!" else ops.NEQ, zero))


def _flags_of(w: Writer, tree: s.Match, right: s.Expression, mask: s.Expression) -> None:
    """``flags syn / syn,ack``."""
    loaded = _load(w, tree.left, right)
    kind = _typed(loaded)
    w.emit(ops.bitwise(0, loaded.encode(w.scope.number(kind, mask)), bytes(loaded.width)))
    operator = ops.NEQ if tree.operator == "!=" else ops.EQ
    w.emit(ops.compare(0, operator, loaded.encode(w.scope.number(kind, right))))


_RIGHT: dict[type, Callable[[Writer, s.Match, Any], None]] = {
    s.SetLiteral: _literal, s.SetName: _in_set, s.Range: _span, s.Prefix: _prefix,
}  # fmt: skip


def decide(w: Writer, tree: s.Decide) -> None:
    """A verdict, or a verdict map."""
    if isinstance(tree.verdict, s.Map):
        w.look_up(tree.verdict.key, tree.verdict.table, to=-1, verdicts=True)
    elif tree.verdict.kind == "queue":
        raise Wrong(tree.at, "queue is a statement here")
    else:
        w.emit(ops.verdict(tree.verdict.kind, w.chain(tree.verdict)))
