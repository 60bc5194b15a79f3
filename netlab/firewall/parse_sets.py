"""Named sets and maps."""

from __future__ import annotations

from . import syntax as s
from .cursor import Cursor
from .datatypes import TYPES
from .lexer import WORD
from .parse_expressions import concat, reads, set_literal, sum_of_selectors
from .problems import Wrong, did_you_mean

FLAGS = ("constant", "dynamic", "interval", "timeout")
_STATEFUL = ("counter", "limit", "quota", "ct", "last")
OBJECT_TYPES = ("counter", "quota", "limit", "synproxy", "secmark", "ct helper", "ct timeout",
                "ct expectation")  # fmt: skip


def named_set(c: Cursor, kind: str = "") -> s.Set:
    """``set name { … }``; the cursor stands on the word, or (``kind`` is given) on the name."""
    at = c.at
    kind = kind or c.take()
    name = c.word(f"the name of a {kind}")
    opened = c.at
    c.expect("{")
    said: dict[str, object] = {}
    statements: list[s.Statement] = []
    while True:
        c.lines()
        if c.accept("}"):
            break
        if c.over:
            raise Wrong(opened, f"the brace of {kind} {name} is never closed", "add a '}'")
        _option(c, kind, said, statements)
        c.end()
    key = said.pop("key", None)
    if key is None:
        raise Wrong(at, f"{kind} {name} has no type", "add 'type …' or 'typeof …'")
    if kind == "map" and said.get("data") is None:
        raise Wrong(at, f"map {name} says not what it maps to", "as in type ipv4_addr : verdict")
    return s.Set(name, key, statements=tuple(statements), at=at, **said)  # type: ignore[arg-type]


def _option(c: Cursor, kind: str, said: dict[str, object],
            statements: list[s.Statement]) -> None:  # fmt: skip
    word = c.text
    if word in ("type", "typeof"):
        c.take()
        said.update(_types(c) if word == "type" else _typeof(c))
        if kind == "set" and "data" in said:
            c.refuse("a set maps to nothing", "did you mean 'map'?")
    elif word == "flags":
        c.take()
        flags = [c.one_of(FLAGS, "flag of a set")]
        while c.accept(","):
            flags.append(c.one_of(FLAGS, "flag of a set"))
        said["flags"] = tuple(flags)
    elif word == "elements":
        c.take()
        c.expect("=")
        said["elements"] = _elements(c)
    elif word in ("timeout", "gc-interval"):
        c.take()
        said[word.replace("-", "_")] = c.time(word)
    elif word == "size":
        c.take()
        said["size"] = c.number("a size", 0xFFFFFFFF)
    elif word == "policy":
        c.take()
        said["policy"] = c.one_of(("performance", "memory"), "policy of a set")
    elif word == "auto-merge":
        c.take()
        said["auto_merge"] = True
    elif word == "comment":
        c.take()
        said["comment"] = c.comment()
    else:
        _stateful(c, kind, statements)


def _stateful(c: Cursor, kind: str, statements: list[s.Statement]) -> None:
    from .parse_statements import STATEMENTS

    if c.text in _STATEFUL:
        while not c.ended:
            if c.text not in _STATEFUL:
                c.refuse(f"unexpected {c.said} in a {kind}")
            statements.append(STATEMENTS[c.text](c))
        return
    known = ("type", "typeof", "flags", "elements", "timeout", "gc-interval", "size", "policy",
             "auto-merge", "comment", "counter")  # fmt: skip
    c.refuse(f"unexpected {c.said} in a {kind}", did_you_mean(c.text, known))


def _elements(c: Cursor) -> tuple[s.Member, ...]:
    if c.accept("$"):
        return (s.Variable(c.word("a variable's name"), c.at),)
    return set_literal(c).elements


def _types(c: Cursor) -> dict[str, object]:
    said: dict[str, object] = {"key": _type_names(c)}
    if c.accept(":"):
        if c.accept("interval"):
            said["data_interval"] = True
        said["data"] = _type_names(c, data=True)
    return said


def _type_names(c: Cursor, data: bool = False) -> tuple[str, ...]:
    names = [_type_name(c, data)]
    while c.accept("."):
        names.append(_type_name(c, data))
    return tuple(names)


def _type_name(c: Cursor, data: bool) -> str:
    if data and c.kind == WORD:
        pair = f"{c.text} {c.after()}"
        if pair in OBJECT_TYPES:
            c.i += 2
            return pair
        if c.text in OBJECT_TYPES:
            return c.take()
    known = set(TYPES) - (set() if data else {"verdict"})
    return c.one_of(known, "type")


def _typeof(c: Cursor) -> dict[str, object]:
    said: dict[str, object] = {"key": concat(c, _asked)}
    if c.accept(":"):
        if c.accept("interval"):
            said["data_interval"] = True
        if c.text in ("verdict", *OBJECT_TYPES) or f"{c.text} {c.after()}" in OBJECT_TYPES:
            said["data"] = _type_names(c, data=True)
        else:
            said["data"] = concat(c, _asked)
    return said


def _asked(c: Cursor) -> s.Expression:
    at = c.at
    tree = sum_of_selectors(c)
    if not reads(tree):
        raise Wrong(at, "typeof takes what is read from the packet", "as in typeof ip saddr")
    return tree
