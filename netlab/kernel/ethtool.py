"""Offloads of a device, by ioctl (linux/ethtool.h), in the groups of features that ethtool(8) has.

The older ioctls for single offloads know fewer features: they leave tx-tcp-accecn-segmentation as
it is when tso is switched, and ethtool(8) then says that tso is still on.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
from fnmatch import fnmatchcase

SIOCETHTOOL = 0x8946
ETHTOOL_GSTRINGS, ETHTOOL_GSSET_INFO = 0x1B, 0x37
ETHTOOL_GFEATURES, ETHTOOL_SFEATURES = 0x3A, 0x3B
ETH_SS_FEATURES = 4
ETH_GSTRING_LEN = 32

FEATURES = {
    "rx": "rx-checksum",
    "tx": "tx-checksum-*",
    "tso": "tx-tcp*-segmentation",
    "gso": "tx-generic-segmentation",
    "gro": "rx-gro",
}


def set_offload(name: str, feature: str, on: bool) -> None:
    """In the calling thread's namespace. Raises OSError: EOPNOTSUPP where it cannot be changed."""
    words = _words(name)
    size = (len(words) + 31) // 32
    meant = {n for n, word in enumerate(words) if fnmatchcase(word, FEATURES[feature])}
    bits = sum(1 << n for n in meant) & _changeable(name, size)
    if not bits:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    valid, requested = _blocks(bits, size), _blocks(bits if on else 0, size)
    pairs = [block for pair in zip(valid, requested, strict=True) for block in pair]
    _ask(name, struct.pack(f"=II{2 * size}I", ETHTOOL_SFEATURES, size, *pairs))


def _words(name: str) -> list[str]:
    """All features by their bits (``struct ethtool_sset_info``, ``struct ethtool_gstrings``)."""
    asked = struct.pack("=IIQI", ETHTOOL_GSSET_INFO, 0, 1 << ETH_SS_FEATURES, 0)
    (count,) = struct.unpack_from("=I", _ask(name, asked), 16)
    head = struct.pack("=III", ETHTOOL_GSTRINGS, ETH_SS_FEATURES, count)
    data = _ask(name, head + bytes(count * ETH_GSTRING_LEN))
    texts = struct.unpack_from(f"{ETH_GSTRING_LEN}s" * count, data, len(head))
    return [text.split(b"\0")[0].decode() for text in texts]


def _changeable(name: str, size: int) -> int:
    """``struct ethtool_gfeatures``: of four words a block, the first says what can be changed."""
    data = _ask(name, struct.pack("=II", ETHTOOL_GFEATURES, size) + bytes(16 * size))
    return sum(struct.unpack_from("=I", data, 8 + 16 * n)[0] << 32 * n for n in range(size))


def _blocks(bits: int, size: int) -> list[int]:
    return [bits >> 32 * n & 0xFFFFFFFF for n in range(size)]


def _ask(name: str, data: bytes) -> bytes:
    """There and back: the kernel answers where it was asked."""
    buffer = ctypes.create_string_buffer(data, len(data))
    request = struct.pack("=16sQ16x", name.encode(), ctypes.addressof(buffer))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        fcntl.ioctl(sock, SIOCETHTOOL, request)
    return buffer.raw
