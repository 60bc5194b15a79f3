"""A packet as it is told: to people in a line, to programs as a document."""

from __future__ import annotations

import io
import json

from netlab.kernel.ring import BROADCAST, HOST, MULTICAST, OTHER, OUTGOING, Frame
from netlab.render.json import JsonRenderer
from netlab.render.text import TextRenderer
from netlab.trace.packets import Teller
from netlab.trace.rings import Source
from tests.trace.frames import arp, ethernet, ip, tcp

NAMES = {"10.0.0.1": "alice", "10.0.0.2": "web"}
SOURCES = [
    Source(0, "alice", "eth0", 1, b"\2\0\0\0\0\1", 0),
    Source(1, "gw", "tun0", 101, b"", 0),
]
NOON = 1_700_000_000_123_456_789
SYN = ip(tcp(1000, 80, 2, sequence=7), 6)
FRAMES: list[Frame] = [
    (NOON, 0, OUTGOING, 54, ethernet(0x0800, SYN)),
    (NOON + 1000, 1, HOST, 40, SYN),
    (NOON + 2000, 0, BROADCAST, 42, ethernet(0x0806, arp(1, "10.0.0.9", "10.0.0.1"))),
    (NOON + 3000, 0, MULTICAST, 54, ethernet(0x0800, SYN)),
    (NOON + 4000, 0, OTHER, 54, ethernet(0x0800, SYN)),
]


def told(numeric: bool, as_json: bool = False) -> list[str]:
    out = io.StringIO()
    renderer = JsonRenderer(out) if as_json else TextRenderer(out)
    renderer.packets(map(Teller(SOURCES, NAMES, numeric).tell, FRAMES), 10)
    return out.getvalue().splitlines()


def test_a_line_tells_when_where_which_way_and_what() -> None:
    syn = "IP alice.1000 > web.80: Flags [S], seq 7, win 64240, length 0"
    lines = [line.partition(":")[2].partition(":")[2] for line in told(numeric=False)]
    assert lines == [
        f"20.123457  alice:eth0  out    {syn}",
        f"20.123458  gw:tun0     in     {syn}",
        "20.123459  alice:eth0  bcast  ARP, Request who-has alice tell 10.0.0.9, length 28",
        f"20.123460  alice:eth0  mcast  {syn}",
        f"20.123461  alice:eth0  other  {syn}",
    ]
    assert " IP 10.0.0.1.1000 > 10.0.0.2.80: " in told(numeric=True)[0]


def test_a_document_tells_it_in_parts() -> None:
    first, second, third, *_ = map(json.loads, told(numeric=True, as_json=True))
    assert first == {
        "time": 1700000000.123457, "node": "alice", "interface": "eth0", "direction": "out",
        "to": "", "length": 54, "protocols": ["ip", "tcp"],
        "source": "10.0.0.1", "source_node": "alice", "source_port": 1000,
        "destination": "10.0.0.2", "destination_node": "web", "destination_port": 80,
        "text": "IP 10.0.0.1.1000 > 10.0.0.2.80: Flags [S], seq 7, win 64240, length 0",
    }  # fmt: skip
    assert (second["node"], second["interface"], second["direction"], second["to"]) == (
        "gw", "tun0", "in", "host")  # fmt: skip
    assert (third["protocols"], third["source"], third["source_node"], third["source_port"]) == (
        ["arp"], "10.0.0.9", "", None)  # fmt: skip
