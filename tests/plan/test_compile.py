"""What a file stands for: whole inventories, a resource a line."""
# ruff: noqa: E501 - so that each line is one resource

from __future__ import annotations

from textwrap import dedent
from typing import Any

from netlab.plan.wiring import computed_mac
from netlab.resources import wire
from tests.plan.labs import compiled, inventory


def listed(text: str) -> list[str]:
    """``Kind field field …``: the namespace without its lab, a computed MAC as ``auto``."""
    return [_line(wire.dump(resource)) for resource in inventory(text).values()]


def _line(raw: list[Any]) -> str:
    return " ".join(_word(value, raw) for value in raw)


def _word(value: Any, raw: list[Any]) -> str:
    if isinstance(value, tuple | list):
        return "(" + " ".join(_word(v, raw) for v in value) + ")"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value).replace("\n", "⏎").replace("\t", " ") or "-"
    names = [n for n in raw if isinstance(n, str)]
    macs = {computed_mac(ns, name) for ns in names for name in names}
    return "auto" if text in macs else text.removeprefix("l.")


def expected(text: str) -> list[str]:
    return dedent(text).strip().splitlines()


def test_each_node_kind_brings_its_own() -> None:
    """h ── sw ── r, h ── r"""
    text = """
    nodes:
      h: {interfaces: {lo: {addresses: [192.0.2.1/32, "2001:db8::1/128"]}}}
      r: {kind: router, sysctls: {net/ipv4/ip_forward: 0}, interfaces: {lan: {up: false, mac: "02:00:00:00:00:01"}}}
      sw: {kind: switch, stp: true, ageing: 10, priority: 4096, interfaces: {br0: {addresses: ["fd00:99::1/64"]}, h: {bridge_port: {cost: 5, isolated: true}}}}
    links:
      - [h, "sw:h"]
      - ["r:lan", sw]
      - {endpoints: [h, "r:p2p"], mtu: 9000}
    """
    assert listed(text) == expected("""
        Namespace h ()
        Namespace r ()
        Namespace sw ((net.ipv6.conf.default.disable_ipv6 1))
        Hosts l 127.0.0.1 localhost⏎::1 localhost ip6-localhost ip6-loopback⏎10.0.0.0 h⏎192.0.2.1 h⏎fd00:99::2 h⏎fd00:10:: h⏎2001:db8::1 h⏎10.0.0.1 r⏎fd00:99::3 r⏎fd00:10::1 r⏎fd00:99::1 sw⏎
        Device sw br0 bridge auto 0 true ((stp_state true) (ageing_time 10) (priority 4096))
        Veth h eth0 sw h auto auto 1500 1500 true true
        Veth r lan sw r 02:00:00:00:00:01 auto 1500 1500 false true
        Veth h eth1 r p2p auto auto 9000 9000 true true
        Port sw h br0 ((cost 5) (isolated true))
        Port sw r br0 ()
        Sysctl r net.ipv6.conf.all.forwarding 1 - -
        Sysctl r net.ipv4.ip_forward 0 - -
        Sysctl sw net.ipv6.conf.br0.disable_ipv6 0 br0 1
        Address h eth0 fd00:99::2/64
        Address h eth1 10.0.0.0/31
        Address h eth1 fd00:10::/127
        Address h lo 192.0.2.1/32
        Address h lo 2001:db8::1/128
        Address r lan fd00:99::3/64
        Address r p2p 10.0.0.1/31
        Address r p2p fd00:10::1/127
        Address sw br0 fd00:99::1/64
    """)


