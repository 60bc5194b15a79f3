"""Comparisons of the kernel → matches, in the words that nft chooses."""

from __future__ import annotations

from dataclasses import replace

from . import places, values
from . import syntax as s
from .datatypes import Type, sized
from .fields import FIELDS, Field
from .held import Attributes
from .loads import EXTENSIONS
from .ops import EQ, LTE, NEQ
from .read_sets import joined_flags
from .registers import Reading, Register
from .wire import attributes, number

_OPERATORS = ("", "!=", "<", "<=", ">", ">=")


def bitmask(r: Reading, register: Register) -> Register:
    """``x & mask ^ bits`` as an expression, where the mask does not just cut a field out."""
    if register.mask == -1 and not register.xor:
        return register
    if register.place is not None and not register.xor:
        tree, named = r.selector(register)
        if named.mask == -1:
            return replace(named, place=None)
    inner = extension_field(register)
    if inner is not None:
        field, shift = inner
        r.selector(replace(register, mask=-1))
        return replace(register, tree=s.Selector(field.words), field=field, mask=-1,
                       steps=((">>", shift),) if shift else ())  # fmt: skip
    tree, named = r.selector(replace(register, mask=-1, xor=0))
    tree = _computed(r, tree, named.type, register.mask, register.xor)
    return replace(named, tree=tree, place=None, mask=-1, xor=0, field=named.field)


def _computed(r: Reading, tree: s.Expression, kind: Type, mask: int, xor: int) -> s.Expression:
    full = (1 << kind.bytes * 8) - 1
    either = (mask & xor) ^ xor
    flipped, kept = xor & mask, mask | either
    if kept != full:
        tree = s.Binary("&", tree, _number(r, tree, kind, kept))
    if flipped:
        tree = s.Binary("^", tree, _number(r, tree, kind, flipped))
    if either:
        tree = s.Binary("|", tree, _number(r, tree, kind, either))
    return tree


def _number(r: Reading, tree: s.Expression, kind: Type, value: int) -> s.Expression:
    inner = tree
    while isinstance(inner, s.Binary):
        inner = inner.left
    return s.Value(f"0x{value:x}") if isinstance(inner, s.Raw) else r.constant(kind, value)


def compare(r: Reading, a: Attributes) -> None:
    register, operator = r.register(a[1]), number(a[2])
    data = attributes(a[3]).get(1, b"")
    if register.mask != -1 or register.xor:
        _masked(r, register, operator, data)
    elif register.place is not None:
        _bytes(r, register, operator, data)
    else:
        _plain(r, register, operator, data)


def _say(r: Reading, left: s.Expression, operator: int, right: s.Expression) -> int:
    shown = _OPERATORS[operator]
    if operator == EQ and isinstance(left, s.Binary):
        shown = "=="
    return r.say(s.Match(left, shown, right), plain=False)


# ---- what was loaded by name


def _plain(r: Reading, register: Register, operator: int, data: bytes) -> None:
    tree, register = r.selector(register)
    kind = register.type
    if kind.form == "string":
        _string(r, tree, operator, data)
        return
    if len(data) < kind.bytes and kind.form in ("ipv4", "ipv6"):
        low = int.from_bytes(data.ljust(kind.bytes, b"\0"), "big")
        _say(r, tree, operator, s.Prefix(r.constant(kind, low), 8 * len(data)))
        return
    value = values.decode(kind, data)
    _value(r, tree, kind, operator, value)


def _string(r: Reading, tree: s.Expression, operator: int, data: bytes) -> None:
    text = data.rstrip(b"\0").decode(errors="replace")
    if len(data) < 16 and not data.endswith(b"\0"):
        text += "*"
    elif text.endswith("*"):
        text = text[:-1] + "\\*"
    _say(r, tree, operator, s.Value(text, True))


def _value(r: Reading, tree: s.Expression, kind: Type, operator: int, value: int) -> None:
    if kind.flags and not isinstance(tree, s.Binary) and operator in (EQ, NEQ):
        _equal_flags(r, tree, kind, operator, value)
        return
    right, end = r.constant(kind, value), r.constant(kind, value, True)
    if isinstance(tree, s.Raw) or (isinstance(tree, s.Binary) and _raw(tree)):
        right = end = s.Value(f"0x{value:x}")
    if operator == LTE and _closes(r, tree, end):
        return
    r.least = end
    which = _say(r, tree, operator, right)
    if operator == EQ:
        r.learn(tree, kind, value, which)


def _raw(tree: s.Expression) -> bool:
    while isinstance(tree, s.Binary):
        tree = tree.left
    return isinstance(tree, s.Raw)


def _equal_flags(r: Reading, tree: s.Expression, kind: Type, operator: int, value: int) -> None:
    several = bool(value & value - 1)
    if several and kind.name == "tcp_flag":
        right: s.Expression = s.Value(f"0x{value:x}")
    elif several:
        right = joined_flags(r, kind, value)
    else:
        right = r.constant(kind, value)
    shown = "!=" if operator == NEQ else "" if several and kind.name != "tcp_flag" else "=="
    r.say(s.Match(tree, shown, right), plain=False)


def _closes(r: Reading, tree: s.Expression, right: s.Expression) -> bool:
    """``>= a`` and ``<= b`` of one thing, side by side, are a range."""
    last = r.found[-1] if r.found else None
    if not isinstance(last, s.Match) or last.operator != ">=" or last.left != tree:
        return False
    assert r.least is not None
    r.found[-1] = s.Match(tree, "", s.Range(r.least, right))
    return True


