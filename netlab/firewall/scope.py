"""What names mean while a script is compiled: variables, interfaces, sets; and constants."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from . import syntax as s
from . import values
from .datatypes import Type
from .problems import Wrong, did_you_mean

INTERVAL, MAP, TIMEOUT, EVAL, OBJECT, CONCAT, EXPRESSIONS = 4, 8, 0x10, 0x20, 0x40, 0x80, 0x100


@dataclass(slots=True)
class SetKind:
    """What a set holds."""

    name: str
    key: tuple[Type, ...]
    data: tuple[Type, ...] | None = None
    """None: no map, or one to verdicts or to objects."""
    flags: int = 0
    object: int = 0
    verdicts: bool = False
    number: int = 0
    """NFTA_SET_ID in this batch; 0 for a set that the kernel held before."""
    auto_merge: bool = False
    data_interval: bool = False


@dataclass
class Tables:
    """What one table is known to hold."""

    sets: dict[str, SetKind] = field(default_factory=dict)
    chains: set[str] = field(default_factory=set)
    bases: set[str] = field(default_factory=set)
    """Chains with a hook: the kernel alone enters them."""
    flowtables: set[str] = field(default_factory=set)
    rules: dict[str, list[int]] = field(default_factory=dict)
    """Of each chain, the numbers of the messages that make its rules, in the chain's order."""
    jumps: dict[str, dict[str, int]] = field(default_factory=dict)
    """From each chain to others, and where that is written."""
    objects: dict[tuple[str, str], int] = field(default_factory=dict)
    open: bool = False
    """The kernel may hold more of it than is known here: unknown names are its to judge."""


def circles(tables: Tables) -> Iterator[Wrong]:
    """Chains that the kernel enters and that would never come to an end."""
    done: set[str] = set()
    for base in sorted(tables.bases):
        road = [(base, iter(tables.jumps.get(base, {}).items()))]
        while road:
            name, at = next(road[-1][1], ("", 0))
            on_it = [each for each, _ in road]
            if not name:
                done.add(road.pop()[0])
            elif name in on_it:
                words = " → ".join([*on_it[on_it.index(name) :], name])
                yield Wrong(at, f"the chains go in a circle: {words}", "one of them must return")
            elif name not in done:
                road.append((name, iter(tables.jumps.get(name, {}).items())))


