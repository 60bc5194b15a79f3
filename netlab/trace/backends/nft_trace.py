"""nftables' own trace (``meta nftrace``): every hook, every rule that matched, in order.

In each namespace a table of chains at the first and the last priority of every hook marks the
packets of the probe; empty chains tell, by the message of their policy, that a packet came so far
and what its headers were then. Where somebody else tells that already (``Scene.hooked``), only
where a packet is first met chains are put in, and only beside such as are there: each is in the way
of every packet. The table has the owner flag: it goes with the socket that made it,
however that ends (linux/netfilter/nf_tables.h, NFT_TABLE_F_OWNER, Linux 5.12). Messages:
net/netfilter/nf_tables_trace.c.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from netlab.firewall import ops
from netlab.firewall.held import OF_TRACES
from netlab.firewall.wire import attributes, each, nest, number, string, text, u32
from netlab.kernel.wire import dump, open_socket
from netlab.trace.backends.base import Backend, CannotWatch, Scene
from netlab.trace.choice import Choice
from netlab.trace.cookie import Mark, marks, table_name
from netlab.trace.filters.meaning import NUMBERS, WITH_PORTS
from netlab.trace.filters.tree import And, Bytes, Expression, Is, Or, Ports, Proto
from netlab.trace.sighting import Sighting

NETLINK_NETFILTER = 12
NFNLGRP_NFTRACE = 9
SOL_NETLINK, NETLINK_ADD_MEMBERSHIP = 270, 1
SUBSYSTEM = 10 << 8
NEWTABLE, DELTABLE, NEWCHAIN, GETCHAIN, NEWRULE, TRACE = (
    SUBSYSTEM | n for n in (0, 2, 3, 4, 6, 17)
)
BATCH_BEGIN, BATCH_END, ERROR = 0x10, 0x11, 2
REQUEST, ACK, CREATE, APPEND = 1, 4, 0x400, 0x800
OWNER = 2

FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
INET, NETDEV, BRIDGE = 1, 5, 7
IP = frozenset({"inet", "ip", "ip6"})
HOOKS = ("prerouting", "input", "forward", "output", "postrouting")
NETDEV_HOOKS = ("ingress", "egress")
ENTRIES = ("prerouting", "output")
"""Hooks in which a packet is first met."""
FIRST, LAST = -2_000_000_000, 2_000_000_000
"""Before all that users write, after all of it, and before connections are confirmed."""
MOST_DEVICES = 256
"""Of one chain (NFT_NETDEVICE_MAX)."""
L4PROTO, NFTRACE, TRANSPORT = 16, 12, 2

POINTS = {1: "policy", 2: "return", 3: "rule"}
VERDICTS = {
    0: "drop", 1: "accept", 2: "stolen", 3: "queue", 4: "repeat", 5: "stop",
    0xFFFFFFFF: "continue", 0xFFFFFFFE: "break", 0xFFFFFFFD: "jump", 0xFFFFFFFC: "goto",
    0xFFFFFFFB: "return",
}  # fmt: skip
STATES = {1: "invalid", 2: "established", 4: "related", 8: "new", 64: "untracked"}


Internet: TypeAlias = Literal["all", "entries", "none"]
"""At which of IP's hooks chains tell that it came so far: all, where it is first met, none."""


Condition: TypeAlias = Sequence[bytes]
"""Expressions of a rule that go on only where the packet is meant."""


def of_mark(mark: Mark) -> Condition:
    return (
        ops.meta(0, L4PROTO),
        ops.compare(0, ops.EQ, bytes((mark.protocol,))),
        ops.payload(0, TRANSPORT, mark.offset, 4),
        ops.compare(0, ops.EQ, mark.value.to_bytes(4, "big")),
    )


def of_choice(choice: Choice) -> list[Condition]:
    """By protocol alone: in the node that rewrites a packet, the rest is another matter."""
    rate = ops.limit(choice.most, 1, choice.most, 0, 0)
    numbers = protocols(choice)
    if not numbers:
        return [(rate,)]
    return [
        (ops.meta(0, L4PROTO), ops.compare(0, ops.EQ, bytes((number,))), rate)
        for number in numbers
    ]


def protocols(choice: Choice) -> list[int]:
    """That a packet has to be of; none where the filter does not say."""
    found = None if choice.expression is None else _protocols(choice.expression)
    return sorted(found or ())


