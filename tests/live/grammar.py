"""Random nftables rules and random packets, for whoever foretells what one makes of the other."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import ip_address
from random import Random

from netlab.firewall.compile import compile_script
from netlab.firewall.parse import parse
from netlab.firewall.problems import RulesetError
from netlab.trace.explain.packet import ACK, FIN, RST, SYN, Packet, exactly

CLIENTS = {4: ["10.1.0.2", "10.1.0.3"], 6: ["fd00:1::2", "fd00:1::3"]}
SERVERS = {4: ["10.2.0.2", "10.2.0.3"], 6: ["fd00:2::2", "fd00:2::3"]}
ROUTER = {4: "10.1.0.1", 6: "fd00:1::1"}
OUTSIDE = {4: "10.2.0.1", 6: "fd00:2::1"}
PORTS = (22, 53, 80, 443, 8080)
FLAGS = (SYN, SYN, SYN, ACK, SYN | ACK, RST, FIN | ACK)
DEVICES = ("lan", "wan")
PROTOCOLS = ("tcp", "udp")
HOOKS = (
    ("prerouting", "raw"), ("prerouting", "mangle"), ("forward", "filter"), ("forward", "-10"),
    ("input", "filter"), ("output", "filter"), ("postrouting", "srcnat"), ("forward", "filter"),
)  # fmt: skip

MARKS = "map marks { type inet_service : mark; elements = { 22 : 1, 80 : 2, 53 : 3 }; }"
LEARNED = (
    "set met { type inet_service; flags dynamic; }",
    "map learned { type inet_service : mark; flags dynamic; }",
)
"""What rules put something into."""
SETS = ("set ports { type inet_service; flags interval; }", MARKS, *LEARNED)


class Grammar:
    """Rules in nft syntax."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def pick(self, *options: str) -> str:
        return self.random.choice(options)

    def ruleset(self) -> str:
        """Two tables, each with chains of its own and some to jump to."""
        families = [self.pick("inet", "inet", "ip", "ip6") for _ in "ab"]
        return "\n".join(self.table(f"t{n}", family) for n, family in enumerate(families))

    def table(self, name: str, family: str) -> str:
        self.family = family
        self.hook = ""
        self.jumps = [f"j{n}" for n in range(self.random.randint(0, 2))]
        ports = self.set_of_ports()
        parts = [f"set ports {{ type inet_service; flags interval; elements = {ports}; }}", MARKS,
                 *LEARNED]
        jumps, self.jumps = self.jumps, []
        for jump in jumps:
            parts.append(f"chain {jump} {{\n{self.rules()}\n}}")
        self.jumps = jumps
        for number in range(self.random.randint(1, 3)):
            hook, priority = self.random.choice(HOOKS)
            policy = self.pick("accept", "accept", "drop")
            head = f"type filter hook {hook} priority {priority}; policy {policy};"
            self.hook = hook
            parts.append(f"chain c{number} {{\n{head}\n{self.rules()}\n}}")
        self.hook = ""
        if self.random.random() < 0.6:
            parts += self.nat_chains()
        inside = "\n".join(parts)
        return f"table {family} {name} {{\n{inside}\n}}\n"

    def rules(self) -> str:
        return "\n".join(self.rule() for _ in range(self.random.randint(1, 6)))

    def rule(self) -> str:
        return self.valid(self._rule)

    def valid(self, make: Callable[[], str]) -> str:
        """One that nft takes, and can read back: of random matches some exclude each other."""
        while True:
            text = make()
            if is_lost(text):
                continue
            parts = [*SETS, *(f"chain {name} {{ }}" for name in self.jumps)]
            whole = "\n".join([f"table {self.family} t {{", *parts, f"chain c {{ {text}; }}", "}"])
            with contextlib.suppress(RulesetError):
                compile_script(parse(whole), links={"lo": 1, "lan": 2, "wan": 3})
                return text

    def _rule(self) -> str:
        matches = [self.match() for _ in range(self.random.randint(0, 3))]
        last = len(matches)
        matches.insert(self.random.choice((self.random.randint(0, last), last)), "counter")
        return " ".join([*matches, self.verdict()])

    def verdict(self) -> str:
        options = ["", "", "accept", "drop", "return", "continue", self.written()]
        options += [f"jump {j}" for j in self.jumps] + [f"goto {j}" for j in self.jumps]
        options.append(self.verdict_map())
        if self.hook in ("input", "forward", "output"):
            options += [self.reject(), self.reject()]
        return self.random.choice(options)

    def reject(self) -> str:
        kinds = ["", "with tcp reset"]
        kinds += ["with icmp host-unreachable"] if self.family != "ip6" else []
        kinds += ["with icmpv6 admin-prohibited"] if self.family != "ip" else []
        kinds += ["with icmpx no-route"] if self.family == "inet" else []
        return f"reject {self.random.choice(kinds)}"

    def nat_chains(self) -> list[str]:
        """Destinations on the way in, sources on the way out."""
        kinds = {"dstnat": ("prerouting", self.destination), "srcnat": ("postrouting", self.source)}
        found = []
        for priority, (hook, make) in kinds.items():
            rules = "\n".join(self.valid(lambda make=make: self.translating(make())) for _ in "ab")  # type: ignore[misc]
            head = f"type nat hook {hook} priority {priority};"
            found.append(f"chain {priority} {{\n{head}\n{rules}\n}}")
        return found

    def translating(self, target: str) -> str:
        version = {"ip": 4, "ip6": 6}.get(self.family) or (6 if "ip6" in target else 4)
        matches = [self.port("")] if ":" in target.replace("fd00:", "").replace("::", "") else []
        matches.append(self.address("", version))
        return " ".join([*matches, "counter", target])

    def destination(self) -> str:
        version = {"ip": 4, "ip6": 6}.get(self.family) or self.random.choice((4, 6))
        family = {4: "ip", 6: "ip6"}[version]
        to, port = self.pick(*SERVERS[version]), self.random.choice(PORTS)
        both = f"{to}:{port}" if version == 4 else f"[{to}]:{port}"
        return self.pick(f"dnat {family} to {to}", f"dnat {family} to {both}",
                         f"redirect to :{port}")  # fmt: skip

    def source(self) -> str:
        version = {"ip": 4, "ip6": 6}.get(self.family) or self.random.choice((4, 6))
        family = {4: "ip", 6: "ip6"}[version]
        return self.pick("masquerade", f"snat {family} to {OUTSIDE[version]}")

    def written(self) -> str:
        return self.pick(
            f"meta mark set {self.random.randint(0, 3)}",
            "meta mark set meta mark | 0x10",
            "meta mark set tcp dport map @marks",
            "meta mark set udp dport map { 53 : 7, 80 : 8 }",
            "ct mark set 5" if self.family == "inet" else "meta mark set 9",
            "meta mark set tcp dport map @learned",
            f"add @learned {{ tcp dport : {self.random.randint(1, 3)} }}",
            f"update @learned {{ tcp dport : {self.random.randint(1, 3)} }}",
            f"{self.pick('add', 'update', 'delete')} @met {{ {self.pick(*PROTOCOLS)} dport }}",
            f"{self.pick('add', 'update')} @met {{ {self.pick(*PROTOCOLS)} dport }}",
        )

    def verdict_map(self) -> str:
        ends = [self.pick("accept", "drop", "continue", "return") for _ in range(3)]
        return self.pick(
            f"tcp dport vmap {{ 22 : {ends[0]}, 80-443 : {ends[1]} }}",
            f"meta l4proto vmap {{ tcp : {ends[0]}, udp : {ends[1]} }}",
            f"udp dport vmap {{ 53 : {ends[0]}, * : {ends[2]} }}",
            f"meta mark vmap {{ 0 : {ends[0]}, 1-5 : {ends[1]} }}",
        )

    def set_of_ports(self) -> str:
        low = self.random.choice(PORTS)
        return f"{{ {self.random.choice(PORTS)}, {low + 1000}-{low + 2000} }}"

    def match(self) -> str:
        operator = self.pick("", "", "", "!= ")
        version = {"ip": 4, "ip6": 6}.get(self.family) or self.random.choice((4, 6))
        return self.random.choice((
            self.port(operator), self.port(operator), self.address(operator, version),
            self.address(operator, version), self.devices(operator), self.meta(operator),
            self.flags(), self.icmp(operator, version), self.ct(), self.concatenated(version),
            self.header(operator, version), self.raw(),
        ))  # fmt: skip

    def port(self, operator: str) -> str:
        protocol, port = self.pick(*PROTOCOLS, "th"), self.random.choice(PORTS)
        if protocol == "th":
            protocol = "meta l4proto { tcp, udp } th"
        return self.pick(
            f"{protocol} dport {operator}{port}",
            f"{protocol} dport {operator}{{ {port}, {self.random.choice(PORTS) + 1} }}",
            f"{protocol} dport {operator}{min(port, 80)}-{max(port, 80)}",
            f"{protocol} dport {operator}@ports",
            f"{protocol} {self.pick('dport', 'sport')} {operator}@met",
            f"{protocol} dport {self.pick('<', '>', '<=', '>=')} {port}",
            f"{protocol} sport {operator}{self.random.randint(1, 60000)}-65000",
        )

    def address(self, operator: str, version: int) -> str:
        field = self.pick("saddr", "daddr")
        own = CLIENTS[version] if field == "saddr" else SERVERS[version]
        address = self.pick(*own, ROUTER[version])
        name, bits = ("ip", self.pick("8", "16", "24", "31", "32")) if version == 4 else (
            "ip6", self.pick("16", "64", "127", "128"))  # fmt: skip
        return self.pick(
            f"{name} {field} {operator}{address}",
            f"{name} {field} {operator}{address}/{bits}",
            f"{name} {field} {operator}{{ {address}, {own[0]} }}" if address != own[0] else
            f"{name} {field} {operator}{address}",
        )  # fmt: skip

    def devices(self, operator: str) -> str:
        word = self.pick("iifname", "oifname", "iif", "oif")
        if word in ("iif", "oif"):
            return f"{word} {operator}{self.pick(*DEVICES, 'lo')}"
        return f'{word} {operator}{self.pick(*(chr(34) + d + chr(34) for d in (*DEVICES, "wa*")))}'

    def meta(self, operator: str) -> str:
        return self.pick(
            f"meta l4proto {operator}{self.pick(*PROTOCOLS, 'icmp', 'icmpv6')}",
            f"meta mark {operator}{self.random.randint(0, 3)}",
            f"meta mark & 0x3 {operator or '== '}{self.random.randint(0, 3)}",
            f"meta length {self.pick('<', '>', '==')} {self.random.randint(40, 120)}",
            "meta iiftype ether",
            f"meta pkttype {operator}host",
            "meta oiftype ether",
            "meta skuid 0",
        )  # fmt: skip

    def flags(self) -> str:
        one, two = self.pick("syn", "ack", "rst"), self.pick("fin", "psh", "urg")
        return self.pick(
            f"tcp flags {one}", f"tcp flags & ({one} | {two}) == {one}", f"tcp flags != {one}",
            f"tcp flags {{ {one}, {two} }}", "tcp flags syn / syn,ack", f"tcp flags ! {one}",
        )  # fmt: skip

    def icmp(self, operator: str, version: int) -> str:
        name = "icmp" if version == 4 else "icmpv6"
        return self.pick(
            f"{name} type {operator}{self.pick('echo-request', 'echo-reply')}",
            f"{name} type {operator}{{ echo-request, destination-unreachable }}",
            f"{name} id {operator}{self.random.randint(1, 5)}",
        )

    def ct(self) -> str:
        return self.pick(
            "ct state new", "ct state established", "ct state invalid",
            "ct state { new, established }", "ct state established,related", "ct state != new",
            "ct direction original", "ct direction reply", "ct status seen-reply", "ct mark 0",
            "ct status confirmed",
        )  # fmt: skip

    def concatenated(self, version: int) -> str:
        name = "ip" if version == 4 else "ip6"
        one, two = self.random.choice(PORTS), self.random.choice(PORTS)
        client, server = self.pick(*CLIENTS[version]), self.pick(*SERVERS[version])
        net = "10.0.0.0/8" if version == 4 else "fd00::/16"
        return self.pick(
            f"{name} saddr . tcp dport {{ {client} . {one}, {server} . {two} }}",
            f"{name} daddr . udp dport {{ {server} . {one}, {net} . {two} }}",
            f"{name} saddr . {name} daddr {{ {client} . {server} }}",
            "iifname . meta mark { lan . 0, wan . 1 }",
        )

    def header(self, operator: str, version: int) -> str:
        if version == 4:
            return self.pick(
                f"ip ttl {self.pick('<', '>', '==')} {self.random.randint(2, 65)}",
                f"ip dscp {operator}{self.pick('ef', 'cs0', 'af11')}",
                f"ip protocol {operator}{self.pick(*PROTOCOLS)}",
                f"ip length {self.pick('<', '>')} 60",
                "ip daddr & 255.0.0.255 == 10.0.0.2",
                "udp length > 20",
            )
        return self.pick(
            f"ip6 hoplimit {self.pick('<', '>')} {self.random.randint(2, 65)}",
            f"ip6 nexthdr {operator}{self.pick(*PROTOCOLS)}",
            f"ip6 dscp {operator}{self.pick('ef', 'cs0')}",
            "udp length > 20",
        )

    def raw(self) -> str:
        return self.pick(
            "meta l4proto udp @th,16,16 80", "meta l4proto tcp @th,0,16 > 1000", "@nh,0,4 4",
            "@nh,64,8 64", "ether daddr 02:00:00:00:00:01", "ether saddr 02:00:00:00:00:02",
        )  # fmt: skip


