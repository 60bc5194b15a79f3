"""Random routes and policy rules: the routing decision, held against the kernel's own answer."""

from __future__ import annotations

import errno
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from random import Random
from typing import NamedTuple

import pytest

from netlab.kernel import lookup, state
from netlab.kernel.holding import HeldHop
from netlab.kernel.visits import visiting
from netlab.kernel.wire import open_socket
from netlab.trace.explain.admission import route_in, route_in6
from netlab.trace.explain.choices import Choices, each
from netlab.trace.explain.packet import Packet, exactly
from netlab.trace.explain.route import Decision, Flow, address_type, as_told, decide
from netlab.trace.explain.state import NodeState
from tests.live.world import eventually

ROUNDS = int(os.environ.get("NETLAB_ROUTE_ROUNDS", "12"))
ASKED = 150
DEVICES = ("v0", "v1", "v2")
OWN = {4: ("10.0.{n}.1/24", "10.0.{n}.65/26"), 6: ("fd00:{n}::1/64", "fd00:{n}::77/64")}
NEAR = {4: "10.0.{n}.2", 6: "fd00:{n}::2"}
PREFIXES = {
    4: ("default", "10.9.0.0/16", "10.9.1.0/24", "10.9.1.128/25", "10.9.1.200/32", "10.0.0.0/8",
        "192.0.2.0/24", "10.0.1.128/25"),
    6: ("default", "fd09::/32", "fd09:1::/48", "fd09:1:1::/64", "fd09:1:1::9/128", "fd00::/8",
        "2001:db8::/32"),
}  # fmt: skip
TARGETS = {
    4: ("10.9.0.1", "10.9.1.1", "10.9.1.130", "10.9.1.200", "10.0.0.9", "10.0.1.9", "10.0.1.200",
        "10.0.2.70", "10.0.0.1", "10.0.1.65", "192.0.2.5", "8.8.8.8", "127.0.0.1", "10.0.0.255",
        "127.5.5.5", "10.200.1.1"),
    6: ("fd09::1", "fd09:1::1", "fd09:1:1::1", "fd09:1:1::9", "fd00:0::9", "fd00:1::9", "fd00:2::1",
        "2001:db8::5", "2001:4860::1", "::1", "fd77::1"),
}  # fmt: skip
ERRORS = ("blackhole", "unreachable", "prohibit", "throw")


@pytest.fixture
def ns(prefix: str, host_unchanged: None) -> Iterator[str]:
    """v0 ─ w0, v1 ─ w1, v2 ─ w2, all in one namespace."""
    command("netns", "add", prefix)
    command("-n", prefix, "link", "set", "lo", "up")
    for number, name in enumerate(DEVICES):
        command("-n", prefix, "link", "add", name, "type", "veth", "peer", "name", f"w{number}")
        for device in (name, f"w{number}"):
            inside(prefix, "sysctl", "-qw", f"net.ipv6.conf.{device}.accept_dad=0")
        command("-n", prefix, "link", "set", f"w{number}", "up")
        command("-n", prefix, "link", "set", name, "up")
    yield prefix
    command("netns", "del", prefix)


def test_random_routes_are_decided_as_the_kernel_does(ns: str) -> None:
    seed = int(os.environ.get("NETLAB_SEED", time.time_ns() % 10**9))
    print(f"NETLAB_SEED={seed}")
    random = Random(seed)
    seen: set[Answer] = set()
    for turn in range(ROUNDS):
        text = ruleset(random)
        batch(ns, text)
        held = eventually(lambda: settled(ns))
        asks = [ask(random) for _ in range(ASKED)]
        answers = within(ns, lambda asks=asks: [*map(Kernel().answer, asks)])  # type: ignore[misc]
        for flow, answer in zip(asks, answers, strict=True):
            told = told_of(held, flow)
            assert answer in told, f"NETLAB_SEED={seed}, round {turn}: {flow}\n{text}"
        seen.update(answers)
    assert len({answer._replace(source="") for answer in seen}) > 30


def test_what_comes_in_is_believed_and_routed_as_the_kernel_does(ns: str) -> None:
    seed = int(os.environ.get("NETLAB_SEED", time.time_ns() % 10**9))
    print(f"NETLAB_SEED={seed}")
    random = Random(seed)
    seen: set[int] = set()
    for turn in range(ROUNDS):
        text = ruleset(random)
        batch(ns, text)
        switches = [f"{name}={random.choice(values)}" for name, values in SWITCHES.items()]
        inside(ns, "sysctl", "-qw", *switches)
        held = eventually(lambda: settled(ns))
        asks = [arriving(random) for _ in range(ASKED)]
        answers = within(ns, lambda asks=asks: [*map(Kernel().answer, asks)])  # type: ignore[misc]
        for flow, answer in zip(asks, answers, strict=True):
            told, _ = each(partial(taken_in, held, flow))
            where = f"NETLAB_SEED={seed}, round {turn}: {flow}\n{text}\n{switches}"
            assert inward(answer) in [one.story for one in told], where
        seen |= {answer.error for answer in answers}
    assert {0, errno.EINVAL, errno.EHOSTUNREACH} <= seen


