"""Random rules, and packets through them: verdicts and counters as they were foretold."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

import pytest

from netlab.cli.trace import lab_of
from netlab.firewall.compile import compile_script
from netlab.firewall.parse import parse
from netlab.firewall.transaction import commit
from netlab.kernel.rules import NETLINK_NETFILTER, listed
from netlab.kernel.visits import Visits, visiting
from netlab.trace.explain import held
from netlab.trace.explain.choices import Choices
from netlab.trace.explain.packet import Packet
from netlab.trace.explain.state import World
from netlab.trace.explain.story import Arrive, Send, Story, Trail
from netlab.trace.explain.walk import run
from tests.live.conftest import Write
from tests.live.grammar import (
    PACKET_SOCKET,
    Grammar,
    Seen,
    Sent,
    answer,
    as_seen,
    is_answered,
    packet,
    seen,
)
from tests.live.world import done

ROUNDS = int(os.environ.get("NETLAB_RULE_ROUNDS", "25"))
PACKETS = 24
TOPOLOGY = """
defaults:
  node:
    sysctls:
      net.ipv6.conf.default.router_solicitations: 0
      net.ipv6.conf.default.accept_ra: 0
nodes:
  h1:
    interfaces: {eth0: {mac: "02:00:00:00:00:02"}}
    nftables: &deaf |
      table inet deaf { chain c { type filter hook prerouting priority raw; policy drop; }; }
  gw:
    kind: router
    interfaces: {lan: {mac: "02:00:00:00:00:01"}, wan: {mac: "02:00:00:00:00:03"}}
    sysctls: {net.ipv4.icmp_ratelimit: 0, net.ipv6.icmp.ratelimit: 0}
    neighbours:
      - {to: 10.1.0.2, mac: "02:00:00:00:00:02", dev: lan}
      - {to: 10.1.0.3, mac: "02:00:00:00:00:02", dev: lan}
      - {to: "fd00:1::2", mac: "02:00:00:00:00:02", dev: lan}
      - {to: "fd00:1::3", mac: "02:00:00:00:00:02", dev: lan}
      - {to: 10.2.0.2, mac: "02:00:00:00:00:04", dev: wan}
      - {to: 10.2.0.3, mac: "02:00:00:00:00:04", dev: wan}
      - {to: "fd00:2::2", mac: "02:00:00:00:00:04", dev: wan}
      - {to: "fd00:2::3", mac: "02:00:00:00:00:04", dev: wan}
  h2:
    interfaces: {eth0: {mac: "02:00:00:00:00:04"}}
    nftables: *deaf
links:
  - ["h1:eth0 10.1.0.2/24 10.1.0.3/24 fd00:1::2/64 fd00:1::3/64", "gw:lan 10.1.0.1/24 fd00:1::1/64"]
  - ["gw:wan 10.2.0.1/24 fd00:2::1/64", "h2:eth0 10.2.0.2/24 10.2.0.3/24 fd00:2::2/64 fd00:2::3/64"]
"""
QUIET = """
    table inet quiet {
        chain in { type filter hook prerouting priority -1000; ip6 nexthdr 0 drop; }
        chain out { type filter hook output priority -1000; ip6 nexthdr 0 drop; }
    }
