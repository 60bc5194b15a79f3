"""``python -m tests.live.firewall_report``: how much of the corpus is as nft would have it."""

from __future__ import annotations

from tests.live.firewall import CORPUS, Verdict, in_a_namespace, judge

_JUDGEMENTS = {
    "a": "listed by nft after our load as after nft's own",
    "b": "the same bytecode",
    "c": "our listing is nft's",
    "d": "our listing reloads to itself",
}


def main() -> None:
    total = Verdict(0, {each: [] for each in _JUDGEMENTS})
    for file in sorted(CORPUS.glob("*.nft")):
        text = file.read_text()
        verdict = in_a_namespace(lambda text=text: judge(text))  # type: ignore[misc]
        total.rules += verdict.rules
        for each, lines in verdict.differences.items():
            total.differences[each] += lines
        print(f"{file.stem:20} {verdict.rules:5} lines  {_shares(verdict)}")
    print(f"{'all':20} {total.rules:5} lines  {_shares(total)}")
    for each, words in _JUDGEMENTS.items():
        print(f"({each}) {words}: {_share(total, each):.2f} %")


def _shares(verdict: Verdict) -> str:
    return "  ".join(f"({each}) {_share(verdict, each):6.2f} %" for each in _JUDGEMENTS)


def _share(verdict: Verdict, each: str) -> float:
    """Lines of the listing that are as they should be; a changed line counts once."""
    wrong = sum(line.startswith("-") for line in verdict.differences[each])
    return 100 * (1 - wrong / max(verdict.rules, 1))


if __name__ == "__main__":
    main()
