"""Expressions of the kernel that act → nft statements."""

from __future__ import annotations

from collections.abc import Callable

from . import datatypes as t
from . import places, values
from . import syntax as s
from .datatypes import Type
from .fields import FIELDS, NETWORK, TCP_OPTIONS, TRANSPORT, Field
from .held import Attributes
from .parse_statements import LEVELS
from .read_matches import bitmask
from .read_objects import STATEFUL
from .read_sets import span
from .registers import Reading, Register, slot_of
from .statements import LOG_FLAGS
from .wire import number, string

_ADDRESSES = {2: t.IPV4, 10: t.IPV6}
_FAMILIES = {2: "ip", 10: "ip6"}


def content(r: Reading, register: Register, kind: Type) -> s.Expression:
    """What a register holds, as a value of a type."""
    if register.data is not None:
        value = values.decode(kind, register.data)
        if kind.flags and value & value - 1 and kind.form != "label":
            return _comma(r, kind, value)
        return r.constant(kind, value)
    return r.selector(bitmask(r, register))[0]


def _comma(r: Reading, kind: Type, value: int) -> s.Expression:
    bits = [1 << bit for bit in range(value.bit_length()) if value >> bit & 1]
    return s.Values(tuple(r.constant(kind, bit) for bit in bits))


# ---- assignments


def _meta(r: Reading, a: Attributes) -> None:
    field = next(f for f in FIELDS.values() if f.source == "meta" and f.where[0] == number(a[2]))
    kind = t.sized(field.type, 8) if field.type.bits == 1 else field.type
    r.say(s.Assign(s.Selector(field.words), content(r, r.register(a[3]), kind)))


def _ct(r: Reading, a: Attributes) -> None:
    where = (number(a[2]), number(a[3]) if 3 in a else -1)
    field = next(f for f in FIELDS.values() if f.source == "ct" and f.where == where)
    r.say(s.Assign(s.Selector(field.words), content(r, r.register(a[4]), field.type)))


def _payload(r: Reading, a: Attributes) -> None:
    base, first, bits = number(a[2]), number(a[3]) * 8, number(a[4]) * 8
    source = r.register(a[5])
    if source.place == (base, first, bits) and source.mask != -1:
        _written_bits(r, source, base, first, bits)
        return
    field = places.exact(r.packet.known, base, first, bits, r.icmp)
    if field is None:
        raw = s.Raw(("ll", "nh", "th")[base], first, bits)
        r.say(s.Assign(raw, content(r, source, t.sized(t.HEX, bits, ">"))))
        return
    r.used(field)
    r.say(s.Assign(s.Selector(field.words), content(r, source, field.type)))


def _written_bits(r: Reading, source: Register, base: int, first: int, bits: int) -> None:
    """Loaded, changed in some bits, written back."""
    mask = source.mask ^ (1 << bits) - 1
    shift = (mask & -mask).bit_length() - 1
    length = mask.bit_length() - shift
    field = places.exact(r.packet.known, base, first + bits - shift - length, length, r.icmp)
    if field is None:
        whole = places.exact(r.packet.known, base, first, bits, r.icmp)
        if whole is None:
            tree: s.Expression = s.Raw(("ll", "nh", "th")[base], first, bits)
        else:
            r.used(whole)
            tree = s.Selector(whole.words)
        r.say(s.Assign(tree, content(r, source, t.sized(t.INTEGER, bits, ">"))))
        return
    r.used(field)
    r.say(s.Assign(s.Selector(field.words), r.constant(field.type, source.xor >> shift)))


def _exthdr(r: Reading, a: Attributes) -> None:
    header = number(a[2])
    if 7 not in a:
        name = next((name for name, code in TCP_OPTIONS.items() if code == header), str(header))
        r.say(s.Reset(name))
        return
    where = (header, number(a[3]) * 8, number(a[4]) * 8, 0)
    field = next((f for f in FIELDS.values() if f.source == "tcpopt" and f.where == where), None)
    if field is None:
        words = ("tcp option", f"@{header},{where[1]},{where[2]}")
        field = Field(words, t.sized(t.INTEGER, where[2], ">"), "tcpopt", where)
    r.say(s.Assign(s.Selector(field.words), content(r, r.register(a[7]), field.type)))


# ---- logging, rejecting, queueing


def _log(r: Reading, a: Attributes) -> None:
    prefix = s.Value(string(a[2]), True) if 2 in a else None
    level = LEVELS[number(a[5])] if 5 in a and number(a[5]) < len(LEVELS) else ""
    group = number(a[1]) if 1 in a else None
    snaplen, threshold = number(a.get(3, b"")), number(a.get(4, b""))
    r.say(s.Log(prefix, "" if level == "warn" or group is not None else level, group,
                snaplen or None, threshold or None, _log_flags(number(a.get(6, b"")))))  # fmt: skip


def _log_flags(bits: int) -> tuple[str, ...]:
    if bits & 47 == 47:
        return ("all",)
    return tuple(name for name, bit in LOG_FLAGS.items() if name != "all" and bits & bit)