def is_lost(text: str) -> bool:
    """Whether a listing of it leaves something out, as nft's own does: after a match of Ethernet
    the protocols above it are known by the frame, and that goes unsaid.
    """
    matches, _, reject = text.partition("reject")
    ip = any(word in matches for word in ("icmp", "ip ", "ip6 ", "@nh"))
    ethernet = "iiftype" in matches or "ether " in matches
    return (ethernet and (ip or "with" in reject)) or (ip and "with icmp" in reject)


# packets


@dataclass(frozen=True)
class Sent:
    """A packet, and the bytes that go over the wire."""

    packet: Packet
    number: int

    @property
    def network(self) -> bytes:
        return bytes_of(self.packet, self.number)


def packet(random: Random, number: int) -> Packet:
    """One of many."""
    version = random.choice((4, 6))
    protocol = random.choice(("tcp", "udp", "icmp"))
    servers = [*SERVERS[version], ROUTER[version]]
    plain = Packet(
        ip_address(random.choice(CLIENTS[version])),
        ip_address(random.choice(servers)),
        protocol,
        ttl=random.choice((2, 5, 64)),
        tos=random.choice((0, 0, 0xB8, 0x28)),
        dont_fragment=version == 4,
    )
    extra = random.choice((0, 10, 50))
    return shaped(plain, random, number, extra)


