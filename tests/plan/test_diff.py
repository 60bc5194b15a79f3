"""The road between two inventories: it arrives, nothing is missing on the way, and it is short."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netlab.errors import TopologyError
from netlab.lab.apply import write
from netlab.lab.journal import reached
from netlab.plan.diff import Plan, Step, diff
from netlab.resources import Inventory
from netlab.resources.base import Stage
from tests.plan.labs import all_labs, inventory, read_text, road
from tests.plan.model import ModelKernel

LABS = all_labs()


def built(wanted: Inventory) -> ModelKernel:
    kernel = ModelKernel()
    write(kernel, diff(Inventory(), wanted))
    return kernel


def walked(kernel: ModelKernel, current: Inventory, wanted: Inventory) -> Plan:
    """Walk there; whatever a road must be is asserted on the way."""
    plan = diff(current, wanted)
    write(kernel, plan)
    assert kernel.held == built(wanted).held
    assert reached(current, plan) == wanted
    assert diff(reached(current, plan), wanted) == ()
    standing = current
    for step in plan:
        assert _is_fair(step)
        standing = reached(standing, (step,))
        assert _stands(standing)
    return plan


def _stands(held: Inventory) -> bool:
    """All has what it needs, but for links: one falls when both its ends have."""
    there = held.provided()
    return all(
        there.issuperset(r.needs) or (r.stage == Stage.LINK and not there.isdisjoint(r.needs))
        for r in held.values()
    )


def _is_fair(step: Step) -> bool:
    """A change in place is one that the resource says it can make."""
    return step.before is None or step.after is None or step.after.follows(step.before)


@pytest.mark.parametrize("name", LABS)
def test_every_lab_can_be_built_from_nothing_and_taken_down(name: str) -> None:
    kernel, wanted = ModelKernel(), inventory(LABS[name])
    assert wanted.missing() == set()
    walked(kernel, Inventory(), wanted)
    walked(kernel, wanted, Inventory())
    assert kernel.held == {}


@pytest.mark.parametrize("name", LABS)
def test_the_road_arrives_from_every_lab_at_every_other(name: str) -> None:
    for other in LABS:
        current, wanted = inventory(LABS[name]), inventory(LABS[other])
        walked(built(current), current, wanted)


def test_the_road_to_the_same_place_is_empty() -> None:
    assert [road(text, text) for text in LABS.values()] == [[]] * len(LABS)


# a random walk

SWITCHES: dict[str, list[str | None]] = {
    "rp_filter": [None, "1"], "proxy_arp": [None, "0", "1"], "ipv6.disable_ipv6": [None, "1"],
}  # fmt: skip


@st.composite
def interfaces(draw: st.DrawFn) -> dict[str, Any]:
    said: dict[str, Any] = {
        "mtu": draw(st.sampled_from([None, 1000, 1400])),
        "mac": draw(st.sampled_from([None, None, "02:00:00:00:00:01"])),
        "up": draw(st.sampled_from([None, None, False])),
        "offload": draw(st.sampled_from([None, {"gro": True}, {"tso": False}])),
        "sysctls": {
            k: v for k, options in SWITCHES.items() if (v := draw(st.sampled_from(options)))
        },
    }
    return {key: value for key, value in said.items() if value is not None}


@st.composite
def topologies(draw: st.DrawFn) -> str:
    """Up to five nodes a to e with up to six links; a node's kind, and all else, may change."""
    names = draw(st.lists(st.sampled_from("abcde"), min_size=1, unique=True))
    count = draw(st.integers(0, 6)) if len(names) > 1 else 0
    links, ports = [], dict.fromkeys(names, 0)
    for _ in range(count):
        ends = draw(st.permutations(names))[:2]
        link = []
        for node in ends:
            link.append(f"{node}:p{ports[node]}")
            ports[node] += 1
        links.append({"endpoints": link, "mtu": draw(st.sampled_from([1500, 1300, 1000]))})
    nodes = {}
    for name in names:
        found = {f"p{n}": draw(interfaces()) for n in range(ports[name]) if draw(st.booleans())}
        if draw(st.booleans()):
            found["lo"] = {"addresses": [f"192.0.2.{ord(name)}/32"]}
        nodes[name] = {
            "kind": draw(st.sampled_from(["host", "router", "router", "switch"])),
            "interfaces": found,
            "exec": draw(st.lists(st.sampled_from(["true", "date"]), max_size=2)),
            "env": draw(st.sampled_from([{}, {"A": "1"}, {"A": "2"}])),
            "sysctls": draw(st.sampled_from([
                {}, {}, {"net.ipv4.conf.default.rp_filter": 1},
                {"net.ipv6.conf.all.disable_ipv6": 1},
            ])),
        }  # fmt: skip
    routing = draw(st.sampled_from(["none", "static"]))
    return json.dumps({"routing": routing, "nodes": nodes, "links": links})


