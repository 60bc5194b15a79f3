"""One chain of nftables, gone through by one packet: what matched, what did not, what came of it.

Statements act one after the other, as in the kernel (nft_do_chain). Of what is not known beforehand
the truth is never guessed: where it decides nothing it is only told, else ``choices`` are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from netlab.firewall import datatypes as t
from netlab.firewall import syntax as s
from netlab.firewall.datatypes import Type
from netlab.firewall.loads import field_of
from netlab.firewall.parse_statements import BYTES
from netlab.firewall.problems import Wrong
from netlab.firewall.show_rules import expression, statement
from netlab.trace import model
from netlab.trace.explain import reading
from netlab.trace.explain.matching import Truth, contents, finds, holds, place_of, why
from netlab.trace.explain.packet import Packet, Span, exactly, icmp_of
from netlab.trace.explain.ruleset import Chain, Rule, Ruleset, Table
from netlab.trace.explain.scene import Scene
from netlab.trace.explain.sets import Put
from netlab.trace.explain.tracking import UNTRACKED, Seen
from netlab.trace.explain.writing import written

DEEPEST = 16
"""Jumps within jumps (NFT_JUMP_STACK_SIZE)."""
UNREAD = "what a packet was, when it was put in"
"""No value of any type."""


class Verdict(NamedTuple):
    kind: str
    """accept, drop, stolen, queue; continue, return, jump, goto."""
    chain: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.chain}" if self.chain else self.kind


CONTINUE = Verdict("continue")
ENDS = frozenset({"accept", "drop", "stolen", "queue"})


class Reject(NamedTuple):
    """What is sent back: a reset, or an ICMP error of a type and a code."""

    reset: bool = False
    icmp: tuple[int, int] = (0, 0)


class Translation(NamedTuple):
    """What a rule wants of a connection's addresses."""

    kind: str
    """snat, dnat, masquerade or redirect."""
    first: int | None = None
    """An address as a number; the last one where it is a range; None leaves it as it is."""
    last: int | None = None
    ports: Span | None = None
    """From the first to the last one; None leaves it as it is."""
    random: bool = False
    prefix: bool = False
    """Whether only the front part of the address is replaced."""
    rule: Rule | None = None


@dataclass(frozen=True)
class Outcome:
    """What a chain made of a packet."""

    chain: model.Chain
    packet: Packet
    verdict: str
    """accept, drop, stolen or queue."""
    seen: Seen
    reject: Reject | None = None
    translation: Translation | None = None
    synproxy: bool = False
    to: str = ""
    """The device that ``fwd`` sends it out of."""
    counted: tuple[Rule, ...] = ()
    """The rules whose counters it moved."""
    rule: Rule | None = None
    """The one that decided; None where the policy did."""
    notes: tuple[str, ...] = ()
    """What was taken for granted, in sentences."""


def go_through(chain: Chain, ruleset: Ruleset, scene: Scene) -> Outcome:
    """``chain`` is a base chain."""
    run = _Run(ruleset.table_of(chain), scene)
    verdict = run.rules(chain, 0)
    by_policy = verdict.kind not in ENDS
    ended = chain.policy if by_policy else verdict.kind
    told = model.Chain(
        chain.family,
        chain.table,
        chain.name,
        tuple(run.told),
        ended,
        by_policy,
        chain.type,
        chain.priority,
        chain.place,
    )
    return Outcome(
        told,
        run.scene.packet,
        ended,
        run.scene.seen,
        run.reject,
        run.translation,
        run.synproxy,
        run.to,
        tuple(run.counted),
        None if by_policy else run.rule,
        tuple(dict.fromkeys(run.notes)),
    )


class Doubt(NamedTuple):
    """A statement of which it is not known whether it lets the rule go on."""

    why: str


Said = Verdict | Doubt | None
"""What a statement comes to; None: the rule does not match."""