def _protocols(expression: Expression) -> set[int] | None:
    match expression:
        case And(left, right):
            first, second = _protocols(left), _protocols(right)
            return first if second is None else second if first is None else first & second
        case Or(left, right):
            first, second = _protocols(left), _protocols(right)
            return None if first is None or second is None else first | second
        case Is(protocol) if protocol in NUMBERS:
            return {NUMBERS[protocol]}
        case Ports(protocol=protocol) | Bytes(protocol=protocol) if protocol in NUMBERS:
            return {NUMBERS[protocol]}
        case Ports():
            return {NUMBERS[name] for name in WITH_PORTS}
        case Proto(layer="ip" | "ip6" | "", number=number):
            return {number}
    return None


# the table


def chain_name(hook: str, which: str) -> str:
    return f"{hook}_{which}"


@dataclass(frozen=True)
class Message:
    kind: int
    family: int
    body: bytes
    flags: int = CREATE


def tables(
    cookie: int,
    found: Sequence[Condition],
    devices: Sequence[str],
    bridged: bool,
    egress: bool,
    ip: Internet = "all",
) -> Iterator[Message]:
    """All that is put into one namespace."""
    name = table_name(cookie)
    families = [*([INET] if ip != "none" else []), *([BRIDGE] if bridged else [])]
    for family in families:
        yield _table(family, name)
        for place, hook in enumerate(HOOKS):
            if family == INET and ip == "entries" and hook not in ENTRIES:
                continue
            yield _chain(family, name, chain_name(hook, "first"), place, FIRST)
            if family != INET or ip == "all":
                yield _chain(family, name, chain_name(hook, "last"), place, LAST)
        for hook in ENTRIES:
            yield from _rules(family, name, chain_name(hook, "first"), found)
    if devices:
        yield _table(NETDEV, name)
        for place, hook in enumerate(NETDEV_HOOKS if egress else NETDEV_HOOKS[:1]):
            for start in range(0, len(devices), MOST_DEVICES):
                some = devices[start : start + MOST_DEVICES]
                chain = chain_name(hook, "first") + (f"_{start}" if start else "")
                yield _chain(NETDEV, name, chain, place, FIRST, some)
                yield from _rules(NETDEV, name, chain, found)


def _table(family: int, name: str) -> Message:
    return Message(NEWTABLE, family, text(1, name) + u32(2, OWNER))


def _chain(
    family: int, table: str, name: str, hook: int, priority: int, devices: Sequence[str] = ()
) -> Message:
    where = nest(4, *(text(1, device) for device in devices)) if devices else b""
    hooked = nest(4, u32(1, hook), u32(2, priority), where)
    return Message(
        NEWCHAIN, family, text(1, table) + text(3, name) + hooked + u32(5, 1) + text(7, "filter")
    )


def _rules(family: int, table: str, chain: str, found: Sequence[Condition]) -> Iterator[Message]:
    for condition in found:
        expressions = nest(
            4, *condition, ops.immediate(0, b"\1"), ops.meta_write(0, NFTRACE)
        )
        body = text(1, table) + text(2, chain) + expressions
        yield Message(NEWRULE, family, body, CREATE | APPEND)


def encode(messages: Sequence[Message]) -> bytes:
    """One transaction; its end is acknowledged."""
    last = len(messages)
    parts = [_head(BATCH_BEGIN, REQUEST, 0, 0, b"", 10)]
    for place, message in enumerate(messages, 1):
        flags = message.flags | REQUEST | (ACK if place == last else 0)
        parts.append(_head(message.kind, flags, place, message.family, message.body))
    return b"".join([*parts, _head(BATCH_END, REQUEST, last + 1, 0, b"", 10)])


def _head(kind: int, flags: int, place: int, family: int, body: bytes, resource: int = 0) -> bytes:
    whole = struct.pack(">BBH", family, 0, resource) + body
    return struct.pack("=IHHII", 16 + len(whole), kind, flags, place, 0) + whole


# the socket


def _listen() -> socket.socket:
    """In the namespace that the calling thread stands in. Raises OSError."""
    sock = open_socket(NETLINK_NETFILTER)
    try:
        sock.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTRACE)
    except BaseException:
        sock.close()
        raise
    return sock


def _commit(sock: socket.socket, messages: Sequence[Message]) -> None:
    """Raises OSError with the kernel's first refusal; nothing of it is there then."""
    sock.send(encode(messages))
    while True:
        for kind, place, body in split(sock.recv(1 << 17)):
            if kind != ERROR:
                continue
            code = -struct.unpack_from("=i", body)[0]
            if code:
                raise OSError(code, os.strerror(code))
            if place == len(messages):
                return


