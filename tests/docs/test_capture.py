"""docs/capture.md and its part of docs/json.md against the command itself."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest

from netlab.trace.filters import ETHERNET, WrongFilter, compiled, parse
from netlab.trace.filters.parse import KEYWORDS
from tests.docs.test_json import held_against
from tests.live.capturing import CHAIN, capturing, grows_to, send
from tests.live.conftest import Write
from tests.live.world import ROOT, done

PAGE = (ROOT / "docs/capture.md").read_text()
NODES = {"web": ("10.0.0.2", "fd00::2"), "bob": ("10.0.0.3", "fd00::3")}
ROWS = [row.split(" | ")[0] for row in re.findall(r"^\| (`.+) \|$", PAGE, re.M)]
WORDS = [word for row in ROWS for word in re.findall(r"`([^`]+)`", row)]
UNFINISHED = {"ip host", "ip6 net", "arp src host", "ether src", "ether dst"}
"""Of these the page shows only how they begin."""
JOINS = {"and", "&&", "or", r"\|\|", "not", "!", "( )"}


@pytest.mark.parametrize("text", sorted(set(WORDS) - UNFINISHED - JOINS))
def test_every_filter_of_the_page_is_understood(text: str) -> None:
    assert compiled(parse(text, NODES), ETHERNET)


def test_the_page_names_every_word_of_a_filter() -> None:
    assert set(WORDS) >= UNFINISHED | JOINS
    assert KEYWORDS - set(re.findall(r"\w+", " ".join(WORDS))) == set()


def test_the_wrong_filter_of_the_page_is_told_so() -> None:
    with pytest.raises(WrongFilter) as failure:
        parse("tcp prot 80", NODES)
    assert f"\nfilter, {failure.value}\n" in PAGE


def test_what_is_printed_of_packets_is_documented(write: Write, lab: str, tmp_path: Path) -> None:
    """h1 ── r ── h2"""
    done("up", write(CHAIN))
    with capturing(lab, "--json", "--count", "1", "udp") as capture:
        send(lab, "h1", "10.0.1.1", 4711)
        capture.wait()
    (line,) = map(json.loads, capture.lines)
    held_against("capture", line)
    path = tmp_path / "x.pcapng"
    with capturing(lab, "-w", path, "--json", "udp") as capture:
        send(lab, "h1", "10.0.1.1", 4711)
        grows_to(path, 4)
        capture.end(signal.SIGTERM)
    held_against("capture -w FILE", json.loads(capture.out))
