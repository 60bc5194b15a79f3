"""Sets as netlink messages, anonymous and named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from . import syntax as s
from . import values
from .datatypes import TYPES, Type, sized
from .elements import (
    Stateful,
    count,
    data_length,
    element_lists,
    key_length,
    laid_out,
    network_order,
    type_number,
)
from .loads import Loaded, type_of
from .problems import Wrong
from .scope import (
    CONCAT,
    EVAL,
    EXPRESSIONS,
    INTERVAL,
    MAP,
    OBJECT,
    TIMEOUT,
    Scope,
    SetKind,
)
from .typeof import VERDICTS, described
from .wire import attribute, nest, text, u32, u64, userdata

NEWSET, NEWSETELEM = 9, 12
CREATE = 0x400
_ANONYMOUS, _CONSTANT = 1, 2
_FLAGS = {"constant": _CONSTANT, "interval": INTERVAL, "timeout": TIMEOUT, "dynamic": EVAL}
OBJECT_KINDS = {"counter": 1, "quota": 2, "ct helper": 3, "limit": 4, "connlimit": 5, "tunnel": 6,
                "ct timeout": 7, "secmark": 8, "ct expectation": 9, "synproxy": 10}  # fmt: skip


class SetMessage(NamedTuple):
    """A message about a set: its number among NFT_MSG, its flags, its attributes."""

    number: int
    flags: int
    body: bytes
    at: int


def anonymous(table: str, prefix: str, kind: SetKind, loaded: Sequence[Loaded],
              elements: Sequence[s.Element | s.Bulk], scope: Scope, stateful: Stateful,
              key: s.Expression) -> list[SetMessage]:  # fmt: skip
    """A set of keys like this one that lives in one rule; the kernel picks its name."""
    at = key.at
    name, size = f"__{prefix}%d", sum(map(count, elements))
    head = text(1, table) + text(2, name) + u32(4, kind.number)
    unclear = any(each.name == "integer" for each in kind.key) and (
        len(loaded) > 1 or loaded[0].mask == -1
    )
    definition = _definition(table, name, kind, size, b"", _describe(key) if unclear else ())
    return [
        SetMessage(NEWSET, CREATE, definition, at),
        *(SetMessage(NEWSETELEM, CREATE, head + chunk, at)
          for chunk in element_lists(kind, loaded, elements, scope, stateful)),
    ]  # fmt: skip


def meter(table: str, kind: SetKind, size: int | None, at: int) -> SetMessage:
    """The set of a meter: in one rule only, but with a name."""
    return SetMessage(NEWSET, CREATE, _definition(table, kind.name, kind, size or 0, b"", ()), at)


def _definition(table: str, name: str, kind: SetKind, size: int, more: bytes,
                notes: tuple[tuple[int, bytes], ...]) -> bytes:  # fmt: skip
    parts = [text(1, table), text(2, name), u32(3, kind.flags), _key(kind.key)]
    if kind.verdicts:
        parts += [u32(6, 0xFFFFFF00), u32(7, 0)]
    elif kind.object:
        parts += [u32(15, kind.object)]
    elif kind.data is not None:
        parts += [u32(6, type_number(kind.data)), u32(7, data_length(kind))]
    described = [u32(1, size)] if size else []
    if kind.flags & CONCAT:
        described.append(nest(2, *(nest(1, u32(1, each.bytes)) for each in kind.key)))
    parts += [nest(9, *described)] if described else []
    parts.append(u32(10, kind.number))
    order = _orders(kind.key, kind.data)
    if kind.data_interval:
        order += userdata((6, b"\1\0\0\0"))
    return b"".join(parts) + more + attribute(13, order + userdata(*notes))


def _describe(key: s.Expression) -> tuple[tuple[int, bytes], ...]:
    """Integers have no width of their own, so that nft could not list them: it writes what of."""
    try:
        return ((3, described(key)),)
    except Wrong:
        return ()


@cache
def _key(types: tuple[Type, ...]) -> bytes:
    return u32(4, type_number(types)) + u32(5, key_length(types))


@cache
def _orders(key: tuple[Type, ...], data: tuple[Type, ...] | None) -> bytes:
    """nft's notes on the byte order of what a set holds."""
    notes = [(0, _order(key))]
    return userdata(*notes, *(((1, _order(data)),) if data is not None else ()))


