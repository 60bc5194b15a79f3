"""The tree of nft text: what was written, before anything is known about its types.

``at`` is the number of the token at which a node begins (``sources``); two trees that say the
same are equal, wherever they stand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from .sources import Sources


def _place() -> int:
    return field(default=0, compare=False, repr=False)


# ---- expressions


@dataclass(slots=True, unsafe_hash=True)
class Value:
    """A number, an address, a symbol, or a quoted string (without its quotes)."""

    text: str
    quoted: bool = False
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Variable:
    """``$name``."""

    name: str
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Wildcard:
    """``*``: every key of a set."""

    at: int = _place()


@dataclass(slots=True, unsafe_hash=True)
class Prefix:
    base: Expression
    length: int
    at: int = _place()


@dataclass(slots=True, unsafe_hash=True)
class Range:
    low: Expression
    high: Expression
    at: int = _place()


@dataclass(slots=True, unsafe_hash=True)
class Selector:
    """What a packet or its state is asked for, in nft's full words: ``("tcp", "dport")``."""

    words: tuple[str, ...]
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Raw:
    """``@th,64,32``: bits of the packet."""

    base: str
    offset: int
    length: int
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Hash:
    """``jhash … mod``, ``symhash mod`` and ``numgen inc|random mod``."""

    kind: str
    of: Expression | None
    modulus: int
    seed: int | None = None
    offset: int = 0
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Concat:
    parts: tuple[Expression, ...]
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Binary:
    """``left & right`` and its kin."""

    operator: str
    left: Expression
    right: Expression
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Values:
    """``established,related``."""

    items: tuple[Expression, ...]
    at: int = _place()


@dataclass(frozen=True, slots=True)
class SetName:
    """``@name``."""

    name: str
    at: int = _place()


@dataclass(slots=True, unsafe_hash=True)
class Verdict:
    """accept, drop, continue, return, queue; jump and goto with their chain."""

    kind: str
    chain: Expression | None = None
    at: int = _place()


@dataclass(slots=True, unsafe_hash=True)
class Element:
    """A key of a set, with what hangs on it."""

    key: Expression
    data: Expression | None = None
    timeout: str = ""
    expires: str = ""
    comment: str = ""
    statements: tuple[Statement, ...] = ()
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Bulk:
    """Plain values, prefixes and ranges in a row, as texts alone: they fill large sets."""

    texts: tuple[str, ...]
    places: Sequence[int] = field(compare=False, repr=False)

    @property
    def at(self) -> int:
        return self.places[0]

    def elements(self) -> Iterator[Element]:
        """The same, one by one."""
        for text, at in zip(self.texts, self.places, strict=True):
            yield Element(plain(text, at), at=at)


def plain(text: str, at: int) -> Expression:
    """A value, ``value/length`` or ``value-value``."""
    for sign in "/-":
        first, found, rest = text.partition(sign)
        if found:
            low, high = Value(first, False, at), Value(rest, False, at)
            return Prefix(low, int(rest), at) if sign == "/" else Range(low, high, at)
    return Value(text, False, at)


Member: TypeAlias = Element | Bulk | Variable


@dataclass(frozen=True, slots=True)
class SetLiteral:
    elements: tuple[Member, ...]
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Map:
    """``key map …`` (``verdicts``: ``key vmap …``)."""

    key: Expression
    table: Expression
    verdicts: bool = False
    at: int = _place()


Expression: TypeAlias = (
    Value | Variable | Wildcard | Prefix | Range | Selector | Raw | Hash | Concat | Binary
    | Values | SetName | Verdict | SetLiteral | Map
)  # fmt: skip

# ---- statements


@dataclass(slots=True, unsafe_hash=True)
class Match:
    """``left operator right``; the operator ``""`` is the one that nft chooses."""

    left: Expression
    operator: str
    right: Expression
    mask: Expression | None = None
    """Of ``tcp flags syn / syn,ack``."""
    at: int = _place()


@dataclass(slots=True, unsafe_hash=True)
class Decide:
    """A verdict, or a verdict map."""

    verdict: Verdict | Map
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Assign:
    """``meta mark set 5``."""

    target: Expression
    value: Expression
    at: int = _place()


