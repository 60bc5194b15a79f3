"""Waiting until the kernel has cleaned up the namespaces that were let go.

It does so in turns, one after the other: a turn takes all that were let go before it began, tells
every namespace that had a number for one of them (RTM_DELNSID), and then takes their devices away
(net/core/net_namespace.c, ``cleanup_net``). So one more is let go, a canary, and when that is told
of, the turn that has all of ours is under way or past; when a second one is, that turn is past.
"""

from __future__ import annotations

import os
import struct
import time
from socket import socket

from netlab.errors import MachineLacks
from netlab.kernel import libc
from netlab.kernel.wire import open_socket, transact

DEADLINE = 60.0
"""Seconds."""

_RTM_NEWNSID, _RTM_DELNSID, _RTNLGRP_NSID = 88, 89, 28
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1


def settle(deadline: float = DEADLINE) -> None:
    """Leaves the thread in a namespace of its own. Raises MachineLacks after ``deadline`` s."""
    until = time.monotonic() + deadline
    libc.unshare(libc.CLONE_NEWNET)
    with open_socket() as sock:
        sock.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _RTNLGRP_NSID)
        home = _here()
        try:
            for number in range(2):
                _let_one_go(sock, home, number)
                _hear_of(sock, until, deadline)
        finally:
            os.close(home)


def _here() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _let_one_go(sock: socket, home: int, number: int) -> None:
    """A fresh namespace, to which the one of the socket gives a number."""
    libc.unshare(libc.CLONE_NEWNET)
    canary = _here()
    try:
        libc.setns(home, libc.CLONE_NEWNET)
        # struct rtgenmsg; NETNSA_NSID, NETNSA_FD (linux/net_namespace.h)
        body = struct.pack("=B3xHHiHHi", 0, 8, 1, number, 8, 3, canary)
        with open_socket() as asking:  # not the one that listens: it would hear itself
            for said in transact(asking, [(_RTM_NEWNSID, 0, body)]):
                raise OSError(said.errno, said.words)
    finally:
        os.close(canary)


def _hear_of(sock: socket, until: float, deadline: float) -> None:
    while (left := until - time.monotonic()) > 0:
        sock.settimeout(left)
        try:
            data = sock.recv(1 << 16)
        except TimeoutError:
            break
        if _RTM_DELNSID in _kinds(data):
            return
    raise MachineLacks(
        f"the kernel has not cleaned up its namespaces within {deadline:.0f} s",
        hint="the lab is down all the same; see dmesg",
    )


def _kinds(data: bytes) -> list[int]:
    """Of the messages in one buffer."""
    kinds, at = [], 0
    while at + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, at)
        kinds.append(kind)
        at += (length + 3) & ~3
    return kinds