def _order(types: tuple[Type, ...]) -> bytes:
    """1 host, 2 network; 0 for a concatenation, whose parts have their own."""
    number = (2 if types[0].order == ">" else 1) if len(types) == 1 else 0
    return number.to_bytes(4, "little")


# ---- named sets


def kind_of(tree: s.Set, number: int, scope: Scope) -> SetKind:
    """What a declaration says of its set."""
    key = _types(tree.key, scope)
    flags = 0
    for flag in tree.flags:
        flags |= _FLAGS[flag]
    if tree.timeout:
        flags |= TIMEOUT
    if len(tree.statements) > 1:
        flags |= EXPRESSIONS
    if tree.auto_merge and not flags & INTERVAL:
        raise Wrong(tree.at, "auto-merge is for sets of intervals", "add 'flags interval'")
    if flags & INTERVAL:
        key = network_order(key)
    if len(key) > 1 and flags & INTERVAL:
        flags |= CONCAT
    if tree.data is None:
        return SetKind(tree.name, key, None, flags, number=number, auto_merge=tree.auto_merge)
    word = tree.data[0] if isinstance(tree.data, tuple) else ""
    if word == "verdict":
        return SetKind(tree.name, key, None, flags | MAP, verdicts=True, number=number)
    if word in OBJECT_KINDS:
        return SetKind(tree.name, key, None, flags | OBJECT, OBJECT_KINDS[word], number=number)
    data = _types(tree.data, scope)
    return SetKind(tree.name, key, data, flags | MAP, number=number,
                   data_interval=tree.data_interval)  # fmt: skip


def _types(tree: tuple[str, ...] | s.Expression, scope: Scope) -> tuple[Type, ...]:
    if isinstance(tree, tuple):
        return tuple(map(_named, tree))
    parts = tree.parts if isinstance(tree, s.Concat) else (tree,)
    return tuple(_whole(type_of(part)) for part in parts)


def _named(name: str) -> Type:
    kind = TYPES[name]
    if kind.name == "integer":
        raise Wrong(0, "integers have no width of their own", "use typeof")
    return sized(kind, kind.bytes * 8)


def _whole(kind: Type) -> Type:
    return sized(kind, kind.bytes * 8)


def named(table: str, tree: s.Set, kind: SetKind, flags: int,
          stateful: Stateful) -> SetMessage:  # fmt: skip
    """The message that makes a named set."""
    more = b""
    if tree.policy == "memory":
        more += u32(8, 1)
    if tree.timeout:
        more += u64(11, values.milliseconds(tree.timeout, tree.at))
    if tree.gc_interval:
        more += u32(12, values.milliseconds(tree.gc_interval, tree.at, 0xFFFFFFFF))
    if tree.statements:
        expressions = stateful(tree.statements)
        more += nest(17, expressions[0][4:]) if len(expressions) == 1 else nest(18, *expressions)
    body = _definition(table, tree.name, kind, tree.size or 0, more, _notes(tree))
    return SetMessage(NEWSET, flags, body, tree.at)


def _notes(tree: s.Set) -> tuple[tuple[int, bytes], ...]:
    notes = []
    if tree.auto_merge:
        notes.append((2, b"\1\0\0\0"))
    if not isinstance(tree.key, tuple):
        notes.append((3, described(tree.key)))
    if tree.data is not None and not isinstance(tree.data, tuple):
        notes.append((4, described(tree.data)))
    elif tree.data == ("verdict",) and not isinstance(tree.key, tuple):
        notes.append((4, VERDICTS))
    if tree.comment:
        notes.append((7, tree.comment.encode() + b"\0"))
    return tuple(notes)


def filled(table: str, kind: SetKind, elements: Sequence[s.Element | s.Bulk], scope: Scope,
           stateful: Stateful, at: int, flags: int = CREATE, number: int = NEWSETELEM
           ) -> Iterator[SetMessage]:  # fmt: skip
    """Elements put into (or taken from) a named set."""
    loaded = laid_out(kind.key)
    head = text(1, table) + text(2, kind.name) + (u32(4, kind.number) if kind.number else b"")
    adding = number == NEWSETELEM
    for chunk in element_lists(kind, loaded, elements, scope, stateful, adding):
        yield SetMessage(number, flags, head + chunk, at)
