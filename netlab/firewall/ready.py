"""Rulesets read and compiled once: the nodes of a lab often have the same one.

What is kept knows nothing of files: whoever asks has places of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from . import syntax as s
from .compile import Batch, Message, compile_script
from .lexer import offset
from .parse import Read, parse_all
from .problems import RulesetError
from .sources import Source, Sources

Texts = tuple[str, ...]
_Compiled = list[tuple[dict[str, int], tuple[Message, ...]]]
"""For each set of indexes that was asked for, the messages that they make."""


class Asked(Mapping[str, int]):
    """Interfaces and their indexes; remembers which were asked for."""

    def __init__(self, indexes: Mapping[str, int]) -> None:
        self._indexes = indexes
        self.asked: dict[str, int] = {}

    def __getitem__(self, name: str) -> int:
        self.asked[name] = self._indexes[name]
        return self.asked[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._indexes)

    def __len__(self) -> int:
        return len(self._indexes)


def script(texts: Sequence[Source], read: Read) -> s.Script:
    """As ``parse.parse_all``."""
    if _includes(texts):
        return parse_all(texts, read)
    try:
        known = _tree(tuple(each.text for each in texts))
    except RulesetError:
        return parse_all(texts)  # the same mistakes, at their places
    return s.Script(known.lines, _placed(texts))


def batch(texts: Sequence[Source], read: Read, links: Mapping[str, int]) -> Batch:
    """As ``compile.compile_script`` makes it of a script."""
    if _includes(texts):
        return compile_script(parse_all(texts, read), links=links)
    known = _compiled(tuple(each.text for each in texts))
    for indexes, messages in known:
        if all(links.get(name) == index for name, index in indexes.items()):
            if isinstance(links, Asked):
                links.asked |= indexes
            return Batch(messages, _placed(texts))
    noted = Asked(links)
    made = compile_script(script(texts, read), links=noted)
    known.append((noted.asked, made.messages))
    return made


@lru_cache(16)
def _tree(texts: Texts) -> s.Script:
    return parse_all([Source("", text) for text in texts])


@lru_cache(4096)
def _compiled(texts: Texts) -> _Compiled:
    return []


def _includes(texts: Sequence[Source]) -> bool:
    return any("include" in each.text for each in texts)


def _placed(texts: Sequence[Source]) -> Sources:
    sources = Sources(offset=offset)
    for each in texts:
        sources.add(each)
    return sources
