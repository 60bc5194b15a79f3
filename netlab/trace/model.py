"""A journey: trace → legs → hops → steps, and how each leg ended.

A *trace* is one question, as "does a TCP connection of client reach port 80 of web?", and its
answer. A *leg* is the way of one packet: forward, the probe itself; reply, what the target
answered; error, an ICMP message about one of them; clone, a copy that a bridge sent elsewhere. A
*hop* is a node on that way, once for every time the packet came to it. A *step* is one thing that
happened to the packet there, in the order in which it happened::

    Trace ─ legs ─ Leg "forward" ─ hops ─ Hop "gw" ─ steps ─ Rx wan
                                                             Hook ingress, layer netdev
                                                             Hook prerouting ─ chains ─ rules
                                                             Conntrack new
                                                             Nat destination
                                                             Route
                                                             Hook forward
                                                             Hook postrouting
                                                             Nat source
                                                             Neighbour
                                                             Tx lan

The same model holds what was seen (``source`` "observed") and what is foretold without a packet
("predicted"), so that the two can be laid side by side. All values are frozen; ``as_json`` and
``from_json`` go both ways, ``schema`` describes the text. Names of nodes and devices are the lab's
own; addresses are text in the usual spelling; "" and 0 stand for what does not apply, None for
what is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from typing import Any, ClassVar, Literal, TypeAlias

FORMAT = "netlab.trace/1"

DESCRIBED = {"use_attribute_docstrings": True, "extra": "forbid"}
"""For pydantic, which writes the schema: the texts below the fields are their descriptions."""


class Disposition(StrEnum):
    """How a leg, or the whole, ended. ``MEANING`` says what each word stands for."""

    ANSWERED = "answered"
    DELIVERED = "delivered"
    REFUSED = "refused"
    DENIED = "denied"
    NO_ROUTE = "no-route"
    NULL_ROUTED = "null-routed"
    NOT_FORWARDED = "not-forwarded"
    SPOOFED = "spoofed"
    TTL_EXPIRED = "ttl-expired"
    LOOPED = "looped"
    TOO_BIG = "too-big"
    NO_NEIGHBOUR = "no-neighbour"
    LINK_DOWN = "link-down"
    NOT_SWITCHED = "not-switched"
    NOT_FOR_ME = "not-for-me"
    MISDIRECTED = "misdirected"
    NOT_REASSEMBLED = "not-reassembled"
    UNREAD = "unread"
    DROPPED = "dropped"
    LEFT = "left"
    LOST = "lost"
    UNKNOWN = "unknown"


MEANING: dict[Disposition, str] = {
    Disposition.ANSWERED: "the target answered, and the sender got it",
    Disposition.DELIVERED: "it reached a socket of the target; of an answer nothing is known",
    Disposition.REFUSED: "it reached the target, which has no listener or connection for it",
    Disposition.DENIED: "a rule said no: of nftables, IPsec, a program at a device, or a socket",
    Disposition.NO_ROUTE: "a node had no route to where it was going",
    Disposition.NULL_ROUTED: "a blackhole, unreachable or prohibit route took it",
    Disposition.NOT_FORWARDED: "a node got it that forwards nothing",
    Disposition.SPOOFED: "a node did not believe its source: reverse path, or a martian",
    Disposition.TTL_EXPIRED: "it had passed as many routers as its TTL allows",
    Disposition.LOOPED: "it went in a circle until its TTL was used up",
    Disposition.TOO_BIG: "it did not fit through a link, and could not be fragmented",
    Disposition.NO_NEIGHBOUR: "nobody on the segment answered for the next hop",
    Disposition.LINK_DOWN: "the device it had to leave or arrive by is down",
    Disposition.NOT_SWITCHED: "a bridge did not pass it on",
    Disposition.NOT_FOR_ME: "it reached a node whose MAC it did not bear",
    Disposition.MISDIRECTED: "another node than the one that was meant took it in",
    Disposition.NOT_REASSEMBLED: "it had been fragmented, and not all of its pieces arrived",
    Disposition.UNREAD: "it reached a program or a device that does not read",
    Disposition.DROPPED: "a node's kernel let it fall, for a reason of its own",
    Disposition.LEFT: "it left the lab by a device of which the other end is elsewhere",
    Disposition.LOST: "it vanished, and nothing that could be seen says why",
    Disposition.UNKNOWN: "it hangs on what cannot be known beforehand (of predictions only)",
}
"""Of each disposition, in one sentence that goes on from "the packet …"."""

REACHED = frozenset({Disposition.ANSWERED, Disposition.DELIVERED})
"""Those that are no failure."""

Hooks: TypeAlias = Literal[
    "ingress", "prerouting", "input", "forward", "output", "postrouting", "egress"
]


@dataclass(frozen=True)
class Packet:
    """The headers of a packet, as they were at one point of its way."""

    __pydantic_config__: ClassVar[dict[str, object]] = DESCRIBED

    protocol: str
    """``tcp``, ``udp``, ``icmp``, ``icmpv6``, else the number."""
    source: str
    """Its address."""
    destination: str
    source_port: int = 0
    """Of TCP and UDP."""
    destination_port: int = 0
    ttl: int = 0
    """Time to live, or IPv6's hop limit."""
    length: int = 0
    """Bytes of the IP packet, its header included."""
    flags: str = ""
    """Of TCP, as tcpdump(8) writes them: ``S``, ``S.``, ``R``, ``R.``, ``.``."""
    icmp: str = ""
    """Type and code: ``3/1``."""
    tos: int = 0
    """The TOS byte, or IPv6's traffic class."""
    identification: int = 0
    """Of IPv4."""
    dont_fragment: bool = False
    fragment: str = ""
    """Offset in bytes, and ``+`` where more follow: ``0+``, ``1480``; "" for a whole packet."""
    mark: int = 0
    """The kernel's own, see nft's ``meta mark``; it does not leave the node."""
    source_mac: str = ""
    """"" where no Ethernet header was seen."""
    destination_mac: str = ""
    within: str = ""
    """The tunnel that wraps it there: ``vxlan 100 10.1.0.2 → 10.2.0.2``."""


