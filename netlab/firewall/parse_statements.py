"""nft statements: one function each, found by the word they begin with."""

from __future__ import annotations

from collections.abc import Callable

from . import syntax as s
from .cursor import Cursor
from .fields import TCP_OPTIONS
from .lexer import END, MARK, NUMBER, STRING, WORD
from .parse_expressions import (
    assigned,
    concat,
    constant,
    reads,
    right_side,
    set_literal,
    set_or_name,
    sum_of_selectors,
    value,
    verdict,
)
from .parse_nat import nat, send, tproxy
from .parse_selectors import is_selector, plain_selector, selector
from .problems import Wrong, did_you_mean

_OPERATORS = {
    "==": "==", "eq": "==", "!=": "!=", "ne": "!=", "<": "<", "lt": "<", ">": ">", "gt": ">",
    "<=": "<=", "le": "<=", ">=": ">=", "ge": ">=", "!": "!",
}  # fmt: skip
UNITS = ("second", "minute", "hour", "day", "week")
BYTES = {"bytes": 1, "kbytes": 1 << 10, "mbytes": 1 << 20}
LEVELS = ("emerg", "alert", "crit", "err", "warn", "notice", "info", "debug", "audit")
_LEVEL_ALIASES = {"warning": "warn", "error": "err", "panic": "emerg"}


def _match(c: Cursor) -> s.Statement:
    at = c.places[c.i]
    left = plain_selector(c) or _computed(c, at)
    text, kind = c.texts[c.i], c.kinds[c.i]
    if kind == WORD and text in _VERBS:
        return _VERBS[text](c, left, at)
    operator = ""
    if kind >= WORD and text in _OPERATORS:
        operator = _OPERATORS[text]
        c.i += 1
    right = right_side(c)
    mask = None
    if c.texts[c.i] == "/" and c.kinds[c.i] == MARK:
        c.i += 1
        mask = right_side(c)
    return s.Match(left, operator, right, mask, at)


def _computed(c: Cursor, at: int) -> s.Expression:
    if c.kind != WORD and c.text not in ("@", "(", "$"):
        c.refuse(f"expected a statement, found {c.said}")
    if c.text == "$":
        c.refuse("a variable cannot stand for a statement", "write it after a selector")
    left = concat(c, sum_of_selectors)
    if isinstance(left, s.Value):
        c.i -= 1
        selector(c)
    if not reads(left):
        raise Wrong(at, "expected something that is read from the packet")
    return left


def _assigned(c: Cursor, left: s.Expression, at: int) -> s.Statement:
    c.take()
    if c.kind == STRING and isinstance(left, s.Selector) and left.words == ("meta", "secmark"):
        return s.Refer("secmark", constant(c), at)
    return s.Assign(left, assigned(c), at)


def _decided(c: Cursor, left: s.Expression, at: int) -> s.Statement:
    c.take()
    return s.Decide(s.Map(left, set_or_name(c), True, at), at)


def _mapped(c: Cursor, left: s.Expression, at: int) -> s.Statement:
    c.refuse("a map gives a value, and no statement takes it here", "did you mean 'vmap'?")


_VERBS = {"set": _assigned, "vmap": _decided, "map": _mapped}


def _decide(c: Cursor) -> s.Statement:
    at = c.places[c.i]
    if c.texts[c.i + 1] == "{":
        return _nameless(c)
    return s.Decide(verdict(c), at)


def _counter(c: Cursor) -> s.Statement:
    at = c.places[c.i]
    c.i += 1
    follows = c.texts[c.i]
    if follows == "packets":
        c.i += 1
        packets = c.number("packets")
        c.expect("bytes")
        return s.Counter(packets, c.number("bytes"), at)
    if follows == "name":
        c.i += 1
        return s.Refer("counter", _named(c), at)
    if c.kinds[c.i] == STRING:
        return s.Refer("counter", constant(c), at)
    return s.Counter(None, None, at)


def _named(c: Cursor) -> s.Expression:
    """The name of an object, or a map that gives one."""
    at = c.at
    if is_selector(c) and c.after() not in ("", "\n", ";", "}"):
        key = concat(c, sum_of_selectors)
        c.expect("map")
        return s.Map(key, set_or_name(c), False, at)
    return constant(c)


def _limit(c: Cursor) -> s.Statement:
    at = c.at
    c.take()
    if c.accept("name"):
        return s.Refer("limit", _named(c), at)
    return limit_body(c, at)


def limit_body(c: Cursor, at: int) -> s.Limit:
    c.expect("rate")
    over = bool(c.accept("over"))
    c.accept("until")
    rate = c.number("a rate", 0xFFFFFFFF)
    if not rate:
        c.refuse("a rate of 0 lets nothing through", "write drop")
    unit, per = _rate(c)
    burst, burst_unit = None, ""
    if c.accept("burst"):
        burst = c.number("a burst", 0xFFFFFFFF)
        if not burst and unit == "packets":
            c.refuse("a burst of 0 packets lets nothing through", "leave it out")
        burst_unit = c.one_of(("packets", *BYTES), "unit")
        if (burst_unit == "packets") != (unit == "packets"):
            c.i -= 1
            c.refuse(f"a limit in {unit} has no burst in {burst_unit}")
    return s.Limit(rate, unit, per, over, burst, burst_unit, at)


