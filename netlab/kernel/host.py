"""What a lab could leave on its machine: noted as the kernel tells it, read when it is compared.

To note it takes about a millisecond, so that it can be done before each lab: answers are kept as
they come, and the words are made of them later. All is of the network namespace and the mounts of
who asks.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from netlab.firewall.wire import attributes, number, string
from netlab.kernel import cgroups
from netlab.kernel.processes import inside, was_started_in
from netlab.kernel.values import Noted
from netlab.kernel.wire import NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, open_socket

RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE, RTM_GETRULE = 18, 22, 26, 34
SKIP_STATS = struct.pack("=HHI", 8, 29, 1 << 3)
"""``IFLA_EXT_MASK`` with ``RTEXT_FILTER_SKIP_STATS``: counters change all the time."""
NETLINK_ROUTE, NETLINK_NETFILTER = 0, 12
ROUTE = {
    "links": (RTM_GETLINK, struct.pack("=BxHiII", 0, 0, 0, 0, 0) + SKIP_STATS),
    "addresses": (RTM_GETADDR, struct.pack("=BBBBI", 0, 0, 0, 0, 0)),
    "routes": (RTM_GETROUTE, struct.pack("=BBBBBBBBI", 0, 0, 0, 0, 0, 0, 0, 0, 0)),
    "rules": (RTM_GETRULE, struct.pack("=BBBBBBBBI", 0, 0, 0, 0, 0, 0, 0, 0, 0)),
}
NETFILTER = {
    "tables": (10 << 8 | 1, struct.pack("=BBH", 0, 0, 0)),
    "chains": (10 << 8 | 4, struct.pack("=BBH", 0, 0, 0)),
}
"""What is asked, by name: the question, and its body."""
MOST = 4 << 20
"""Bytes of an answer; of a longer one nothing is kept, as on a machine that knows all of BGP."""
SWITCHES = (
    "ipv4/ip_forward", "ipv4/conf/all/rp_filter", "ipv4/conf/default/rp_filter",
    "ipv6/conf/all/forwarding", "ipv6/conf/all/disable_ipv6", "ipv6/conf/default/disable_ipv6",
    "ipv4/neigh/default/gc_thresh3", "ipv6/neigh/default/gc_thresh3",
)  # fmt: skip
INSTANCES = "/sys/kernel/tracing/instances"
HEADER = 16
RTM_F_CLONED = 0x200
TABLES = {253: "default", 254: "main", 255: "local"}
TYPES = {1: "", 2: "local ", 3: "broadcast ", 4: "anycast ", 5: "multicast ", 6: "blackhole ",
         7: "unreachable ", 8: "prohibit ", 9: "throw "}  # fmt: skip
FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}

Told = dict[str, dict[str, str]]
"""Sort of thing → which → how it is, "" where there is nothing to say."""


def note(state: str, netns: str) -> Noted:
    """``state`` and ``netns`` are the directories of labs and of namespaces."""
    labs = _listed(state)  # and again at the end: one may go in between
    mounts = _mounts()
    return {
        **_answers(NETLINK_ROUTE, ROUTE),
        **_answers(NETLINK_NETFILTER, NETFILTER),
        "time": time.clock_gettime(time.CLOCK_BOOTTIME),
        "netns": netns,
        "namespaces": _listed(netns),
        "groups": _groups(mounts),
        "instances": _listed(INSTANCES),
        "mounts": mounts,
        "switches": {name: _switch(name) for name in SWITCHES},
        "labs": sorted({*labs, *_listed(state)}),
    }


def _answers(protocol: int, asked: Mapping[str, tuple[int, bytes]]) -> dict[str, str | None]:
    """By name; None where it is too long, or the kernel knows no such thing."""
    found: dict[str, str | None] = dict.fromkeys(asked)
    with suppress(OSError), open_socket(protocol) as sock:
        for name, (question, body) in asked.items():
            found[name] = _answer(sock, question, body)
            if found[name] is None:
                break  # there is more of it in the socket
    return found


def _answer(sock: socket.socket, question: int, body: bytes) -> str | None:
    flags = NLM_F_REQUEST | NLM_F_DUMP
    sock.send(struct.pack("=IHHII", HEADER + len(body), question, flags, 1, 0) + body)
    found, size = [], 0
    while size < MOST:
        data = sock.recv(1 << 18)
        messages = list(_messages(data))
        found += [message for kind, message in messages if kind > NLMSG_DONE]
        if any(kind in (NLMSG_DONE, NLMSG_ERROR) for kind, _ in messages):
            return b2a_base64(b"".join(found), newline=False).decode()
        size += len(data)
    return None


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + HEADER <= len(data):
        length, kind = struct.unpack_from("=IH", data, at)
        padded = (length + 3) & ~3
        yield kind, data[at : at + padded].ljust(padded, b"\0")
        at += padded


def _listed(directory: str) -> list[str]:
    with suppress(OSError):
        return sorted(os.listdir(directory))
    return []


def _mounts() -> str:
    with suppress(OSError), open("/proc/self/mountinfo", errors="surrogateescape") as file:
        return file.read()
    return ""


def _groups(mounts: str) -> list[str]:
    """Of labs, wherever cgroup2 is mounted."""
    at = mounts.find(" - cgroup2 ")
    if at < 0:
        return []
    point = mounts[mounts.rfind("\n", 0, at) + 1 :].split(" ", 5)[4]
    with suppress(OSError):
        ours = os.scandir(f"{point}/{cgroups.OURS}")
        return sorted(entry.name for entry in ours if entry.is_dir(follow_symlinks=False))
    return []


def _switch(name: str) -> str:
    with suppress(OSError), open(f"/proc/sys/net/{name}") as file:
        return file.read().strip()
    return ""


def left(lab: str, inodes: Mapping[int, str]) -> list[str]:
    """Processes of a lab that is down, a sentence each.

    ``inodes``: of the namespaces that it had, with their names.
    """
    groups = cgroups.root()
    members = cgroups.members(f"{groups}/{lab}") if groups else []
    found = {pid for pid, inode in inside(inodes) if was_started_in(pid, inodes[inode])}
    return [f"process {pid} ({_program(pid)}) is still there" for pid in sorted({*members, *found})]


def _program(pid: int) -> str:
    with suppress(OSError), open(f"/proc/{pid}/comm") as file:
        return file.read().strip()
    return "it has just ended"


# read


def told(noted: Noted) -> Told:
    """What was noted, in words. What is the kernel's own business is left out: carrier, times."""
    links, mounts = _read(noted["links"]), [*map(_mount, noted["mounts"].splitlines())]
    names = {struct.unpack_from("=i", m, HEADER + 4)[0]: _name(m) for m in links}
    return {
        "namespace": dict.fromkeys(noted["namespaces"], "") | _inodes(mounts, noted["netns"]),
        "link": {_name(message): _link(message, names) for message in links},
        "address": dict(_address(message, names) for message in _read(noted["addresses"])),
        "route": {_route(m, names): "" for m in _read(noted["routes"]) if not _is_passing(m)},
        "rule": {_rule(message): "" for message in _read(noted["rules"])},
        "nftables table": {_table(message): "" for message in _read(noted["tables"])},
        "nftables chain": dict(map(_chain, _read(noted["chains"]))),
        "switch": {f"net.{name.replace('/', '.')}": value
                   for name, value in noted["switches"].items()},
        "mount": {point: f"{kind} {source}" for point, _, kind, source in mounts},
        "control group": dict.fromkeys(noted["groups"], ""),
        "tracefs instance": dict.fromkeys(noted["instances"], ""),
        "directory of a lab": dict.fromkeys(noted["labs"], ""),
    }  # fmt: skip