@dataclass(frozen=True)
class Rule:
    """An nftables rule that the packet came to."""

    __pydantic_config__: ClassVar[dict[str, object]] = DESCRIBED

    family: str
    table: str
    chain: str
    """Not always the base chain: it may have been jumped to."""
    handle: int
    """The kernel's own number of it; 0 where there is none yet."""
    text: str
    """In nft syntax."""
    matched: bool | None
    """None where that is not known."""
    verdict: str = ""
    """``accept``, ``drop``, ``continue``, ``jump x`` … of a rule that matched."""
    place: str = ""
    """The line that made it: ``office.yaml:31``."""
    depth: int = 0
    """How many jumps away from the base chain."""


@dataclass(frozen=True)
class Chain:
    """A base chain that the packet went through: its rules as far as it came."""

    __pydantic_config__: ClassVar[dict[str, object]] = DESCRIBED

    family: str
    table: str
    name: str
    rules: tuple[Rule, ...] = ()
    """In the order in which they were tried, those that did not match included."""
    verdict: str = ""
    """``accept``, ``drop``, ``stolen``, ``queue``."""
    by_policy: bool = False
    """Whether no rule decided, and the chain's policy did."""
    type: str = "filter"
    priority: int | None = None
    place: str = ""
    """Where the chain was written."""


@dataclass(frozen=True)
class Socket:
    """A program's side: the probe is sent, something listens, an answer is read."""

    __pydantic_config__: ClassVar[dict[str, object]] = DESCRIBED

    words: str
    """``connect() from 10.1.0.2:50106``, ``nobody listens on tcp/80``."""
    outcome: str = ""
    """What the kernel said to the program: ``connected``, ``ECONNREFUSED``."""
    time: float | None = None
    """Microseconds since the first sighting."""
    kind: Literal["socket"] = "socket"


@dataclass(frozen=True)
class Rx:
    """The packet came in by a device."""

    __pydantic_config__: ClassVar[dict[str, object]] = DESCRIBED

    device: str
    packet: Packet | None = None
    to: str = "host"
    """Whom the frame is for, by its MAC: ``host``, ``other``, ``broadcast``, ``multicast``."""
    time: float | None = None
    """Microseconds since the first sighting."""
    kind: Literal["rx"] = "rx"


@dataclass(frozen=True)
class Tx:
    """The packet was handed to a device, and left."""

    __pydantic_config__: ClassVar[dict[str, object]] = DESCRIBED

    device: str
    packet: Packet | None = None
    time: float | None = None
    """Microseconds since the first sighting."""
    kind: Literal["tx"] = "tx"


