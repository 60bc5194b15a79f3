"""A network stack, drawn: whole pictures, since it is the lines between the boxes that count."""

from __future__ import annotations

from dataclasses import replace
from textwrap import dedent

from netlab.render.stack import WIDTH, lines
from netlab.trace.explain.stack import (
    Bridge,
    Gate,
    Neighbour,
    Nic,
    Route,
    Socket,
    Stack,
    Stop,
    Table,
    Way,
)

OFF = {"net.ipv4.ip_forward": "0", "net.ipv6.conf.all.forwarding": "0"}
ON = {"net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "1"}
ETH0 = Nic("eth0", "veth", "up", 1500, "02:00:00:00:00:01", ("10.0.0.1/24", "fe80::1/64"), "b:eth0")
NEAR = Route("10.0.0.0/24", "unicast", (Way("", "eth0", 1, False),), 0, "10.0.0.1", 0, "")
FAR = Way("10.0.0.9", "eth0", 1, False)
HOST = Stack(
    "lab", "a", "host", False, (), True, (ETH0,), (), (), (), (Table(4, "main", (NEAR,)),), (), OFF,
    (), False,
)  # fmt: skip


def drawn(stack: Stack) -> list[str]:
    return [text for text, _ in lines(stack)]


def picture(text: str) -> list[str]:
    return dedent(text).strip("\n").splitlines()


def chain(priority: int, name: str, policy: str = "accept", rules: int = 1, **more: str) -> Stop:
    family, table, word = name.split()
    kind = more.get("type", "filter")
    return Stop(priority, "chain", (4, 6), family, table, word, kind, policy, rules)


def test_a_host_without_anything_is_a_small_picture() -> None:
    assert drawn(HOST) == picture("""
        lab: a  host  forwards nothing

        ┌ devices ───────────────────────────────────────────────────────────────┐
        │ eth0  veth  up  mtu 1500  10.0.0.1/24  to b:eth0                       │
        └───┬────────────────────────────────────────────────────────────────────┘
            ▼ prerouting
        ┌ routing ───────────────────────────────────────────────────────────────┐
        │ main    10.0.0.0/24 dev eth0                                           │
        │ sysctl  net.ipv4.ip_forward 0, net.ipv6.conf.all.forwarding 0          │
        └───┬────────────────────────────────────────────────────────────────────┘
            │ for the node itself                 ✗ for others: forwarding is off
            │ input
            │ programs: none waits
            │ what programs send is routed
            │ output
            │ postrouting
            ▼ out by eth0
    """)


FIREWALL = replace(
    HOST, node="fw", kind="router", planned=True, forwards=(4, 6), switches=ON,
    gates=(
        Gate("ip", "prerouting", (
            Stop(-400, "defragmentation", (4, 6)), Stop(-200, "tracking", (4, 6)),
            Stop(-100, "nat", (6,)), chain(-99, "ip n pre", type="nat"),
        )),
        Gate("ip", "input", (chain(0, "inet filter input", "drop", 5),)),
        Gate("ip", "forward", (
            chain(-150, "inet mangle forward", rules=0),
            chain(0, "inet filter forward", "drop", 12),
        )),
        Gate("ip", "postrouting", (Stop((1 << 31) - 1, "confirmation", (4, 6)),)),
    ),
    sockets=(Socket("tcp", "*", 22, ""), Socket("udp", "fd00::1", 53, "eth0")),
    neighbours=(Neighbour("10.0.0.9", "eth0", "02:00:00:00:00:09", False),),
)  # fmt: skip


FIREWALL_DRAWN = """\
lab: fw  router  forwards IPv4 and IPv6  as its file says

┌ devices ────────────────────────────────────────────────────────────────────────────────────────┐
│ eth0  veth  up  mtu 1500  10.0.0.1/24  to b:eth0                                                │
└───┬─────────────────────────────────────────────────────────────────────────────────────────────┘
    ▼
┌ prerouting ─────────────────────────────────────────────────────────────────────────────────────┐
│ -400  defragmentation                                                                           │
│ -200  conntrack                                                                                 │
│ -100  NAT of known connections (IPv6)                                                           │
│  -99  ip n pre  nat  1 rule, else accept                                                        │
└───┬─────────────────────────────────────────────────────────────────────────────────────────────┘
    ▼
┌ routing ────────────────────────────────────────────────────────────────────────────────────────┐
│ main    10.0.0.0/24 dev eth0                                                                    │
│ sysctl  net.ipv4.ip_forward 1, net.ipv6.conf.all.forwarding 1                                   │
└───┬────────────────────────────────────────────────┬────────────────────────────────────────────┘
    ▼ for the node itself                            ▼ for others
┌ input ──────────────────────────────────────┐  ┌ forward ───────────────────────────────────────┐
│    0  inet filter input  5 rules, else drop │  │ -150  inet mangle forward  empty: accept       │
└───┬─────────────────────────────────────────┘  │    0  inet filter forward  12 rules, else drop │
    ▼                                            └───┬────────────────────────────────────────────┘
┌ programs that wait ─────────────────────────┐      │
│ tcp  *:22                                   │      │
│ udp  [fd00::1]:53  on eth0                  │      │
└───┬─────────────────────────────────────────┘      │
    │ what programs send is routed                   │
    │ output                                         │
    ├────────────────────────────────────────────────┘
    ▼
┌ postrouting ────────────────────────────────────────────────────────────────────────────────────┐
│ last  conntrack keeps new connections                                                           │
└───┬─────────────────────────────────────────────────────────────────────────────────────────────┘
    ▼
┌ neighbours that are set ────────────────────────────────────────────────────────────────────────┐
│ 10.0.0.9  02:00:00:00:00:09  eth0                                                               │
└───┬─────────────────────────────────────────────────────────────────────────────────────────────┘
    ▼ out by eth0
"""


def test_a_firewall_has_a_box_for_each_hook_and_a_way_for_others() -> None:
    assert drawn(FIREWALL) == FIREWALL_DRAWN.splitlines()


LONG_NAMES = """\
┌ input ────────────────────────────────────────┐  ┌ forward ──────────────────────────────────────┐
│    0  inet a-table-with-a-long-name a-chain-… │  │    0  inet a-table-with-a-long-name a-chain-… │
│       5 rules, else drop                      │  │       12 rules, else drop                     │
└───┬───────────────────────────────────────────┘  │    5  ip t c                                  │
    ▼                                              │       1 rule, else accept                     │
┌ programs that wait ───────────────────────────┐  └───┬───────────────────────────────────────────┘
"""


def test_nothing_is_wider_than_it_may_be_and_rules_stand_below_long_names() -> None:
    long = "inet a-table-with-a-long-name a-chain-with-a-long-name"
    wide = replace(
        FIREWALL,
        gates=(
            Gate("ip", "input", (chain(0, long, "drop", 5),)),
            Gate("ip", "forward", (chain(0, long, "drop", 12), chain(5, "ip t c"))),
        ),
    )
    found = drawn(wide)
    assert max(map(len, found)) == WIDTH
    assert found[11:17] == LONG_NAMES.splitlines()


def test_a_switch_has_devices_and_bridges_alone() -> None:
    ports = tuple(
        Nic(n, "veth", "up", 1500, "", (), f"{n}:eth0", "br0", notes)
        for n, notes in (("a", ()), ("b", ("blocking", "isolated")))
    )
    switch = replace(
        HOST, node="sw", kind="switch", uses_ip=False, tables=(),
        nics=(Nic("br0", "bridge", "up", 1500, ""), *ports),
        bridges=(Bridge("br0", ("a", "b"), True, False, 3),),
        gates=(Gate("bridge", "forward", (chain(-200, "bridge filter forward", rules=4),)),),
    )  # fmt: skip
    assert drawn(switch) == picture("""
        lab: sw  switch  only switches

        ┌ devices ──────────────────────────────────────────────────────────────┐
        │ br0  bridge  up  mtu 1500                                             │
        │ a    veth    up  mtu 1500  to a:eth0, port of br0                     │
        │ b    veth    up  mtu 1500  to b:eth0, port of br0, blocking, isolated │
        └───┬───────────────────────────────────────────────────────────────────┘
            ▼
        ┌ bridging ─────────────────────────────────────────────────────────────┐
        │ br0: 2 ports, spanning tree, 3 MACs known                             │
        │ forward  -200  bridge filter forward  4 rules, else accept            │
        └───┬───────────────────────────────────────────────────────────────────┘
            ▼ out by a, b
    """)


def test_what_is_missing_is_said_below_it() -> None:
    assert drawn(replace(HOST, gaps=("gw.nft:3: delete rule, not followed",)))[-1] == (
        "not shown: gw.nft:3: delete rule, not followed"
    )


def test_long_lists_end_with_how_many_more() -> None:
    many = tuple(replace(NEAR, to=f"10.0.{n}.0/24") for n in range(30))
    waiting = tuple(Socket("tcp", "*", n, "") for n in range(20))
    found = drawn(replace(HOST, tables=(Table(4, "main", many),), sockets=waiting))
    assert any("… and 20 routes more" in line for line in found)
    assert any("… and 8 more" in line for line in found)


def test_of_several_ways_each_stands_below_the_other() -> None:
    way = Route("default", "unicast", (FAR, replace(FAR, via="10.0.0.8", weight=3)), 7, "", 0, "")
    null = Route("10.9.0.0/16", "blackhole", (), 0, "", 0, "")
    found = drawn(replace(HOST, tables=(Table(4, "main", (way, null)),)))
    assert [line[2:61].rstrip() for line in found[7:10]] == [
        "main    default via 10.0.0.9 dev eth0 metric 7",
        "                or via 10.0.0.8 dev eth0 weight 3",
        "        blackhole 10.9.0.0/16",
    ]


def test_a_node_that_forwards_one_version_says_so() -> None:
    found = drawn(replace(HOST, forwards=(4,), switches=ON))
    assert any("│ for others, IPv4 only" in line for line in found)
    assert found[0] == "lab: a  host  forwards IPv4"


def test_a_node_without_devices() -> None:
    assert drawn(replace(HOST, nics=()))[2:] == [
        "no devices but lo: no packet comes in or goes out"
    ]