def _rate(c: Cursor) -> tuple[str, str]:
    if c.accept("/"):
        return "packets", c.one_of(UNITS, "unit of time")
    unit, _, per = c.text.partition("/")
    if unit not in BYTES or (per and per not in UNITS):
        c.refuse(f"unknown rate {c.said}", "as in 10/second or 5 mbytes/second")
    c.take()
    if not per:
        c.expect("/")
        per = c.one_of(UNITS, "unit of time")
    return unit, per


def _quota(c: Cursor) -> s.Statement:
    at = c.at
    c.take()
    if c.accept("name"):
        return s.Refer("quota", _named(c), at)
    return quota_body(c, at)


def quota_body(c: Cursor, at: int) -> s.Quota:
    over = bool(c.accept("over"))
    c.accept("until")
    amount = c.number("an amount")
    unit = c.one_of(BYTES, "unit")
    used, used_unit = None, ""
    if c.accept("used"):
        used = c.number("an amount")
        used_unit = c.one_of(BYTES, "unit")
    return s.Quota(amount, unit, over, used, used_unit, at)


def _log(c: Cursor) -> s.Statement:
    at = c.at
    c.take()
    said: dict[str, int] = {}
    prefix: s.Expression | None = None
    level = ""
    flags: list[str] = []
    while c.kind == WORD and c.text in _LOG_WORDS:
        word = c.take()
        if word == "prefix":
            prefix = constant(c)
        elif word == "level":
            name = _LEVEL_ALIASES.get(c.text, c.text)
            if name not in LEVELS:
                c.refuse(f"unknown level {c.said}", did_you_mean(name, LEVELS))
            c.take()
            level = name
        elif word == "flags":
            flags += _log_flags(c)
        else:
            said[word] = c.number(word, _LOG_WORDS[word])
    return s.Log(prefix, level, said.get("group"), said.get("snaplen"),
                 said.get("queue-threshold"), tuple(flags), at)  # fmt: skip


_LOG_WORDS = {
    "prefix": 0, "level": 0, "flags": 0, "group": 0xFFFF, "snaplen": 0xFFFFFFFF,
    "queue-threshold": 0xFFFF,
}  # fmt: skip


def _log_flags(c: Cursor) -> list[str]:
    word = c.one_of(("tcp", "ip", "skuid", "ether", "all"), "log flag")
    if word == "tcp":
        flags = [c.one_of(("sequence", "options"), "log flag of tcp")]
        while c.accept(","):
            flags.append(c.one_of(("sequence", "options"), "log flag of tcp"))
        return [f"tcp {flag}" for flag in flags]
    if word == "ip":
        return [f"ip {c.one_of(('options',), 'log flag of ip')}"]
    return [word]


def _reject(c: Cursor) -> s.Statement:
    at = c.at
    c.take()
    if not c.accept("with"):
        return s.Reject("", None, at)
    kind = c.one_of(("tcp", "icmp", "icmpv6", "icmpx"), "way to reject")
    if kind == "tcp":
        c.expect("reset")
        return s.Reject("tcp reset", None, at)
    c.accept("type")
    return s.Reject(kind, constant(c), at)


def _synproxy(c: Cursor) -> s.Statement:
    at = c.at
    c.take()
    if c.accept("name"):
        return s.Refer("synproxy", _named(c), at)
    return synproxy_body(c, at)


def synproxy_body(c: Cursor, at: int, several: bool = False) -> s.Synproxy:
    mss = wscale = None
    flags = []
    while True:
        if several:
            c.lines()
        if c.accept("mss"):
            mss = c.number("mss", 0xFFFF)
        elif c.accept("wscale"):
            wscale = c.number("wscale", 255)
        elif c.text in ("timestamp", "sack-perm"):
            flags.append(c.take())
        else:
            return s.Synproxy(mss, wscale, tuple(flags), at)


def _queue(c: Cursor) -> s.Statement:
    at = c.at
    c.take()
    flags: list[str] = []
    if c.accept("flags"):
        flags += _queue_flags(c)
    to: s.Expression | None = None
    if c.accept("num") or c.kind == NUMBER:
        to = value(c)
    elif c.accept("to"):
        to = assigned(c)
    flags += _queue_flags(c)
    return s.Queue(to, tuple(flags), at)


def _queue_flags(c: Cursor) -> list[str]:
    flags = []
    while c.text in ("bypass", "fanout"):
        flags.append(c.take())
        c.accept(",")
    return flags


def _plain(c: Cursor) -> s.Statement:
    at = c.at
    word = c.take()
    if word == "last" and c.accept("used"):
        c.one_of(("never",), "time") if c.text == "never" else c.time("a time")
    return s.Plain(word, at)


