"""What was probably meant by a word that is not known."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def meant(word: object, known: Iterable[str]) -> str:
    close = get_close_matches(str(word), list(known), 1)
    return f"did you mean {close[0]!r}?" if close else ""
