"""How a packet of the lab's own ended that its node's IP took in: by the kernel's word alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netlab.trace.conclude import conclude
from netlab.trace.cookie import Picked
from netlab.trace.model import Trace
from netlab.trace.record import Record
from netlab.trace.sighting import Sighting
from netlab.trace.terrain import Terrain
from tests.trace.frames import icmp, ip, tcp, udp

TERRAIN = Terrain("lab", "lab.yaml", {})


def ended(data: bytes, protocol: str, reason: str = "", function: str = "") -> Trace:
    """b took it in, and let it go in that function."""
    seen = Sighting("b", "bpf", "rx", "eth0", time=1, network=data, buffer=1)
    hooks = [
        replace(seen, point="hook", hook=hook, stage=stage, family="ip", time=2 + n)
        for n, (hook, stage) in enumerate(
            (hook, stage) for hook in ("prerouting", "input") for stage in ("first", "last")
        )
    ]
    freed = replace(seen, point="freed", name=reason, function=function, time=9)
    probe = Picked("b", "b", protocol, "10.0.0.1", "10.0.0.2", 80, 5, cookie=1)
    sightings = (seen, *hooks, *([freed] if reason else []))
    return conclude(Record(TERRAIN, probe, sightings, {}, (("bpf", ""),)))


SYN, DATA, FIN, RESET = (ip(tcp(5, 80, flags), 6) for flags in (2, 0x18, 0x11, 4))
DATAGRAM, ECHO = ip(udp(5, 80), 17), ip(icmp(0), 1)


@pytest.mark.parametrize(
    ("data", "protocol", "reason", "function"),
    [
        (SYN, "tcp", "", ""),
        (DATA, "tcp", "TCP_OLD_DATA", "tcp_data_queue+0x1"),
        (FIN, "tcp", "NOT_SPECIFIED", "tcp_rcv_state_process+0x1"),
        (RESET, "tcp", "TCP_RESET", "tcp_validate_incoming+0x1"),
        (RESET, "tcp", "NO_SOCKET", "tcp_v4_rcv+0x1"),
        (ECHO, "icmp", "NO_SOCKET", "ping_rcv+0x1"),
    ],
)
def test_what_its_socket_lets_go_has_arrived(
    data: bytes, protocol: str, reason: str, function: str
) -> None:
    found = ended(data, protocol, reason, function)
    assert (found.disposition, found.cause) == ("delivered", None)


@pytest.mark.parametrize(
    ("data", "protocol", "reason", "disposition", "cause"),
    [
        (SYN, "tcp", "NO_SOCKET", "refused", "no-listener-tcp"),
        (DATAGRAM, "udp", "NO_SOCKET", "refused", "no-listener-udp"),
        (DATAGRAM, "udp", "SOCKET_RCVBUFF", "unread", "buffer-full"),
    ],
)
def test_what_nobody_takes_has_not(
    data: bytes, protocol: str, reason: str, disposition: str, cause: str
) -> None:
    found = ended(data, protocol, reason, "udp_queue_rcv_one_skb+0x1")
    assert found.cause is not None
    assert (found.disposition, found.cause.name) == (disposition, cause)


def test_what_else_the_kernel_says_is_no_arrival() -> None:
    found = ended(DATAGRAM, "udp", "UDP_CSUM", "udp_queue_rcv_one_skb+0x1")
    assert found.disposition not in ("delivered", "lost") and found.cause is not None


def test_data_of_a_connection_that_is_no_more_is_told_so() -> None:
    found = ended(DATA, "tcp", "NO_SOCKET", "tcp_v4_rcv+0x1")
    assert found.cause is not None
    assert found.cause.sentence == "b knows no such connection any more, and said so by a reset"
    assert found.probe.cookie == 0
