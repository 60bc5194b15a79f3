"""What a node holds, as text: a list each of links, addresses, routes, neighbours and switches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from netlab.firewall.show_rules import rule as rule_text
from netlab.firewall.syntax import Chain, Counter, Table
from netlab.kernel.holding import HeldHop, HeldLink, HeldPolicy, HeldRoute, Holding
from netlab.kernel.traffic import Traffic

TABLES = {255: "local", 254: "main", 253: "default"}
SCOPES = {0: "", 200: "site", 253: "link", 254: "host", 255: "nowhere"}
MAIN = 254
LOCAL = 255

Rows = Sequence[Sequence[str]]


def table(rows: Rows) -> str:
    """Aligned; a column that is empty below its title is left out."""
    used = [n for n, _ in enumerate(rows[0]) if any(row[n] for row in rows[1:])]
    widths = {n: max(len(row[n]) for row in rows) for n in used}
    lines = ("  ".join(f"{row[n]:<{widths[n]}}" for n in used).rstrip() for row in rows)
    return "".join(f"{line}\n" for line in lines)


def links(holding: Holding, carried: Mapping[str, Traffic]) -> str:
    head = (
        "interface", "kind", "state", "mtu", "mac", "in", "addresses",
        "packets in/out", "bytes in/out", "errors in/out", "dropped in/out",
    )  # fmt: skip
    return table([head, *(_link(link, holding, carried) for link in holding.links)])


def _link(link: HeldLink, holding: Holding, carried: Mapping[str, Traffic]) -> Sequence[str]:
    t = carried.get(link.name, Traffic())
    return (
        link.name, link.kind, state(link), str(link.mtu), link.mac,
        f"{link.port.bridge} {link.port.state}" if link.port else "",
        " ".join(addresses(holding, link.name)),
        f"{t.rx_packets}/{t.tx_packets}", f"{t.rx_bytes}/{t.tx_bytes}",
        _where_any(t.rx_errors, t.tx_errors), _where_any(t.rx_dropped, t.tx_dropped),
    )  # fmt: skip


def _where_any(first: int, second: int) -> str:
    return f"{first}/{second}" if first or second else ""


def state(link: HeldLink) -> str:
    """``up``, ``down``, or ``no carrier``."""
    if not link.up:
        return "down"
    return "up" if link.carrier else "no carrier"


def addresses(holding: Holding, device: str) -> list[str]:
    """``10.0.0.1/24``, with what the kernel says of it: ``fd00::1/64(dadfailed)``."""
    return [
        f"{a.address}/{a.length}" + (f"({','.join(a.flags)})" if a.flags else "")
        for a in holding.addresses
        if a.device == device
    ]


def routes(holding: Holding) -> str:
    """Rules of policy routing first, then the tables that they name."""
    found = [*map(policy, holding.policies), ""]
    numbers = sorted({route.table for route in holding.routes}, key=lambda n: (n == LOCAL, n))
    for number in numbers:
        some = [route for route in holding.routes if route.table == number]
        found += [f"table {TABLES.get(number, number)}", *(f"  {route_words(r)}" for r in some), ""]
    return "".join(f"{line}\n" for line in found)


def route_words(route: HeldRoute) -> str:
    """In ip-route(8)'s order."""
    to = "default" if route.prefix in ("0.0.0.0/0", "::/0") else route.prefix
    version = " (IPv6)" if route.prefix == "::/0" else ""
    words = ["" if route.type == "unicast" else route.type, to + version]
    if len(route.hops) == 1:
        words.append(_hop(route.hops[0]))
    words += [f"from {route.sources}"] if route.sources else []
    words += [f"src {route.source}"] if route.source else []
    words += [f"metric {route.metric}"] if route.metric else []
    words += [f"scope {SCOPES.get(route.scope, route.scope)}"] if route.scope else []
    words += [f"mtu {route.mtu}"] if route.mtu else []
    if len(route.hops) > 1:
        words += [f"nexthop {_hop(hop)} weight {hop.weight}" for hop in route.hops]
    return " ".join(word for word in words if word)


