"""Sets as the kernel holds them → syntax: types, flags, elements in nft's order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from . import syntax as s
from . import values
from .datatypes import BY_NUMBER, INTEGER, Type, sized
from .held import HeldElement, HeldSet, ops_of
from .loads import Loaded
from .ops import VERDICTS
from .read_objects import fresh, stateful
from .registers import Reading
from .scope import CONCAT, INTERVAL, MAP
from .sets import OBJECT_KINDS
from .typeof import typed
from .wire import attributes, number, string

_END, _CATCHALL = 1, 2
_ANONYMOUS, _CONSTANT = 1, 2
_KINDS = {code: name for name, code in OBJECT_KINDS.items()}
_VERDICT_NAMES = {code & 0xFFFFFFFF: name for name, code in VERDICTS.items()}
_VERDICT_TYPE = 0xFFFFFF00
_FLAGS = (("constant", 2), ("dynamic", 0x20), ("interval", 4), ("timeout", 0x10))


def types_of(code: int) -> tuple[Type, ...]:
    """nft's number for a type, six bits a part."""
    found: list[Type] = []
    while code:
        found.insert(0, BY_NUMBER.get(code & 63, INTEGER))
        code >>= 6
    return tuple(found)


def key_of(held: HeldSet) -> list[Loaded]:
    """How the keys of a named set are laid out."""
    return _laid_out(types_of(held.key_type), held.key_length, held, 3)


def data_of(held: HeldSet) -> list[Loaded]:
    length = held.data_length // (2 if _ranges(held) else 1)
    return _laid_out(types_of(held.data_type), length, held, 4)


def _ranges(held: HeldSet) -> bool:
    """The map's values are intervals."""
    return any(held.notes.get(6, b""))


def _laid_out(types: tuple[Type, ...], length: int, held: HeldSet, note: int) -> list[Loaded]:
    told = typed(held.notes[note]) if note in held.notes else None
    if told:
        types = tuple(kind for _, kind in told)
    big = bool(held.flags & INTERVAL) and note == 3
    if len(types) == 1:
        kind = sized(types[0], length * 8)
        if kind.bits > 8 and big and kind.form != "string":
            kind = sized(kind, kind.bits, ">")
        if note == 3 and not big and _said_big(held) and kind.form != "string":
            kind = sized(kind, kind.bits, ">")
        return [Loaded(kind)]
    return [Loaded(_wide(kind, big)) for kind in types]


def _said_big(held: HeldSet) -> bool:
    return number(held.notes.get(0, b"")[:1]) == 2


def _wide(kind: Type, big: bool) -> Type:
    turned = big and kind.bytes > 1 and kind.form != "string"
    return sized(kind, kind.bytes * 8, ">" if turned else kind.order)


# ---- elements


def elements(r: Reading, held: HeldSet, key: Sequence[Loaded],
             data: Sequence[Loaded]) -> tuple[s.Element, ...]:  # fmt: skip
    """All elements; intervals put together from their edges."""
    plain = [each for each in held.elements if not each.flags & _CATCHALL]
    rest = [each for each in held.elements if each.flags & _CATCHALL]
    if len(key) > 1:
        found = _concatenated(r, held, key, data, plain)
    elif held.flags & INTERVAL:
        found = _intervals(r, held, key[0], data, plain)
    else:
        ordered = sorted(plain, key=lambda each: _rank(key[0], each.key))
        found = [_element(r, held, data, each, _value(r, key[0], each.key)) for each in ordered]
    return (*found, *(_element(r, held, data, each, s.Wildcard()) for each in rest))


def _rank(loaded: Loaded, data: bytes) -> int:
    big = loaded.type.order == ">" and loaded.type.form != "string"
    found = int.from_bytes(data, "big" if big else "little")
    return 0 if loaded.type.flags and found & found - 1 else found


