"""What this kernel may lack is still said to it as nft says it: message by message, on the wire."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import TypeAlias

import pytest

from netlab.firewall.compile import compile_script
from netlab.firewall.parse import parse
from netlab.firewall.wire import each
from tests.live.firewall import in_a_namespace, links

pytestmark = pytest.mark.skipif(not shutil.which("nft"), reason="nft, the judge, is not installed")

Tree: TypeAlias = "dict[int, list[Tree | bytes]]"
_NESTED, _SUBSYSTEM = 0x8000, 10 << 8
_LINE = re.compile(r"\|(?:(\d{5})\|([-N])[-B]\|(\d{5})|((?: [0-9a-f]{2}){4})  )\|")


def _by_nft(text: str) -> list[tuple[int, bytes]]:
    """NFT_MSG numbers and attributes, from what ``nft --debug=mnl`` says that it sends."""
    ended = subprocess.run(
        ["nft", "--debug=mnl", "-f", "-"], input=text, capture_output=True, text=True
    )
    found = []
    plain = re.sub(r"\x1b\[[0-9;]*m", "", ended.stdout + ended.stderr)
    batch = plain.partition("| 00016 | R")[2].partition("| 00017 | R")[0]
    for message in batch.split("message length")[1:]:
        kind = re.search(r"\| (\d{5}) \| R", message)
        body = message.partition("extra header")[2]
        if kind:
            found.append((int(kind[1]) - _SUBSYSTEM, b"".join(_words(body))))
    return found


def _words(body: str) -> Iterator[bytes]:
    for length, nested, kind, data in _LINE.findall(body):
        if data:
            yield bytes.fromhex(data.replace(" ", ""))
        else:
            number = int(kind) | (_NESTED if nested == "N" else 0)
            yield int(length).to_bytes(2, "little") + number.to_bytes(2, "little")


def _by_netlab(text: str) -> list[tuple[int, bytes]]:
    return [(m.number, m.body) for m in compile_script(parse(text), links=links()).messages]


def _tree(data: bytes) -> Tree:
    """Attributes by number; those that say nothing, as zeroes do, are left out."""
    found: Tree = {}
    for number, inner in each(data):
        value = _tree(inner) if _is_nest(inner) else inner
        if value and (isinstance(value, dict) or any(value)):
            found.setdefault(number, []).append(value)
    return found


def _is_nest(data: bytes) -> bool:
    """It can be read as attributes to its very end (no plain value here looks so)."""
    at = 0
    while at + 4 <= len(data):
        length = int.from_bytes(data[at : at + 2], "little")
        if length < 4:
            return False
        at += length + 3 & ~3
    return at == len(data) > 0


def _rule(family: str, rule: str) -> str:
    return f"table {family} t {{\nchain c {{\n{rule}\n}}\n}}\n"


@pytest.mark.parametrize(
    "text",
    [
        _rule("ip", "queue"),
        _rule("ip", "queue num 3"),
        _rule("ip", "queue num 1-5 bypass"),
        _rule("ip", "queue flags bypass,fanout to 1-65535"),
        _rule("inet", "queue to symhash mod 2 offset 5"),
        _rule("ip6", "queue flags bypass to jhash ip6 saddr . tcp dport mod 32"),
        _rule("ip", "queue to numgen inc mod 5"),
        _rule("bridge", 'meta ibrname "br0"'),
        _rule("bridge", "meta obrname br0 counter"),
        _rule("bridge", "meta ibrpvid 100"),
        _rule("bridge", "meta ibrvproto 8021q"),
        _rule("bridge", "ip saddr 10.0.0.1 reject"),
        _rule("bridge", "reject with icmpx admin-prohibited"),
        _rule("bridge", "ether type ip reject with icmp host-unreachable"),
        _rule("bridge", "tcp dport 22 reject with tcp reset"),
        _rule("bridge", "ct state established,related accept"),
        "table ip t {\nflowtable f {\nhook ingress priority filter - 5\ndevices = { d0 }\n}\n}\n",
        "table inet t {\nflowtable f {\nhook ingress priority 0\ndevices = { d0 }\ncounter\n}\n"
        "chain c {\nmeta l4proto tcp flow add @f\n}\n}\n",
    ],
)
def test_messages_say_what_nfts_say(text: str) -> None:
    def both() -> tuple[list[tuple[int, bytes]], list[tuple[int, bytes]]]:
        return _by_nft(text), _by_netlab(text)

    nft, netlab = in_a_namespace(both)
    sent = [(number, _tree(body)) for number, body in nft if body]
    assert [(number, _tree(body)) for number, body in netlab] == sent
    assert len(sent) > 1
