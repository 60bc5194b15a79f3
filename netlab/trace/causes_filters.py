"""Causes in what firewalls and NAT remember, and in what single statements of a rule want."""

from __future__ import annotations

from netlab.trace.clues import (
    after,
    dropped_by_policy,
    dropped_by_rule,
    either,
    never_sent,
    result,
    rule_says,
)
from netlab.trace.clues_filters import (
    not_confirmed,
    not_tracked,
    policy_blocks,
    rule_begins,
    translated,
    verdict_drop,
)
from netlab.trace.entry import Entry
from netlab.trace.model import Disposition

RULES: tuple[Entry, ...] = (
    Entry(
        "synproxy-invalid",
        Disposition.DENIED,
        (dropped_by_rule, rule_says("synproxy"), verdict_drop),
        "{node} shakes hands in the server's place (synproxy), and {what} is no SYN and bears no"
        " cookie of its own",
        "both directions have to pass {node}, and SYNs must come there untracked: `ct state"
        " untracked`, and `notrack` before",
    ),
    Entry(
        "masquerade-without-address",
        Disposition.DENIED,
        (dropped_by_rule, rule_says("masquerade")),
        "{node} is to masquerade {what} and has no address to do it with: {rule}",
        "give the device that it leaves by an address",
    ),
    Entry(
        "nft-source-check",
        Disposition.DENIED,
        (dropped_by_rule, rule_says("fib saddr")),
        "a rule of {node} drops {what}, since its own routes to {source} lead elsewhere: {rule}",
        "give {node} a route to {source} by {came_by}, or let the rule ask less strictly",
    ),
    Entry(
        "nft-connection-limit",
        Disposition.DENIED,
        (dropped_by_rule, rule_says("ct count")),
        "a rule of {node} allows only so many connections at a time: {rule}",
        "raise the rule's count; `netlab exec {lab} {node} -- conntrack -L` lists what is open",
    ),
    Entry(
        "nft-quota",
        Disposition.DENIED,
        (dropped_by_rule, rule_says("quota")),
        "the quota of a rule of {node} is used up: {rule}",
        "raise it, or begin anew: nft reset quotas",
    ),
)
"""Before those that know a rule by its verdict alone."""

LOGGED: tuple[Entry, ...] = (
    Entry(
        "nft-log-drop",
        Disposition.DENIED,
        (dropped_by_rule, rule_says("log ")),
        "a rule of {node} drops {what} and writes that into the kernel's log: {rule}",
        "nodes write there only where net.netfilter.nf_log_all_netns of the host is 1; change the"
        " rule, or put one that accepts before it",
    ),
)

POLICIES: tuple[Entry, ...] = (
    Entry(
        "nft-set-full",
        Disposition.DENIED,
        (dropped_by_policy, rule_begins("add @", "update @")),
        "a rule of chain {chain} in {node} accepts {what} once it is in a set, and the set is full;"
        " the chain's policy is drop",
        "raise the set's size, or let its elements expire sooner",
    ),
)

STATE: tuple[Entry, ...] = (
    Entry(
        "nat-ports-exhausted",
        Disposition.DROPPED,
        (not_confirmed, translated),
        "{node} has no free port left to translate {what} to: another connection has each one that"
        " its rule allows",
        "let the rule choose from more ports or addresses",
    ),
    Entry(
        "conntrack-clash",
        Disposition.DROPPED,
        (not_confirmed,),
        "{node} already tracks another connection with the very same ends as {what} has, and drops"
        " it",
        "use another source port; or give each of the two a zone of its own in both directions (`ct"
        " zone set`)",
    ),
    Entry(
        "conntrack-full",
        Disposition.DROPPED,
        (not_tracked,),
        "{node} tracks as many connections as it may, and drops {what}, which would be one more",
        "see net.netfilter.nf_conntrack_max and nf_conntrack_count; `notrack` for what needs no"
        " state",
    ),
    Entry(
        "xfrm-policy",
        Disposition.DENIED,
        (
            either(after("prerouting", "input", "output"), never_sent, result("EPERM")),
            policy_blocks,
        ),
        "an IPsec policy of {node} blocks {what}",
        "ip xfrm policy lists them; what comes in has to be encrypted as one of them says",
    ),
)
