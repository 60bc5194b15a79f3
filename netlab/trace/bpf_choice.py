"""Which packets a BPF program tells of where a filter says so: those of the lab's own nodes.

The filter is a part of the program (``meaning`` says what its words are in bytes), so that what it
does not take costs no more than a few comparisons. What it takes once is known by its buffer from
there on, whatever becomes of its bytes: NAT may change all that the filter asks. So are the other
packets of its connection, by both of its directions: an answer bears other numbers on its way to
where it is translated.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from netlab.trace.anatomy import Anatomy
from netlab.trace.bpf import calls
from netlab.trace.bpf.assembler import FP, R0, R1, R2, R4, R7, R8, Code
from netlab.trace.bpf.events import GATE, Event, Field, Head, read
from netlab.trace.bpf.session import Session
from netlab.trace.bpf.types import Types
from netlab.trace.bpf_gate import IP_BYTES, KEY, Gates, Ports
from netlab.trace.bpf_memory import table
from netlab.trace.bpf_told import TUPLE_BYTES, Buffer, Fields, Telling
from netlab.trace.choice import ALL, SIZES
from netlab.trace.filters.meaning import (
    BEHIND,
    MASK,
    SKIP_IP,
    Always,
    Both,
    Check,
    Either,
    Load,
    Negated,
    Test,
)
from netlab.trace.headers import FRAGMENT, parse
from netlab.trace.sighting import Sighting
from netlab.trace.tracepoints import CONNECTION, INODE, POINTS, Point

DEEP = 64
"""Bytes behind the IP header that a filter can ask for; one that asks for more takes everything,
and what it did not mean is left out afterwards."""
FLOWS = 1024
"""Connections of which both directions are known, however NAT writes them."""
TUPLE = GATE - 216
"""On the stack: where the packet's headers were, which nobody needs any more."""
TUPLE_AT, TUPLE_SIZE = 16, 40
"""Of ``struct nf_conntrack_tuple_hash``: behind the list's node, both ends; see ``bpf_told``."""
WORDS = {4: (12, 16), 6: tuple(range(8, 40, 4))}
"""Where addresses lie in IP's headers, in words."""
DEVICE = f"sk_buff.dev->{INODE}"
MOST_BUFFERS = 8192
WHERE = (
    "tx", "rx", "gro", "hook", "freed", "used", "ready", "received", "read", "refused", "full",
    "answered", "reset",
)  # fmt: skip
"""What is asked of the lab's own packets: where they are, and how they end."""


ETHERTYPES = tuple(int.from_bytes(t.to_bytes(2, "big"), sys.byteorder) for t in (0x0800, 0x86DD))
"""IP's, as they stand in a packet's ``protocol``."""
TYPE = Field("type", "sk_buff.protocol")


def points() -> dict[str, Point]:
    return {name: _with_type(POINTS[name]) for name in WHERE}


def _with_type(point: Point) -> Point:
    """What is no IP may look as if it were."""
    event = point.event
    if point.known == "hook" or event.subject != "sk_buff *":
        return point
    return point._replace(event=event._replace(fields=(*event.fields, TYPE)))