def _concatenated(r: Reading, held: HeldSet, key: Sequence[Loaded], data: Sequence[Loaded],
                  plain: Sequence[HeldElement]) -> list[s.Element]:  # fmt: skip
    if not held.flags & CONCAT:
        plain = sorted(plain, key=lambda each: int.from_bytes(each.key, "little"))
    found = []
    for each in plain:
        parts = [
            _span(r, loaded, low, high)
            for loaded, low, high in zip(
                key, _cut(key, each.key), _cut(key, each.end or each.key), strict=True
            )
        ]
        found.append(_element(r, held, data, each, s.Concat(tuple(parts))))
    return found


def _cut(key: Sequence[Loaded], data: bytes) -> Iterator[bytes]:
    at = 0
    for each in key:
        yield data[at : at + each.width]
        at += -(-each.width // 4) * 4


def _value(r: Reading, loaded: Loaded, data: bytes) -> s.Expression:
    kind = loaded.type
    value = values.decode(kind, data) >> loaded.shift
    if loaded.field is not None:
        kind = loaded.field.type
    if kind.flags and value & value - 1 and kind.form != "label":
        return joined_flags(r, kind, value)
    return r.constant(kind, value)


def joined_flags(r: Reading, kind: Type, value: int) -> s.Expression:
    tree: s.Expression | None = None
    for bit in range(value.bit_length()):
        if value >> bit & 1:
            part = r.constant(kind, 1 << bit)
            tree = part if tree is None else s.Binary("|", tree, part)
    assert tree is not None
    return tree


def _span(r: Reading, loaded: Loaded, low: bytes, high: bytes) -> s.Expression:
    if low == high:
        return _value(r, loaded, low)
    kind = loaded.type
    return span(r, kind, values.decode(kind, low), values.decode(kind, high))


def span(r: Reading, kind: Type, low: int, high: int) -> s.Expression:
    """A value, a prefix, the beginning of a name, or a range."""
    if low == high:
        return r.constant(kind, low)
    rest = low ^ high
    aligned = not rest & rest + 1 and not low & rest
    if aligned and kind.form in ("ipv4", "ipv6"):
        return s.Prefix(r.constant(kind, low), kind.bits - rest.bit_length())
    if aligned and kind.form == "string":
        text = low.to_bytes(16, "big").rstrip(b"\0").decode(errors="replace")
        return s.Value(f"{text}*", True)
    return s.Range(r.constant(kind, low, True), r.constant(kind, high, True))


def _intervals(r: Reading, held: HeldSet, loaded: Loaded, data: Sequence[Loaded],
               plain: Sequence[HeldElement]) -> list[s.Element]:  # fmt: skip
    kind = loaded.type
    edges = sorted(plain, key=lambda each: (int.from_bytes(each.key, "big"), not each.flags & _END))
    top = (1 << kind.bits) - 1
    found: list[s.Element] = []
    for at, each in enumerate(edges):
        if each.flags & _END:
            continue
        low = int.from_bytes(each.key, "big")
        after = edges[at + 1] if at + 1 < len(edges) else None
        high = int.from_bytes(after.key, "big") - 1 if after else top
        shown = span(r, kind, low >> loaded.shift, high >> loaded.shift)
        found.append(_element(r, held, data, each, shown))
    return found


def _element(r: Reading, held: HeldSet, data: Sequence[Loaded], each: HeldElement,
             key: s.Expression) -> s.Element:  # fmt: skip
    timeout = number(each.attributes.get(4, b""))
    expires = number(each.attributes.get(5, b""))
    default = number(held.attributes.get(11, b""))
    shown_timeout = values.duration(timeout) if timeout and timeout != default else ""
    return s.Element(
        key, _data(r, held, data, each), shown_timeout,
        values.duration(expires) if expires else "", each.comment,
        tuple(map(stateful, _expressions(each.attributes))),
    )  # fmt: skip


def _expressions(parts: dict[int, bytes]) -> tuple[tuple[str, dict[int, bytes]], ...]:
    if 7 in parts:
        found = attributes(parts[7])
        return ((string(found.get(1, b"")), attributes(found.get(2, b""))),)
    return ops_of(parts.get(11, b""))


def verdict(data: bytes) -> s.Verdict:
    """NFTA_DATA_VERDICT."""
    parts = attributes(data)
    name = _VERDICT_NAMES.get(number(parts.get(1, b"")), "accept")
    chain = string(parts.get(2, b""))
    return s.Verdict(name, s.Value(chain) if chain else None)


def _data(r: Reading, held: HeldSet, data: Sequence[Loaded],
          each: HeldElement) -> s.Expression | None:  # fmt: skip
    if 9 in each.attributes:
        return s.Value(string(each.attributes[9]), True)
    if 2 in each.data:
        return verdict(each.data[2])
    if 1 not in each.data:
        return None
    raw = each.data[1]
    high = raw
    if _ranges(held):
        middle = len(raw) // 2
        raw, high = raw[:middle], raw[middle:]
    parts = [
        _span(r, loaded, low, last)
        for loaded, low, last in zip(data, _cut(data, raw), _cut(data, high), strict=True)
    ]
    return parts[0] if len(parts) == 1 else s.Concat(tuple(parts))


# ---- declarations


def declaration(r: Reading, held: HeldSet) -> s.Set:
    """A named set or map as its table lists it."""
    key, data = key_of(held), data_of(held)
    timeout = number(held.attributes.get(11, b""))
    gc = number(held.attributes.get(12, b""))
    size = number(attributes(held.attributes.get(9, b"")).get(1, b""))
    told = _typeof(held)
    return s.Set(
        held.name,
        told[0] if told else tuple(each.name for each in types_of(held.key_type)),
        (told[1] if told else None) or _data_types(held),
        _flags(held, timeout),
        elements(r, held, key, data),
        values.duration(timeout) if timeout else "",
        values.duration(gc) if gc else "",
        None if held.flags & _CONSTANT else size or None,
        "memory" if number(held.attributes.get(8, b"")) == 1 else "",
        2 in held.notes and bool(number(held.notes[2][:1])),
        tuple(map(fresh, _set_expressions(held))),
        string(held.notes.get(7, b"")),
        _ranges(held),
    )


def _typeof(held: HeldSet) -> tuple[s.Expression, s.Expression | None] | None:
    key = typed(held.notes[3]) if 3 in held.notes else None
    if not key or _ranges(held):
        return None
    data = typed(held.notes[4]) if 4 in held.notes else None
    return _joined(key), _joined(data) if data else None


def _joined(parts: list[tuple[s.Expression, Type]]) -> s.Expression:
    trees = tuple(tree for tree, _ in parts)
    return trees[0] if len(trees) == 1 else s.Concat(trees)


def _set_expressions(held: HeldSet) -> tuple[tuple[str, dict[int, bytes]], ...]:
    if 17 in held.attributes:
        found = attributes(held.attributes[17])
        return ((string(found.get(1, b"")), attributes(found.get(2, b""))),)
    return ops_of(held.attributes.get(18, b""))


def _data_types(held: HeldSet) -> tuple[str, ...] | None:
    if held.object:
        return (_KINDS.get(held.object, "counter"),)
    if not held.flags & MAP:
        return None
    if held.data_type == _VERDICT_TYPE:
        return ("verdict",)
    return tuple(each.name for each in types_of(held.data_type))


def _flags(held: HeldSet, timeout: int) -> tuple[str, ...]:
    """A default timeout says enough, unless other flags are listed anyway."""
    flags = tuple(name for name, bit in _FLAGS if held.flags & bit)
    return () if flags == ("timeout",) and timeout else flags


def literal(r: Reading, held: HeldSet, key: Sequence[Loaded],
            data: Sequence[Loaded]) -> s.SetLiteral:  # fmt: skip
    """The elements of an anonymous set, typed by what is looked up in it."""
    return s.SetLiteral(elements(r, held, key, data))


def anonymous(held: HeldSet) -> bool:
    return bool(held.flags & _ANONYMOUS)
