"""The nftables chains of a namespace with their hooks and rules, as a packet finds them.

In the namespace that the calling thread stands in.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import NamedTuple

from netlab.firewall.held import OF_TRACES
from netlab.firewall.hooks import HOOKS
from netlab.firewall.sources import Place
from netlab.firewall.swap import chain_places
from netlab.firewall.transaction import dump
from netlab.firewall.wire import attributes, each, number, string
from netlab.kernel import rules
from netlab.kernel.values import HeldRule

NETLINK_NETFILTER = 12
FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
SIGN = 1 << 31


class HeldChain(NamedTuple):
    family: str
    table: str
    name: str
    hook: str
    """"" for one that is only jumped to."""
    type: str
    priority: int
    policy: str
    devices: tuple[str, ...]
    rules: tuple[HeldRule, ...]
    place: str = ""
    """``file:line`` of what made it, where that is known."""


def listed(spec: str) -> list[HeldChain]:
    """All chains; ``spec`` is the text that made them, or "". Raises OSError."""
    of_chain: dict[tuple[str, str, str], list[HeldRule]] = {}
    for rule in rules.listed(spec):
        of_chain.setdefault((rule.family, rule.table, rule.chain), []).append(rule)
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
    with socket.socket(socket.AF_NETLINK, kind, NETLINK_NETFILTER) as sock:
        found = dump(sock, "chains")
    chains = [_chain(FAMILIES.get(family, ""), data) for family, data in found]
    places = chain_places(rules.script_of(spec))
    return [
        chain._replace(rules=tuple(of_chain.get(chain[:3], ())), place=_line(places, chain))
        for chain in chains
        if not chain.table.startswith(OF_TRACES)
    ]


def _line(places: Mapping[tuple[str, str, str], Place], chain: HeldChain) -> str:
    place = places.get(chain[:3])
    return f"{place.file}:{place.line}" if place else ""


def _chain(family: str, data: dict[int, bytes]) -> HeldChain:
    table, name = string(data.get(1, b"")), string(data.get(3, b""))
    if 4 not in data:
        return HeldChain(family, table, name, "", "", 0, "accept", (), ())
    hook = attributes(data[4])
    which, priority = number(hook[1]), number(hook[2])
    names = (word for word, code in HOOKS.get(family, {}).items() if code == which)
    devices = [string(text) for _, text in each(hook.get(4, b""))]
    devices += [string(hook[3])] if 3 in hook else []
    return HeldChain(
        family,
        table,
        name,
        next(names, ""),
        string(data.get(7, b"")),
        priority - (1 << 32) if priority & SIGN else priority,
        "accept" if number(data.get(5, b"\1")) else "drop",
        tuple(dict.fromkeys(devices)),
        (),
    )