class Chosen(Gates):
    """Those of packets that a filter takes; ``inodes``: of the lab's namespaces."""

    def __init__(
        self, session: Session, types: Types, test: Test, inodes: Iterable[int]
    ) -> None:
        """Raises BpfRefused, NoSuchType."""
        super().__init__(session, types, (), 0, Ports())
        known = list(inodes)
        self._test = test if _is_near(test) else ALL
        self._is_at_hook = False
        self._flows = table(session, "netlab_flows", FLOWS)
        self._tuples = types.way("nf_conn.tuplehash").offsets[0]
        self._type = types.way("sk_buff.protocol").offsets[0]
        self._namespace = types.way(DEVICE).offsets
        self._nodes = session.map(calls.HASH, 4, 4, max(1, len(known)), "netlab_nodes")
        for inode in known:
            calls.put(self._nodes, struct.pack("=I", inode), struct.pack("=I", 1))

    @property
    def _deep(self) -> int:
        return DEEP

    def _packet(self, point: Point, begins: str, code: Code, event: Event) -> None:
        self._is_at_hook = point.known == "hook"
        super()._packet(point, begins, code, event)

    def _compare_marks(self, code: Code, version: int, at: int) -> None:
        start = at - IP_BYTES[version]
        if version == 6:  # what is behind a header for fragments, is not where the filter looks
            code.load(1, R1, FP, start + 6)
            code.jump_if(R1, "==", FRAGMENT, "chosen 6")
        self._ask(code, self._test, (start, at), f"chosen {version}", f"answer {version}")
        if self._test != ALL:
            code.label(f"answer {version}")
            _number(code, [start + word for word in WORDS[version]], (at, at + 2))
            self._flows.look_up(code, f"chosen {version}")
            code.jump("miss")
        code.label(f"chosen {version}")
        if not self._is_at_hook:  # there it is in a node of the lab for certain
            self._look_where(code)
        self._keep_first(code, version, at)

    def _ask(self, code: Code, test: Test, at: tuple[int, int], yes: str, no: str) -> None:
        match test:
            case Always(holds):
                code.jump(yes if holds else no)
            case Negated(inner):
                self._ask(code, inner, at, no, yes)
            case Both(left, right):
                between = code.fresh("and")
                self._ask(code, left, at, between, no)
                code.label(between)
                self._ask(code, right, at, yes, no)
            case Either(left, right):
                between = code.fresh("or")
                self._ask(code, left, at, yes, between)
                code.label(between)
                self._ask(code, right, at, yes, no)
            case Check(loads, relation, value):
                for load in loads:
                    _load(code, load, *at)
                if relation == "&":
                    code.mask(R1, value)
                    code.jump_if(R1, "!=", 0, yes, bits=32)
                else:
                    code.jump_if(R1, relation, value, yes, bits=32)
                code.jump(no)

    def _find_connection(self, code: Code) -> None:
        """What belongs to it is told of from now on, also where the filter would not take it."""
        super()._find_connection(code)
        code.load(8, R8, FP, CONNECTION)
        code.jump_if(R8, "==", 0, "no connection")
        for at in (0, TUPLE_BYTES):
            read(code, FP, TUPLE, TUPLE_SIZE, R8, self._tuples + at + TUPLE_AT)
            words = [*range(TUPLE, TUPLE + 16, 4), *range(TUPLE + 20, TUPLE + 36, 4)]
            _number(code, words, (TUPLE + 16, TUPLE + 36))
            self._flows.put(code)
        code.label("no connection")

    def _look_where(self, code: Code) -> None:
        """Elsewhere on the machine somebody may send the same; and what is no IP may look so."""
        of_ip = code.fresh("of IP")
        read(code, FP, KEY, 2, R7, self._type)
        code.load(2, R1, FP, KEY)
        code.jump_if(R1, "==", ETHERTYPES[0], of_ip)
        code.jump_if(R1, "!=", ETHERTYPES[1], "miss")
        code.label(of_ip)
        *pointers, last = self._namespace
        code.store(8, FP, KEY, 0)
        base = R7
        for offset in pointers:
            read(code, FP, KEY, 8, base, offset)
            base = R4
            code.load(8, base, FP, KEY)
        code.store(8, FP, KEY, 0)
        read(code, FP, KEY, 4, base, last)
        code.set_map(R1, self._nodes)
        code.set(R2, FP)
        code.add(R2, KEY)
        code.call("map_lookup_elem")
        code.jump_if(R0, "==", 0, "miss")


def _number(code: Code, words: Sequence[int], ports: Sequence[int]) -> None:
    """R1 tells a connection from most others, both directions alike; the places on the stack."""
    code.set(R1, 0)
    for at in words:
        code.load(4, R2, FP, at)
        code.toggle(R1, R2)
    code.shift_left(R1, 16)
    for at in ports:
        code.load(2, R2, FP, at)
        code.toggle(R1, R2)


def _load(code: Code, load: Load, start: int, transport: int) -> None:
    """Into R1. The bytes lie on the stack, in network order: put together one by one."""
    operation, operand = load
    if operation == SKIP_IP:
        return
    if operation == MASK:
        code.mask(R1, operand)
        return
    is_behind = operation not in SIZES
    at = (transport if is_behind else start) + operand
    size = SIZES[operation - BEHIND if is_behind else operation]
    code.load(1, R1, FP, at)
    for place in range(1, size):
        code.shift_left(R1, 8)
        code.load(1, R2, FP, at + place)
        code.add(R1, R2)


def _is_near(test: Test) -> bool:
    """Whether all that it asks for is among the bytes that are looked at."""
    return all(
        operation in (SKIP_IP, MASK)
        or (operation in SIZES and operand + SIZES[operation] <= IP_BYTES[4] + DEEP)
        or (operation - BEHIND in SIZES and operand + SIZES[operation - BEHIND] <= DEEP)
        for operation, operand in _loads(test)
    )


def _loads(test: Test) -> Iterator[Load]:
    match test:
        case Check(loads):
            yield from loads
        case Negated(inner):
            yield from _loads(inner)
        case Both(left, right) | Either(left, right):
            yield from _loads(left)
            yield from _loads(right)


@dataclass
class Following(Telling):
    """Of packets that nobody marked. Whether a buffer still holds what it held, is looked at later,
    by the headers: see ``netlab.trace.gather``."""

    def _packet(self, point: str, head: Head, fields: Fields) -> Sighting | None:
        if fields.get("type", ETHERTYPES[0]) not in ETHERTYPES:
            return None
        return super()._packet(point, head, fields)

    def _anatomy(self, point: str, head: Head, fields: Fields) -> Anatomy | None:
        while len(self._memories) > MOST_BUFFERS:
            self._memories.pop(next(iter(self._memories)))
        return super()._anatomy(point, head, fields)

    def _mine(self, address: int, fields: Fields, node: str) -> Buffer:
        found = self._buffers.get(address)
        if found is None:
            found = self._buffers[address] = self._another()
            if len(self._buffers) > MOST_BUFFERS:
                self._buffers.pop(next(iter(self._buffers)))
        return found

    def _known(self, head: Head, fields: Fields, node: str) -> Buffer | None:
        return self._buffers.get(head.subject)

    def _fits(self, buffer: Buffer, node: str, point: str, known: int, data: bytes) -> bool:
        return parse(data) is not None

    def _gone(self, address: int, buffer: Buffer) -> None:
        self._buffers.pop(address, None)
