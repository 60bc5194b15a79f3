"""nft's notes on sets declared with ``typeof``: the expression, so that a listing can show it.

A note is ``{0: kind of expression, 1: its data}``; the numbers are those that nft 1.0.6 writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from . import syntax as s
from .datatypes import Type
from .fields import FIB_FLAGS, FIB_RESULTS, FIELDS, Field
from .loads import field_of, type_of
from .problems import Wrong
from .wire import notes, userdata

_CONCAT, _EXTHDR = 13, 8
_KINDS = {"payload": 7, "exthdr": _EXTHDR, "meta": 9, "socket": 10, "osf": 11, "ct": 12, "rt": 25,
          "fib": 26}  # fmt: skip
_SOURCES = {code: source for source, code in _KINDS.items()}
_HEADERS = {"ah": 1, "esp": 2, "comp": 3, "udp": 6, "udplite": 7, "tcp": 8, "dccp": 9, "sctp": 10,
            "th": 11, "ip": 12, "ip6": 13, "icmpv6": 14, "arp": 15, "vlan": 16,
            "ether": 17}  # fmt: skip
_EXTENSIONS = {"hbh": 1, "rt": 2, "frag": 6, "dst": 7, "mh": 8}
_NO_DIRECTION = 0xFFFFFFFF
VERDICTS = userdata((0, b"\1\0\0\0"), (1, b""))
"""The note on a map to verdicts."""


def _u32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def _read(data: bytes) -> int:
    return int.from_bytes(data, "little")


def described(tree: s.Expression) -> bytes:
    """The bytes of NFTNL_UDATA_SET_KEY_TYPEOF."""
    if isinstance(tree, s.Concat):
        parts = userdata(*((at, _one(part)) for at, part in enumerate(tree.parts)))
        return userdata((0, _u32(_CONCAT)), (1, parts))
    return _one(tree)


def _one(tree: s.Expression) -> bytes:
    field = field_of(tree)
    data = _data(field) if field is not None else None
    if field is None or data is None:
        raise Wrong(tree.at, "typeof this expression is not covered", "write the type's name",
                    uncovered=True)  # fmt: skip
    return userdata((0, _u32(_KINDS[field.source])), (1, userdata(*data)))


def _data(field: Field) -> list[tuple[int, bytes]] | None:
    describe = _DESCRIBE.get(field.source)
    return describe(field) if describe else None


def _payload(field: Field) -> list[tuple[int, bytes]] | None:
    if field.words[0] not in _HEADERS:
        return None
    numbers = [(0, _u32(_HEADERS[field.words[0]])), (1, _u32(_index(field)))]
    return [*numbers, (4, _u32(field.type.bits))] if field.type.name == "integer" else numbers


def _exthdr(field: Field) -> list[tuple[int, bytes]] | None:
    if field.words[0] not in _EXTENSIONS:
        return None
    return [(1, _u32(_index(field))), (0, _u32(_EXTENSIONS[field.words[0]]))]


def _index(field: Field) -> int:
    """The place of a field among those of its header, from 1."""
    same = [words for words in FIELDS if words[0] == field.words[0] and len(words) > 1]
    return same.index(field.words) + 1


def _ct(field: Field) -> list[tuple[int, bytes]]:
    key, direction = field.where
    return [(0, _u32(key)), (1, _u32(_NO_DIRECTION if direction < 0 else direction))]


def _key(field: Field) -> list[tuple[int, bytes]]:
    return [(0, _u32(field.where[0]))]


def _fib(field: Field) -> list[tuple[int, bytes]]:
    return [(0, _u32(field.where[0])), (1, _u32(field.where[1]))]


_DESCRIBE: dict[str, Callable[[Field], list[tuple[int, bytes]] | None]] = {
    "payload": _payload, "exthdr": _exthdr, "meta": _key, "socket": _key, "rt": _key, "ct": _ct,
    "fib": _fib, "osf": lambda field: [],
}  # fmt: skip


# ---- reading


def typed(data: bytes) -> list[tuple[s.Expression, Type]] | None:
    """The expressions of such a note, with their types; None where they are not understood."""
    found = [_told(part) for part in _parts(data)]
    known = [each for each in found if each is not None]
    return known if known and len(known) == len(found) else None


def _parts(data: bytes) -> Iterator[bytes]:
    note = notes(data)
    if _read(note.get(0, b"")) == _CONCAT:
        yield from (part for _, part in sorted(notes(note.get(1, b"")).items()))
    else:
        yield data


def _told(data: bytes) -> tuple[s.Expression, Type] | None:
    note = notes(data)
    source = _SOURCES.get(_read(note.get(0, b"")), "")
    said = {key: _read(value) for key, value in notes(note.get(1, b"")).items()}
    words = _words(source, said)
    if words is None:
        return None
    tree = s.Selector(words)
    return tree, type_of(tree)


def _words(source: str, said: dict[int, int]) -> tuple[str, ...] | None:
    if source == "fib":
        result = next((name for name, (code, _) in FIB_RESULTS.items() if code == said[0]), "oif")
        flags = " . ".join(name for name, bit in FIB_FLAGS.items() if said.get(1, 0) & bit)
        return ("fib", flags, result)
    for field in FIELDS.values():
        if field.source != source:
            continue
        data = _data(field)
        if data is not None and {key: _read(value) for key, value in data} == said:
            return field.words
    return None
