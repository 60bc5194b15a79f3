"""What the writing kernel writes, verb by verb."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest

from netlab.kernel.port import Kernel
from netlab.kernel.script import ScriptKernel
from netlab.kernel.values import NextHop, VethEnd

MAC = "02:00:00:00:00:01"
WAYS = (NextHop("10.0.0.1", weight=2), NextHop("", "eth1", onlink=True))

VERBS: list[tuple[Callable[[Kernel], object], list[str]]] = [
    (
        lambda k: k.add_veth(
            VethEnd("l.a", "eth0", MAC, 1400, True), VethEnd("l.b", "p", "", 0, False)
        ),
        [
            "ip link add name eth0 netns l.a address 02:00:00:00:00:01 mtu 1400 type veth"
            " peer name p netns l.b",
            "ip -n l.a link set dev eth0 up",
        ],
    ),
    (
        lambda k: k.add_device(
            "l.a", "br", "bridge", MAC, 0, True,
            {"stp_state": True, "forward_delay": 4, "priority": 4096, "vlan_protocol": "802.1Q"},
        ),
        [
            "ip -n l.a link add name br address 02:00:00:00:00:01 type bridge"
            " stp_state 1 forward_delay 400 priority 4096 vlan_protocol 802.1Q",
            "ip -n l.a link set dev br up",
        ],
    ),
    (
        lambda k: k.add_device(
            "l.a", "vx", "vxlan", "", 1450, False,
            {"id": 7, "remote": "10.0.0.2", "dstport": 4789, "learning": False, "external": True,
             "gbp": False, "ageing": 30},
        ),
        [
            "ip -n l.a link add name vx mtu 1450 type vxlan id 7 remote 10.0.0.2 dstport 4789"
            " nolearning external ageing 30"
        ],
    ),
    (
        lambda k: k.add_tun(
            "l.a", "t0", "tap", MAC, 1400, True, {"owner": 7, "group": 8, "multi_queue": True}
        ),
        [
            "ip -n l.a tuntap add dev t0 mode tap user 7 group 8 multi_queue",
            "ip -n l.a link set dev t0 address 02:00:00:00:00:01 mtu 1400 up",
        ],
    ),
    (
        lambda k: k.add_tun("l.a", "t0", "tun", "", 0, False, {"multi_queue": False}),
        ["ip -n l.a tuntap add dev t0 mode tun"],
    ),
    (
        lambda k: k.set_device("l.a", "br", "bridge", {"ageing_time": 10, "stp_state": False}),
        ["ip -n l.a link set dev br type bridge ageing_time 1000 stp_state 0"],
    ),
    (lambda k: k.set_mtu("l.a", "eth0", 1300), ["ip -n l.a link set dev eth0 mtu 1300"]),
    (lambda k: k.del_device("l.a", "eth0"), ["ip -n l.a link del dev eth0 2>/dev/null || :"]),
    (
        lambda k: k.set_offload("l.a", "eth0", "tso", False),
        ["ip netns exec l.a ethtool -K eth0 tso off"],
    ),
    (lambda k: k.set_master("l.a", "p", "br"), ["ip -n l.a link set dev p master br"]),
    (lambda k: k.set_master("l.a", "p", ""), ["ip -n l.a link set dev p nomaster"]),
    (
        lambda k: k.set_port("l.a", "p", {"cost": 10, "isolated": True, "learning": False}),
        ["ip -n l.a link set dev p type bridge_slave cost 10 isolated on learning off"],
    ),
    (
        lambda k: k.add_fdb("l.a", "vx", MAC, "10.0.0.2"),
        ["bridge -n l.a fdb append 02:00:00:00:00:01 dev vx dst 10.0.0.2"],
    ),
    (
        lambda k: k.del_fdb("l.a", "vx", MAC, "10.0.0.2"),
        ["bridge -n l.a fdb del 02:00:00:00:00:01 dev vx dst 10.0.0.2 2>/dev/null || :"],
    ),
    (
        lambda k: k.add_address("l.a", "eth0", "10.0.0.1/24"),
        ["ip -n l.a address add 10.0.0.1/24 dev eth0 brd +"],
    ),
    (
        lambda k: k.add_address("l.a", "eth0", "fd00::1/64"),
        ["ip -n l.a address add fd00::1/64 dev eth0 nodad"],
    ),
    (
        lambda k: k.del_address("l.a", "eth0", "10.0.0.1/24"),
        ["ip -n l.a address del 10.0.0.1/24 dev eth0 2>/dev/null || :"],
    ),
    (
        lambda k: k.add_route(
            "l.a", "0.0.0.0/0", [NextHop("10.0.0.1", "eth0", onlink=True)], "unicast", 100, 5,
            "10.0.0.9", False,
        ),
        [
            "ip -n l.a route add 0.0.0.0/0 table 100 metric 5 src 10.0.0.9 proto static"
            " via 10.0.0.1 dev eth0 onlink"
        ],
    ),
    (
        lambda k: k.add_route("l.a", "10.9.0.0/16", WAYS, "unicast", 254, 0, "", True),
        [
            "ip -n l.a route replace 10.9.0.0/16 proto static nexthop via 10.0.0.1 weight 2"
            " nexthop dev eth1 onlink weight 1"
        ],
    ),
    (
        lambda k: k.add_route(
            "l.a", "10.9.0.0/16", [NextHop("fe80::1", "eth0")], "unicast", 254, 0, "", False
        ),
        ["ip -n l.a route add 10.9.0.0/16 proto static via inet6 fe80::1 dev eth0"],
    ),
    (
        lambda k: k.add_route("l.a", "::/0", [], "blackhole", 254, 0, "", False),
        ["ip -n l.a route add blackhole ::/0 proto static"],
    ),
    (
        lambda k: k.del_route("l.a", "10.9.0.0/16", "unreachable", 100, 7),
        ["ip -n l.a route del unreachable 10.9.0.0/16 table 100 metric 7 2>/dev/null || :"],
    ),
    (
        lambda k: k.add_rule(
            "l.a", 4, {"from": "10.0.0.0/24", "table": 100, "priority": 9, "not": True, "l3": False}
        ),
        ["ip -n l.a -4 rule add not from 10.0.0.0/24 table 100 priority 9 protocol static"],
    ),
    (
        lambda k: k.del_rule("l.a", 6, {"iif": "lo", "table": 100}),
        ["ip -n l.a -6 rule del iif lo table 100 protocol static 2>/dev/null || :"],
    ),
    (
        lambda k: k.add_neighbour("l.a", "eth0", "10.0.0.2", MAC, False),
        ["ip -n l.a neighbour add 10.0.0.2 lladdr 02:00:00:00:00:01 nud permanent dev eth0"],
    ),
    (
        lambda k: k.add_neighbour("l.a", "eth0", "10.0.0.2", "", True),
        ["ip -n l.a neighbour add proxy 10.0.0.2 dev eth0"],
    ),
    (
        lambda k: k.del_neighbour("l.a", "eth0", "10.0.0.2", False),
        ["ip -n l.a neighbour del 10.0.0.2 dev eth0 2>/dev/null || :"],
    ),
    (
        lambda k: k.set_sysctl("l.a", "net.ipv4.tcp_rmem", "4096 8192 16384"),
        [
            """ip netns exec l.a sh -c 'echo '"'"'4096 8192 16384'"'"'"""
            " > /proc/sys/net/ipv4/tcp_rmem'"
        ],
    ),
    (
        lambda k: k.set_sysctl("l.a", "net.ipv4.conf.eth0/1.rp_filter", "0"),
        ["ip netns exec l.a sh -c 'echo 0 > /proc/sys/net/ipv4/conf/eth0.1/rp_filter'"],
    ),
    (
        lambda k: k.reset_sysctl("l.a", "net.ipv4.ip_forward"),
        ["fresh l.a /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/ip_forward"],
    ),
    (
        lambda k: k.reset_sysctl("l.a", "net.ipv4.conf.eth0.arp_ignore"),
        [
            "fresh l.a /proc/sys/net/ipv4/conf/eth0/arp_ignore"
            " /proc/sys/net/ipv4/conf/default/arp_ignore"
        ],
    ),
    (
        lambda k: k.reset_sysctl("l.a", "net/ipv4/neigh/eth0.1/proxy_delay"),
        [
            "fresh l.a /proc/sys/net/ipv4/neigh/eth0.1/proxy_delay"
            " /proc/sys/net/ipv4/neigh/lo/proxy_delay"
        ],
    ),
    (
        lambda k: k.set_sysctl("l.a", "net/ipv4/conf/eth0.1/rp_filter", "0"),
        ["ip netns exec l.a sh -c 'echo 0 > /proc/sys/net/ipv4/conf/eth0.1/rp_filter'"],
    ),
    (
        lambda k: k.add_rule("l.a", 4, {"table": 100, "type": "lookup", "priority": 9}),
        ["ip -n l.a -4 rule add table 100 priority 9 protocol static"],
    ),
    (
        lambda k: k.add_rule("l.a", 6, {"type": "blackhole", "iif": "a", "tos": 16, "priority": 9}),
        ["ip -n l.a -6 rule add type blackhole iif a tos 0x10 priority 9 protocol static"],
    ),
    (
        lambda k: k.run("l.a", "ping -c 1 b && echo 'it works'"),
        [
            "ip netns exec l.a env NETLAB_LAB=l NETLAB_NODE=a sh -c"
            """ 'ping -c 1 b && echo '"'"'it works'"'"''"""
        ],
    ),
]


