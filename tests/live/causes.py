"""Labs with one thing wrong each, by the name of the cause that a trace has to find."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

ROUTED = """\
nodes:
  cli: {{routes: [{{to: default, via: 10.1.0.1}}, {{to: default, via: "fd01::1"}}]{cli}}}
  gw: {{kind: router{gw}}}
  srv: {{routes: [{{to: default, via: 10.2.0.1}}, {{to: default, via: "fd02::1"}}]{srv}}}
links:
  - ["cli:eth0 10.1.0.2/24 fd01::2/64", "gw:a 10.1.0.1/24 fd01::1/64"]
  - ["gw:b 10.2.0.1/24 fd02::1/64", "srv:eth0 10.2.0.2/24 fd02::2/64"]
"""
"""cli ── gw ── srv"""

SWITCHED = """\
nodes:
  cli: {}
  sw: {kind: switch}
  srv: {}
links:
  - ["cli:eth0 10.0.0.1/24 fd00::1/64", sw]
  - ["srv:eth0 10.0.0.2/24 fd00::2/64", sw]
"""
"""cli ── sw ── srv"""


@dataclass(frozen=True)
class Case:
    cause: str
    disposition: str
    topology: str
    words: str = "cli srv"
    """FROM, TO and options."""
    hands: tuple[str, ...] = ()
    """What is done by hand before: ``NODE COMMAND…``; ``MAC:NODE:DEVICE`` stands for its MAC."""
    at: str = ""
    """The node where it ends; "" for gw."""
    name: str = ""


def routed(cli: str = "", gw: str = "", srv: str = "") -> str:
    parts = {"cli": cli, "gw": gw, "srv": srv}
    return ROUTED.format(**{k: f", {v}" if v else "" for k, v in parts.items()})


def rules(text: str) -> str:
    """``nftables:`` of a node, on one line."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'nftables: "{escaped}"'


def chain(hook: str, body: str, *, policy: str = "accept", family: str = "inet", device: str = ""
          ) -> str:  # fmt: skip
    on = f' device "{device}"' if device else ""
    return rules(
        f"table {family} t {{\n chain c {{\n  type filter hook {hook}{on} priority 0;"
        f" policy {policy};\n  {body}\n }}\n}}\n"
    )


def program(code: str) -> str:
    """``processes:`` of a node: it says when it is ready, and stays."""
    said = json.dumps(f"{code}\nprint('ready', flush=True)\nimport time\ntime.sleep(600)\n")
    command = f"[{json.dumps(sys.executable)}, -c, {said}]"
    return f"processes: {{p: {{run: {command}, ready: {{log: ready}}}}}}"


DNAT = rules("table ip t {\n chain c {\n  type nat hook prerouting priority dstnat;\n  tcp dport 80"
             " dnat to 10.0.0.2\n }\n}\n")  # fmt: skip
LISTENS = """import socket
s = socket.socket()
s.bind(("", 80))
s.listen(0)"""
BINDS = """import socket
s = socket.socket(type=socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
s.bind(("", 53))"""
READS = """import fcntl, os, struct
fd = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", b"tun0", 0x1001))"""
CONNECTS = """
import socket
held = [socket.socket() for _ in range(4)]
for s in held:
    s.setblocking(False)
    s.connect_ex(("10.2.0.2", 80))
import time
time.sleep(0.2)
"""
"""Those that got through stay in the queue though they are closed: nobody accepts them."""
SENDS = """
import socket
s = socket.socket(type=socket.SOCK_DGRAM)
for _ in range(200):
    s.sendto(b"x" * 500, ("10.2.0.2", 53))
"""
BURST = SENDS.replace("200", "40").replace("s.sendto", "s = socket.socket(type=2); s.sendto")
SETTLED = """
import pathlib, time
states = [pathlib.Path(f"/sys/class/net/{port}/operstate") for port in ("cli", "srv")]
while any(state.read_text() != "up\\n" for state in states):
    time.sleep(0.01)
"""
"""A bridge switches a port on once more when the kernel gets round to telling of its carrier."""
PROGRAMS = {"CONNECTS": CONNECTS, "SENDS": SENDS, "BURST": BURST, "SETTLED": SETTLED}
HAIRPIN = """table ip t {
 chain c {
  type nat hook prerouting priority dstnat;
  ip daddr 10.0.0.3 tcp dport 80 dnat to 10.0.0.2
 }
}
"""
"""Published, and not masqueraded for those who are on the same segment."""
TCP = "cli srv --tcp 80"
UDP = "cli srv --udp 53"

