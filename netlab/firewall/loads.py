"""Selectors → kernel expressions that bring their value into a register."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from . import datatypes as t
from . import ops
from . import syntax as s
from .datatypes import Type, sized
from .fields import (
    BASES,
    FIB_FLAGS,
    FIB_PRESENT,
    FIB_RESULTS,
    FIELDS,
    ICMP_NEEDS,
    PROTOCOLS,
    Field,
)
from .problems import Wrong
from .scope import Scope


@dataclass(frozen=True)
class Loaded:
    """A value in a register: its type there, and how far it lies left of the lowest bit."""

    type: Type
    shift: int = 0
    mask: int = -1
    """Bits of the register that belong to it; -1: all."""
    field: Field | None = None

    @property
    def width(self) -> int:
        """In bytes."""
        return self.type.bytes

    def encode(self, number: int) -> bytes:
        """A constant of the type, as it would look in the register."""
        data = number << self.shift
        return data.to_bytes(self.width, "big" if _big(self.type) else "little")


def _big(kind: Type) -> bool:
    return kind.order == ">" or kind.form == "string"


def field_of(tree: s.Expression) -> Field | None:
    """The table's row for a selector, made up for those that carry numbers."""
    if isinstance(tree, s.Selector):
        return FIELDS.get(tree.words) or _made(tree.words, tree.at)
    if isinstance(tree, s.Raw):
        kind = sized(t.HEX, tree.length, ">")
        return Field(("@",), kind, "payload", (BASES[tree.base], tree.offset, tree.length))
    return None


def _made(words: tuple[str, ...], at: int) -> Field:
    if words[0] == "fib":
        flags = sum(FIB_FLAGS[flag] for flag in words[1].split(" . "))
        result, kind = FIB_RESULTS[words[2]]
        return Field(words, kind, "fib", (result, flags))
    if words[0] == "tcp option":
        return _numbered_option(words)
    if words[0] == "vlan":
        return _deeper(words)
    if words[0] == "socket":
        return Field(words, t.CGROUP2, "socket", (3, int(words[1].rpartition(" ")[2])))
    if words[0] == "ipsec":
        plain = FIELDS[(*words[:2], *words[3:])]
        return Field(words, plain.type, "xfrm", (*plain.where, int(words[2].split()[1])))
    raise Wrong(at, f"unknown selector {' '.join(words)}")


def _deeper(words: tuple[str, ...]) -> Field:
    """``("vlan", "id", "+1")``: in a VLAN header behind another one."""
    plain = FIELDS[words[:2]]
    base, first, bits = plain.where
    return Field(words, plain.type, "payload", (base, first + 32 * int(words[2]), bits))


def _numbered_option(words: tuple[str, ...]) -> Field:
    if words[1].startswith("@"):
        number, offset, bits = map(int, words[1][1:].split(","))
        return Field(words, sized(t.INTEGER, bits, ">"), "tcpopt", (number, offset, bits, 0))
    if len(words) == 2:
        return Field(words, t.BOOLEAN, "tcpopt", (int(words[1], 0), 0, 8, 1))
    return Field(words, sized(t.INTEGER, 8, ">"), "tcpopt", (int(words[1], 0), 8, 8, 0))


def type_of(tree: s.Expression) -> Type:
    """The type of a selector, of a computation over one, or of a hash."""
    if isinstance(tree, s.Binary):
        return type_of(tree.left)
    if isinstance(tree, s.Hash):
        return sized(t.INTEGER, 32)
    field = field_of(tree)
    if field is None:
        raise Wrong(tree.at, "expected something that is read from the packet")
    return field.type


def protocol_of(field: Field) -> str:
    """The protocol whose header a field stands in; "" where that is not asked."""
    if field.source == "payload" and field.words[0] in PROTOCOLS:
        return field.words[0]
    return CARRIERS.get(field.source, "")


CARRIERS = {"exthdr": "ip6", "ipopt": "ip"}
EXTENSIONS = {"exthdr": 0, "tcpopt": 1, "ipopt": 2, "chunk": 3}
"""NFT_EXTHDR_OP_…"""


# ---- one function per source


def _bits(first: int, bits: int) -> tuple[int, int, int]:
    """Byte offset, bytes, and the shift of a field inside them."""
    start, end = first // 8, (first + bits + 7) // 8
    return start, end - start, end * 8 - first - bits


def _window(field: Field, bits: int, length: int, shift: int) -> tuple[Loaded, bytes]:
    """How a field lies in the bytes around it; the mask that cuts it out (b"": none)."""
    if bits == length * 8:
        return Loaded(sized(field.type, bits), field=field), b""
    mask = (1 << bits) - 1 << shift
    kind = sized(field.type, length * 8, ">")
    return Loaded(kind, shift, mask, field), mask.to_bytes(length, "big")


