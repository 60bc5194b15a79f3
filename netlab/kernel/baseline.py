"""What a node starts with, whatever the host's own settings are."""

from __future__ import annotations

import errno
import os

BASELINE = {
    # a new namespace takes the host's current IPv4 values (net.core.devconf_inherit_init_net)
    "net.ipv4.ip_forward": "0",
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "0",
    "net.ipv4.conf.all.proxy_arp": "0",
    "net.ipv4.conf.default.proxy_arp": "0",
    # addresses are usable at once: nobody else could hold them
    "net.ipv6.conf.all.accept_dad": "0",
    "net.ipv6.conf.default.accept_dad": "0",
    # a host with IPv6 switched off at boot hands that down
    "net.ipv6.conf.all.disable_ipv6": "0",
    "net.ipv6.conf.default.disable_ipv6": "0",
}

ROOT = "/proc/sys"


WHY_NOT = {
    errno.ENOENT: "no namespace of this kernel has such a switch",
    errno.EACCES: "it can only be read in a namespace",
    errno.EROFS: "/proc/sys is mounted read-only",
}


def path_of(name: str) -> str:
    """The file of a switch. As sysctl(8) reads names, the first separator decides which it is.

    Raises ValueError for a name that leads elsewhere.
    """
    slash, dot = name.find("/"), name.find(".")
    if slash < 0 or 0 <= dot < slash:
        name = name.replace("/", "\0").replace(".", "/").replace("\0", ".")
    parts = name.split("/")
    if parts[0] != "net" or len(parts) < 3 or any(p in ("", ".", "..") for p in parts):
        raise ValueError(f"{name} is not a switch of a network namespace: those begin with net.")
    return f"{ROOT}/{name}"


def any_device(name: str) -> str:
    """A fresh namespace's switch that has the value which a device's own one starts from.

    The neighbour tables have no ``default`` in a namespace but the first one.
    """
    parts = path_of(name).removeprefix(f"{ROOT}/").split("/")
    if parts[2] in ("conf", "neigh") and len(parts) > 4 and parts[3] != "all":
        parts[3] = "default" if parts[2] == "conf" else "lo"
    return "/".join(parts)


def read(name: str) -> str:
    with open(path_of(name)) as file:
        return file.read().strip()


def write(name: str, value: str) -> None:
    """In the namespace the calling thread stands in: ``/proc/sys/net`` follows it."""
    path = path_of(name)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError as problem:
        number = problem.errno or 0
        withheld = path if number == errno.EROFS else None
        raise OSError(number, WHY_NOT.get(number, problem.strerror), withheld) from problem
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)


def differing() -> dict[str, str]:
    """The part of ``BASELINE`` that the fresh namespace one stands in does not have by itself."""
    return {n: v for n, v in BASELINE.items() if os.path.exists(path_of(n)) and read(n) != v}