@dataclass
class Scope:
    """Names, from the innermost block outwards."""

    links: Mapping[str, int]
    variables: dict[str, s.Expression] = field(default_factory=dict)
    counted: int = 0

    def inner(self) -> Scope:
        return Scope(self.links, dict(self.variables), self.counted)

    def next(self) -> int:
        self.counted += 1
        return self.counted

    def define(self, line: s.Define) -> None:
        if line.verb == "define" and line.name in self.variables:
            raise Wrong(line.at, f"variable {line.name!r} is defined twice", "redefine changes it")
        if line.value is None:
            if self.variables.pop(line.name, None) is None:
                raise self.unknown(line.name, line.at)
        else:
            self.variables[line.name] = self.replaced(line.value)

    def unknown(self, name: str, at: int) -> Wrong:
        return Wrong(at, f"unknown variable ${name}", did_you_mean(name, self.variables))

    def replaced(self, tree: s.Expression) -> s.Expression:
        """An expression that is no variable (what it holds may be)."""
        if type(tree) is s.Value:
            return tree
        if isinstance(tree, s.Variable):
            if tree.name not in self.variables:
                raise self.unknown(tree.name, tree.at)
            return self.variables[tree.name]
        if isinstance(tree, s.SetLiteral) and not all(map(_is_final, tree.elements)):
            return s.SetLiteral(tuple(self._members(tree.elements)), tree.at)
        return tree

    def members(self, members: tuple[s.Member, ...]) -> list[s.Element | s.Bulk]:
        """What a set holds, with variables (of sets too) put in their place."""
        return [*self._members(members)]

    def elements(self, members: tuple[s.Member, ...]) -> list[s.Element]:
        """The same one by one, those in bulk too."""
        found: list[s.Element] = []
        for each in self._members(members):
            found.extend(each.elements() if isinstance(each, s.Bulk) else (each,))
        return found

    def _members(self, members: tuple[s.Member, ...]) -> Iterator[s.Element | s.Bulk]:
        for each in members:
            if isinstance(each, s.Bulk):
                yield each
            elif isinstance(each, s.Variable):
                yield from self._spread(self.replaced(each), each.at)
            elif isinstance(each.key, s.Variable | s.SetLiteral):
                yield from self._spread(self.replaced(each.key), each.at, each)
            else:
                yield each

    def _spread(self, tree: s.Expression, at: int,
                around: s.Element | None = None) -> Iterator[s.Element | s.Bulk]:  # fmt: skip
        if isinstance(tree, s.SetLiteral):
            yield from self._members(tree.elements)
        elif isinstance(tree, s.Values):
            yield from (s.Element(item, at=at) for item in tree.items)
        elif around is not None:
            yield s.Element(tree, around.data, around.timeout, around.expires, around.comment,
                            around.statements, at)  # fmt: skip
        else:
            yield s.Element(tree, at=at)

    # ---- constants

    def number(self, kind: Type, tree: s.Expression) -> int:
        """The one number that an expression of constants stands for."""
        if type(tree) is s.Value:
            if kind.form == "ifindex":
                return self._link(tree)
            return values.read(kind, tree)
        if isinstance(tree, s.Variable):
            return self.number(kind, self.replaced(tree))
        if isinstance(tree, s.Values):
            if not kind.flags:
                raise Wrong(_at(tree), f"{kind.name} takes one value here", "write { a, b }")
            return _or(self.number(kind, item) for item in tree.items)
        if isinstance(tree, s.Binary):
            left, right = self.number(kind, tree.left), self.number(kind, tree.right)
            return _OPERATORS[tree.operator](left, right, (1 << (kind.bits or 128)) - 1)
        raise Wrong(_at(tree), f"expected one {kind.name} here, found {_what(tree)}")

    def _link(self, value: s.Value) -> int:
        if value.text.isdecimal() and not value.quoted:
            return int(value.text)
        if value.text not in self.links:
            near = did_you_mean(value.text, self.links)
            raise Wrong(
                value.at, f"there is no interface {value.text!r}",
                near if near.startswith("did") else "iifname and oifname match by name",
            )  # fmt: skip
        return self.links[value.text]

    def span(self, kind: Type, tree: s.Expression) -> tuple[int, int]:
        """First and last number of a value, a prefix, a range, or a ``name*``."""
        if type(tree) is s.Value:
            number = self.number(kind, tree)
            if kind.form == "string" and tree.text.endswith("*") and tree.text[-2:] != "\\*":
                length = 8 * (kind.bytes - len(tree.text.encode()) + 1)
                low = number >> length << length
                return low, low | (1 << length) - 1
            return number, number
        if isinstance(tree, s.Variable):
            return self.span(kind, self.replaced(tree))
        if isinstance(tree, s.Prefix):
            return self._prefix(kind, tree)
        if isinstance(tree, s.Range):
            low, high = self.number(kind, tree.low), self.number(kind, tree.high)
            if low > high:
                raise Wrong(_at(tree), "the range is upside down", "the smaller value comes first")
            return low, high
        number = self.number(kind, tree)
        return number, number

    def _prefix(self, kind: Type, tree: s.Prefix) -> tuple[int, int]:
        if tree.length > kind.bits:
            raise Wrong(tree.at, f"a prefix of {tree.length} bits is longer than {kind.name}",
                        f"at most /{kind.bits}")  # fmt: skip
        rest = (1 << kind.bits - tree.length) - 1
        low = self.number(kind, tree.base) & ~rest
        return low, low | rest


def _is_final(member: s.Member) -> bool:
    """It holds no variable that stands for several elements."""
    if isinstance(member, s.Element):
        return not isinstance(member.key, s.Variable | s.SetLiteral)
    return isinstance(member, s.Bulk)


def _or(numbers: Iterator[int]) -> int:
    total = 0
    for number in numbers:
        total |= number
    return total


_OPERATORS: dict[str, Callable[[int, int, int], int]] = {
    "|": lambda a, b, top: a | b,
    "&": lambda a, b, top: a & b,
    "^": lambda a, b, top: a ^ b,
    "<<": lambda a, b, top: a << min(b, 128) & top,
    ">>": lambda a, b, top: a >> min(b, 128),
}


def _at(tree: s.Expression) -> int:
    return tree.at


def _what(tree: s.Expression) -> str:
    return _WORDS.get(type(tree), "something else")


_WORDS: dict[type, str] = {
    s.SetLiteral: "a set", s.SetName: "a set", s.Concat: "a concatenation", s.Range: "a range",
    s.Prefix: "a prefix", s.Verdict: "a verdict", s.Map: "a map", s.Selector: "a selector",
    s.Wildcard: "'*'", s.Hash: "a hash", s.Raw: "raw bits",
}  # fmt: skip