def test_devices_their_options_and_what_is_written_on_them() -> None:
    """a ── b"""
    text = """
    addressing: none
    nodes:
      a:
        interfaces:
          vx: {kind: vxlan, id: 7, local: 10.0.0.1, port: 8472, learning: false, mtu: 1450, fdb: [{remote: 10.0.0.2}, {mac: "02:00:00:00:00:05", remote: 10.0.0.3}]}
          br0: {kind: bridge, ports: [vx, tap0], forward_delay: 4, mcast_snooping: false, addresses: [10.9.0.1/24]}
          tap0: {kind: tap, owner: 5, group: 6, offload: {tso: off}, bridge_port: {hairpin: true}}
          tun0: {kind: tun, multi_queue: true, mtu: 1400, addresses: [10.8.0.1/24], sysctls: {rp_filter: 2, ipv6.accept_ra: 0, neigh.proxy_delay: 0}}
          eth0.7: {offload: {gro: on}, sysctls: {proxy_arp: true}}
      b:
    links: [["a:eth0.7 10.0.0.1/24", b]]
    """
    assert listed(text) == expected("""
        Namespace a ()
        Namespace b ()
        Hosts l 127.0.0.1 localhost⏎::1 localhost ip6-localhost ip6-loopback⏎10.0.0.1 a⏎10.9.0.1 a⏎10.8.0.1 a⏎10.0.0.2 b⏎
        Device a vx vxlan auto 1450 true ((id 7) (dstport 8472) (learning false) (local 10.0.0.1))
        Device a br0 bridge auto 0 true ((forward_delay 4) (mcast_snooping false))
        Tun a tap0 tap auto 0 true ((owner 5) (group 6))
        Tun a tun0 tun - 1400 true ((multi_queue true))
        Veth a eth0.7 b eth0 auto auto 1500 1500 true true
        Port a vx br0 ()
        Port a tap0 br0 ((hairpin true))
        ForwardingEntry a vx 00:00:00:00:00:00 10.0.0.2
        ForwardingEntry a vx 02:00:00:00:00:05 10.0.0.3
        Offload a eth0.7 gro true false
        Sysctl a net.ipv4.conf.eth0/7.proxy_arp 1 eth0.7 -
        Offload a tap0 tso false true
        Sysctl a net.ipv4.conf.tun0.rp_filter 2 tun0 -
        Sysctl a net.ipv6.conf.tun0.accept_ra 0 tun0 -
        Sysctl a net.ipv4.neigh.tun0.proxy_delay 0 tun0 -
        Address a eth0.7 10.0.0.1/24
        Address a br0 10.9.0.1/24
        Address a tun0 10.8.0.1/24
        Address b eth0 10.0.0.2/24
    """)


def test_routes_rules_and_neighbours_of_all_sorts() -> None:
    """a ══ b"""
    text = """
    nodes:
      a:
        interfaces: {lo: {addresses: [192.0.2.1/32]}}
        routes:
          - {to: default, via: 10.0.0.2}
          - {to: default, via: "fd00::2", metric: 10}
          - {to: 10.5.0.0/16, via: [{gateway: 10.0.0.2, weight: 3}, {gateway: 10.0.1.2}, {dev: eth1}]}
          - {to: 10.6.0.0/16, type: blackhole}
          - {to: "fd06::/64", type: unreachable, table: 7}
          - {to: 10.7.0.0/16, type: prohibit, metric: 9}
          - {to: 10.8.0.0/16, type: throw, table: 7}
          - {to: 10.9.0.0/16, dev: eth1, source: 192.0.2.1}
          - {to: 10.10.0.0/16, via: 10.9.1.1}
          - {to: 10.11.0.0/16, via: 172.16.0.1, dev: eth0, onlink: true}
          - {to: 10.12.0.0/16, via: "fe80::1", dev: eth0}
        rules:
          - {from: 10.0.0.0/24, table: 7, priority: 100}
          - {fwmark: "0x1/0xff", iif: eth0, type: blackhole, priority: 101}
          - {to: "fd06::/64", ipproto: tcp, dport: 80, table: 7, priority: 102}
          - {from: all, family: 6, table: 7, suppress_prefixlength: 0, priority: 103}
        neighbours:
          - {to: 10.0.0.9, mac: "02:00:00:00:00:09", dev: eth0}
          - {to: "fd00::9", dev: eth0, proxy: true}
      b:
    links:
      - ["a:eth0 10.0.0.1/24 fd00::1/64", "b:eth0 10.0.0.2/24 fd00::2/64"]
      - ["a:eth1 10.0.1.1/24", "b:eth1 10.0.1.2/24"]
    """
    assert listed(text) == expected("""
        Namespace a ()
        Namespace b ()
        Hosts l 127.0.0.1 localhost⏎::1 localhost ip6-localhost ip6-loopback⏎10.0.0.1 a⏎10.0.1.1 a⏎192.0.2.1 a⏎fd00::1 a⏎10.0.0.2 b⏎10.0.1.2 b⏎fd00::2 b⏎
        Veth a eth0 b eth0 auto auto 1500 1500 true true
        Veth a eth1 b eth1 auto auto 1500 1500 true true
        Address a eth0 10.0.0.1/24
        Address a eth0 fd00::1/64
        Address a eth1 10.0.1.1/24
        Address a lo 192.0.2.1/32
        Neighbour a eth0 10.0.0.9 02:00:00:00:00:09 false
        Neighbour a eth0 fd00::9 - true
        Address b eth0 10.0.0.2/24
        Address b eth0 fd00::2/64
        Address b eth1 10.0.1.2/24
        Route a 10.6.0.0/16 () blackhole 254 0 - ()
        Route a fd06::/64 () unreachable 7 0 - ()
        Route a 10.7.0.0/16 () prohibit 254 9 - ()
        Route a 10.8.0.0/16 () throw 7 0 - ()
        Route a 10.9.0.0/16 ((- eth1 1 false)) unicast 254 0 192.0.2.1 ((address a eth1 10.0.1.1/24) (address a lo 192.0.2.1/32))
        Route a 0.0.0.0/0 ((10.0.0.2 eth0 1 false)) unicast 254 0 - ((address a eth0 10.0.0.1/24))
        Route a ::/0 ((fd00::2 eth0 1 false)) unicast 254 10 - ((address a eth0 fd00::1/64))
        Route a 10.5.0.0/16 ((10.0.0.2 eth0 3 false) (10.0.1.2 eth1 1 false) (- eth1 1 false)) unicast 254 0 - ((address a eth0 10.0.0.1/24) (address a eth1 10.0.1.1/24))
        Route a 10.10.0.0/16 ((10.9.1.1 eth1 1 false)) unicast 254 0 - ((address a eth1 10.0.1.1/24) (route a 254 10.9.0.0/16 0))
        Route a 10.11.0.0/16 ((172.16.0.1 eth0 1 true)) unicast 254 0 - ((address a eth0 10.0.0.1/24))
        Route a 10.12.0.0/16 ((fe80::1 eth0 1 false)) unicast 254 0 - ((address a eth0 10.0.0.1/24))
        Rule a 4 ((from 10.0.0.0/24) (table 7) (type lookup) (priority 100))
        Rule a 4 ((iif eth0) (fwmark 0x1/0xff) (type blackhole) (priority 101))
        Rule a 6 ((iif eth0) (fwmark 0x1/0xff) (type blackhole) (priority 101))
        Rule a 6 ((to fd06::/64) (ipproto tcp) (dport 80) (table 7) (type lookup) (priority 102))
        Rule a 6 ((table 7) (type lookup) (priority 103) (suppress_prefixlength 0))
    """)