@dataclass(frozen=True)
class Hook:
    """A netfilter hook was passed, or was the end."""

    __pydantic_config__: ClassVar[dict[str, object]] = DESCRIBED

    hook: Hooks
    layer: Literal["ip", "bridge", "netdev"]
    """Whose hook it is: IPv4's and IPv6's, that of a bridge, or of one device."""
    chains: tuple[Chain, ...] = ()
    """In the order of their priorities; () where the node has none there."""
    device: str = ""
    """Of a netdev hook; of a bridge's, the port."""
    bridged: bool = False
    """An ``ip`` hook that a bridged frame was taken through (br_netfilter)."""
    packet: Packet | None = None
    """As it came to the hook."""
    time: float | None = None
    """Microseconds since the first sighting."""
    took: float | None = None
    """Microseconds that it was in it; None for a hook that it did not leave, or nobody timed."""
    kind: Literal["hook"] = "hook"


@dataclass(frozen=True)
class Conntrack:
    """What connection tracking took the packet for."""

    __pydantic_config__: ClassVar[dict[str, object]] = DESCRIBED

    state: str
    """``new``, ``established``, ``related``, ``invalid``, ``untracked``."""
    direction: str = ""
    """``original`` or ``reply``."""
    id: int = 0
    status: tuple[str, ...] = ()
    """``seen-reply``, ``assured``, ``src-nat`` …"""
    original: str = ""
    """The connection's first direction, ``10.1.0.2:50106 → 203.0.113.1:8080``."""
    reply: str = ""
    """The other one, as it is expected."""
    time: float | None = None
    """Microseconds since the first sighting, at the moment behind it."""
    kind: Literal["conntrack"] = "conntrack"


@dataclass(frozen=True)
class Change:
    """A field of the headers that is not what it was."""

    __pydantic_config__: ClassVar[dict[str, object]] = DESCRIBED

    field: Literal["source", "destination", "source_port", "destination_port"]
    before: str
    after: str


@dataclass(frozen=True)
class Nat:
    """Addresses or ports were rewritten."""

    __pydantic_config__: ClassVar[dict[str, object]] = DESCRIBED

    hook: Hooks
    changes: tuple[Change, ...]
    rule: Rule | None = None
    """The one that asked for it; None where the connection's entry did (as for every answer)."""
    unseen: bool = False
    """Whether a rule did of which nobody told: it is a connection's first packet."""
    kind: Literal["nat"] = "nat"


@dataclass(frozen=True)
class Route:
    """A routing decision."""

    __pydantic_config__: ClassVar[dict[str, object]] = DESCRIBED

    destination: str
    """The address that was looked up."""
    prefix: str = ""
    """The route that won, ``default`` or ``203.0.113.0/24``; "" where none did."""
    type: str = "unicast"
    """``unicast``, ``local``, ``broadcast``, ``multicast``, ``blackhole``, ``unreachable``, … ."""
    via: str = ""
    """The next hop; "" where the destination is on the link itself."""
    device: str = ""
    table: str = "main"
    """By its name, else its number."""
    source: str = ""
    """The address that the node would send from."""
    mtu: int = 0
    """Where the kernel has learned one for the way (RFC 1191, 8201)."""
    error: str = ""
    """What the kernel says where there is no way: ``Network is unreachable``."""
    rule: str = ""
    """The policy rule that chose the table, in ip-rule(8)'s words, where it is not a usual one."""
    place: str = ""
    """The line that asked for the route."""
    time: float | None = None
    """When the kernel was seen to decide so, microseconds since the first sighting; None for what
    it was asked for afterwards."""
    kind: Literal["route"] = "route"


@dataclass(frozen=True)
class Neighbour:
    """Who has the next hop's address on the segment (ARP, neighbour discovery)."""

    __pydantic_config__: ClassVar[dict[str, object]] = DESCRIBED

    address: str
    device: str
    mac: str = ""
    state: str = ""
    """``reachable``, ``stale``, ``delay``, ``probe``, ``incomplete``, ``failed``, ``permanent``."""
    time: float | None = None
    """When the kernel was seen to look, microseconds since the first sighting; None for what it was
    asked for afterwards."""
    kind: Literal["neighbour"] = "neighbour"


@dataclass(frozen=True)
class Switched:
    """A bridge's choice of ports."""

    __pydantic_config__: ClassVar[dict[str, object]] = DESCRIBED

    bridge: str
    mac: str
    """Where the frame goes."""
    ports: tuple[str, ...] = ()
    """() where it went nowhere; several where it was flooded."""
    known: bool = True
    """Whether the forwarding database had the MAC; else the frame was flooded."""
    local: bool = False
    """Whether the bridge itself is meant: the frame goes up to the node's IP."""
    kind: Literal["switched"] = "switched"


