"""The routing decision: policy rules, then the longest prefix, then the least metric.

IPv4 as in net/ipv4/fib_trie.c and fib_rules.c, IPv6 as in net/ipv6/route.c. What a router would
choose by a hash over the flow is asked of ``choices``.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import ip_address, ip_network

from netlab.kernel.holding import HeldHop, HeldPolicy, HeldRoute
from netlab.model.words import IP, Prefix
from netlab.trace import model
from netlab.trace.explain.choices import Choices
from netlab.trace.explain.packet import NO_PORT, NUMBERS, Span
from netlab.trace.explain.source import source_of
from netlab.trace.explain.state import DEFAULT, LOCAL, MAIN, NodeState, Table

LO = "lo"
NOWHERE = HeldHop()
NAMES = {LOCAL: "local", MAIN: "main", DEFAULT: "default"}
BITS = {4: 32, 6: 128}
ERRORS: Mapping[int, Mapping[str, int]] = {
    4: {
        "blackhole": errno.EINVAL,
        "unreachable": errno.EHOSTUNREACH,
        "prohibit": errno.EACCES,
        "throw": errno.EAGAIN,
    },
    6: {
        "blackhole": errno.EINVAL,
        "unreachable": errno.EHOSTUNREACH,
        "prohibit": errno.EACCES,
        "throw": errno.EAGAIN,
    },
}
OF_POLICIES = {
    "blackhole": errno.EINVAL, "unreachable": errno.ENETUNREACH, "prohibit": errno.EACCES,
}  # fmt: skip


@dataclass(frozen=True)
class Flow:
    """What a route is asked for by."""

    destination: IP
    source: IP | None = None
    incoming: str = ""
    """The device that the packet came in by; "" for one of the node's own."""
    outgoing: str = ""
    """The device that it has to leave by; "" for any."""
    mark: int = 0
    tos: int = 0
    protocol: str = ""
    source_port: Span = NO_PORT
    destination_port: Span = NO_PORT
    uid: int = 0

    @property
    def version(self) -> int:
        return self.destination.version


@dataclass(frozen=True)
class Decision:
    """What was found; ``error`` is an errno, 0 where there is a way."""

    flow: Flow
    route: HeldRoute | None = None
    hop: HeldHop = NOWHERE
    policy: HeldPolicy | None = None
    error: int = 0
    source: IP | None = None
    """The address to send from, where none was given."""

    @property
    def type(self) -> str:
        return self.route.type if self.route else ""

    @property
    def device(self) -> str:
        if self.type == "local" and not self.flow.incoming:
            return LO
        return self.hop.device

    @property
    def next_hop(self) -> IP:
        return ip_address(self.hop.gateway) if self.hop.gateway else self.flow.destination


def decide(state: NodeState, flow: Flow, choices: Choices) -> Decision:
    found = _by_policies(state, flow, choices)
    if found.error or found.route is None:
        return found
    if len(found.route.hops) > 1 and not flow.outgoing:
        found = replace(found, hop=_one_of(state, found, choices))
    return replace(found, source=flow.source or source_of(state, found))


# policy rules


def _by_policies(state: NodeState, flow: Flow, choices: Choices) -> Decision:
    if state.is_usual(flow.version):
        return _usual(state, flow, choices)
    policies = state.policies(flow.version)
    place = 0
    while place < len(policies):
        policy = policies[place]
        place += 1
        if not _applies(policy, flow, state, choices):
            continue
        if policy.action == "goto":
            later = (n for n, p in enumerate(policies) if p.priority == policy.goto)
            place = next(later, len(policies))
        elif policy.action == "lookup":
            found = _in_table(state, [policy.table], flow, choices)
            if not _goes_on(found, policy):
                return replace(found, policy=policy)
        elif policy.action in OF_POLICIES:
            return Decision(flow, policy=policy, error=OF_POLICIES[policy.action])
    return Decision(flow, error=errno.ENETUNREACH)


def _usual(state: NodeState, flow: Flow, choices: Choices) -> Decision:
    """IPv4 keeps ``local`` and ``main`` in one tree as long as there is no other rule."""
    found = Decision(flow, error=errno.EAGAIN)
    for tables in ([LOCAL, MAIN], [DEFAULT]) if flow.version == 4 else ([LOCAL], [MAIN]):
        found = _in_table(state, tables, flow, choices)
        if found.error != errno.EAGAIN:
            return found
    return replace(found, error=errno.ENETUNREACH)