def test_defaults_and_groups_are_merged_and_files_and_commands_kept() -> None:
    """a ══ b"""
    text = """
    defaults: {node: {env: {A: "1", B: "1"}, sysctls: {net.ipv4.tcp_syncookies: 0}}, link: {mtu: 1400}}
    groups: {g: {kind: router, env: {B: "2"}, exec: [date]}}
    nodes:
      a: {group: g, env: {C: "3"}, resolv_conf: {nameservers: [10.0.0.2], search: [lab], options: ["ndots:1"]}}
      b: {hosts: false, files: {/etc/motd: "hi\\n", /usr/x: {text: "", mode: 0o755}}, exec: ["true", "true"]}
    links: [[a, b], {endpoints: [a, b], mtu: 1500}]
    """
    assert listed(text) == expected("""
        Namespace a ()
        Namespace b ()
        Hosts l 127.0.0.1 localhost⏎::1 localhost ip6-localhost ip6-loopback⏎10.0.0.0 a⏎10.0.0.2 a⏎fd00:10:: a⏎fd00:10::2 a⏎10.0.0.1 b⏎10.0.0.3 b⏎fd00:10::1 b⏎fd00:10::3 b⏎
        Veth a eth0 b eth0 auto auto 1400 1400 true true
        Veth a eth1 b eth1 auto auto 1500 1500 true true
        Sysctl a net.ipv4.ip_forward 1 - -
        Sysctl a net.ipv6.conf.all.forwarding 1 - -
        Sysctl a net.ipv4.tcp_syncookies 0 - -
        Sysctl b net.ipv4.tcp_syncookies 0 - -
        Address a eth0 10.0.0.0/31
        Address a eth0 fd00:10::/127
        Address a eth1 10.0.0.2/31
        Address a eth1 fd00:10::2/127
        Address b eth0 10.0.0.1/31
        Address b eth0 fd00:10::1/127
        Address b eth1 10.0.0.3/31
        Address b eth1 fd00:10::3/127
        Entry a true nameserver 10.0.0.2⏎search lab⏎options ndots:1⏎ ((A 1) (B 2) (C 3)) ()
        Entry b false - ((A 1) (B 1)) ((/etc/motd hi⏎ 420) (/usr/x - 493))
        Command a 0 date
        Command b 0 true
        Command b 1 true
    """)


