"""What this kernel can do, tried in a throw-away namespace: nothing is left, nothing is guessed."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import socket
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from netlab.kernel import (
    baseline,
    capabilities,
    cgroups,
    enter,
    identity,
    libc,
    links,
    names,
    routes,
    tuntap,
)
from netlab.kernel.options import OPTIONS
from netlab.kernel.values import VethEnd
from netlab.kernel.wire import Request, open_socket, transact

NETLINK_NETFILTER = 12
NETFILTER = (
    ("nftables", "nft and NAT in nodes", 10 << 8 | 16),
    ("conntrack", "connections as nodes track them", 1 << 8 | 5),
)
"""``NFT_MSG_GETGEN`` and ``IPCTNL_MSG_CT_GET_STATS`` (linux/netfilter/nf*.h)."""

FORBIDDEN = os.strerror(errno.EPERM)
TMPFS = "mount -t tmpfs tmpfs /run"
REMOUNT = "mount -o remount,rw /proc/sys"

BPF_SYSCALL = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "s390x": 351, "ppc64le": 361}
BPF_MAP_CREATE = 0

SAMPLES: dict[str, dict[str, int | str | bool]] = {
    "bridge": {"stp_state": False},
    "vxlan": {"id": 1, "dstport": 4789},
}


@dataclass(frozen=True)
class Finding:
    name: str
    what_for: str
    option: str
    refusal: str = ""
    """"" where it is there, else what the kernel said."""


def probe(state: str = enter.STATE, netns: str = enter.NETNS) -> list[Finding]:
    """In a thread of its own, which ends with its namespace. Raises MachineLacks without /proc.

    ``state`` and ``netns`` are where labs and names of namespaces are kept.
    """
    identity.boot()
    with ThreadPoolExecutor(1, "probe") as thread:
        return thread.submit(lambda: list(_all(state, netns))).result()


def _all(state: str, netns: str) -> Iterator[Finding]:
    refusal = _tried(lambda: libc.unshare(libc.CLONE_NEWNET))
    if not refusal and capabilities.lacking():
        refusal = FORBIDDEN
    yield Finding("root", "making network namespaces", _root_option(), refusal)
    if not refusal:
        kept = _tried(partial(_writable, netns)) or _tried(partial(_writable, state))
        yield Finding("/run", "names of namespaces, what is known of labs", TMPFS, kept)
        yield from _in_namespace()
    for name, what_for, option, act in OUTSIDE:
        found = _tried(act)
        yield Finding(name, what_for, option(found) if callable(option) else option, found)


def _writable(path: str) -> None:
    """Or that it can be made. Raises OSError."""
    nearest = path
    while not os.path.lexists(nearest):
        nearest = os.path.dirname(nearest)
    for refusal in names.unwritable(nearest):
        raise OSError(refusal, os.strerror(refusal), nearest)


def _root_option() -> str:
    if os.geteuid() != 0:
        return "sudo"
    return " ".join(capabilities.lacking()) or "CONFIG_NET_NS"


def _in_namespace() -> Iterator[Finding]:
    with open_socket() as sock:
        for name, what_for, request in _requests():
            yield Finding(name, what_for, OPTIONS[name], _asked(sock, request))
    for index, mode in enumerate(("tun", "tap"), 30):
        refusal = _tried(partial(tuntap.add, f"{mode}0", mode, index, {}))
        carries = {"tun": "packets", "tap": "frames"}[mode]
        option = tuntap.DEVICE if tuntap.DEVICE in refusal else OPTIONS[mode]
        yield Finding(mode, f"{carries} to and from a program", option, refusal)
    for name, what_for, option, act in INSIDE:
        yield Finding(name, what_for, option, _tried(act))
    yield Finding("IPv6", "IPv6", "CONFIG_IPV6", _tried(lambda: _need("/proc/sys/net/ipv6")))
    for name, what_for, question in NETFILTER:
        yield Finding(name, what_for, OPTIONS[name], _tried(partial(_netfilter, question)))


def _requests() -> Iterator[tuple[str, str, Request]]:
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        ends = VethEnd("", "v0", "", 0, True), VethEnd("", "v1", "", 0, True)
        yield "veth", "links between nodes", links.new_veth(ends[0], 20, here, ends[1], 21, here)
    finally:
        os.close(here)
    for place, (kind, options) in enumerate(SAMPLES.items(), 22):
        what_for = {"bridge": "switches and bridges", "vxlan": "tunnels of frames in UDP"}[kind]
        yield kind, what_for, links.new_device(kind, place, kind, "", 0, False, options)
    for version in (4, 6):
        rule = routes.new_rule(version, {"table": 100, "priority": 100})
        yield f"rules IPv{version}", "policy routing", rule
    ways = [("", 20, 1, False), ("", 21, 1, False)]
    up = routes.new_route("192.0.2.0/24", ways, "unicast", 254, 0, "", False)
    yield "multipath", "several ways to one prefix", up


def _asked(sock: socket.socket, request: Request) -> str:
    for said in transact(sock, [request]):
        # the ways' devices have no carrier here, and that is another matter
        if said.errno not in (errno.ENETDOWN, errno.EEXIST):
            return said.words
    return ""


def _tried(act: Callable[[], object]) -> str:
    try:
        act()
    except OSError as problem:
        path = str(problem.filename or "")
        where = f": {path}" if path.startswith("/") else ""  # libc names the call
        return (problem.strerror or str(problem)) + where
    return ""


def _need(path: str) -> None:
    os.stat(path)


def _sysctls() -> None:
    """Written as it is."""
    name = "net.ipv4.ip_forward"
    baseline.write(name, baseline.read(name))


def _raw_socket() -> None:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()


def _low_port() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.bind(("0.0.0.0", 80))


INSIDE: tuple[tuple[str, str, str, Callable[[], object]], ...] = (
    ("sysctls", "settings of nodes", REMOUNT, _sysctls),
    ("raw sockets", "echo requests, captures, traces", "CAP_NET_RAW", _raw_socket),
    ("low ports", "servers on ports below 1024", "CAP_NET_BIND_SERVICE", _low_port),
)
"""Of a namespace that can be thrown away."""


def _netfilter(question: int) -> None:
    with open_socket(NETLINK_NETFILTER) as sock:
        for said in transact(sock, [(question, 0, struct.pack("=BBH", 0, 0, 0))]):
            raise OSError(said.errno, said.words)


# what is the machine's


def _cgroup2() -> None:
    if cgroups.root() is None:
        found = cgroups.mounted()
        said = f"{found[0]} cannot be written to" if found else "no cgroup2 is mounted"
        raise OSError(errno.EROFS, said)


def _cgroup2_option(refusal: str) -> str:
    with open("/proc/filesystems") as known:
        has_any = any(line.split()[-1] == "cgroup2" for line in known)
    return "mount -t cgroup2" if has_any else "CONFIG_CGROUPS"


def _tracefs() -> None:
    with open("/proc/mounts") as mounts:
        if any(line.split()[2] == "tracefs" for line in mounts):
            return
    _need("/sys/kernel/tracing")


def _bpf() -> None:
    """An array map of one element, closed at once (bpf(2))."""
    number = BPF_SYSCALL.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, f"netlab does not know bpf(2) on {platform.machine()}")
    attributes = ctypes.create_string_buffer(struct.pack("=IIIII", 2, 4, 4, 1, 0), 128)
    libc_so = ctypes.CDLL(None, use_errno=True)
    fd = libc_so.syscall(number, BPF_MAP_CREATE, attributes, len(attributes))
    if fd < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    os.close(fd)


def _user_namespaces() -> None:
    """Only a process of one thread may ask, so a child does."""
    pid = os.fork()
    if not pid:
        code = 0
        try:
            libc.unshare(libc.CLONE_NEWUSER)
        except OSError as problem:
            code = problem.errno or 1
        os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise OSError(code, os.strerror(code))


def _overlay() -> None:
    with open("/proc/filesystems") as known:
        if not any(line.split()[-1] == "overlay" for line in known):
            raise OSError(errno.ENODEV, "no overlay in /proc/filesystems")


OUTSIDE: tuple[tuple[str, str, str | Callable[[str], str], Callable[[], object]], ...] = (
    ("overlayfs", "a node's files where the machine has none", "CONFIG_OVERLAY_FS", _overlay),
    ("chroot", "such files in / itself", "CAP_SYS_CHROOT", lambda: os.chroot("/")),
    ("cgroup2", "ending all processes of a node at once", _cgroup2_option, _cgroup2),
    ("user namespaces", "labs without root", "CONFIG_USER_NS", _user_namespaces),
    ("BPF", "the kernel's own view of a packet",
     lambda refusal: "CAP_BPF" if refusal == FORBIDDEN else "CONFIG_BPF_SYSCALL", _bpf),
    ("BTF", "BPF that knows the kernel's structures", "CONFIG_DEBUG_INFO_BTF",
     lambda: _need("/sys/kernel/btf/vmlinux")),
    ("tracefs", "tracepoints", "CONFIG_TRACING", _tracefs),
)  # fmt: skip
"""By name: what for, what to switch on given the refusal, how it is tried."""
