"""What a packet or its state is asked for: ``tcp dport``, ``ct original saddr``, ``@th,0,16``."""

from __future__ import annotations

from collections.abc import Iterable

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
from .lexer import NUMBER, WORD
from .problems import Wrong, did_you_mean

LEVELS = (("|", "or"), ("^", "xor"), ("&", "and"), ("<<", ">>", "lshift", "rshift"))
SIGNS = frozenset(sign for level in LEVELS for sign in level)
VERDICTS = ("accept", "drop", "continue", "return", "jump", "goto")
_LONGER = {words[:2] for words in FIELDS if len(words) > 2}
_HASHES = ("jhash", "symhash", "numgen")
_ALWAYS = frozenset((
    "fib", *_HASHES, "ct", "meta", "exthdr", "osf", "socket", "ipsec", "srh", "rt0",
))  # fmt: skip


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
_GOES_ON = SIGNS | {"."}


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
    names = {*FIRST_WORDS, *BARE_META, *_SPECIAL, *VERDICTS}
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
        from .parse_expressions import concat, sum_of_selectors

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


def raw(c: Cursor, at: int) -> s.Expression:
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
    "meta": _meta, "fib": _fib, "jhash": _hash, "symhash": _hash, "numgen": _hash, "@": raw,
    "ipsec": _ipsec, "socket": _socket, "ct": _ct, "rt": _rt, "srh": _segments, "rt0": _segments,
}  # fmt: skip
_OPTIONS = {("tcp", "option"): _tcp_option, ("ip", "option"): _ip_option,
            ("sctp", "chunk"): _sctp_chunk}  # fmt: skip
