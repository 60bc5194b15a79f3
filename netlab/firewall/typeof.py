"""nft's notes on sets declared with ``typeof``: the expression, so that a listing can show it."""

from __future__ import annotations

from . import syntax as s
from .datatypes import Type
from .problems import Wrong


def described(tree: s.Expression) -> bytes:
    """The bytes of NFTNL_UDATA_SET_KEY_TYPEOF."""
    raise Wrong(tree.at, "typeof is not covered yet", "write the type's name", uncovered=True)


def typed(data: bytes) -> list[tuple[s.Expression, Type]] | None:
    """The expressions of such a note, with their types; None where they are not understood."""
    return None
