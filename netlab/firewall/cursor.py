"""Reading tokens one after the other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NoReturn, TypeVar

from .lexer import BULK, END, MARK, NUMBER, STRING, TIME, WORD, Tokens, integer
from .problems import Wrong, did_you_mean

T = TypeVar("T")
_NAME = re.compile(r'"[A-Za-z_](?:\w|[./-](?=\w))*"', re.ASCII)
_LONG = 60
_LONGEST_NAME = 255
_LONGEST_COMMENT = 127


Reach = Callable[[str, int, "Callable[[Cursor], None]"], None]


class Cursor:
    """A place in the tokens of one text. ``text`` keeps the quotes of strings."""

    __slots__ = ("depth", "i", "kinds", "places", "reach", "texts")

    def __init__(self, tokens: Tokens, reach: Reach) -> None:
        self.kinds = tokens.kinds
        self.texts = tokens.texts
        self.places = tokens.places
        self.i = 0
        self.depth = 0
        self.reach = reach
        """Reads what ``include`` names, line by line, as what stands around it would be read."""

    @property
    def text(self) -> str:
        return self.texts[self.i]

    @property
    def kind(self) -> int:
        return self.kinds[self.i]

    @property
    def at(self) -> int:
        return self.places[self.i]

    def after(self, steps: int = 1) -> str:
        """The text of a token further on; "" past the end."""
        return self.texts[self.i + steps] if self.i + steps < len(self.texts) else ""

    def take(self) -> str:
        text = self.texts[self.i]
        if self.i < len(self.texts) - 1:
            self.i += 1
        return text

    def accept(self, *texts: str) -> str:
        """Take the token if it is one of these (none ends a line); else ``""``."""
        text = self.texts[self.i]
        if text in texts and self.kinds[self.i] >= NUMBER:
            self.i += 1
            return text
        return ""

    def expect(self, text: str, why: str = "") -> None:
        if not self.accept(text):
            self.refuse(f"expected {text!r}{why}")

    def one_of(self, known: Iterable[str], what: str) -> str:
        names = tuple(known)
        if self.kind == WORD and self.text in names:
            return self.take()
        self.refuse(f"unknown {what} {self.said}", did_you_mean(self.text, names))

    def word(self, what: str) -> str:
        """A name: a word, or a quoted one."""
        if self.kind not in (WORD, STRING):
            self.refuse(f"expected {what}, found {self.said}")
        if self.kind == STRING and not _NAME.fullmatch(self.text):
            self.refuse(f"{self.said} cannot be {what}", "names begin with a letter, and have "
                        "letters, digits and . / _ - in them")  # fmt: skip
        if len(self.text.encode()) > _LONGEST_NAME:
            self.refuse(f"a name has at most {_LONGEST_NAME} bytes")
        return self.take().strip('"')

    def number(self, what: str, top: int = (1 << 64) - 1) -> int:
        if self.kind != NUMBER:
            self.refuse(f"expected {what}, a number, found {self.said}")
        number = integer(self.text)
        if number > top:
            self.refuse(f"{what} {number} is more than {top}")
        self.take()
        return number

    def time(self, what: str) -> str:
        if self.kind in (TIME, NUMBER):
            return self.take()
        self.refuse(f"expected {what}, a time such as 1h30m, found {self.said}")

    def string(self, what: str) -> str:
        if self.kind != STRING:
            self.refuse(f"expected {what} in quotes, found {self.said}", 'write it as "…"')
        return self.take()[1:-1]

    def comment(self) -> str:
        if self.kind == STRING and len(self.text.encode()) > _LONGEST_COMMENT + 2:
            self.refuse(f"a comment has at most {_LONGEST_COMMENT} bytes")
        return self.string("a comment")

    @property
    def ended(self) -> bool:
        """A line or a statement is over."""
        kind = self.kinds[self.i]
        return kind == END or (kind == MARK and self.texts[self.i] == "}")

    @property
    def over(self) -> bool:
        """Nothing follows at all."""
        return self.kinds[self.i] == END and self.texts[self.i] == ""

    def lines(self) -> None:
        """Over empty lines."""
        i, kinds, texts = self.i, self.kinds, self.texts
        while kinds[i] == END and texts[i]:
            i += 1
        self.i = i

    def end(self) -> None:
        """The statement must be over here."""
        kind, text = self.kinds[self.i], self.texts[self.i]
        if kind == END:
            self.i += 1 if text else 0
        elif text != "}":
            self.refuse(f"unexpected {self.said}")

    @property
    def said(self) -> str:
        if self.kind == END:
            return "the end of the line" if self.text else "the end of the text"
        text = self.text.partition(",")[0].strip() if self.kind == BULK else self.text
        return repr(text if len(text) <= _LONG else f"{text[:_LONG]}…")

    def refuse(self, message: str, hint: str = "") -> NoReturn:
        raise Wrong(self.at, message, hint)

    def recover(self, since: int) -> None:
        """After a mistake: to the end of its statement (``since`` it began), brackets and all."""
        marks = [self.texts[i] for i in range(since, self.i) if self.kinds[i] == MARK]
        depth = max(marks.count("{") - marks.count("}"), 0)
        while not self.over:
            text, kind = self.text, self.kind
            if depth <= 0 and kind == END:
                self.take()
                return
            if kind == MARK and text == "}" and depth <= 0:
                return
            depth += (text == "{") - (text == "}") if kind == MARK else 0
            self.take()
