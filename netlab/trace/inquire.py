"""Asking the kernel what decides about packets in a node: the facts beside what was seen."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address, ip_network
from socket import socket

from netlab.errors import KernelRefused, NetlabError
from netlab.kernel import baseline, lookup
from netlab.kernel.listeners import listeners
from netlab.kernel.values import HeldRule
from netlab.kernel.wire import open_socket
from netlab.trace.facts import (
    AddressFact,
    Ask,
    ChainFact,
    Facts,
    FdbFact,
    LinkFact,
    NeighbourFact,
)
from netlab.trace.model import Route, Rule

SYSCTLS = (
    "net.ipv4.ip_forward", "net.ipv4.conf.all.rp_filter", "net.ipv6.conf.all.forwarding",
    "net.ipv4.icmp_ratelimit", "net.ipv4.icmp_ratemask", "net.ipv6.icmp.ratelimit",
    "net.ipv4.conf.all.accept_local", "net.ipv4.icmp_echo_ignore_all",
    "net.ipv6.icmp.echo_ignore_all",
    "net.ipv4.ipfrag_high_thresh", "net.ipv6.ip6frag_high_thresh",
    "net.ipv4.conf.all.arp_ignore",
)  # fmt: skip
USUAL = frozenset({"main", "local", "default"})
NULL = frozenset({"blackhole", "unreachable", "prohibit", "throw"})
COUNTED = re.compile(r"\bcounter packets \d+ bytes \d+")
OF_DEVICES = (
    "net.ipv4.conf.{}.rp_filter", "net.ipv4.conf.{}.forwarding", "net.ipv4.conf.{}.arp_ignore",
    "net.ipv6.conf.{}.disable_ipv6",
)  # fmt: skip


def facts_of(
    node: str, spec: str, asks: Iterable[Ask], *, with_chains: bool, protocol: str = ""
) -> Facts:
    """In the namespace that the thread stands in; ``spec`` made its rules. Raises OSError.

    ``protocol``: that of the probe, where something may have ended here: then more is asked for.
    """
    with open_socket() as sock:
        links = lookup.links(sock)
        names = {link.number: link.name for link in links}
        numbers = {name: number for number, name in names.items()}
        found = Facts(
            node,
            {link.name: _link(link, names) for link in links},
            tuple(
                AddressFact(names.get(a.device, ""), a.address, a.length, a.flags)
                for a in lookup.addresses(sock)
            ),
            tuple(
                NeighbourFact(n.address, names.get(n.device, ""), n.mac, n.state)
                for n in lookup.neighbours(sock)
            ),
            tuple(
                FdbFact(e.mac, names.get(e.device, ""), names.get(e.master, ""), e.local, e.remote)
                for e in lookup.fdb(sock)
            ) if any(link.kind in ("bridge", "vxlan") for link in links) else (),
            routes=tuple((ask, _route(sock, ask, names, numbers)) for ask in asks),
        )  # fmt: skip
    if protocol:
        waiting = tuple(one for one in listeners(names) if one.protocol == protocol)
        found = replace(
            found,
            sysctls=_sysctls(found.links),
            listening=frozenset(one.port for one in waiting),
            waiting=waiting,
        )
    return replace(found, chains=chains_of(spec)) if with_chains else found


def _link(link: lookup.Link, names: Mapping[int, str]) -> LinkFact:
    return LinkFact(
        link.name, link.kind, link.up, link.carrier, link.mtu, link.mac,
        names.get(link.master, ""), link.state, link.isolated, link.hairpin, link.remote,
        link.xdp, link.unflooded, link.locked, link.arp, link.vni,
    )  # fmt: skip


def _sysctls(devices: Iterable[str]) -> dict[str, str]:
    of_devices = [name.format(d.replace(".", "/")) for d in devices for name in OF_DEVICES]
    found = {}
    for name in (*SYSCTLS, *of_devices):
        with suppress(OSError):
            found[name] = baseline.read(name)
    return found


def _route(
    sock: socket, ask: Ask, names: Mapping[int, str], numbers: Mapping[str, int]
) -> Route:
    def looked_up(device: str) -> Route:
        way = lookup.route(
            sock,
            ask.destination,
            source=ask.source if device else "",
            device=numbers.get(device, 0),
            mark=ask.mark,
            tos=ask.tos,
            protocol=ask.protocol,
            ports=(ask.source_port, ask.destination_port),
        )
        table = "local" if way.type == "local" else way.table
        return Route(
            ask.destination, way.prefix, way.type, way.via, names.get(way.device, ""), table,
            way.source, way.mtu,
        )  # fmt: skip

    try:
        return _with_rule(sock, ask, looked_up(ask.device))
    except OSError as problem:
        refusal = _refusal(problem)
    # for a packet that came in it may be the packet, and not the way, that is refused
    with suppress(OSError):
        return replace(looked_up(""), error=refusal)
    return replace(_null_route(sock, ask.destination), error=refusal)


def _with_rule(sock: socket, ask: Ask, route: Route) -> Route:
    """The policy rule that chose the table, where it is another one than all nodes have."""
    if route.table in USUAL:
        return route
    version = 6 if ":" in ask.destination else 4
    rules = lookup.policy_rules(sock, version)
    chosen = next((r for r in rules if r.table == route.table and _applies(r, ask)), None)
    return replace(route, rule=_rule_words(chosen)) if chosen else route


def _applies(rule: lookup.PolicyRule, ask: Ask) -> bool:
    ends = ((rule.source, ask.source), (rule.destination, ask.destination))
    for prefix, address in ends:
        if prefix and (not address or ip_address(address) not in ip_network(prefix, strict=False)):
            return False
    marked = not rule.mark or ask.mark & rule.mask == rule.mark
    return marked and rule.incoming in ("", ask.device or "lo")


def _rule_words(rule: lookup.PolicyRule) -> str:
    """``from 10.0.0.0/24 lookup 100``, as ip-rule(8) has it."""
    parts = [f"from {rule.source}" if rule.source else "from all"]
    parts += [f"to {rule.destination}"] if rule.destination else []
    parts += [f"iif {rule.incoming}"] if rule.incoming else []
    parts += [f"fwmark {rule.mark:#x}"] if rule.mark else []
    return " ".join([f"{rule.priority}:", *parts, f"lookup {rule.table}"])


def _refusal(problem: OSError) -> str:
    code = problem.errno or 0
    return f"{os.strerror(code)} [{errno.errorcode.get(code, code)}]"


def _null_route(sock: socket, destination: str) -> Route:
    """The most specific route, where that is one that leads nowhere."""
    address = ip_address(destination)
    held = [h for h in lookup.fib(sock, address.version) if h.table != "local"]
    fitting = [h for h in held if address in ip_network(h.prefix, strict=False)]
    best = max(fitting, key=lambda h: ip_network(h.prefix, strict=False).prefixlen, default=None)
    if best is None or best.type not in NULL:
        return Route(destination, type="")
    prefix = "default" if best.prefix.endswith("/0") else best.prefix
    return Route(destination, prefix, best.type, table=best.table)


def chains_of(spec: str) -> tuple[ChainFact, ...]:
    """In the namespace that the thread stands in; ``spec`` made its rules."""
    from netlab.kernel import chains  # the compiler takes 50 ms to load

    try:
        found = chains.listed(spec)
    except (NetlabError, KernelRefused):
        return ()
    return tuple(
        ChainFact(*c[:8], tuple(_rule(rule) for rule in c.rules), c.place) for c in found
    )


def _rule(rule: HeldRule) -> Rule:
    """Without what its counter has counted: that is another matter with every packet."""
    text = COUNTED.sub("counter", rule.text)
    return Rule(rule.family, rule.table, rule.chain, rule.handle, text, None, place=rule.place)