def test_static_routing_leads_everywhere_by_the_shortest_ways_in_both_families() -> None:
    """h ── r1 ── r2 ── r4, r1 ── r3 ── r4"""
    text = """
    routing: static
    nodes:
      h:
      r1: {kind: router}
      r2: {kind: router, routes: [{to: 192.0.2.0/24, type: blackhole}]}
      r3: {kind: router}
      r4: {kind: router, interfaces: {lo: {addresses: [192.0.2.4/32]}}}
    links: [[r1, r2], [r2, r4], [r1, r3], [r3, r4], ["h:eth0 192.168.0.2/24 fd01::2/64", "r1:lan 192.168.0.1/24 fd01::1/64"]]
    """
    assert listed(text) == expected("""
        Namespace h ()
        Namespace r1 ()
        Namespace r2 ()
        Namespace r3 ()
        Namespace r4 ()
        Hosts l 127.0.0.1 localhost⏎::1 localhost ip6-localhost ip6-loopback⏎192.168.0.2 h⏎fd01::2 h⏎10.0.0.0 r1⏎10.0.0.4 r1⏎192.168.0.1 r1⏎fd00:10:: r1⏎fd00:10::4 r1⏎fd01::1 r1⏎10.0.0.1 r2⏎10.0.0.2 r2⏎fd00:10::1 r2⏎fd00:10::2 r2⏎10.0.0.5 r3⏎10.0.0.6 r3⏎fd00:10::5 r3⏎fd00:10::6 r3⏎10.0.0.3 r4⏎10.0.0.7 r4⏎192.0.2.4 r4⏎fd00:10::3 r4⏎fd00:10::7 r4⏎
        Veth r1 eth0 r2 eth0 auto auto 1500 1500 true true
        Veth r2 eth1 r4 eth0 auto auto 1500 1500 true true
        Veth r1 eth1 r3 eth0 auto auto 1500 1500 true true
        Veth r3 eth1 r4 eth1 auto auto 1500 1500 true true
        Veth h eth0 r1 lan auto auto 1500 1500 true true
        Sysctl r1 net.ipv4.ip_forward 1 - -
        Sysctl r1 net.ipv6.conf.all.forwarding 1 - -
        Sysctl r2 net.ipv4.ip_forward 1 - -
        Sysctl r2 net.ipv6.conf.all.forwarding 1 - -
        Sysctl r3 net.ipv4.ip_forward 1 - -
        Sysctl r3 net.ipv6.conf.all.forwarding 1 - -
        Sysctl r4 net.ipv4.ip_forward 1 - -
        Sysctl r4 net.ipv6.conf.all.forwarding 1 - -
        Address h eth0 192.168.0.2/24
        Address h eth0 fd01::2/64
        Address r1 eth0 10.0.0.0/31
        Address r1 eth0 fd00:10::/127
        Address r1 eth1 10.0.0.4/31
        Address r1 eth1 fd00:10::4/127
        Address r1 lan 192.168.0.1/24
        Address r1 lan fd01::1/64
        Address r2 eth0 10.0.0.1/31
        Address r2 eth0 fd00:10::1/127
        Address r2 eth1 10.0.0.2/31
        Address r2 eth1 fd00:10::2/127
        Address r3 eth0 10.0.0.5/31
        Address r3 eth0 fd00:10::5/127
        Address r3 eth1 10.0.0.6/31
        Address r3 eth1 fd00:10::6/127
        Address r4 eth0 10.0.0.3/31
        Address r4 eth0 fd00:10::3/127
        Address r4 eth1 10.0.0.7/31
        Address r4 eth1 fd00:10::7/127
        Address r4 lo 192.0.2.4/32
        Route r2 192.0.2.0/24 () blackhole 254 0 - ()
        Routing r1 4 ((((10.0.0.1 eth0 1 false)) (10.0.0.2/31)) (((10.0.0.5 eth1 1 false)) (10.0.0.6/31)) (((10.0.0.1 eth0 1 false) (10.0.0.5 eth1 1 false)) (192.0.2.4/32))) ((address r1 eth0 10.0.0.0/31) (address r1 eth1 10.0.0.4/31))
        Routing r2 4 ((((10.0.0.0 eth0 1 false)) (10.0.0.4/31 192.168.0.0/24)) (((10.0.0.3 eth1 1 false)) (10.0.0.6/31 192.0.2.4/32))) ((address r2 eth0 10.0.0.1/31) (address r2 eth1 10.0.0.2/31))
        Routing r4 4 ((((10.0.0.2 eth0 1 false)) (10.0.0.0/31)) (((10.0.0.6 eth1 1 false)) (10.0.0.4/31)) (((10.0.0.2 eth0 1 false) (10.0.0.6 eth1 1 false)) (192.168.0.0/24))) ((address r4 eth0 10.0.0.3/31) (address r4 eth1 10.0.0.7/31))
        Routing r3 4 ((((10.0.0.4 eth0 1 false)) (10.0.0.0/31 192.168.0.0/24)) (((10.0.0.7 eth1 1 false)) (10.0.0.2/31 192.0.2.4/32))) ((address r3 eth0 10.0.0.5/31) (address r3 eth1 10.0.0.6/31))
        Routing h 4 ((((192.168.0.1 eth0 1 false)) (0.0.0.0/0))) ((address h eth0 192.168.0.2/24))
        Routing r1 6 ((((fd00:10::1 eth0 1 false)) (fd00:10::2/127)) (((fd00:10::5 eth1 1 false)) (fd00:10::6/127))) ((address r1 eth0 fd00:10::/127) (address r1 eth1 fd00:10::4/127))
        Routing r2 6 ((((fd00:10:: eth0 1 false)) (fd00:10::4/127 fd01::/64)) (((fd00:10::3 eth1 1 false)) (fd00:10::6/127))) ((address r2 eth0 fd00:10::1/127) (address r2 eth1 fd00:10::2/127))
        Routing r4 6 ((((fd00:10::2 eth0 1 false)) (fd00:10::/127)) (((fd00:10::6 eth1 1 false)) (fd00:10::4/127)) (((fd00:10::2 eth0 1 false) (fd00:10::6 eth1 1 false)) (fd01::/64))) ((address r4 eth0 fd00:10::3/127) (address r4 eth1 fd00:10::7/127))
        Routing r3 6 ((((fd00:10::4 eth0 1 false)) (fd00:10::/127 fd01::/64)) (((fd00:10::7 eth1 1 false)) (fd00:10::2/127))) ((address r3 eth0 fd00:10::5/127) (address r3 eth1 fd00:10::6/127))
        Routing h 6 ((((fd01::1 eth0 1 false)) (::/0))) ((address h eth0 fd01::2/64))
    """)


