"""Lessons: one for each step, with the values of that step."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from netlab.render.journey import lines
from netlab.trace import model as m
from netlab.trace.taught import of
from netlab.trace.teach import _LESSONS, lesson
from tests.trace.kept import record, trace

HOST, SWITCH = m.Hop("gw", "router", ()), m.Hop("sw", "switch", ())
RULE = m.Rule("inet", "nat", "post", 4, "masquerade", True)


def test_every_kind_of_step_has_its_lesson() -> None:
    assert set(_LESSONS) == {kind.kind for kind in get_args(m.Step)}


@pytest.mark.parametrize(
    ("step", "hop", "said"),
    [
        (m.Socket("connect() from 10.0.0.1:5"), HOST, "then sends a SYN"),
        (m.Socket("nobody listens on udp/9"), HOST, "port unreachable"),
        (m.Rx("wan"), HOST, "wan hands the frame"),
        (m.Rx("wan", to="other"), HOST, "PACKET_OTHERHOST"),
        (m.Rx("p1", to="other"), SWITCH, "p1 is a port of a bridge"),
        (m.Hook("postrouting", "ip"), HOST, "This hook is the last of IP's hooks"),
        (m.Conntrack("new"), HOST, "one is made"),
        (m.Nat("postrouting", (), RULE), HOST, "is asked for a connection's first packet"),
        (m.Nat("prerouting", ()), HOST, "no rule's counter moves"),
        (m.Route("10.9.0.1", "10.9.0.0/16"), HOST, "the longest prefix wins: 10.9.0.0/16"),
        (m.Route("10.9.0.1", "10.9.0.0/16", via="10.0.0.2"), HOST, "only the frame goes to"),
        (m.Route("10.9.0.1"), HOST, "none fits here"),
        (m.Route("10.0.0.1", type="local"), HOST, "Table local has 10.0.0.1"),
        (m.Neighbour("10.0.0.2", "wan", state="incomplete"), HOST, "ARP asks for it now"),
        (m.Neighbour("fd00::2", "wan", state="incomplete"), HOST, "neighbour discovery asks"),
        (m.Switched("br0", "02::1", ("p1",)), SWITCH, "learned 02::1"),
        (m.Switched("br0", "02::1", ("p1", "p2"), known=False), SWITCH, "a copy goes out"),
        (m.Tunnelled("vx0", True), HOST, "vx0 puts new headers in front"),
        (m.Made("ICMP host unreachable"), HOST, "icmp_ratelimit"),
        (m.Dropped("…", "NO_SOCKET"), HOST, "NO_SOCKET as the reason: nobody listens"),
        (m.Dropped("…"), HOST, ""),
        (m.Note("…"), HOST, ""),
    ],
)  # fmt: skip
def test_a_lesson_tells_of_this_packet(step: m.Step, hop: m.Hop, said: str) -> None:
    told = lesson(step, hop)
    assert said in told
    assert bool(told) == bool(said)


@pytest.mark.parametrize("columns", [80, 120])
def test_each_lesson_is_told_once_as_wide_as_there_is_room(columns: int) -> None:
    found = trace("kernel-in-depth")
    told = list(lines(found, "teach", of(record("kernel-in-depth"), found), columns))
    lessons = " ".join(text.strip("│ ") for text, style in told if style == "dim")
    for words in ("the longest prefix wins", "Table local has", "MAC is needed", "is the last of"):
        assert lessons.count(words) == 1, words
    deep = [text for text, _ in told if re.match(r"[│ ] {16}\S", text)]
    assert 70 < max(map(len, deep)) <= columns
