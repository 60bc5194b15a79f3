"""Words of pcap-filter(7) → a tree, or one sentence about what is wrong and at which column."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address, ip_network
from socket import getservbyname
from typing import Literal, NamedTuple, NoReturn, cast

from netlab.model.guess import meant
from netlab.trace.filters.tree import (
    And,
    Bound,
    Bytes,
    Cast,
    Direction,
    Expression,
    Hosts,
    Is,
    Length,
    Mac,
    Network,
    Not,
    Or,
    Ports,
    Proto,
    Relation,
    Vlan,
)

AND, OR, NOT = ("and", "&&"), ("or", "||"), ("not", "!")
LAYERS = ("ether", "ip", "ip6", "arp", "rarp")
CARRIED = ("tcp", "udp", "sctp", "icmp", "icmp6", "igmp", "esp", "ah")
SORTS = ("host", "net", "port", "portrange", "proto")
OTHERS = ("vlan", "broadcast", "multicast", "inbound", "outbound", "less", "greater", "len")
SIDES = ("src", "dst")
KEYWORDS = frozenset((*LAYERS, *CARRIED, *SORTS, *OTHERS, *SIDES, "and", "or", "not"))
"""Words that mean something; a node of such a name is written after ``host`` all the same."""

ETHERTYPES = {
    "ip": 0x0800, "ip6": 0x86DD, "arp": 0x0806, "rarp": 0x8035, "stp": 0x42, "lldp": 0x88CC,
    "mpls": 0x8847, "loopback": 0x9000,
}  # fmt: skip
NUMBERS = {
    "icmp": 1, "igmp": 2, "ipip": 4, "tcp": 6, "udp": 17, "ip6": 41, "gre": 47, "esp": 50,
    "ah": 51, "icmp6": 58, "ospf": 89, "pim": 103, "vrrp": 112, "sctp": 132,
}  # fmt: skip
OFFSETS = {"tcpflags": 13, "icmptype": 0, "icmpcode": 1, "icmp6type": 0, "icmp6code": 1}
CONSTANTS = {
    "tcp-fin": 1, "tcp-syn": 2, "tcp-rst": 4, "tcp-push": 8, "tcp-ack": 16, "tcp-urg": 32,
    "tcp-ece": 64, "tcp-cwr": 128,
    "icmp-echoreply": 0, "icmp-unreach": 3, "icmp-sourcequench": 4, "icmp-redirect": 5,
    "icmp-echo": 8, "icmp-routeradvert": 9, "icmp-routersolicit": 10, "icmp-timxceed": 11,
    "icmp-paramprob": 12, "icmp-tstamp": 13, "icmp-tstampreply": 14,
    "icmp6-destinationrunreach": 1, "icmp6-packettoobig": 2, "icmp6-timeexceeded": 3,
    "icmp6-parameterproblem": 4, "icmp6-echo": 128, "icmp6-echoreply": 129,
    "icmp6-routersolicit": 133, "icmp6-routeradvert": 134, "icmp6-neighborsolicit": 135,
    "icmp6-neighboradvert": 136, "icmp6-redirect": 137,
}  # fmt: skip
RELATIONS = {"=": "==", "==": "==", "!=": "!=", ">": ">", "<": "<", ">=": ">=", "<=": "<="}
SIZES = {"1": 1, "2": 2, "4": 4}
HIGHEST_PORT = 65535
HIGHEST_VLAN = 4095
MAC = re.compile(r"[0-9A-Fa-f]{1,2}(:[0-9A-Fa-f]{1,2}){5}")
TOKEN = re.compile(r"\s*(&&|\|\||[!<>=]=|[()!<>=&|\[\]]|\\?[\w.:/%+-]+|\S)")


class WrongFilter(ValueError):
    """What is wrong, at which column (from 1) of the text."""

    def __init__(self, sentence: str, column: int) -> None:
        super().__init__(f"column {column}: {sentence}")
        self.column = column


def parse(text: str, nodes: Mapping[str, Sequence[str]]) -> Expression | None:
    """None for an empty text. ``nodes``: their addresses. Raises WrongFilter."""
    reader = Reader(text, nodes)
    if reader.is_at_end:
        return None
    found = _expression(reader)
    if not reader.is_at_end:
        guess = meant(reader.word, KEYWORDS)
        told = f"expected `and` or `or` before {reader.word!r}"
        reader.fail(told + (f"; {guess}" if guess else ""))
    return found


class Token(NamedTuple):
    word: str
    column: int


class Sort(NamedTuple):
    """What stands before an address or a number, and tells what it is."""

    protocol: str = ""
    direction: Direction = ""
    kind: str = "host"
    column: int = 0


class Reader:
    """The words, and how far one is."""

    def __init__(self, text: str, nodes: Mapping[str, Sequence[str]]) -> None:
        self._tokens = [Token(m[1], m.start(1) + 1) for m in TOKEN.finditer(text)]
        self._end = Token("", len(text.rstrip()) + 1)
        self._at = 0
        self.nodes = nodes
        self.sort = Sort()
        """Of the last address or number: one that stands alone is of the same."""

    @property
    def word(self) -> str:
        """The next one; "" at the end."""
        return self._token.word

    @property
    def column(self) -> int:
        return self._token.column

    @property
    def is_at_end(self) -> bool:
        return self._at == len(self._tokens)

    @property
    def _token(self) -> Token:
        return self._end if self.is_at_end else self._tokens[self._at]

    def take(self, *wanted: str) -> str:
        """The next word, if it is one of these; else "" """
        word = self.word
        if word not in wanted:
            return ""
        self._at += 1
        return word

    def any(self, expected: str) -> Token:
        """The next word, whatever it is; there has to be one."""
        token = self._token
        if not token.word or token.word in (*AND, *OR, ")"):
            self.fail(f"expected {expected}" + (f", not {token.word!r}" if token.word else ""))
        self._at += 1
        return token

    def expect(self, word: str) -> None:
        if not self.take(word):
            self.fail(f"expected {word!r}" + (f", not {self.word!r}" if self.word else ""))

    def fail(self, sentence: str, column: int = 0) -> NoReturn:
        """At the next word, unless said otherwise."""
        raise WrongFilter(sentence, column or self._token.column)


def _expression(reader: Reader) -> Expression:
    found = _term(reader)
    while joined := reader.take(*AND, *OR):
        found = (And if joined in AND else Or)(found, _term(reader))
    return found


def _term(reader: Reader) -> Expression:
    if reader.take(*NOT):
        return Not(_term(reader))
    if reader.take("("):
        found = _expression(reader)
        reader.expect(")")
        return found
    return _primitive(reader)


def _primitive(reader: Reader) -> Expression:
    for word, read in PLAIN.items():
        if reader.take(word):
            return read(reader)
    column = reader.column
    protocol = reader.take(*LAYERS, *CARRIED)
    if protocol and reader.word == "[":
        return _bytes(reader, protocol)
    if protocol in ("ether", "ip", "ip6") and (kind := reader.take("broadcast", "multicast")):
        return _cast(reader, protocol, kind)
    direction = _direction(reader)
    kind = reader.take(*SORTS)
    if protocol and not direction and not kind:
        return _alone(reader, protocol)
    if protocol or direction or kind:
        reader.sort = Sort(protocol, direction, kind or "host", column)
        return _ids(reader)
    return _bare(reader)


def _direction(reader: Reader) -> Direction:
    side = reader.take(*SIDES)
    if not side or reader.word not in (*AND, *OR):
        return cast(Direction, side)
    joined = reader.take(*AND, *OR)
    if reader.take(*SIDES) in ("", side):
        reader.fail(f"after `{side} {joined}` comes `{'dst' if side == 'src' else 'src'}`")
    return "src and dst" if joined in AND else ""


def _alone(reader: Reader, protocol: str) -> Expression:
    if protocol == "ether":
        reader.any("`host`, `proto`, `broadcast` or `multicast` after `ether`")
        reader.fail("`ether` is followed by `host`, `proto`, `broadcast` or `multicast`")
    return Is(protocol)


def _bare(reader: Reader) -> Expression:
    """An address or a number of the sort that came before."""
    word = reader.word
    known = word in reader.nodes or word[:1].isdigit() or ":" in word or word == "("
    if word and not known and reader.sort.kind == "host":
        guess = meant(word, (*sorted(KEYWORDS), *reader.nodes)) if word.isalnum() else ""
        reader.fail(f"{word!r} means nothing here" + (f"; {guess}" if guess else ""))
    return _id(reader)


def _ids(reader: Reader) -> Expression:
    """One, or several in parentheses: ``port (80 or 443)``."""
    if not reader.take("("):
        return _id(reader)
    found = _ids(reader)
    while joined := reader.take(*AND, *OR):
        found = (And if joined in AND else Or)(found, _ids(reader))
    reader.expect(")")
    return found


def _id(reader: Reader) -> Expression:
    return READERS[reader.sort.kind](reader, reader.sort)


def _host(reader: Reader, sort: Sort) -> Expression:
    if sort.protocol == "ether":
        return _mac(reader, sort)
    _check_protocol(reader, sort, LAYERS)
    token = reader.any("an address or a node")
    addresses = reader.nodes.get(token.word)
    if addresses is None:
        addresses = (token.word,)
    elif not addresses:
        reader.fail(f"node {token.word} has no address", token.column)
    found = [_address(reader, token, text) for text in addresses]
    return _of_family(reader, sort, token, found)


def _address(reader: Reader, token: Token, text: str) -> Network:
    try:
        if ":" in text:
            return Network(6, int(IPv6Address(text)), 128)
        return Network(4, int(IPv4Address(text)), 32)
    except AddressValueError:
        guess = meant(text, reader.nodes)
        reader.fail(
            f"{text!r} is no address, and no node" + (f"; {guess}" if guess else ""), token.column
        )


def _of_family(reader: Reader, sort: Sort, token: Token, found: list[Network]) -> Expression:
    family = {"ip6": 6, "": 0}.get(sort.protocol, 4)
    fitting = tuple(n for n in found if family in (0, n.family))
    if not fitting:
        reader.fail(f"{token.word} has no address of IPv{family}", token.column)
    return Hosts(sort.direction, fitting, sort.protocol)


def _mac(reader: Reader, sort: Sort) -> Expression:
    token = reader.any("a MAC")
    if not MAC.fullmatch(token.word):
        reader.fail(f"{token.word!r} is no MAC: write 02:00:00:00:00:01", token.column)
    octets = [part.zfill(2) for part in token.word.split(":")]
    return Mac(sort.direction, bytes.fromhex("".join(octets)))


def _net(reader: Reader, sort: Sort) -> Expression:
    _check_protocol(reader, sort, LAYERS[1:])
    token = reader.any("a network, as 10.0.0.0/8")
    text = token.word
    if reader.take("mask"):
        text = f"{text}/{reader.any('a mask, as 255.0.0.0').word}"
    elif ":" not in text and "/" not in text and text.count(".") < 3:
        parts = text.split(".")  # 10 is 10.0.0.0/8
        text = f"{'.'.join(parts + ['0'] * (4 - len(parts)))}/{8 * len(parts)}"
    try:
        network = ip_network(text)
    except ValueError as problem:
        beyond = "host bits" in str(problem)
        told = "has bits set beyond its mask" if beyond else "is no network: write 10.0.0.0/8"
        reader.fail(f"{text!r} {told}", token.column)
    address = int(network.network_address)
    found = Network(6 if network.version == 6 else 4, address, network.prefixlen)
    return _of_family(reader, sort, token, [found])


def _port(reader: Reader, sort: Sort) -> Expression:
    _check_protocol(reader, sort, CARRIED[:3])
    token = reader.any("a port")
    port = _port_number(reader, token, token.word, sort.protocol)
    return Ports(sort.direction, port, port, sort.protocol)


def _portrange(reader: Reader, sort: Sort) -> Expression:
    _check_protocol(reader, sort, CARRIED[:3])
    token = reader.any("ports, as 1000-2000")
    first, dash, last = token.word.partition("-")
    if not dash:
        reader.fail(f"{token.word!r} is no range of ports: write 1000-2000", token.column)
    ends = [_port_number(reader, token, text, sort.protocol) for text in (first, last)]
    return Ports(sort.direction, min(ends), max(ends), sort.protocol)


def _port_number(reader: Reader, token: Token, text: str, protocol: str) -> int:
    if text.isdigit():
        if int(text) > HIGHEST_PORT:
            reader.fail(f"{text} is no port: they go up to {HIGHEST_PORT}", token.column)
        return int(text)
    try:
        return getservbyname(text, protocol) if protocol else getservbyname(text)
    except OSError:
        reader.fail(f"{text!r} is no port, and no service of /etc/services", token.column)


def _proto(reader: Reader, sort: Sort) -> Expression:
    _check_protocol(reader, sort, ("ether", "ip", "ip6"))
    known = ETHERTYPES if sort.protocol == "ether" else NUMBERS
    token = reader.any("a protocol's number or name")
    name = token.word.removeprefix("\\")
    most = 0xFFFF if sort.protocol == "ether" else 0xFF
    number = known.get(name)
    if number is None:
        number = _number(reader, token, most, f"names: {', '.join(known)}")
    return Proto(sort.protocol, number)


def _check_protocol(reader: Reader, sort: Sort, fitting: Sequence[str]) -> None:
    if sort.protocol and sort.protocol not in fitting:
        few = ", ".join(f"`{name}`" for name in fitting)
        reader.fail(
            f"`{sort.kind}` goes with {few}, or with none of them; "
            f"write `{sort.protocol} and {sort.kind} …`",
            sort.column,
        )


def _number(reader: Reader, token: Token, most: int, hint: str = "") -> int:
    try:
        number = int(token.word, 0)
    except ValueError:
        reader.fail(f"{token.word!r} is no number" + (f"; {hint}" if hint else ""), token.column)
    if not 0 <= number <= most:
        reader.fail(f"{token.word} is not between 0 and {most}", token.column)
    return number


def _vlan(reader: Reader) -> Expression:
    if not reader.word[:1].isdigit():
        return Vlan(None)
    return Vlan(_number(reader, reader.any("a VLAN"), HIGHEST_VLAN))


def _cast(reader: Reader, layer: str, kind: str) -> Expression:
    if kind == "broadcast" and layer != "ether":
        other = " or `ip6 multicast`" if layer == "ip6" else " or `host 10.0.0.255`"
        reader.fail(f"`{layer} broadcast` is not known here; write `ether broadcast`{other}")
    layers = cast(Literal["ether", "ip", "ip6"], layer)
    return Cast(layers, cast(Literal["broadcast", "multicast"], kind))


def _length(reader: Reader, relation: Relation) -> Expression:
    return Length(relation, _number(reader, reader.any("a number of bytes"), 0xFFFFFFFF))


def _bytes(reader: Reader, protocol: str) -> Expression:
    offset, size = _place(reader)
    mask = _value(reader) if reader.take("&") else 0xFFFFFFFF
    return Bytes(protocol, offset, size, mask, _relation(reader), _value(reader))


def _place(reader: Reader) -> tuple[int, Literal[1, 2, 4]]:
    """``[OFFSET]`` or ``[OFFSET:SIZE]``."""
    reader.expect("[")
    first = reader.any("an offset")
    text = first.word
    while not reader.take("]"):
        text += reader.any("']'").word
    offset, colon, size = text.partition(":")
    if colon and size not in SIZES:
        reader.fail(f"{size!r} bytes cannot be compared: 1, 2 or 4 can", first.column)
    at = OFFSETS.get(offset)
    if at is None:
        names = f"names: {', '.join(OFFSETS)}"
        at = _number(reader, Token(offset, first.column), 0xFFFF, names)
    return at, cast(Literal[1, 2, 4], SIZES.get(size, 1))


def _relation(reader: Reader) -> Relation:
    found = reader.take(*RELATIONS)
    if not found:
        reader.fail(f"expected one of {' '.join(RELATIONS)}")
    return cast(Relation, RELATIONS[found])


def _value(reader: Reader) -> int:
    """A number, a name for one, or several of them joined by ``|`` in parentheses."""
    if reader.take("("):
        values = [_value(reader)]
        while reader.take("|"):
            values.append(_value(reader))
        reader.expect(")")
        return reduce(int.__or__, values)
    token = reader.any("a number")
    if token.word in CONSTANTS:
        return CONSTANTS[token.word]
    guess = meant(token.word, CONSTANTS)
    return _number(reader, token, 0xFFFFFFFF, guess)


PLAIN: dict[str, Callable[[Reader], Expression]] = {
    "vlan": _vlan,
    "inbound": lambda reader: Bound(False),
    "outbound": lambda reader: Bound(True),
    "broadcast": lambda reader: Cast("ether", "broadcast"),
    "multicast": lambda reader: Cast("ether", "multicast"),
    "less": lambda reader: _length(reader, "<="),
    "greater": lambda reader: _length(reader, ">="),
    "len": lambda reader: _length(reader, _relation(reader)),
}
"""What is told by its first word, and how the rest of it is read."""

READERS: dict[str, Callable[[Reader, Sort], Expression]] = {
    "host": _host,
    "net": _net,
    "port": _port,
    "portrange": _portrange,
    "proto": _proto,
}


def is_filter(word: str) -> bool:
    """Whether a filter can begin with the word, or is all of it."""
    first = next(iter(TOKEN.findall(word)), "")
    return first in KEYWORDS or first in ("!", "(") or first != word or _is_address(word)


def _is_address(word: str) -> bool:
    try:
        return bool(ip_address(word))
    except ValueError:
        return False
