"""nft expressions: selectors on the left, values on the right, sets and maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from . import syntax as s
from .cursor import Cursor
from .fields import (
    BARE_META,
    BASES,
    FIB_FLAGS,
    FIB_RESULTS,
    FIELDS,
    FIRST_WORDS,
    IP_OPTIONS,
    META_ALIASES,
    OPTION_ALIASES,
    SCTP_CHUNKS,
    TCP_OPTIONS,
)
from .lexer import ADDRESS, BULK, END, MARK, NUMBER, STRING, WORD, bulk
from .problems import Wrong, did_you_mean

Part = Callable[[Cursor], s.Expression]
_DEEP = 60
"""Brackets within brackets; nobody writes so many, and Python's stack is finite."""
_LEVELS = (("|", "or"), ("^", "xor"), ("&", "and"), ("<<", ">>", "lshift", "rshift"))
_SIGNS = {"or": "|", "xor": "^", "and": "&", "lshift": "<<", "rshift": ">>"}
_ALL_SIGNS = frozenset(sign for level in _LEVELS for sign in level)
_LONGER = {words[:2] for words in FIELDS if len(words) > 2}
_HASHES = ("jhash", "symhash", "numgen")
_ALONE = frozenset(("accept", "drop", "continue", "return", "queue"))
_ALWAYS = frozenset((
    "fib", *_HASHES, "ct", "meta", "exthdr", "osf", "socket", "ipsec", "srh", "rt0",
))  # fmt: skip
_VERDICTS = ("accept", "drop", "continue", "return", "jump", "goto")


def is_selector(c: Cursor) -> bool:
    """Whether a selector starts here (a value may be called as one: ``ip protocol tcp``)."""
    if c.kind != WORD:
        return False
    first, second = c.text, c.after()
    if first in BARE_META:
        return True
    if first in _ALWAYS:
        return True
    if (first, second) in _OPTIONS or (first, second) == ("rt", "nexthop"):
        return True
    return any(len(w) > 1 and w[1] == second for w in FIRST_WORDS.get(first, ()))


_SHORT = {words for words in FIELDS if len(words) == 2} - _LONGER
_BARE: dict[str, tuple[str, ...]] = {
    word: ("meta", META_ALIASES.get(word, word)) for word in sorted(BARE_META - {"ipsec"})
}
_GOES_ON = _ALL_SIGNS | {"."}
_BEHIND = _ALL_SIGNS | {"/", "-"}


def plain_selector(c: Cursor) -> s.Selector | None:
    """A selector of one or two words that nothing is computed from: what most rules begin with."""
    i, texts = c.i, c.texts
    words: tuple[str, ...] = _BARE.get(texts[i], ())
    length = 1
    if not words and c.kinds[i] == WORD:
        words, length = (texts[i], texts[i + 1]), 2
        if words not in _SHORT:
            return None
    if not words or texts[i + length] in _GOES_ON:
        return None
    c.i = i + length
    return s.Selector(words, c.places[i])


def selector(c: Cursor) -> s.Expression:
    """``tcp dport``, ``ct original ip saddr``, ``@th,0,16``, ``jhash …`` and the rest."""
    at, first = c.at, c.text
    words = (first, c.after())
    if words in FIELDS and words not in _LONGER:
        c.i += 2
        return s.Selector(words, at)
    if first in _BARE:
        c.take()
        return s.Selector(_BARE[first], at)
    special = _OPTIONS.get(words) or _SPECIAL.get(first)
    return special(c, at) if special else _longest(c, at)


def _longest(c: Cursor, at: int) -> s.Expression:
    known = FIRST_WORDS.get(c.text, [])
    best: tuple[str, ...] = ()
    for words in known:
        if len(words) > len(best) and all(c.after(n) == w for n, w in enumerate(words)):
            best = words
    if best:
        c.i += len(best)
        return s.Selector(best, at)
    first = c.take()
    if not known:
        raise_unknown(c, at, first)
    c.refuse(f"{first} has no {c.said}", did_you_mean(c.text, {w[1] for w in known}))


def raise_unknown(c: Cursor, at: int, word: str) -> None:
    c.i -= 1
    names = {*FIRST_WORDS, *BARE_META, *_SPECIAL, *_VERDICTS}
    names |= {"log", "limit", "counter", "reject", "masquerade", "snat", "dnat", "redirect"}
    c.refuse(f"unknown word {word!r}", did_you_mean(word, names))


def _meta(c: Cursor, at: int) -> s.Expression:
    c.take()
    name = META_ALIASES.get(c.text, c.text)
    if ("meta", name) not in FIELDS:
        c.refuse(f"meta has no {c.said}", did_you_mean(name, {w[1] for w in FIRST_WORDS["meta"]}))
    c.take()
    return s.Selector(("meta", name), at)


def _fib(c: Cursor, at: int) -> s.Expression:
    c.take()
    flags = [c.one_of(FIB_FLAGS, "part of fib")]
    while c.accept("."):
        flags.append(c.one_of(FIB_FLAGS, "part of fib"))
    if len({"saddr", "daddr"} & set(flags)) != 1:
        raise Wrong(at, "fib looks for one address", "write saddr or daddr")
    result = c.one_of(FIB_RESULTS, "result of fib")
    return s.Selector(("fib", " . ".join(sorted(flags, key=FIB_FLAGS.__getitem__)), result), at)