@dataclass
class _Run:
    table: Table
    scene: Scene
    told: list[model.Rule] = field(default_factory=list)
    counted: list[Rule] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    reject: Reject | None = None
    translation: Translation | None = None
    synproxy: bool = False
    to: str = ""
    rule: Rule | None = None

    def rules(self, chain: Chain, depth: int) -> Verdict:
        """``return`` where it comes to the end."""
        for rule in chain.rules:
            verdict = self.one(chain, rule, depth)
            if verdict.kind in ENDS:
                self.rule = rule
                return verdict
            if verdict.kind == "return":
                break
            if verdict.kind in ("jump", "goto"):
                inner = self.into(verdict.chain, depth)
                if inner.kind in ENDS or verdict.kind == "goto":
                    return inner
        return Verdict("return")

    def into(self, name: str, depth: int) -> Verdict:
        chain = self.table.chains.get(name)
        if chain is None or depth >= DEEPEST:
            return Verdict("return")
        return self.rules(chain, depth + 1)

    # one rule

    def one(self, chain: Chain, rule: Rule, depth: int) -> Verdict:
        self.rule = rule
        try:
            matched, verdict = self._matched(rule)
        except (Wrong, KeyError) as wrong:
            note = f"the rule “{rule.text}” is not understood: {wrong}"
            self.notes.append(note)
            options = ("it does not match", "it drops", "it accepts")
            taken = self.scene.choices.choose(note, options)
            matched, verdict = None, (CONTINUE, Verdict("drop"), Verdict("accept"))[taken]
        said = str(verdict) if matched or verdict != CONTINUE else ""
        self.told.append(
            model.Rule(
                chain.family, chain.table, chain.name, rule.handle, rule.text, matched, said,
                rule.place, depth,
            )
        )  # fmt: skip
        return verdict

    def _matched(self, rule: Rule) -> tuple[bool | None, Verdict]:
        matched: bool | None = True
        statements = rule.tree.statements
        for number, each in enumerate(statements):
            said = self.say(each)
            if isinstance(said, Doubt):
                rest = statements[number + 1 :]
                if self._surely_fails(rest):
                    return False, CONTINUE
                if not any(map(_matters, rest)):
                    return None, CONTINUE
                matched = None
                if not self._supposed(each, said):
                    return None, CONTINUE
                said = CONTINUE
            if said is None:
                return (False if matched else None), CONTINUE
            if said.kind != "continue":
                return matched, said
        return matched, CONTINUE

    def _surely_fails(self, rest: Sequence[s.Statement]) -> bool:
        for each in rest:
            if isinstance(each, s.Match):
                if holds(each, self.scene, self.scope, self.table) is False:
                    return True
            elif _matters(each):
                return False
        return False

    def _supposed(self, tree: s.Statement, doubt: Doubt) -> bool:
        question = f"whether “{statement(tree)}” holds in {self.scene.node}: {doubt.why}"
        return self.scene.choices.choose(question, ("it does", "it does not")) == 0

    @property
    def scope(self) -> Any:
        return self.rule.scope if self.rule else self.table.scope

    # statements

    def say(self, tree: s.Statement) -> Said:
        return STATEMENTS[type(tree)](self, tree)

    def match(self, tree: s.Match) -> Said:
        return _truth(holds(tree, self.scene, self.scope, self.table))

    def decide(self, tree: s.Decide) -> Said:
        if isinstance(tree.verdict, s.Map):
            found = self.looked_up(tree.verdict)
            if found is None or found.data is None:
                return None
            return self._verdict(self.scope.replaced(found.data))
        return self._verdict(tree.verdict)

    def _verdict(self, tree: s.Expression) -> Verdict:
        if isinstance(tree, s.Value):
            return Verdict(tree.text)
        assert isinstance(tree, s.Verdict)
        chain = self.scope.replaced(tree.chain) if tree.chain is not None else None
        return Verdict(tree.kind, getattr(chain, "text", ""))

    def looked_up(self, tree: s.Map) -> s.Element | None:
        """The element of a map; one of several, where the key is not known."""
        wanted = reading.keys(tree.key, self.scene, self.scope)
        if wanted is None:
            return None
        table = self.scope.replaced(tree.table)
        assert isinstance(table, s.SetLiteral | s.SetName | s.Value)
        found = finds(tree.key, table, wanted, self.scene, self.scope, self.table)
        if len(found) == 1:
            return found[0]
        reason = next((k.why for k in wanted if not k.known and k.why), expression(tree.key))
        options = [_element_words(e) if e else "none of them" for e in found]
        question = f"which element “{expression(tree)}” finds in {self.scene.node}: {reason}"
        return found[self.scene.choices.choose(question, options)]

    def assign(self, tree: s.Assign) -> Said:
        field = field_of(tree.target)
        assert field is not None
        value = self.value(tree.value, field.type)
        if value is None:
            return None
        if not value.known:
            self.notes.append(f"“{statement(tree)}”: {why(value, tree.value)} is not known before")
        found = written(field, value, self.scene)
        if found is None:
            self.notes.append(f"“{statement(tree)}” is not followed")
        else:
            self.scene = found
        return CONTINUE

    def value(self, tree: s.Expression, kind: Type) -> Span | None:
        """What is assigned: a constant, something read, what a map finds."""
        tree = self.scope.replaced(tree)
        if isinstance(tree, s.Map):
            element = self.looked_up(tree)
            return None if element is None or element.data is None else (
                self.value(element.data, kind)
            )  # fmt: skip
        if reads(tree):
            return reading.read(tree, self.scene, self.scope)
        if isinstance(tree, s.Range | s.Prefix):
            return Span(*self.scope.span(kind, tree))
        return exactly(self.scope.number(kind, tree))

    def counter(self, tree: s.Counter) -> Said:
        if self.rule is not None:
            self.counted.append(self.rule)
        return CONTINUE

    def limit(self, tree: s.Limit) -> Said:
        self.notes.append(f"“{statement(tree)}” is taken as not exceeded")
        return None if tree.over else CONTINUE

    def quota(self, tree: s.Quota) -> Said:
        used = (tree.used or 0) * BYTES.get(tree.used_unit, 1) + self.scene.packet.length
        exceeded = used > tree.amount * BYTES[tree.unit]
        return CONTINUE if exceeded == tree.over else None

    def connections(self, tree: s.Connections) -> Said:
        self.notes.append(f"“{statement(tree)}” is taken as not exceeded")
        return None if tree.over else CONTINUE

    def refuse(self, tree: s.Reject) -> Said:
        packet = self.scene.packet
        if tree.kind == "tcp reset":
            if packet.protocol != "tcp":
                return None
            self.reject = Reject(reset=True)
        else:
            wanted = _REJECTS.get(tree.kind)
            if wanted is not None and wanted.version not in (0, packet.version):
                return None
            code = _DEFAULT[packet.version]
            if wanted is not None and tree.code is not None:
                code = self.scope.number(wanted.codes, tree.code)
                code = _ICMPX[packet.version][code] if tree.kind == "icmpx" else code
            self.reject = Reject(icmp=({4: 3, 6: 1}[packet.version], code))
        return Verdict("drop")

    def nat(self, tree: s.Nat) -> Said:
        wanted = self._translation(tree)
        if wanted is None:
            return None
        self.translation = wanted
        return Verdict("accept")

    def _translation(self, tree: s.Nat) -> Translation | None:
        flags = any(flag in tree.flags for flag in ("random", "fully-random"))
        found = Translation(tree.kind, random=flags, rule=self.rule)
        version = self.scene.packet.version
        if tree.address is not None:
            if tree.family and {"ip": 4, "ip6": 6}[tree.family] != version:
                return None
            span, ports = self._address(tree.address, t.IPV4 if version == 4 else t.IPV6)
            if span is None:
                return None
            prefix = "prefix" in tree.concat
            found = found._replace(first=span.low, last=span.high, ports=ports, prefix=prefix)
        if tree.port is not None:
            ports = self.value(tree.port, t.SERVICE)
            if ports is None:
                return None
            found = found._replace(ports=ports)
        return found

    def _address(self, tree: s.Expression, kind: Type) -> tuple[Span | None, Span | None]:
        """An address or several; a map may give a port with it."""
        tree = self.scope.replaced(tree)
        if isinstance(tree, s.Map):
            element = self.looked_up(tree)
            if element is None or element.data is None:
                return None, None
            tree = self.scope.replaced(element.data)
        if isinstance(tree, s.Concat):
            address, port = tree.parts
            return self.value(address, kind), self.value(port, t.SERVICE)
        return self.value(tree, kind), None

    def send(self, tree: s.Send) -> Said:
        if tree.kind == "dup":
            self.notes.append(f"“{statement(tree)}” makes a copy, which is not followed")
            return CONTINUE
        device = self.scope.replaced(tree.device) if tree.device is not None else None
        if not isinstance(device, s.Value):
            raise Wrong(tree.at, "which device it is sent out of")
        self.to = device.text
        return Verdict("stolen")

    def plain(self, tree: s.Plain) -> Said:
        if tree.word.startswith("#"):
            return Doubt(tree.word.lstrip("# "))
        if tree.word == "notrack" and self.scene.seen.connection is None:
            self.scene = replace(self.scene, seen=UNTRACKED)
        return CONTINUE

    def remember(self, tree: s.Remember | s.Meter) -> Said:
        keys = reading.keys(tree.element.key, self.scene, self.scope)
        if keys is None:
            return None
        if isinstance(tree, s.Remember):
            held, puts = self.table.sets[tree.name], self._puts(tree.name)
            room = held.size is None or len(contents(tree.name, self.table).exact) < held.size
            if not room and tree.verb != "delete":
                return Doubt(f"whether there is room left in the set {tree.name}")
            element = None if tree.verb == "delete" else self._put(tree)
            puts.append(Put(tuple(keys), element, tree.verb == "add"))
        for each in tree.element.statements:
            said = self.say(each)
            if said != CONTINUE:
                return said
        return CONTINUE

    def _puts(self, name: str) -> list[Put]:
        return self.scene.puts.setdefault(place_of(name, self.scene, self.table), [])

    def _put(self, tree: s.Remember) -> s.Element:
        """As it will be found; what it maps to is read now, not when it is found."""
        data = tree.element.data
        if data is not None and reads(self.scope.replaced(data)):
            data = s.Value(UNREAD)
        return replace(tree.element, data=data)

    def refer(self, tree: s.Refer) -> Said:
        name = self.scope.replaced(tree.name)
        if isinstance(name, s.Map):
            element = self.looked_up(name)
            if element is None or element.data is None:
                return None
            name = self.scope.replaced(element.data)
        held = self.table.objects.get((tree.kind, getattr(name, "text", "")))
        if tree.kind in ("limit", "quota", "synproxy"):
            if held is None or held.body is None:
                raise Wrong(tree.at, f"there is no {tree.kind} {expression(name)}")
            return self.say(held.body)
        return CONTINUE

    def proxied(self, tree: s.Synproxy) -> Said:
        if self.scene.packet.protocol != "tcp":
            return None
        self.synproxy = True
        return Verdict("stolen")

    def transparent(self, tree: s.Tproxy) -> Said:
        return Doubt("whether a program waits there with IP_TRANSPARENT")


