"""Tun and tap devices, by ioctl: netlink cannot make them (drivers/net/tun.c, tun_validate)."""

from __future__ import annotations

import fcntl
import os
import struct

from netlab.kernel.values import Options

DEVICE = "/dev/net/tun"

# linux/if_tun.h
TUNSETIFF = 0x400454CA
TUNSETPERSIST = 0x400454CB
TUNSETOWNER = 0x400454CC
TUNSETGROUP = 0x400454CE
TUNSETIFINDEX = 0x400454DA
MODES = {"tun": 0x0001, "tap": 0x0002}
IFF_MULTI_QUEUE = 0x0100
IFF_NO_PI = 0x1000
IFF_TUN_EXCL = 0x8000


def add(name: str, mode: str, index: int, options: Options) -> None:
    """A persistent device with a chosen index, in the calling thread's namespace.

    Raises OSError: EBUSY where the name is taken, ENOENT where the kernel has no tun driver.
    """
    flags = MODES[mode] | IFF_NO_PI | IFF_TUN_EXCL
    flags |= IFF_MULTI_QUEUE if options.get("multi_queue") else 0
    fd = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, TUNSETIFINDEX, struct.pack("=i", index))
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("=16sH22x", name.encode(), flags))
        for word, request in (("owner", TUNSETOWNER), ("group", TUNSETGROUP)):
            if word in options:
                fcntl.ioctl(fd, request, int(options[word]))
        fcntl.ioctl(fd, TUNSETPERSIST, 1)
    finally:
        os.close(fd)