@settings(
    max_examples=120, deadline=None, print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
@given(st.lists(topologies(), min_size=2, max_size=4))
def test_a_random_walk_arrives_at_every_stop(texts: list[str]) -> None:
    kernel, current = ModelKernel(), Inventory()
    for text in texts:
        try:
            wanted = read_text(text).compiled.inventory
        except TopologyError as problem:
            assert "already" in str(problem), text  # one MAC on two ends
            continue
        walked(kernel, current, wanted)
        current = wanted


# the shortest

BASE = """
nodes:
  a:
    interfaces:
      eth0: {mac: "02:00:00:00:00:0a", offload: {gro: true}}
      tun0: {kind: tun, addresses: [10.8.0.1/24], mtu: 1400}
      vx: {kind: vxlan, id: 7, mtu: 1400, remote: 10.0.0.2, addresses: []}
      br0: {kind: bridge, ports: [vx], ageing: 10, addresses: [10.9.0.1/24]}
    sysctls: {net.ipv4.conf.eth0.rp_filter: 1, net.ipv4.ip_forward: 1}
    routes:
      - {to: 10.5.0.0/16, via: 10.0.0.2}
      - {to: "fd05::/64", via: "fd00::2"}
    rules: [{from: 10.0.0.0/24, table: 100, priority: 1000}]
    neighbours: [{to: 10.0.0.9, mac: "02:00:00:00:00:09", dev: eth0}]
    exec: [date, "true"]
    env: {A: "1"}
  b:
links:
  - endpoints: ["a:eth0 10.0.0.1/24 fd00::1/64", "b:eth0 10.0.0.2/24 fd00::2/64"]
    mtu: 1500
"""

WHOLE_LINK = [
    "- a: route fd05::/64 via fd00::2 dev eth0",
    "- a: route 10.5.0.0/16 via 10.0.0.2 dev eth0",
    "- link a:eth0 – b:eth0",
    "+ link a:eth0 – b:eth0",
    "+ a: sysctl net.ipv4.conf.eth0.rp_filter=1",
    "+ a: offload gro on dev eth0",
    "+ a: address 10.0.0.1/24 dev eth0",
    "+ a: address fd00::1/64 dev eth0",
    "+ a: neighbour 10.0.0.9 lladdr 02:00:00:00:00:09 dev eth0",
    "+ a: route 10.5.0.0/16 via 10.0.0.2 dev eth0",
    "+ a: route fd05::/64 via fd00::2 dev eth0",
    "+ b: address 10.0.0.2/24 dev eth0",
    "+ b: address fd00::2/64 dev eth0",
]

CHANGES: dict[str, tuple[str, str, list[str]]] = {
    "the mtu of a link": (
        "mtu: 1500", "mtu: 1400", ["~ link a:eth0 – b:eth0  mtu 1500 → 1400"],
    ),
    "the mtu of one end": (
        "eth0: {mac:", "eth0: {mtu: 1450, mac:",
        ["~ link a:eth0 – b:eth0  mtu of a:eth0 1500 → 1450"],
    ),
    "a mac": ("00:00:00:0a", "00:00:00:0b", WHOLE_LINK),
    "an address": (
        "b:eth0 10.0.0.2/24", "b:eth0 10.0.0.2/24 10.0.0.3/24",
        [
            "~ the lab's /etc/hosts  lines: 1 added, 0 removed",
            "+ b: sysctl net.ipv4.conf.all.promote_secondaries=1",
            "+ b: address 10.0.0.3/24 dev eth0",
        ],
    ),
    "an address before another": (
        "b:eth0 10.0.0.2/24", "b:eth0 10.0.0.3/24 10.0.0.2/24",
        [
            "- b: address 10.0.0.2/24 dev eth0",
            "~ the lab's /etc/hosts  lines: 1 added, 0 removed",
            "+ b: sysctl net.ipv4.conf.all.promote_secondaries=1",
            "+ b: address 10.0.0.3/24 dev eth0",
            "+ b: address 10.0.0.2/24 dev eth0",
        ],
    ),
    "an address beside the one that a route goes over": (
        "a:eth0 10.0.0.1/24", "a:eth0 10.0.0.1/24 10.0.0.4/24",
        [
            "~ the lab's /etc/hosts  lines: 1 added, 0 removed",
            "+ a: sysctl net.ipv4.conf.all.promote_secondaries=1",
            "+ a: address 10.0.0.4/24 dev eth0",
        ],
    ),
    "the address that a route goes over": (
        "a:eth0 10.0.0.1/24", "a:eth0 10.0.0.4/24",
        [
            "- a: route 10.5.0.0/16 via 10.0.0.2 dev eth0",
            "- a: address 10.0.0.1/24 dev eth0",
            "~ the lab's /etc/hosts  lines: 1 added, 1 removed",
            "+ a: address 10.0.0.4/24 dev eth0",
            "+ a: route 10.5.0.0/16 via 10.0.0.2 dev eth0",
        ],
    ),
    "an IPv4 route": (
        "{to: 10.5.0.0/16, via: 10.0.0.2}", "{to: 10.5.0.0/16, dev: eth0}",
        ["~ a: route 10.5.0.0/16 dev eth0  via 10.0.0.2 dev eth0 → dev eth0"],
    ),
    "an IPv6 route": (
        'via: "fd00::2"', 'via: "fd00::3"',
        [
            "- a: route fd05::/64 via fd00::2 dev eth0",
            "+ a: route fd05::/64 via fd00::3 dev eth0",
        ],
    ),
    "a route's metric": (
        "via: 10.0.0.2}", "via: 10.0.0.2, metric: 7}",
        [
            "- a: route 10.5.0.0/16 via 10.0.0.2 dev eth0",
            "+ a: route 10.5.0.0/16 via 10.0.0.2 dev eth0 metric 7",
        ],
    ),
    "a switch": (
        "ip_forward: 1", "ip_forward: 0", ["~ a: sysctl net.ipv4.ip_forward=0  value 1 → 0"],
    ),
    "a switch that goes": (
        ", net.ipv4.ip_forward: 1", "", ["- a: sysctl net.ipv4.ip_forward=1"],
    ),
    "an offload": ("gro: true", "gro: false", ["~ a: offload gro off dev eth0  on → off"]),
    "an offload that goes": (", offload: {gro: true}", "", ["- a: offload gro on dev eth0"]),
    "a rule": (
        "priority: 1000", "priority: 999",
        [
            "- a: rule from 10.0.0.0/24 table 100 priority 1000",
            "+ a: rule from 10.0.0.0/24 table 100 priority 999",
        ],
    ),
    "a neighbour": (
        "00:00:00:09", "00:00:00:08",
        [
            "- a: neighbour 10.0.0.9 lladdr 02:00:00:00:00:09 dev eth0",
            "+ a: neighbour 10.0.0.9 lladdr 02:00:00:00:00:08 dev eth0",
        ],
    ),
    "a command in front": ('[date, "true"]', '[id, date, "true"]', ["+ a: exec id"]),
    "a command that goes": ('[date, "true"]', '["true"]', ["- a: exec date"]),
    "the environment": ('A: "1"', 'A: "2"', ["~ a: files and environment"]),
    "a bridge's option": (
        "ageing: 10", "ageing: 20",
        ["~ a: bridge br0  options ageing_time 10 → ageing_time 20"],
    ),
    "a vxlan's id": (
        "id: 7", "id: 8",
        ["- a: port vx of br0", "- a: vxlan vx", "+ a: vxlan vx", "+ a: port vx of br0"],
    ),
    "a vxlan's mtu": (
        "id: 7, mtu: 1400", "id: 7, mtu: 1300", ["~ a: vxlan vx  mtu 1400 → 1300"],
    ),
    "an mtu too small for IPv6": (
        "id: 7, mtu: 1400", "id: 7, mtu: 1200",
        ["- a: port vx of br0", "- a: vxlan vx", "+ a: vxlan vx", "+ a: port vx of br0"],
    ),
    "a tun's mtu": (
        "10.8.0.1/24], mtu: 1400", "10.8.0.1/24], mtu: 1300",
        ["- a: tun tun0", "+ a: tun tun0", "+ a: address 10.8.0.1/24 dev tun0"],
    ),
    "a node more": (
        "  b:\n", "  b:\n  c:\n", ["+ namespace l.c"],
    ),
    "a node of another kind": (
        "  b:\n", "  b: {kind: router}\n",
        [
            "+ b: sysctl net.ipv4.ip_forward=1",
            "+ b: sysctl net.ipv6.conf.all.forwarding=1",
        ],
    ),
    "what new devices start from": (
        "  b:\n", "  b: {sysctls: {net.ipv4.conf.default.rp_filter: 1}}\n",
        [
            *WHOLE_LINK[:3], "- namespace l.b", "+ namespace l.b", *WHOLE_LINK[3:],
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_one_change_takes_exactly_these_steps(what: str) -> None:
    old, new, expected = CHANGES[what]
    assert BASE.count(old) == 1
    changed = BASE.replace(old, new)
    assert road(BASE, changed) == expected
    kernel = built(inventory(BASE))
    walked(kernel, inventory(BASE), inventory(changed))


def test_a_step_tells_what_made_it_necessary() -> None:
    changed = BASE.replace("00:00:00:0a", "00:00:00:0b")
    reasons = {s.why for s in diff(inventory(BASE), inventory(changed))}
    assert reasons == {"", "link a:eth0 – b:eth0 is made anew"}
