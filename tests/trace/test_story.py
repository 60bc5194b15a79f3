"""What is told of packets that a real kernel carried; the records hold all that was seen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netlab.trace.conclude import conclude
from netlab.trace.model import (
    Chain,
    Change,
    Conntrack,
    Disposition,
    Dropped,
    Hook,
    Hop,
    Made,
    Moment,
    Nat,
    Neighbour,
    Route,
    Rule,
    Socket,
    Switched,
    Trace,
    Tunnelled,
)
from tests.trace.kept import NAMES, RECORDS, hop, leg, record, trace, way
from tests.trace.record import story

THERE = ["cli: · → eth0", "sw: cli → gw", "gw: lan → wan", "srv: eth0 → ·"]
BACK = ["srv: · → eth0", "gw: wan → lan", "sw: gw → cli", "cli: eth0 → ·"]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_told_as_it_was_when_somebody_read_it(name: str) -> None:
    assert story(record(name)) == (RECORDS / f"{name}.txt").read_text()


def rules(chain: Chain) -> list[tuple[str, bool | None, str, int]]:
    """Their first two words, whether they matched, the verdict, the line."""
    lines = [int(rule.place.rpartition(":")[2] or 0) for rule in chain.rules]
    return [
        (" ".join(r.text.split()[:3]), r.matched, r.verdict, line)
        for r, line in zip(chain.rules, lines, strict=True)
    ]


def chains(step_of: str, found: str, kind: str = "forward", node: str = "gw") -> list[Chain]:
    hooks = [s for s in hop(leg(trace(found), kind), node).steps if isinstance(s, Hook)]
    return [chain for hook in hooks if hook.hook == step_of for chain in hook.chains]


def test_a_published_port_is_translated_both_ways() -> None:
    found = trace("published")
    assert found.disposition == Disposition.ANSWERED and found.cause is None
    assert way(leg(found, "forward")) == THERE
    assert way(leg(found, "reply")) == BACK
    port = str(found.probe.from_port)
    there = [s for s in hop(leg(found, "forward"), "gw").steps if isinstance(s, Nat)]
    assert [(n.hook, n.changes) for n in there] == [
        ("prerouting", (
            Change("destination", "10.1.0.1", "203.0.113.2"),
            Change("destination_port", "8080", "80"),
        )),
        ("postrouting", (Change("source", "10.1.0.2", "203.0.113.1"),)),
    ]  # fmt: skip
    assert [n.rule.text if n.rule else "" for n in there] == [
        'iifname "lan" tcp dport 8080 dnat to 203.0.113.2:80', 'oifname "wan" masquerade',
    ]  # fmt: skip
    back = [s for s in hop(leg(found, "reply"), "gw").steps if isinstance(s, Nat)]
    assert [(n.hook, n.changes, n.rule) for n in back] == [
        ("prerouting", (Change("destination", "203.0.113.1", "10.1.0.2"),), None),
        ("postrouting", (
            Change("source", "203.0.113.2", "10.1.0.1"), Change("source_port", "80", "8080"),
        ), None),
    ]  # fmt: skip
    tracked = [s for s in hop(leg(found, "forward"), "gw").steps if isinstance(s, Conntrack)]
    assert [(c.state, c.direction, c.original, c.reply) for c in tracked] == [
        ("new", "original", f"10.1.0.2:{port} → 10.1.0.1:8080",
         f"203.0.113.2:80 → 203.0.113.1:{port}"),
    ]  # fmt: skip


def test_each_rule_is_told_with_its_line_those_that_did_not_match_as_well() -> None:
    (chain,) = chains("forward", "dropped")
    assert rules(chain) == [
        ("ct state established,related", False, "", 10),
        ("tcp dport 80", False, "", 11),
        ("tcp dport 23", True, "drop", 12),
    ]
    assert (chain.verdict, chain.by_policy) == ("drop", False)
    cause = trace("dropped").cause
    assert cause is not None and cause.rule is not None
    assert (cause.name, cause.place) == ("nft-drop", "rec-dropped.yaml:12")


def test_a_chain_that_is_jumped_to_is_walked_as_well() -> None:
    (chain,) = chains("forward", "rejected")
    assert rules(chain)[2:] == [
        ("tcp dport 23", False, "", 12),
        ("udp dport 9999", True, "jump udp", 13),
        ("ip saddr 192.0.2.0/24", False, "", 16),
        ("counter reject comment", True, "drop", 17),
    ]
    assert [rule.depth for rule in chain.rules] == [0, 0, 0, 0, 1, 1]
    found = trace("rejected")
    assert found.cause and found.cause.name == "nft-reject"
    assert way(leg(found, "error")) == ["gw: · → lan", *BACK[2:]]
    made = [s.words for s in hop(leg(found, "forward"), "gw").steps if isinstance(s, Made)]
    assert made == ["ICMP port unreachable"]


def test_a_policy_is_told_after_all_rules() -> None:
    (chain,) = chains("forward", "policy")
    assert [matched for _, matched, _, _ in rules(chain)] == [False] * 4
    assert (chain.verdict, chain.by_policy) == ("drop", True)
    assert trace("policy").disposition == Disposition.DENIED


def test_the_answers_of_a_connection_pass_by_the_first_rule() -> None:
    (chain,) = chains("forward", "refused", "reply")
    assert rules(chain) == [("ct state established,related", True, "accept", 10)]
    assert trace("refused").disposition == Disposition.REFUSED


def test_frames_alone_show_the_way_and_the_translation() -> None:
    found = trace("frames-alone")
    assert way(leg(found, "forward")) == THERE and way(leg(found, "reply")) == BACK
    nats = [s for s in hop(leg(found, "forward"), "gw").steps if isinstance(s, Nat)]
    assert [n.hook for n in nats] == ["prerouting", "postrouting"]


def test_rules_alone_show_the_same_as_with_frames() -> None:
    alone, both = trace("rules-alone"), trace("published")
    for kind in ("forward", "reply"):
        assert way(leg(alone, kind)) == way(leg(both, kind))
        decided = [
            [
                [(s.hook, [rules(c) for c in s.chains]) for s in h.steps if isinstance(s, Hook)]
                for h in leg(found, kind).hops
            ]
            for found in (alone, both)
        ]
        assert decided[0] == decided[1]


@pytest.mark.parametrize("name", ["kernel-alone", "kernel-with-rules"])
def test_the_kernel_itself_shows_the_same_way_and_translation(name: str) -> None:
    told, before = trace(name), trace("published")
    assert told.disposition == Disposition.ANSWERED
    for kind in ("forward", "reply"):
        assert way(leg(told, kind)) == way(leg(before, kind))
        for step in (Nat, Conntrack):
            found = [
                [_without_port(s, one) for s in hop(leg(one, kind), "gw").steps
                 if isinstance(s, step)]
                for one in (told, before)
            ]  # fmt: skip
            assert found[0] == found[1], kind


def _without_port(step: object, found: Trace) -> tuple[object, ...]:
    """What does not hang on who watched, nor on the sender's port."""
    if isinstance(step, Nat):
        return step.hook, step.changes
    assert isinstance(step, Conntrack)
    return step.state, step.direction