def split(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Messages of one receive: kind, sequence number, body."""
    at = 0
    while at + 16 <= len(data):
        length, kind, _, place, _ = struct.unpack_from("=IHHII", data, at)
        if length < 16:
            return
        yield kind, place, data[at + 16 : at + length]
        at += (length + 3) & ~3


@dataclass
class Ear:
    """The socket of one namespace, and the names of its devices."""

    node: str
    socket: socket.socket
    names: Mapping[int, str]
    families: tuple[int, ...]
    hooks: Mapping[tuple[str, str, str], str] = field(default_factory=dict)
    """Where the node's own base chains stand, by family, table and name."""


@dataclass
class Listening:
    """See ``netlab.trace.backends.base.Watch``."""

    cookie: int
    ears: Mapping[int, Ear]
    """By file descriptor."""
    lost: set[str] = field(default_factory=set)
    blind: str = ""

    def files(self) -> Sequence[int]:
        return list(self.ears)

    def read(self) -> list[Sighting]:
        return [seen for ear in self.ears.values() for seen in self._of(ear)]

    def _of(self, ear: Ear) -> Iterator[Sighting]:
        while True:
            try:
                data = ear.socket.recv(1 << 17, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError as problem:
                if problem.errno != errno.ENOBUFS:
                    raise
                self.lost.add(ear.node)
                continue
            for kind, _, body in split(data):
                if kind == TRACE:
                    seen = decode(body, ear.node, ear.names)
                    hook = ear.hooks.get((seen.family, seen.table, seen.chain), "")
                    yield replace(seen, hook=hook) if hook else seen

    def end(self, seen: Sequence[Sighting]) -> list[Sighting]:
        return self.read()

    def gaps(self) -> list[str]:
        lost = [f"nftables said more in {node} than could be read" for node in sorted(self.lost)]
        return [*lost, *([self.blind] if self.blind else [])]

    def close(self) -> None:
        """All tables go before the first socket does, and the sockets side by side.

        Each waits until the kernel has done with what was deleted, for a grace period.
        """
        name = table_name(self.cookie)
        for ear in self.ears.values():
            gone = [Message(DELTABLE, family, text(1, name), 0) for family in ear.families]
            with contextlib.suppress(OSError):
                ear.socket.send(encode(gone))
        with ThreadPoolExecutor(min(64, len(self.ears) or 1)) as pool:
            list(pool.map(lambda ear: ear.socket.close(), self.ears.values()))


def watch(scene: Scene) -> Listening:
    found = [of_mark(m) for m in marks(scene.probe, tunnels=scene.terrain.has_tunnels)]
    if scene.choice is not None:
        found = of_choice(scene.choice)
    spots = scene.terrain.spots
    bridged = {
        spot.ns
        for spot in spots.values()
        if spot.role == "switch" or any(d.bridge or d.kind == "bridge" for d in spot.devices)
    }
    names = {spot.ns: spot.name for spot in spots.values()}
    ears: list[Ear] = []

    def open_in(ns: str) -> None:
        devices = dict(socket.if_nameindex())
        hooked = [name for name in devices.values() if name != "lo"]
        ip: Internet = "all"
        chains: Mapping[tuple[str, str, str], str] = {}
        is_bridged = ns in bridged
        if names[ns] in scene.hooked:
            chains = base_chains()
            ip = "entries" if any(family in IP for family, _, _ in chains) else "none"
            if scene.choice is not None:  # of many packets, what no rule sees is not told of
                is_bridged = any(family == "bridge" for family, _, _ in chains)
            if not any(hook in NETDEV_HOOKS for hook in chains.values()):
                hooked = []
            if ip == "none" and not is_bridged and not hooked:
                return
        sock = _listen()
        try:
            families = _install(sock, scene.probe.cookie, found, hooked, is_bridged, ip)
        except BaseException:
            sock.close()
            raise
        ears.append(Ear(names[ns], sock, devices, families, chains))

    try:
        scene.visits.each({ns: (lambda ns=ns: open_in(ns)) for ns in names})  # type: ignore[misc]
    except OSError as problem:
        for ear in ears:
            ear.socket.close()
        raise CannotWatch(_why(problem)) from problem
    told = scene.hooked
    blind = all(NETDEV in ear.families or ear.node in told for ear in ears)
    by_file = {e.socket.fileno(): e for e in ears}
    return Listening(scene.probe.cookie, by_file, blind="" if blind else NO_NETDEV)


NO_NETDEV = "this kernel shows nothing of netdev chains (CONFIG_NETFILTER_INGRESS, _EGRESS)"


def base_chains() -> Mapping[tuple[str, str, str], str]:
    """Those of the namespace that the thread stands in, with their hooks. Raises OSError."""
    with open_socket(NETLINK_NETFILTER) as sock:
        messages = dump(sock, GETCHAIN, struct.pack(">BBH", 0, 0, 0))
    found = {}
    for message in messages:
        said = attributes(message[20:])
        family, table = FAMILIES.get(message[16], ""), string(said.get(1, b""))
        if 4 not in said or table.startswith(OF_TRACES):
            continue
        place = number(attributes(said[4]).get(1, b""))
        hooks = NETDEV_HOOKS if family == "netdev" else (*HOOKS, "ingress")
        if place < len(hooks):
            found[family, table, string(said.get(3, b""))] = hooks[place]
    return found


def _install(
    sock: socket.socket,
    cookie: int,
    found: Sequence[Condition],
    devices: Sequence[str],
    bridged: bool,
    ip: Internet,
) -> tuple[int, ...]:
    """As much of it as the kernel knows; the families of the tables that are there now."""
    tries = [(devices, bridged, True), (devices, bridged, False), ((), bridged, False)]
    for some, bridges, egress in [*tries, ((), False, False)]:
        messages = list(tables(cookie, found, some, bridges, egress, ip))
        if not messages:
            return ()
        try:
            _commit(sock, messages)
        except OSError as problem:
            if problem.errno not in (errno.EOPNOTSUPP, errno.EAFNOSUPPORT, errno.ENOENT):
                raise
            refusal = problem
            continue
        internet = [INET] if ip != "none" else []
        return (*internet, *([BRIDGE] if bridges else []), *([NETDEV] if some else []))
    raise refusal


def _why(problem: OSError) -> str:
    said = problem.strerror or str(problem)
    if problem.errno == errno.EPROTONOSUPPORT:
        return f"{said}: no CONFIG_NETFILTER_NETLINK"
    if problem.errno == errno.EOPNOTSUPP:
        return f"{said}: no nftables, or none with table owners (Linux 5.12)"
    return said


def obstacle() -> str:
    sock = None
    try:
        sock = _listen()
        _commit(sock, list(tables(1, (), (), False, False)))
    except OSError as problem:
        return _why(problem)
    finally:
        if sock is not None:
            sock.close()
    return ""


# messages


def decode(body: bytes, node: str, names: Mapping[int, str]) -> Sighting:
    """An ``NFT_MSG_TRACE``: attributes by the numbers of ``enum nft_trace_attributes``."""
    said = attributes(body[4:])
    seen = Sighting(
        node,
        "nft-trace",
        POINTS.get(number(said.get(4, b"")), ""),
        device=_device(said.get(10, b""), names),
        to_device=_device(said.get(12, b""), names),
        link=said.get(7, b""),
        network=said.get(8, b""),
        transport=said.get(9, b""),
        family=FAMILIES.get(body[0], str(body[0])),
        table=string(said.get(1, b"")),
        chain=string(said.get(2, b"")),
        handle=number(said.get(3, b"")),
        id=number(said.get(6, b"")),
        mark=number(said.get(14, b"")),
        ct_id=number(said.get(18, b"")),
        ct_state=STATES.get(number(said.get(21, b"")), ""),
        ct_direction=_DIRECTIONS.get(said.get(19, b""), ""),
        ct_status=number(said.get(20, b"")),
    )
    if seen.point == "policy":
        return replace(seen, verdict=VERDICTS.get(number(said.get(16, b"")), ""))
    verdict = dict(each(said.get(5, b"")))
    code = number(verdict.get(1, b""))
    return replace(seen, verdict=VERDICTS.get(code, str(code)), jump=string(verdict.get(2, b"")))


_DIRECTIONS = {b"\0": "original", b"\1": "reply"}


def _device(data: bytes, names: Mapping[int, str]) -> str:
    index = number(data)
    return names.get(index, str(index)) if index else ""


backend = Backend(
    about="every netfilter hook, the rules that match, NAT",
    option="CONFIG_NF_TABLES",
    obstacle=obstacle,
    watch=watch,
)
