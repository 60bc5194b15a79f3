"""Named objects and stateful expressions of the kernel → syntax."""

from __future__ import annotations

from collections.abc import Callable

from . import syntax as s
from .datatypes import PROTOCOLS
from .held import Attributes, Op
from .objects import TIMEOUTS
from .sets import OBJECT_KINDS
from .values import duration
from .wire import attributes, each, notes, number, string

PER = {1: "second", 60: "minute", 3600: "hour", 86400: "day", 604800: "week"}
OBJECT_NAMES = {code: name for name, code in OBJECT_KINDS.items()}
_NAMES: dict[int, str] = {}
for _name, _number in PROTOCOLS.items():
    _NAMES.setdefault(_number, _name)
_L3 = {1: "inet", 2: "ip", 10: "ip6"}


def scaled(amount: int) -> tuple[int, str]:
    """Bytes in the largest unit that divides them."""
    for unit, size in (("mbytes", 1 << 20), ("kbytes", 1 << 10)):
        if amount and not amount % size:
            return amount // size, unit
    return amount, "bytes"


def counter(data: Attributes) -> s.Counter:
    return s.Counter(number(data.get(2, b"")), number(data.get(1, b"")))


def limit(data: Attributes) -> s.Limit:
    rate, per = number(data.get(1, b"")), PER.get(number(data.get(2, b"")), "second")
    burst, over = number(data.get(3, b"")), bool(number(data.get(5, b"")) & 1)
    if number(data.get(4, b"")) == 0:
        shown = None if burst in (0, 5) else burst
        return s.Limit(rate, "packets", per, over, shown, "packets" if shown else "")
    amount, unit = scaled(rate)
    if not burst:
        return s.Limit(amount, unit, per, over)
    shown, burst_unit = scaled(burst)
    return s.Limit(amount, unit, per, over, shown, burst_unit)


def quota(data: Attributes) -> s.Quota:
    amount, unit = scaled(number(data.get(1, b"")))
    over, used = bool(number(data.get(2, b"")) & 1), number(data.get(4, b""))
    if not used:
        return s.Quota(amount, unit, over)
    return s.Quota(amount, unit, over, *scaled(used))


def connections(data: Attributes) -> s.Connections:
    return s.Connections(number(data.get(1, b"")), bool(number(data.get(2, b"")) & 1))


def synproxy(data: Attributes) -> s.Synproxy:
    flags = number(data.get(3, b""))
    words = [word for word, bit in (("timestamp", 8), ("sack-perm", 4)) if flags & bit]
    mss, wscale = number(data.get(1, b"")), number(data.get(2, b""))
    if not flags & 3:
        return s.Synproxy(None, None, tuple(words))
    return s.Synproxy(mss, wscale, tuple(words))


def last(data: Attributes) -> s.Plain:
    return s.Plain("last")


STATEFUL: dict[str, Callable[[Attributes], s.Statement]] = {
    "counter": counter, "limit": limit, "quota": quota, "connlimit": connections,
    "synproxy": synproxy, "last": last,
}  # fmt: skip


def stateful(op: Op) -> s.Statement:
    """What hangs on an element of a set."""
    name, data = op
    read = STATEFUL.get(name)
    return read(data) if read else s.Plain(name)


def fresh(op: Op) -> s.Statement:
    """A counter that elements will have: without numbers yet."""
    found = stateful(op)
    return s.Counter() if isinstance(found, s.Counter) else found


def named_object(data: Attributes) -> s.Object:
    """NFT_MSG_NEWOBJ as its table lists it."""
    kind = OBJECT_NAMES.get(number(data.get(3, b"")), "counter")
    name, comment = string(data.get(2, b"")), string(notes(data.get(8, b"")).get(0, b""))
    body = attributes(data.get(4, b""))
    if kind in STATEFUL:
        return s.Object(kind, name, STATEFUL[kind](body), comment=comment)
    options = _OPTIONS[kind](body) if kind in _OPTIONS else ()
    return s.Object(kind, name, None, options, comment)


Options = tuple[tuple[str, str], ...]


def _helper(data: Attributes) -> Options:
    return (
        ("type", string(data.get(1, b""))),
        ("protocol", _NAMES.get(number(data.get(3, b"")), "tcp")),
        ("l3proto", _L3.get(number(data.get(2, b"")), "ip")),
    )


def _timeout(data: Attributes) -> Options:
    protocol = _NAMES.get(number(data.get(2, b"")), "tcp")
    states = TIMEOUTS.get(protocol, ())
    words = []
    for index, seconds in each(data.get(3, b"")):
        at = index if states[:1] == ("",) else index - 1
        if at < len(states) and number(seconds) != _DEFAULTS.get((protocol, states[at])):
            words.append(f"{states[at]} {number(seconds)}")
    return (
        ("protocol", protocol),
        ("l3proto", _L3.get(number(data.get(1, b"")), "ip")),
        *((("policy", " ".join(words)),) if words else ()),
    )


_DEFAULTS: dict[tuple[str, str], int] = {
    ("tcp", "syn_sent"): 120, ("tcp", "syn_recv"): 60, ("tcp", "established"): 432000,
    ("tcp", "fin_wait"): 120, ("tcp", "close_wait"): 60, ("tcp", "last_ack"): 30,
    ("tcp", "time_wait"): 120, ("tcp", "close"): 10, ("tcp", "syn_sent2"): 120,
    ("tcp", "retrans"): 300, ("tcp", "unack"): 300,
    ("udp", "unreplied"): 30, ("udp", "replied"): 120,
}  # fmt: skip


def _expectation(data: Attributes) -> Options:
    return (
        ("protocol", _NAMES.get(number(data.get(2, b"")), "tcp")),
        ("dport", str(number(data.get(3, b"")))),
        ("timeout", duration(int.from_bytes(data.get(4, b""), "little"))),
        ("size", str(number(data.get(5, b"")))),
        ("l3proto", _L3.get(number(data.get(1, b"")), "ip")),
    )


def _secmark(data: Attributes) -> Options:
    return (("context", string(data.get(1, b""))),)


_OPTIONS: dict[str, Callable[[Attributes], Options]] = {
    "ct helper": _helper, "ct timeout": _timeout, "ct expectation": _expectation,
    "secmark": _secmark,
}  # fmt: skip