@dataclass(frozen=True)
class Tunnelled:
    """The packet was wrapped into another one, or taken out of it."""

    __pydantic_config__: ClassVar[dict[str, object]] = DESCRIBED

    device: str
    wrapped: bool
    """Else it was taken out."""
    outer: Packet | None = None
    """The packet around it."""
    program: str = ""
    """That did it, of a tunnel that is a program's; "" for one of the kernel's."""
    kind: Literal["tunnelled"] = "tunnelled"


@dataclass(frozen=True)
class Made:
    """The node made a packet of its own because of this one: an ICMP error, a reset."""

    __pydantic_config__: ClassVar[dict[str, object]] = DESCRIBED

    words: str
    """``ICMP host unreachable``, ``TCP reset``."""
    packet: Packet | None = None
    kind: Literal["made"] = "made"


@dataclass(frozen=True)
class Dropped:
    """Here it ended."""

    __pydantic_config__: ClassVar[dict[str, object]] = DESCRIBED

    words: str
    """By what, in few words: ``policy drop of inet filter forward``."""
    reason: str = ""
    """The kernel's own word for it (``enum skb_drop_reason``), where a backend sees that."""
    function: str = ""
    """The kernel's function that let it fall, where a backend sees that."""
    time: float | None = None
    """Microseconds since the first sighting."""
    kind: Literal["dropped"] = "dropped"


@dataclass(frozen=True)
class Moment:
    """What else the kernel did with it there, as it told while it did."""

    __pydantic_config__: ClassVar[dict[str, object]] = DESCRIBED

    what: str
    """``backlog``, ``enqueued``, ``polled``, ``learned``, ``state`` …: by ``trace.tracepoints``."""
    words: str
    time: float | None = None
    """Microseconds since the first sighting."""
    cpu: int = 0
    buffer: int = 0
    """Which of the packet's buffers it was in, counted as they were met; 0 for none."""
    kind: Literal["moment"] = "moment"


@dataclass(frozen=True)
class Note:
    """What else is to be said at this point, as that something could not be seen."""

    __pydantic_config__: ClassVar[dict[str, object]] = DESCRIBED

    words: str
    kind: Literal["note"] = "note"


Step: TypeAlias = (
    Socket
    | Rx
    | Tx
    | Hook
    | Conntrack
    | Nat
    | Route
    | Neighbour
    | Switched
    | Tunnelled
    | Made
    | Dropped
    | Moment
    | Note
)


@dataclass(frozen=True)
class Hop:
    """A node on the way, each time the packet came to it."""

    __pydantic_config__: ClassVar[dict[str, object]] = DESCRIBED

    node: str
    role: str
    """``host``, ``router``, ``switch``: the node's kind."""
    steps: tuple[Step, ...]

    @property
    def arrived(self) -> str:
        """The first device it was seen coming in by; "" where it began here."""
        return next((s.device for s in self.steps if isinstance(s, Rx)), "")

    @property
    def left(self) -> str:
        """The last device it was seen leaving by; "" where it ended here."""
        return next((s.device for s in reversed(self.steps) if isinstance(s, Tx)), "")


@dataclass(frozen=True)
class Place:
    """Where something happened."""

    __pydantic_config__: ClassVar[dict[str, object]] = DESCRIBED

    node: str
    device: str = ""
    hook: str = ""
    leg: str = "forward"


@dataclass(frozen=True)
class Cause:
    """Why it ended where it did; an entry of ``netlab.trace.why``, filled in."""

    __pydantic_config__: ClassVar[dict[str, object]] = DESCRIBED

    name: str
    """As ``--expect`` knows it: ``rp-filter``."""
    sentence: str
    advice: str = ""
    """What to do about it."""
    rule: Rule | None = None
    """The rule to blame, where it is one."""
    place: str = ""
    """The line of the topology to blame, ``office.yaml:31``, where one is known."""
    evidence: tuple[str, ...] = ()
    """What it was concluded from, in words."""


