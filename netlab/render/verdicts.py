"""What tests found: a line each, what stands behind one that did not pass, and a sum."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netlab.checks.verdicts import Verdict

STYLES = {"pass": "green", "fail": "red", "inconclusive": "yellow"}
SIGNS = {"pass": "✓", "fail": "✗", "inconclusive": "?"}


def line(verdict: Verdict, width: int) -> str:
    """``✓ alice → web ping answered    1 ms``"""
    control = f"  control: {verdict.control}" if verdict.control else ""
    word = control if verdict.verdict == "pass" else f"  {verdict.verdict}"
    told = f"{verdict.name:<{width}}  {_time(verdict.seconds):>8}"
    return f"{SIGNS[verdict.verdict]} {told}{_round(verdict)}{word}"


def _round(verdict: Verdict) -> str:
    return f"  round {verdict.round}" if verdict.round > 1 else ""


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def evidence(verdict: Verdict) -> Iterator[tuple[str, str, str]]:
    """Title, words, style; nothing of what passed."""
    if verdict.verdict == "pass":
        return
    yield "", "", ""
    head = f"{verdict.verdict}: {verdict.name}{_round(verdict)}"
    yield "", f"{head}  ({verdict.at})", STYLES[verdict.verdict]
    tries = f", {verdict.tries} times tried" if verdict.tries > 1 else ""
    yield "  saw  ", verdict.saw + tries, ""
    if verdict.why:
        yield "  why  ", verdict.why, ""
    for place, told in enumerate(verdict.evidence):
        yield "  way  " if place == 0 else "       ", told, ""
    if verdict.line:
        yield "  line ", verdict.line, ""
    if verdict.advice:
        yield "  fix  ", verdict.advice, ""


def summary(
    lab: str, verdicts: Sequence[Verdict], seconds: float, seed: int | None
) -> tuple[str, str]:
    """The last line, and its style."""
    found = {word: sum(v.verdict == word for v in verdicts) for word in STYLES}
    words = {"pass": "passed", "fail": "failed", "inconclusive": "inconclusive"}
    told = [f"{number} {words[word]}" for word, number in found.items() if number]
    style = next((STYLES[word] for word in ("fail", "inconclusive") if found[word]), "green")
    order = "" if seed is None else f"  --shuffle {seed}"
    return f"{lab}: {', '.join(told)} in {_time(seconds)}{order}", style
