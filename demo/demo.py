"""What `make demo` shows: a lab comes up, answers, is traced, and goes; the host is as before.

The host is looked at without netlab: its network by pyroute2, the rest by the names of files.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute

LAB = "two-lans"
FILE = f"topologies/{LAB}.yaml"
FORWARDING = "/proc/sys/net/ipv4/ip_forward"
Host = dict[str, list[str]]


def main() -> int:
    if LAB in {line["lab"] for line in json.loads(_said("netlab", "ls", "--json"))}:
        print(f"{LAB} is up already; take it down first: netlab down {LAB}", file=sys.stderr)
        return 2
    before = host()
    try:
        _run("A network from one file", "netlab", "up", FILE)
        _run("What is there now", "netlab", "show", LAB)
        _run(
            "alice asks dora, through the router: it takes one off the TTL of 64",
            *("netlab", "exec", LAB, "alice", "--", "python3", "demo/echo.py", "dora"),
        )
        _run("Nothing has to be done twice", "netlab", "up", FILE)
        _run("The same packet, step by step", "netlab", "trace", LAB, "alice", "dora", "--icmp")
        _run(
            "Somebody switches something off in the router",
            *("netlab", "exec", LAB, "gw", "--", "sh", "-c", f"echo 0 > {FORWARDING}"),
        )
        _run(
            "Where does it end now, and why?",
            *("netlab", "trace", LAB, "alice", "dora", "--icmp", "--expect", "not-forwarded"),
        )
    finally:
        _run("And away with it", "netlab", "down", LAB)
    return _compare(before, host())


def _run(title: str, *command: str) -> None:
    print(f"\n# {title}\n$ {shlex.join(command)}", flush=True)
    subprocess.run(command, check=True)


def _said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def host() -> Host:
    """The host's own network, without counters and ages."""
    with IPRoute() as kernel:
        return {
            "links": _texts(kernel.get_links(), "ifname", "address", "mtu", "flags"),
            "addresses": _texts(kernel.get_addr(), "index", "address", "prefixlen"),
            "routes": _texts(kernel.get_routes(), "table", "dst", "dst_len", "gateway", "oif"),
            "rules": _texts(kernel.get_rules(), "priority", "family", "src", "dst", "table"),
        }


def _texts(messages: Any, *words: str) -> list[str]:
    return sorted(" ".join(f"{w} {m.get(w)}" for w in words) for m in messages)


def left_over() -> list[str]:
    """All that is named after the lab: namespaces, state, mounts, control groups, processes."""
    directories = [Path("/run/netns"), Path("/run/netlab"), *Path("/sys/fs/cgroup").glob("**/")]
    names = [str(path) for d in directories if d.is_dir() for path in d.iterdir()]
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    found = [path for path in names if Path(path).name.split(".")[0] == LAB]
    found += [line for line in mounts if f"/{LAB}" in line]
    processes = [pid for pid in os.listdir("/proc") if pid.isdigit() and _is_ours(pid)]
    return found + [f"process {pid}" for pid in processes]


def _is_ours(pid: str) -> bool:
    """Started in a node of the lab: its environment says so."""
    try:
        environment = Path("/proc", pid, "environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return f"NETLAB_LAB={LAB}".encode() in environment


def _compare(before: Host, after: Host) -> int:
    print("\n# The host, compared with what it was before")
    wrong = [
        f"{what}: {'-' if line in was else '+'} {line}"
        for what, was in before.items()
        for line in sorted({*was} ^ {*after[what]})
    ]
    wrong += [f"left over: {line}" for line in left_over()]
    if wrong:
        print(*wrong, "the host is NOT as before: see above", sep="\n", file=sys.stderr)
        return 1
    sizes = ", ".join(f"{len(found)} {what}" for what, found in before.items())
    print(f"the same {sizes}; no namespace, file, mount, cgroup or process of {LAB} is left")
    print("the host is as before")
    return 0


if __name__ == "__main__":
    sys.exit(main())
