"""What rules ask of a packet → numbers, as far as they are known; None where there is none.

A number that is not known is a ``Span`` with the reason. What nft calls a break (the packet has no
such header, there is no such device), after which a rule does not match, is None here.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from netlab.firewall import syntax as s
from netlab.firewall.datatypes import ADDRTYPE, CT_STATE, CT_STATUS, Type
from netlab.firewall.fields import FIELDS, LINK, NETWORK, PROTOCOLS, Field
from netlab.firewall.loads import field_of, icmp_types, load, type_of
from netlab.firewall.scope import Scope
from netlab.firewall.show_rules import expression
from netlab.trace.explain import layout
from netlab.trace.explain.packet import ARP, NUMBERS, Packet, Span, exactly
from netlab.trace.explain.scene import Nic, Scene

ETHERNET = 1
NFPROTO = {"ip": {4: 2, 6: 10}, "bridge": {4: 7, 6: 7}, "netdev": {4: 5, 6: 5}}
PKTTYPES = {"host": 0, "broadcast": 1, "multicast": 2, "other": 3}
WIDEST = 128
NAME_BYTES = 16


def read(tree: s.Expression, scene: Scene, scope: Scope) -> Span | None:
    """The number of an expression that reads from the packet."""
    if isinstance(tree, s.Selector):
        return _selected(tree, scene)
    if isinstance(tree, s.Raw):
        field = field_of(tree)
        assert field is not None
        return layout.read(scene.packet, *field.where)
    if isinstance(tree, s.Hash):
        last = (tree.offset + tree.modulus - 1) & 0xFFFFFFFF
        return Span(tree.offset, last, f"what {expression(tree)} comes to")
    if isinstance(tree, s.Binary):
        return _computed(tree, scene, scope)
    return unknown(type_of(tree), expression(tree))


def unknown(kind: Type, what: str) -> Span:
    return Span(0, (1 << (kind.bits or WIDEST)) - 1, what)


def keys(tree: s.Expression, scene: Scene, scope: Scope) -> list[Span] | None:
    """Of a concatenation, all parts; None where one of them is not there."""
    parts = tree.parts if isinstance(tree, s.Concat) else (tree,)
    found = [read(whole_field(part, scope), scene, scope) for part in parts]
    known = [each for each in found if each is not None]
    return known if len(known) == len(found) else None


def whole_field(part: s.Expression, scope: Scope) -> s.Expression:
    """``ip dscp >> 2`` is how nft lists a field of bits in a concatenation."""
    if not (isinstance(part, s.Binary) and part.operator == ">>"):
        return part
    if not isinstance(part.left, s.Selector) or not isinstance(part.right, s.Value):
        return part
    shift = load(part.left, 0, scope)[0].shift
    return part.left if shift and part.right.text == str(shift) else part


def _computed(tree: s.Binary, scene: Scene, scope: Scope) -> Span | None:
    left = read(tree.left, scene, scope)
    if left is None:
        return None
    kind = type_of(tree.left)
    if not left.known:
        return unknown(kind, left.why)
    if isinstance(tree.right, s.Selector | s.Raw | s.Hash):
        return unknown(kind, expression(tree))
    by = kind if tree.operator in "&|^" else FIELDS["meta", "mark"].type
    right = scope.number(by, tree.right)
    top = (1 << (kind.bits or WIDEST)) - 1
    return exactly(OPERATORS[tree.operator](left.low, right) & top)


OPERATORS: dict[str, Callable[[int, int], int]] = {
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "<<": lambda a, b: a << min(b, WIDEST),
    ">>": lambda a, b: a >> min(b, WIDEST),
}


def _selected(tree: s.Selector, scene: Scene) -> Span | None:
    field = field_of(tree)
    assert field is not None
    ask = SOURCES.get(field.source)
    if ask is None:
        return unknown(field.type, expression(tree))
    return ask(field, scene)


# headers


def has_header(scene: Scene, protocol: str) -> bool:
    """What nft makes sure of before it reads a field of a header."""
    packet = scene.packet
    base = PROTOCOLS[protocol].base
    if protocol == "th":
        return packet.protocol != ARP
    if base == LINK:
        is_ethernet = scene.layer == "bridge" or _incoming_type(scene) == exactly(ETHERNET)
        return is_ethernet and protocol == "ether"
    if base == NETWORK:
        return protocol == _network(packet)
    return packet.protocol == protocol


def _network(packet: Packet) -> str:
    return ARP if packet.protocol == ARP else {4: "ip", 6: "ip6"}[packet.version]


def _payload(field: Field, scene: Scene) -> Span | None:
    if not has_header(scene, field.words[0]):
        return None
    types = icmp_types(s.Selector(field.words))
    if types and scene.packet.icmp[0] not in types:
        return None
    return layout.read(scene.packet, *field.where)


# meta


def _meta(field: Field, scene: Scene) -> Span | None:
    ask = META.get(field.words[1])
    return ask(scene) if ask else unknown(field.type, " ".join(field.words))


def _length(scene: Scene) -> Span:
    ethernet = 14 if scene.layer == "netdev" and scene.hook == "egress" else 0
    return exactly(scene.packet.length + ethernet)


def _priority(scene: Scene) -> Span:
    if scene.packet.tos and not scene.packet.priority:
        return unknown(FIELDS["meta", "priority"].type, "meta priority")
    return exactly(scene.packet.priority)


def _transport(scene: Scene) -> Span | None:
    number = layout.protocol_number(scene.packet)
    return exactly(number) if number else None


Ask = Callable[[Scene], Span | None]


def _of_device(which: str, ask: Callable[[Nic | None], int | None]) -> Ask:
    def answer(scene: Scene) -> Span | None:
        number = ask(scene.nic(getattr(scene, which)))
        return None if number is None else exactly(number)

    return answer


def text_number(text: str) -> int:
    return int.from_bytes(text.encode()[:NAME_BYTES].ljust(NAME_BYTES, b"\0"), "big")


def _kind(nic: Nic | None) -> int | None:
    return text_number(nic.kind) if nic and nic.kind else None


def _bridge(nic: Nic | None) -> int | None:
    return text_number(nic.bridge) if nic and nic.bridge else None


def _incoming_type(scene: Scene) -> Span | None:
    """After the last routing decision a packet without an incoming device has that of the outgoing
    one (seen on Linux 6.18)."""
    after = scene.hook == "postrouting" and not scene.incoming
    nic = scene.nic(scene.outgoing if after else scene.incoming)
    return exactly(nic.type) if nic else None


def _user(scene: Scene) -> Span | None:
    return None if scene.user is None else exactly(scene.user)


def _clock(part: str) -> Callable[[Scene], Span]:
    def answer(scene: Scene) -> Span:
        now = time.gmtime(scene.seconds)
        told = {
            "time": int(scene.seconds * 10**9),
            "hour": now.tm_hour * 3600 + now.tm_min * 60 + now.tm_sec,
            "day": (now.tm_wday + 1) % 7,
        }
        return exactly(told[part])

    return answer


def _device_rows() -> dict[str, Ask]:
    rows: dict[str, Ask] = {}
    for letter, which in (("i", "incoming"), ("o", "outgoing")):
        rows |= {
            f"{letter}if": _of_device(which, lambda nic: nic.index if nic else 0),
            f"{letter}ifname": _of_device(which, lambda nic: text_number(nic.name if nic else "")),
            f"{letter}iftype": _of_device(which, lambda nic: nic.type if nic else None),
            f"{letter}ifgroup": _of_device(which, lambda nic: nic.group if nic else None),
            f"{letter}ifkind": _of_device(which, _kind),
            f"{letter}brname": _of_device(which, _bridge),
        }
    return rows


META: dict[str, Ask] = {
    **_device_rows(),
    "iiftype": _incoming_type,
    "length": _length,
    "protocol": lambda scene: exactly(scene.packet.ether_type),
    "priority": _priority,
    "mark": lambda scene: exactly(scene.packet.mark),
    "nftrace": lambda scene: exactly(0),
    "nfproto": lambda scene: exactly(NFPROTO[scene.layer][scene.packet.version]),
    "l4proto": _transport,
    "pkttype": lambda scene: exactly(PKTTYPES[scene.to]),
    "skuid": _user,
    "skgid": _user,
    "ipsec": lambda scene: exactly(0),
    "rtclassid": lambda scene: exactly(0) if scene.routed else None,
    "time": _clock("time"),
    "hour": _clock("hour"),
    "day": _clock("day"),
}

# connections


def _ct(field: Field, scene: Scene) -> Span | None:
    key = field.words[-1]
    seen = scene.seen
    if key == "state":
        return exactly(CT_STATE.symbols[seen.state])
    connection = seen.connection
    if connection is None:
        return None
    if key in ("status", "mark", "direction"):
        return exactly(
            {
                "mark": connection.mark,
                "direction": 0 if seen.direction == "original" else 1,
                "status": _status(scene),
            }[key]
        )
    if key in ("zone", "label"):
        return exactly(0)
    if key == "helper":
        return None
    return _of_tuple(field, scene)


def _status(scene: Scene) -> int:
    connection = scene.seen.connection
    assert connection is not None
    bits = CT_STATUS.symbols
    said = {
        "seen-reply": connection.answered,
        "confirmed": connection.confirmed,
        "snat": connection.source_nat,
        "dnat": connection.destination_nat,
    }
    return sum(bits[word] for word, holds in said.items() if holds)


def _of_tuple(field: Field, scene: Scene) -> Span | None:
    connection = scene.seen.connection
    assert connection is not None
    words = field.words
    if len(words) < 3 and words[-1] not in ("l3proto", "protocol"):
        return unknown(field.type, " ".join(words))
    way = connection.reply if "reply" in words else connection.original
    version = way.source.version
    if words[-2] in ("ip", "ip6") and version != {"ip": 4, "ip6": 6}[words[-2]]:
        return None
    match words[-1]:
        case "saddr":
            return exactly(int(way.source))
        case "daddr":
            return exactly(int(way.destination))
        case "l3proto":
            return exactly(NFPROTO["ip"][version])
        case "protocol":
            return exactly(NUMBERS.get(way.protocol, 0))
        case "proto-src":
            return way.source_port
        case "proto-dst":
            return way.destination_port
    return unknown(field.type, " ".join(words))


# routes


def _fib(field: Field, scene: Scene) -> Span | None:
    flags, result = field.words[1].split(" . "), field.words[2]
    packet = scene.packet
    address = packet.source if "saddr" in flags else packet.destination
    other = packet.destination if "saddr" in flags else packet.source
    device = scene.incoming if "iif" in flags else scene.outgoing if "oif" in flags else ""
    if scene.fib is None or scene.address_type is None:
        return unknown(field.type, " ".join(field.words))
    if result == "type":
        return exactly(ADDRTYPE.symbols[scene.address_type(address, device)])
    if scene.hook == "prerouting" and scene.incoming == "lo":
        way = "lo"
    else:
        mark = packet.mark if "mark" in flags else 0
        way = scene.fib(address, other, device, mark).device
    if result == "oifname":
        return exactly(text_number(way))
    nic = scene.nic(way)
    return exactly(nic.index if nic else 0)


def fib_finds(tree: s.Selector, scene: Scene) -> bool | None:
    """``fib … exists``; None where that is not known."""
    field = field_of(tree)
    assert field is not None
    found = _fib(field, scene)
    return None if found is None or not found.known else bool(found.low)


SOURCES: dict[str, Callable[[Field, Scene], Span | None]] = {
    "payload": _payload, "meta": _meta, "ct": _ct, "fib": _fib,
}  # fmt: skip