def _remember(c: Cursor) -> s.Statement:
    at = c.at
    verb = c.take()
    c.expect("@", " and the name of a set")
    name = c.word("the name of a set")
    literal = set_literal(c)
    found = literal.elements[0] if len(literal.elements) == 1 else None
    if not isinstance(found, s.Element):
        c.refuse(f"{verb} @{name} takes one element in braces", "as in { ip saddr }")
    return s.Remember(verb, name, found, at)


def _set(c: Cursor) -> s.Statement:
    """``set add ip saddr @s``, as it was written before ``add @s { ip saddr }``."""
    at = c.at
    c.take()
    verb = c.one_of(("add", "update", "delete"), "verb")
    where = c.at
    key = concat(c, sum_of_selectors)
    timeout = c.time("a timeout") if c.accept("timeout") else ""
    c.expect("@", " and the name of a set")
    name = c.word("the name of a set")
    return s.Remember(verb, name, s.Element(key, timeout=timeout, at=where), at)


def _meter(c: Cursor) -> s.Statement:
    at = c.at
    c.take()
    name = c.word("the name of a meter")
    size = c.number("a size", 0xFFFFFFFF) if c.accept("size") else None
    literal = set_literal(c)
    found = literal.elements[0] if len(literal.elements) == 1 else None
    if not isinstance(found, s.Element) or not found.statements:
        c.refuse(f"meter {name} takes a key and what is measured",
                 "as in { ip saddr limit rate 5/second }")  # fmt: skip
    return s.Meter(name, found, size, at)


def _reset(c: Cursor) -> s.Statement:
    at = c.at
    c.take()
    option = selector(c)
    if not isinstance(option, s.Selector) or option.words[0] != "tcp option":
        c.refuse("reset is for a tcp option", "as in reset tcp option sack-perm")
    if option.words[1] not in TCP_OPTIONS and not option.words[1].isdecimal():
        raise Wrong(at, f"no option {option.words[1]!r} can be reset", did_you_mean(
            option.words[1], TCP_OPTIONS))  # fmt: skip
    return s.Reset(option.words[1], at)


def _flow(c: Cursor) -> s.Statement:
    at = c.at
    c.take()
    c.one_of(("add", "offload"), "verb of flow")
    c.expect("@", " and the name of a flowtable")
    return s.Offload(c.word("the name of a flowtable"), at)


def _ct(c: Cursor) -> s.Statement:
    """``ct count`` and ``ct helper set``; most of what begins with ct is a match."""
    if c.after() != "count" and (c.after() not in _OF_CT or c.after(2) != "set"):
        return _match(c)
    at = c.at
    c.take()
    kind = c.take()
    if kind == "count":
        over = bool(c.accept("over"))
        return s.Connections(c.number("a count", 0xFFFFFFFF), over, at)
    c.expect("set")
    return s.Refer(f"ct {kind}", _named(c), at)


def _foreign(c: Cursor) -> s.Statement:
    at, first, word = c.at, c.i, c.text
    while not c.ended and not (c.text == "comment" and c.kind == WORD):
        c.take()
    return s.Foreign(" ".join(c.texts[first : c.i]), word, at)


def _nameless(c: Cursor) -> s.Statement:
    """``jump { … }``."""
    at, first, depth = c.at, c.i, 0
    while not c.over:
        depth += {"{": 1, "}": -1}.get(c.text, 0)
        if c.take() == "}" and not depth:
            return s.Foreign(" ".join(c.texts[first : c.i]), "a chain without a name", at)
    raise Wrong(at, "the brace is never closed", "add a '}'")


_OF_CT = ("helper", "timeout", "expectation")
STATEMENTS: dict[str, Callable[[Cursor], s.Statement]] = {
    **dict.fromkeys(("accept", "drop", "continue", "return", "jump", "goto"), _decide),
    **dict.fromkeys(("snat", "dnat", "masquerade", "redirect"), nat),
    **dict.fromkeys(("dup", "fwd"), send),
    **dict.fromkeys(("add", "update", "delete"), _remember),
    **dict.fromkeys(("notrack", "last"), _plain),
    **dict.fromkeys(("vxlan", "geneve", "gre", "gretap", "tunnel", "xt"), _foreign),
    "counter": _counter,
    "limit": _limit,
    "quota": _quota,
    "log": _log,
    "reject": _reject,
    "tproxy": tproxy,
    "synproxy": _synproxy,
    "queue": _queue,
    "reset": _reset,
    "set": _set,
    "meter": _meter,
    "flow": _flow,
    "ct": _ct,
}


def rule(c: Cursor) -> s.Rule:
    """Statements up to the end of the line, and their comment."""
    kinds, texts = c.kinds, c.texts
    at = c.places[c.i]
    found: list[s.Statement] = []
    comment = ""
    while (kind := kinds[c.i]) != END and (text := texts[c.i]) != "}":
        if kind != WORD:
            found.append(_match(c))
        elif read := STATEMENTS.get(text):
            found.append(read(c))
        elif text == "comment":
            c.i += 1
            comment = c.comment()
            break
        else:
            found.append(_match(c))
    if not found:
        c.refuse("a rule without a statement")
    return s.Rule(tuple(found), comment, at)
