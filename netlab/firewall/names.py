"""Names that a machine gives to numbers: services, accounts, realms, labels, cgroups."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from functools import cache

_SERVICES = {
    "ssh": 22, "http": 80, "https": 443, "domain": 53, "ftp": 21, "smtp": 25, "telnet": 23,
    "ntp": 123, "imap": 143, "imaps": 993, "pop3": 110, "pop3s": 995, "snmp": 161, "syslog": 514,
    "bootps": 67, "bootpc": 68, "tftp": 69, "ldap": 389, "ldaps": 636, "mysql": 3306,
    "postgresql": 5432, "ftp-data": 20, "submission": 587, "ipsec-nat-t": 4500, "isakmp": 500,
    "mdns": 5353, "openvpn": 1194, "http-alt": 8080, "sip": 5060, "bgp": 179, "sunrpc": 111,
    "nfs": 2049, "microsoft-ds": 445, "netbios-ns": 137, "netbios-dgm": 138, "netbios-ssn": 139,
    "dhcpv6-client": 546, "dhcpv6-server": 547, "kerberos": 88, "rsync": 873, "whois": 43,
}  # fmt: skip
_FILES = {
    "realm": "/etc/iproute2/rt_realms", "devgroup": "/etc/iproute2/group",
    "mark": "/etc/iproute2/rt_marks", "ct_label": "/etc/connlabel.conf",
}  # fmt: skip


def service(text: str) -> int | None:
    """A port; those of many rules are known everywhere."""
    if text in _SERVICES:
        return _SERVICES[text]
    with suppress(OSError):
        return socket.getservbyname(text)
    return None


def account(kind: str, text: str) -> int | None:
    """Of a user (``uid``) or a group (``gid``)."""
    import grp
    import pwd

    with suppress(KeyError):
        return pwd.getpwnam(text).pw_uid if kind == "uid" else grp.getgrnam(text).gr_gid
    return None


def number(kind: str, text: str) -> int | None:
    """Of a realm, a device group, a mark, a connection label; ``kind`` is nft's type."""
    return _file(_FILES[kind]).get(text)


def name(kind: str, number: int) -> str:
    """The other way; "" where there is no name."""
    found = (each for each, known in _file(_FILES[kind]).items() if known == number)
    return next(found, "")


@cache
def _file(path: str) -> dict[str, int]:
    """A number and a name a line, as iproute2 and conntrack-tools write them."""
    found: dict[str, int] = {}
    with suppress(OSError, ValueError):
        with open(path, errors="replace") as file:
            rows = [line.partition("#")[0].split() for line in file]
        found = {row[1]: int(row[0], 0) for row in rows if len(row) == 2}
    return found


# ---- control groups: nft knows them by their inodes


@cache
def cgroups() -> str:
    """Where they are."""
    with suppress(OSError), open("/proc/self/mounts") as file:
        for line in file:
            _, place, kind, *_ = line.split(" ")
            if kind == "cgroup2":
                return place
    return "/sys/fs/cgroup"


def cgroup(path: str) -> int | None:
    with suppress(OSError, ValueError):
        return os.stat(os.path.join(cgroups(), path.lstrip("/"))).st_ino
    return None


def path_of_cgroup(inode: int) -> str | None:
    with suppress(OSError):
        for place, *_ in os.walk(cgroups()):
            if os.stat(place).st_ino == inode:
                return os.path.relpath(place, cgroups()).removeprefix(".")
    return None
