"""The devices of a namespace, and word of those that come, go or change (rtnetlink(7))."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Mapping
from typing import NamedTuple

from netlab.firewall.wire import attributes, string
from netlab.kernel.wire import SOL_NETLINK, dump, open_socket

RTM_GETLINK = 18
NETLINK_ADD_MEMBERSHIP, RTNLGRP_LINK = 1, 1
IFLA_ADDRESS, IFLA_IFNAME = 1, 3
IFF_UP = 1

_HEADER = 16
_LINK = struct.Struct("=BxHiII")
"""``struct ifinfomsg``."""


class Device(NamedTuple):
    number: int
    """Its interface index."""
    name: str
    type: int
    """``ARPHRD_…``: what its packets begin with (linux/if_arp.h)."""
    mac: bytes
    is_up: bool


class Devices:
    """Of the namespace that the calling thread stands in; to be used from anywhere."""

    def __init__(self) -> None:
        self._asked = open_socket(socket.NETLINK_ROUTE)
        self._told = open_socket(socket.NETLINK_ROUTE)
        self._told.setblocking(False)
        self._told.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, RTNLGRP_LINK)

    def fileno(self) -> int:
        """Readable when something has changed."""
        return self._told.fileno()

    def now(self) -> Mapping[int, Device]:
        """By number; what has been told until now is in it."""
        while self._hears():
            pass
        held = dump(self._asked, RTM_GETLINK, _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0))
        found = map(_device, held)
        return {device.number: device for device in found}

    def _hears(self) -> bool:
        try:
            self._told.recv(1 << 16)
        except BlockingIOError:
            return False
        except OSError as problem:
            if problem.errno != errno.ENOBUFS:  # some of it was lost: it is asked for anyway
                raise
        return True

    def close(self) -> None:
        self._asked.close()
        self._told.close()


def _device(message: bytes) -> Device:
    _, kind, number, flags, _ = _LINK.unpack_from(message, _HEADER)
    told = attributes(message[_HEADER + _LINK.size :])
    name = string(told.get(IFLA_IFNAME, b""))
    return Device(number, name, kind, told.get(IFLA_ADDRESS, b""), bool(flags & IFF_UP))
