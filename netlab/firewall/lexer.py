"""Text as tokens: three lists side by side, for speed: kinds, texts and places."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .problems import Wrong

END, STRING, ADDRESS, TIME, PAIR, TAGGED, NUMBER, WORD, MARK, JUNK = range(1, 11)

_TOKEN = re.compile(
    r"""(?:[ \t\r]+|\\\r?\n|\#[^\n]*)*(?:
      (\n|;|\Z)
    | ("[^"\n]*")
    | ((?:[0-9A-Fa-f]{1,2}:){5}[0-9A-Fa-f]{1,2}(?![0-9A-Fa-f:])
      |(?:[0-9A-Fa-f]{0,4}:){2,7}(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]{1,4}|(?<=::))
      |\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\w.]))
    | ((?=\d)(?:\d+w)?(?:\d+d)?(?:\d+h)?(?:\d+m)?(?:\d+s)?(?:\d+ms)?(?<=[a-z])(?![\w]))
    | (?:(?=[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{1,4}(?=[ \t\n:},]))
       ([0-9A-Fa-f]*\d[0-9A-Fa-f]*:[0-9A-Fa-f]+|[A-Fa-f]+:\d+))
    | (8021(?:q|ad)(?!\w))
    | (0[xX][0-9A-Fa-f]+|\d+)
    | ([A-Za-z_](?:[\w*]|\.(?=\w)|/(?!/)|-(?!-)|\\\*)*\*?|\\\*)
    | (==|!=|<=|>=|<<|>>|&&|\|\||[{}()\[\],:.=<>&|^!/\-+*@$])
    | (.)
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Tokens:
    kinds: list[int]
    texts: list[str]
    places: list[int]


def tokens(text: str, start: int) -> Tokens:
    """Cut a text; ``start`` is the number of its first character."""
    kinds: list[int] = []
    texts: list[str] = []
    places: list[int] = []
    for match in _TOKEN.finditer(text):
        kind = match.lastindex or END
        kinds.append(kind)
        texts.append(match.group(kind))
        places.append(start + match.start(kind))
        if kind == JUNK:
            raise _junk(texts[-1], places[-1])
    kinds.append(END)
    texts.append("")
    places.append(start + len(text))
    return Tokens(kinds, texts, places)


def _junk(character: str, at: int) -> Wrong:
    if character == '"':
        return Wrong(at, "a quoted string does not end on its line", 'close it with "')
    return Wrong(at, f"{character!r} is no part of nft's language")
