"""Every packet that the kernel lets fall in the nodes of a lab, as it happens.

A BPF program stands at the tracepoint ``skb:kfree_skb``. It tells of packets whose device, or
whose socket where there is no device yet, is in one of the namespaces, and of no other ones.
"""

from __future__ import annotations

import struct
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from netlab.errors import MachineLacks
from netlab.trace import reasons
from netlab.trace.bpf import calls
from netlab.trace.bpf.assembler import FP, R0, R1, R2, R7, R8, Code
from netlab.trace.bpf.btf import NoSuchType
from netlab.trace.bpf.calls import BpfRefused
from netlab.trace.bpf.events import GATE, Event, Field, Gate, Head, read
from netlab.trace.bpf.session import Session
from netlab.trace.bpf.types import Types
from netlab.trace.dissect import Flows, told
from netlab.trace.drop_rules import POLICY, Blame, DropRules
from netlab.trace.filters import RAW_IP
from netlab.trace.reasons import Reason

HEADERS = 192
"""Bytes from the IP header on that are looked at."""
RING = 8 << 20
"""Bytes; room for some 20,000 drops."""
DEVICE = "sk_buff.dev->nd_net.net->ns.inum"
SOCKET = "sk_buff.sk->__sk_common.skc_net.net->ns.inum"
MOST_SORTS = 1000
BY_NETFILTER = "NETFILTER_DROP"
PREFIX = "SKB_DROP_REASON_"
_START, _INODE, _HEAD, _OFFSET = GATE, GATE - 8, GATE - 16, GATE - 24

EVENT = Event(
    "kfree_skb",
    "sk_buff *",
    (
        Field("reason", "enum skb_drop_reason"),
        Field("function", "symbol void *"),
        Field("device", "sk_buff.dev->name"),
        Field("namespace", f"={_INODE}", 4),
        Field("length", "sk_buff.len"),
        Field("protocol", "sk_buff.protocol"),
        Field("network", f"@{_START}", HEADERS),
    ),
    last=True,
)


@dataclass(frozen=True)
class Drop:
    """A packet that was dropped."""

    time: float
    """Seconds since the epoch."""
    node: str
    device: str
    """That it came by, or was to leave by; "" where it had none yet."""
    reason: str
    """The kernel's name for it: ``NO_SOCKET``."""
    function: str
    """Where in the kernel: ``tcp_v4_rcv+0x91/0x13f0``."""
    meaning: Reason
    text: str
    """The packet in tcpdump's terms; "" for what is no IP."""
    chain: str = ""
    """Of nftables, where that dropped it and one knows: ``inet filter forward``."""
    rule: str = ""
    """Of that chain, in nft syntax; ``policy drop`` for its policy."""
    place: str = ""
    """Where the rule was written: ``office.yaml:31``."""

    @property
    def where(self) -> str:
        """``gw:lan``."""
        return f"{self.node}:{self.device}" if self.device else self.node

    @property
    def words(self) -> str:
        """What let it fall, as far as that is known."""
        if not self.rule:
            return f"{self.meaning.words}, in {self.chain}" if self.chain else self.meaning.words
        what = f"the {self.rule}" if self.rule == POLICY else self.rule
        return f"denied by {what}, in {self.chain}"


