"""Whose what the kernel tells is, and its place among frames and chains."""

from __future__ import annotations

from dataclasses import replace
from struct import pack

from netlab.trace import moments
from netlab.trace.cookie import table_name
from netlab.trace.follow import Seen, attribute
from netlab.trace.headers import parse
from netlab.trace.model import Probe
from netlab.trace.sighting import Sighting
from tests.trace.frames import ip, udp

COOKIE = 0x51442623
PROBE = Probe("a", "b", "udp", "10.0.0.1", "10.0.0.2", 53, 4000, cookie=COOKIE)
DATA = ip(udp(4000, 53, pack(">I", COOKIE)), 17)
HIDDEN = ip(udp(7, 5555, b"nobody can read this"), 17, "10.9.0.1", "10.9.0.2")
RX = Sighting("gw", "bpf", "rx", "a", time=1000, network=DATA, buffer=1)
OWN = table_name(COOKIE)


def told(seen: Seen) -> tuple[str, str]:
    s = seen.sighting
    return s.node, f"{s.hook} {s.stage}".strip() or s.chain or s.point


# whose it is


def test_what_happens_beside_a_buffer_is_of_the_packet_in_it() -> None:
    route = Sighting("gw", "bpf", "route", time=2000, buffer=1, address="10.0.0.2")
    other = replace(route, buffer=2)
    found = attribute([route, RX, other], PROBE)
    assert [(s.sighting.point, s.way) for s in found] == [("rx", "forward"), ("route", "forward")]


def test_what_has_no_packet_is_of_the_sender() -> None:
    route = Sighting("a", "bpf", "route", time=500, address="10.0.0.2")
    elsewhere = replace(route, node="gw")
    assert [told(s) for s in attribute([route, elsewhere, RX], PROBE)] == [
        ("gw", "rx"), ("a", "route"),
    ]  # fmt: skip


def test_what_is_within_a_tunnel_is_known_from_before() -> None:
    wrapped = replace(
        RX, time=3000, point="tx", device="b", network=HIDDEN, buffer=2, source_buffer=1,
        known="program",
    )  # fmt: skip
    further = replace(wrapped, node="far", point="rx", time=4000, known="buffer")
    seen = attribute([RX, wrapped, further], PROBE)
    assert [s.way for s in seen] == ["forward"] * 3
    for one in seen[1:]:
        assert one.packet is not None and one.outer is not None
        assert (one.packet.destination, one.packet.within) == (
            "10.0.0.2", "udp 10.9.0.1 → 10.9.0.2",
        )  # fmt: skip
        assert one.outer.destination == "10.9.0.2"
    assert attribute([wrapped, further], PROBE) == [], "nothing says what is in it"


def test_a_later_fragment_goes_the_way_of_the_first() -> None:
    whole = udp(4000, 53, pack(">I", COOKIE) + bytes(24))
    first = replace(RX, network=ip(whole, 17, fragment=0x2000, identification=5))
    late = replace(
        RX, time=2000, network=ip(bytes(40), 17, fragment=4, identification=5), buffer=2,
        known="fragment",
    )  # fmt: skip
    found = attribute([first, late], PROBE)
    assert [(s.is_piece, s.is_between, s.way) for s in found] == [
        (False, False, "forward"), (True, True, "forward"),
    ]  # fmt: skip
    assert moments.words(late) == "a later fragment (32) comes in by a"
    assert attribute([late], PROBE) == []


def test_a_frame_that_two_saw_is_told_once() -> None:
    tap = Sighting("gw", "taps", "rx", "a", time=990, network=DATA)
    assert [s.sighting.by for s in attribute([tap, RX], PROBE)] == ["bpf"]
    assert [s.sighting.by for s in attribute([tap], PROBE)] == ["taps"]


# where it is


def frame(point: str, device: str, time: int) -> list[Seen]:
    sighting = Sighting("gw", "bpf", point, device, time=time, network=DATA)
    return [Seen(sighting, "forward", parse(DATA))]


def chain(name: str, table: str = OWN, **more: str) -> list[Seen]:
    sighting = Sighting("gw", "nft-trace", "policy", family="inet", table=table, chain=name, **more)  # type: ignore[arg-type]
    return [Seen(sighting, "forward", parse(DATA))]