def test_the_kernel_tells_when_and_how_long() -> None:
    found = trace("kernel-with-rules")
    for kind in ("forward", "reply"):
        for one in leg(found, kind).hops:
            hooks = [s for s in one.steps if isinstance(s, Hook)]
            assert all(h.time is not None and h.took is not None and h.took > 0 for h in hooks)
            times = [h.time for h in hooks]
            assert times == sorted(times, key=lambda time: time or 0)
            routes = [s for s in one.steps if isinstance(s, Route)]
            assert one.node == "srv" or all(r.time is not None for r in routes)
    (translating,) = (
        h for h in hop_of(found, "gw").steps if isinstance(h, Hook) and h.hook == "postrouting"
    )
    (forwarding,) = (
        h for h in hop_of(found, "gw").steps if isinstance(h, Hook) and h.hook == "forward"
    )
    assert translating.took and forwarding.took and translating.took > forwarding.took


def hop_of(found: Trace, node: str) -> Hop:
    return hop(leg(found, "forward"), node)


def test_a_translation_by_a_rule_that_nobody_saw_is_not_the_entrys() -> None:
    there = [s for s in hop_of(trace("kernel-alone"), "gw").steps if isinstance(s, Nat)]
    assert [(n.rule, n.unseen) for n in there] == [(None, True)] * 2
    back = [s for s in hop(leg(trace("kernel-alone"), "reply"), "gw").steps if isinstance(s, Nat)]
    assert [(n.rule, n.unseen) for n in back] == [(None, False)] * 2


def test_what_the_kernel_let_fall_at_a_hook_is_told_without_rules() -> None:
    found = trace("kernel-dropped")
    assert found.disposition == Disposition.DENIED
    assert found.cause and found.cause.name == "netfilter-drop"
    assert found.place and (found.place.node, found.place.hook) == ("gw", "forward")
    (end,) = (s for s in hop_of(found, "gw").steps if isinstance(s, Dropped))
    assert (end.reason, end.function.partition("+")[0]) == ("NETFILTER_DROP", "nft_do_chain")


def test_later_fragments_are_told_where_they_come_by() -> None:
    found = trace("kernel-pieces")
    for node, comes, leaves in (("a", 0, 2), ("sw", 2, 2), ("b", 2, 0)):
        said = [s.words for s in hop_of(found, node).steps if isinstance(s, Moment)]
        pieces = [words for words in said if words.startswith("a later fragment")]
        assert len([words for words in pieces if "comes in" in words]) == comes, node
        assert len([words for words in pieces if "leaves" in words]) == leaves, node


def test_who_reads_it_is_told_last() -> None:
    end = hop_of(trace("kernel-pieces"), "b").steps[-1]
    assert isinstance(end, Socket) and end.words.startswith("read by netlab itself")


