"""Labs with one thing wrong each: sockets, TCP, checksums, fragments, what firewalls remember."""

from __future__ import annotations

from dataclasses import replace

from tests.live.causes import (
    BINDS,
    LISTENS,
    TCP,
    UDP,
    Case,
    chain,
    program,
    routed,
    rules,
)

READY = LISTENS.replace("listen(0)", "listen(8)")
SERVES = program(READY)
LOOPBACK = '"127.0.0.1"'
FROM_4000 = f"{TCP} --from-port 4000"
LAB_PORT = "s.setsockopt(1, 2, 1)\ns.bind((\"\", 4000))"


def listens(option: str) -> str:
    """With a socket option, that is set before it binds."""
    return program(READY.replace("s.bind", f"{option}\ns.bind"))


def sysctls(**values: int) -> str:
    named = ", ".join(f"{name.replace('__', '.')}: {value}" for name, value in values.items())
    return f"sysctls: {{{named}}}"


NOTHING = """import ctypes, struct
code = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
s.setsockopt(1, 26, struct.pack("HL", 1, ctypes.addressof(code)))"""
"""SO_ATTACH_FILTER: return 0."""
SIGNED = """import struct
s.setsockopt(6, 14, struct.pack("HH4s120xBBHI80s", 2, 0, socket.inet_aton("10.1.0.2"), 0, 0, 3, 0,
                                b"key"))"""
"""TCP_MD5SIG."""
HELD = """import socket
c = socket.socket()
c.setsockopt(6, 19, 1)
c.bind(("10.2.0.2", 80))
c.connect(("10.1.0.2", 4000))
c.setsockopt(6, 19, -1)"""
"""A connection of which the other end knows nothing: made in repair mode, without a packet."""
HANGS_UP = """import socket, threading
s = socket.socket()
s.bind(("", 80))
s.listen(8)
def serve():
    while True:
        c, _ = s.accept()
        c.shutdown(1)
        c.recv(9)
        c.close()
threading.Thread(target=serve, daemon=True).start()"""
"""Who closes first has TIME_WAIT."""
FLOODS = """import socket, struct, threading, time
s = socket.socket(2, 3, socket.IPPROTO_RAW)
def total(data):
    found = sum(struct.unpack(f">{len(data) // 2}H", data))
    while found >> 16:
        found = (found & 65535) + (found >> 16)
    return ~found & 65535
def send(port):
    ends = socket.inet_aton("10.1.0.77") + socket.inet_aton("10.2.0.2")
    head = struct.pack(">HHIIBBHHH", port, 80, 1, 0, 80, 2, 64240, 0, 0)
    check = total(ends + struct.pack(">BBH", 0, 6, 20) + head)
    head = head[:16] + struct.pack(">H", check) + head[18:]
    s.sendto(struct.pack(">BBHHHBBH", 69, 0, 40, 0, 0, 64, 6, 0) + ends + head, ("10.2.0.2", 0))
def flood():
    while True:
        for port in range(2000, 2040):
            send(port)
        time.sleep(0.1)
for port in range(2000, 2040):
    send(port)
threading.Thread(target=flood, daemon=True).start()"""
"""SYNs from an address that nobody has, again and again."""
PROGRAMS = {
    "ASKS": """import socket
socket.socket(type=2).sendto(b"x", ("10.2.0.2", 53))
""",
    "CALLS": f"""import socket
s = socket.socket()
s.setsockopt(1, 13, b"\\1\\0\\0\\0\\0\\0\\0\\0")
{LAB_PORT}
s.connect_ex(("10.2.0.2", 80))
""",
    "DROPS": """import time
def dropped():
    names, values = open("/proc/net/netstat").read().splitlines()[:2]
    return int(dict(zip(names.split(), values.split()))["TCPReqQFullDrop"])
while not dropped():
    time.sleep(0.01)
""",
    "AGES": f"""import select, socket, struct
s = socket.socket()
s.settimeout(5)
{LAB_PORT}
s.connect(("10.2.0.2", 80))
s.recv(9)
s.setsockopt(6, 19, 1)
now = s.getsockopt(6, 24) & 0xfffffffe
s.setsockopt(6, 24, struct.pack("I", (now + 0x30000000) & 0xfffffffe))
s.setsockopt(6, 19, -1)
s.shutdown(1)
while s.getsockopt(6, 11, 1)[0] not in (7, 6):
    select.select([], [], [], 0.01)
""",
    "FILLS": """import socket, struct
s = socket.socket(16, 3, 12)
def attribute(kind, data):
    return struct.pack("HH", 4 + len(data), kind) + data + b"\\0" * (-len(data) % 4)
def ends(kind, addresses, ports):
    ip = b"".join(attribute(n + 1, one) for n, one in enumerate(addresses))
    above = attribute(1, b"\\x11") + b"".join(attribute(n + 2, p) for n, p in enumerate(ports))
    return attribute(kind, attribute(0x8001, ip) + attribute(0x8002, above))
here, there, port, other = b"HERE", b"\\x0b\\xff\\0\\1", b"PO", b"\\0\\x35"
body = struct.pack("BBH", 2, 0, 0) + ends(0x8001, (here, there), (port, other))
body += ends(0x8002, (there, here), (other, port))
body += attribute(3, struct.pack(">I", 0xe)) + attribute(7, struct.pack(">I", 600))
one = bytearray(struct.pack("IHHII", 16 + len(body), 1 << 8, 0x401, 1, 0) + body)
places = [(n, word) for word in (here, port) for n in (one.index(word), one.rindex(word))]
room = int(open("/proc/sys/net/netfilter/nf_conntrack_max").read())
batch = []
for number in range(room):
    address = (0x0b000000 + (number >> 14)).to_bytes(4, "big")
    for at, word in places:
        new = address if word is here else (1024 + (number & 0x3fff)).to_bytes(2, "big")
        one[at : at + len(new)] = new
    batch.append(bytes(one))
    if len(batch) == 400 or number == room - 1:
        s.send(b"".join(batch))
        batch = []
""",
}
"""What is done by hand: see ``Case.hands``."""


