"""Connections in words."""

from __future__ import annotations

import io
from collections.abc import Mapping

from netlab.kernel.connection import Connection, Direction, End, Icmp, Tracked
from netlab.render.text import TextRenderer

OWNERS = {
    "192.168.1.2": "alice", "192.168.1.1": "gw", "203.0.113.1": "gw", "203.0.113.2": "web",
    "fd00::1": "gw",
}  # fmt: skip
ALICE, WEB = End("192.168.1.2", 40312), End("203.0.113.2", 80)


def said(tracked: Mapping[str, Tracked], *lost: str) -> str:
    out = io.StringIO()
    TextRenderer(out, out).connections("l", tracked, OWNERS, lost)
    return out.getvalue()


def test_connections_stand_in_columns_those_without_any_in_a_sentence() -> None:
    masqueraded = Connection(
        "tcp", Direction(ALICE, WEB, packets=6, bytes=395),
        Direction(WEB, End("203.0.113.1", 40312), packets=4, bytes=707),
        "ESTABLISHED", ("seen-reply", "assured"), 431999,
    )  # fmt: skip
    asked = Direction(End("192.168.1.2", 5000), End("198.51.100.9", 53), packets=1, bytes=31)
    lookup = Connection(
        "udp", asked, Direction(asked.destination, asked.source, packets=0, bytes=0),
        timeout=29, mark=42, status=("confirmed",),
    )  # fmt: skip
    nodes = {
        "alice": Tracked((), False), "gw": Tracked((masqueraded, lookup), True),
        "r2": Tracked((), True), "web": Tracked((), False),
    }  # fmt: skip
    head, *rows = said(nodes).splitlines()
    assert head == "gw: 2 connections"
    assert [row.partition("  udp  ")[2] or row.partition("  tcp  ")[2] for row in rows[1:3]] == [
        "     ESTABLISHED assured  431999 s        6/4          395/707",
        "     unreplied            29 s      0x2a  1/0          31/0",
    ]
    assert [row[:43].rstrip() for row in rows[:3]] == [
        "connection",
        "alice:40312 → web:80  as 203.0.113.1:40312",
        "alice:5000 → 198.51.100.9:53",
    ]
    assert rows[0].split()[1:] == [
        "protocol", "state", "timeout", "mark", "packets", "→/←", "bytes", "→/←"
    ]  # fmt: skip
    assert rows[3:] == [
        "",
        "no connection in r2",
        "nothing is tracked in alice and web: no nftables rule there looks at connections",
    ]


def test_a_lab_without_any_and_without_some_of_its_nodes() -> None:
    assert said({"a": Tracked((), False)}, "l.b") == """\
l.b has been deleted by somebody else
nothing is tracked in a: no nftables rule there looks at connections
"""
    assert said({}) == ""


def line(connection: Connection) -> str:
    """Without the blanks that align it."""
    _, _, row, *_ = said({"gw": Tracked((connection,), True)}).splitlines()
    return " ".join(row.split())


def test_both_ways_of_translation() -> None:
    there = Direction(End("192.168.1.3", 5000), End("203.0.113.1", 8080))
    back = Direction(End("192.168.1.2", 80), End("192.168.1.1", 5000))
    assert line(Connection("tcp", there, back, "SYN_SENT")) == (
        "192.168.1.3:5000 → gw:8080 to alice:80 as 192.168.1.1:5000 tcp SYN_SENT unreplied"
    )


def test_addresses_of_ipv6_and_ids_of_echoes() -> None:
    there = Direction(End("fd00::1"), End("2001:db8::2"), Icmp(128, 0, 7))
    back = Direction(End("2001:db8::2"), End("fd00::1"), Icmp(129, 0, 9))
    assert line(Connection("icmpv6", there, back, status=("seen-reply",))) == (
        "gw → 2001:db8::2 as fd00::1 id 9 icmpv6 echo-request id 7 replied"
    )
    server = End("2001:db8::2", 53)
    lookup = Direction(End("fd00::1", 5000), server)
    status = ("seen-reply", "assured", "expected")
    answered = Connection("udp", lookup, Direction(server, lookup.source), status=status)
    assert line(answered) == "gw:5000 → [2001:db8::2]:53 udp assured expected"


def test_zones_helpers_and_labels() -> None:
    there, back = Direction(ALICE, WEB, zone=7), Direction(WEB, ALICE)
    one = Connection("tcp", there, back, helper="ftp", labels=(3, 64))
    assert said({"gw": Tracked((one,), True)}).splitlines()[1:] == [
        "connection            protocol  state      zone  helper  labels",
        "alice:40312 → web:80  tcp       unreplied  7/0   ftp     3,64",
    ]


def test_what_was_forgotten() -> None:
    def told(counts: Mapping[str, int], *lost: str) -> str:
        out = io.StringIO()
        TextRenderer(out, out).forgotten("l", counts, lost)
        return out.getvalue()

    assert told({"a": 0, "gw": 12, "r2": 1}) == (
        "gw: 12 connections forgotten\nr2: 1 connection forgotten\n"
    )
    assert told({"a": 0, "b": 0, "c": 0}) == "no connection was tracked in a, b and c\n"
    assert told({}, "l.a") == "l.a has been deleted by somebody else\n"