@dataclass(frozen=True)
class Leg:
    """The way of one packet."""

    __pydantic_config__: ClassVar[dict[str, object]] = DESCRIBED

    kind: Literal["forward", "reply", "error", "clone"]
    hops: tuple[Hop, ...]
    disposition: Disposition
    packet: Packet | None = None
    """As it was when it was first seen."""
    end: Place | None = None
    """Where it was last seen."""
    cause: Cause | None = None
    """None where it arrived."""


@dataclass(frozen=True)
class Probe:
    """What is sent, or would be."""

    __pydantic_config__: ClassVar[dict[str, object]] = DESCRIBED

    sender: str
    """The node that sends."""
    target: str
    """The node that is meant; "" where the address is on none."""
    protocol: str
    """``tcp``, ``udp`` or ``icmp``; of a packet of the lab's own, any: else its number."""
    source: str
    """The address that it is sent from."""
    destination: str
    port: int = 0
    """Of the target; 0 for ICMP."""
    from_port: int = 0
    size: int = 0
    """Bytes of the IP packet; 0 for the usual."""
    ttl: int = 0
    """0 for the usual."""
    tos: int = 0
    dont_fragment: bool | None = None
    """None leaves it to the kernel, as a program does that says nothing of it."""
    cookie: int = 0
    """32 bits by which it is known everywhere, 8 bytes into its transport header."""
    result: str = ""
    """What the sender's socket said in the end: ``connected``, ``no answer``, ``ECONNREFUSED``."""

    @property
    def version(self) -> Literal[4, 6]:
        return 6 if ":" in self.destination else 4


@dataclass(frozen=True)
class Foretold:
    """What ``explain`` had said just before, and where that was not so."""

    __pydantic_config__: ClassVar[dict[str, object]] = DESCRIBED

    disposition: Disposition
    """``unknown`` where it hangs on what cannot be known beforehand."""
    cause: str = ""
    """The name of the cause; "" for none."""
    differences: tuple[str, ...] = ()
    """In sentences; () where it came as foretold."""


@dataclass(frozen=True)
class Trace:
    """A question, and all that was found out about it."""

    __pydantic_config__: ClassVar[dict[str, object]] = DESCRIBED

    lab: str
    file: str
    """The topology it is up from."""
    probe: Probe
    source: Literal["observed", "predicted"]
    disposition: Disposition
    legs: tuple[Leg, ...] = ()
    """The forward one first, then the answer or the error; clones last."""
    place: Place | None = None
    """Where it ended: of the forward leg, or of the answer where that is what failed."""
    cause: Cause | None = None
    backends: tuple[tuple[str, str], ...] = ()
    """Who watched, and the obstacle of each that could not ("" for those that did)."""
    gaps: tuple[str, ...] = ()
    """What is missing in this answer, in sentences."""
    foretold: Foretold | None = None
    """Of what was observed: what had been foretold; None where nothing was."""
    milliseconds: float = 0.0
    """From the first word to the last."""
    format: Literal["netlab.trace/1"] = "netlab.trace/1"

    def leg(self, kind: str) -> Leg | None:
        return next((leg for leg in self.legs if leg.kind == kind), None)


def meets(trace: Trace, expected: str) -> bool:
    """Whether it ended as ``--expect`` says: a disposition, or the name of a cause.

    ``delivered`` holds as soon as the target got it, whatever became of the answer.
    """
    forward = trace.leg("forward")
    if expected == Disposition.DELIVERED and forward and forward.disposition in REACHED:
        return True
    causes = {leg.cause.name for leg in trace.legs if leg.cause and leg.kind != "clone"}
    return expected == trace.disposition or expected in causes


def as_json(value: Any) -> Any:
    """A trace, or any part of one, as plain data; ``kind`` first where there is one."""
    if is_dataclass(value):
        names = [f.name for f in fields(value)]
        names.sort(key=lambda name: name not in ("format", "kind"))
        return {name: as_json(getattr(value, name)) for name in names}
    if isinstance(value, tuple | frozenset):
        return [as_json(item) for item in (value if isinstance(value, tuple) else sorted(value))]
    if isinstance(value, Mapping):
        return {name: as_json(item) for name, item in value.items()}
    return value


def from_json(data: Any) -> Trace:
    """Raises pydantic's ValidationError, which tells what is no trace and where."""
    from pydantic import TypeAdapter

    return TypeAdapter(Trace).validate_python(data)


def schema() -> dict[str, Any]:
    """The JSON Schema of what ``as_json`` makes of a trace."""
    from pydantic import TypeAdapter

    return TypeAdapter(Trace).json_schema()