def shaped(plain: Packet, random: Random, number: int, extra: int) -> Packet:
    head = 20 if plain.version == 4 else 40
    if plain.protocol == "icmp":
        name = "icmp" if plain.version == 4 else "icmpv6"
        kind = 8 if plain.version == 4 else 128
        return replace(plain, protocol=name, icmp=(kind, 0), icmp_id=exactly(number % 60000 + 1),
                       length=head + 12 + extra)  # fmt: skip
    ports = {
        "source_port": exactly(1024 + number % 60000),
        "destination_port": exactly(random.choice(PORTS)),
    }
    if plain.protocol == "udp":
        return replace(plain, **ports, length=head + 12 + extra)
    return replace(plain, **ports, flags=random.choice(FLAGS), length=head + 24 + extra)


def answer(random: Random, to: Packet) -> Packet:
    """What the other end might send back."""
    turned = replace(
        to, source=to.destination, destination=to.source, source_port=to.destination_port,
        destination_port=to.source_port, ttl=64,
    )  # fmt: skip
    if to.is_icmp:
        return replace(turned, icmp=({8: 0, 128: 129}[to.icmp[0]], 0))
    return replace(turned, flags=random.choice((SYN | ACK, RST | ACK)) if to.flags else 0)


def is_answered(one: Packet) -> bool:
    """Whether a connection comes of it."""
    return one.protocol != "tcp" or one.flags == SYN


