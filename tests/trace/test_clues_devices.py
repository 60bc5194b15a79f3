"""What is said of devices, bridges' ports, tunnels and headers, and when nothing is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netlab.trace.clues_devices import (
    disabled_ipv6,
    filters_loosely,
    for_many,
    has_queue,
    holder_answers_no_arp,
    holder_ignores_arp,
    kept_from_flood,
    leads_nowhere,
    other_network,
    port_locked,
    same_mac,
    stopped_by_xdp,
    to_all_of_a_segment,
)
from netlab.trace.evidence import Evidence
from netlab.trace.facts import AddressFact, Facts, FdbFact, LinkFact
from netlab.trace.model import Dropped, Packet, Probe, Route, Rx
from netlab.trace.terrain import Device, Spot, Terrain
from netlab.trace.why import explain

MAC = "02:00:00:00:00:02"
PROBE = Probe("cli", "srv", "udp", "10.0.0.1", "10.0.0.2", 53, 40000, cookie=7, result="no answer")
PACKET = Packet("udp", "10.0.0.1", "10.0.0.2", 40000, 53, source_mac="02:00:00:00:00:01",
                destination_mac=MAC)  # fmt: skip
ETH0 = LinkFact("eth0", "veth", True, True, 1500, MAC)
VX = LinkFact("vx", "vxlan", True, True, 1450, vni=7)


def port(name: str) -> LinkFact:
    return LinkFact(name, "veth", True, True, 1500, master="br0")


def host(name: str, address: str, mac: str) -> Spot:
    device = Device("eth0", "veth", mac, addresses=(address,), peer=("sw", name))
    return Spot(name, "host", f"lab.{name}", (device,))


TERRAIN = Terrain("lab", "lab.yaml", {
    "cli": host("cli", "10.0.0.1/24", "02:00:00:00:00:01"),
    "srv": host("srv", "10.0.0.2/24", MAC),
    "sw": Spot("sw", "switch", "lab.sw", tuple(
        Device(name, "veth", peer=(name, "eth0"), bridge="br0") for name in ("cli", "srv"))),
})  # fmt: skip
"""cli ── sw ── srv"""

SWITCH = Facts("sw", {name: port(name) for name in ("cli", "srv")})
SRV = Facts("srv", {"eth0": ETH0}, (AddressFact("eth0", "10.0.0.2", 24),))
ASKING = Evidence(
    PROBE, TERRAIN, "forward", "cli", Facts("cli", {"eth0": ETH0}), stage="postrouting",
    device="eth0", packet=PACKET, route=Route("10.0.0.2", "10.0.0.0/24", "unicast", "", "eth0"),
    all_facts={"sw": SWITCH, "srv": SRV},
)  # fmt: skip
"""cli wants to know who has 10.0.0.2."""
SWITCHED = Evidence(
    PROBE, TERRAIN, "forward", "sw", SWITCH, stage="bridge prerouting", device="cli", packet=PACKET
)
"""The frame has come into the switch."""
ARRIVED = replace(
    ASKING, node="srv", facts=SRV, stage="rx", steps=(Rx("eth0", PACKET),), route=None
)


def switch(**ports: LinkFact) -> Facts:
    return replace(SWITCH, links={**SWITCH.links, **ports})


@pytest.mark.parametrize(
    ("name", "kinds", "says"),
    [
        ("srv", ("broadcast",), "srv of sw is flooded with no broadcast frames"),
        ("srv", ("unicast", "multicast"), ""),
        ("cli", ("broadcast",), ""),
    ],
)
def test_who_has_an_address_is_asked_by_broadcast(
    name: str, kinds: tuple[str, ...], says: str
) -> None:
    """Only the port that the question would have to leave by counts."""
    held = switch(**{name: replace(port(name), unflooded=kinds)})
    assert kept_from_flood(replace(ASKING, all_facts={"sw": held, "srv": SRV})) == says


def test_a_known_mac_is_not_flooded() -> None:
    held = switch(srv=replace(port("srv"), unflooded=("unicast",)))
    assert kept_from_flood(replace(SWITCHED, facts=held))
    known = replace(held, fdb=(FdbFact(MAC, "srv", "br0"),))
    assert not kept_from_flood(replace(SWITCHED, facts=known))


def test_a_locked_port_takes_what_is_known_there() -> None:
    held = switch(cli=replace(port("cli"), locked=True))
    assert port_locked(replace(SWITCHED, facts=held)) == "cli of sw is locked"
    for device, locked in (("cli", False), ("srv", True)):
        known = replace(held, fdb=(FdbFact(PACKET.source_mac, device, "br0"),))
        assert bool(port_locked(replace(SWITCHED, facts=known))) is locked


def test_who_should_answer_is_found_by_the_topology_or_by_its_addresses() -> None:
    for address in ("10.0.0.2", "10.0.0.77"):
        silent = replace(
            SRV,
            links={"eth0": replace(ETH0, arp=False)},
            addresses=(AddressFact("lo", address, 32),),
            sysctls={"net.ipv4.conf.eth0.arp_ignore": "8"},
        )
        route = Route(address, "10.0.0.0/24", "unicast", "", "eth0")
        asking = replace(ASKING, route=route, all_facts={"sw": SWITCH, "srv": silent})
        assert holder_answers_no_arp(asking) == "eth0 of srv has ARP switched off (NOARP)"
        assert holder_ignores_arp(asking) == "arp_ignore of eth0 of srv is 8"
    assert not holder_answers_no_arp(ASKING)
    assert not holder_ignores_arp(ASKING)


def test_a_device_that_is_down_has_no_queue_that_is_full() -> None:
    full = replace(ASKING, freed=Dropped("", "QDISC_DROP", "__dev_queue_xmit+0x1"))
    _, cause = explain(full)
    assert cause is not None
    assert cause.name == "queue-full"
    down = replace(full, facts=Facts("cli", {"eth0": replace(ETH0, carrier=False)}))
    assert not has_queue(down)


@pytest.mark.parametrize(
    ("address", "length", "is_all"),
    [
        ("10.0.0.1", 24, False),
        ("10.0.0.255", 24, True),
        ("10.0.0.3", 30, True),
        ("10.0.0.1", 31, False),
        ("10.0.0.2", 32, False),
    ],
)
def test_the_last_address_of_a_segment_means_all(address: str, length: int, is_all: bool) -> None:
    held = replace(SRV, addresses=(AddressFact("eth0", "10.0.0.1", length),))
    packet = replace(PACKET, destination=address)
    assert bool(to_all_of_a_segment(replace(ARRIVED, facts=held, packet=packet))) is is_all


def test_ipv6_switched_off_says_nothing_of_ipv4() -> None:
    off = replace(SRV, sysctls={"net.ipv6.conf.eth0.disable_ipv6": "1"})
    assert not disabled_ipv6(replace(ARRIVED, facts=off))
    sixth = replace(PACKET, source="fd00::1", destination="fd00::2")
    assert disabled_ipv6(replace(ARRIVED, facts=off, packet=sixth))


@pytest.mark.parametrize(
    ("everywhere", "there", "loosely"),
    [("0", "2", True), ("2", "0", True), ("1", "0", False), ("0", "0", False), ("1", "2", True)],
)
def test_the_larger_of_two_filters_holds(everywhere: str, there: str, loosely: bool) -> None:
    """See Documentation/networking/ip-sysctl.rst, rp_filter."""
    paths = ("net.ipv4.conf.all.rp_filter", "net.ipv4.conf.eth0.rp_filter")
    held = replace(SRV, sysctls=dict(zip(paths, (everywhere, there), strict=True)))
    assert bool(filters_loosely(replace(ARRIVED, facts=held))) is loosely


def test_a_frame_for_many_is_usual_for_a_group() -> None:
    shared = replace(ARRIVED, steps=(Rx("eth0", PACKET, "multicast"),))
    assert for_many(shared)
    assert not for_many(ARRIVED)
    group = replace(PACKET, destination="239.1.2.3")
    assert not for_many(replace(shared, packet=group))


def test_two_nodes_have_one_mac() -> None:
    twin = Facts("twin", {"eth0": ETH0})
    assert same_mac(replace(ARRIVED, all_facts={"srv": SRV, "twin": twin})) == (
        f"eth0 of srv and eth0 of twin both are {MAC}"
    )
    assert not same_mac(replace(ARRIVED, all_facts={"srv": SRV}))
    without = Facts("srv", {"eth0": replace(ETH0, mac="")})
    other = Facts("twin", {"tun0": replace(ETH0, name="tun0", mac="")})
    assert not same_mac(replace(ARRIVED, facts=without, all_facts={"twin": other}))


def test_a_program_at_the_device_is_no_reason_for_what_went_on() -> None:
    guarded = replace(SRV, links={"eth0": replace(ETH0, xdp="native")})
    left = replace(ASKING, stage="tx", beyond=guarded, beyond_device="eth0")
    assert stopped_by_xdp(left)
    assert not stopped_by_xdp(replace(left, stage="postrouting"))
    assert not stopped_by_xdp(replace(left, beyond=SRV))
    assert not stopped_by_xdp(replace(ARRIVED, facts=guarded))
    freed = Dropped("", "NOT_SPECIFIED", "veth_xdp_rcv_skb+0x27d/0x590")
    assert stopped_by_xdp(replace(ARRIVED, facts=guarded, freed=freed))


def test_tunnels_of_two_networks_have_nothing_to_say_to_each_other() -> None:
    here = Facts("cli", {"vx": replace(VX, remote="10.0.0.2")})
    route = Route("10.9.0.2", "10.9.0.0/24", "unicast", "", "vx")
    asking = replace(ASKING, facts=here, route=route, device="vx")
    for number, says in ((8, "vx of cli is of network 7, and srv has 8"), (7, "")):
        there = replace(SRV, links={"vx": replace(VX, vni=number)})
        assert other_network(replace(asking, all_facts={"srv": there})) == says
    assert not other_network(replace(asking, all_facts={"srv": SRV}))


def test_a_tunnel_without_remote_may_have_learned_of_one() -> None:
    route = Route("10.9.0.2", "10.9.0.0/24", "unicast", "", "vx")
    here = Facts("cli", {"vx": VX})
    asking = replace(ASKING, facts=here, route=route, device="vx")
    assert leads_nowhere(asking) == "vx of cli has no remote end and knows of none"
    for mac in (MAC, "00:00:00:00:00:00"):
        learned = replace(here, fdb=(FdbFact(mac, "vx", remote="10.0.0.2"),))
        assert not leads_nowhere(replace(asking, facts=learned))
    other = replace(here, links={"vx": replace(VX, remote="10.0.0.2")})
    assert not leads_nowhere(replace(asking, facts=other))
