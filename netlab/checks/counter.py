"""What rules of nftables have counted, by their comment."""

from __future__ import annotations

from netlab.checks.base import Seen, Site, Sort
from netlab.model.checks import CounterTest
from netlab.resources.firewall import Firewall


def attempt(test: CounterTest, site: Site, within: float) -> Seen:
    ns = site.terrain.spots[test.on].ns
    firewall = site.inventory.get(("firewall", ns))
    spec = firewall.spec if isinstance(firewall, Firewall) else ""
    rules = site.machine.rules(ns, site.identities[ns], spec)
    mark = f'comment "{test.counter}"'
    counts = [rule.packets for rule in rules if mark in rule.text]
    if not counts:
        return Seen(False, f"no rule of {test.on} has that comment")
    known = [count for count in counts if count is not None]
    if not known:
        return Seen(False, "the rule of that comment has no counter")
    total = sum(known)
    met = total >= test.expect if test.expect else total == 0
    return Seen(met, f"{total} packet{'' if total == 1 else 's'} counted")


sort = Sort(attempt=attempt, alone=True)