def settled(ns: str) -> NodeState | None:
    """Once IPv6 has put in the routes of its new addresses, which it does a moment later."""
    held = NodeState("x", "router", within(ns, lambda: state.read("")))
    own = (a.ip for a in held.addresses)
    return held if all(address_type(held, ip, "") == "local" for ip in own) else None


# random matter


def ruleset(random: Random) -> str:
    """As a batch for ip(8)."""
    lines = ["rule add pref 32767 table default"]
    for family in ("", "-6 "):
        lines += [f"{family}route flush table {table} proto boot" for table in ("main", 100, 200)]
        lines += [f"{family}route flush table {table}" for table in (100, 200)]
        usual = [f"{family}rule add pref 0 table local", f"{family}rule add pref 32766 table main"]
        lines += [f"{family}rule flush", *usual]
    lines += [f"address flush dev {name} scope global" for name in DEVICES]
    for number, name in enumerate(DEVICES):
        for version in (4, 6):
            first, second = (words.format(n=number) for words in OWN[version])
            some = [first, second] if random.random() < 0.4 else [first]
            lines += [f"address add {cidr} dev {name} nodad" for cidr in some]
    for version in (4, 6):
        lines += [route(random, version) for _ in range(random.randint(2, 9))]
        if random.random() < 0.6:
            lines += [rule(random, version) for _ in range(random.randint(1, 4))]
    return "\n".join(lines) + "\n"


def route(random: Random, version: int) -> str:
    family = "-6 " if version == 6 else ""
    to = random.choice(PREFIXES[version])
    table = random.choice(("", "", " table 100", " table 200"))
    metric = f" metric {random.choice((10, 20, 1024))}" if random.random() < 0.5 else ""
    if random.random() < 0.2:
        return f"{family}route replace {random.choice(ERRORS)} {to}{table}{metric}"
    if random.random() < 0.2:
        ways = " ".join(f"nexthop {way(random, version)} weight {random.randint(1, 3)}"
                        for _ in "ab")  # fmt: skip
        return f"{family}route replace {to}{table}{metric} {ways}"
    number = random.randrange(3)
    source = ""
    if random.random() < 0.2:
        source = f" src {OWN[version][0].format(n=number).partition('/')[0]}"
    return f"{family}route replace {to} {way(random, version, number)}{table}{metric}{source}"


SWITCHES = {
    "net.ipv4.ip_forward": (0, 1, 1),
    "net.ipv6.conf.all.forwarding": (1,),
    "net.ipv4.conf.v0.rp_filter": (0, 0, 1, 2),
    "net.ipv4.conf.v1.rp_filter": (0, 0, 1, 2),
    "net.ipv4.conf.all.rp_filter": (0, 0, 0, 1),
    "net.ipv4.conf.v0.accept_local": (0, 1),
    "net.ipv4.conf.v2.route_localnet": (0, 1),
}
STRANGE = ("127.0.0.1", "10.0.0.1", "10.0.1.1", "224.0.0.5")
"""Sources that no packet from outside should have."""


def arriving(random: Random) -> Flow:
    """A packet that comes in."""
    flow = ask(random)
    if flow.version == 6 and str(flow.destination) == "::1":
        flow = replace(flow, destination=ip_address("fd00:2::1"))
    near = [words.format(n=n) for n in range(3) for words in (NEAR[flow.version],)]
    source = random.choice([*near, *TARGETS[flow.version][:6]])
    if flow.version == 4 and random.random() < 0.15:
        source = random.choice(STRANGE)
    return replace(flow, source=ip_address(source), incoming=random.choice(DEVICES))


PROBLEMS = {
    "rp-filter": errno.EINVAL,
    "martian-source": errno.EINVAL,
    "martian-destination": errno.EINVAL,
    "forwarding-off": errno.EHOSTUNREACH,
}