def hook(name: str, stage: str, time: int) -> Seen:
    sighting = Sighting("gw", "bpf", "hook", time=time, hook=name, stage=stage, network=DATA)
    return Seen(sighting, "forward", parse(DATA))


def test_chains_stand_between_the_programs_at_their_hook() -> None:
    groups = [
        frame("rx", "a", 1000), chain("prerouting_first"), chain("raw", "t"),
        chain("mangle", "t", ct_state="new"), chain("prerouting_last"), frame("tx", "b", 9000),
    ]  # fmt: skip
    between = [
        hook("prerouting", "last", 6000), hook("prerouting", "first", 2000),
        hook("prerouting", "tracked", 4000),
        Seen(Sighting("gw", "bpf", "route", time=7000), "forward", None),
    ]  # fmt: skip
    assert [told(s)[1] for s in moments.placed(groups, between)] == [
        "rx", "prerouting_first", "prerouting first", "raw", "prerouting tracked", "mangle",
        "prerouting last", "prerouting_last", "route", "tx",
    ]  # fmt: skip


def test_chains_of_which_the_hook_is_known_need_none_of_a_traces_own() -> None:
    groups = [
        chain("prerouting_first"), chain("pre", "nat", hook="prerouting"),
        chain("forward", "t", hook="forward"), chain("late", "t", hook="forward"),
        chain("forward", "t", hook="forward"), chain("post", "nat", hook="postrouting"),
    ]  # fmt: skip
    between = [frame("rx", "a", 1000)[0]]
    for place, name in enumerate(("prerouting", "forward", "forward", "postrouting")):
        at = 2000 + 1000 * place
        between += [hook(name, "first", at), hook(name, "last", at + 500)]
    between.append(frame("tx", "b", 9000)[0])
    assert [told(s)[1] for s in moments.placed(groups, between)] == [
        "rx", "prerouting_first",
        "prerouting first", "prerouting", "prerouting last",
        "forward first", "forward", "forward", "forward last",
        "forward first", "forward", "forward last",
        "postrouting first", "postrouting", "postrouting last", "tx",
    ]  # fmt: skip


def test_a_hook_that_another_packet_passed_is_not_this_ones() -> None:
    """The wrapping of a tunnel passes hooks that nftables' trace says nothing of."""
    outer = hook("prerouting", "first", 2000)
    outer = replace(outer, headers=parse(HIDDEN))
    groups = [frame("rx", "a", 1000), frame("rx", "tun0", 3000), chain("prerouting_first")]
    between = [outer, hook("prerouting", "first", 4000)]
    assert [told(s)[1] for s in moments.placed(groups, between)] == [
        "rx", "prerouting first", "rx", "prerouting_first", "prerouting first",
    ]  # fmt: skip


def test_without_programs_nothing_is_moved() -> None:
    groups = [frame("rx", "a", 1000), chain("prerouting_first"), frame("tx", "b", 900)]
    assert [told(s)[1] for s in moments.placed(groups, [])] == ["rx", "prerouting_first", "tx"]


# in words


def test_every_moment_has_words_or_is_a_step_of_its_own() -> None:
    from netlab.trace.tracepoints import POINTS

    steps = {"rx", "tx", "freed", "hook", "route", "route6", "neighbour", "neighbour-new",
             "read", "received"}  # fmt: skip
    for point in POINTS.keys() - steps:
        seen = Sighting("gw", "bpf", point, "eth0", name="x", address="10.0.0.1", function="f+0x1")
        assert moments.words(seen), point
    for point in steps:
        assert not moments.words(Sighting("gw", "bpf", point, "eth0")), point


def test_who_got_it_is_told() -> None:
    ready = Sighting("b", "bpf", "ready", family="udp", address="0.0.0.0:53")
    read = Sighting("b", "bpf", "read", pid=12, program="dnsmasq")
    assert moments.delivered(ready, None) == "delivered to udp socket 0.0.0.0:53"
    assert moments.delivered(read, None) == "read by dnsmasq (pid 12)"
