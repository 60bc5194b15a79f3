"""One request after the other, as messages or as calls; what is refused carries its token."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from netlab.errors import KernelRefused

if TYPE_CHECKING:
    from socket import socket

    from netlab.kernel.wire import Request

    Act: TypeAlias = Request | Callable[[], object]

ABSENT = frozenset(
    {errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENXIO}
)
"""What the kernel answers when told to delete what is not there."""

LACKING = frozenset(
    {errno.EOPNOTSUPP, errno.EAFNOSUPPORT, errno.EPFNOSUPPORT, errno.EPROTONOSUPPORT, errno.ENOENT}
)
"""What it answers where it has been built without something."""

WAYS = {
    "/dev/net/tun": "`modprobe tun`; a container needs --device /dev/net/tun",
    "/proc/sys/": "`mount -o remount,rw /proc/sys`; Docker: --security-opt systempaths=unconfined",
}
"""By the beginning of what could not be opened."""

NAMES = {**errno.errorcode, errno.EOPNOTSUPP: "EOPNOTSUPP"}
"""As Linux calls them: Python has two names for this number, and says the other one."""


class Op(NamedTuple):
    """One request, as a message or as a function to call in the namespace."""

    token: object
    act: Act
    deletes: bool = False
    """Then it is done as well when the kernel says that there is no such thing."""
    option: str = ""
    """The kernel option that it takes."""


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
    from netlab.kernel.wire import transact

    requests = [op.act for op in ops]
    first: KernelRefused | None = None
    for said in transact(sock, requests):  # type: ignore[arg-type]
        op = ops[said.place]
        if first is None and not (op.deletes and said.errno in ABSENT):
            first = refused(op.token, said.errno, said.words, op.option)
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
        if not (op.deletes and problem.errno in ABSENT):
            raise as_refusal(problem, op.token, op.option) from problem


def as_refusal(problem: OSError, token: object, option: str = "") -> KernelRefused:
    refusal = refused(token, problem.errno or 0, problem.strerror or str(problem), option)
    refusal.hint = _way_to(str(problem.filename or "")) or refusal.hint
    return refusal


def _way_to(path: str) -> str:
    """What would give a machine a file that it withholds; "" where that is not known."""
    return next((way for start, way in WAYS.items() if path.startswith(start)), "")


def refused(token: object, number: int, said: str, option: str = "") -> KernelRefused:
    """The kernel's own words, and the ``option`` that may be missing."""
    name = NAMES.get(number, "")
    plain = os.strerror(number) if number else ""
    words = said if said == plain or not plain else f"{said} ({plain})"
    hint = f"this kernel lacks {option}?" if option and number in LACKING else ""
    message = f"the kernel refused: {words}" + (f" [{name}]" if name else "")
    return KernelRefused(message, errno=number, said=said, token=token, hint=hint)
