"""What only shows when the blanks are filled in: each finding with its place and its way out."""
# ruff: noqa: E501 - a line of a topology is one line, and so is a sentence

from __future__ import annotations

from textwrap import dedent

import pytest

from netlab.errors import TopologyError
from tests.plan.labs import read_text


def findings(text: str) -> list[str]:
    """``line:column  path: message; hint``"""
    try:
        read_text(text)
    except TopologyError as problems:
        return [sentence.removeprefix(f"{problems.file}:") for sentence in problems.sentences()]
    return []


CABLE = 'links: [["a:eth0 10.0.0.1/24 fd00::1/64", "b:eth0 10.0.0.2/24 fd00::2/64"]]'


def with_a(settings: str) -> str:
    """a ── b, and what a has besides, on line 2"""
    return f"nodes:\n  a: {{{settings}}}\n  b:\n{CABLE}\n"


OF_A_NODE: dict[str, list[str]] = {
    # routes
    "routes: [{to: default, via: 10.0.9.1}]": [
        "2:35  nodes.a.routes[0].via: 10.0.9.1 is on no link of a (its links: 10.0.0.0/24)",
    ],
    "routes: [{to: default, via: 10.0.9.1, dev: eth0}]": [
        "2:35  nodes.a.routes[0].via: 10.0.9.1 is not on eth0 (its links: 10.0.0.0/24)",
    ],
    "routes: [{to: default, via: 10.0.9.1, dev: eth0, onlink: true}]": [],
    "routes: [{to: 10.0.9.1/32, dev: eth0}, {to: default, via: 10.0.9.1}]": [],
    "routes: [{to: 10.5.0.0/16, via: [{dev: eth0}, {gateway: 10.0.0.2}]}, {to: 10.6.0.0/16, dev: eth0}]": [],
    "routes: [{to: default, via: 10.0.0.1}]": [
        "2:35  nodes.a.routes[0].via: 10.0.0.1 is an address of a itself",
    ],
    "routes: [{to: default, via: 10.0.0.255}]": [
        "2:35  nodes.a.routes[0].via: 10.0.0.255 is the broadcast address of 10.0.0.0/24",
    ],
    "routes: [{to: default, via: 10.0.0.0}]": [
        "2:35  nodes.a.routes[0].via: 10.0.0.0 is the address of the subnet 10.0.0.0/24 itself",
    ],
    'routes: [{to: default, via: "fe80::1"}]': [
        "2:35  nodes.a.routes[0].via: fe80::1 is link-local: `dev` must say on which link",
    ],
    'routes: [{to: "fd05::/64", via: "fe80::1", dev: eth0}]': [],
    'routes: [{to: "fd05::/64", via: 10.0.0.2}]': [
        "2:39  nodes.a.routes[0].via: an IPv6 route cannot lead over the IPv4 gateway 10.0.0.2",
    ],
    'routes: [{to: default, via: [{gateway: 10.0.0.2}, {gateway: "fd00::2"}]}]': [
        "2:35  nodes.a.routes[0].via: all ways must be of one address family",
    ],
    "routes: [{to: 10.5.0.0/16, via: [{gateway: 10.0.0.2}, {gateway: 10.1.0.2}]}]": [
        "2:71  nodes.a.routes[0].via[1].gateway: 10.1.0.2 is on no link of a (its links: 10.0.0.0/24)",
    ],
    "routes: [{to: 10.5.0.0/16, via: []}]": [
        "2:39  nodes.a.routes[0].via: an empty list of ways leads nowhere",
    ],
    "routes: [{to: 10.5.0.0/16}]": [
        "2:16  nodes.a.routes[0]: a route needs `via`, `dev` or a `type` as blackhole",
    ],
    "routes: [{to: 10.5.0.0/16, type: blackhole, dev: eth0}]": [
        "2:16  nodes.a.routes[0]: a route of type blackhole leads nowhere: no `via` and no `dev`",
    ],
    "routes: [{to: 10.5.0.0/16, via: 10.0.0.2, onlink: true}]": [
        "2:57  nodes.a.routes[0].onlink: `onlink` needs `dev`",
    ],
    "routes: [{to: 10.5.0.0/16, via: [{dev: eth0}], dev: eth0}]": [
        "2:59  nodes.a.routes[0].dev: with several ways, each has its own `dev`",
    ],
    "routes: [{to: 10.5.0.0/16, via: 10.0.0.2}, {to: 10.5.0.0/16, dev: eth0}]": [
        "2:50  nodes.a.routes[1]: route 10.5.0.0/16 dev eth0 is here twice; the other is nodes.a.routes[0]",
    ],
    "routes: [{to: 10.5.0.0/16, via: 10.0.0.2}, {to: 10.5.0.0/16, dev: eth0, metric: 5}]": [],
    'routes: [{to: "fd05::/64", dev: eth0}, {to: "fd05::/64", dev: eth0, metric: 1024}]': [
        "2:46  nodes.a.routes[1]: route fd05::/64 dev eth0 metric 1024 is here twice; the other is nodes.a.routes[0]",
    ],
    "routes: [{to: 10.0.0.0/24, via: 10.0.0.2}]": [
        "2:21  nodes.a.routes[0].to: 10.0.0.0/24 is there by itself, with 10.0.0.1/24 on eth0",
    ],
    "routes: [{to: 10.0.0.0/24, via: 10.0.0.2, metric: 5}]": [],
    "routes: [{to: 10.5.0.0/16, dev: eth0, source: 10.0.0.2}]": [
        "2:53  nodes.a.routes[0].source: 10.0.0.2 is no address of a",
    ],
    'routes: [{to: 10.5.0.0/16, dev: eth0, source: "fd00::1"}]': [
        "2:53  nodes.a.routes[0].source: fd00::1 is IPv6",
    ],
    "routes: [{to: 10.5.0.0/16, dev: eth1}]": [
        "2:39  nodes.a.routes[0].dev: a has no interface eth1; did you mean 'eth0'?",
    ],
    "routes: [{to: 10.5.0.0/16, via: [{dev: wan}]}]": [
        "2:46  nodes.a.routes[0].via[0].dev: a has no interface wan; its interfaces: lo, eth0",
    ],
    "interfaces: {eth0: {up: false}}, routes: [{to: 10.5.0.0/16, via: 10.0.0.2}, {to: 10.6.0.0/16, dev: eth0}]": [
        "2:72  nodes.a.routes[0].via: 10.0.0.2 is on eth0, which is switched off (`up: false`)",
        "2:106  nodes.a.routes[1].dev: eth0 is switched off: the kernel takes no route over it",
    ],
    # rules and neighbours
    "rules: [{iif: wan, table: 7, priority: 9}]": [
        "2:21  nodes.a.rules[0].iif: a has no interface wan; its interfaces: lo, eth0",
    ],
    "rules: [{iif: lo, table: 7, priority: 9}]": [],
    "rules: [{table: 7, priority: 9}, {table: 7, priority: 9}]": [
        "2:40  nodes.a.rules[1]: rule table 7 priority 9 is here twice; the other is nodes.a.rules[0]",
    ],
    "neighbours: [{to: 10.0.0.9, dev: eth9, proxy: true}]": [
        "2:40  nodes.a.neighbours[0].dev: a has no interface eth9; did you mean 'eth0'?",
    ],
    # switches
    "sysctls: {kernel.hostname: x}": [
        "2:34  nodes.a.sysctls.kernel.hostname: kernel.hostname is no switch of a network namespace; those begin with `net.`; all others are the whole machine's",
    ],
    "sysctls: {net/../kernel/hostname: x}": [
        "2:41  nodes.a.sysctls.net/../kernel/hostname: net/../kernel/hostname is no switch of a network namespace; those begin with `net.`; all others are the whole machine's",
    ],
    "sysctls: {net.ipv4.neigh.default.gc_thresh1: 1}": [
        "2:52  nodes.a.sysctls.net.ipv4.neigh.default.gc_thresh1: net.ipv4.neigh.default.gc_thresh1 is the machine's own; no other namespace has it; write `neigh.…` under the `sysctls` of an interface",
    ],
    "sysctls: {net.core.rmem_max: 1, net/ipv4/tcp_mem: 1 2 3, net.core.somaxconn: 9}": [
        "2:36  nodes.a.sysctls.net.core.rmem_max: net.core.rmem_max is the machine's own; no other namespace can set it",
        "2:57  nodes.a.sysctls.net/ipv4/tcp_mem: net/ipv4/tcp_mem is the machine's own; no other namespace can set it",
    ],
    "sysctls: {net.ipv4.conf.eth1.rp_filter: 1}": [
        "2:47  nodes.a.sysctls.net.ipv4.conf.eth1.rp_filter: a has no interface eth1; did you mean 'eth0'?",
    ],
    "sysctls: {net.ipv4.conf.all.rp_filter: 1, net/ipv4/conf/eth0/rp_filter: 1, net.ipv4.conf.lo.rp_filter: 1}": [],
    "sysctls: {net.ipv4.conf.eth0.rp_filter: 1}, interfaces: {eth0: {sysctls: {rp_filter: 2}}}": [
        "2:47  nodes.a.sysctls.net.ipv4.conf.eth0.rp_filter: sysctl net.ipv4.conf.eth0.rp_filter=1 is here twice; the other is nodes.a.interfaces.eth0.sysctls.rp_filter",
    ],
    'interfaces: {eth0: {sysctls: {"../all/forwarding": 1}}}': [
        "2:58  nodes.a.interfaces.eth0.sysctls.../all/forwarding: ../all/forwarding is no switch of an interface; as `rp_filter`, `ipv6.accept_ra` or `neigh.base_reachable_time_ms`",
    ],
    # interfaces
    "interfaces: {eth0: {mtu: 1279}}": [
        "4:10  links[0][0]: IPv6 needs an mtu of 1280 at least (fd00::1/64)",
    ],
    "interfaces: {eth0: {mtu: 1280}}": [],
    "sysctls: {net.ipv6.conf.default.disable_ipv6: 1}": [
        "4:10  links[0][0]: IPv6 is switched off on eth0 (disable_ipv6)",
    ],
    "interfaces: {eth0: {bridge_port: {cost: 5}}}": [
        "2:40  nodes.a.interfaces.eth0.bridge_port: eth0 is a port of no bridge",
    ],
    "interfaces: {lo: {mtu: 9000, mac: 02:00:00:00:00:01, up: false}}": [
        "2:30  nodes.a.interfaces.lo.mtu: lo is as the kernel makes it: no `mtu`",
        "2:41  nodes.a.interfaces.lo.mac: lo is as the kernel makes it: no `mac`",
        "2:64  nodes.a.interfaces.lo.up: lo is as the kernel makes it: no `up`",
    ],
    'interfaces: {lo: {addresses: [127.0.0.1/8, 127.0.0.53/8, "::1/128"]}}': [
        "2:37  nodes.a.interfaces.lo.addresses[0]: 127.0.0.1 is on lo by itself",
        "2:64  nodes.a.interfaces.lo.addresses[2]: ::1 is on lo by itself",
    ],
    "interfaces: {lo: {addresses: [10.0.0.1/32]}}": [
        "2:37  nodes.a.interfaces.lo.addresses[0]: 10.0.0.1 is on eth0 of a already",
    ],
    "interfaces: {t: {kind: tun, addresses: [10.5.0.0/24, 10.6.0.255/24, 127.0.0.2/8, 224.0.0.1/24, 10.7.0.0/31]}}": [
        "2:47  nodes.a.interfaces.t.addresses[0]: 10.5.0.0 is the address of the subnet 10.5.0.0/24 itself; the first one in it is 10.5.0.1/24",
        "2:60  nodes.a.interfaces.t.addresses[1]: 10.6.0.255 is the broadcast address of 10.6.0.0/24; the first one in it is 10.6.0.1/24",
        "2:75  nodes.a.interfaces.t.addresses[2]: 127.0.0.2 belongs to lo",
        "2:88  nodes.a.interfaces.t.addresses[3]: 224.0.0.1 cannot be an interface's address",
    ],
    "interfaces: {t: {kind: tun, mac: 02:00:00:00:00:01}}": [
        "2:40  nodes.a.interfaces.t.mac: a tun device carries packets, not frames: it has no MAC",
    ],
    # tunnels
    "interfaces: {v: {kind: vxlan, id: 5, remote: 239.1.1.1}, w: {kind: vxlan, id: 6, local: 239.1.1.1}}": [
        "2:52  nodes.a.interfaces.v.remote: 239.1.1.1 is a multicast group: write each tunnel end under `fdb`",
        "2:95  nodes.a.interfaces.w.local: 239.1.1.1 is a multicast group",
    ],
    'interfaces: {v: {kind: vxlan, id: 5, local: "fe80::1"}}': [
        "2:51  nodes.a.interfaces.v.local: fe80::1 is link-local: a tunnel end needs an address of wider scope",
    ],
    'interfaces: {v: {kind: vxlan, id: 5, fdb: [{remote: "fd00::2"}]}}': [
        "2:23  nodes.a.interfaces.v: with tunnel ends of IPv6, `local` or `remote` must say so",
    ],
    'interfaces: {v: {kind: vxlan, id: 5, local: "fd00::1", fdb: [{remote: "fd00::2"}]}}': [],
    "interfaces: {v: {kind: vxlan, id: 5, remote: 10.0.0.2}, w: {kind: vxlan, id: 5, learning: false}}": [
        "2:66  nodes.a.interfaces.w: vxlan id 5 on IPv4 port 4789 is v of a already",
    ],
    'interfaces: {v: {kind: vxlan, id: 5}, w: {kind: vxlan, id: 5, port: 1}, x: {kind: vxlan, id: 5, remote: "fd00::2"}}': [],
    "interfaces: {t: {kind: tap, mtu: 65522}, u: {kind: tap, mtu: 65521}, v: {kind: tun, mtu: 65535}}": [
        "2:40  nodes.a.interfaces.t.mtu: 65522 is more than 65521, the most there is",
    ],
    # bridges
    "interfaces: {br: {kind: bridge, ports: [br, lo, eth1]}}": [
        "2:47  nodes.a.interfaces.br.ports[0]: a bridge cannot be its own port",
        "2:51  nodes.a.interfaces.br.ports[1]: lo cannot be a port of a bridge",
        "2:55  nodes.a.interfaces.br.ports[2]: a has no interface eth1; did you mean 'eth0'?",
    ],
    "interfaces: {br: {kind: bridge, ports: [t, b2]}, t: {kind: tun}, b2: {kind: bridge}}": [
        "2:59  nodes.a.interfaces.t: t cannot be a port of br: a tun device carries packets, not frames",
        "2:76  nodes.a.interfaces.b2: b2 cannot be a port of br: it is a bridge itself",
    ],
    "interfaces: {br: {kind: bridge, ports: [t]}, b2: {kind: bridge, ports: [t]}, t: {kind: tap}}": [
        "2:79  nodes.a.interfaces.b2.ports[0]: t is a port of br already",
    ],
    "interfaces: {br: {kind: bridge, ports: [eth0]}}": [
        "4:10  links[0][0]: eth0 is a port of br: nobody answers to its addresses; write 10.0.0.1/24 on br",
    ],
}