def translating(protocol: str, ports: str) -> str:
    return rules(
        "table ip t {\n chain c {\n  type nat hook postrouting priority srcnat;\n"
        f'  oifname "b" meta l4proto {protocol} masquerade to :{ports}\n }}\n}}\n'
    )


ZONED = rules(
    "table ip raw {\n chain c {\n  type filter hook prerouting priority raw;\n"
    '  iifname "a" ct original zone set 1\n }\n}\n'
)
IN_A_SET = rules(
    "table inet t {\n set s {\n  type ipv4_addr;\n  size 1;\n  flags dynamic,timeout;\n"
    "  timeout 1h;\n }\n chain c {\n  type filter hook forward priority 0; policy drop;\n"
    "  add @s { ip saddr } accept\n }\n}\n"
)
TO_ACK = "tcp flags == syn tcp flags set ack"
ANSWERS = "tcp flags & (syn | ack) == syn | ack"
NO_RESET = "tcp flags rst drop"
LATER = "ip frag-off & 0x1fff != 0"
PING = "cli ping -c 1 -W 1 10.2.0.2"

PROXIED = routed(
    gw=rules(
        "table ip t {\n chain first {\n  type filter hook prerouting priority raw;\n"
        "  tcp dport 80 tcp flags syn notrack\n }\n chain second {\n  type filter hook forward"
        " priority 0;\n  tcp dport 80 ct state invalid,untracked synproxy mss 1460 wscale 7"
        " timestamp sack-perm\n }\n}\n"
    ) + ", " + sysctls(net__netfilter__nf_conntrack_tcp_loose=0),
    srv=SERVES,
)  # fmt: skip

