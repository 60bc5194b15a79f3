"""``meta mark set …``, ``ct mark set …``, writing into packets and TCP options."""

from __future__ import annotations

from collections.abc import Sequence

from . import ops
from . import syntax as s
from .datatypes import Type
from .fields import PROTOCOLS, Field
from .loads import Loaded, _big, field_of, load, load_all
from .problems import Wrong
from .writer import Writer

_WRITABLE_META = ("priority", "mark", "nftrace", "pkttype", "secmark")
_WRITABLE_CT = ("mark", "secmark", "label", "event", "zone", "helper")
_PSEUDO = {("ip", "saddr"), ("ip", "daddr"), ("ip6", "saddr"), ("ip6", "daddr")}


def assign(w: Writer, tree: s.Assign) -> None:
    field = field_of(tree.target)
    if field is None or field.source not in _WRITES:
        raise Wrong(tree.at, "this cannot be written to")
    _WRITES[field.source](w, tree, field)


def put(w: Writer, targets: Sequence[Loaded], tree: s.Expression, slot: int) -> None:
    """A value, what a selector reads, or what a map finds, into registers from ``slot`` on."""
    tree = w.scope.replaced(tree)
    if isinstance(tree, s.Map):
        w.look_up(tree.key, tree.table, slot=slot, to=slot,
                  data=tuple(each.type for each in targets))  # fmt: skip
    elif _reads(tree):
        _copy(w, targets, tree, slot)
    else:
        parts = tree.parts if isinstance(tree, s.Concat) else (tree,)
        if len(parts) != len(targets):
            raise Wrong(tree.at, f"expected {len(targets)} values, found {len(parts)}")
        for target, part in zip(targets, parts, strict=True):
            number = w.scope.number(target.type, part)
            w.emit(ops.immediate(slot, target.encode(number)))
            slot += -(-target.width // 4)


def _reads(tree: s.Expression) -> bool:
    if isinstance(tree, s.Concat):
        return any(map(_reads, tree.parts))
    if isinstance(tree, s.Binary):
        return _reads(tree.left)
    return isinstance(tree, s.Selector | s.Raw | s.Hash)


def _copy(w: Writer, targets: Sequence[Loaded], tree: s.Expression, slot: int) -> None:
    w.need(tree)
    loaded, found = load_all(tree, slot, w.scope)
    w.emit(*found)
    for target, source in zip(targets, loaded, strict=False):
        if _same_order(target.type, source.type) or target.width < 2:
            continue
        way = ops.HTON if _big(target.type) else ops.NTOH
        w.emit(ops.byteorder(slot, way, target.width, target.width))


def _same_order(left: Type, right: Type) -> bool:
    return _big(left) == _big(right)


def _meta(w: Writer, tree: s.Assign, field: Field) -> None:
    if field.words[1] not in _WRITABLE_META:
        raise Wrong(tree.at, f"meta {field.words[1]} cannot be written to")
    put(w, [load(tree.target, 0, w.scope)[0]], tree.value, 0)
    w.emit(ops.meta_write(0, field.where[0]))


def _ct(w: Writer, tree: s.Assign, field: Field) -> None:
    if field.words[-1] not in _WRITABLE_CT:
        raise Wrong(tree.at, f"{' '.join(field.words)} cannot be written to")
    put(w, [Loaded(field.type)], tree.value, 0)
    w.emit(ops.ct_write(0, *field.where))


def _tcp_option(w: Writer, tree: s.Assign, field: Field) -> None:
    header, first, bits, flags = field.where
    if flags or bits % 8:
        raise Wrong(tree.at, "this part of a tcp option cannot be written to")
    put(w, [Loaded(field.type)], tree.value, 0)
    w.emit(ops.exthdr_write(0, 1, header, first // 8, bits // 8))


def _payload(w: Writer, tree: s.Assign, field: Field) -> None:
    w.need(tree.target)
    base, first, bits = field.where
    protocol = PROTOCOLS.get(field.words[0])
    checksum = protocol.checksum if protocol else -1
    flags = 1 if field.words in _PSEUDO else 0
    kind = (1, checksum) if checksum >= 0 else (0, 0)
    start, end = first // 8, (first + bits + 7) // 8
    if checksum >= 0:
        start, end = start & ~1, end + 1 & ~1
    length = end - start
    if length * 8 == bits:
        put(w, [Loaded(field.type)], tree.value, 0)
        w.emit(ops.payload_write(0, base, start, length, kind, flags))
        return
    _partly(w, tree, field, start, length)
    w.emit(ops.payload_write(0, base, start, length, kind, flags))


def _partly(w: Writer, tree: s.Assign, field: Field, start: int, length: int) -> None:
    """Bits between others: read, changed, written."""
    base, first, bits = field.where
    value = w.scope.replaced(tree.value)
    if _reads(value) or isinstance(value, s.Map):
        raise Wrong(tree.at, f"{' '.join(field.words)} set to what is no constant is not "
                    "translated by netlab", uncovered=True)  # fmt: skip
    shift = (start + length) * 8 - first - bits
    number = w.scope.number(field.type, value) << shift
    full = (1 << length * 8) - 1
    mask = full ^ ((1 << bits) - 1 << shift)
    w.emit(ops.payload(0, base, start, length))
    w.emit(ops.bitwise(0, mask.to_bytes(length, "big"), number.to_bytes(length, "big")))


_WRITES = {"meta": _meta, "ct": _ct, "payload": _payload, "tcpopt": _tcp_option}
