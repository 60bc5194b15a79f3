"""nft expressions: values and what is computed of them, sets and maps, and what they are of."""

from __future__ import annotations

from collections.abc import Callable

from . import syntax as s
from .cursor import Cursor
from .lexer import ADDRESS, BULK, END, MARK, NUMBER, STRING, WORD, bulk
from .parse_selectors import LEVELS, SIGNS, VERDICTS, is_selector, raw, selector

Part = Callable[[Cursor], s.Expression]
_DEEP = 60
"""Brackets within brackets; nobody writes so many, and Python's stack is finite."""
_WORDS = {"or": "|", "xor": "^", "and": "&", "lshift": "<<", "rshift": ">>"}
_BEHIND = SIGNS | {"/", "-"}
_ALONE = frozenset(("accept", "drop", "continue", "return", "queue"))


def constant(c: Cursor) -> s.Expression:
    """One value: a word, a number, an address, a string, a variable, or ( … )."""
    kind, at = c.kinds[c.i], c.places[c.i]
    if kind == STRING:
        return s.Value(c.take()[1:-1], True, at)
    if kind != MARK and kind != END:
        return s.Value(c.take(), False, at)
    return _marked(c, at)


def _marked(c: Cursor, at: int) -> s.Expression:
    if c.accept("$"):
        return s.Variable(c.word("a variable's name"), at)
    if c.accept("*"):
        return s.Wildcard(at)
    if c.text in ("(", "{") and c.kind == MARK:
        return _bracketed(c, constant)
    if c.text == "@" and c.kind == MARK:
        return raw(c, at)
    c.refuse(f"expected a value, found {c.said}")


def _bracketed(c: Cursor, part: Part) -> s.Expression:
    c.depth += 1
    if c.depth > _DEEP:
        c.refuse("too many brackets within brackets")
    try:
        if c.text == "{":
            return set_literal(c)
        c.take()
        inner = binary(c, part)
        c.expect(")")
        return inner
    finally:
        c.depth -= 1


def operand(c: Cursor) -> s.Expression:
    """A selector where one starts, else a value."""
    if c.text == "(" and c.kind == MARK:
        return _bracketed(c, operand)
    return selector(c) if is_selector(c) or (c.text == "@" and c.after(2) == ",") else constant(c)


def binary(c: Cursor, part: Part, level: int = 0) -> s.Expression:
    """``a & b | c``: nft binds shifts, then &, then ^, then |."""
    if level == len(LEVELS):
        return part(c)
    if level == 0:
        start = c.i
        first = part(c)
        if c.texts[c.i] not in SIGNS or c.kinds[c.i] < NUMBER:
            return first
        c.i = start
    left = binary(c, part, level + 1)
    while c.texts[c.i] in LEVELS[level] and c.kinds[c.i] >= NUMBER:
        at = c.at
        sign = c.take()
        left = s.Binary(_WORDS.get(sign, sign), left, binary(c, part, level + 1), at)
    return left


def value(c: Cursor) -> s.Expression:
    """A value with what may follow it: ``/24``, ``-80``, ``& 0xff``."""
    i = c.i
    if END < c.kinds[i] < MARK and c.texts[i + 1] not in _BEHIND:
        return constant(c)
    return _wider(c, binary(c, constant))


def _wider(c: Cursor, first: s.Expression) -> s.Expression:
    """A prefix or a range, where more follows."""
    if not isinstance(first, s.Value | s.Variable | s.Binary):
        return first
    at = c.at
    if c.text == "/" and c.texts[c.i + 1].isdecimal():
        c.i += 1
        first = s.Prefix(first, c.number("a prefix length", 128), at)
    if c.text == "-":
        c.i += 1
        return s.Range(first, binary(c, constant), at)
    return first


def concat(c: Cursor, part: Part) -> s.Expression:
    """``a . b . c``."""
    at = c.places[c.i]
    first = part(c)
    if c.texts[c.i] != ".":
        return first
    parts = [first]
    while c.accept("."):
        parts.append(part(c))
    return s.Concat(tuple(parts), at)


def right_side(c: Cursor) -> s.Expression:
    """What a selector is compared with: a value, a list, a set."""
    at = c.places[c.i]
    if c.ended:
        c.refuse(f"expected a value, found {c.said}")
    first = concat(c, value)
    if c.texts[c.i] != ",":
        return first
    items = [first]
    while c.accept(","):
        items.append(concat(c, value))
    return s.Values(tuple(items), at)


def sum_of_selectors(c: Cursor) -> s.Expression:
    return binary(c, operand)


def reads(tree: s.Expression) -> bool:
    """Whether it is read from the packet, or computed from what is."""
    if isinstance(tree, s.Concat):
        return all(map(reads, tree.parts))
    if isinstance(tree, s.Binary):
        return reads(tree.left)
    return isinstance(tree, s.Selector | s.Raw | s.Hash)