def test_what_a_tunnel_wraps_is_routed_by_its_wrapping() -> None:
    there = leg(trace("tunnelled"), "forward")
    assert way(there) == ["h1: · → eth0", "r: a → b", "h2: eth0 → ·"]
    routes = [s.destination for s in hop(there, "h1").steps if isinstance(s, Route)]
    assert routes == ["10.9.0.2", "10.2.0.2"]
    assert [s.destination for s in hop(there, "r").steps if isinstance(s, Route)] == ["10.2.0.2"]
    wrapped = [s.wrapped for h in there.hops for s in h.steps if isinstance(s, Tunnelled)]
    assert wrapped == [True, False]


def test_a_flood_is_a_leg_and_its_copies() -> None:
    found = trace("flooded")
    assert way(leg(found, "forward")) == ["a: · → eth0", "sw: a → b", "b: eth0 → ·"]
    (choice,) = (s for s in hop(leg(found, "forward"), "sw").steps if isinstance(s, Switched))
    assert (set(choice.ports), choice.known) == ({"b", "c"}, False)
    assert way(leg(found, "clone")) == ["c: eth0 → ·"]
    (answer,) = (s for s in hop(leg(found, "reply"), "sw").steps if isinstance(s, Switched))
    assert (answer.ports, answer.known) == (("a",), True)


def test_a_circle_is_followed_to_its_end() -> None:
    found = trace("looped")
    assert [h.node for h in leg(found, "forward").hops] == ["a", *["r1", "r2"] * 4, "r1"]
    assert found.disposition == Disposition.LOOPED
    ttls = [h.steps[0].packet.ttl for h in leg(found, "forward").hops[1:]]  # type: ignore[union-attr]
    assert ttls == list(range(9, 0, -1))


def test_a_silent_neighbour_is_told() -> None:
    found = trace("unanswered")
    (asked,) = (s for s in leg(found, "forward").hops[-1].steps if isinstance(s, Neighbour))
    assert (asked.address, asked.state) == ("10.0.0.9", "failed")
    assert found.disposition == Disposition.NO_NEIGHBOUR


def test_what_was_never_sent_has_a_leg_that_says_why() -> None:
    (only,) = trace("unsent").legs
    assert way(only) == ["a: · → ·"]
    assert trace("unsent").disposition == Disposition.NO_ROUTE


# what must make no difference


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_nodes_in_which_it_was_read_makes_no_difference(name: str) -> None:
    found = record(name)
    turned = tuple(sorted(found.sightings, key=lambda s: (s.point != "rx", s.node), reverse=True))
    assert conclude(replace(found, sightings=turned)) == trace(name)


@pytest.mark.parametrize(
    "name", [n for n in NAMES if n not in ("frames-alone", "looped") and "kernel" not in n]
)
def test_without_times_the_way_is_found_by_the_links(name: str) -> None:
    found = record(name)
    bare = tuple(replace(s, time=0) for s in found.sightings)
    told = conclude(replace(found, sightings=bare))
    assert [way(leg) for leg in told.legs] == [way(leg) for leg in trace(name).legs]


@pytest.mark.parametrize("name", NAMES)
def test_packets_of_others_are_left_out(name: str) -> None:
    """The same again with another cookie: as if somebody traced beside, through the same chains."""
    found = record(name)
    other = record("rejected" if name != "rejected" else "dropped")
    seen = [s for s in other.sightings if s.network]
    foreign = [replace(s, node=n, id=s.id ^ 0x5A5A) for n in found.terrain.spots for s in seen]
    mixed = (*foreign, *found.sightings, *foreign)
    assert conclude(replace(found, sightings=mixed)) == trace(name)


@pytest.mark.parametrize("name", ["published", "dropped", "rejected", "tunnelled"])
def test_a_packet_that_was_sent_again_is_told_once(name: str) -> None:
    found = record(name)
    later = [
        replace(s, time=s.time and s.time + 1_000_000_000, id=s.id and s.id ^ 0xFFFF)
        for s in found.sightings
        if s.point not in ("count", "connection")
    ]
    again = conclude(replace(found, sightings=(*found.sightings, *later)))
    assert again == trace(name)


def test_what_is_sent_again_and_on_its_way_as_the_trace_ends_is_no_part_of_it() -> None:
    found = record("kernel-alone")
    there = tuple(s for s in found.sightings if s.buffer in (0, 1))
    arrival = next(s for s in there if s.point == "backlog" and s.node == "gw")
    again = replace(arrival, time=arrival.time + 1_010_000_000, buffer=99)
    once, twice = (conclude(replace(found, sightings=some)) for some in (there, (*there, again)))
    assert [hop.node for hop in once.legs[0].hops] == ["cli", "sw", "gw", "srv"]
    assert twice == once


def test_a_rule_that_is_gone_since_is_told_by_its_number() -> None:
    found = record("dropped")
    gw = found.facts["gw"]
    emptied = tuple(replace(chain, rules=()) for chain in gw.chains)
    facts = {**found.facts, "gw": replace(gw, chains=emptied)}
    told = conclude(replace(found, facts=facts))
    assert told.cause and told.cause.rule == Rule(
        "inet", "filter", "forward", told.cause.rule.handle if told.cause.rule else 0,
        f"rule {told.cause.rule.handle if told.cause.rule else 0}, which is gone", True, "drop",
    )  # fmt: skip
