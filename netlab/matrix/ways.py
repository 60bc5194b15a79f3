"""What the kernel would do with a packet, asked in the namespace where the thread stands."""

from __future__ import annotations

import errno
from contextlib import suppress

from netlab.kernel import lookup
from netlab.kernel.wire import open_socket


def gateway(address: str) -> str:
    """"" for none."""
    with suppress(OSError), open_socket() as sock:
        return lookup.route(sock, address).via
    return ""


def is_blackhole(address: str) -> bool:
    """A send says EINVAL then; of IPv6 also where there is no room for a neighbour."""
    try:
        with open_socket() as sock:
            lookup.route(sock, address)
    except OSError as problem:
        return problem.errno == errno.EINVAL
    return False
