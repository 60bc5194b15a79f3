"""Labs with one thing wrong each: at devices, in queues, in bridges, in IP headers on the way."""

from __future__ import annotations

from tests.live.causes import READS, SWITCHED, Case, chain, program, routed

ATTACHES = "import sys; from tests.live.xdp import attach; attach(*sys.argv[1:])"
FILTERS = """import subprocess, sys
words = "tc filter add dev DEVICE WAY protocol ip bpf da bytecode".split()
words[4:6] = sys.argv[1:]
subprocess.run([*words, "1,6 0 0 2"], check=True)"""
"""By classic BPF: return 2, which is TC_ACT_SHOT."""
PROGRAMS = {"XDP": ATTACHES, "TC": FILTERS}
FLOODS = """import socket, threading, time
def send():
    s = socket.socket(type=socket.SOCK_DGRAM)
    while True:
        try:
            s.sendto(b"x", ("10.2.0.77", 53))
        except OSError:
            pass
        time.sleep(0.005)
threading.Thread(target=send, daemon=True).start()"""
"""What waits for a neighbour is pushed out by what comes after it."""
KNOWN_6 = "cli ip neigh replace fd01::1 lladdr MAC:gw:a dev eth0"
TUNNELS = """\
nodes:
  cli: {{interfaces: {{vx: {{kind: vxlan, id: 7, {near}addresses: [10.9.0.1/24]}}}}}}
  gw: {{interfaces: {{vx: {{kind: vxlan, id: {id}, {far}addresses: [10.9.0.2/24]}}}}}}
links:
  - ["cli:eth0 10.1.0.1/24", "gw:eth0 10.1.0.2/24"]
"""
OTHER_ID = TUNNELS.format(near="remote: 10.1.0.2, ", far="remote: 10.1.0.1, ", id=8)
NO_REMOTE = TUNNELS.format(near="", far="", id=7)
KNOWN_TUNNEL = "cli ip neigh replace 10.9.0.2 lladdr MAC:gw:vx dev vx"
TAP = "interfaces: {tap0: {kind: tap, addresses: [10.8.0.1/24]}}"
TUN = "interfaces: {tun0: {kind: tun, addresses: [10.8.0.1/24]}}"
KNOWN_SRV = "cli ip neigh replace 10.0.0.2 lladdr MAC:srv:eth0 dev eth0"
NEIGHBOUR_OF_GW = "gw ip neigh replace 10.2.0.2 lladdr MAC:srv:eth0 dev b"
ECHO_6 = "icmpv6 type echo-request"


def written(statements: str) -> str:
    """Into what leaves cli."""
    return chain("egress", statements, family="netdev", device="eth0")


def filtered(device: str, way: str) -> tuple[str, ...]:
    return f"gw tc qdisc add dev {device} clsact", f"gw python TC {device} {way}"


