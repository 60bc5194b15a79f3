"""Blocks as the kernel hands them over."""

from __future__ import annotations

from struct import pack

from netlab.kernel.ring import HOST, OUTGOING, Frame, _read

HEADER = 48
SECOND = 1_000_000_000


def entry(
    data: bytes, to: int, *, status: int = 1, tag: int = 0, kind: int = 0, step: int
) -> bytes:
    """``struct tpacket3_hdr``, ``struct sockaddr_ll``, the packet."""
    at = HEADER + 20 + 14
    head = pack("=6I2H3IH2x8x", step, 5, 7, len(data), len(data) + 4, status, at, at + 14,
                0, tag, 0, 0)  # fmt: skip
    head = head[:36] + pack("=H", kind) + head[38:HEADER]
    address = pack("=HHiHBB8s", 17, 8, 3, 1, to, 6, b"\2\0\0\0\0\1")
    return (head + address).ljust(at, b"\0") + data


def frames(*entries: bytes) -> list[Frame]:
    found: list[Frame] = []
    _read(bytes(48) + b"".join(entries), 48, len(entries), 9, found)
    return found


def test_packets_are_read_one_behind_the_other() -> None:
    first = entry(b"one packet", HOST, step=112).ljust(112, b"\0")
    second = entry(b"another", OUTGOING, step=0)
    assert frames(first, second) == [
        (5 * SECOND + 7, 9, HOST, 14, b"one packet"),
        (5 * SECOND + 7, 9, OUTGOING, 11, b"another"),
    ]


def test_a_tag_that_was_taken_out_is_put_back() -> None:
    macs = bytes(range(12))
    frame = macs + b"\x08\0rest"
    (told,) = frames(entry(frame, HOST, status=0x51, tag=0x2005, kind=0x88A8, step=0))
    assert told[3:] == (len(frame) + 4 + 4, macs + bytes.fromhex("88a82005") + b"\x08\0rest")
    (old,) = frames(entry(frame, HOST, status=0x11, tag=7, kind=0, step=0))
    assert old[4] == macs + bytes.fromhex("81000007") + b"\x08\0rest"
