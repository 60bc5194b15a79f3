"""What a lab could leave behind, and the commands as a user calls them."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from netlab.cli.main import run

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
NETLAB = [sys.executable, "-m", "netlab"]


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def netlab(*words: str | Path) -> Said:
    """In this process; not for what becomes another program (exec, shell)."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run([str(word) for word in words])
    return Said(code, out.getvalue(), err.getvalue())


def done(*words: str | Path) -> str:
    """What a command that must succeed says."""
    said = netlab(*words)
    assert said.code == 0, said
    return said.out


def program(*words: str | Path, **more: Any) -> Said:
    """As a program of its own."""
    command = [*NETLAB, *map(str, words)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, **more)
    return Said(ended.returncode, ended.stdout, ended.stderr)


def inside(lab: str, node: str, *command: str) -> Said:
    """A command in a node, by ``netlab exec``."""
    return program("exec", lab, node, "--", *command)


def tool(*command: str) -> str:
    """A judge's answer: ``ip``, ``tcpdump``, … on the host."""
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def ip(ns: str, *words: str) -> Any:
    """``ip -json`` in a namespace."""
    return json.loads(tool("ip", "-n", ns, "-json", "-details", *words) or "[]")


def snapshot(prefix: str) -> dict[str, object]:
    """The host's network, and everything anywhere that belongs to labs of a prefix."""
    return {
        "links": sorted(
            (link["ifname"], link.get("address"), link["mtu"], tuple(sorted(link["flags"])))
            for link in json.loads(tool("ip", "-json", "link"))
        ),
        "addresses": sorted(
            (link["ifname"], a["local"]) for link in json.loads(tool("ip", "-json", "address"))
            for a in link["addr_info"]
        ),
        "routes": sorted(tool("ip", "route", "show", "table", "all").splitlines()),
        "IPv6 routes": sorted(tool("ip", "-6", "route", "show", "table", "all").splitlines()),
        "rules": tool("ip", "rule") + tool("ip", "-6", "rule"),
        "nftables": tool("nft", "list", "ruleset"),
        "sysctls": [Path("/proc/sys/net", name).read_text() for name in HOST_SYSCTLS],
        "namespaces": names("/run/netns", prefix),
        "state": names("/run/netlab", prefix),
        "mounts": [m for m in Path("/proc/mounts").read_text().splitlines() if f"/{prefix}" in m],
        "cgroups": _cgroups(prefix),
        "processes": _processes(prefix),
    }


HOST_SYSCTLS = (
    "ipv4/ip_forward", "ipv4/conf/all/rp_filter", "ipv6/conf/all/forwarding",
    "ipv6/conf/default/accept_dad", "ipv6/conf/all/disable_ipv6", "ipv4/conf/default/proxy_arp",
)  # fmt: skip


def names(directory: str, prefix: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(directory) if name.startswith(prefix))
    except FileNotFoundError:
        return []


def _cgroups(prefix: str) -> list[str]:
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    roots = [mount[1] for mount in mounts if mount[2] == "cgroup2"]
    return sorted(
        f"{directory}/{name}"
        for root in roots
        for directory, names, _ in os.walk(root)
        for name in names
        if name.startswith(prefix)
    )


def _processes(prefix: str) -> list[str]:
    """Those whose environment says that they were started in a node of such a lab."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            if f"NETLAB_LAB={prefix}".encode() in environment:
                found.append(f"{pid} {Path(f'/proc/{pid}/cmdline').read_bytes()!r}")
    return found


def settled(look: Callable[[], T], is_right: Callable[[T], bool], seconds: float = 20.0) -> T:
    """What is seen as soon as that is right; else what is seen at last, for whoever asserts."""
    import time

    until = time.monotonic() + seconds
    while not is_right(seen := look()) and time.monotonic() < until:
        time.sleep(0.05)
    return seen


def eventually(holds: Callable[[], object], seconds: float = 20.0) -> Any:
    """What ``holds`` answers as soon as that is true; fails when it never is."""
    import time

    until = time.monotonic() + seconds
    while not (answer := holds()):
        assert time.monotonic() < until, f"not within {seconds} s: {holds}"
        time.sleep(0.01)
    return answer