def assigned(c: Cursor) -> s.Expression:
    """What is written into something: a value, a selector, a map over one."""
    at = c.at
    key = concat(c, _assigned_part)
    if c.accept("map"):
        return s.Map(key, set_or_name(c), False, at)
    if c.text == "," and c.kind == MARK:
        items = [key]
        while c.accept(","):
            items.append(value(c))
        return s.Values(tuple(items), at)
    return key


def _assigned_part(c: Cursor) -> s.Expression:
    if c.kinds[c.i] in _SIMPLE and c.texts[c.i + 1] in _ALONE_BEFORE:
        return constant(c)
    if is_selector(c):
        return binary(c, operand)
    return _wider(c, binary(c, operand))


def set_or_name(c: Cursor) -> s.Expression:
    if c.text == "{":
        return _bracketed(c, constant)
    return constant(c)


def verdict(c: Cursor) -> s.Verdict:
    at = c.places[c.i]
    if c.texts[c.i] in _ALONE:
        c.i += 1
        return s.Verdict(c.texts[c.i - 1], None, at)
    kind = c.one_of(("jump", "goto"), "verdict")
    if c.ended:
        c.refuse(f"{kind} needs the name of a chain")
    chain = constant(c)
    if not isinstance(chain, s.Value | s.Variable):
        c.i -= 1
        c.refuse(f"{kind} needs the name of a chain")
    return s.Verdict(kind, chain, at)


# ---- set literals


def set_literal(c: Cursor) -> s.SetLiteral:
    at = c.at
    c.expect("{")
    elements: list[s.Member] = []
    while True:
        c.lines()
        if c.accept("}"):
            return s.SetLiteral(tuple(elements), at)
        if not _plain_elements(c, elements):
            elements.append(element(c))
        c.lines()
        if not c.accept(","):
            c.expect("}", f" or ',', found {c.said}")
            return s.SetLiteral(tuple(elements), at)


def _plain_elements(c: Cursor, elements: list[s.Member]) -> bool:
    """Addresses and numbers, prefixes and ranges of them, without ceremony."""
    texts: list[str] = []
    places: list[int] = []
    comma = c.i
    if c.kind == BULK:
        texts += bulk(c.text)
        places += range(c.at, c.at + 2 * len(texts), 2)
        comma = c.i + 1
        c.i += 2
        c.lines()
    while length := _plain_length(c):
        places.append(c.at)
        texts.append("".join(c.texts[c.i : c.i + length]))
        c.i += length
        c.lines()
        comma = c.i
        if not c.accept(","):
            break
        c.lines()
    c.i = comma
    if texts:
        elements.append(s.Bulk(tuple(texts), places))
    return bool(texts)


_AFTER = frozenset((",", "}", "\n", ";"))
_ALONE_BEFORE = _AFTER | {":", ".", "comment", "timeout", "counter"}
_SIMPLE = (ADDRESS, NUMBER)


def _plain_length(c: Cursor) -> int:
    """How many tokens the plain element has that stands here; 0: it is none, or not plain."""
    kinds, texts, i = c.kinds, c.texts, c.i
    if kinds[i] not in _SIMPLE:
        return 0
    if texts[i + 1] in _AFTER:
        return 1
    if i + 3 >= len(texts) or texts[i + 3] not in _AFTER:
        return 0
    prefix = texts[i + 1] == "/" and _length(texts[i + 2])
    return 3 if prefix or (texts[i + 1] == "-" and kinds[i + 2] in _SIMPLE) else 0


def _length(text: str) -> bool:
    return text.isdecimal() and len(text) < 4 and int(text) <= 128


def element(c: Cursor) -> s.Member:
    """``key [timeout 5s] [comment "…"] [counter] [: data]``."""
    at = c.at
    key = concat(c, _element_part)
    if isinstance(key, s.Variable) and c.text in (",", "}", "\n"):
        return key
    options: dict[str, str] = {}
    statements: list[s.Statement] = []
    data = None
    while c.text not in (",", "}") and c.kind != END:
        if c.text in ("timeout", "expires"):
            name = c.take()
            options[name] = c.time(name)
        elif c.accept("comment"):
            options["comment"] = c.comment()
        elif data is None and c.accept(":"):
            c.lines()
            data = mapped(c)
        else:
            statements.append(_element_statement(c))
    return s.Element(key, data, options.get("timeout", ""), options.get("expires", ""),
                     options.get("comment", ""), tuple(statements), at)  # fmt: skip


def _element_part(c: Cursor) -> s.Expression:
    if c.kinds[c.i] in _SIMPLE and c.texts[c.i + 1] in _ALONE_BEFORE:
        return constant(c)
    if is_selector(c) and c.after() not in (",", "}", ":", "."):
        return binary(c, operand)
    return value(c)


def _element_statement(c: Cursor) -> s.Statement:
    from .parse_statements import STATEMENTS

    known = ("counter", "limit", "quota", "ct", "last")
    if c.text not in known:
        c.refuse(f"unexpected {c.said} in a set", "elements are parted by commas")
    return STATEMENTS[c.text](c)


def mapped(c: Cursor) -> s.Expression:
    """The right side of a map's element."""
    if c.kind == WORD and c.text in VERDICTS:
        return verdict(c)
    return concat(c, _assigned_part)