CASES = [
    # checksums
    Case("checksum-ip", "dropped", routed(gw=chain("forward", "ip checksum set 1")), at="srv"),
    Case("checksum-icmp", "dropped",
         routed(gw=chain("forward", "icmp type echo-request icmp checksum set 1")), at="srv"),
    *(
        Case(f"checksum-{protocol}", "dropped",
             routed(gw=chain("forward", f"{protocol} checksum set 1"), srv=program(code)), words,
             ("cli ethtool -K eth0 tx off",), "srv")
        for protocol, code, words in (("tcp", READY, TCP), ("udp", BINDS, UDP))
    ),
    Case("checksum-udp", "dropped",
         routed(gw=chain("forward", "udp checksum set 0"), srv=program(
             BINDS.replace("socket.socket(", "socket.socket(10, "))), f"{UDP} -6",
         ("cli ethtool -K eth0 tx off",), "srv", "IPv6 without"),
    # fragments
    Case("reassembly-timeout", "not-reassembled",
         routed(gw=chain("forward", f"{LATER} drop"), srv=sysctls(net__ipv4__ipfrag_time=1)),
         "cli srv --size 3000 --wait 5", at="srv"),
    Case("fragments-no-room", "not-reassembled", routed(
        srv=sysctls(net__ipv4__ipfrag_low_thresh=0, net__ipv4__ipfrag_high_thresh=0)),
         "cli srv --size 3000", at="srv", name="IPv4"),
    Case("fragments-no-room", "not-reassembled", routed(
        srv=sysctls(net__ipv6__ip6frag_low_thresh=0, net__ipv6__ip6frag_high_thresh=0)),
         "cli srv -6 --size 3000", at="srv", name="IPv6"),
    Case("fragments-overlap", "not-reassembled",
         routed(gw=chain("prerouting", f"{LATER} ip frag-off set 100").replace(
             "priority 0", "priority -450")),
         "cli srv --size 2500", at="srv"),
    # TCP
    Case("ttl-too-low", "dropped", routed(srv=listens("s.setsockopt(0, 21, 255)")), TCP, at="srv"),
    Case("tcp-md5", "denied", routed(srv=listens(SIGNED)), TCP, at="srv"),
    Case("syn-cookie-invalid", "refused",
         routed(gw=chain("forward", f"tcp sport 4000 {TO_ACK}"),
                srv=f"{SERVES}, {sysctls(net__ipv4__tcp_syncookies=2)}"),
         FROM_4000, ("cli python CONNECTS",), "srv"),
    Case("tcp-half-open", "dropped", routed(gw=chain("forward", NO_RESET), srv=program(HELD)),
         FROM_4000, at="srv"),
    Case("tcp-time-wait", "dropped",
         routed(srv=f"{program(HANGS_UP)}, {sysctls(net__ipv4__tcp_rfc1337=1)}"), FROM_4000,
         ("cli python AGES",), "srv"),
    Case("tcp-timestamp", "dropped",
         routed(gw=chain("forward", f"{ANSWERS} tcp option timestamp tsecr set 1"), srv=SERVES),
         TCP, at="cli"),
    Case("tcp-out-of-window", "dropped",
         routed(gw=chain("forward", f"{NO_RESET}\n  {TO_ACK}"), srv=program(HELD)), FROM_4000,
         at="srv"),
    Case("no-connection", "refused", routed(gw=chain("forward", TO_ACK), srv=SERVES), TCP,
         at="srv", name="listening"),
    Case("no-connection", "refused", routed(gw=chain("forward", TO_ACK)), TCP, at="srv",
         name="nobody listens"),
    Case("tcp-flags", "dropped",
         routed(gw=chain("forward", "tcp flags == syn tcp flags set fin | syn"), srv=SERVES), TCP,
         at="srv", name="probe"),
    Case("tcp-flags", "dropped",
         routed(gw=chain("forward", f"{ANSWERS} tcp flags set ack"), srv=SERVES), TCP, at="cli",
         name="answer"),
    # sockets
    Case("echo-ignored", "unread", routed(srv=sysctls(net__ipv6__icmp__echo_ignore_all=1)),
         "cli srv -6", at="srv", name="IPv6"),
    Case("syn-queue-full", "unread",
         routed(cli=program(FLOODS), gw=chain("forward", "ip daddr 10.1.0.77 drop"),
                srv=f"{SERVES}, {sysctls(net__ipv4__tcp_syncookies=0)}"), TCP,
         ("srv python DROPS",), "srv"),
    Case("socket-filter", "denied", routed(srv=listens(NOTHING)), TCP, at="srv", name="TCP"),
    Case("socket-filter", "denied", routed(srv=program(f"{BINDS}\n{NOTHING}")), UDP, at="srv",
         name="UDP"),
    Case("listens-elsewhere", "refused", routed(srv=program(LISTENS.replace('""', LOOPBACK))),
         TCP, at="srv", name="loopback"),
    Case("listens-elsewhere", "refused", routed(srv=program(BINDS.replace('""', LOOPBACK))),
         UDP, at="srv", name="UDP"),
    Case("listens-elsewhere", "refused", routed(srv=listens('s.setsockopt(1, 25, b"lo")')), TCP,
         at="srv", name="device"),
    Case("listens-elsewhere", "refused", routed(srv=program(
        READY.replace("socket()", "socket(10)").replace("s.bind", "s.setsockopt(41, 26, 1)\ns.bind"
                                                        ))), TCP, at="srv", name="IPv6 alone"),
    Case("listens-elsewhere", "refused", routed(srv=SERVES), f"{TCP} -6", at="srv",
         name="IPv4 alone"),
    Case("protocol-unknown", "refused",
         routed(gw=chain("forward", "udp dport 53 ip protocol set 99")), UDP, name="IPv4"),
    Case("protocol-unknown", "refused",
         routed(gw=chain("forward", "udp dport 53 ip6 nexthdr set 99")), f"{UDP} -6", name="IPv6"),
    # rules
    Case("synproxy-invalid", "denied",
         routed(cli=chain("output", TO_ACK),
                gw=chain("forward", "tcp dport 80 ct state invalid,untracked synproxy mss 1460"
                                    " wscale 7 timestamp sack-perm")
                + ", " + sysctls(net__netfilter__nf_conntrack_tcp_loose=0), srv=SERVES), TCP),
    Case("masquerade-without-address", "denied", routed(), TCP, (
        "gw nft add table ip t",
        "gw nft add chain ip t c { type nat hook postrouting priority 100 ; }",
        "gw nft add rule ip t c oifname b masquerade",
        "gw ip address del 10.2.0.1/24 dev b", "gw ip address del 10.1.0.1/24 dev a",
        "gw ip address add 10.1.0.1/24 dev a scope host", "gw ip route add 10.2.0.0/24 dev b",
        "gw ip route add 10.1.0.0/24 dev a", "gw ip neigh replace 10.2.0.2 lladdr MAC:srv:eth0"
        " dev b")),
    Case("nft-source-check", "denied",
         routed(gw=chain("prerouting", "fib saddr . iif oif missing drop")
                + ", routes: [{to: 10.1.0.2/32, via: 10.2.0.2}]"), TCP,
         ("cli ip neigh replace 10.1.0.1 lladdr MAC:gw:a dev eth0",)),
    Case("nft-connection-limit", "denied",
         routed(gw=chain("forward", "tcp dport 80 ct count over 1 drop"), srv=SERVES), TCP,
         ("cli python CONNECTS",)),
    Case("nft-quota", "denied", routed(gw=chain("forward", "udp dport 53 quota over 10 bytes drop"
                                                )), UDP),
    Case("nft-log-drop", "denied", routed(gw=chain("forward", 'tcp dport 80 log prefix "x" drop')),
         TCP),
    Case("nft-set-full", "denied", routed(gw=IN_A_SET), hands=("srv ping -c 1 -W 1 10.1.0.2",)),
    Case("nft-policy", "denied", routed(gw=chain(
        "forward", "tcp dport 22 limit rate 1/minute accept\n  icmp type echo-request limit rate"
        " 1/second accept", policy="drop")), TCP, name="others have a rate"),
    # what firewalls remember
    Case("nat-ports-exhausted", "dropped", routed(gw=translating("udp", "5000-5001")), UDP,
         ("cli python BURST",), name="UDP"),
    Case("nat-ports-exhausted", "dropped",
         routed(gw=translating("tcp", "5000"), srv=SERVES), TCP, ("cli python CONNECTS",),
         name="TCP"),
    Case("conntrack-clash", "dropped", routed(gw=ZONED, srv=SERVES), FROM_4000, (
        "cli python CALLS", "gw nft flush chain ip raw c",
        "gw nft add rule ip raw c iifname a ct original zone set 2")),
    Case("conntrack-full", "dropped", routed(gw=chain("forward", "ct state new accept")), UDP,
         ("gw python FILLS",)),
    *(
        Case("xfrm-policy", "denied", routed(), "cli srv",
             (f"{node} ip xfrm policy add dir {way} src 10.1.0.0/24 dst 10.2.0.0/24 action block",),
             node, way)
        for node, way in (("srv", "in"), ("gw", "fwd"), ("cli", "out"))
    ),
    # what only the kernel says
    Case("kernel-drop", "dropped",
         routed(gw=chain("forward", "tcp flags == syn tcp flags set syn | rst"), srv=SERVES), TCP,
         at="srv", name="taken in"),
]  # fmt: skip

COUNTED = (
    "checksum-ip", "checksum-tcp", "checksum-udp", "reassembly-timeout", "fragments-overlap",
    "ttl-too-low", "tcp-md5", "tcp-half-open", "tcp-time-wait", "tcp-timestamp",
    "socket-filter UDP", "nat-ports-exhausted UDP", "conntrack-clash",
    "xfrm-policy in",
)  # fmt: skip
"""Those that are found without the kernel's word as well, by what it counts."""
CASES += [
    replace(
        case,
        words=f"{case.words} --backends nft-trace,taps,counters",
        name=f"{case.name} counted".strip(),
    )
    for case in CASES
    if f"{case.cause} {case.name}".strip() in COUNTED
]