def taken_in(held: NodeState, flow: Flow, choices: Choices) -> Answer:
    assert flow.source is not None
    packet = Packet(flow.source, flow.destination, flow.protocol, flow.source_port,
                    flow.destination_port, mark=flow.mark)  # fmt: skip
    decide_on = route_in if flow.version == 4 else route_in6
    routed = decide_on(held, flow.incoming, packet, choices)
    if routed.problem:
        return Answer(PROBLEMS.get(routed.problem, routed.decided.error))
    return inward(words_of(held, routed.decided))


def inward(answer: Answer) -> Answer:
    """As far as it is told of a packet that comes in; rp_filter had its own errno before 6.15."""
    device = answer.device if answer.type == "unicast" else ""
    error = errno.EINVAL if answer.error == errno.EXDEV else answer.error
    return answer._replace(error=error, source="", device=device)


def way(random: Random, version: int, number: int | None = None) -> str:
    number = random.randrange(3) if number is None else number
    if random.random() < 0.7:
        return f"via {NEAR[version].format(n=number)} dev v{number}"
    return f"dev v{number}"


def rule(random: Random, version: int) -> str:
    family = "-6 " if version == 6 else ""
    prefix = {4: "10.0.{n}.0/24", 6: "fd00:{n}::/64"}[version].format(n=random.randrange(3))
    says = random.choice((
        f"from {prefix}", f"to {random.choice(PREFIXES[version][1:])}", "iif v1", "iif lo",
        "fwmark 0x1/0x3", "ipproto tcp dport 80-90", "ipproto udp", "not fwmark 0x2", "from all",
    ))  # fmt: skip
    does = random.choice((
        "table 100", "table 200", "table 100", "table main suppress_prefixlength 0", "prohibit",
        "unreachable", "blackhole",
    ))  # fmt: skip
    return f"{family}rule add pref {random.randint(1, 60000) * 2 + 1 & 0x7FFF} {says} {does}"


def ask(random: Random) -> Flow:
    version = random.choice((4, 6))
    sources = [cidr.format(n=n).partition("/")[0] for n in range(3) for cidr in OWN[version][:1]]
    source = ip_address(random.choice(sources)) if random.random() < 0.4 else None
    protocol = random.choice(("tcp", "udp"))
    return Flow(
        ip_address(random.choice(TARGETS[version])),
        source,
        mark=random.choice((0, 1, 2)),
        protocol=protocol,
        source_port=exactly(1234),
        destination_port=exactly(random.choice((53, 80, 85))),
    )


# both answers


class Answer(NamedTuple):
    error: int
    type: str = ""
    prefix: str = ""
    via: str = ""
    device: str = ""
    table: str = ""
    source: str = ""


class Kernel:
    """``ip route get``, in the namespace that the thread stands in."""

    def answer(self, flow: Flow) -> Answer:
        with open_socket() as sock:
            names = {link.number: link.name for link in lookup.links(sock)}
            numbers = {name: number for number, name in names.items()}
            ports = flow.source_port.low, flow.destination_port.low
            try:
                found = lookup.route(
                    sock, str(flow.destination), source=str(flow.source or ""), mark=flow.mark,
                    protocol=flow.protocol, ports=ports, device=numbers.get(flow.incoming, 0),
                )  # fmt: skip
            except OSError as problem:
                return Answer(problem.errno or 0)
        source = "" if flow.source else found.source
        return Answer(0, found.type, found.prefix, found.via, names[found.device], found.table,
                      source)  # fmt: skip


def told_of(held: NodeState, flow: Flow) -> list[Answer]:
    """All that may be."""
    told, whole = each(lambda choices: answer_of(held, flow, choices))
    assert whole
    return [one.story for one in told]


def answer_of(held: NodeState, flow: Flow, choices: Choices) -> Answer:
    found = decide(held, flow, choices)
    if found.error:
        return Answer(found.error)
    return words_of(held, found)


def words_of(held: NodeState, found: Decision) -> Answer:
    route = as_told(held, found)
    hop: HeldHop = found.hop
    via = hop.gateway if found.type == "unicast" else ""
    source = "" if found.flow.source else str(found.source or "")
    return Answer(0, found.type, route.prefix, via, found.device, route.table, source)


# tools


def command(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=30)


def inside(ns: str, *words: str) -> None:
    command("netns", "exec", ns, *words)


def batch(ns: str, text: str) -> None:
    """Refusals are a part of it: a route may have no way to its gateway."""
    subprocess.run(["ip", "-n", ns, "-force", "-batch", "-"], input=text, text=True,
                   capture_output=True, timeout=30)  # fmt: skip


def within(ns: str, act):  # type: ignore[no-untyped-def]
    with visiting({ns: os.stat(f"/run/netns/{ns}").st_ino}) as visits:
        return visits.at(ns, act)
