"""The ring buffer by which programs tell (kernel/bpf/ringbuf.c): one for all CPUs, in order."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator

from netlab.trace.bpf.calls import RINGBUF, create_map

_BUSY, _DISCARDED = 0x80000000, 0x40000000
_HEADER = 8


class Ring:
    """``size`` is a power of two and a multiple of the page size; ``fd`` can be waited for."""

    def __init__(self, size: int, name: str = "ring") -> None:
        page = mmap.PAGESIZE
        self.fd = create_map(RINGBUF, 0, 0, size, name)
        self._size, self._data = size, page
        try:
            self._read = mmap.mmap(self.fd, page, mmap.MAP_SHARED, offset=0)
            # the data stands there twice, one after the other: no record is ever broken in two
            self._written = mmap.mmap(
                self.fd, page + 2 * size, mmap.MAP_SHARED, mmap.PROT_READ, offset=page
            )
        except BaseException:
            os.close(self.fd)
            raise

    def records(self) -> Iterator[bytes]:
        """Those that are whole by now, in the order in which room was made for them."""
        at: int = struct.unpack_from("=Q", self._read)[0]
        until: int = struct.unpack_from("=Q", self._written)[0]
        while at < until:
            start = self._data + (at & self._size - 1)
            head: int = struct.unpack_from("=I", self._written, start)[0]
            if head & _BUSY:
                return
            length = head & ~(_BUSY | _DISCARDED)
            if not head & _DISCARDED:
                yield self._written[start + _HEADER : start + _HEADER + length]
            at += (length + _HEADER + 7) & ~7
            struct.pack_into("=Q", self._read, 0, at)

    def close(self) -> None:
        self._read.close()
        self._written.close()
        os.close(self.fd)
