"""What is said of a packet that a node's own IP took in, and when nothing is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netlab.kernel.listeners import Listener
from netlab.trace.causes_sockets import BY_WORD
from netlab.trace.clues_filters import limited_before
from netlab.trace.clues_sockets import in_vain, only_counted, places_of, waits_elsewhere
from netlab.trace.evidence import Evidence
from netlab.trace.facts import Facts
from netlab.trace.model import Chain, Dropped, Packet, Probe, Rule, Rx
from netlab.trace.terrain import Terrain
from netlab.trace.why import explain

PROBE = Probe("cli", "srv", "tcp", "10.1.0.2", "10.2.0.2", 80, 40000, cookie=7, result="no answer")
PACKET = Packet("tcp", "10.1.0.2", "10.2.0.2", 40000, 80, flags="S")
TERRAIN = Terrain("lab", "lab.yaml", {})


def evidence(
    *waiting: Listener,
    freed: str = "",
    probe: Probe = PROBE,
    leg: str = "forward",
    packet: Packet = PACKET,
    chain: Chain | None = None,
    **counts: int,
) -> Evidence:
    facts = Facts(
        "srv", waiting=waiting, counts={k.replace("_", "."): v for k, v in counts.items()}
    )
    said = Dropped("", freed, "tcp_v4_rcv+0x91/0x13f0") if freed else None
    return Evidence(
        probe, TERRAIN, leg, "srv", facts, stage="input", packet=packet, freed=said, arrived=True,
        reset=freed in ("", "NO_SOCKET"), steps=(Rx("eth0"),), chain=chain,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (Listener("tcp", "127.0.0.1", 80), "127.0.0.1:80"),
        (Listener("tcp", "10.2.0.3", 80), "10.2.0.3:80"),
        (Listener("tcp", "::1", 80), "[::1]:80"),
        (Listener("tcp", "::", 80), "[::]:80 (IPv6 alone)"),
        (Listener("tcp", "0.0.0.0", 80, "lo"), "0.0.0.0:80 on lo"),
        (Listener("tcp", "0.0.0.0", 81), ""),
        (Listener("tcp", "0.0.0.0", 80), ""),
        (Listener("tcp", "0.0.0.0", 80, "eth0"), ""),
        (Listener("tcp", "::", 80, both=True), ""),
        (Listener("tcp", "10.2.0.2", 80), ""),
    ],
)
def test_a_program_waits_at_another_place(one: Listener, says: str) -> None:
    found = evidence(one)
    assert waits_elsewhere(found) == (f"a program of srv waits at {says}" if says else "")
    assert not says or explain(found)[1].name == "listens-elsewhere"  # type: ignore[union-attr]


def test_one_that_takes_it_is_enough() -> None:
    both = evidence(Listener("tcp", "127.0.0.1", 80), Listener("tcp", "::", 80, both=True))
    assert waits_elsewhere(both) == ""
    assert places_of(both) == "127.0.0.1:80, [::]:80"


def test_to_ipv6_a_socket_of_ipv4_is_elsewhere() -> None:
    packet = replace(PACKET, source="fd01::2", destination="fd02::2")
    assert waits_elsewhere(evidence(Listener("tcp", "0.0.0.0", 80), packet=packet))
    assert not waits_elsewhere(evidence(Listener("tcp", "::", 80), packet=packet))


def test_a_counter_is_believed_where_the_kernel_says_nothing() -> None:
    clue = only_counted("Tcp.InCsumErrors")
    assert clue(evidence(Tcp_InCsumErrors=2)) == "Tcp.InCsumErrors of srv grew by 2"
    assert clue(evidence(Tcp_InCsumErrors=2, freed="TCP_FLAGS")) == ""
    assert clue(evidence()) == ""


def test_what_was_answered_was_not_in_vain() -> None:
    assert in_vain(evidence()) == "no answer was sent"
    assert in_vain(replace(evidence(), answered=True)) == ""
    assert in_vain(replace(evidence(), error="icmp 3/3")) == ""
    assert in_vain(evidence(leg="reply")) == "the program got no answer"
    assert in_vain(evidence(leg="reply", probe=replace(PROBE, result="connected"))) == ""


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("TCP_CSUM", "checksum-tcp"),
        ("TCP_MINTTL", "ttl-too-low"),
        ("TCP_MD5FAILURE", "tcp-md5"),
        ("TCP_INVALID_SYN", "tcp-half-open"),
        ("TCP_RFC7323_TW_PAWS", "tcp-time-wait"),
        ("TCP_RFC7323_PAWS", "tcp-timestamp"),
        ("TCP_OLD_ACK", "tcp-out-of-window"),
        ("TCP_FLAGS", "tcp-flags"),
        ("TCP_LISTEN_OVERFLOW", "backlog-full"),
        ("SOCKET_FILTER", "socket-filter"),
        ("SOCKET_BACKLOG", "kernel-drop"),
        ("NO_SOCKET", "no-listener-tcp"),
    ],
)
def test_the_kernel_has_a_word_for_it(reason: str, cause: str) -> None:
    found = explain(evidence(freed=reason))[1]
    assert found is not None
    assert found.name == cause


def test_of_a_packet_of_the_lab_only_what_the_kernel_says_is_told() -> None:
    """It may have been sent again, or be a part of anything."""
    assert explain(evidence(freed="TCP_OLD_SEQUENCE"), BY_WORD)[1] is None
    assert explain(evidence(Tcp_InCsumErrors=0, freed="TCP_CSUM"), BY_WORD)[1] is not None


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ("limit rate 1/second accept", True),
        ("tcp dport 80 limit rate 1/second accept", True),
        ("ip protocol tcp limit rate 1/second accept", True),
        ("tcp dport 80-90 limit rate 1/second accept", True),
        ("tcp dport 22 limit rate 1/second accept", False),
        ("udp dport 80 limit rate 1/second accept", False),
        ("icmp type echo-request limit rate 1/second accept", False),
        ("meta l4proto udp limit rate 1/second accept", False),
        ("tcp sport 22 limit rate 1/second accept", False),
        ("limit rate over 1/second drop", False),
        ("accept", False),
    ],
)
def test_a_rate_is_the_reason_if_the_rule_is_about_the_packet(rule: str, holds: bool) -> None:
    held = Rule("inet", "t", "c", 2, rule, False)
    found = limited_before(evidence(chain=Chain("inet", "t", "c", (held,), "drop", True)))
    assert bool(found) == holds