def bytes_of(one: Packet, number: int) -> bytes:
    """Headers with right checksums; what it carries is its number, then zeros."""
    head = 20 if one.version == 4 else 40
    above = _above(one, one.length - head, number)
    if one.version == 6:
        first = 6 << 28 | one.tos << 20
        proto = {"tcp": 6, "udp": 17, "icmpv6": 58}[one.protocol]
        return (struct.pack(">IHBB", first, len(above), proto, one.ttl)
                + one.source.packed + one.destination.packed + above)  # fmt: skip
    proto = {"tcp": 6, "udp": 17, "icmp": 1}[one.protocol]
    flags = 0x4000 if one.dont_fragment else 0
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, one.tos, one.length, number & 0xFFFF, flags, one.ttl,
                     proto, 0, one.source.packed, one.destination.packed)  # fmt: skip
    return ip[:10] + struct.pack(">H", _sum(ip)) + ip[12:] + above


def _above(one: Packet, length: int, number: int) -> bytes:
    mark = struct.pack(">I", number)
    if one.protocol == "tcp":
        head = struct.pack(">HHIIBBHHH", one.source_port.low, one.destination_port.low, 1000, 0,
                           5 << 4, one.flags, 64240, 0, 0)  # fmt: skip
        where, proto = 16, 6
    elif one.protocol == "udp":
        head = struct.pack(">HHHH", one.source_port.low, one.destination_port.low, length, 0)
        where, proto = 6, 17
    else:
        head = struct.pack(">BBHHH", *one.icmp, 0, one.icmp_id.low, 1)
        where, proto = 2, 58
    data = (head + mark).ljust(length, b"\0")
    pseudo = b""
    if one.protocol != "icmp":
        pseudo = one.source.packed + one.destination.packed
        pseudo += struct.pack(">II", length, proto)
    total = _sum(pseudo + data) or 0xFFFF
    return data[:where] + struct.pack(">H", total) + data[where + 2 :]


def _sum(data: bytes) -> int:
    data += b"\0" * (len(data) & 1)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


Seen = tuple[int, str, str, int, int]
"""Number, source, destination and ports of a packet."""


def seen(network: bytes) -> Seen | None:
    """What is known of some bytes; None for a packet without a number."""
    version = network[0] >> 4
    head, proto = (20, network[9]) if version == 4 else (40, network[6])
    above = {6: 20, 17: 8, 1: 8, 58: 8}.get(proto)
    if above is None or (proto in (1, 58) and network[head] not in (0, 8, 128, 129)):
        return None
    found = network[head + above : head + above + 4]
    number = int.from_bytes(found, "big") if len(found) == 4 else 0
    ends = (network[12:16], network[16:20]) if version == 4 else (network[8:24], network[24:40])
    ports = struct.unpack_from(">HH", network, head) if proto in (6, 17) else (0, 0)
    return (number, *(str(ip_address(end)) for end in ends), *ports) if number else None


def as_seen(one: Packet, number: int) -> Seen:
    ports = one.source_port.low, one.destination_port.low
    return (number, str(one.source), str(one.destination), *ports)


PACKET_SOCKET = (socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
