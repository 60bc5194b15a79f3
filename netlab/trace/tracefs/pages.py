"""Pages of the kernel's trace buffer → records with their times.

See include/linux/ring_buffer.h, and ``events/header_page`` of tracefs.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

_PADDING, _EXTENDED, _STAMP = 29, 30, 31
_LENGTH = 0xFFFFF
_MISSED, _COUNTED = 1 << 31, 1 << 30
"""Of a page's length: something was lost before it, and how much stands at its end."""
_WORD = struct.Struct("=I")
_LONG = struct.Struct("=Q")


class Record(NamedTuple):
    time: int
    """Nanoseconds of the buffer's clock."""
    data: bytes


def header_size(text: str) -> int:
    """From ``events/header_page``: how many bytes stand before the records of a page."""
    found = re.search(r"char data;\s*offset:(\d+);", text)
    if found is None:
        raise ValueError("events/header_page does not tell where records begin")
    return int(found[1])


def missed(page: bytes) -> int | None:
    """How many records were lost before this page; None where nobody counted."""
    commit = _LONG.unpack_from(page, 8)[0]
    if not commit & _MISSED:
        return 0
    if not commit & _COUNTED:
        return None
    end = 16 + (commit & _LENGTH)
    return int(_LONG.unpack_from(page, end)[0]) if end + 8 <= len(page) else None


def records(page: bytes, header: int) -> Iterator[Record]:
    time, commit = _LONG.unpack_from(page)[0], _LONG.unpack_from(page, 8)[0]
    at, end = header, min(header + (commit & _LENGTH), len(page))
    while at + 4 <= end:
        word = _WORD.unpack_from(page, at)[0]
        kind, delta = word & 31, word >> 5
        at += 4
        if kind == _PADDING:
            if not delta:
                return
            at += _WORD.unpack_from(page, at)[0]
        elif kind == _EXTENDED:
            time += delta + (_WORD.unpack_from(page, at)[0] << 27)
            at += 4
        elif kind == _STAMP:  # the lower 59 bits of the time itself
            time = delta + (_WORD.unpack_from(page, at)[0] << 27) | time & 0x1F << 59
            at += 4
        else:
            time += delta
            length = 4 * kind
            if not kind:
                length = _WORD.unpack_from(page, at)[0] - 4
                at += 4
            yield Record(time, page[at : at + length])
            at += length
