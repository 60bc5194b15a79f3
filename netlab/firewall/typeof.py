"""nft's notes on sets declared with ``typeof``: the expression, so that a listing can show it."""

from __future__ import annotations

from . import syntax as s
from .loads import field_of
from .problems import Wrong
from .wire import userdata

_PAYLOAD, _EXTHDR, _META, _SOCKET, _OSF, _CT, _CONCAT = 7, 8, 9, 10, 11, 12, 13
_RT, _FIB, _XFRM = 25, 26, 27


def described(tree: s.Expression) -> bytes:
    """The bytes of NFTNL_UDATA_SET_KEY_TYPEOF."""
    raise Wrong(tree.at, "typeof is not covered yet", "write the type's name", uncovered=True)


__all__ = ["described", "field_of", "userdata"]