def _element_words(element: s.Element) -> str:
    data = f" : {expression(element.data)}" if element.data is not None else ""
    return f"{expression(element.key)}{data}"


def _truth(truth: Truth) -> Said:
    if isinstance(truth, str):
        return Doubt(truth)
    return CONTINUE if truth else None


def reads(tree: s.Expression) -> bool:
    """Whether it is read from the packet, not a constant."""
    if isinstance(tree, s.Binary):
        return reads(tree.left)
    return isinstance(tree, s.Selector | s.Raw | s.Hash)


def _matters(tree: s.Statement) -> bool:
    """Whether it does more than to count and to write down."""
    return not isinstance(tree, s.Match | s.Counter | s.Log | s.Plain) or (
        isinstance(tree, s.Plain) and tree.word == "notrack"
    )


class _Kind(NamedTuple):
    codes: Type
    version: int
    """0 for both."""


_REJECTS = {
    "icmp": _Kind(t.ICMP_CODE, 4),
    "icmpv6": _Kind(t.ICMPV6_CODE, 6),
    "icmpx": _Kind(t.ICMPX_CODE, 0),
}
_DEFAULT = {4: 3, 6: 4}
"""Port unreachable."""
_ICMPX = {4: {0: 0, 1: 3, 2: 1, 3: 13}, 6: {0: 0, 1: 4, 2: 3, 3: 1}}
"""nft's codes for both families → ICMP's (nft_reject_icmp_code, nft_reject_icmpv6_code)."""

