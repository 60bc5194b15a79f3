"""BPF programs that are loaded, by netlab's names."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import suppress

from netlab.trace.bpf.calls import BpfRefused, asked

PROG_GET_NEXT_ID, PROG_GET_FD_BY_ID, OBJ_GET_INFO_BY_FD = 11, 13, 15
INFO = 256
"""Bytes of ``struct bpf_prog_info`` that are asked for."""
LOADED_AT, NAME_AT, NAME_BYTES = 40, 64, 16
OURS = "netlab_"


def loaded(since: float) -> list[tuple[int, str]]:
    """Number and name of those loaded since then, in seconds since the boot.

    None where bpf(2) may not be asked.
    """
    found = []
    with suppress(BpfRefused):
        for number in _numbers():
            with suppress(BpfRefused):  # gone meanwhile
                when, name = _about(number)
                if name.startswith(OURS) and when >= since:
                    found.append((number, name))
    return found


def _numbers() -> Iterator[int]:
    """Until there is no next one, which raises BpfRefused."""
    number = 0
    while True:
        _, said = asked(PROG_GET_NEXT_ID, struct.pack("=I", number), "the next program")
        number = struct.unpack_from("=I", said, 4)[0]
        yield number


def _about(number: int) -> tuple[float, str]:
    what = f"program {number}"
    fd, _ = asked(PROG_GET_FD_BY_ID, struct.pack("=I", number), what)
    try:
        info = ctypes.create_string_buffer(INFO)
        asked(OBJ_GET_INFO_BY_FD, struct.pack("=IIQ", fd, INFO, ctypes.addressof(info)), what)
    finally:
        os.close(fd)
    when = struct.unpack_from("=Q", info, LOADED_AT)[0] / 1e9
    name = info.raw[NAME_AT : NAME_AT + NAME_BYTES].split(b"\0", 1)[0]
    return when, name.decode(errors="replace")