@pytest.mark.parametrize("settings", OF_A_NODE)
def test_what_a_node_cannot_mean_is_told_with_its_place(settings: str) -> None:
    assert findings(with_a(settings)) == OF_A_NODE[settings]


def test_one_address_or_mac_twice_on_a_segment_is_told() -> None:
    """a ── sw ── b"""
    text = """
        nodes:
          a: {interfaces: {eth0: {mac: "02:00:00:00:00:01"}}}
          b: {interfaces: {eth0: {mac: "02:00:00:00:00:01"}}}
          sw: {kind: switch}
        links: [["a:eth0 10.0.0.1/24", sw], ["b:eth0 10.0.0.1/16", sw]]
    """
    assert findings(text) == [
        "4:32  nodes.b.interfaces.eth0.mac: MAC 02:00:00:00:00:01 is a:eth0's already",
        "6:38  links[1][0]: address 10.0.0.1 is a:eth0's already",
    ]


def test_the_same_address_on_two_segments_is_fine() -> None:
    """a ── b, c ── d"""
    text = """
        nodes: {a: , b: , c: , d: }
        links:
          - ["a:eth0 10.0.0.1/24", "b:eth0 10.0.0.2/24"]
          - ["c:eth0 10.0.0.1/24", "d:eth0 10.0.0.2/24"]
    """
    assert findings(text) == []