STATEMENTS: dict[type, Callable[[_Run, Any], Said]] = {
    s.Match: _Run.match,
    s.Decide: _Run.decide,
    s.Assign: _Run.assign,
    s.Counter: _Run.counter,
    s.Refer: _Run.refer,
    s.Limit: _Run.limit,
    s.Quota: _Run.quota,
    s.Connections: _Run.connections,
    s.Log: lambda run, tree: CONTINUE,
    s.Reject: _Run.refuse,
    s.Nat: _Run.nat,
    s.Tproxy: _Run.transparent,
    s.Synproxy: _Run.proxied,
    s.Queue: lambda run, tree: Verdict("queue"),
    s.Send: _Run.send,
    s.Plain: _Run.plain,
    s.Remember: _Run.remember,
    s.Meter: _Run.remember,
    s.Foreign: lambda run, tree: Doubt(f"what {tree.what} does"),
    s.Reset: lambda run, tree: CONTINUE,
    s.Offload: lambda run, tree: CONTINUE,
}


def error_words(reject: Reject, version: int) -> str:
    """``TCP reset``, ``ICMP port unreachable``."""
    if reject.reset:
        return "TCP reset"
    codes = t.ICMP_CODES if version == 4 else t.ICMPV6_CODES
    name = next((n for n, c in codes.items() if c == reject.icmp[1]), str(reject.icmp[1]))
    return f"{ {'icmp': 'ICMP', 'icmpv6': 'ICMPv6'}[icmp_of(version)] } {name.replace('-', ' ')}"