def unread(noted: Noted) -> list[str]:
    """What was not noted, as there was too much of it, or the kernel does not tell."""
    return [name for name in (*ROUTE, *NETFILTER) if noted[name] is None]


def _read(answer: str | None) -> list[bytes]:
    return [message for _, message in _messages(a2b_base64(answer))] if answer else []


def _name(link: bytes) -> str:
    return string(attributes(link[HEADER + 16 :]).get(3, b""))


def _link(message: bytes, names: Mapping[int, str]) -> str:
    flags = struct.unpack_from("=I", message, HEADER + 8)[0]
    said = attributes(message[HEADER + 16 :])
    kind = string(attributes(said.get(18, b"")).get(1, b""))
    master = names.get(_native(said.get(10, b"")), "")
    words = (
        kind, "up" if flags & 1 else "down", f"mtu {_native(said.get(4, b''))}",
        said.get(1, b"").hex(":"), f"in {master}" if master else "",
        "promiscuous" if flags & 0x100 else "",
    )  # fmt: skip
    return " ".join(word for word in words if word)


def _address(message: bytes, names: Mapping[int, str]) -> tuple[str, str]:
    _, length, _, _, index = struct.unpack_from("=BBBBI", message, HEADER)
    said = attributes(message[HEADER + 8 :])
    address = _ip(said.get(2) or said.get(1, b""))
    return f"{address}/{length} on {names.get(index, index)}", ""