@pytest.mark.parametrize(("verb", "lines"), VERBS, ids=[" ".join(lines)[:50] for _, lines in VERBS])
def test_a_verb_is_these_commands(verb: Callable[[Kernel], object], lines: list[str]) -> None:
    kernel = ScriptKernel()
    verb(kernel)
    assert kernel.lines == lines


def test_a_namespace_begins_as_the_real_one_does() -> None:
    kernel = ScriptKernel()
    assert kernel.make_namespaces(["l.a", "l.b"]) == {"l.a": 1, "l.b": 2}
    kernel.add_namespace("l.a")
    kernel.del_namespace("l.a")
    assert kernel.lines == [
        "ip netns add l.a",
        "begin l.a",
        "mkdir -p /etc/netns/l.a",
        "[ ! -e /etc/resolv.conf ] || printf %s '# this lab has no resolver: names come from"
        " /etc/hosts\n' > /etc/netns/l.a/resolv.conf",
        'for pid in $(ip netns pids l.a 2>/dev/null); do kill -9 "$pid" 2>/dev/null || :; done',
        "[ ! -e /run/netns/l.a ] || ip netns del l.a",
        "rm -rf /etc/netns/l.a /run/netns-files/l.a",
    ]


def test_what_a_program_sees_lies_where_iproute2_looks() -> None:
    kernel = ScriptKernel()
    kernel.add_namespace("l.a")
    begun = len(kernel.lines)
    kernel.write_hosts("l", "10.0.0.1 a\n")
    kernel.write_entry("l.a", json.dumps({
        "hosts": False, "resolv": "nameserver 10.0.0.53\n", "env": [["LANG", "C.UTF-8"]],
        "files": [["/etc/motd", "it's\n", 0o640], ["/srv/x", "", 0o644]],
    }))
    kernel.run("l.a", "true")
    kernel.del_entry("l.a")
    kernel.del_hosts("l")
    assert kernel.lines[begun:] == [
        "hosts='10.0.0.1 a\n'",
        'printf %s "$hosts" > /etc/netns/l.a/hosts',
        "rm -f /etc/netns/l.a/hosts",
        "printf %s 'nameserver 10.0.0.53\n' > /etc/netns/l.a/resolv.conf",
        "printf %s 'it'\"'\"'s\n' | give l.a 640 /etc/motd",
        "printf %s '' | give l.a 644 /srv/x",
        'ip netns exec l.a sh -euc "$inside" sh l.a env LANG=C.UTF-8'
        " NETLAB_LAB=l NETLAB_NODE=a sh -c true",
        "find /etc/netns/l.a -type f ! -name hosts ! -name resolv.conf -exec rm {} +",
        "rm -rf /run/netns-files/l.a",
        "rm -f /etc/netns/l.*/hosts",
    ]


