"""What `nat:` of a node says, as rules in nft syntax, each with the entry that asks for it.

Rules stand in a table of netlab's own, behind those of the node's `nftables:` on the same hooks, so
that what is written in nft wins. What is wrong is told with all else, and makes no rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from netlab.model.nat import (
    AddressRange,
    Masquerade,
    Nat,
    OneToOne,
    Ports,
    Publish,
    SourceNat,
    Target,
)
from netlab.model.site import Nic, Path, Site
from netlab.model.topology import Node
from netlab.model.words import Prefix
from netlab.nodes import NodeKind
from netlab.plan.nat_names import NAMED, Names, Wrong, families_words, of_family, set_of

TABLE = ("inet", "netlab_nat")
FORWARDING = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding")
HIGHEST_PORT = 65535
ELSEWHERE = {4: ("127.0.0.0/8",), 6: ("::1", "fe80::/10")}
"""Own addresses of every node that nothing is published on."""


@dataclass(frozen=True)
class Translation:
    """The rules of one node."""

    text: str = ""
    """In nft syntax; "" where nothing is asked for."""
    asked: tuple[Path, ...] = ()
    """For each line of the text, the entry that asks for it."""
    words: tuple[str, ...] = ()
    """Each entry, for people."""
    wrong: tuple[Wrong, ...] = ()


def translation(node: Node, kind: NodeKind, site: Site, sites: Mapping[str, Site]) -> Translation:
    if node.nat == Nat():
        return Translation()
    work = _Work(node, Names(node, site, sites))
    if kind.bridge:
        message = f"{site.name} is a {node.kind}: it passes frames on as they are"
        work.names.say((), message, "a router has `nat`")
        return Translation(wrong=tuple(work.names.wrong))
    if not kind.forwards and not _is_made_to_forward(node):
        message = f"{site.name} forwards nothing, so there is nothing to translate"
        work.names.say((), message, "write `kind: router`")
    work.all(node.nat)
    text = list(work.table())
    return Translation(
        "".join(f"{line}\n" for line, _ in text),
        tuple(path for _, path in text),
        node.nat.words,
        tuple(work.names.wrong),
    )


def _is_made_to_forward(node: Node) -> bool:
    return any(node.sysctls.get(name, "0") != "0" for name in FORWARDING)


@dataclass(frozen=True)
class _Rule:
    path: Path
    text: str


@dataclass(frozen=True)
class _Way:
    """What is published, in one family and one protocol."""

    family: int
    to: str
    protocol: str
    asked: Ports
    ports: Ports
    """Where they lead; as many as are asked for."""


@dataclass
class _Work:
    node: Node
    names: Names
    redirected: list[_Rule] = field(default_factory=list)
    """What looks at destinations."""
    hairpins: list[_Rule] = field(default_factory=list)
    sources: list[_Rule] = field(default_factory=list)
    """What looks at sources, behind the hairpins: one to one, then snat, then masquerade."""

    def all(self, nat: Nat) -> None:
        self.publish(nat.publish)
        self.one_to_one(nat.one_to_one)
        self.snat(nat.snat)
        self.masquerade(nat.masquerade)

    # publish

    def publish(self, entries: Sequence[Publish]) -> None:
        taken: dict[tuple[str, str, int], list[tuple[Ports, int]]] = {}
        for place, entry in enumerate(entries):
            path: Path = ("publish", place)
            nics = self.names.outer(entry.on, (*path, "on"))
            are_right = [self._are_ports(entry, word, p, path) for word, p in entry.protocols]
            targets = self.names.targets(entry.to, nics, (*path, "to"))
            if not (nics and targets and all(are_right)):
                continue
            found = self._both(targets, nics, entry, path)
            for family, to in found.items():
                for word, asked in entry.protocols:
                    way = _Way(family, to, word, asked, entry.to.ports or asked)
                    self._not_twice(taken, path, nics, way)
                    self._published(path, nics, way)

    def _are_ports(self, entry: Publish, word: str, asked: Ports, path: Path) -> bool:
        count = len(self.names.wrong)
        self._in_bounds(asked, (*path, word))
        if entry.to.ports is not None:
            self._in_bounds(entry.to.ports, (*path, "to"))
        fine = len(self.names.wrong) == count
        if fine and entry.to.ports is not None and entry.to.ports.count != asked.count:
            last = min(entry.to.ports.low + asked.count - 1, HIGHEST_PORT)
            right = Target(entry.to.to, Ports(last - asked.count + 1, last))
            message = f"{asked} is {_count(asked)}, {entry.to.ports} is {_count(entry.to.ports)}"
            hint = f"write as many, as {right}, or none for the same: {entry.to.to}"
            self.names.say((*path, "to"), message, hint)
            fine = False
        return fine

    def _in_bounds(self, ports: Ports, path: Path) -> None:
        for port in dict.fromkeys((ports.low, ports.high)):
            if not 1 <= port <= HIGHEST_PORT:
                self.names.say(path, f"{port} is no port: there are 1 to {HIGHEST_PORT}")
        if ports.low > ports.high:
            right = f"{ports.high}-{ports.low}"
            self.names.say(path, f"the range {ports} is upside down", f"write {right}")

    def _both(
        self, targets: dict[int, str], nics: Sequence[Nic], entry: Publish, path: Path
    ) -> dict[int, str]:
        """Where it leads, in the families that the outer interfaces have as well."""
        outer = self.names.families(nics)
        found = {family: to for family, to in targets.items() if family in outer}
        if not found:
            on = ", ".join(entry.on)
            self.names.say(
                (*path, "to"),
                f"{entry.to.to} has {families_words(targets)}, {on} has {families_words(outer)}: "
                "no translation leads from one to the other",
                about=self.names.node_of(entry.to),
            )
        return found

    def _not_twice(
        self,
        taken: dict[tuple[str, str, int], list[tuple[Ports, int]]],
        path: Path,
        nics: Sequence[Nic],
        way: _Way,
    ) -> None:
        for nic in nics:
            others = taken.setdefault((nic.name, way.protocol, way.family), [])
            for other, place in others:
                if other.low <= way.asked.high and way.asked.low <= other.high:
                    both = Ports(max(other.low, way.asked.low), min(other.high, way.asked.high))
                    message = f"{way.protocol}/{both} is published on {nic.name} already"
                    self.names.say((*path, way.protocol), message, f"by nat.publish[{place}]")
            others.append((way.asked, int(path[1])))

    def _published(self, path: Path, nics: Sequence[Nic], way: _Way) -> None:
        ports = f"{way.protocol} dport {way.asked}"
        for match in self._destinations(nics, way.family):
            text = f"{match} {ports} counter dnat {_new_destination(way)}"
            self.redirected.append(_Rule(path, text))
        self._hairpin(path, way.family, way.to, f" {way.protocol} dport {way.ports}")

    def _destinations(self, nics: Sequence[Nic], family: int) -> Iterator[str]:
        """What is addressed to these interfaces; a whole outer address is its inner node's."""
        name = NAMED[family]
        whole = {str(entry.outside) for entry in self.node.nat.one_to_one}
        all_of_them = [ip for nic in nics for ip in of_family(nic, family)]
        own = [ip for ip in all_of_them if ip not in whole] or all_of_them
        if own:
            yield f"{name} daddr {set_of(own)}"
        if not all(nic.addresses for nic in nics):
            written = (ip for nic in self.names.site.nics for ip in of_family(nic, family))
            yield f"{name} daddr != {set_of([*ELSEWHERE[family], *written])} fib daddr type local"

    def _hairpin(self, path: Path, family: int, to: str, ports: str) -> None:
        """Who is beside the target would get its answers straight, from an address not asked."""
        loop = self.names.loop(to)
        if loop:
            text = f"{loop} {NAMED[family]} daddr {to}{ports} ct status dnat counter masquerade"
            self.hairpins.append(_Rule(path, f'{text} comment "hairpin"'))

    # one to one

    def one_to_one(self, entries: Sequence[OneToOne]) -> None:
        outsides: dict[str, int] = {}
        insides: dict[str, int] = {}
        for place, entry in enumerate(entries):
            path: Path = ("one_to_one", place)
            family, outside = entry.outside.version, str(entry.outside)
            nic = self.names.outer_of(entry, path)
            self.names.answers((*path, "outside"), AddressRange(entry.outside, entry.outside))
            inside = self.names.targets(entry.inside, [], (*path, "inside"))
            if inside and family not in inside:
                self.names.say(
                    (*path, "inside"),
                    f"{entry.inside} has {families_words(inside)}, {outside} is IPv{family}",
                    about=self.names.node_of(entry.inside),
                )
            to = inside.get(family, "")
            for said, which, held in (("outside", outside, outsides), ("inside", to, insides)):
                if which and held.setdefault(which, place) != place:
                    hint = f"by nat.one_to_one[{held[which]}]"
                    self.names.say((*path, said), f"{which} is used one to one already", hint)
            if nic is None or not to:
                continue
            name = NAMED[family]
            self.redirected.append(
                _Rule(path, f"{name} daddr {outside} counter dnat {name} to {to}")
            )
            self._hairpin(path, family, to, "")
            source = f"{_leaves_by([nic])} {name} saddr {to}"
            self.sources.append(_Rule(path, f"{source} counter snat {name} to {outside}"))

    # sources

    def snat(self, entries: Sequence[SourceNat]) -> None:
        for place, entry in enumerate(entries):
            path: Path = ("snat", place)
            nics = self.names.outer(entry.out, (*path, "out"))
            if not (self._is_range(entry, path) and nics):
                continue
            family = entry.to.low.version
            self.names.answers((*path, "to"), entry.to)
            match = f"{_leaves_by(nics)} {_from(entry.from_, family)}"
            text = f"{match} counter snat {NAMED[family]} to {entry.to}"
            self.sources.append(_Rule(path, text))

    def _is_range(self, entry: SourceNat, path: Path) -> bool:
        low, high = entry.to.low, entry.to.high
        count = len(self.names.wrong)
        if low.version != high.version:
            message = f"{low} is IPv{low.version}, {high} is IPv{high.version}"
            self.names.say((*path, "to"), message)
        elif int(low) > int(high):
            hint = f"write {high}-{low}"
            self.names.say((*path, "to"), f"the range {entry.to} is upside down", hint)
        if entry.from_ is not None and entry.from_.version != low.version:
            message = f"{entry.from_} is IPv{entry.from_.version}, {low} is IPv{low.version}"
            self.names.say((*path, "from"), message)
        return len(self.names.wrong) == count

    def masquerade(self, entries: Sequence[Masquerade]) -> None:
        taken: set[tuple[str, Prefix | None]] = set()
        for place, entry in enumerate(entries):
            path: Path = ("masquerade", place)
            nics = self.names.outer(entry.out, (*path, "out"))
            for name in dict.fromkeys(entry.out):
                if (name, entry.from_) in taken:
                    self.names.say(path, f"what leaves by {name} is masqueraded already")
                taken.add((name, entry.from_))
            whose = f" {_from(entry.from_, entry.from_.version)}" if entry.from_ else ""
            if nics:
                text = f"{_leaves_by(nics)}{whose} counter masquerade"
                self.sources.append(_Rule(path, text))

    # the table

    def table(self) -> Iterator[tuple[str, Path]]:
        """Its lines; those that no entry asks for are `nat`'s own."""
        here = (*self.names.site.path, "nat")
        if not (self.redirected or self.sources):
            return
        yield f"table {' '.join(TABLE)} {{", here
        if self.redirected:
            yield from self._chain("published", "", self.redirected)
            jump = [_Rule((), "jump published")]
            for name, priority in (("prerouting", "dstnat + 1"), ("output", "-99")):
                yield from self._chain(name, f"hook {name} priority {priority}", jump)
        last = [*self.hairpins, *self.sources]
        if last:
            yield from self._chain("postrouting", "hook postrouting priority srcnat + 1", last)
        yield "}", here

    def _chain(self, name: str, hook: str, rules: Iterable[_Rule]) -> Iterator[tuple[str, Path]]:
        here = (*self.names.site.path, "nat")
        yield f"\tchain {name} {{", here
        if hook:
            yield f"\t\ttype nat {hook};", here
        for rule in rules:
            yield f"\t\t{rule.text}", (*here, *rule.path)
        yield "\t}", here


def _count(ports: Ports) -> str:
    return "1 port" if ports.count == 1 else f"{ports.count} ports"


def _leaves_by(nics: Iterable[Nic]) -> str:
    return "oifname " + set_of(f'"{nic.name}"' for nic in nics)


def _from(prefix: Prefix | None, family: int) -> str:
    if prefix is None or prefix.prefixlen == 0:
        return f"meta nfproto ipv{family}"
    return f"{NAMED[family]} saddr {prefix}"


def _new_destination(way: _Way) -> str:
    """The kernel takes any port of a range, so each of them has its own written down."""
    name = NAMED[way.family]
    if way.ports == way.asked:
        return f"{name} to {way.to}"
    if way.ports.count == 1:
        return f"{name} to {f'[{way.to}]' if way.family == 6 else way.to}:{way.ports}"
    pairs = zip(way.asked.all, way.ports.all, strict=True)
    table = ", ".join(f"{one} : {other}" for one, other in pairs)
    return f"{name} to {way.to} : {way.protocol} dport map {{ {table} }}"