@dataclass(slots=True, unsafe_hash=True)
class Counter:
    packets: int | None = None
    bytes: int | None = None
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Refer:
    """A named object used in a rule: ``counter name "x"``, ``ct helper set "x"``."""

    kind: str
    name: Expression
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Limit:
    rate: int
    unit: str
    """packets, or bytes, kbytes, mbytes."""
    per: str
    over: bool = False
    burst: int | None = None
    burst_unit: str = ""
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Quota:
    amount: int
    unit: str
    over: bool = False
    used: int | None = None
    used_unit: str = ""
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Connections:
    """``ct count over 5``."""

    count: int
    over: bool = False
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Log:
    prefix: Expression | None = None
    level: str = ""
    group: int | None = None
    snaplen: int | None = None
    threshold: int | None = None
    flags: tuple[str, ...] = ()
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Reject:
    kind: str = ""
    """"" (nft chooses), "tcp reset", icmp, icmpv6 or icmpx."""
    code: Expression | None = None
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Nat:
    kind: str
    """snat, dnat, masquerade or redirect."""
    family: str = ""
    concat: str = ""
    """``addr . port``, ``prefix`` …: words before ``to``."""
    address: Expression | None = None
    port: Expression | None = None
    flags: tuple[str, ...] = ()
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Tproxy:
    family: str = ""
    address: Expression | None = None
    port: Expression | None = None
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Synproxy:
    mss: int | None = None
    wscale: int | None = None
    flags: tuple[str, ...] = ()
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Queue:
    to: Expression | None = None
    flags: tuple[str, ...] = ()
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Send:
    """``dup to ADDRESS device DEVICE`` and ``fwd [ip|ip6] to …``."""

    kind: str
    family: str = ""
    address: Expression | None = None
    device: Expression | None = None
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Plain:
    """A statement of one word: notrack, last."""

    word: str
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Remember:
    """``add @s { … }``, ``update``, ``delete``."""

    verb: str
    name: str
    element: Element
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Meter:
    """``meter m { ip saddr limit rate … }``: a set of the rule's own that remembers."""

    name: str
    element: Element
    size: int | None = None
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Reset:
    """``reset tcp option x``."""

    option: str
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Foreign:
    """What netlab leaves to nft: the rest of a rule from a word on, or a chain without a name."""

    text: str
    what: str = field(default="", compare=False)
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Offload:
    """``flow add @ft``."""

    name: str
    at: int = _place()


Statement: TypeAlias = (
    Match | Decide | Assign | Counter | Refer | Limit | Quota | Connections | Log | Reject | Nat
    | Tproxy | Synproxy | Queue | Send | Plain | Remember | Meter | Reset | Offload | Foreign
)  # fmt: skip

# ---- what a table holds


@dataclass(slots=True, unsafe_hash=True)
class Rule:
    statements: tuple[Statement, ...]
    comment: str = ""
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Hook:
    type: str
    hook: str
    priority: Expression | None
    offset: int = 0
    """``filter - 10``: added to the priority's name."""
    devices: tuple[Expression, ...] = ()
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Chain:
    name: str
    hook: Hook | None = None
    policy: str = ""
    rules: tuple[Rule, ...] = ()
    comment: str = ""
    offload: bool = False
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Set:
    """A named set, or (``data`` is there) a named map."""

    name: str
    key: tuple[str, ...] | Expression
    """Names of types; an expression after ``typeof``."""
    data: tuple[str, ...] | Expression | None = None
    flags: tuple[str, ...] = ()
    elements: tuple[Member, ...] = ()
    timeout: str = ""
    gc_interval: str = ""
    size: int | None = None
    policy: str = ""
    auto_merge: bool = False
    statements: tuple[Statement, ...] = ()
    comment: str = ""
    data_interval: bool = False
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Object:
    """A named counter, quota, limit, ct helper, ct timeout, ct expectation, synproxy, secmark."""

    kind: str
    name: str
    body: Statement | None = None
    options: tuple[tuple[str, str], ...] = ()
    """Words of those that are no statement: (``type``, ``ftp``)."""
    comment: str = ""
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Flowtable:
    name: str
    priority: Expression | None = None
    offset: int = 0
    devices: tuple[Expression, ...] = ()
    flags: tuple[str, ...] = ()
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Define:
    name: str
    value: Expression | None
    """None after ``undefine``."""
    verb: str = "define"
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Include:
    path: str
    lines: tuple[Line, ...] = ()
    at: int = _place()


Part: TypeAlias = Chain | Set | Object | Flowtable


@dataclass(frozen=True, slots=True)
class Table:
    family: str
    name: str
    parts: tuple[Part | Define, ...] = ()
    flags: tuple[str, ...] = ()
    comment: str = ""
    at: int = _place()


@dataclass(frozen=True, slots=True)
class Command:
    """``verb kind family table name``; a bare block has the verb ``""``."""

    verb: str
    kind: str
    family: str = ""
    table: str = ""
    name: str = ""
    handle: int | None = None
    position: tuple[str, int] | None = None
    """(position|handle|index, number) of a rule."""
    body: Table | Part | Rule | SetLiteral | None = None
    at: int = _place()


Line: TypeAlias = Command | Define | Include


@dataclass(frozen=True, slots=True)
class Script:
    """A whole text, and where it came from."""

    lines: tuple[Line, ...]
    sources: Sources = field(default_factory=Sources, compare=False, repr=False)