CASES = [
    # nftables, in every hook
    Case("nft-drop", "denied", routed(cli=chain("output", "tcp dport 80 drop")), TCP, at="cli",
         name="output"),
    Case("nft-drop", "denied", routed(cli=chain("postrouting", "tcp dport 80 drop")), TCP, at="cli",
         name="postrouting"),
    Case("nft-drop", "denied", routed(gw=chain("prerouting", "tcp dport 80 drop")), TCP,
         name="prerouting"),
    Case("nft-drop", "denied", routed(gw=chain("forward", "tcp dport 80 drop")), TCP,
         name="forward"),
    Case("nft-drop", "denied", routed(srv=chain("input", "tcp dport 80 drop")), TCP, at="srv",
         name="input"),
    Case("nft-drop", "denied",
         routed(gw=chain("ingress", "udp dport 53 drop", family="netdev", device="a")), UDP,
         name="ingress"),
    Case("nft-drop", "denied",
         routed(gw=chain("egress", "udp dport 53 drop", family="netdev", device="b")), UDP,
         name="egress"),
    Case("nft-drop", "denied", SWITCHED, TCP, ("sw nft add table bridge t", "sw nft add chain"
         " bridge t c { type filter hook forward priority 0 ; }",
         "sw nft add rule bridge t c tcp dport 80 drop"), at="sw", name="bridge"),
    Case("nft-drop", "denied", routed(gw=chain("forward", "tcp dport 80 drop")), f"{TCP} -6",
         name="IPv6"),
    Case("nft-reject", "denied", routed(gw=chain("forward", "udp dport 53 reject")), UDP,
         name="UDP"),
    Case("nft-reject", "denied",
         routed(gw=chain("forward", "tcp dport 80 reject with tcp reset")), TCP, name="TCP"),
    Case("nft-policy", "denied", routed(gw=chain("forward", "tcp dport 81 accept", policy="drop")),
         TCP),
    Case("nft-limit", "denied",
         routed(gw=chain("forward", "icmp type echo-request limit rate over 1/hour burst 1 packets"
                         " drop")),
         hands=("cli ping -c 1 -W 1 10.2.0.2", "cli ping -c 1 -W 1 10.2.0.2"), name="over"),
    Case("nft-limit", "denied",
         routed(gw=chain("forward", "icmp type echo-reply accept\n  icmp type echo-request limit"
                         " rate 1/hour burst 1 packets accept", policy="drop")),
         hands=("cli ping -c 1 -W 1 10.2.0.2",), name="under"),
    Case("conntrack-invalid", "denied", routed(
        gw=chain("forward", "ct state invalid drop"),
        srv=chain("output", "tcp flags & (syn | ack) == syn | ack tcp flags set fin | syn | ack")),
         "cli srv --tcp 80 --respond"),
    # routes
    Case("no-route", "no-route", routed(), "cli 192.0.2.1", name="router"),
    Case("no-route", "no-route", SWITCHED, "cli 192.0.2.1", at="cli", name="sender"),
    Case("no-route", "no-route", SWITCHED, "cli 2001:db8::1", at="cli", name="sender IPv6"),
    Case("no-route", "no-route", routed(), "cli 2001:db8::1", name="router IPv6"),
    *(
        Case(kind, "null-routed", routed(gw=f"routes: [{{to: 10.9.0.0/16, type: {kind}}}]"),
             "cli 10.9.0.1", name="router")
        for kind in ("blackhole", "unreachable", "prohibit")
    ),
    *(
        Case(kind, "null-routed", routed(cli="").replace(
            "routes: [", f"routes: [{{to: 10.9.0.0/16, type: {kind}}}, ", 1),
             "cli 10.9.0.1", at="cli", name="sender")
        for kind in ("blackhole", "unreachable", "prohibit")
    ),
    *(
        Case(kind, "null-routed", routed(gw=f'routes: [{{to: "fd99::/16", type: {kind}}}]'),
             "cli fd99::1", name="router IPv6")
        for kind in ("blackhole", "unreachable", "prohibit")
    ),
    Case("forwarding-off", "not-forwarded", routed().replace("kind: router", "kind: host")),
    Case("forwarding-off", "not-forwarded", routed().replace("kind: router", "kind: host"),
         "cli srv -6", name="IPv6"),
    Case("rp-filter", "spoofed",
         routed(gw="sysctls: {net.ipv4.conf.a.rp_filter: 1},"
                   " routes: [{to: 10.1.0.2/32, via: 10.2.0.2}]"),
         hands=("cli ip neigh replace 10.1.0.1 lladdr MAC:gw:a dev eth0",)),
    Case("martian-source", "spoofed", routed(), "cli srv",
         ("cli ip address add 10.2.0.1/32 dev lo", "cli ip route change default via 10.1.0.1 src"
          " 10.2.0.1", "cli ip neigh replace 10.1.0.1 lladdr MAC:gw:a dev eth0")),
    Case("ttl", "ttl-expired", routed(), "cli srv --ttl 1", name="IPv4"),
    Case("ttl", "ttl-expired", routed(), "cli srv --ttl 1 -6", name="IPv6"),
    Case("routing-loop", "looped", """\
nodes:
  cli: {routes: [{to: default, via: 10.1.0.1}]}
  gw: {kind: router, routes: [{to: default, via: 10.2.0.2}]}
  srv: {kind: router, routes: [{to: default, via: 10.2.0.1}]}
links:
  - ["cli:eth0 10.1.0.2/24", "gw:a 10.1.0.1/24"]
  - ["gw:b 10.2.0.1/24", "srv:eth0 10.2.0.2/24"]
""", "cli 192.0.2.1 --ttl 9"),
    Case("no-return-route", "no-route", routed(), "cli srv", at="srv", name="target",
         hands=("srv ip route del default",)),
    Case("no-return-route", "no-route", """\
nodes:
  cli: {routes: [{to: default, via: 10.1.0.1}]}
  r1: {kind: router, routes: [{to: default, via: 10.2.0.2}]}
  gw: {kind: router}
  srv: {routes: [{to: default, via: 10.3.0.1}]}
links:
  - ["cli:eth0 10.1.0.2/24", "r1:a 10.1.0.1/24"]
  - ["r1:b 10.2.0.1/24", "gw:a 10.2.0.2/24"]
  - ["gw:b 10.3.0.1/24", "srv:eth0 10.3.0.2/24"]
""", name="router"),
    Case("asymmetric-path", "denied", """\
nodes:
  cli: {routes: [{to: default, via: 10.1.0.1}]}
  r1: {kind: router}
  gw:
    kind: router
    nftables: |
      table inet t {
        chain c {
          type filter hook forward priority 0; policy drop;
          ct state established,related accept
        }
      }
  srv: {routes: [{to: default, via: 10.3.0.9}]}
  lan: {kind: switch}
  near: {kind: switch}
links:
  - ["cli:eth0 10.1.0.2/24", near]
  - ["r1:a 10.1.0.1/24", near]
  - ["gw:a 10.1.0.9/24", near]
  - ["r1:b 10.3.0.1/24", lan]
  - ["gw:b 10.3.0.9/24", lan]
  - ["srv:eth0 10.3.0.2/24", lan]
""", "cli srv --tcp 80 --respond"),
    # sizes
    Case("mtu", "too-big", routed().replace(
        '["gw:b 10.2.0.1/24 fd02::1/64", "srv:eth0 10.2.0.2/24 fd02::2/64"]',
        '{endpoints: ["gw:b 10.2.0.1/24 fd02::1/64", "srv:eth0 10.2.0.2/24 fd02::2/64"],'
        " mtu: 1400}"), "cli srv --size 1450 --df", name="IPv4"),
    Case("mtu", "too-big", routed().replace(
        '["gw:b 10.2.0.1/24 fd02::1/64", "srv:eth0 10.2.0.2/24 fd02::2/64"]',
        '{endpoints: ["gw:b 10.2.0.1/24 fd02::1/64", "srv:eth0 10.2.0.2/24 fd02::2/64"],'
        " mtu: 1400}"), "cli srv --size 1450 --df -6", name="IPv6"),
    Case("mtu", "too-big", routed(), "cli srv --size 2000 --df", at="cli", name="sender"),
    *(
        Case("mtu-black-hole", "too-big", routed(cli=chain("input", f"{kind} drop")).replace(
            '["gw:b 10.2.0.1/24 fd02::1/64", "srv:eth0 10.2.0.2/24 fd02::2/64"]',
            '{endpoints: ["gw:b 10.2.0.1/24 fd02::1/64", "srv:eth0 10.2.0.2/24 fd02::2/64"],'
            " mtu: 1400}"), f"cli srv --size 1450 --df {option}", name=name)
        for kind, option, name in (
            ("icmp type destination-unreachable", "-4", "IPv4"),
            ("icmpv6 type packet-too-big", "-6", "IPv6"),
        )
    ),
    Case("mtu-black-hole", "too-big", routed(
        cli=chain("input", "icmp type destination-unreachable drop")).replace(
        '["gw:b 10.2.0.1/24 fd02::1/64", "srv:eth0 10.2.0.2/24 fd02::2/64"]',
        '{endpoints: ["gw:b 10.2.0.1/24 fd02::1/64", "srv:eth0 10.2.0.2/24 fd02::2/64"],'
        " mtu: 1400}"), "cli srv --size 1450 --df"),
    Case("mtu-mismatch", "too-big", routed(), "cli srv --size 1450 --udp 53", name="",
         hands=("srv ip link set eth0 mtu 1400",)),
    Case("fragments-missing", "not-reassembled",
         routed(gw=chain("forward", "ip frag-off & 0x1fff != 0 drop")), "cli srv --size 3000",
         at="srv"),
    # the segment
    Case("neighbour-failed", "no-neighbour", routed(), "cli 10.2.0.77"),
    Case("neighbour-failed", "no-neighbour", routed(), "cli fd02::77", name="IPv6"),
    Case("wrong-mac", "not-for-me", routed(), at="gw",
         hands=("cli ip neigh replace 10.1.0.1 lladdr 02:00:00:00:00:99 dev eth0",)),
    Case("stp-blocking", "not-switched", SWITCHED.replace("switch}", "switch, stp: true}"), at="sw",
         hands=("cli ip neigh replace 10.0.0.2 lladdr MAC:srv:eth0 dev eth0",),
         name="known neighbour"),
    Case("stp-blocking", "not-switched", SWITCHED.replace("switch}", "switch, stp: true}"),
         at="cli", name="asked for"),
    Case("stp-blocking", "not-switched", SWITCHED, at="cli", name="disabled",
         hands=("sw python SETTLED", "sw bridge link set dev srv state 0")),
    Case("isolated-port", "not-switched", SWITCHED, at="cli",
         hands=("sw bridge link set dev cli isolated on", "sw bridge link set dev srv isolated on"),
         name="asked for"),
    Case("isolated-port", "not-switched", SWITCHED, at="sw", name="known neighbour",
         hands=("cli ping -c 1 -W 1 10.0.0.2", "sw bridge link set dev cli isolated on",
                "sw bridge link set dev srv isolated on")),
    Case("bridge-port-down", "not-switched", SWITCHED, at="cli", name="asked for",
         hands=("sw ip link set srv down",)),
    Case("hairpin-off", "not-switched", SWITCHED, at="sw",
         hands=("cli ip neigh replace 10.0.0.2 lladdr 02:00:00:00:00:77 dev eth0",
                "sw bridge fdb replace 02:00:00:00:00:77 dev cli master static")),
    Case("link-down", "link-down", routed(), hands=("srv ip link set eth0 down",), name="far"),
    Case("link-down", "link-down", SWITCHED, hands=("cli ip link set eth0 down",), at="cli",
         name="own"),
    Case("link-down", "link-down", SWITCHED, hands=("srv ip link set eth0 down",), at="cli",
         name="behind a switch"),
    # sockets
    Case("no-listener-tcp", "refused", routed(), TCP, at="srv", name="IPv4"),
    Case("no-listener-tcp", "refused", routed(), f"{TCP} -6", at="srv", name="IPv6"),
    Case("no-listener-udp", "refused", routed(), UDP, at="srv", name="IPv4"),
    Case("no-listener-udp", "refused", routed(), f"{UDP} -6", at="srv", name="IPv6"),
    Case("icmp-rate-limited", "refused", routed(), UDP, at="srv", name="no listener",
         hands=("srv sysctl -qw net.ipv4.icmp_ratelimit=60000", "cli python BURST")),
    Case("icmp-rate-limited", "denied", routed(gw=chain("forward", "udp dport 53 reject")), UDP,
         name="reject", hands=("gw sysctl -qw net.ipv4.icmp_ratelimit=60000", "cli python BURST")),
    Case("echo-ignored", "unread", routed(srv="sysctls: {net.ipv4.icmp_echo_ignore_all: 1}"),
         at="srv"),
    Case("backlog-full", "unread", routed(srv=program(LISTENS)), TCP, at="srv",
         hands=("cli python CONNECTS",)),
    Case("buffer-full", "unread", routed(srv=program(BINDS)), f"{UDP} --size 900", at="srv",
         hands=("cli python SENDS",)),
    # who has the address
    Case("duplicate-address", "misdirected",
         SWITCHED.replace("  srv: {}\n", "  srv: {}\n  twin: {}\n")
         + '  - ["twin:eth0 10.0.0.9/24", sw]\n', at="twin",
         hands=("twin ip address add 10.0.0.2/24 dev eth0",
                "cli ip neigh replace 10.0.0.2 lladdr MAC:twin:eth0 dev eth0")),
    Case("unexpected-source", "unread", SWITCHED.replace("  srv: {}\n", "  srv: {}\n  gw: {kind:"
         f" router, {DNAT}}}\n") + '  - ["gw:eth0 10.0.0.9/24", sw]\n',
         "cli srv --to 10.0.0.9 --tcp 80 --respond", at="cli"),
    Case("unexpected-source", "unread", SWITCHED.replace("  srv: {}\n", f"""  srv: {{}}
  gw: {{kind: router, {rules(HAIRPIN)}}}
""") + '  - ["gw:eth0 10.0.0.3/24", sw]\n', "cli srv --to 10.0.0.3 --tcp 80 --respond", at="cli"),
    Case("wrong-node", "misdirected", routed(), "cli srv --tcp 80 --to 10.1.0.1"),
    Case("address-tentative", "no-neighbour", SWITCHED, "cli srv --to fd00::9 --udp 53", at="cli",
         name="target",
         hands=("srv sysctl -qw net.ipv6.conf.eth0.accept_dad=1",
                "srv sysctl -qw net.ipv6.conf.eth0.dad_transmits=60",
                "srv ip address add fd00::9/64 dev eth0")),
    Case("address-tentative", "no-neighbour", SWITCHED.replace("fd00::1/64", ""),
         "cli srv -6 --udp 53", at="cli", name="sender",
         hands=("cli sysctl -qw net.ipv6.conf.eth0.accept_dad=1",
                "cli sysctl -qw net.ipv6.conf.eth0.dad_transmits=60",
                "cli ip link set eth0 down", "cli ip link set eth0 up",
                "cli ip address add fd00::1/64 dev eth0")),
    # what only the kernel says
    Case("netfilter-drop", "denied", routed(gw=chain("forward", "tcp dport 80 drop")),
         f"{TCP} --backends bpf"),
    # devices that are programs or tunnels
    Case("tun-without-reader", "unread",
         routed(gw="interfaces: {tun0: {kind: tun, addresses: [10.8.0.1/24]}}"), "cli 10.8.0.2"),
    Case("left", "left", routed(
        gw="interfaces: {tun0: {kind: tun, addresses: [10.8.0.1/24]}}, " + program(READS)),
         "cli 10.8.0.2"),
    Case("vxlan-wrong-peer", "no-neighbour", """\
nodes:
  cli: {}
  gw: {interfaces: {vx: {kind: vxlan, id: 7, remote: 10.1.0.9}, br: {kind: bridge, ports: [vx, p]}}}
  srv: {interfaces: {vx: {kind: vxlan, id: 7, remote: 10.1.0.1, addresses: [10.9.0.2/24]}}}
links:
  - ["cli:eth0 10.9.0.1/24", "gw:p"]
  - ["gw:eth0 10.1.0.1/24", "srv:eth0 10.1.0.2/24"]
""", "cli srv --to 10.9.0.2", at="cli", name="asked for"),
    Case("vxlan-wrong-peer", "misdirected", """\
nodes:
  cli: {interfaces: {vx: {kind: vxlan, id: 7, remote: 10.1.0.2, addresses: [10.9.0.1/24]}}}
  gw: {}
  srv: {interfaces: {vx: {kind: vxlan, id: 7, remote: 10.1.0.1, addresses: [10.9.0.2/24]}}}
  sw: {kind: switch}
links:
  - ["cli:eth0 10.1.0.1/24", sw]
  - ["gw:eth0 10.1.0.2/24", sw]
  - ["srv:eth0 10.1.0.3/24", sw]
""", "cli srv --to 10.9.0.2", ("cli ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:05 dev vx",)),
]  # fmt: skip
