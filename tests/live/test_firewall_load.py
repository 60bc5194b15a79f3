"""Loading: all of a batch or nothing, and a refusal knows its line."""

from __future__ import annotations

import re
import shutil

import pytest

from netlab.firewall.compile import compile_script
from netlab.firewall.listing import list_rules
from netlab.firewall.parse import parse
from netlab.firewall.transaction import Answer, commit
from tests.live.firewall import channel, in_a_namespace, links, load, tool

pytestmark = pytest.mark.skipif(not shutil.which("nft"), reason="nft, the judge, is not installed")


def test_what_the_kernel_declines_is_told_by_line_and_leaves_nothing() -> None:
    text = "table ip t {\n}\ncreate table ip u\ncreate table ip u\n"

    def refused() -> tuple[list[tuple[int, str, str]], str]:
        with channel() as sock, pytest.raises(Answer) as told:
            commit(sock, compile_script(parse(text, "gw.nft")))
        said = [(each.errno, each.said, str(each.place)) for each in told.value.refusals]
        return said, tool("nft", "list", "ruleset")

    assert in_a_namespace(refused) == ([(17, "File exists", "gw.nft:4:1")], "")


def test_rules_are_listed_with_handles_and_counters() -> None:
    def listed() -> list[tuple[str, str, int, str]]:
        load("table ip t {\nchain c {\ncounter packets 7 bytes 70 accept comment \"seven\"\n}\n}\n")
        with channel() as sock:
            return [
                (each.table, each.chain, each.handle, each.rule.comment)
                for each in list_rules(sock, links())
            ]

    assert in_a_namespace(listed) == [("t", "c", 2, "seven")]


def test_a_set_of_ten_thousand_and_a_thousand_rules_load_in_one_transaction() -> None:
    hosts = ", ".join(f"10.{n >> 8}.{n & 255}.1" for n in range(10_000))
    rules = "\n".join(f"tcp dport {n} counter accept" for n in range(1, 1001))
    text = (
        f"table inet t {{\nset s {{ type ipv4_addr\nelements = {{ {hosts} }}\n}}\n"
        f"chain c {{\n{rules}\n}}\n}}\n"
    )

    def counted() -> tuple[int, int]:
        load(text)
        listing = tool("nft", "list", "ruleset")
        return len(re.findall(r"10\.\d+\.\d+\.1\b", listing)), listing.count("tcp dport")

    assert in_a_namespace(counted) == (10_000, 1000)
