"""TCP and UDP between nodes, as programs in them have it: sockets made in their namespaces."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any, TypeVar

from netlab.kernel import libc

T = TypeVar("T")
PATIENCE = 1.5
"""Seconds after which an answer is not waited for any more; TCP asks again after one."""

REFUSED, SILENT, UNREACHABLE = "refused", "silent", "unreachable"


def made_in(ns: str, make: Callable[[], T]) -> T:
    """What a thread makes that stands in a namespace."""
    made: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            with open(f"/run/netns/{ns}") as file:
                libc.setns(file.fileno(), libc.CLONE_NEWNET)
            made.append(make())
        except BaseException as failure:
            failed.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return made[0]


@dataclass(frozen=True)
class Door:
    """A port of a node, TCP and UDP, both families."""

    tcp: socket.socket
    udp: socket.socket


@contextmanager
def listening(ns: str, port: int) -> Iterator[Door]:
    def make() -> Door:
        tcp = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
        udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        udp.bind(("::", port))
        return Door(tcp, udp)

    door = made_in(ns, make)
    for one in (door.tcp, door.udp):
        one.settimeout(PATIENCE)
    with door.tcp, door.udp:
        yield door


def tcp(ns: str, to: str, port: int, door: Door, source: int = 0) -> str:
    """The address that the door sees, when a word has gone there and back; or why it has not."""
    try:
        with connected(ns, to, port, source) as client, accepted(door) as (server, peer):
            return peer if spoken(client, server) else SILENT
    except OSError as failure:
        return _why(failure)


@contextmanager
def connected(ns: str, to: str, port: int, source: int = 0) -> Iterator[socket.socket]:
    """Raises OSError."""
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    sock = made_in(ns, lambda: socket.socket(family, socket.SOCK_STREAM))
    with sock:
        sock.settimeout(PATIENCE)
        if source:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("", source))
        sock.connect((to, port))
        yield sock


@contextmanager
def accepted(door: Door) -> Iterator[tuple[socket.socket, str]]:
    server, peer = door.tcp.accept()
    server.settimeout(PATIENCE)
    with server:
        yield server, _plain(peer)


def spoken(one: socket.socket, other: socket.socket) -> bool:
    """Whether a word of each arrives at the other."""
    for sender, receiver in ((one, other), (other, one)):
        word = os.urandom(8)
        sender.sendall(word)
        if receiver.recv(99) != word:
            return False
    return True


def udp(ns: str, to: str, port: int, door: Door) -> str:
    """As ``tcp``; an answer from another address than the one that was asked does not count."""
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    with made_in(ns, lambda: socket.socket(family, socket.SOCK_DGRAM)) as client:
        client.settimeout(PATIENCE)
        try:
            client.connect((to, port))
            word = os.urandom(8)
            client.send(word)
            peer = _heard(door, word)
            if peer is not None:
                with suppress(OSError):  # there may be no way back
                    door.udp.sendto(word, peer)
            return _plain(peer) if client.recv(99) == word and peer else SILENT
        except OSError as failure:
            return _why(failure)


def _heard(door: Door, word: bytes) -> Any:
    with suppress(TimeoutError):
        while True:
            said, peer = door.udp.recvfrom(99)
            if said == word:
                return peer
    return None


def _plain(peer: tuple[Any, ...]) -> str:
    ip = ip_address(peer[0])
    return str(ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else str(ip)


def _why(failure: OSError) -> str:
    if isinstance(failure, TimeoutError):
        return SILENT
    return REFUSED if isinstance(failure, ConnectionRefusedError) else UNREACHABLE