"""
"""Reports of multicast listeners go by no counter (RFC 3810: they have a hop-by-hop header)."""
MACS = {
    "h1": (bytes.fromhex("020000000001"), bytes.fromhex("020000000002")),
    "h2": (bytes.fromhex("020000000003"), bytes.fromhex("020000000004")),
}
Arrival = tuple[str, Seen]
"""A host, and what came there."""
OUTGOING = 4
"""PACKET_OUTGOING (packet(7)): what one has sent oneself."""
ENTRIES = {"h1": "lan", "h2": "wan"}


@dataclass
class Wire:
    """Packet sockets on both hosts."""

    ends: dict[str, socket.socket]

    def send(self, host: str, sent: Sent) -> None:
        to, by = MACS[host]
        kind = 0x800 if sent.packet.version == 4 else 0x86DD
        self.ends[host].send(to + by + struct.pack(">H", kind) + sent.network)

    def arrived(self) -> set[Arrival]:
        """All packets that came in."""
        found = set()
        for host, sock in self.ends.items():
            with contextlib.suppress(BlockingIOError):
                while True:
                    data, address = sock.recvfrom(1 << 16)
                    told = seen(data[14:]) if address[2] != OUTGOING else None
                    if told:
                        found.add((host, told))
        return found


@pytest.fixture
def gw(write: Write) -> Iterator[tuple[str, Visits, Wire, World]]:
    """h1 ── gw ── h2"""
    lab = done("up", write(TOPOLOGY)).split()[0]
    terrain, identities, _ = lab_of(lab)
    with visiting(identities) as visits, contextlib.ExitStack() as stack:

        def end() -> socket.socket:
            sock = socket.socket(*PACKET_SOCKET, socket.htons(3))
            sock.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)
            sock.bind(("eth0", 3))
            return sock

        ends = {host: visits.at(f"{lab}.{host}", end) for host in MACS}
        for sock in ends.values():
            stack.callback(sock.close)
        time.sleep(0.5)  # what the kernel announces of itself goes by
        yield lab, visits, Wire(ends), held.of_lab(terrain, visits)


def test_random_rules_do_what_was_foretold(gw: tuple[str, Visits, Wire, World]) -> None:
    lab, visits, wire, first = gw
    seed = int(os.environ.get("NETLAB_SEED", time.time_ns() % 10**9))
    print(f"NETLAB_SEED={seed}")
    random = Random(seed)
    number = 0
    checked = 0
    for turn in range(ROUNDS):
        rules = Grammar(random).ruleset()
        load(lab, visits, rules)
        world = with_rules(first, lab, visits)
        wire.arrived()
        story = Story(world, Choices(), seconds=time.time(), run=run)
        foretold: set[Arrival] = set()
        open_ones: list[Packet] = []
        for _ in range(PACKETS):
            number += 1
            answers = bool(open_ones) and random.random() < 0.4
            to = open_ones.pop(random.randrange(len(open_ones))) if answers else None
            one = packet(random, number) if to is None else answer(random, to)
            host = "h1" if to is None else "h2"
            story.choices = Choices()
            wire.send(host, Sent(one, number))
            came, there = told(story, host, one, number)
            foretold |= came
            if to is None:
                open_ones += filter(is_answered, there)
            if story.choices.made:
                pytest.fail(f"it hangs on {story.choices.made}\n{rules}")
        where = f"NETLAB_SEED={seed}, round {turn}\n{rules}"
        assert settled(wire, foretold) == foretold, where
        assert counted(lab, visits) == totals(story), where
        checked += len(story.counted)
    assert checked > ROUNDS


def load(lab: str, visits: Visits, rules: str) -> None:
    """In two turns: else translation would be as old as with the rules before."""

    def loaded() -> None:
        links = {name: number for number, name in socket.if_nameindex()}
        for text in ("flush ruleset", f"{QUIET}\n{rules}"):
            batch = compile_script(parse(text), links=links)
            with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as sock:
                commit(sock, batch)

    visits.at(f"{lab}.gw", loaded)


def with_rules(world: World, lab: str, visits: Visits) -> World:
    """The same, with what gw holds now."""
    from netlab.kernel import state

    holding = visits.at(f"{lab}.gw", lambda: state.read(""))
    node = replace(world.nodes["gw"], holding=holding)
    return replace(world, nodes={**world.nodes, "gw": node})


def told(
    story: Story, host: str, one: Packet, number: int
) -> tuple[set[Arrival], list[Packet]]:
    """Where the packet and gw's answer are foretold to come in; how it looks in h2."""
    state = story.world.nodes["gw"]
    to, by = MACS[host]
    frame = replace(one, source_mac=by.hex(":"), destination_mac=to.hex(":"))
    trail = Trail().enter("gw", state.role)
    story.met.clear()
    fates = run(story, [Arrive("gw", ENTRIES[host], frame, trail)])
    there = [f.packet for f in fates if f.node == "h2"]
    found = {(f.node, as_seen(f.packet, number)) for f in fates if f.node in ENTRIES}
    waiting = list(fates)
    while waiting:
        fate = waiting.pop()
        if fate.node != "gw" or not fate.made:
            continue
        made = fate.made
        back = run(story, [Send("gw", made.packet, trail, made.seen)])
        waiting += back
        if made.packet.is_echo_reply:  # what else gw makes of it does not carry its number
            found |= {(f.node, as_seen(f.packet, number)) for f in back if f.node in ENTRIES}
    return found, there


def settled(wire: Wire, wanted: set[Arrival]) -> set[Arrival]:
    """All that came in; that nothing more comes shows only after a while."""
    found = wire.arrived()
    until = time.monotonic() + 0.5
    while found != wanted and time.monotonic() < until:
        time.sleep(0.005)
        found |= wire.arrived()
    time.sleep(0.002)
    return found | wire.arrived()


Key = tuple[str, str, int]


def counted(lab: str, visits: Visits) -> dict[Key, int]:
    found = visits.at(f"{lab}.gw", lambda: listed(""))
    return {(r.family, r.table, r.handle): r.packets for r in found if r.packets}


def totals(story: Story) -> dict[Key, int]:
    found = Counter(
        (family, table, rule.handle)
        for node, family, table, rule in story.counted
        if node == "gw"
    )
    return dict(found)