def _route(message: bytes, names: Mapping[int, str]) -> str:
    _, length, _, _, low, _, _, kind = struct.unpack_from("=8B", message, HEADER)
    said = attributes(message[HEADER + 12 :])
    table = _native(said.get(15, b"")) or low
    to = f"{_ip(said[1])}/{length}" if 1 in said else "default"
    words = (
        f"{TYPES.get(kind, '')}{to}", f"via {_ip(said[5])}" if 5 in said else "",
        f"dev {names.get(_native(said[4]), '?')}" if 4 in said else "",
        f"metric {_native(said[6])}" if 6 in said else "",
        f"table {TABLES.get(table, table)}" if table != 254 else "",
    )  # fmt: skip
    return " ".join(word for word in words if word)


def _is_passing(route: bytes) -> bool:
    """What the kernel has looked up for itself, and forgets."""
    return bool(struct.unpack_from("=I", route, HEADER + 8)[0] & RTM_F_CLONED)


def _rule(message: bytes) -> str:
    family, to, source, _, low, _, _, action = struct.unpack_from("=8B", message, HEADER)
    said = attributes(message[HEADER + 12 :])
    version = 6 if family == socket.AF_INET6 else 4
    table = _native(said.get(15, b"")) or low
    words = (
        f"IPv{version} {_native(said.get(6, b''))}:",
        f"from {_ip(said[2])}/{source}" if 2 in said else "from all",
        f"to {_ip(said[1])}/{to}" if 1 in said else "",
        f"iif {string(said[3])}" if 3 in said else "",
        f"lookup {TABLES.get(table, table)}" if action == 1 else f"action {action}",
    )
    return " ".join(word for word in words if word)


def _table(message: bytes) -> str:
    return f"{_family(message)} {string(attributes(message[HEADER + 4 :]).get(1, b''))}"


def _chain(message: bytes) -> tuple[str, str]:
    said = attributes(message[HEADER + 4 :])
    name = f"{_family(message)} {string(said.get(1, b''))} {string(said.get(3, b''))}"
    return name, f"used {number(said.get(6, b''))} times, rules and jumps to it"


def _family(message: bytes) -> str:
    return FAMILIES.get(message[HEADER], str(message[HEADER]))


def _mount(line: str) -> tuple[str, str, str, str]:
    """Mount point, root, type and source (proc_pid_mountinfo(5))."""
    before, _, after = line.partition(" - ")
    root, point = before.split(" ")[3:5]
    kind, source, *_ = after.split(" ")
    return point, root, kind, source


def _inodes(mounts: Iterable[tuple[str, str, str, str]], netns: str) -> dict[str, str]:
    """By name of a namespace; the root of its mount is ``net:[4026532248]``."""
    return {
        point.removeprefix(f"{netns}/"): root
        for point, root, kind, _ in mounts
        if kind == "nsfs" and point.startswith(f"{netns}/")
    }


def _native(data: bytes) -> int:
    """A number of the machine's own byte order; 0 where there is none."""
    return int.from_bytes(data, "little" if struct.pack("=H", 1)[0] else "big")


def _ip(data: bytes) -> str:
    family = {4: socket.AF_INET, 16: socket.AF_INET6}.get(len(data))
    return socket.inet_ntop(family, data) if family else data.hex(":")
