"""Text as tokens: three lists side by side, for speed: kinds, texts and places.

A token's place is its number, not its character: characters are counted again (``offset``) for
the few tokens that a message speaks of.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from .problems import Wrong

END, STRING, ADDRESS, TIME, PAIR, NUMBER, WORD, MARK, JUNK, BULK = range(1, 11)

_ADDRESS = (
    r"(?:[0-9A-Fa-f]{1,2}:){5}[0-9A-Fa-f]{1,2}(?![0-9A-Fa-f:])"
    r"|(?:[0-9A-Fa-f]{0,4}:){2,7}(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]{1,4}|(?<=::))"
)
_PAIR = (
    r"(?=[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{1,4}(?=[ \t\n:},-]))"
    r"(?:[0-9A-Fa-f]*\d[0-9A-Fa-f]*:[0-9A-Fa-f]+|[A-Fa-f]+:[0-9A-Fa-f]*\d[0-9A-Fa-f]*"
    r"|[A-Fa-f]{4}:[A-Fa-f]{4})"
)
_IPV4 = r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}"
_VALUE = rf"(?>{_IPV4}(?:-{_IPV4}|/\d{{1,3}})?|(?:{_ADDRESS})(?:/\d{{1,3}})?|\d+(?:-\d+)?)"
_MANY = 64
_BULK = rf"\{{(?:[ \t\r\n]*{_VALUE}[ \t\r\n]*,){{{_MANY},}}+"
"""A brace and so many plain values that a token for each would take time."""
_TOKEN = re.compile(
    rf"""(?:[ \t\r]+|\\\r?\n|\#[^\n]*)*(
      [\n;]|\Z
    | {_BULK}
    | [{{}},]
    | "[^"\n\0]*"
    | \d{{1,3}}\.\d{{1,3}}\.\d{{1,3}}\.\d{{1,3}}(?![\w.])
    | (?=[0-9A-Fa-f:][0-9A-Fa-f:]*:)(?:{_ADDRESS}|{_PAIR})
    | [A-Za-z_](?:[\w*]|\.(?=\w)|/(?!/)|-(?!-)|\\\*)*\*?|\\\*
    | 0[xX][0-9A-Fa-f]+|8021(?:q|ad)(?!\w)|\d+(?!\w)
    | (?=\d)(?:\d+w)?(?:\d+d)?(?:\d+h)?(?:\d+m)?(?:\d+s)?(?:\d+ms)?(?<=[a-z])(?!\w)
    | \d+
    | ==|!=|<=|>=|<<|>>|&&|\|\||[()\[\]:.=<>&|^!/\-+*@$]
    | .
    )""",
    re.VERBOSE,
)
_OPERATORS = frozenset((
    "==", "!=", "<=", ">=", "<<", ">>", "&&", "||", *"{}()[],:.=<>&|^!/-+*@$",
))  # fmt: skip
_ENDS = frozenset(("\n", ";", ""))
_PAIRED = re.compile(_PAIR.replace("(?=[ \\t\\n:},-])", "$"))
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_\\")


@dataclass(frozen=True, slots=True)
class Tokens:
    kinds: list[int]
    texts: list[str]
    places: Sequence[int]


def tokens(text: str, start: int) -> Tokens:
    """Cut a text; ``start`` is the number of its first token."""
    texts: list[str] = _TOKEN.findall(text)
    texts.append("")
    known = _Kinds()
    kinds = list(map(known.__getitem__, texts))
    places: Sequence[int] = range(start, start + len(texts))
    if BULK in known.values():
        places = _apart(kinds, texts, start)
    if JUNK in known.values():
        at = kinds.index(JUNK)
        raise _junk(texts[at], places[at])
    return Tokens(kinds, texts, places)


def _apart(kinds: list[int], texts: list[str], start: int) -> list[int]:
    """The brace before a bulk and the comma behind it become tokens of their own; all places."""
    at = -1
    for _ in range(kinds.count(BULK)):
        at = kinds.index(BULK, at + 1)
        texts[at : at + 1] = "{", texts[at][1:-1], ","
        kinds[at : at + 1] = MARK, BULK, MARK
        at += 1
    lengths = (2 * text.count(",") + 1 if kind == BULK else 1
               for kind, text in zip(kinds, texts, strict=True))  # fmt: skip
    return list(accumulate(lengths, initial=start))


def bulk(text: str) -> list[str]:
    """The values of a ``BULK``; the n-th is token 2 n of it."""
    return text.translate(_NO_SPACE).split(",")


_NO_SPACE = {ord(space): None for space in " \t\r\n"}


def offset(text: str, number: int, known: tuple[int, int] = (0, 0)) -> tuple[int, tuple[int, int]]:
    """Where in a text its token of a number begins, and what is ``known`` for the next time.

    That is the number of a token and where it begins: who asks in order looks at each token once.
    """
    first, at = known if known[0] <= number else (0, 0)
    for found in _TOKEN.finditer(text, at):
        said, start = found[1], found.start(1)
        length = 1 + 2 * said.count(",") if len(said) > _MANY and said[0] == "{" else 1
        if number <= first:
            return start, (first, start)
        if number < first + length:
            return start + _inside(said, number - first - 1), (first, start)
        first += length
    return len(text), (0, 0)


def _inside(said: str, number: int) -> int:
    """Where in a brace and its bulk the token of a number begins."""
    pieces = said.split(",", number // 2 + 1)
    before = sum(map(len, pieces[: number // 2])) + number // 2
    piece = pieces[number // 2]
    return before + (len(piece) if number % 2 else len(piece) - len(piece.lstrip("{ \t\r\n")))


class _Kinds(dict[str, int]):
    """The kind of each different token, found once."""

    def __missing__(self, text: str) -> int:
        kind = self[text] = _kind(text)
        return kind


def _kind(text: str) -> int:
    if text in _ENDS:
        return END
    first = text[0]
    if "0" <= first <= "9" and ":" not in text:
        return _numeric(text)
    if text in _OPERATORS:
        return MARK
    if first == "{":
        return BULK
    if ":" in text and first != '"':
        return PAIR if _PAIRED.match(text) else ADDRESS
    if first in _LETTERS:
        return WORD
    if first == '"':
        return STRING if len(text) > 1 else JUNK
    return JUNK


def _numeric(text: str) -> int:
    if text.isdecimal() or text[:2] in ("0x", "0X"):
        return NUMBER
    if "." in text:
        return ADDRESS
    return PAIR if text.startswith("8021") else TIME


def _junk(character: str, at: int) -> Wrong:
    if character == '"':
        return Wrong(at, "a quoted string does not end on its line", 'close it with "')
    return Wrong(at, f"{character!r} is no part of nft's language")

def integer(text: str) -> int:
    """The number that a NUMBER is."""
    return int(text, 16) if text[:2] in ("0x", "0X") else int(text)