# ---- bytes of the packet


def _bytes(r: Reading, register: Register, operator: int, data: bytes) -> None:
    assert register.place
    base, first, bits = register.place
    known = r.packet.known
    if places.exact(known, base, first, bits, r.icmp) is None:
        longer = places.beginning(known, base, first, bits)
        if longer is not None and longer.type.form in ("ipv4", "ipv6") and operator in (EQ, NEQ):
            r.used(longer)
            low = r.constant(longer.type, int.from_bytes(data, "big") << longer.where[2] - bits)
            _say(r, s.Selector(longer.words), operator, s.Prefix(low, bits))
            return
        if operator == EQ and _split(r, base, first, bits, data):
            return
    _plain(r, register, operator, data)


def _split(r: Reading, base: int, first: int, bits: int, data: bytes) -> bool:
    """Fields that were compared at once are said one by one."""
    fields = places.split(r.packet.known, base, first, bits)
    if len(fields) < 2:
        return False
    at = 0
    for each in fields:
        length = each.where[2] // 8
        place = (base, each.where[1], each.where[2])
        register = Register(None, sized(each.type, length * 8, ">"), place=place)
        _plain(r, register, EQ, data[at : at + length])
        at += length
    return True


# ---- masks


def _masked(r: Reading, register: Register, operator: int, data: bytes) -> None:
    named = r.selector(register)[1] if register.place is not None and not register.xor else register
    if named.place is not None and named.mask == -1 and named.field is not None:
        _cut_out(r, named, operator, data)
        return
    if register.field is not None and register.place is None and _extension(r, register, operator,
                                                                             data):  # fmt: skip
        return
    mask = register.mask
    tree, plain = r.selector(replace(register, mask=-1, xor=0))
    kind = plain.type
    value = int.from_bytes(data, "little" if kind.order == "=" else "big")
    if not register.xor and kind.flags:
        _flag_test(r, tree, kind, operator, mask, value)
    elif not register.xor and operator in (EQ, NEQ) and _is_prefix(kind, mask):
        length = bin(mask).count("1")
        _say(r, tree, operator, s.Prefix(r.constant(kind, value), length))
    else:
        computed = _computed(r, tree, kind, mask, register.xor)
        _value(r, computed, kind, operator, value)


def _is_prefix(kind: Type, mask: int) -> bool:
    rest = mask ^ (1 << kind.bits) - 1
    return kind.form in ("ipv4", "ipv6") and not rest & rest + 1


def _cut_out(r: Reading, named: Register, operator: int, data: bytes) -> None:
    """A field of some bits."""
    assert named.field is not None and named.tree is not None
    shift = named.steps[0][1] if named.steps else 0
    value = int.from_bytes(data, "big") >> shift
    _value(r, named.tree, named.field.type, operator, value)


def _extension(r: Reading, register: Register, operator: int, data: bytes) -> bool:
    """Bits of an extension header or a TCP option."""
    inner = extension_field(register)
    if inner is None:
        return False
    field, shift = inner
    r.selector(replace(register, mask=-1))
    value = int.from_bytes(data, "big") >> shift
    _value(r, s.Selector(field.words), field.type, operator, value)
    return True


def extension_field(register: Register) -> tuple[Field, int] | None:
    """The field that a mask cuts out of an extension header, and how far left it lies."""
    field = register.field
    if field is None or field.source not in EXTENSIONS or register.mask <= 0:
        return None
    mask, shift = register.mask, 0
    while not mask & 1:
        mask, shift = mask >> 1, shift + 1
    header = field.where[0]
    end = field.where[1] + register.type.bits
    where = (header, end - shift - mask.bit_length(), mask.bit_length(), 0)
    found = next((each for each in FIELDS.values()
                  if each.source == field.source and each.where == where), None)  # fmt: skip
    return None if found is None else (found, shift)


def _flag_test(r: Reading, tree: s.Expression, kind: Type, operator: int, mask: int,
               value: int) -> None:  # fmt: skip
    if not value and operator == NEQ:
        right = _listed(r, kind, mask)
        r.say(s.Match(tree, "", right), plain=False)
    elif not value and operator == EQ:
        r.say(s.Match(tree, "!", _listed(r, kind, mask)), plain=False)
    elif mask & mask - 1:
        shown = "!=" if operator == NEQ else ""
        right = _listed(r, kind, value)
        r.say(s.Match(tree, shown, right, _listed(r, kind, mask)), plain=False)
    else:
        left = s.Binary("&", tree, r.constant(kind, mask))
        r.say(s.Match(left, "!=" if operator == NEQ else "==", r.constant(kind, value)))


def _listed(r: Reading, kind: Type, value: int) -> s.Expression:
    parts = tuple(
        r.constant(kind, 1 << bit) for bit in range(value.bit_length()) if value >> bit & 1
    )
    if len(parts) == 1:
        return parts[0]
    return s.Values(parts) if parts else r.constant(kind, 0)


def outside(r: Reading, a: Attributes) -> None:
    """The kernel's ``range neq``."""
    register = bitmask(r, r.register(a[1]))
    tree, named = r.selector(register)
    low, high = (
        values.decode(named.type, attributes(a[each]).get(1, b"")) for each in (3, 4)
    )
    operator = "!=" if number(a[2]) else ""
    shown = s.Range(r.constant(named.type, low, True), r.constant(named.type, high, True))
    r.say(s.Match(tree, operator, shown), plain=False)


