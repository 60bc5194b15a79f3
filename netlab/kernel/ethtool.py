"""Offloads of a device, by ioctl (linux/ethtool.h): one call, where netlink takes bit sets."""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct

SIOCETHTOOL = 0x8946

# ETHTOOL_G… and ETHTOOL_S…
FEATURES = {
    "rx": (0x14, 0x15),
    "tx": (0x16, 0x17),
    "tso": (0x1E, 0x1F),
    "gso": (0x23, 0x24),
    "gro": (0x2B, 0x2C),
}


def set_offload(name: str, feature: str, on: bool) -> None:
    """In the calling thread's namespace. Raises OSError: EOPNOTSUPP where it cannot be changed."""
    _value(name, FEATURES[feature][1], int(on))


def offload(name: str, feature: str) -> bool:
    return bool(_value(name, FEATURES[feature][0], 0))


def _value(name: str, command: int, data: int) -> int:
    """``struct ethtool_value`` there and back."""
    value = (ctypes.c_uint32 * 2)(command, data)
    request = struct.pack("=16sQ16x", name.encode(), ctypes.addressof(value))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        fcntl.ioctl(sock, SIOCETHTOOL, request)
    return int(value[1])