def _masked(slot: int, mask: bytes) -> list[bytes]:
    return [ops.bitwise(slot, mask, bytes(len(mask)))] if mask else []


def _payload(field: Field, slot: int) -> tuple[Loaded, list[bytes]]:
    base, first, bits = field.where
    offset, length, shift = _bits(first, bits)
    loaded, mask = _window(field, bits, length, shift)
    return loaded, [ops.payload(slot, base, offset, length), *_masked(slot, mask)]


def _exthdr(field: Field, slot: int) -> tuple[Loaded, list[bytes]]:
    header, first, bits, flags = field.where
    kind = EXTENSIONS[field.source]
    if flags:
        return Loaded(field.type, field=field), [ops.exthdr(slot, kind, header, 0, 1, flags)]
    offset, length, shift = _bits(first, bits)
    loaded, mask = _window(field, bits, length, shift)
    return loaded, [ops.exthdr(slot, kind, header, offset, length, 0), *_masked(slot, mask)]


def _meta(field: Field, slot: int) -> tuple[Loaded, list[bytes]]:
    kind = sized(field.type, 8) if field.type.bits == 1 else field.type
    return Loaded(kind, field=field), [ops.meta(slot, field.where[0])]


Load = Callable[[Field, int], tuple[Loaded, list[bytes]]]


def _plain(encode: Callable[[int, Field], bytes]) -> Load:
    def load(field: Field, slot: int) -> tuple[Loaded, list[bytes]]:
        return Loaded(field.type, field=field), [encode(slot, field)]

    return load


_LOADS: dict[str, Load] = {
    "payload": _payload,
    "exthdr": _exthdr,
    "tcpopt": _exthdr,
    "ipopt": _exthdr,
    "chunk": _exthdr,
    "meta": _meta,
    "ct": _plain(lambda slot, field: ops.ct(slot, *field.where)),
    "rt": _plain(lambda slot, field: ops.route(slot, *field.where)),
    "socket": _plain(lambda slot, field: ops.socket(slot, *field.where)),
    "xfrm": _plain(lambda slot, field: ops.xfrm(slot, *field.where)),
    "osf": _plain(lambda slot, field: ops.osf(slot, *field.where)),
    "fib": _plain(lambda slot, field: ops.fib(slot, *field.where)),
}


@lru_cache(2048)
def load_field(words: tuple[str, ...], slot: int, present: bool) -> tuple[Loaded, list[bytes]]:
    """A selector's expressions; ``present`` asks fib only whether there is a route."""
    field = FIELDS.get(words) or _made(words, 0)
    if present:
        result, flags = field.where
        found = [ops.fib(slot, result, flags | FIB_PRESENT)]
        return Loaded(sized(t.BOOLEAN, 32), field=field), found
    return _LOADS[field.source](field, slot)


def load(tree: s.Expression, slot: int, scope: Scope, present: bool = False
         ) -> tuple[Loaded, list[bytes]]:  # fmt: skip
    """A selector, a computation over one, or a hash, into a register."""
    if type(tree) is s.Selector:
        return load_field(tree.words, slot, present)
    if isinstance(tree, s.Raw):
        field = field_of(tree)
        assert field
        return _payload(field, slot)
    if isinstance(tree, s.Binary):
        return _computed(tree, slot, scope)
    if isinstance(tree, s.Hash):
        return _hash(tree, slot, scope)
    if isinstance(tree, s.Variable):
        return load(scope.replaced(tree), slot, scope)
    raise Wrong(tree.at, "expected something that is read from the packet")