@dataclass
class Sums:
    """What is said of all in the end; of each no more than where it fell and why is kept."""

    packets: int = 0
    sorts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By place, by what let it fall, by the line of the topology."""
    advices: dict[tuple[str, str, str], str] = field(default_factory=dict)
    others: int = 0
    """Of sorts that came when there were too many already."""

    def add(self, drop: Drop) -> None:
        self.packets += 1
        sort = drop.where, drop.words, drop.place
        if sort not in self.sorts and len(self.sorts) >= MOST_SORTS:
            self.others += 1
            return
        self.sorts[sort] += 1
        self.advices[sort] = "" if drop.rule else drop.meaning.advice


class Drops:
    """Those of some namespaces, from now on."""

    def __init__(
        self,
        nodes: Mapping[int, str],
        names: Mapping[str, str],
        types: Types,
        rules: DropRules | None = None,
    ) -> None:
        """``nodes``: by inode; ``names``: nodes by address; ``rules``: who knows which rule it was.

        Raises MachineLacks.
        """
        self._nodes, self._names, self._rules = nodes, names, rules
        self._flows = Flows()
        self._offset = time.time_ns() - time.monotonic_ns()
        try:
            self._reasons = types.names("skb_drop_reason")
            self._session = Session(types, RING)
        except (BpfRefused, NoSuchType) as problem:
            raise _lacks(problem) from problem
        try:
            wanted = self._session.map(calls.HASH, 4, 4, max(1, len(nodes)), "netlab_nodes")
            for inode in nodes:
                calls.put(wanted, struct.pack("=I", inode), struct.pack("=I", 1))
            number = self._session.load(EVENT, _gate(wanted, types))
            if number is None:
                raise NoSuchType(self._session.missing[0])
            self._session.attach(number)
        except (BpfRefused, NoSuchType) as problem:
            self._session.close()
            raise _lacks(problem) from problem
        types.keep()

    @property
    def fd(self) -> int:
        """Readable when there are some."""
        return self._session.fd

    def read(self) -> Iterator[Drop]:
        """Those that have come by now."""
        found = list(self._session.records())
        if self._rules is not None:
            self._rules.read()  # a rule says so before the packet is let go
        for _, head, fields in found:
            drop = self._drop(head, fields)
            is_lost = drop.reason not in reasons.USUAL
            if is_lost and not drop.function.startswith(reasons.QUESTIONS):
                yield drop

    def _drop(self, head: Head, fields: Mapping[str, int | bytes]) -> Drop:
        number = _number(fields, "reason")
        name = self._reasons.get(number, str(number)).removeprefix(PREFIX)
        function = _text(fields, "function")
        node, data = self._nodes.get(_number(fields, "namespace"), ""), _bytes(fields)
        blame = Blame()
        if self._rules is not None and name == BY_NETFILTER and node:
            blame = self._rules.of(node, data[: _whole(data)])
        return Drop(
            round((head.time + self._offset) / 1e9, 6),
            node,
            _text(fields, "device"),
            name,
            function,
            reasons.of(name, function),
            self._words(fields),
            *blame,
        )

    def _words(self, fields: Mapping[str, int | bytes]) -> str:
        data = _bytes(fields)
        if not data or data[0] >> 4 not in (4, 6):
            return ""
        # what is known is the length behind whatever the kernel has taken off already
        length = max(_number(fields, "length"), _whole(data))
        text, _ = told(data[:length], length, RAW_IP, self._names, self._flows)
        return text

    def lost(self) -> int:
        """How many came too fast to be told."""
        return self._session.lost()

    def close(self) -> None:
        self._session.close()


def _whole(data: bytes) -> int:
    """The length that the IP header tells."""
    at, more = (2, 0) if data[0] >> 4 == 4 else (4, 40)
    return int.from_bytes(data[at : at + 2], "big") + more


def _gate(wanted: int, types: Types) -> Gate:
    """Lets through what is in one of them; leaves its inode, and where its headers are."""
    head = types.way("sk_buff.head").offsets[0]
    network = types.way("sk_buff.network_header").offsets[0]

    def gate(code: Code, event: Event) -> None:
        for place, path in enumerate((DEVICE, SOCKET)):
            *pointers, last = types.way(path).offsets
            code.set(R8, R7)
            for offset in pointers:
                read(code, FP, _START, 8, R8, offset)
                code.load(8, R8, FP, _START)
            code.store(8, FP, _INODE, 0)
            read(code, FP, _INODE, 4, R8, last)
            code.set_map(R1, wanted)
            code.set(R2, FP)
            code.add(R2, _INODE)
            code.call("map_lookup_elem")
            code.jump_if(R0, "!=", 0, "wanted")
            if place:
                code.jump("out")
        code.label("wanted")
        read(code, FP, _HEAD, 8, R7, head)
        code.store(8, FP, _OFFSET, 0)
        read(code, FP, _OFFSET, 2, R7, network)
        code.load(8, R8, FP, _HEAD)
        code.load(8, R1, FP, _OFFSET)
        code.add(R8, R1)
        code.store(8, FP, _START, R8)

    return gate


def _lacks(problem: Exception) -> MachineLacks:
    said = getattr(problem, "strerror", None) or str(problem)
    return MachineLacks(
        f"the kernel does not tell of drops: {said}",
        hint="it takes BPF and BTF (CONFIG_BPF_SYSCALL, CONFIG_DEBUG_INFO_BTF), and root",
    )


def _bytes(fields: Mapping[str, int | bytes]) -> bytes:
    """From the IP header on."""
    found = fields.get("network", b"")
    return found if isinstance(found, bytes) else b""


def _number(fields: Mapping[str, int | bytes], name: str) -> int:
    found = fields.get(name, 0)
    return found if isinstance(found, int) else 0


def _text(fields: Mapping[str, int | bytes], name: str) -> str:
    found = fields.get(name, b"")
    return found.split(b"\0")[0].decode(errors="replace") if isinstance(found, bytes) else ""
