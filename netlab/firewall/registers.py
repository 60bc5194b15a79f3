"""A rule while it is read back: what the registers hold, what is known of the packet."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from . import places, values
from . import syntax as s
from .datatypes import INTEGER, Type, sized
from .fields import LINK, NETWORK, TRANSPORT, Field
from .held import Attributes, HeldTable
from .loads import CARRIERS
from .needs import VLANS, Packet
from .wire import number

_CARRIED = ("icmp", "icmpv6")
_BASES = ("ll", "nh", "th")


@dataclass(frozen=True)
class Register:
    """What was loaded, as an expression; or plain ``data``."""

    tree: s.Expression | None
    type: Type
    field: Field | None = None
    place: tuple[int, int, int] | None = None
    """Of bytes of the packet: base, first bit, bits."""
    mask: int = -1
    xor: int = 0
    data: bytes | None = None
    steps: tuple[tuple[str, int], ...] = ()
    present: bool = False

    @property
    def width(self) -> int:
        return len(self.data) if self.data is not None else self.type.bytes


def slot_of(register: bytes | int) -> int:
    """The kernel's number of a register → its first word."""
    found = number(register) if isinstance(register, bytes) else register
    return (found - 1) * 4 if found < 8 else found - 8


@dataclass
class Reading:
    """Statements so far; those that only served a later one are taken out again."""

    family: str
    table: HeldTable
    links: dict[int, str]
    packet: Packet = field(init=False)
    registers: dict[int, Register] = field(default_factory=dict)
    found: list[s.Statement | None] = field(default_factory=list)
    served: dict[int, int] = field(default_factory=dict)
    """Base → the statement from which its protocol is known."""
    icmp: tuple[int, ...] = ()
    icmp_served: int | None = None
    least: s.Expression | None = None
    """The low end, should the last comparison be the first half of a range."""

    def __post_init__(self) -> None:
        self.packet = Packet(self.family)

    def say(self, statement: s.Statement, *, plain: bool = True) -> int:
        """Add a statement; behind one that is no match, nothing before it is implied."""
        self.found.append(statement)
        if plain:
            self.served.clear()
            self.icmp_served = None
        return len(self.found) - 1

    def kill(self, base: int) -> None:
        """What told the protocol at a base is implied by what follows."""
        which = self.served.pop(base, None)
        if which is not None:
            self.found[which] = None

    def register(self, data: bytes | int) -> Register:
        return self.registers[slot_of(data)]

    def put(self, data: bytes | int, register: Register) -> None:
        self.registers[slot_of(data)] = register

    # ---- naming

    def selector(self, register: Register) -> tuple[s.Expression, Register]:
        """A register as an expression with a name, and the register with its type known."""
        if register.place is None:
            if register.field is not None and register.field.source in CARRIERS:
                self.kill(NETWORK)
            assert register.tree is not None
            return register.tree, register
        return self._placed(register)

    def _placed(self, register: Register) -> tuple[s.Expression, Register]:
        assert register.place
        base, first, bits = register.place
        shift = 0
        if register.mask != -1 and not register.steps:
            inner = self._masked(register)
            if inner is not None:
                return inner
        found = places.exact(self.packet.known, base, first, bits, self.icmp)
        if found is None:
            tree: s.Expression = s.Raw(_BASES[base], first, bits)
            kind = sized(INTEGER, bits, ">")
            return tree, replace(register, type=kind, tree=tree, field=None)
        self.used(found)
        tree = s.Selector(found.words)
        kind = sized(found.type, bits + shift)
        return tree, replace(register, type=kind, tree=tree, field=found)

    def _masked(self, register: Register) -> tuple[s.Expression, Register] | None:
        """The bits that a mask cuts out, where they are a field."""
        assert register.place
        base, first, bits = register.place
        mask, shift = register.mask, 0
        if not mask:
            return None
        while not mask & 1:
            mask, shift = mask >> 1, shift + 1
        if mask & mask + 1:
            return None
        length = mask.bit_length()
        start = first + bits - shift - length
        found = places.exact(self.packet.known, base, start, length, self.icmp)
        if found is None or length == bits:
            return None
        self.used(found)
        tree = s.Selector(found.words)
        return tree, replace(register, type=sized(found.type, bits, ">"), tree=tree, field=found,
                             mask=-1, steps=((">>", shift),) if shift else ())  # fmt: skip

    def used(self, found: Field) -> None:
        """A field was named: what it implies need not be said."""
        base = found.where[0]
        name = found.words[0]
        if name == "th" or found.words == ("vlan", "type"):
            return
        self.kill(base)
        if name in _CARRIED:
            self.kill(NETWORK)
        if self.icmp_served is not None and places._exists(found, self.icmp) and len(
            self.icmp
        ) == 1 and _only(found) == 1:  # fmt: skip
            self.found[self.icmp_served] = None
            self.icmp_served = None

    # ---- constants

    def constant(self, kind: Type, data: bytes | int, is_end: bool = False) -> s.Expression:
        """``is_end``: of a range, where words are no use."""
        value = values.decode(kind, data) if isinstance(data, bytes) else data
        if kind.form == "ifindex":
            name = self.links.get(value)
            return s.Value(name, True) if name else s.Value(str(value))
        if kind.name == "integer" and kind.form == "integer" and kind is not INTEGER:
            return s.Value(str(value))
        return values.show_end(kind, value) if is_end else values.show(kind, value)

    def learn(self, tree: s.Expression, kind: Type, value: int, which: int) -> None:
        """A field was found equal to a number."""
        if not isinstance(tree, s.Selector):
            return
        before = dict(self.packet.known)
        self.packet.learn(tree.words, value)
        for base in (LINK, NETWORK, TRANSPORT):
            told = self.packet.known.get(base) != before.get(base) or _tells(tree.words, base)
            if told and self._may_serve(tree.words, base, value):
                self.served[base] = which
        if tree.words in (("icmp", "type"), ("icmpv6", "type")):
            self.icmp = (value,)
            self.icmp_served = which

    def _may_serve(self, words: tuple[str, ...], base: int, value: int) -> bool:
        """``ip protocol tcp`` says more than its number where IPv4 is not given.

        So does 8021ad, or a VLAN within another one: who asks for one means the usual one.
        """
        if value in VLANS and words[-1] == "type":
            return words[0] == "ether" and value == VLANS[0]
        if words == ("ip", "protocol"):
            return self.family == "ip"
        if words == ("ip6", "nexthdr"):
            return self.family == "ip6"
        return base in self.packet.known


def _only(found: Field) -> int:
    from .fields import ICMP_NEEDS

    return len(ICMP_NEEDS.get((found.words[0], found.words[-1]), ()))


def _tells(words: tuple[str, ...], base: int) -> bool:
    return words in _TELLING[base]


_TELLING: dict[int, tuple[tuple[str, ...], ...]] = {
    LINK: (("meta", "iiftype"),),
    NETWORK: (("ether", "type"), ("vlan", "type")),
    TRANSPORT: (("meta", "l4proto"), ("ip", "protocol"), ("ip6", "nexthdr")),
}
"""Fields that tell a protocol again, even where it was known before."""


def operand(data: Attributes, key: int) -> int:
    return number(data.get(key, b""))
