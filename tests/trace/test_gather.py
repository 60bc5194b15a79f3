"""Sightings of many packets → packets: whose each is, when it is over, how many are held."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from itertools import count

from netlab.firewall.held import OF_TRACES
from netlab.trace import gather
from netlab.trace.choice import Choice
from netlab.trace.filters import parse
from netlab.trace.gather import PATIENCE, SETTLED, Followed, Gathering
from netlab.trace.sighting import Sighting
from tests.trace.frames import fragment6, ip, ip6, tcp, udp

SYN = ip(tcp(40000, 8080, 2), 6, "10.0.0.1", "203.0.113.1")
TRANSLATED = ip(tcp(40000, 80, 2), 6, "10.0.0.1", "192.168.1.2", ttl=63)
_times = count(1000)


def seen(node: str, point: str, data: bytes, buffer: int = 1, **more: object) -> Sighting:
    found = Sighting(node, "bpf", point, "eth0", time=next(_times), network=data, buffer=buffer)
    return replace(found, **more)  # type: ignore[arg-type]


def rule(node: str, data: bytes, chain: str = "forward", **more: object) -> Sighting:
    """The first message of a chain."""
    found = Sighting(
        node, "nft-trace", "rule", "lan", "wan", network=data[:20], transport=data[20:40],
        family="inet", table="filter", chain=chain, id=7,
    )  # fmt: skip
    return replace(found, **more)  # type: ignore[arg-type]


def gathered(*sightings: Sighting, text: str = "") -> list[Followed]:
    some = Gathering(Choice(text, parse(text, {}) if text else None))
    some.add(sightings, 0.0)
    return some.rest()


def test_a_packet_is_one_whatever_nat_makes_of_it() -> None:
    way = [seen("a", "tx", SYN), seen("gw", "rx", SYN), seen("gw", "tx", TRANSLATED),
           seen("web", "rx", TRANSLATED)]  # fmt: skip
    (found,) = gathered(*way)
    assert found.sightings == way


def test_without_buffers_as_well() -> None:
    way = [replace(s, by="taps", buffer=0) for s in (
        seen("a", "tx", SYN), seen("gw", "tx", TRANSLATED), seen("web", "rx", TRANSLATED))
    ]  # fmt: skip
    (found,) = gathered(*way)
    assert found.sightings == way


def test_the_filter_may_be_met_late_and_what_never_meets_it_is_left_out() -> None:
    other = ip(udp(1, 53, b"who?"), 17)
    way = [seen("a", "tx", SYN), seen("a", "tx", other, 2), seen("gw", "tx", TRANSLATED)]
    (found,) = gathered(*way, text="tcp dst port 80")
    assert [s.point for s in found.sightings] == ["tx", "tx"]
    assert gathered(*way, text="icmp") == []


def test_another_segment_of_a_connection_is_another_packet() -> None:
    further = ip(tcp(40000, 8080, 16, sequence=101), 6, "10.0.0.1", "203.0.113.1")
    found = gathered(seen("a", "tx", SYN), seen("a", "tx", further), seen("gw", "rx", further))
    assert [len(p.sightings) for p in found] == [1, 2]


def test_two_that_are_alike_are_told_apart_by_their_buffers() -> None:
    data = ip6(udp(5, 6, b"the same"), 17)
    found = gathered(
        seen("a", "tx", data, 1), seen("a", "tx", data, 2),
        seen("b", "rx", data, 2), seen("b", "rx", data, 1),
    )  # fmt: skip
    assert [[s.buffer for s in p.sightings] for p in found] == [[1, 1], [2, 2]]


def test_two_that_are_alike_go_one_after_the_other_where_nobody_tells_of_buffers() -> None:
    data = ip6(udp(5, 6, b"the same"), 17)
    points = ("a", "tx"), ("a", "tx"), ("b", "rx")
    way = [seen(node, point, data, 0, by="taps") for node, point in points]
    assert [[s.node for s in p.sightings] for p in gathered(*way)] == [["a", "b"], ["a"]]


def test_those_of_others_with_the_same_payload_are_others() -> None:
    one, two = (ip6(udp(5, 53, b"query"), 17, source) for source in ("fd00::1", "fd00::9"))
    far = ip6(udp(5, 53, b"query"), 17, "fd00::9", "fd00::8")
    assert len(gathered(seen("a", "tx", one), seen("c", "tx", far, 2))) == 2
    assert len(gathered(seen("a", "tx", one), seen("gw", "tx", two))) == 1  # one end is the same


def test_what_two_nodes_tell_the_same_group_are_two_packets() -> None:
    """As listeners of multicast do, each on its own segment (RFC 3810)."""
    report = bytes.fromhex("8f00 1234 0000 0001 0400 0000") + bytes(16)
    one, two = (ip6(report, 58, source, "ff02::16") for source in ("fe80::1", "fe80::9"))
    found = gathered(
        seen("r2", "tx", one, 1), seen("srv", "rx", one, 1),
        seen("gw", "tx", two, 2), seen("cli", "rx", two, 2),
    )  # fmt: skip
    assert [[s.node for s in p.sightings] for p in found] == [["r2", "srv"], ["gw", "cli"]]


def test_an_answer_that_is_like_the_question_is_another_packet() -> None:
    """As an echo server sends it; IPv6 has no identification."""
    asked = ip6(udp(4000, 7, b"hello"), 17)
    answered = ip6(udp(7, 4000, b"hello"), 17, "fd00::2", "fd00::1")
    found = gathered(
        seen("a", "tx", asked, 1), seen("b", "rx", asked, 1),
        seen("b", "tx", answered, 2), seen("a", "rx", answered, 2),
    )  # fmt: skip
    assert [[s.node for s in p.sightings] for p in found] == [["a", "b"], ["b", "a"]]


def test_neighbours_that_tell_each_other_of_themselves_are_two_packets() -> None:
    """Their addresses begin alike, and nftables shows no more than 20 bytes."""
    some = ("fd03::1", "fd03::2"), ("fd03::2", "fd03::1")
    told = [
        ip6(bytes.fromhex("8800 0000 6000 0000") + ip_address(source).packed, 58, source, to)
        for source, to in some
    ]
    found = gathered(*(rule(node, data, network=data[:40], transport=data[40:60])
                       for node, data in zip(("r2", "srv"), told, strict=True)))  # fmt: skip
    assert len(found) == 2


def test_an_icmp_error_is_one_whatever_nat_makes_of_what_it_quotes() -> None:
    """Both of its own addresses, and both of those within."""
    about = udp(5, 53, b"query")
    error = bytes.fromhex("0103 0000 0000 0000")
    before, after = (
        ip6(error + ip6(about, 17, client, "fd03::9"), 58, "fd02::2", client)
        for client in ("fd02::1", "fd01::2")
    )
    (found,) = gathered(seen("r2", "tx", before, 1), seen("gw", "tx", after, 2))
    assert [s.node for s in found.sightings] == ["r2", "gw"]
    four = bytes.fromhex("0301 0000 0000 0000")
    before, after = (
        ip(four + ip(about, 17, client, "10.3.0.9"), 1, "10.2.0.2", client)
        for client in ("10.2.0.1", "10.1.0.2")
    )
    assert len(gathered(seen("r2", "tx", before, 1), seen("gw", "tx", after, 2))) == 1


def test_a_buffer_that_was_given_to_somebody_else_tells_nothing() -> None:
    other = ip(udp(1, 53, b"who?"), 17)
    later = seen("gw", "rx", other, known="buffer")
    (found,) = gathered(seen("a", "tx", SYN), later)
    assert later not in found.sightings
    after_nat = seen("gw", "tx", TRANSLATED, known="buffer")
    (found,) = gathered(seen("a", "tx", SYN), after_nat)
    assert after_nat in found.sightings


def test_what_rules_say_is_of_the_packet_that_they_saw() -> None:
    drop = Sighting("gw", "nft-trace", "rule", family="inet", table="filter", chain="forward",
                    handle=5, verdict="drop", id=7)  # fmt: skip
    stranger = replace(drop, node="sw")
    frames = [seen("a", "tx", SYN), seen("gw", "rx", SYN)]
    (found,) = gathered(*frames, rule("gw", SYN), drop, stranger)
    assert found.sightings == [*frames, rule("gw", SYN), drop]
    assert found.is_settled


def test_fragments_are_of_one_packet() -> None:
    first = ip(udp(5, 6, b"x" * 8), 17, fragment=0x2000, identification=9)
    second = ip(b"y" * 8, 17, fragment=1, identification=9)
    other = ip(b"z" * 8, 17, fragment=1, identification=10)
    found = gathered(seen("a", "tx", first), seen("a", "tx", second, 2), seen("a", "tx", other, 3))
    assert [len(p.sightings) for p in found] == [2, 1]


def test_without_the_kernel_s_word_the_first_fragment_tells_all() -> None:
    """As of a probe: a later one that comes after it would make its way go in circles."""
    ping = bytes.fromhex("0800 0000 0001 0001") + bytes(16)
    first = ip(ping, 1, fragment=0x2000)
    later = ip(bytes(24), 1, fragment=3)
    way = [seen("a", "tx", first, 0, by="taps"), seen("b", "rx", first, 0, by="taps")]
    pieces = [seen("a", "tx", later, 0, by="taps"), seen("b", "rx", later, 0, by="taps")]
    (found,) = gathered(way[0], pieces[0], way[1], pieces[1])
    assert found.sightings == way
    ruled = rule("b", later, network=later[:20], transport=b"", id=9)
    known = rule("b", first, network=first[:20], transport=first[20:], id=9)
    after = rule("b", b"", network=b"", transport=b"", id=9)
    (found,) = gathered(known, ruled, after)
    assert found.sightings == [known], "the number is the later one's now"


def test_ipv6_that_is_put_together_on_the_way_is_one_packet() -> None:
    ping = bytes.fromhex("8000 0000 0001 0001") + bytes(16)
    whole, piece = ip6(ping, 58), ip6(fragment6(ping, 58, 0, True), 44)
    way = [seen("a", "hook", whole, 1, hook="output"), seen("a", "tx", piece, 2),
           seen("b", "rx", piece, 2), seen("b", "hook", whole, 3, hook="input")]  # fmt: skip
    (found,) = gathered(*way)
    assert found.sightings == way


def test_what_is_passed_within_the_kernel_is_no_packet() -> None:
    """Messages of netlink may look like one where they are let go."""
    assert gathered(seen("a", "freed", SYN)) == []
    assert gathered(seen("a", "read", SYN), seen("a", "used", SYN)) == []
    assert len(gathered(seen("a", "", SYN, hook="output", stage="first"))) == 1


# when it is over


def over(*sightings: Sighting, holders: dict[str, tuple[str, ...]] | None = None) -> bool:
    """Whether nothing more is waited for after a moment."""
    some = Gathering(Choice(), holders)
    some.add(sightings, 0.0)
    assert some.done(SETTLED / 2) == []
    done = some.done(SETTLED * 2)
    assert bool(done) != some.waits
    assert bool(done) == (some.done(PATIENCE * 2) == [])
    return bool(done)


def test_a_packet_is_over_a_moment_after_it_was_seen_to_end() -> None:
    assert over(seen("a", "tx", SYN), seen("gw", "freed", SYN))
    assert over(seen("b", "hook", SYN, hook="input", stage="last"))
    assert not over(seen("b", "hook", SYN, hook="input", stage="first"))
    assert not over(seen("a", "tx", SYN))
    assert not over(seen("a", "freed", SYN), seen("gw", "rx", SYN, 2))


def test_one_that_waits_for_its_next_hop_is_waited_for() -> None:
    asked = seen("a", "used", SYN, 2, function="__neigh_event_send+0x236/0x3b0")
    assert not over(seen("a", "hook", SYN, hook="postrouting", stage="last"), asked)


def test_by_frames_it_is_over_where_it_was_meant_for() -> None:
    home = {"203.0.113.1": ("gw",)}
    assert over(seen("gw", "rx", SYN, 0, by="taps"), holders=home)
    assert not over(seen("sw", "rx", SYN, 0, by="taps"), holders=home)


def test_by_rules_it_is_over_behind_the_last_chain_of_input() -> None:
    assert over(rule("gw", SYN, "input_last", table=f"{OF_TRACES}1", point="policy"))
    assert not over(rule("gw", SYN, "input_last"))
    assert over(rule("gw", SYN, verdict="drop"))


# how many are held


def test_of_too_many_the_oldest_are_let_go_and_counted() -> None:
    some = Gathering(Choice())
    packets = [
        ip(tcp(1, 2, sequence=n), 6, identification=n % 60000) for n in range(gather.MOST + 3)
    ]
    some.add((seen("a", "tx", data, n + 1) for n, data in enumerate(packets)), 0.0)
    early = some.done(0.0)
    assert [p.sightings[0].network for p in early] == packets[:3]
    assert (some.early, all(p.is_early for p in early)) == (3, True)
    assert len(some.rest()) == gather.MOST


def test_of_one_that_goes_in_circles_no_more_is_kept_than_enough() -> None:
    way = [seen("a", "hook", SYN, hook=f"{n}") for n in range(gather.MOST_SIGHTINGS + 10)]
    (found,) = gathered(*way)
    assert len(found.sightings) == gather.MOST_SIGHTINGS


# answers


ANSWER = ip(tcp(80, 40000, 18), 6, "192.168.1.2", "192.168.1.1")
HOOK = {"hook": "postrouting", "stage": "last", "original": "10.0.0.1:40000 → 203.0.113.1:8080",
        "reply": "192.168.1.2:80 → 192.168.1.1:40000"}  # fmt: skip


def test_an_answer_is_meant_before_nat_made_it_what_the_filter_asks_for() -> None:
    there, back = seen("gw", "hook", SYN, **HOOK), seen("web", "tx", ANSWER, 2)
    assert len(gathered(there, back, text="tcp port 8080")) == 2
    assert len(gathered(there, back, text="tcp src port 8080")) == 0
    assert len(gathered(there, back, text="tcp dst port 8080")) == 1
    assert len(gathered(back, text="tcp port 8080")) == 0
    plain = {**HOOK, "reply": "203.0.113.1:8080 → 10.0.0.1:40000"}
    assert len(gathered(seen("gw", "hook", SYN, **plain), back, text="tcp port 8080")) == 1


def test_headers_are_written_anew_in_both_versions() -> None:
    four = gather.rewritten(ANSWER, b"", "203.0.113.1:8080", "10.0.0.1:40000")
    assert b"".join(four) == ip(tcp(8080, 40000, 18), 6, "203.0.113.1", "10.0.0.1")
    six = gather.rewritten(ip6(udp(5, 6), 17), b"", "[fd00::8]:7", "[fd00::9]:8")
    assert b"".join(six)[8:44] == ip6(udp(7, 8), 17, "fd00::8", "fd00::9")[8:44]
    echo = gather.rewritten(ANSWER, b"", "203.0.113.1", "10.0.0.1")
    assert b"".join(echo)[12:20] == ip(b"", 1, "203.0.113.1", "10.0.0.1")[12:20]
    assert b"".join(echo)[20:] == ANSWER[20:]