def test_only_a_script_with_files_tells_how_to_show_them() -> None:
    kernel = ScriptKernel()
    kernel.add_namespace("l.a")
    assert "inside" not in str(kernel)
    assert "ip netns exec l.a COMMAND" in str(kernel)
    kernel.write_entry("l.a", json.dumps({"files": [["/srv/x", "", 0o644]]}))
    assert "sh THIS exec l.a COMMAND" in str(kernel)
    assert "    exec) shift; exec ip netns exec" in str(kernel)


def test_processes_of_one_turn_are_waited_for_when_all_have_been_started() -> None:
    kernel = ScriptKernel()
    for ns, turn in (("l.a", 1), ("l.b", 1), ("l.a", 2)):
        ready = {"ready": ["exec", "true"], "within": 5.0}
        spec = {"argv": ["daemon"], "env": [["X", "y"]], "cwd": "/", "user": ""}
        kernel.start_process(ns, f"p{turn}", json.dumps({**spec, **ready}), turn)
    kernel.run("l.b", "true")
    assert [" ".join(line.split()[:6]) for line in kernel.lines] == [
        "setsid ip netns exec l.a env",
        "setsid ip netns exec l.b env",
        "n=0; until ip netns exec l.a",
        "n=0; until ip netns exec l.b",
        "setsid ip netns exec l.a env",
        "n=0; until ip netns exec l.a",
        "ip netns exec l.b env NETLAB_LAB=l",
    ]
    assert "exec l.a env X=y NETLAB_LAB=l NETLAB_NODE=a sh -c true >/dev/null" in kernel.lines[2]