def test_each_resource_has_its_place_in_the_file() -> None:
    text = """
        nodes:
          a: {routes: [{to: 10.5.0.0/16, via: 10.0.0.2}], exec: [date]}
          b: {kind: router, sysctls: {net.ipv4.ip_forward: 0}}
        links: [["a:eth0 10.0.0.1/24", "b:eth0 10.0.0.2/24"]]
    """
    assert {key[0]: path for key, path in compiled(text).origins.items() if "l.a" in key} == {
        "namespace": ("nodes", "a"),
        "address": ("links", 0, "endpoints", 0, "addresses", 0),
        "route": ("nodes", "a", "routes", 0),
        "exec": ("nodes", "a", "exec", 0),
        "link": ("links", 0),
    }


def test_the_same_file_compiles_to_the_same_thing() -> None:
    text = "nodes: {a: , b: }\nlinks: [[a, b]]"
    assert inventory(text) == inventory(text + "\n")
    assert [wire.dump(r) for r in inventory(text).values()] == [
        wire.dump(r) for r in inventory(text + "\n").values()
    ]


def test_what_has_no_ipv6_gets_no_automatic_ipv6_address() -> None:
    """a ── b, thrice: too small an mtu, switched off on one interface, on the whole node"""
    text = """
        nodes:
          a: {interfaces: {eth1: {sysctls: {ipv6.disable_ipv6: 1}}}}
          b: {sysctls: {net/ipv6/conf/all/disable_ipv6: 1}}
        links: [{endpoints: [a, b], mtu: 1000}, ["a:eth1", b], ["a:eth2", b]]
    """
    assert [line for line in listed(text) if line.startswith("Address") and ":" in line] == [
        "Address a eth2 fd00:10::4/127"
    ]


def test_hosts_names_no_address_that_means_another_thing_elsewhere() -> None:
    text = """
        nodes: {a: {interfaces: {lo: {addresses: [127.0.0.53/8, 192.0.2.1/32]}}}, b: }
        links: [["a:eth0 fe80::1/64 fd00::1/64", "b:eth0 fe80::2/64"]]
    """
    hosts = inventory(text)["hosts", "l"]
    assert str(vars(hosts)["text"]).splitlines()[2:] == ["192.0.2.1\ta", "fd00::1\ta"]