def _hash(tree: s.Hash, slot: int, scope: Scope) -> tuple[Loaded, list[bytes]]:
    loaded = Loaded(sized(t.INTEGER, 32))
    if tree.kind.startswith("numgen"):
        kind = 0 if tree.kind.endswith("inc") else 1
        return loaded, [ops.numgen(slot, kind, tree.modulus, tree.offset)]
    if tree.of is None:
        return loaded, [ops.hash_of(slot, 1, tree.modulus, tree.seed, tree.offset)]
    source = slot + 4
    types, found = load_all(tree.of, source, scope)
    length = types[0].width if len(types) == 1 else sum(-(-each.width // 4) * 4 for each in types)
    found.append(ops.hash_of(slot, 0, tree.modulus, tree.seed, tree.offset, source, length))
    return loaded, found


def load_all(tree: s.Expression, slot: int, scope: Scope, swap: bool = False
             ) -> tuple[list[Loaded], list[bytes]]:  # fmt: skip
    """The parts of a concatenation side by side; ``swap`` brings all into network byte order."""
    if not isinstance(tree, s.Concat):
        loaded, found = load(tree, slot, scope)
        found = list(found)
        if swap:
            loaded = into_network_order(loaded, slot, found)
        return [loaded], found
    types: list[Loaded] = []
    found = []
    for part in tree.parts:
        loaded, more = load(_unshifted(part, scope), slot, scope)
        found.extend(more)
        if loaded.shift:
            found.append(ops.shift(slot, loaded.width, False, loaded.shift))
            loaded = Loaded(loaded.type, field=loaded.field)
        if swap:
            loaded = into_network_order(loaded, slot, found)
        types.append(loaded)
        slot += -(-loaded.width // 4)
        if slot > 16:
            raise Wrong(tree.at, "the concatenation is longer than 64 bytes")
    return types, found


def _unshifted(part: s.Expression, scope: Scope) -> s.Expression:
    """``ip dscp >> 2`` is how nft lists a field of bits in a concatenation: the field itself."""
    if not isinstance(part, s.Binary) or part.operator != ">>":
        return part
    if not isinstance(part.left, s.Selector):
        return part
    shift = load(part.left, 0, scope)[0].shift
    same = shift and shift == scope.number(sized(t.INTEGER, 32), part.right)
    return part.left if same else part


def into_network_order(loaded: Loaded, slot: int, found: list[bytes]) -> Loaded:
    """Numbers of the host are turned round, so that greater and less mean the same in bytes."""
    if loaded.width < 2 or _big(loaded.type):
        return loaded
    found.append(ops.byteorder(slot, ops.HTON, loaded.width, min(loaded.width, 8)))
    return Loaded(sized(loaded.type, loaded.type.bits, ">"), loaded.shift, loaded.mask,
                  loaded.field)  # fmt: skip


def _computed(tree: s.Binary, slot: int, scope: Scope) -> tuple[Loaded, list[bytes]]:
    """``x & mask | bits`` in one expression of the kernel; shifts in one of their own."""
    steps: list[tuple[str, s.Expression]] = []
    source: s.Expression = tree
    while isinstance(source, s.Binary):
        steps.append((source.operator, source.right))
        source = source.left
    loaded, more = load(source, slot, scope)
    found = list(more)
    if loaded.mask != -1 and not any(op in ("<<", ">>") for op, _ in steps):
        found = found[:-1]
    pending: tuple[int, int] | None = (loaded.mask, 0) if loaded.mask != -1 else None
    for operator, right in reversed(steps):
        if operator in ("<<", ">>"):
            found += _flushed(loaded, slot, pending)
            pending = None
            amount = scope.number(sized(t.INTEGER, 32), right)
            found.append(ops.shift(slot, loaded.width, operator == "<<", amount))
        else:
            pending = _combined(loaded, pending, operator, scope.number(loaded.type, right))
    found += _flushed(loaded, slot, pending)
    return Loaded(loaded.type, loaded.shift, field=loaded.field), found


def _combined(loaded: Loaded, pending: tuple[int, int] | None, operator: str,
              number: int) -> tuple[int, int]:  # fmt: skip
    full = (1 << 8 * loaded.width) - 1
    mask, xor = pending or (full, 0)
    number <<= loaded.shift
    if operator == "&":
        return mask & number, xor & number
    if operator == "|":
        return mask & ~number & full, xor & ~number | number
    return mask, xor ^ number


def _flushed(loaded: Loaded, slot: int, pending: tuple[int, int] | None) -> list[bytes]:
    if pending is None:
        return []
    order = "big" if _big(loaded.type) else "little"
    mask, xor = (number.to_bytes(loaded.width, order) for number in pending)  # type: ignore[arg-type]
    return [ops.bitwise(slot, mask, xor)]


def selectors(tree: s.Expression) -> list[s.Expression]:
    """All that is read from the packet in an expression, in order."""
    if isinstance(tree, s.Selector | s.Raw):
        return [tree]
    if isinstance(tree, s.Concat):
        return [each for part in tree.parts for each in selectors(part)]
    if isinstance(tree, s.Binary):
        return [*selectors(tree.left), *selectors(tree.right)]
    if isinstance(tree, s.Hash) and tree.of is not None:
        return selectors(tree.of)
    if isinstance(tree, s.Map):
        return selectors(tree.key)
    return []


def icmp_types(tree: s.Expression) -> tuple[int, ...]:
    """Message types in which an icmp field exists; () where it exists in all."""
    words = tree.words if isinstance(tree, s.Selector) else ()
    return ICMP_NEEDS.get((words[0], words[-1]), ()) if len(words) == 2 else ()
