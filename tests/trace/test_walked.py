"""Messages of nftables' trace, and what a node holds → the rules that were tried, and no others."""

from __future__ import annotations

from netlab.trace.chains import walked
from netlab.trace.facts import ChainFact, Facts
from netlab.trace.follow import Seen
from netlab.trace.model import Rule
from netlab.trace.sighting import Sighting

CHAINS = {
    "forward": ("jump judge", "accept one", "goto tail", "return", "accept other"),
    "judge": ("count", "return", "drop some"),
    "tail": ("drop rest",),
}


def facts() -> Facts:
    """Handles count from 1 in each chain."""
    return Facts("gw", chains=tuple(
        ChainFact("inet", "f", name, "forward" if name == "forward" else "", rules=tuple(
            Rule("inet", "f", name, handle, text, None) for handle, text in enumerate(texts, 1)
        )) for name, texts in CHAINS.items()
    ))  # fmt: skip


def told(chain: str, handle: int, verdict: str, jump: str = "") -> Seen:
    point = "rule" if handle else "policy"
    sighting = Sighting(
        "gw", "nft-trace", point, family="inet", table="f", chain=chain, handle=handle,
        verdict=verdict, jump=jump,
    )  # fmt: skip
    return Seen(sighting, "forward", None)


def rules(*messages: Seen) -> list[str]:
    found = walked(messages, facts().chain("inet", "f", "forward"), facts())
    return [f"{'  ' * r.depth}{'●' if r.matched else '○'} {r.text}" for r in found.rules]


JUMP, POLICY = told("forward", 1, "jump", "judge"), told("forward", 0, "drop")


def test_a_chain_that_ends_without_a_match_was_tried_to_its_end() -> None:
    assert rules(JUMP, POLICY) == [
        "● jump judge", "  ○ count", "  ○ return", "  ○ drop some",
        "○ accept one", "○ goto tail", "○ return", "○ accept other",
    ]  # fmt: skip


def test_behind_a_return_nothing_of_its_chain_was_tried() -> None:
    assert rules(JUMP, told("judge", 2, "return"), told("forward", 2, "accept")) == [
        "● jump judge", "  ○ count", "  ● return", "● accept one",
    ]  # fmt: skip
    assert rules(JUMP, told("judge", 2, "return"), told("forward", 4, "return"), POLICY) == [
        "● jump judge", "  ○ count", "  ● return", "○ accept one", "○ goto tail", "● return",
    ]  # fmt: skip


def test_who_goes_to_a_chain_does_not_come_back() -> None:
    went = told("forward", 3, "goto", "tail")
    assert rules(JUMP, told("judge", 2, "return"), went, POLICY) == [
        "● jump judge", "  ○ count", "  ● return", "○ accept one", "● goto tail", "  ○ drop rest",
    ]  # fmt: skip
    assert rules(went, told("tail", 1, "drop"))[-2:] == ["● goto tail", "  ● drop rest"]
