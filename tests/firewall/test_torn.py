"""The corpus, damaged at random: every text is a ruleset or has mistakes with places, nothing else.

    NETLAB_SEED=… pytest tests/firewall/test_torn.py    the same damage again
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from netlab.firewall.compile import compile_script
from netlab.firewall.parse import parse
from netlab.firewall.problems import RulesetError
from netlab.firewall.show import show
from netlab.firewall.syntax import Script

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.nft"))
SEED = int(os.environ.get("NETLAB_SEED") or random.SystemRandom().randrange(1 << 32))
ROUNDS, EACH = 6, 600
TOKEN = re.compile(r'"[^"\n]*"|[\w.:]+|\s+|.')
ODD = [
    "0", "-1", "255", "256", "65535", "65536", "4294967295", "4294967296", "18446744073709551615",
    "18446744073709551616", "9" * 60, "0x", "0xffffffffffffffffff", "1.2.3", "1.2.3.4.5",
    "256.1.1.1", "::", ":::", "1:2:3:4:5:6:7:8:9", "::ffff:1.2.3.4", "10.0.0.0/33", "::/129",
    "1-", "-", "5-1", "1d", "9" * 30 + "w", "1h1", "accept", "jump", "goto", "map", "vmap", "set",
    "{", "}", "{ }", "(" * 70, ")", "[", "]", "@", "@x", "@th,0,0", "@nh,99999,9", "$", "$x", "*",
    "!", "!=", "==", "<<", ">>", "|", "&", "^", ",", ";", ":", ".", "/", "\\", "\\\n", "#", "\n",
    '""', '"', f'"{"x" * 300}"', "x" * 300, "é", "\0", "\ud800", "\x07", "include", "define",
    'include "x"', "define x = 5", "define x = { 1, 2 }", "undefine x", "comment", "ip", "table",
    "chain", "index 5", "handle 1", "position 3", "flush ruleset", "add", "delete", "limit",
]  # fmt: skip


def _pieces() -> list[str]:
    """Each chain and each set of the corpus in its table; and the short files whole."""
    found = []
    for file in CORPUS:
        text = file.read_text()
        if len(text) < 1500:
            found.append(text)
        for table in re.split(r"^(?=table )", text, flags=re.MULTILINE)[1:]:
            head, _, body = table.partition("\n")
            parts = re.split(r"^(?=\t\w)", body.rpartition("}")[0], flags=re.MULTILINE)
            found += [f"{head}\n{part}}}\n" for part in parts if part.strip()]
    return found


PIECES = _pieces()
WORDS = sorted({word for piece in PIECES for word in TOKEN.findall(piece) if word.strip()})


def _torn(chance: random.Random) -> str:
    tokens = TOKEN.findall(chance.choice(PIECES))
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        at, other = chance.randrange(len(tokens)), chance.randrange(len(tokens))
        match chance.randrange(7):
            case 0:
                tokens[at] = chance.choice(ODD)
            case 1:
                tokens[at] = chance.choice(WORDS)
            case 2:
                tokens.insert(at, f" {chance.choice(ODD)} ")
            case 3:
                tokens.insert(at, f" {chance.choice(WORDS)} ")
            case 4:
                tokens[at], tokens[other] = tokens[other], tokens[at]
            case 5:
                tokens[at : at + chance.randrange(1, 6)] = [""]
            case _:
                tokens[at:at] = tokens[other : other + chance.randrange(1, 12)]
    return "".join(tokens)


def _told(text: str, do: Callable[[], Script | None]) -> Script | None:
    """What it gives; None where it tells mistakes, each with its place in the text."""
    try:
        return do()
    except RulesetError as wrong:
        lines = text.count("\n") + 1
        assert wrong.problems
        for problem in wrong.problems:
            assert problem.place.file == "f.nft"
            assert 1 <= problem.place.line <= lines
            assert problem.place.column >= 1
            assert problem.message
            assert len(str(problem)) < 500
        return None


@pytest.mark.parametrize("part", range(ROUNDS))
def test_no_damage_makes_it_stumble(part: int) -> None:
    chance = random.Random(f"{SEED} {part}")
    good = 0
    for number in range(EACH):
        text = _torn(chance)
        note = f"NETLAB_SEED={SEED}, part {part}, text {number}: {text!r}"
        try:
            tree = _told(text, lambda: parse(text, "f.nft"))  # noqa: B023
            if tree is not None:
                good += 1
                assert parse(show(tree)) == tree
                _told(text, lambda: compile_script(tree) and None)  # noqa: B023
        except Exception as problem:
            problem.add_note(note)
            raise
    assert EACH // 100 < good < EACH, "the damage is too great or too small to tell anything"