def _goes_on(found: Decision, policy: HeldPolicy) -> bool:
    """Whether the next rule is asked."""
    if found.error == errno.EAGAIN:
        return True
    length = ip_network(found.route.prefix).prefixlen if found.route else 0
    return bool(not found.error and length <= policy.suppress)


def _applies(policy: HeldPolicy, flow: Flow, state: NodeState, choices: Choices) -> bool:
    known = _conditions(policy, flow)
    if any(holds is False for holds in known):
        return policy.inverted
    unsure = list(policy.unread) + (["the source port"] if None in known else [])
    if unsure:
        question = f"whether {state.node}'s rule {policy.priority} applies: {', '.join(unsure)}"
        return choices.choose(question, ("it does not", "it does")) == 1
    return not policy.inverted


def _conditions(policy: HeldPolicy, flow: Flow) -> list[bool | None]:
    """Whether each holds; None where that is not known."""
    nothing = ip_address("0.0.0.0" if flow.version == 4 else "::")
    return [
        not policy.source or (flow.source or nothing) in _network(policy.source),
        not policy.destination or flow.destination in _network(policy.destination),
        policy.incoming in ("", flow.incoming or LO),
        policy.outgoing in ("", flow.outgoing),
        not (policy.mark ^ flow.mark) & policy.mask,
        not policy.tos or policy.tos == flow.tos & 0xFC,
        not policy.protocol or policy.protocol == NUMBERS.get(flow.protocol, 0),
        _among(flow.source_port, policy.sports),
        _among(flow.destination_port, policy.dports),
        policy.uids is None or policy.uids[0] <= flow.uid <= policy.uids[1],
    ]


def _among(port: Span, wanted: tuple[int, int] | None) -> bool | None:
    if wanted is None or (wanted[0] <= port.low and port.high <= wanted[1]):
        return True
    return None if port.low <= wanted[1] and wanted[0] <= port.high else False


@lru_cache(4096)
def _network(text: str) -> Prefix:
    return ip_network(text)


# tables


def _in_table(
    state: NodeState, tables: Sequence[int], flow: Flow, choices: Choices
) -> Decision:
    """EAGAIN where it says nothing."""
    held = [t for n in tables if (t := state.tables(flow.version).get(n))]
    for routes in _matching(held, flow.destination):
        found = (_of_ipv4 if flow.version == 4 else _of_ipv6)(state, routes, flow, choices)
        if found is not None:
            return found
    return Decision(flow, error=errno.EAGAIN)


def _matching(tables: Sequence[Table], destination: IP) -> Iterator[list[HeldRoute]]:
    """The routes of each prefix that it is in, the longest first."""
    width, number = BITS[destination.version], int(destination)
    for length in sorted({length for table in tables for length in table}, reverse=True):
        network = number >> (width - length) << (width - length)
        found = [r for table in tables for r in table.get(length, {}).get(network, ())]
        if found:
            yield found


def _of_ipv4(
    state: NodeState, routes: Sequence[HeldRoute], flow: Flow, choices: Choices
) -> Decision | None:
    """Tables, then TOS, then metrics, in that order (fib_find_alias)."""
    for route in sorted(routes, key=lambda r: (-r.table, -r.tos, r.metric)):
        if route.tos and route.tos != flow.tos & 0xFC:
            continue
        if route.type in ERRORS[4]:
            return Decision(flow, route, error=ERRORS[4][route.type])
        for hop in route.hops:
            if _usable(state, hop, 4) and flow.outgoing in ("", hop.device):
                return Decision(flow, route, hop)
    return None


def _usable(state: NodeState, hop: HeldHop, version: int) -> bool:
    name = "ignore_routes_with_linkdown"
    ignores = state.conf(version, hop.device, name) or state.switch(
        f"net.ipv{version}.conf.all.{name}"
    )
    return not hop.dead and not (hop.linkdown and ignores)


def _of_ipv6(
    state: NodeState, routes: Sequence[HeldRoute], flow: Flow, choices: Choices
) -> Decision | None:
    """Of the least metric that has a usable one, the best: rt6_score_route."""
    bound = flow.outgoing or (flow.incoming if flow.destination.is_link_local else "")
    for metric in sorted({route.metric for route in routes}):
        scored: list[tuple[int, HeldRoute, HeldHop]] = []
        for route in routes:
            if route.metric != metric or not _from_there(route, flow):
                continue
            if route.type in ERRORS[6]:
                scored.append((0, route, NOWHERE))
            for hop in route.hops if route.type not in ERRORS[6] else ():
                if _usable(state, hop, 6) and bound in ("", hop.device):
                    near = hop.device == flow.incoming
                    score = near + 2 * {1: 2, 3: 0}.get(route.preference, 1)
                    scored.append((score, route, hop))
                    break
        if scored:
            _, route, hop = _best(state, scored, flow, choices)
            return Decision(flow, route, hop, error=ERRORS[6].get(route.type, 0))
    return None