def _hop(hop: HeldHop) -> str:
    words = (
        f"via {hop.gateway}" if hop.gateway else "", f"dev {hop.device}" if hop.device else "",
        "onlink" if hop.onlink else "", "dead" if hop.dead else "",
        "linkdown" if hop.linkdown else "",
    )  # fmt: skip
    return " ".join(word for word in words if word)


def policy(rule: HeldPolicy) -> str:
    """``IPv4 32766: from all lookup main``"""
    number = TABLES.get(rule.table, str(rule.table))
    action = f"lookup {number}" if rule.action == "lookup" else rule.action
    words = (
        "not" if rule.inverted else "", f"from {rule.source or 'all'}",
        f"to {rule.destination}" if rule.destination else "",
        f"iif {rule.incoming}" if rule.incoming else "",
        f"oif {rule.outgoing}" if rule.outgoing else "",
        f"fwmark {rule.mark:#x}/{rule.mask:#x}" if rule.mask else "",
        f"goto {rule.goto}" if rule.goto else action, *rule.unread,
    )  # fmt: skip
    return f"IPv{rule.version} {rule.priority}: {' '.join(word for word in words if word)}"


def neighbours(holding: Holding) -> str:
    """And what bridges have learned."""
    head = ("neighbour", "interface", "mac", "state")
    text = table([head, *((n.address, n.device, n.mac, n.state) for n in holding.neighbours)])
    rows = [
        (f.mac, f.device, f.bridge, f.remote, "own" if f.local else "") for f in holding.forwarding
    ]
    learned = table([("forwarding entry", "port", "bridge", "remote", ""), *rows])
    return text + (f"\n{learned}" if rows else "")


def switches(holding: Holding) -> str:
    return pairs(holding.switches.items())


def pairs(items: Iterable[tuple[str, object]]) -> str:
    return "".join(f"{name} = {value}\n" for name, value in items)


def notable(holding: Holding, carried: Mapping[str, Traffic]) -> list[str]:
    """What is seldom so where all is well, a sentence each."""
    said = [f"{link.name} is {state(link)}" for link in holding.links if state(link) != "up"]
    for a in holding.addresses:
        if told := {"dadfailed", "tentative"} & {*a.flags}:
            said.append(f"{a.address} on {a.device} cannot be used: {', '.join(sorted(told))}")
    for n in holding.neighbours:
        if n.state in ("failed", "incomplete"):
            said.append(f"nobody answers for {n.address} on {n.device} ({n.state})")
    said += _idle(holding.routes)
    said += _stopped(holding.tables.trees)
    for name, t in carried.items():
        losses = {"errors": (t.rx_errors, t.tx_errors), "drops": (t.rx_dropped, t.tx_dropped)}
        said += [
            f"{name} has counted {came} {word} on the way in, {went} on the way out"
            for word, (came, went) in losses.items()
            if came or went
        ]
    return said


def _idle(held: Iterable[HeldRoute]) -> Iterator[str]:
    """Routes over devices that carry nothing; not those that every device has."""
    for route in held:
        is_own = route.table == LOCAL or route.prefix.startswith(("fe80:", "ff00:"))
        if not is_own and any(hop.dead or hop.linkdown for hop in route.hops):
            yield f"a route leads nowhere: {route_words(route)}"


def _stopped(trees: Iterable[Table]) -> Iterator[str]:
    """Rules that have dropped or rejected something, as far as they count."""
    for tree in trees:
        for chain in tree.parts:
            for rule in chain.rules if isinstance(chain, Chain) else ():
                words = rule_text(rule)
                counted = any(isinstance(x, Counter) and x.packets for x in rule.statements)
                if counted and ("drop" in words.split() or "reject" in words.split()):
                    yield f"a rule of {tree.family} {tree.name} {chain.name} has hit: {words}"
