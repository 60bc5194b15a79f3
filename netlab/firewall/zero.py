"""What rules, sets and named objects have counted, set to zero, as ``nft reset`` does."""

from __future__ import annotations

import socket

from .transaction import dump
from .wire import number, string, text

SINCE = {"objects": "Linux 4.10", "rules": "Linux 6.2", "elements": "Linux 6.5"}
"""When the kernel learned it (NFT_MSG_GETOBJ_RESET, GETRULE_RESET, GETSETELEM_RESET)."""
ANONYMOUS = 1


def zero(sock: socket.socket) -> list[str]:
    """In the namespace that the socket was opened in. What the kernel cannot, a sentence each.

    Raises OSError where it tells nothing of rules at all.
    """
    if not dump(sock, "tables"):
        return []
    return [
        *_reset(sock, "objects", 0, b""),
        *_reset(sock, "rules", 0, b""),
        *dict.fromkeys(said for one in _sets(sock) for said in _reset(sock, "elements", *one)),
    ]


def _sets(sock: socket.socket) -> list[tuple[int, bytes]]:
    """Those with a name: family, and what tells one from the others."""
    return [
        (family, text(1, string(data[1])) + text(2, string(data[2])))
        for family, data in dump(sock, "sets")
        if not number(data.get(3, b"")) & ANONYMOUS
    ]


def _reset(sock: socket.socket, what: str, family: int, body: bytes) -> list[str]:
    try:
        dump(sock, f"{what}, reset", family, body)
    except OSError as problem:
        return [f"counters of {what} stay: the kernel refused ({problem.strerror}), "
                f"which knows it from {SINCE[what]} on"]  # fmt: skip
    return []
