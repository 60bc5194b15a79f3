"""Our compiler and our listing against ``nft`` itself, over the whole corpus."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.live.firewall import CORPUS, in_a_namespace, judge

pytestmark = pytest.mark.skipif(not shutil.which("nft"), reason="nft, the judge, is not installed")

# (file, judgement): differences that are meant, and why
EXPLAINED: dict[tuple[str, str], tuple[str, list[str]]] = {
    (name, "b"): (
        "`ct original saddr` asks for the address of the table's family by the kernel's newer key",
        [
            "-  [ ct load src => reg 1 , dir original ]",
            "+  [ ct load src_ip => reg 1 , dir original ]",
        ],
    )
    for name in ("matches-ip.nft", "sets-ip.nft")
} | {
    ("words.nft", "b"): (
        "nft turns a single byte round before it looks it up in a set of intervals",
        ["-  [ byteorder reg 1 = hton(reg 1, 2, 1) ]"],
    ),
    ("netdev.nft", "d"): (
        "nft lists `ip dscp . …` as `ip dscp >> 2 . …`, and shifts twice when it reads that again",
        [
            "-\t\tip dscp >> 2 >> 2 . tcp dport { cs1 . 22 }",
            "+\t\tip dscp >> 2 . tcp dport { cs1 . 22 }",
        ],
    )
}


@pytest.mark.parametrize("file", sorted(CORPUS.glob("*.nft")), ids=lambda file: file.stem)
def test_nft_and_netlab_mean_the_same(file: Path) -> None:
    verdict = in_a_namespace(lambda: judge(file.read_text()))
    expected = {
        each: EXPLAINED.get((file.name, each), ("", []))[1] for each in ("a", "b", "c", "d")
    }
    assert verdict.differences == expected
