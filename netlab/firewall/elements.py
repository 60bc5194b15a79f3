"""Elements of sets and maps → bytes; intervals as pairs of edges, as the kernel wants them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from . import bulk, ops, values
from . import syntax as s
from .datatypes import Type, sized
from .loads import Loaded
from .problems import Wrong
from .scope import CONCAT, INTERVAL, MAP, OBJECT, Scope, SetKind
from .wire import attribute, nest, text, u32, u64, userdata

_END, _CATCHALL = 1, 2
_OPEN = userdata((1, b"\1\0\0\0"))
"""nft's note on an interval that reaches to the very end."""
_MOST = 60000
"""Bytes of elements in one message: the length of an attribute has 16 bits."""

Stateful = Callable[[tuple[s.Statement, ...]], list[bytes]]


class Row(NamedTuple):
    """One element: the numbers of its parts, first and last, and its other attributes."""

    spans: tuple[tuple[int, int], ...]
    rest: bytes
    note: bytes
    at: int


def element_lists(kind: SetKind, loaded: Sequence[Loaded], members: Sequence[s.Element | s.Bulk],
                  scope: Scope, stateful: Stateful,
                  adding: bool = True) -> list[bytes]:  # fmt: skip
    """NFTA_SET_ELEM_LIST_ELEMENTS attributes, each small enough for a message."""
    encoded: list[bytes] = []
    rows: list[Row] = []
    last: list[bytes] = []
    for member in members:
        if isinstance(member, s.Bulk):
            if keys := _keys(kind, loaded, member):
                encoded += keys
                continue
            if spans := _bulk_spans(kind, loaded, member):
                rows += spans
                continue
        for each in member.elements() if isinstance(member, s.Bulk) else (member,):
            rest, note = _attributes(kind, each, scope, stateful)
            if isinstance(each.key, s.Wildcard):
                last.append(_encoded(b"", rest, note, _CATCHALL))
            else:
                rows.append(Row(_spans(loaded, each.key, scope), rest, note, each.at))
    if not kind.flags & INTERVAL:
        encoded += [_single(loaded, row) for row in rows]
    elif len(loaded) > 1:
        encoded += [_ranged(loaded, row) for row in rows]
    else:
        encoded += _edges(kind, loaded[0], rows, adding)
    return list(_chunks([*encoded, *last]))


def count(member: s.Element | s.Bulk) -> int:
    """How many elements it stands for."""
    return len(member.texts) if isinstance(member, s.Bulk) else 1


