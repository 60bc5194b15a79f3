"""What conntrack is asked for: connections by one of their directions."""

from __future__ import annotations

from netlab.trace.backends.conntrack import tuple_of
from netlab.trace.headers import parse
from tests.trace.frames import icmp, ip, udp


def asked(data: bytes) -> bytes:
    headers = parse(data)
    assert headers is not None
    return tuple_of(headers)


def test_ports_and_echoes_are_asked_for() -> None:
    assert b"\x0f\xa0" in asked(ip(udp(4000, 53), 17))
    assert asked(ip(icmp(8), 1))


def test_an_error_that_chains_cut_short_is_no_question() -> None:
    """20 bytes behind the IP header do not hold the packet that it quotes."""
    assert asked(ip(icmp(3, 3, bytes(4), bytes(12)), 1)) == b""
