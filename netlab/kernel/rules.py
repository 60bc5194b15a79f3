"""nftables rules of a node: put into the kernel in one transaction, and read back with their lines.

Every function but ``text`` works in the namespace that the calling thread stands in.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Iterator, Mapping
from functools import cached_property

from netlab.errors import KernelRefused, MachineLacks
from netlab.firewall import ready
from netlab.firewall.listing import list_rules
from netlab.firewall.parse import Read, no_includes
from netlab.firewall.problems import RulesetError, Uncovered
from netlab.firewall.show import show
from netlab.firewall.show_rules import rule as rule_text
from netlab.firewall.sources import Source
from netlab.firewall.swap import differing, rule_places, swap, tables, text_of, uncovered
from netlab.firewall.syntax import Counter, Script
from netlab.firewall.transaction import Answer, commit
from netlab.kernel import libnftables
from netlab.kernel.values import HeldRule

NETLINK_NETFILTER = 12


def change(before: str, after: str) -> None:
    """Raises KernelRefused with the place of the rule, MachineLacks, OSError."""
    links = _Links()
    try:
        if before:
            batch = swap(script_of(before), script_of(after), links)
        else:
            batch = ready.batch(*_written(after), links)
    except Uncovered as failure:
        _by_library(script_of(before), script_of(after), failure)
        return
    with _socket() as sock:
        try:
            commit(sock, batch)
        except Answer as answer:
            raise _refused(answer) from None


def text(before: str, after: str) -> str:
    """What nft(8) would have to be given."""
    old, new = script_of(before), script_of(after)
    return show(text_of(old, new, list(dict.fromkeys([*tables(old), *tables(new)])))) + "\n"


def listed(spec: str) -> list[HeldRule]:
    """All rules of the node. Raises OSError."""
    script, links = script_of(spec), _Links()
    places = {chain: iter(each) for chain, each in rule_places(script).items()}
    beyond = _by_libnftables(spec, script, links)
    with _socket() as sock:
        found = list_rules(sock, links)
    rules = []
    for each in found:
        chain = (each.family, each.table, each.chain)
        place = next(places.get(chain, iter(())), None)
        line = f"{place.file}:{place.line}" if place else ""
        counter = next((x for x in each.rule.statements if isinstance(x, Counter)), Counter())
        by = "libnftables" if chain[:2] in beyond else "netlab"
        rules.append(
            HeldRule(
                *chain, each.handle, rule_text(each.rule), line, counter.packets, counter.bytes, by
            )
        )
    return rules


def _by_libnftables(spec: str, script: Script, links: _Links) -> set[tuple[str, str]]:
    if not spec:
        return set()
    try:
        ready.batch(*_written(spec), links)
    except Uncovered:
        return uncovered(script, links)
    except RulesetError:
        pass  # an interface that rules name by index has gone since
    return set()


def script_of(spec: str) -> Script:
    """What was read and checked before."""
    return ready.script(*_written(spec)) if spec else Script(())


def _written(spec: str) -> tuple[list[Source], Read]:
    """The texts of a node, and those that they include, which come with them."""
    wanted = json.loads(spec)
    topology, nat = wanted["file"], wanted["nat"]
    first, beside = wanted["texts"][:1], dict(wanted["texts"][1:])
    base = os.path.dirname("".join(name for name, _ in first))

    def read(path: str) -> Source:
        name = os.path.normpath(os.path.join(base, path))
        return Source(name, beside[name]) if name in beside else no_includes(path)

    texts = [Source(name or topology, t, wanted["line"], wanted["indent"]) for name, t in first]
    own = [Source(topology, nat, asked=wanted["asked"])] if nat else []
    return [*texts, *own], read


class _Links(Mapping[str, int]):
    """The interfaces of the namespace that the thread stands in, and their indexes.

    The kernel is asked at the first look: most rules name interfaces, not indexes.
    """

    @cached_property
    def _held(self) -> dict[str, int]:
        return {"lo": 1} | {name: index for index, name in socket.if_nameindex()}

    def __getitem__(self, name: str) -> int:
        return self._held[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)


def _socket() -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
    try:
        return socket.socket(socket.AF_NETLINK, kind, NETLINK_NETFILTER)
    except OSError as problem:
        if problem.errno != errno.EPROTONOSUPPORT:
            raise
        raise MachineLacks("this kernel lacks CONFIG_NETFILTER_NETLINK") from problem


def _by_library(old: Script, new: Script, failure: Uncovered) -> None:
    """What netlab's own compiler does not cover, nft's own does, where it is installed."""
    names = differing(old, new, _Links())
    said = libnftables.run(show(text_of(old, new, names)) + "\n")
    what = failure.problems[0]
    if said is None:
        raise MachineLacks(
            f"{what}, and there is no {libnftables.LIBRARY}, which may know it",
            hint="install libnftables1 (Debian, Ubuntu), or nftables elsewhere",
        ) from failure
    if said:
        why = said.partition("\n")[0].partition("Error: ")[2] or said
        raise KernelRefused(f"{what}, and libnftables refused it: {why}", said=said)


def _refused(answer: Answer) -> KernelRefused:
    first = answer.refusals[0]
    where = f"{first.place}: " if first.place else ""
    name = errno.errorcode.get(first.errno, "")
    return KernelRefused(
        f"{where}the kernel refused: {first.said}" + (f" [{name}]" if name else ""),
        errno=first.errno,
        said=first.said,
        hint=first.hint,
    )