def _chunks(encoded: list[bytes]) -> Iterator[bytes]:
    most = max(_MOST // max(map(len, encoded), default=1), 1)
    for at in range(0, len(encoded), most):
        yield nest(3, *encoded[at : at + most])


def _keys(kind: SetKind, loaded: Sequence[Loaded], member: s.Bulk) -> list[bytes] | None:
    """Keys alone, of one part; None where more must be looked at."""
    if kind.flags & (_MORE | INTERVAL) or not _is_whole(loaded):
        return None
    before, after = _bare(loaded[0].width, 0)
    found = bulk.keys(loaded[0].type, member.texts)
    return found and [before + key + after for key in found]


def _bulk_spans(kind: SetKind, loaded: Sequence[Loaded], member: s.Bulk) -> list[Row] | None:
    if kind.flags & _MORE or not kind.flags & INTERVAL or not _is_whole(loaded):
        return None
    found = bulk.spans(loaded[0].type, member.texts)
    if found is None:
        return None
    places = zip(found, member.places, strict=True)
    return [Row((span,), b"", b"", at) for span, at in places]


_MORE = MAP | OBJECT | CONCAT


def _is_whole(loaded: Sequence[Loaded]) -> bool:
    return len(loaded) == 1 and not loaded[0].shift and loaded[0].mask == -1


def _spans(loaded: Sequence[Loaded], key: s.Expression,
           scope: Scope) -> tuple[tuple[int, int], ...]:  # fmt: skip
    if len(loaded) == 1:
        return (scope.span(_narrow(loaded[0]), key),)
    key = scope.replaced(key)
    parts = key.parts if isinstance(key, s.Concat) else (key,)
    if len(parts) != len(loaded):
        raise Wrong(key.at, f"the set has keys of {len(loaded)} parts, this one has {len(parts)}")
    return tuple(
        scope.span(_narrow(each), part) for each, part in zip(loaded, parts, strict=True)
    )


def _narrow(loaded: Loaded) -> Type:
    """The type as the user writes it: without the bits beside it in its register."""
    if loaded.mask == -1 or not loaded.field:
        return loaded.type
    return loaded.field.type


@cache
def _bare(width: int, flags: int) -> tuple[bytes, bytes]:
    """What stands around the key of an element that has nothing else."""
    parts = [u32(3, flags)] if flags else []
    whole = nest(1, *parts, nest(1, attribute(1, bytes(width))))
    padding = -width & 3
    return whole[: len(whole) - width - padding], bytes(padding)


def _encoded(key: bytes, rest: bytes, note: bytes, flags: int = 0, end: bytes = b"") -> bytes:
    if key and not rest and not note and not end:
        before, after = _bare(len(key), flags)
        return before + key + after
    parts = [u32(3, flags)] if flags else []
    if key:
        parts.append(nest(1, attribute(1, key)))
    if end:
        parts.append(nest(10, attribute(1, end)))
    if rest:
        parts.append(rest)
    if note:
        parts.append(attribute(6, note))
    return nest(1, *parts)


def _padded(loaded: Sequence[Loaded], numbers: Sequence[int]) -> bytes:
    if len(loaded) == 1:
        return loaded[0].encode(numbers[0])
    found = b""
    for each, number in zip(loaded, numbers, strict=True):
        data = each.encode(number)
        found += data + bytes(-len(data) & 3)
    return found


def _single(loaded: Sequence[Loaded], row: Row) -> bytes:
    for low, high in row.spans:
        if low != high:
            raise Wrong(row.at, "a range in a set without intervals", "add 'flags interval'")
    return _encoded(_padded(loaded, [low for low, _ in row.spans]), row.rest, row.note)


def _ranged(loaded: Sequence[Loaded], row: Row) -> bytes:
    low = _padded(loaded, [low for low, _ in row.spans])
    high = _padded(loaded, [high for _, high in row.spans])
    return _encoded(low, row.rest, row.note, end=high)


def _edges(kind: SetKind, loaded: Loaded, rows: list[Row], adding: bool) -> list[bytes]:
    """Sorted edges: an element opens an interval, one with INTERVAL_END closes it.

    In a set that never changes, the next interval closes its neighbour.
    """
    rows = sorted(rows, key=_first)
    constant = kind.flags & 1
    rows = _joined(rows) if (constant or kind.auto_merge) and not _maps(kind) else _apart(rows)
    found: list[bytes] = []
    top = (1 << loaded.type.bits) - 1
    if adding and rows and rows[0].spans[0][0]:
        found.append(_encoded(loaded.encode(0), b"", b"", _END))
    starts = [row.spans[0][0] for row in rows[1:]]
    for row, after in zip(rows, [*starts, -1], strict=True):
        low, high = row.spans[0]
        note = row.note + _OPEN if high == top else row.note
        found.append(_encoded(loaded.encode(low), row.rest, note))
        if high < top and not (after == high + 1 and constant):
            found.append(_encoded(loaded.encode(high + 1), b"", b"", _END))
    return found


def _first(row: Row) -> tuple[int, int]:
    return row.spans[0]


def _maps(kind: SetKind) -> bool:
    return kind.data is not None or kind.verdicts or bool(kind.object)


def _joined(rows: list[Row]) -> list[Row]:
    """Intervals that touch or overlap become one."""
    found: list[Row] = []
    for row in rows:
        low, high = row.spans[0]
        if found and low <= found[-1].spans[0][1] + 1 and not (row.note or found[-1].note):
            first, last = found[-1].spans[0]
            found[-1] = Row(((first, max(last, high)),), found[-1].rest, b"", found[-1].at)
        else:
            found.append(row)
    return found


def _apart(rows: list[Row]) -> list[Row]:
    found: list[Row] = []
    last = Row(((-1, -1),), b"", b"", 0)
    for row in rows:
        if row.spans[0][0] <= last.spans[0][1]:
            if row.spans == last.spans and row.rest == last.rest:
                continue
            raise Wrong(row.at, "the interval overlaps another one of the set",
                        "add auto-merge, or part them")  # fmt: skip
        found.append(row)
        last = row
    return found


# ---- what hangs on an element


def _attributes(kind: SetKind, each: s.Element, scope: Scope,
                stateful: Stateful) -> tuple[bytes, bytes]:  # fmt: skip
    parts: list[bytes] = []
    if not (each.data is not None or each.timeout or each.comment or each.statements
            or each.expires or _maps(kind)):  # fmt: skip
        return b"", b""
    if each.data is not None:
        parts.append(_data(kind, each.data, scope))
    elif _maps(kind):
        raise Wrong(each.at, "an element of a map says not what it maps to", "write key : value")
    if each.timeout:
        parts.append(u64(4, values.milliseconds(each.timeout, each.at)))
    if each.expires:
        parts.append(u64(5, values.milliseconds(each.expires, each.at)))
    expressions = stateful(each.statements) if each.statements else []
    if len(expressions) == 1:
        parts.append(nest(7, expressions[0][4:]))
    elif expressions:
        parts.append(nest(11, *expressions))
    comment = each.comment.encode()
    return b"".join(parts), userdata((0, comment + b"\0")) if comment else b""


def _data(kind: SetKind, tree: s.Expression, scope: Scope) -> bytes:
    tree = scope.replaced(tree)
    if kind.object:
        if not isinstance(tree, s.Value):
            raise Wrong(tree.at, "expected the name of an object")
        return text(9, tree.text)
    if kind.verdicts:
        return verdict_data(tree, scope)
    if kind.data is None:
        raise Wrong(tree.at, "the set is no map")
    if isinstance(tree, s.Verdict):
        raise Wrong(tree.at, "the map does not map to verdicts")
    return nest(2, attribute(1, map_data(kind, tree, scope)))


def verdict_data(tree: s.Expression, scope: Scope) -> bytes:
    if isinstance(tree, s.Value) and tree.text in ops.VERDICTS:
        tree = s.Verdict(tree.text, None, tree.at)
    if not isinstance(tree, s.Verdict):
        raise Wrong(tree.at, "expected a verdict", "as in accept, drop or jump CHAIN")
    return ops.verdict_data(2, ops.VERDICTS[tree.kind], chain_name(tree, scope))


def chain_name(tree: s.Verdict, scope: Scope) -> str:
    if tree.chain is None:
        return ""
    name = scope.replaced(tree.chain)
    if not isinstance(name, s.Value):
        raise Wrong(tree.at, "expected the name of a chain")
    return name.text


def map_data(kind: SetKind, tree: s.Expression, scope: Scope) -> bytes:
    assert kind.data is not None
    loaded = laid_out(kind.data)
    spans = _spans(loaded, tree, scope)
    low = _padded(loaded, [low for low, _ in spans])
    if not kind.data_interval:
        if any(low != high for low, high in spans):
            raise Wrong(tree.at, "the map's values are no ranges", "say interval in its type")
        return low
    return low + bytes(-len(low) & 3) + _padded(loaded, [high for _, high in spans])


@lru_cache(256)
def laid_out(types: tuple[Type, ...]) -> tuple[Loaded, ...]:
    """The parts of a key, or of a map's value, as they lie in registers."""
    return tuple(map(Loaded, types))


def data_length(kind: SetKind) -> int:
    return key_length(kind.data or ()) * (2 if kind.data_interval else 1)


def key_length(types: tuple[Type, ...]) -> int:
    if len(types) == 1:
        return types[0].bytes
    return sum(-(-each.bytes // 4) * 4 for each in types)


def type_number(types: tuple[Type, ...]) -> int:
    """nft's number for a type: of a concatenation, six bits a part."""
    number = 0
    for each in types:
        number = number << 6 | each.number
    return number


def network_order(types: tuple[Type, ...]) -> tuple[Type, ...]:
    """The types as they lie in a set of intervals."""
    return tuple(
        each if each.form == "string" or each.bytes < 2 else sized(each, each.bits, ">")
        for each in types
    )
