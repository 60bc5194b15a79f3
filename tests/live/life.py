"""What a lab is, as the judges see it: all that must be alike before and after."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import Any

from tests.live.world import NETLAB, ROOT, ip, names, tool

VOLATILE = {
    "ifindex", "link_index", "link_netnsid", "stats", "stats64", "gc_timer", "hello_timer",
    "tcn_timer", "timer", "hold_timer", "topology_change_timer", "topology_change_detected",
    "message_age_timer", "forward_delay_timer", "state", "no", "port_no", "port_id",
    "designated_port", "id", "operstate", "flags", "link", "inet6_addr_gen_mode",
}  # fmt: skip
"""What the kernel numbers, counts, or has not yet come to."""


def namespaces(lab: str) -> list[str]:
    return names("/run/netns", f"{lab}.")


def seen(lab: str) -> list[str]:
    """Each node's links, addresses, routes, rules, neighbours, forwarding entries, a line each.

    Without what IPv6 gives a link by itself, once the kernel gets to it.
    """
    lines = (
        f"{ns.partition('.')[2]} {what} {json.dumps(one, sort_keys=True)}"
        for ns in namespaces(lab)
        for what, some in _seen(ns).items()
        for one in some
    )
    return sorted(line for line in lines if '"fe80::' not in line and '"ff00::/8"' not in line)


def _is_told(route: dict[str, Any]) -> bool:
    """Not one to an address of the node's own: IPv6 adds those by a work queue (addrconf.c)."""
    return ":" not in route["dst"] or route.get("table") != "local"


def _seen(ns: str) -> dict[str, list[Any]]:
    links, routes, rules, fixed, proxied = _ask(
        ns, "address", ROUTES, "rule", "neighbour show nud permanent", "neighbour show proxy"
    )
    routes6, rules6 = _ask(ns, ROUTES, "rule", family="-6")
    return {
        "link": [_without(link, {*VOLATILE, "addr_info"}) for link in links],
        "address": [
            [link["ifname"], a["local"], a["prefixlen"], a["scope"]]
            for link in links
            for a in link["addr_info"]
        ],
        "route": _without([*filter(_is_told, (*routes, *routes6))], VOLATILE),
        "rule": [*rules, *rules6],
        "neighbour": [*fixed, *proxied],
        "fdb": _without(_forwarding(ns), {"flags"}),
    }


ROUTES = "route show table all"


def _ask(ns: str, *questions: str, family: str = "") -> list[Any]:
    """All at once: starting ``ip`` takes longer than its answer."""
    command = ["ip", "-n", ns, *([family] if family else []), "-json", "-details", "-batch", "-"]
    said = subprocess.run(
        command, input="\n".join(questions) + "\n", capture_output=True, text=True, check=True
    )
    answers, rest, read = [], said.stdout.strip(), json.JSONDecoder().raw_decode
    while rest:
        answer, end = read(rest)
        answers.append(answer)
        rest = rest[end:].lstrip()
    return answers


def _forwarding(ns: str) -> list[Any]:
    said = tool("bridge", "-n", ns, "-json", "fdb", "show")
    return [e for e in json.loads(said or "[]") if "dst" in e and e.get("state") == "permanent"]


def _without(value: Any, keys: Collection[str]) -> Any:
    if isinstance(value, dict):
        return {k: _without(v, keys) for k, v in value.items() if k not in keys}
    if isinstance(value, list):
        return [_without(v, keys) for v in value]
    return value


def numbers(lab: str) -> dict[str, dict[str, int]]:
    """The interface indexes of each node: as before only if nothing has been made anew."""
    return {ns: {one["ifname"]: one["ifindex"] for one in ip(ns, "link")} for ns in namespaces(lab)}


def journal(lab: str, state: str = "/run/netlab") -> bytes:
    return Path(state, lab, "journal").read_bytes()


def nothing_of(lab: str, state: str = "/run/netlab") -> bool:
    return not namespaces(lab) and not os.path.lexists(f"{state}/{lab}")


def start(*words: str | Path, **more: Any) -> subprocess.Popen[str]:
    """A netlab command of its own process, still running."""
    command = [*NETLAB, *map(str, words)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, **more
    )