def test_what_every_node_starts_with_is_said_once() -> None:
    kernel = ScriptKernel()
    kernel.add_namespace("l.a")
    kernel.add_namespace("l.b")
    text = kernel.script("l", "")
    assert text[text.index("begin() {") : text.index("up() {")] == """\
begin() {  # NAMESPACE: what every node starts with
    ip -n "$1" link set dev lo up
    ip netns exec "$1" sh -c 'while [ $# -gt 0 ]; do
        [ ! -e "/proc/sys/net/$1" ] || echo "$2" > "/proc/sys/net/$1"; shift 2
    done' sh \\
        ipv4/ip_forward 0 \\
        ipv4/conf/all/rp_filter 0 \\
        ipv4/conf/default/rp_filter 0 \\
        ipv4/conf/all/proxy_arp 0 \\
        ipv4/conf/default/proxy_arp 0 \\
        ipv6/conf/all/accept_dad 0 \\
        ipv6/conf/default/accept_dad 0 \\
        ipv6/conf/all/disable_ipv6 0 \\
        ipv6/conf/default/disable_ipv6 0
}

"""


def test_a_long_description_is_told_in_lines() -> None:
    text = ScriptKernel().script("l", "word " * 40 + "\n\n$(rm -rf /)")
    assert text.splitlines()[1:6] == [
        "# l:" + " word" * 19, "#" + " word" * 19, "#" + " word" * 2, "#", "# $(rm -rf /)"
    ]


def test_the_script_is_told_node_by_node() -> None:
    kernel = ScriptKernel()
    kernel.add_namespace("l.a")
    kernel.add_namespace("l.b")
    kernel.add_veth(VethEnd("l.a", "x", "", 0, True), VethEnd("l.b", "y", "", 0, True))
    for host, name in (("a", "x"), ("b", "y")):
        kernel.add_address(f"l.{host}", name, "10.0.0.1/24")
    for host in "ab":
        kernel.set_sysctl(f"l.{host}", "net.ipv4.ip_forward", "1")
    kernel.run("l.a", "true")
    text = kernel.script("l", "Two nodes.\nOne cable; rm -rf /")
    after_links = text[text.index("    # links") : text.index("    trap - EXIT")]
    assert text.startswith("#!/bin/sh\n# l: Two nodes.\n# One cable; rm -rf /\n#\n# Written by")
    assert after_links == """\
    # links
    ip link add name x netns l.a type veth peer name y netns l.b
    ip -n l.a link set dev x up
    ip -n l.b link set dev y up

    # a
    ip -n l.a address add 10.0.0.1/24 dev x brd +
    ip netns exec l.a sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'

    # b
    ip -n l.b address add 10.0.0.1/24 dev y brd +
    ip netns exec l.b sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'

    # commands
    ip netns exec l.a env NETLAB_LAB=l NETLAB_NODE=a sh -c true

"""


def test_every_verb_is_sound_shell() -> None:
    kernel = ScriptKernel()
    for verb, _ in VERBS:
        verb(kernel)
    kernel.add_namespace("l.a")
    for text in (str(kernel), str(ScriptKernel())):
        done = subprocess.run(["sh", "-n"], input=text, text=True, capture_output=True)
        assert (done.returncode, done.stderr) == (0, "")