def test_a_subnet_or_a_pool_without_room_is_told() -> None:
    text = """
        addressing: {ipv4: 10.0.0.0/31, ipv6: none}
        nodes: {a: , b: , c: , sw: {kind: switch}}
        links: [["a:eth0 192.0.2.1/31", sw], [b, sw], [c, sw], [a, b], [b, c]]
    """
    hint = "write addresses, or choose a larger pool under addressing"
    assert findings(text) == [
        f"4:10  links[0][0]: 192.0.2.0/31 has no free address left; {hint}",
        f"4:65  links[4][0]: the IPv4 pool 10.0.0.0/31 is used up; {hint}",
    ]


def test_a_switch_has_its_addresses_on_its_bridge() -> None:
    text = """
        nodes:
          a:
          sw: {kind: switch, interfaces: {t: {kind: tun}, b: {kind: bridge}}}
        links: [["a:eth0 10.0.0.1/24", "sw:p 10.0.0.2/24"]]
    """
    assert findings(text) == [
        "4:38  nodes.sw.interfaces.t: t cannot be a port of br0: a tun device carries packets, not frames",
        "4:54  nodes.sw.interfaces.b: b cannot be a port of br0: it is a bridge itself",
        "5:32  links[0][1]: p is a port of br0: nobody answers to its addresses; write 10.0.0.2/24 on br0",
    ]
    assert findings(dedent("""
        nodes:
          a:
          sw: {kind: switch, interfaces: {br0: {addresses: [10.0.0.2/24]}}, routes: [{to: default, via: 10.0.0.1}]}
        links: [["a:eth0 10.0.0.1/24", sw]]
    """)) == []  # fmt: skip


def test_a_node_that_could_not_be_read_is_blamed_once() -> None:
    text = """
        nodes:
          a: {mtu: 5, routes: [{to: default, via: 10.9.9.9}]}
          b: {routes: [{to: default, via: 10.9.9.9}]}
        links: [["a:eth0 10.0.0.1/24", "b:eth0 10.0.0.2/24"]]
    """
    assert [line.partition(": ")[0] for line in findings(text)] == [
        "3:7  nodes.a.mtu", "4:35  nodes.b.routes[0].via",
    ]  # fmt: skip