def _from_there(route: HeldRoute, flow: Flow) -> bool:
    return not route.sources or flow.source is None or flow.source in _network(route.sources)


Scored = tuple[int, HeldRoute, HeldHop]


def _best(
    state: NodeState, scored: Sequence[Scored], flow: Flow, choices: Choices
) -> Scored:
    most = max(score for score, _, _ in scored)
    best = [one for one in scored if one[0] == most]
    if len(best) == 1 or flow.destination.is_multicast or flow.destination.is_link_local:
        return best[0]
    question = f"which of {state.node}'s routes to {best[0][1].prefix} of one metric it takes"
    return best[choices.choose(question, [hop_words(hop) for _, _, hop in best])]


# several ways


def _one_of(state: NodeState, found: Decision, choices: Choices) -> HeldHop:
    """One of several next hops: a hash over the flow chooses (fib_select_multipath)."""
    assert found.route is not None
    version = found.flow.version
    usable = [hop for hop in found.route.hops if _usable(state, hop, version)]
    if len(usable) < 2:
        return (usable or [found.hop])[0]
    flow = found.flow
    question = (
        f"which of {len(usable)} next hops to {found.route.prefix} {state.node} takes "
        f"for {flow.source or state.node} → {flow.destination}: a hash over the flow tells"
    )
    return usable[choices.choose(question, [hop_words(hop) for hop in usable])]


def hop_words(hop: HeldHop) -> str:
    parts = (f"via {hop.gateway}" if hop.gateway else "", f"dev {hop.device}" if hop.device else "")
    return " ".join(part for part in parts if part) or "no device"


# types of addresses


def address_type(state: NodeState, address: IP, device: str) -> str:
    """``local``, ``broadcast``, ``multicast``, else ``unicast`` (inet_dev_addr_type)."""
    if address.version == 4 and (int(address) == 0xFFFFFFFF or int(address) >> 24 == 0):
        return "broadcast"
    if address.is_multicast:
        return "multicast"
    table = state.tables(address.version).get(LOCAL)
    for routes in _matching([table] if table else [], address):
        for route in routes:
            if not device or any(hop.device == device for hop in route.hops):
                return route.type
        return "unicast"
    return "unicast"


def is_own(state: NodeState, address: IP) -> bool:
    return address_type(state, address, "") == "local"


# in words


def as_told(state: NodeState, found: Decision) -> model.Route:
    route = found.route
    prefix = "" if route is None else _prefix_words(route.prefix)
    policy = found.policy
    usual = policy is None or (policy.priority, policy.table) in _USUAL
    unreachable = found.error and found.error != errno.EAGAIN
    return model.Route(
        str(found.flow.destination),
        prefix,
        found.type or ("unicast" if not found.error else ""),
        found.hop.gateway if found.type == "unicast" else "",
        found.device if not found.error else "",
        NAMES.get(route.table, str(route.table)) if route else "main",
        str(found.source or "") if not found.error else "",
        route.mtu if route else 0,
        said(found.error) if unreachable else "",
        "" if usual or policy is None else policy_words(policy),
        state.places.get(route.prefix, "") if route else "",
    )


_USUAL = frozenset({(0, LOCAL), (32766, MAIN), (32767, DEFAULT)})


def said(code: int) -> str:
    """As the kernel says it: ``Network is unreachable [ENETUNREACH]``."""
    return f"{os.strerror(code)} [{errno.errorcode.get(code, code)}]"


def _prefix_words(prefix: str) -> str:
    return "default" if prefix in ("0.0.0.0/0", "::/0") else prefix


def policy_words(policy: HeldPolicy) -> str:
    """In ip-rule(8)'s words."""
    parts = [
        f"{policy.priority}:",
        "not" if policy.inverted else "",
        f"from {policy.source or 'all'}",
        f"to {policy.destination}" if policy.destination else "",
        f"iif {policy.incoming}" if policy.incoming else "",
        f"oif {policy.outgoing}" if policy.outgoing else "",
        f"fwmark {policy.mark:#x}" if policy.mask else "",
        f"{policy.action} {NAMES.get(policy.table, str(policy.table))}"
        if policy.action == "lookup"
        else policy.action,
    ]
    return " ".join(part for part in parts if part)
