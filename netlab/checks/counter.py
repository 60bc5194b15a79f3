"""What rules of nftables have counted, by their comment."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

from netlab.checks.base import Seen, Site, Sort
from netlab.checks.counted import key_of, packets, rules_of
from netlab.kernel.values import HeldRule
from netlab.model.checks import CounterTest


def attempt(test: CounterTest, site: Site, within: float) -> Seen:
    rules = rules_of(site, test.on)
    mark = f'comment "{test.counter}"'
    meant = [rule for rule in rules if mark in rule.text]
    if not meant:
        comments = [m[1] for rule in rules if (m := re.search(r'comment "(.*)"', rule.text))]
        return Seen(False, f"no rule of {test.on} has that comment", evidence=_like(test, comments))
    known = [rule for rule in meant if rule.packets is not None]
    if not known:
        return Seen(False, "the rule of that comment has no counter")
    total = sum(packets(r) - site.before.get(key_of(test.on, r), 0) for r in known)
    met = total >= test.expect if test.expect else total == 0
    said = f"{total} packet{'' if total == 1 else 's'} counted"
    return Seen(met, said, evidence=() if met else tuple(_told(test.on, rule) for rule in meant))


def _told(node: str, rule: HeldRule) -> str:
    place = f"  ({rule.place})" if rule.place else ""
    return f"{node}: rule of {rule.family} {rule.table} {rule.chain}: {rule.text}{place}"


def _like(test: CounterTest, comments: Sequence[str]) -> tuple[str, ...]:
    close = get_close_matches(test.counter, comments, 1)
    return (f'did you mean "{close[0]}"?',) if close else ()


sort = Sort(attempt=attempt, alone=True)