def _reject(r: Reading, a: Attributes) -> None:
    kind, code = number(a[1]), number(a.get(2, b""))
    if kind == 1:
        if r.family in ("ip", "ip6"):
            r.kill(TRANSPORT)
        r.say(s.Reject("tcp reset"))
        return
    network = r.packet.known.get(NETWORK)
    name, codes, default = ("icmpx", t.ICMPX_CODE, 1)
    if kind == 0:
        name, codes, default = ("icmp", t.ICMP_CODE, 3)
        if network == "ip6":
            name, codes, default = ("icmpv6", t.ICMPV6_CODE, 4)
        told = NETWORK in r.served
        r.kill(NETWORK)
        if code == default and not told and r.family in ("ip", "ip6"):
            r.say(s.Reject())
            return
    elif code == default:
        r.say(s.Reject())
        return
    r.say(s.Reject(name, r.constant(codes, code)))


def _queue(r: Reading, a: Attributes) -> None:
    bits = number(a.get(3, b""))
    flags = tuple(name for name, bit in (("bypass", 1), ("fanout", 2)) if bits & bit)
    if 4 in a:
        r.say(s.Queue(content(r, r.register(a[4]), t.sized(t.INTEGER, 16)), flags))
        return
    first, total = number(a.get(1, b"")), number(a.get(2, b""))
    to: s.Expression = s.Value(str(first))
    if total > 1:
        to = s.Range(to, s.Value(str(first + total - 1)))
    r.say(s.Queue(to, flags))


# ---- nat


def _nat_flags(bits: int) -> tuple[str, ...]:
    rows = (("random", 4), ("fully-random", 16), ("persistent", 8))
    return tuple(name for name, bit in rows if bits & bit)


def _between(r: Reading, a: Attributes, low: int, high: int, kind: Type) -> s.Expression | None:
    """One register, or a range over two."""
    if low not in a:
        return None
    first = r.register(a[low])
    last = r.register(a[high]) if high in a and a[high] != a[low] and slot_of(
        a[high]
    ) in r.registers else first  # fmt: skip
    if first.data is not None and last.data is not None and first.data != last.data:
        ends = (values.decode(kind, first.data), values.decode(kind, last.data))
        return span(r, kind, *ends)
    return content(r, first, kind)


def _nat(r: Reading, a: Attributes) -> None:
    kind = "snat" if number(a.get(1, b"")) == 0 else "dnat"
    family, bits = number(a[2]), number(a.get(7, b""))
    addresses = _ADDRESSES.get(family, t.IPV4)
    address = _between(r, a, 3, 4, addresses)
    mapped = isinstance(address, s.Map)
    port = None
    if not (mapped and 5 in a and slot_of(a[5]) not in r.registers):
        port = _between(r, a, 5, 6, t.SERVICE)
    both = mapped and 5 in a and port is None
    said = _FAMILIES.get(family, "") if address is not None else ""
    prefix = bool(bits & 64)
    ranges = mapped and a.get(4, a.get(3)) != a.get(3)
    if said == r.family and not (both or prefix or ranges):
        said = ""
    r.say(s.Nat(kind, said, "prefix" if prefix else "", address, port, _nat_flags(bits)))


def _local(kind: str, flags: int, low: int, high: int) -> Callable[[Reading, Attributes], None]:
    def read(r: Reading, a: Attributes) -> None:
        port = _between(r, a, low, high, t.SERVICE)
        r.say(s.Nat(kind, "", "", None, port, _nat_flags(number(a.get(flags, b"")))))

    return read


def _tproxy(r: Reading, a: Attributes) -> None:
    family = number(a.get(1, b""))
    address = None
    if 2 in a:
        address = content(r, r.register(a[2]), _ADDRESSES.get(family, t.IPV4))
    port = content(r, r.register(a[3]), t.SERVICE) if 3 in a else None
    said = _FAMILIES.get(family, "") if r.family == "inet" else ""
    r.say(s.Tproxy(said, address, port))


def _dup(r: Reading, a: Attributes) -> None:
    device = content(r, r.register(a[2]), t.IFINDEX) if 2 in a else None
    if 1 not in a:
        r.say(s.Send("dup", "", device, None))
        return
    kind = t.IPV6 if r.family == "ip6" else t.IPV4
    r.say(s.Send("dup", "", content(r, r.register(a[1]), kind), device))


def _fwd(r: Reading, a: Attributes) -> None:
    device = content(r, r.register(a[1]), t.IFINDEX)
    if 2 not in a:
        r.say(s.Send("fwd", "", None, device))
        return
    family = number(a.get(3, b""))
    address = content(r, r.register(a[2]), _ADDRESSES.get(family, t.IPV4))
    r.say(s.Send("fwd", _FAMILIES.get(family, "ip"), address, device))


def _stateful(name: str) -> Callable[[Reading, Attributes], None]:
    return lambda r, a: _said(r, STATEFUL[name](a))


def _said(r: Reading, statement: s.Statement) -> None:
    r.say(statement)


STATEMENTS: dict[str, Callable[[Reading, Attributes], None]] = {
    "payload": _payload, "meta": _meta, "ct": _ct, "exthdr": _exthdr, "log": _log,
    "reject": _reject, "queue": _queue, "nat": _nat, "masq": _local("masquerade", 1, 2, 3),
    "redir": _local("redirect", 3, 1, 2), "tproxy": _tproxy, "dup": _dup, "fwd": _fwd,
    "notrack": lambda r, a: _said(r, s.Plain("notrack")),
    "flow_offload": lambda r, a: _said(r, s.Offload(string(a[1]))),
    **{name: _stateful(name) for name in STATEFUL},
}  # fmt: skip
