"""What a node holds → its network stack: what stands at which hook, in which order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netlab.firewall.parse import parse
from netlab.kernel.holding import (
    LOOPBACK,
    HeldAddress,
    HeldBridge,
    HeldForwarding,
    HeldHop,
    HeldLink,
    HeldNeighbour,
    HeldPolicy,
    HeldPort,
    HeldRoute,
    HeldTables,
    HeldVxlan,
    Holding,
    Listener,
)
from netlab.trace.explain.stack import Neighbour, Route, Socket, Stack, Stop, Way, stack_of
from netlab.trace.explain.state import NodeState
from netlab.trace.terrain import Device, Spot, Terrain

LO = HeldLink("lo", 1, type=LOOPBACK, mtu=65536)
OWN = HeldAddress("lo", "127.0.0.1", 8, 254)
LAN, WAN = HeldLink("lan", 2, "veth"), HeldLink("wan", 3, "veth")
USUAL = tuple(
    HeldPolicy(version, priority, table)
    for version in (4, 6)
    for priority, table in ((0, 255), (32766, 254), (32767, 253))[: 3 if version == 4 else 2]
)


def stack(rules: str = "", role: str = "router", **held: Any) -> Stack:
    said = {"links": (LO, LAN, WAN), "addresses": (OWN,), "policies": USUAL} | held
    tables = HeldTables(script=parse(rules, "gw.nft")) if rules else HeldTables()
    devices = tuple(Device(n, "veth", peer=("sw", f"to-{n}")) for n in ("lan", "wan"))
    terrain = Terrain("lab", "lab.yaml", {"gw": Spot("gw", role, "lab.gw", devices)})
    return stack_of(NodeState("gw", role, Holding(**said, tables=tables)), terrain)


def at(found: Stack, layer: str, hook: str) -> list[tuple[int, str]]:
    """Priorities and what is there; of chains their names."""
    gate = found.gate(layer, hook)
    return [(s.priority, s.chain or s.what) for s in gate.stops] if gate else []


def test_a_node_without_rules_has_nothing_at_its_hooks() -> None:
    assert stack().gates == ()


def test_chains_stand_by_priority_of_one_the_newest_first() -> None:
    found = stack("""
        table ip a { chain first { type filter hook forward priority 0; }; }
        table ip6 b { chain second { type filter hook forward priority 0; policy drop; }; }
        table inet c {
          chain early { type filter hook forward priority -10; ip ttl 1 drop; }
          chain lone { accept; }
        }
        table arp d { chain asked { type filter hook input priority 0; }; }
    """)
    assert at(found, "ip", "forward") == [(-10, "early"), (0, "second"), (0, "first")]
    assert at(found, "arp", "input") == [(0, "asked")]
    assert found.gates[1].stops[0] == Stop(
        -10, "chain", (4, 6), "inet", "c", "early", "filter", "accept", 1, (), "gw.nft:5"
    )


def test_a_rule_about_connections_brings_tracking_with_it() -> None:
    found = stack(
        "table ip t { chain c { type filter hook input priority 0; ct state new drop; }; }"
    )
    ends = [(-400, "defragmentation"), (-200, "tracking")]
    assert at(found, "ip", "prerouting") == at(found, "ip", "output") == ends
    assert at(found, "ip", "input") == [(0, "c"), ((1 << 31) - 1, "confirmation")]
    assert at(found, "ip", "postrouting") == [((1 << 31) - 1, "confirmation")]
    assert at(found, "ip", "forward") == []
    tracking = found.gate("ip", "prerouting")
    assert tracking and {stop.versions for stop in tracking.stops} == {(4,)}


def test_a_chain_of_nat_stands_at_nats_turn_and_answers_are_turned_back_at_all_four() -> None:
    found = stack("""
        table ip n {
          chain late { type nat hook postrouting priority 50; masquerade; }
          chain mangled { type filter hook postrouting priority 99; }
        }
    """)
    assert at(found, "ip", "postrouting")[:2] == [(99, "mangled"), (50, "late")]
    assert (-100, "nat") in at(found, "ip", "prerouting")
    assert (-100, "nat") in at(found, "ip", "output")
    assert (100, "nat") in at(found, "ip", "input")


def test_chains_of_devices_know_theirs() -> None:
    found = stack(
        'table netdev t { chain c { type filter hook ingress device "lan" priority 5; }; }'
    )
    gate = found.gate("netdev", "ingress")
    assert gate and [(s.chain, s.devices) for s in gate.stops] == [("c", ("lan",))]


def test_devices_with_their_other_ends_and_what_is_unusual() -> None:
    port = HeldPort("br", "blocking", isolated=True)
    found = stack(
        links=(
            LO, LAN._replace(up=False, carrier=False, port=port),
            WAN._replace(carrier=False),
            HeldLink("vx", 4, "vxlan", vxlan=HeldVxlan(7, 4789, "", "10.0.0.9")),
            HeldLink("br", 5, "bridge", bridge=HeldBridge(stp=True)),
        ),
        addresses=(
            OWN, HeldAddress("wan", "10.0.0.1", 24), HeldAddress("wan", "10.0.0.2", 24, 0,
            ("secondary",)), HeldAddress("wan", "fd00::1", 64, 0, ("tentative",)),
        ),
        forwarding=(
            HeldForwarding("lan", "02:00:00:00:00:01", "br"),
            HeldForwarding("lan", "02:00:00:00:00:02", "br", local=True),
        ),
    )  # fmt: skip
    lan, wan, vx, _ = found.nics
    assert (lan.state, lan.bridge, lan.notes) == ("down", "br", ("blocking", "isolated"))
    assert (wan.state, wan.peer) == ("no carrier", "sw:to-wan")
    assert wan.addresses == ("10.0.0.1/24", "10.0.0.2/24", "fd00::1/64 (tentative)")
    assert vx.notes == ("vni 7 to 10.0.0.9, udp 4789",)
    assert [(b.name, b.ports, b.stp, b.known) for b in found.bridges] == [("br", ("lan",), True, 1)]


def test_lo_is_a_device_where_it_has_more_than_everybodys() -> None:
    more = HeldAddress("lo", "10.255.0.1", 32)
    assert [nic.name for nic in stack().nics] == ["lan", "wan"]
    found = stack(addresses=(OWN, more))
    assert found.nics[0].addresses == ("127.0.0.1/8", "10.255.0.1/32")
    assert found.uses_ip


def test_a_switch_without_addresses_takes_no_part_in_ip() -> None:
    near = HeldAddress("lan", "fe80::1", 64, 253)
    assert not stack(role="switch", addresses=(OWN, near)).uses_ip
    assert stack(role="switch", addresses=(HeldAddress("lan", "10.0.0.1", 24),)).uses_ip


def test_routes_by_table_the_default_first_without_those_of_every_device() -> None:
    near, far = HeldHop(device="lan"), HeldHop("10.0.0.9", "wan", 2, dead=True)
    found = stack(routes=(
        HeldRoute("10.0.0.0/24", hops=(near,), source="10.0.0.1"),
        HeldRoute("0.0.0.0/0", hops=(far, near), metric=5, mtu=1400),
        HeldRoute("10.9.0.0/16", type="blackhole"),
        HeldRoute("10.0.0.1/32", 255, "local", hops=(near,)),
        HeldRoute("192.0.2.0/24", 100, hops=(near,)),
        HeldRoute("fe80::/64", hops=(near,)), HeldRoute("ff00::/8", type="multicast", hops=(near,)),
    ))  # fmt: skip
    assert [(t.version, t.name) for t in found.tables] == [(4, "main"), (4, "100")]
    way = Way("", "lan", 1, False)
    assert found.tables[0].routes == (
        Route("default", "unicast", (Way("10.0.0.9", "wan", 2, True), way), 5, "", 1400, ""),
        Route("10.9.0.0/16", "blackhole", (), 0, "", 0, ""),
        Route("10.0.0.0/24", "unicast", (way,), 0, "10.0.0.1", 0, ""),
    )


def test_policy_rules_are_told_where_they_are_not_as_usual() -> None:
    assert stack().rules == ()
    mine = HeldPolicy(4, 1000, 100, source="10.1.0.0/16")
    assert stack(policies=(*USUAL, mine)).rules == (
        "0: from all lookup local",
        "1000: from 10.1.0.0/16 lookup 100",
        "32766: from all lookup main",
        "32767: from all lookup default",
    )
    six = HeldPolicy(6, 1000, 100)
    assert stack(policies=(*USUAL, six)).rules == ("-6 1000: from all lookup 100",)


def test_switches_that_decide_are_told_where_they_are_not_as_usual() -> None:
    forwarding = {"net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "0"}
    plain = {"net.ipv4.ip_default_ttl": "64", "net.ipv4.icmp_echo_ignore_all": "0",
             "net.bridge.bridge-nf-call-iptables": "1"}  # fmt: skip
    on: Mapping[str, int] = {"forwarding": 1}
    nics = (LO, LAN._replace(conf4={**on, "rp_filter": 1}), WAN._replace(conf4=on))
    found = stack(links=nics, switches={**forwarding, **plain})
    assert found.forwards == (4,)
    assert found.switches == {**forwarding, "net.ipv4.conf.lan.rp_filter": "1"}
    loose = {"net.ipv4.conf.all.rp_filter": "2", "net.ipv4.icmp_echo_ignore_all": "1"}
    assert stack(links=nics, switches={**forwarding, **plain, **loose}).switches == {
        **forwarding, "net.ipv4.conf.lan.rp_filter": "2", "net.ipv4.conf.wan.rp_filter": "2",
        "net.ipv4.icmp_echo_ignore_all": "1",
    }  # fmt: skip
    deaf = (LO, LAN._replace(conf4=on), WAN._replace(conf4={"forwarding": 0}))
    assert stack(links=deaf, switches=forwarding).switches["net.ipv4.conf.wan.forwarding"] == "0"


def test_neighbours_that_somebody_wrote_and_sockets_that_wait() -> None:
    mac = "02:00:00:00:00:09"
    found = stack(
        neighbours=(
            HeldNeighbour("lan", "10.0.0.9", mac, "permanent"),
            HeldNeighbour("lan", "10.0.0.8", mac, "reachable"),
            HeldNeighbour("wan", "10.0.0.7", "", "", proxy=True),
        ),
        listeners=(
            Listener("udp", "127.0.0.1", 53), Listener("tcp", "::", 80, both=True),
            Listener("tcp", "::", 8080, "lan"),
        ),
    )  # fmt: skip
    assert found.neighbours == (
        Neighbour("10.0.0.9", "lan", mac, False), Neighbour("10.0.0.7", "wan", "", True),
    )  # fmt: skip
    assert found.sockets == (
        Socket("tcp", "*", 80, ""), Socket("tcp", "::", 8080, "lan"),
        Socket("udp", "127.0.0.1", 53, ""),
    )  # fmt: skip