def _hash(c: Cursor, at: int) -> s.Expression:
    kind = c.take()
    of = None
    if kind == "jhash":
        of = concat(c, sum_of_selectors)
    elif kind == "numgen":
        kind = f"numgen {c.one_of(('inc', 'random'), 'numgen mode')}"
    c.expect("mod")
    modulus = c.number("a modulus", 0xFFFFFFFF)
    if not modulus:
        c.refuse("a modulus of 0 divides nothing")
    seed = c.number("a seed", 0xFFFFFFFF) if c.accept("seed") else None
    offset = c.number("an offset", 0xFFFFFFFF) if c.accept("offset") else 0
    return s.Hash(kind, of, modulus, seed, offset, at)


def _raw(c: Cursor, at: int) -> s.Expression:
    c.expect("@")
    if c.after() != ",":
        return s.SetName(c.word("the name of a set"), at)
    base = c.one_of(BASES, "header base")
    c.expect(",")
    offset = c.number("an offset in bits", 0xFFFF)
    c.expect(",")
    length = c.number("a length in bits", 1024)
    if not length:
        c.refuse("a length of 0 bits holds nothing")
    return s.Raw(base, offset, length, at)


def _tcp_option(c: Cursor, at: int) -> s.Expression:
    c.take()
    c.take()
    if c.kind == NUMBER:
        number = str(c.number("an option", 255))
        length = (c.take(),) if c.text == "length" else ()
        return s.Selector(("tcp option", number, *length), at)
    if c.accept("@"):
        return _raw_option(c, at)
    return _part_of(c, at, "tcp option", TCP_OPTIONS)


def _part_of(c: Cursor, at: int, first: str, known: Iterable[str]) -> s.Selector:
    """An option or a chunk by name, and the field of it that follows, if one does."""
    name = OPTION_ALIASES.get(c.text, c.text)
    if name not in known:
        c.refuse(f"unknown {first} {c.said}", did_you_mean(name, known))
    c.take()
    if (first, name, c.text) in FIELDS:
        return s.Selector((first, name, c.take()), at)
    return s.Selector((first, name), at)


def _ip_option(c: Cursor, at: int) -> s.Expression:
    c.i += 2
    return _part_of(c, at, "ip option", IP_OPTIONS)


def _sctp_chunk(c: Cursor, at: int) -> s.Expression:
    c.i += 2
    return _part_of(c, at, "sctp chunk", SCTP_CHUNKS)


def _segments(c: Cursor, at: int) -> s.Expression:
    """``srh sid[1]``, ``rt0 addr[1]``: one of several addresses."""
    first, field = c.take(), c.take()
    if c.accept("["):
        number = c.number("which one", 16)
        c.expect("]")
        field = f"{field}[{number}]"
    if (first, field) not in FIELDS:
        c.i -= 1
        known = {words[1] for words in FIRST_WORDS[first]}
        c.refuse(f"{first} has no {field!r}", did_you_mean(field, known))
    return s.Selector((first, field), at)


def _rt(c: Cursor, at: int) -> s.Expression:
    if c.after() == "nexthop":
        c.i += 2
        return s.Selector(("rt", "nexthop"), at)
    return _longest(c, at)


def _raw_option(c: Cursor, at: int) -> s.Expression:
    numbers = [c.number("an option", 255)]
    for what in ("an offset", "a length"):
        c.expect(",")
        numbers.append(c.number(what, 2048))
    return s.Selector(("tcp option", "@" + ",".join(map(str, numbers))), at)


def _ipsec(c: Cursor, at: int) -> s.Expression:
    if c.after() not in ("in", "out"):
        c.take()
        return s.Selector(("meta", "ipsec"), at)
    c.take()
    way = c.take()
    number = c.number("a policy number", 255) if c.accept("spnum") else 0
    spnum: tuple[str, ...] = (f"spnum {number}",) if number else ()
    known = {words[2:] for words in FIRST_WORDS["ipsec"]}
    for words in known:
        if all(c.after(n) == w for n, w in enumerate(words)):
            c.i += len(words)
            return s.Selector(("ipsec", way, *spnum, *words), at)
    c.refuse(f"ipsec has no {c.said}", did_you_mean(c.text, {w[-1] for w in known}))


def _socket(c: Cursor, at: int) -> s.Expression:
    if c.after() == "cgroupv2":
        c.i += 2
        c.expect("level")
        return s.Selector(("socket", f"cgroupv2 level {c.number('a level', 255)}"), at)
    return _longest(c, at)


def _ct(c: Cursor, at: int) -> s.Expression:
    aliases = {"src": "saddr", "l3protocol": "l3proto", "protocol": "protocol"}
    if c.after(2) in aliases and c.after() in ("original", "reply"):
        c.texts[c.i + 2] = aliases[c.after(2)]
    return _longest(c, at)


_SPECIAL = {
    "meta": _meta, "fib": _fib, "jhash": _hash, "symhash": _hash, "numgen": _hash, "@": _raw,
    "ipsec": _ipsec, "socket": _socket, "ct": _ct, "rt": _rt, "srh": _segments, "rt0": _segments,
}  # fmt: skip
_OPTIONS = {("tcp", "option"): _tcp_option, ("ip", "option"): _ip_option,
            ("sctp", "chunk"): _sctp_chunk}  # fmt: skip


# ---- values and operators


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
        return _raw(c, at)
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
    if level == len(_LEVELS):
        return part(c)
    if level == 0:
        start = c.i
        first = part(c)
        if c.texts[c.i] not in _ALL_SIGNS or c.kinds[c.i] < NUMBER:
            return first
        c.i = start
    left = binary(c, part, level + 1)
    while c.texts[c.i] in _LEVELS[level] and c.kinds[c.i] >= NUMBER:
        at = c.at
        sign = c.take()
        left = s.Binary(_SIGNS.get(sign, sign), left, binary(c, part, level + 1), at)
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
    if c.kind == WORD and c.text in _VERDICTS:
        return verdict(c)
    return concat(c, _assigned_part)
