"""The kernel's expressions of a rule → nft statements."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from . import datatypes as t
from . import syntax as s
from . import values
from .datatypes import sized
from .fields import FIB_FLAGS, FIB_RESULTS, FIELDS, Field
from .held import Attributes, HeldRule, HeldTable, Op, op_of, ops_of
from .loads import EXTENSIONS, Loaded
from .read_matches import bitmask, compare, outside
from .read_objects import OBJECT_NAMES, fresh
from .read_sets import anonymous, data_of, literal, verdict
from .read_statements import STATEMENTS, content
from .registers import Reading, Register, slot_of
from .wire import attributes, number, string

_INVERTED = 1


def rule(family: str, table: HeldTable, held: HeldRule, links: dict[int, str]) -> s.Rule:
    """A rule as ``nft list ruleset`` writes it."""
    r = Reading(family, table, links)
    for op in held.ops:
        _read(r, op)
    found = tuple(each for each in r.found if each is not None)
    return s.Rule(found, held.comment)


def _read(r: Reading, op: Op) -> None:
    name, data = op
    read = _OPS.get(name) or STATEMENTS.get(name)
    if read is None:
        r.say(s.Plain(f"# unknown expression {name}"))
        return
    read(r, data)


# ---- loads


def _payload(r: Reading, a: Attributes) -> None:
    if 5 in a:
        STATEMENTS["payload"](r, a)
        return
    base, offset, length = number(a[2]), number(a[3]), number(a[4])
    kind = sized(t.INTEGER, length * 8, ">")
    r.put(a[1], Register(None, kind, place=(base, offset * 8, length * 8)))


_META = {field.where[0]: field for field in FIELDS.values() if field.source == "meta"}
_CT = {field.where: field for field in FIELDS.values() if field.source == "ct"}
_BY_SOURCE = {
    source: {field.where: field for field in FIELDS.values() if field.source == source}
    for source in ("rt", "socket", "xfrm", "osf")
}


def _named(r: Reading, register: bytes, field: Field) -> None:
    kind = sized(field.type, field.type.bytes * 8)
    r.put(register, Register(s.Selector(field.words), kind, field))


def _meta(r: Reading, a: Attributes) -> None:
    if 3 in a:
        STATEMENTS["meta"](r, a)
    else:
        _named(r, a[1], _META[number(a[2])])


def _ct(r: Reading, a: Attributes) -> None:
    if 4 in a:
        STATEMENTS["ct"](r, a)
        return
    key, direction = number(a[2]), number(a[3]) if 3 in a else -1
    field = _CT.get((key, direction)) or _CT[key, -1]
    if key in (8, 9):
        field = _CT[key + {"ip": 11, "ip6": 13}.get(r.family, 11), direction]
    _named(r, a[1], field)


def _keyed(source: str, *where: int) -> Callable[[Reading, Attributes], None]:
    """An expression whose key (and direction) says all; its register is attribute ``where[0]``."""

    def read(r: Reading, a: Attributes) -> None:
        key = tuple(number(a.get(each, b"")) for each in where[1:])
        field = _BY_SOURCE[source].get(key)
        if field is not None:
            _named(r, a[where[0]], field)

    return read


def _socket(r: Reading, a: Attributes) -> None:
    if number(a[1]) == 3:
        words = ("socket", f"cgroupv2 level {number(a.get(3, b''))}")
        _named(r, a[2], Field(words, t.CGROUP2, "socket", (3, 0)))
    else:
        _keyed("socket", 2, 1)(r, a)


def _xfrm(r: Reading, a: Attributes) -> None:
    field = _BY_SOURCE["xfrm"][number(a[2]), number(a.get(3, b""))]
    spnum = number(a.get(4, b""))
    if spnum:
        words = (*field.words[:2], f"spnum {spnum}", *field.words[2:])
        field = replace(field, words=words)
    _named(r, a[1], field)


def _fib(r: Reading, a: Attributes) -> None:
    flags, result = number(a[3]), number(a[2])
    words = " . ".join(name for name, bit in FIB_FLAGS.items() if flags & bit)
    name = next(name for name, (code, _) in FIB_RESULTS.items() if code == result)
    kind = FIB_RESULTS[name][1]
    present = bool(flags & 32)
    field = Field(("fib", words, name), t.BOOLEAN if present else kind, "fib", (result, flags))
    kind = sized(t.BOOLEAN, 32) if present else kind
    r.put(a[1], Register(s.Selector(field.words), kind, field))


_EXTENSIONS = {code: source for source, code in EXTENSIONS.items()}
_EXTHDR = {
    (field.source, *field.where): field
    for field in reversed(FIELDS.values())
    if field.source in EXTENSIONS
}


def _exthdr(r: Reading, a: Attributes) -> None:
    if 1 not in a:
        STATEMENTS["exthdr"](r, a)
        return
    source = _EXTENSIONS.get(number(a.get(6, b"")), "exthdr")
    header, first, bits = number(a[2]), number(a[3]) * 8, number(a[4]) * 8
    present = number(a.get(5, b"")) & 1
    field = _EXTHDR.get((source, header, 0 if present else first, 8 if present else bits, present))
    if field is None:
        field = _numbered(source, header, first, bits, bool(present))
    r.put(a[1], Register(s.Selector(field.words), sized(field.type, bits), field))


def _numbered(source: str, header: int, first: int, bits: int, present: bool) -> Field:
    if present:
        return Field(("tcp option", str(header)), t.BOOLEAN, source, (header, 0, 8, 1))
    words = ("tcp option", f"@{header},{first},{bits}")
    return Field(words, sized(t.INTEGER, bits, ">"), source, (header, first, bits, 0))


def _numgen(r: Reading, a: Attributes) -> None:
    kind = "numgen inc" if number(a.get(3, b"")) == 0 else "numgen random"
    tree = s.Hash(kind, None, number(a[2]), None, number(a.get(4, b"")))
    r.put(a[1], Register(tree, sized(t.INTEGER, 32)))


def _hash(r: Reading, a: Attributes) -> None:
    seed = number(a[5]) if 5 in a and number(a[5]) else None
    offset = number(a.get(6, b""))
    if number(a.get(7, b"")) == 1:
        tree = s.Hash("symhash", None, number(a[4]), None, offset)
    else:
        of, _ = _key(r, slot_of(a[1]), number(a[3]))
        tree = s.Hash("jhash", of, number(a[4]), seed, offset)
    r.put(a[2], Register(tree, sized(t.INTEGER, 32)))


def _immediate(r: Reading, a: Attributes) -> None:
    data = attributes(a[2])
    if 2 in data:
        r.say(s.Decide(verdict(data[2])), plain=False)
        return
    r.put(a[1], Register(None, t.INTEGER, data=data.get(1, b"")))


def _bitwise(r: Reading, a: Attributes) -> None:
    register = r.register(a[1])
    if number(a.get(6, b"")):
        sign = "<<" if number(a[6]) == 1 else ">>"
        by = int.from_bytes(attributes(a[7]).get(1, b""), "little")
        tree, register = r.selector(bitmask(r, register))
        if register.steps and register.steps[0] == (sign, by):
            register = replace(register, steps=())
        r.put(a[2], replace(register, tree=s.Binary(sign, tree, s.Value(str(by))), place=None,
                            mask=-1))  # fmt: skip
        return
    order = "little" if register.type.order == "=" and register.place is None else "big"
    mask, xor = (int.from_bytes(attributes(a[each]).get(1, b""), order) for each in (4, 5))  # type: ignore[arg-type]
    r.put(a[2], replace(register, mask=mask, xor=xor))


def _byteorder(r: Reading, a: Attributes) -> None:
    register = r.register(a[1])
    big = ">" if register.type.order == "=" else "="
    r.put(a[2], replace(register, type=sized(register.type, register.type.bits, big)))


# ---- lookups


def _key(r: Reading, slot: int, length: int) -> tuple[s.Expression, list[Register]]:
    """What lies in registers side by side, as one expression."""
    trees: list[s.Expression] = []
    parts: list[Register] = []
    while length > 0 and slot in r.registers:
        tree, register = r.selector(bitmask(r, r.registers[slot]))
        width = r.registers[slot].width
        trees.append(tree)
        parts.append(register)
        words = -(-width // 4)
        slot, length = slot + words, length - words * 4
        if length <= 0 or width >= length + words * 4:
            break
    return (trees[0] if len(trees) == 1 else s.Concat(tuple(trees))), parts


def _laid(register: Register) -> Loaded:
    """How constants of a register look, as keys of a set."""
    shift = register.steps[0][1] if register.steps else 0
    field = register.field
    partly = field is not None and field.type.bits % 8 and field.type.bits != register.type.bits
    return Loaded(register.type, shift, field=field if partly else None)


def _lookup(r: Reading, a: Attributes) -> None:
    held = r.table.sets[string(a[1])]
    key, parts = _key(r, slot_of(a[2]), held.key_length)
    table: s.Expression = s.SetName(held.name)
    if anonymous(held):
        table = literal(r, held, [_laid(each) for each in parts], data_of(held))
    if 3 not in a:
        operator = "!=" if number(a.get(5, b"")) & _INVERTED else ""
        operator = "==" if not operator and isinstance(key, s.Binary) else operator
        r.say(s.Match(key, operator, table), plain=False)
    elif number(a[3]) == 0:
        r.say(s.Decide(s.Map(key, table, True)), plain=False)
    else:
        data = data_of(held)
        for word in range(-(-held.data_length // 4)):
            r.registers.pop(slot_of(a[3]) + word, None)
        r.put(a[3], Register(s.Map(key, table), data[0].type))


def _objref(r: Reading, a: Attributes) -> None:
    if 2 in a:
        kind = OBJECT_NAMES.get(number(a[1]), "counter")
        r.say(s.Refer(kind, s.Value(string(a[2]), True)))
        return
    held = r.table.sets[string(a[4])]
    key, parts = _key(r, slot_of(a[3]), held.key_length)
    table: s.Expression = s.SetName(held.name)
    if anonymous(held):
        table = literal(r, held, [_laid(each) for each in parts], ())
    r.say(s.Refer(OBJECT_NAMES.get(held.object, "counter"), s.Map(key, table)))


def _dynset(r: Reading, a: Attributes) -> None:
    held = r.table.sets[string(a[1])]
    key, _ = _key(r, slot_of(a[4]), held.key_length)
    ops = (op_of(a[7]),) if 7 in a else ops_of(a.get(10, b""))
    timeout = number(a.get(6, b""))
    data = None
    if 5 in a:
        data = content(r, r.register(a[5]), data_of(held)[0].type)
    element = s.Element(key, data, values.duration(timeout) if timeout else "",
                        statements=tuple(map(fresh, ops)))  # fmt: skip
    if anonymous(held):
        size = number(attributes(held.attributes.get(9, b"")).get(1, b""))
        r.say(s.Meter(held.name, element, size))
        return
    verb = {0: "add", 1: "update", 2: "delete"}[number(a[3])]
    r.say(s.Remember(verb, held.name, element))


_OPS: dict[str, Callable[[Reading, Attributes], None]] = {
    "payload": _payload, "meta": _meta, "ct": _ct, "rt": _keyed("rt", 1, 2), "socket": _socket,
    "xfrm": _xfrm, "osf": _keyed("osf", 1, 2, 3), "fib": _fib, "exthdr": _exthdr,
    "numgen": _numgen, "hash": _hash, "immediate": _immediate, "bitwise": _bitwise,
    "byteorder": _byteorder, "cmp": compare, "range": outside, "lookup": _lookup,
    "objref": _objref, "dynset": _dynset,
}  # fmt: skip
