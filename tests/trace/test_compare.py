"""What was seen beside what had been foretold."""

from __future__ import annotations

from dataclasses import replace

from netlab.trace import model as m
from netlab.trace.compare import beside, differences

PROBE = m.Probe("a", "b", "tcp", "10.0.0.1", "10.1.0.1", 80, 40000)
DROP = m.Rule("inet", "f", "c", 4, "tcp dport 23 drop", True, "drop", "x.yaml:7")
PASS = replace(DROP, matched=False, place="x.yaml:6")
CHAIN = m.Chain("inet", "f", "c", (PASS, DROP), "drop")
NAT = m.Nat("postrouting", (m.Change("source", "10.0.0.1", "10.1.0.254"),))


def trace(*hops: m.Hop, disposition: m.Disposition = m.Disposition.ANSWERED) -> m.Trace:
    leg = m.Leg("forward", hops, disposition)
    watchers = ("bpf", ""), ("nft-trace", "")
    return m.Trace("lab", "x.yaml", PROBE, "observed", disposition, (leg,), backends=watchers)


def hop(node: str, *steps: m.Step) -> m.Hop:
    return m.Hop(node, "host", steps)


def test_the_same_is_the_same_whatever_only_one_of_them_can_tell() -> None:
    seen = trace(
        hop("a", m.Tx("eth0", time=5.0)), hop("gw", m.Hook("forward", "ip", (CHAIN,)), NAT)
    )
    port = m.Change("source_port", "40000", "1024")
    more = replace(NAT, changes=(*NAT.changes, port))
    told = trace(hop("a", m.Tx("eth0")), hop("gw", m.Hook("forward", "ip", (CHAIN,)), more))
    assert list(differences(seen, told)) == []
    assert beside(seen, told) == m.Foretold(m.Disposition.ANSWERED)


def test_each_difference_is_told() -> None:
    seen = trace(
        hop("a"), hop("gw", m.Hook("forward", "ip", (CHAIN,))), disposition=m.Disposition.DENIED
    )
    told = trace(hop("a"), hop("gw", NAT))
    assert list(differences(seen, told)) == [
        "foretold was answered, it is denied",
        "in gw, of the packet: foretold to match none; matched x.yaml:7",
        "in gw, of the packet: foretold was source 10.0.0.1 → 10.1.0.254, it is no NAT",
    ]
    other = trace(hop("a"), hop("r2"), hop("b"))
    assert list(differences(told, other)) == ["the packet was to go a → r2 → b, it went a → gw"]


def test_of_rules_that_nobody_watched_nothing_is_claimed() -> None:
    told = trace(hop("gw", m.Hook("forward", "ip", (CHAIN,))), disposition=m.Disposition.DENIED)
    for watcher in ("bpf", "taps"):
        ends = m.Disposition.DENIED if watcher == "bpf" else m.Disposition.LOST
        seen = replace(trace(hop("gw"), disposition=ends), backends=((watcher, ""),))
        assert list(differences(seen, told)) == []
        answered = replace(seen, disposition=m.Disposition.ANSWERED)
        assert list(differences(answered, told)) == ["foretold was denied, it is answered"]


def test_what_could_not_be_foretold_is_not_compared() -> None:
    seen = trace(hop("a"), disposition=m.Disposition.DENIED)
    told = trace(hop("b"), disposition=m.Disposition.UNKNOWN)
    assert beside(seen, told) == m.Foretold(m.Disposition.UNKNOWN)


def test_a_leg_that_only_one_of_them_has_says_nothing() -> None:
    seen = trace(hop("a"))
    told = replace(seen, legs=(*seen.legs, m.Leg("reply", (hop("b"),), m.Disposition.DELIVERED)))
    assert list(differences(seen, told)) == []


def test_whether_a_program_answers_a_datagram_is_its_own_affair() -> None:
    seen = replace(trace(hop("a")), probe=replace(PROBE, protocol="udp"))
    told = trace(hop("a"), disposition=m.Disposition.DELIVERED)
    assert list(differences(seen, told)) == []
    assert list(differences(trace(hop("a")), told)) == ["foretold was delivered, it is answered"]