CASES = [
    # programs at devices
    Case("xdp-drop", "denied", routed(), name="native", hands=("gw python XDP a native drop",)),
    Case("xdp-drop", "denied", routed(), name="generic", hands=("gw python XDP a generic drop",)),
    Case("xdp-drop", "denied", routed(), "cli srv --backends nft-trace,taps,counters", at="cli",
         name="concluded", hands=("gw python XDP a native drop",)),
    Case("xdp-drop", "no-neighbour", routed(), name="asked for",
         hands=("srv python XDP eth0 native drop all",)),
    Case("xdp-aborted", "denied", routed(), hands=("gw python XDP a generic abort",)),
    Case("tc-drop", "denied", routed(), name="ingress", hands=filtered("a", "ingress")),
    Case("tc-drop", "denied", routed(), name="egress", hands=filtered("b", "egress")),
    # queues
    Case("queue-full", "dropped", routed(), name="pfifo",
         hands=(NEIGHBOUR_OF_GW, "gw tc qdisc add dev b root pfifo limit 0")),
    Case("queue-full", "dropped", routed(), name="tbf, limit",
         hands=(NEIGHBOUR_OF_GW, "gw tc qdisc add dev b root tbf rate 8kbit burst 2000 limit 1")),
    Case("queue-full", "dropped", routed(), "cli srv --size 900", name="tbf, burst",
         hands=(NEIGHBOUR_OF_GW, "gw tc qdisc add dev b root tbf rate 8kbit burst 500 limit 5000")),
    Case("reader-too-slow", "unread", routed(gw=f"{TUN}, {program(READS)}"), "cli 10.8.0.2",
         hands=("gw ip link set tun0 txqueuelen 2", "cli ping -c 4 -i 0.01 -W 1 10.8.0.2")),
    Case("reader-too-slow", "unread", routed(gw=f"{TUN}, {program(READS)}"),
         "cli 10.8.0.2 --backends nft-trace,taps,counters", name="concluded",
         hands=("gw ip link set tun0 txqueuelen 2", "cli ping -c 4 -i 0.01 -W 1 10.8.0.2")),
    Case("tun-without-reader", "unread", routed(gw=TAP), "cli 10.8.0.2", name="tap",
         hands=("gw ip neigh replace 10.8.0.2 lladdr 02:00:00:00:00:01 dev tap0",)),
    Case("neighbour-queue-full", "no-neighbour",
         routed(cli=program(FLOODS), gw="sysctls: {net.ipv4.neigh.b.unres_qlen_bytes: 0}"),
         "cli 10.2.0.77"),
    Case("device-dropped", "dropped",
         routed(cli=written("ip protocol icmp ether type set 0x88b5")),
         "cli srv --backends nft-trace,taps,counters"),
    # headers
    Case("ethertype-unknown", "not-for-me",
         routed(cli=written("ip protocol icmp ether type set 0x88b5"))),
    Case("header-invalid", "dropped", routed(cli=written("ip length set 10"))),
    Case("header-invalid", "dropped", routed(cli=written("ip length set 10")),
         "cli srv --backends nft-trace,taps,counters", name="concluded"),
    Case("truncated", "dropped", routed(cli=written("ip length set 1400")), name="IPv4"),
    Case("truncated", "dropped", routed(cli=written("ip length set 1400")),
         "cli srv --backends nft-trace,taps,counters", name="concluded"),
    Case("truncated", "dropped", routed(cli=written(f"{ECHO_6} ip6 length set 1400")),
         "cli srv -6", name="IPv6"),
    # an UDP header is taken for options, which is why its words are chosen: their sum is 0xffff
    Case("ip-options", "refused",
         routed(cli=written("udp checksum set 0x70a2 ip hdrlength set 7")),
         "cli srv --udp 53 --from-port 36608 --size 60", at="cli"),
    # likewise for an extension header: 15104 is 59 (nothing follows), 33028 an option to discard by
    Case("extension-header", "refused", routed(cli=written("meta l4proto udp ip6 nexthdr set 0")),
         "cli srv -6 --udp 33028 --from-port 15104", at="cli", name="hop by hop"),
    Case("extension-header", "refused", routed(cli=written("meta l4proto udp ip6 nexthdr set 60")),
         "cli srv -6 --udp 33028 --from-port 15104", at="cli", name="destination"),
    Case("routing-header", "refused", routed(cli=written("meta l4proto udp ip6 nexthdr set 43")),
         "cli srv -6 --udp 1 --from-port 15104", at="cli"),
    Case("kernel-drop", "dropped", SWITCHED, hands=(
        KNOWN_SRV, "cli nft add table netdev t", "cli nft add chain netdev t c { type filter hook"
        " egress device eth0 priority 0 ; }",
        "cli nft add rule netdev t c ether saddr set 01:00:5e:00:00:01"), at="sw"),
    # addresses
    Case("rp-filter-loose", "spoofed",
         routed(cli=chain("postrouting", "ip saddr set 192.0.2.7"),
                gw="sysctls: {net.ipv4.conf.a.rp_filter: 2}")),
    Case("martian-source", "spoofed", routed(cli=written(f"{ECHO_6} ip6 saddr set ::1")),
         "cli srv -6", name="IPv6, loopback"),
    Case("martian-source", "spoofed", routed(cli=written(f"{ECHO_6} ip6 saddr set ff02::1")),
         "cli srv -6", name="IPv6, multicast"),
    Case("martian-destination", "spoofed", routed(cli=written("ip daddr set 127.0.0.9")),
         name="IPv4"),
    Case("martian-destination", "spoofed", routed(cli=written(f"{ECHO_6} ip6 daddr set ::1")),
         "cli srv -6", name="IPv6"),
    Case("multicast-not-joined", "not-for-me", routed(
        cli=written("ip daddr set 239.1.2.3 ether daddr set 01:00:5e:01:02:03")), name="IPv4"),
    Case("multicast-not-joined", "not-for-me", routed(
        cli=written(f"{ECHO_6} ip6 daddr set ff0e::1234 ether daddr set 33:33:00:00:12:34")),
         "cli srv -6", name="IPv6"),
    Case("frame-for-many", "not-for-me", routed(), name="to be forwarded",
         hands=("cli ip neigh replace 10.1.0.1 lladdr 01:00:5e:00:00:05 dev eth0",)),
    Case("frame-for-many", "not-for-me", routed(), "cli gw --to 10.1.0.1", name="IPv4", hands=(
        "gw sysctl -qw net.ipv4.conf.a.drop_unicast_in_l2_multicast=1",
        "cli ip neigh replace 10.1.0.1 lladdr 01:00:5e:00:00:05 dev eth0")),
    Case("frame-for-many", "not-for-me", routed(), "cli gw --to fd01::1", name="IPv6", hands=(
        "gw sysctl -qw net.ipv6.conf.a.drop_unicast_in_l2_multicast=1",
        "cli ip neigh replace fd01::1 lladdr 33:33:00:00:00:05 dev eth0")),
    Case("ipv6-disabled", "not-for-me", routed(), "cli srv -6", name="known neighbour",
         hands=(KNOWN_6, "gw sysctl -qw net.ipv6.conf.a.disable_ipv6=1")),
    Case("ipv6-disabled", "no-neighbour", routed(), "cli srv -6", at="cli", name="asked for",
         hands=("gw sysctl -qw net.ipv6.conf.a.disable_ipv6=1",)),
    Case("beyond-scope", "not-forwarded",
         routed().replace(" fd01::2/64", "").replace(', {to: default, via: "fd01::1"}', ""),
         "cli srv -6", hands=("cli ip -6 route add default dev eth0",
                              "cli ip neigh replace fd02::2 lladdr MAC:gw:a dev eth0")),
    Case("directed-broadcast", "misdirected", routed(), "cli 10.2.0.255 --udp 53", name="UDP"),
    Case("directed-broadcast", "misdirected", routed(), "cli 10.2.0.255", name="echo"),
    Case("broadcast-not-allowed", "unread", SWITCHED, "cli srv --to 10.0.0.255 --udp 53", at="cli"),
    # who is asked for
    Case("arp-ignored", "no-neighbour", routed(), name="always",
         hands=("srv sysctl -qw net.ipv4.conf.eth0.arp_ignore=8",)),
    Case("arp-ignored", "no-neighbour", SWITCHED, "cli srv --to 10.0.0.77", at="cli",
         name="of another device", hands=("srv ip address add 10.0.0.77/32 dev lo",
                                          "srv sysctl -qw net.ipv4.conf.eth0.arp_ignore=1")),
    Case("arp-off", "no-neighbour", routed(), name="IPv4", hands=("srv ip link set eth0 arp off",)),
    Case("arp-off", "no-neighbour", routed(), "cli srv -6", name="IPv6",
         hands=("srv ip link set eth0 arp off",)),
    Case("duplicate-mac", "misdirected",
         SWITCHED.replace("  srv: {}\n", "  srv: {}\n  twin: {}\n")
         + '  - ["twin:eth0 10.0.0.9/24", sw]\n', at="twin",
         hands=(KNOWN_SRV, "twin ip link set eth0 address MAC:srv:eth0",
                "sw bridge fdb replace MAC:srv:eth0 dev twin master static sticky")),
    # bridges and tunnels
    Case("flood-off", "not-switched", SWITCHED, at="sw", name="known neighbour", hands=(
        KNOWN_SRV, "sw bridge link set dev srv learning off flood off",
        "sw bridge fdb del MAC:srv:eth0 dev srv master")),
    Case("flood-off", "not-switched", SWITCHED, at="cli", name="asked for",
         hands=("sw bridge link set dev srv bcast_flood off",)),
    Case("flood-off", "not-switched", SWITCHED, "cli srv -6", at="cli", name="asked for, IPv6",
         hands=("sw bridge link set dev srv mcast_flood off",
                "sw ip link set br0 type bridge mcast_snooping 0")),
    Case("port-locked", "not-switched", SWITCHED, at="sw", name="known neighbour", hands=(
        KNOWN_SRV, "sw bridge link set dev cli learning off locked on",
        "sw bridge fdb del MAC:cli:eth0 dev cli master")),
    Case("port-locked", "not-switched", SWITCHED, at="cli", name="asked for", hands=(
        "sw bridge link set dev cli learning off locked on",
        "sw bridge fdb del MAC:cli:eth0 dev cli master")),
    Case("reserved-mac", "not-switched", SWITCHED, at="sw",
         hands=("cli ip neigh replace 10.0.0.2 lladdr 01:80:c2:00:00:03 dev eth0",)),
    Case("vxlan-vni", "misdirected", OTHER_ID, "cli gw --to 10.9.0.2", name="known neighbour",
         hands=(KNOWN_TUNNEL,)),
    Case("vxlan-vni", "no-neighbour", OTHER_ID, "cli gw --to 10.9.0.2", at="cli", name="asked for"),
    Case("vxlan-no-remote", "not-switched", NO_REMOTE, "cli gw --to 10.9.0.2", at="cli",
         name="known neighbour", hands=(KNOWN_TUNNEL,)),
    Case("vxlan-no-remote", "not-switched", NO_REMOTE, "cli gw --to 10.9.0.2", at="cli",
         name="asked for"),
]  # fmt: skip
