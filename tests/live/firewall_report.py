"""How much of the corpus is as nft would have it, measured.

    python -m tests.live.firewall_report           the tables of docs/nftables.md
    python -m tests.live.firewall_report --write   into that page
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.firewall.coverage import EXPLAINED, FILES, Difference, section
from tests.live.firewall import in_a_namespace, judge

PAGE = Path(__file__).parents[2] / "docs" / "nftables.md"
MARKS = re.compile(r"(?<=<!-- measured -->\n).*(?=<!-- end of measured -->)", re.S)


def measured() -> list[Difference]:
    return [found for file in FILES for found in _of(file)]


def _of(file: Path) -> Iterator[Difference]:
    text = file.read_text()
    for judgement, lines in in_a_namespace(lambda: judge(text)).items():
        left = list(lines)
        for each in EXPLAINED:
            mine = (each.file, each.judgement) == (file.name, judgement)
            if mine and set(each.lines) <= set(left):
                left = [line for line in left if line not in each.lines]
                yield each
        for line in left:
            yield Difference(file.name, judgement, "?", line, "", (line,))


def main() -> None:
    wrong = measured()
    odd = [each for each in wrong if not each.why]
    for each in odd:
        print(f"{each.file} ({each.judgement}): {each.rule}")
    if odd:
        raise SystemExit(f"{len(odd)} lines differ, and tests/firewall/coverage.py knows not why")
    tables = section(wrong)
    print(tables)
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(MARKS.sub(lambda _: tables + "\n", PAGE.read_text()))


if __name__ == "__main__":
    main()
