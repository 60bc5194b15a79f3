"""A packet's way through a chain of rules, from what nftables' trace tells of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

from netlab.trace.facts import ChainFact, Facts
from netlab.trace.follow import Seen
from netlab.trace.model import Chain, Rule

NEVER = sys.maxsize
"""The place of a rule that is not come back to."""


def walked(messages: Sequence[Seen], fact: ChainFact | None, facts: Facts) -> Chain:
    """A base chain as the packet went through it, with the rules in between that did not match."""
    first = messages[0].sighting
    rules: list[Rule] = []
    chain = (first.family, first.table, first.chain)
    stack: list[tuple[tuple[str, str, str], int]] = [(chain, 0)]
    verdict, by_policy = "", False
    for seen in messages:
        told = seen.sighting
        if told.point == "policy":
            while stack:
                done, tried = stack.pop()
                rules += _passed_over(facts, done, tried, len(stack), None)
            verdict, by_policy, stack = told.verdict, True, [(chain, 0)]
        elif told.point == "return" or (told.point == "rule" and not told.handle):
            continue
        elif told.point == "rule":
            here = (told.family, told.table, told.chain)
            while len(stack) > 1 and stack[-1][0] != here:
                done, tried = stack.pop()
                rules += _passed_over(facts, done, tried, len(stack), None)
            if stack[-1][0] != here:
                stack.append((here, 0))
            _, tried = stack[-1]
            depth = len(stack) - 1
            rules += _passed_over(facts, here, tried, depth, told.handle)
            rules.append(_matched(facts, here, told.handle, _said(told.verdict, told.jump), depth))
            comes_back = told.verdict not in ("goto", "return")
            stack[-1] = here, _place(facts, here, told.handle) + 1 if comes_back else NEVER
            if told.verdict in ("jump", "goto"):
                stack.append(((told.family, told.table, told.jump), 0))
            elif told.verdict in ("accept", "drop", "stolen", "queue"):
                verdict = told.verdict
    return Chain(
        first.family,
        first.table,
        first.chain,
        tuple(rules),
        verdict,
        by_policy,
        fact.type if fact else "filter",
        fact.priority if fact else None,
        fact.place if fact else "",
    )


def _said(verdict: str, jump: str) -> str:
    return f"{verdict} {jump}" if jump else verdict


def _rules_of(facts: Facts, chain: tuple[str, str, str]) -> tuple[Rule, ...]:
    fact = facts.chain(*chain)
    return fact.rules if fact else ()


def _place(facts: Facts, chain: tuple[str, str, str], handle: int) -> int:
    handles = [rule.handle for rule in _rules_of(facts, chain)]
    return handles.index(handle) if handle in handles else -1


def _passed_over(
    facts: Facts, chain: tuple[str, str, str], tried: int, depth: int, until: int | None
) -> list[Rule]:
    rules = _rules_of(facts, chain)
    end = len(rules) if until is None else _place(facts, chain, until)
    return [replace(rule, matched=False, depth=depth) for rule in rules[tried : max(end, tried)]]


def _matched(
    facts: Facts, chain: tuple[str, str, str], handle: int, verdict: str, depth: int
) -> Rule:
    found = next((r for r in _rules_of(facts, chain) if r.handle == handle), None)
    rule = found or Rule(*chain, handle, f"rule {handle}, which is gone", None)
    return replace(rule, matched=True, verdict=verdict, depth=depth)


def dropped_words(chain: Chain, rule: Rule | None) -> str:
    where = f"{chain.family} {chain.table} {chain.name}"
    by = "policy" if chain.by_policy or rule is None else "a rule"
    return f"{chain.verdict} by {by} of {where}"
