"""Packets of a lab in lines: as wide as a terminal, and what is said in the end."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from netlab.render import journey
from netlab.render.live import Lines, begun, ended
from netlab.trace.live import Sums, Told
from netlab.trace.model import Cause, Disposition, Packet, Rule
from tests.trace.kept import record, trace

COLUMNS = 1000


def told(name: str, **more: object) -> Told:
    """A recorded journey, as if somebody of the lab had sent the packet."""
    kept = record(name)
    found = Told(0.0, trace(name), kept.terrain, kept.sightings, 84.2)
    return replace(found, **more)  # type: ignore[arg-type]


def lines(one: Told, columns: int = COLUMNS) -> list[tuple[str, str]]:
    return [(before + text, style) for before, text, style in Lines().line(one, columns)]


def plain(one: Told, columns: int = COLUMNS) -> list[str]:
    return [text.replace("\u00a0", " ").strip() for text, _ in lines(one, columns)]


def test_one_that_arrived_is_a_line_and_nat_is_told_where_it_happens() -> None:
    (line,) = plain(told("kernel-with-rules"))
    packet = trace("kernel-with-rules").legs[0].packet
    assert packet is not None
    port = packet.source_port
    assert line == (
        f"✓ tcp cli:{port} → gw:8080 [S]  "
        f"cli → sw → gw (gw:8080 ⇒ srv:80, cli:{port} ⇒ gw:{port}) → srv  84 µs"
    )
    assert lines(told("kernel-with-rules"))[0][1] == ""


def test_a_rule_is_told_with_its_line_and_below_where_there_is_no_room() -> None:
    one = told("dropped")
    ((line, style),) = lines(one)
    assert "denied: tcp dport 23 counter drop" in line and style == "red"
    first, second = plain(one, 80)
    assert first.endswith("cli → sw → gw") and second.startswith("denied: tcp dport 23")
    assert line.split() == f"{first} {second}".split()


def test_one_that_went_out_of_sight_is_not_taken_for_dropped() -> None:
    lost = replace(trace("dropped"), disposition=Disposition.UNKNOWN, cause=None)
    one = told("dropped", trace=lost)
    assert not one.is_dropped
    ((line, style),) = lines(one)
    assert "? tcp" in line and "something was lost" in line and style == "yellow"


def test_columns_stand_below_each_other() -> None:
    width = Lines()
    short, long = told("dropped"), told("kernel-with-rules")
    rows = [text for one in (long, short, long) for _, text, _ in width.line(one, COLUMNS)]
    assert len({row.index("cli → sw") for row in rows}) == 1


def test_one_told_in_full_took_no_time_to_trace() -> None:
    kept = trace("kernel-alone")
    found = replace(kept, probe=replace(kept.probe, cookie=0), milliseconds=0.0)
    assert [text for text, _ in journey.lines(found, "usual")][1] == "the lab's own packet   bpf ✓"


def test_what_it_begins_with() -> None:
    assert begun("lab", "tcp", 0, False) == (
        "following packets of lab that match 'tcp', until Ctrl-C"
    )  # fmt: skip
    assert begun("lab", "", 3, True) == (
        "following packets of lab, until 3 packets are told; those that do not arrive are told"
    )


def test_what_is_said_in_the_end() -> None:
    sums = Sums(12, 7, 1, 2, Counter({("gw", "a rule of gw drops it", "lab.yaml:7"): 2}), 0, 3, 4,
                ("9 events of the kernel came too fast",))  # fmt: skip
    assert [text for text, _ in ended(sums)] == [
        "12 packets: 7 arrived, 2 did not, 1 left the lab, 2 not seen to the end",
        "       2  gw  a rule of gw drops it  lab.yaml:7",
        "3 packets still under way",
        "4 packets told before the end: too many at a time",
        "not seen: 9 events of the kernel came too fast",
    ]
    assert [style for _, style in ended(Sums(3, 3))] == ["green"]


def test_of_a_rule_its_words_of_all_else_the_sentence() -> None:
    rule = Rule("inet", "filter", "forward", 5, "tcp dport 23 drop", True, "drop", place="x:1")
    by_rule = Cause("nft-drop", "a rule of gw drops the packet", rule=rule, place="x:1")
    other = Cause("no-route", "gw has no route to 10.0.0.9")
    failed = replace(trace("dropped"), disposition=Disposition.DENIED)
    for cause, words in ((by_rule, "denied: tcp dport 23 drop  x:1"), (other, other.sentence)):
        (line,) = plain(told("dropped", trace=replace(failed, cause=cause)))
        assert line.endswith(words)


def test_packets_are_named_as_tcpdump_would() -> None:
    found = trace("kernel-with-rules")
    forward = found.legs[0]
    asked = Packet("icmp", "10.1.0.2", "10.9.9.9", icmp="8/0")
    for packet, words in (
        (asked, "icmp cli → 10.9.9.9 echo request"),
        (replace(asked, icmp="3/3"), "icmp cli → 10.9.9.9 port unreachable"),
        (Packet("icmpv6", "fe80::1", "ff02::1:ff00:9", icmp="135/0"),
         "icmpv6 fe80::1 → ff02::1:ff00:9 neighbour solicitation"),
        (Packet("icmpv6", "fe80::1", "ff02::16", icmp="200/3"), "icmpv6 fe80::1 → ff02::16 200/3"),
        (Packet("udp", "fd00:9::9", "10.1.0.2", 5, 53, length=40),
         "udp [fd00:9::9]:5 → cli:53 40 bytes"),
    ):  # fmt: skip
        legs = (replace(forward, packet=packet), *found.legs[1:])
        (line,) = plain(told("kernel-with-rules", trace=replace(found, legs=legs)))
        assert line.startswith(f"✓ {words}  ")
