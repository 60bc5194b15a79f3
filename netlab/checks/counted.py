"""What rules of nftables have counted, in all nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from netlab.checks.base import Site
from netlab.errors import NetlabError
from netlab.kernel.values import HeldRule
from netlab.resources.firewall import Firewall


class Rule(NamedTuple):
    """A rule, by what the kernel knows it by."""

    node: str
    family: str
    table: str
    chain: str
    handle: int


def counted(site: Site) -> Mapping[Rule, HeldRule]:
    """Those that count."""
    return {
        key_of(node, rule): rule
        for node, spot in site.terrain.spots.items()
        if isinstance(site.inventory.get(("firewall", spot.ns)), Firewall)
        for rule in _told(site, node)
        if rule.packets is not None
    }


def rules_of(site: Site, node: str) -> Sequence[HeldRule]:
    """Raises KernelRefused, MachineLacks, OSError."""
    ns = site.terrain.spots[node].ns
    firewall = site.inventory.get(("firewall", ns))
    spec = firewall.spec if isinstance(firewall, Firewall) else ""
    return site.machine.rules(ns, site.identities[ns], spec)


def key_of(node: str, rule: HeldRule) -> Rule:
    return Rule(node, rule.family, rule.table, rule.chain, rule.handle)


def packets(rule: HeldRule) -> int:
    return rule.packets or 0


def _told(site: Site, node: str) -> Sequence[HeldRule]:
    try:
        return rules_of(site, node)
    except (NetlabError, OSError):
        return ()
