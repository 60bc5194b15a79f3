"""What has been asked for and not yet done, in runs that keep the order where order matters.

Requests of one namespace keep theirs; namespaces do not wait for each other. Only a change of
subject, from what is inside namespaces to the links between them or to their names, ends a run.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from socket import socket
from typing import Any, NamedTuple

from netlab.errors import KernelRefused
from netlab.kernel.values import VethEnd
from netlab.kernel.wire import ABSENT, Request, transact

Act = Request | Callable[[], object]


class Op(NamedTuple):
    """One request, as a message or as a function to call in the namespace."""

    token: object
    act: Act
    deletes: bool = False
    """Then it is done as well when the kernel says that there is no such thing."""
    option: str = ""
    """The kernel option that it takes."""


class Pair(NamedTuple):
    """A veth pair to be made, with the indexes chosen for its ends."""

    token: object
    a: VethEnd
    a_index: int
    b: VethEnd
    b_index: int


@dataclass
class Nodes:
    """A run of requests inside namespaces; those under "" need none."""

    ops: dict[str, list[Op]] = field(default_factory=dict)


@dataclass
class Links:
    """A run of veth pairs; ``after`` is what can be said to their far ends only then."""

    pairs: list[Pair] = field(default_factory=list)
    after: dict[str, list[Op]] = field(default_factory=dict)


@dataclass
class Names:
    """A run of namespaces to be taken away, or named; ``after`` is what is said to fresh ones."""

    add: list[Op] = field(default_factory=list)
    after: dict[str, list[Op]] = field(default_factory=dict)
    take: list[str] = field(default_factory=list)
    token: object = None


@dataclass
class Commands:
    """A run of programs in nodes: one after the other, out of the worker's thread."""

    ops: list[Op] = field(default_factory=list)


@dataclass
class Turn:
    """A run of processes to be started or stopped side by side."""

    number: int = 0
    start: list[Any] = field(default_factory=list)
    stop: list[tuple[str, str]] = field(default_factory=list)
    forget: bool = True
    token: object = None


Run = Nodes | Links | Names | Turn | Commands


def perform(ops: Sequence[Op], sock: socket | None) -> None:
    """In the namespace one stands in. Raises the first refusal."""
    for is_call, group in groupby(ops, key=lambda op: callable(op.act)):
        some = list(group)
        if is_call:
            for op in some:
                _call(op)
        else:
            assert sock is not None
            send(some, sock)


def send(ops: Sequence[Op], sock: socket) -> None:
    """Messages only. All are sent; raises the first refusal that counts."""
    requests = [op.act for op in ops]
    first: KernelRefused | None = None
    for said in transact(sock, requests):  # type: ignore[arg-type]
        op = ops[said.place]
        if first is None and not (op.deletes and said.errno in ABSENT):
            first = refused(op, said.errno, said.words)
    if first is not None:
        raise first


def _call(op: Op) -> None:
    assert callable(op.act)
    try:
        op.act()
    except KernelRefused as refusal:
        refusal.token = refusal.token or op.token
        raise
    except OSError as problem:
        number = problem.errno or 0
        if not (op.deletes and number in ABSENT):
            raise refused(op, number, problem.strerror or str(problem)) from problem


NAMES = {**errno.errorcode, errno.EOPNOTSUPP: "EOPNOTSUPP"}
"""As Linux calls them: Python has two names for this number, and says the other one."""

LACKING = frozenset(
    {errno.EOPNOTSUPP, errno.EAFNOSUPPORT, errno.EPFNOSUPPORT, errno.EPROTONOSUPPORT, errno.ENOENT}
)


def refused(op: Op, number: int, said: str) -> KernelRefused:
    """The kernel's own words, and the option that may be missing."""
    name = NAMES.get(number, "")
    plain = os.strerror(number) if number else ""
    words = said if said == plain or not plain else f"{said} ({plain})"
    hint = f"this kernel lacks {op.option}?" if op.option and number in LACKING else ""
    message = f"the kernel refused: {words}" + (f" [{name}]" if name else "")
    return KernelRefused(message, errno=number, said=said, token=op.token, hint=hint)
