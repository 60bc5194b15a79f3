"""What is taken for the end of a lab's own packet where events may have been lost."""

from __future__ import annotations

import pytest

from netlab.trace.live import _has_ended
from netlab.trace.sighting import Sighting


@pytest.mark.parametrize(
    ("sighting", "is_end"),
    [
        (Sighting("a", "bpf", "freed", function="tcp_v4_rcv+0x91/0x13f0"), True),
        (Sighting("a", "nft-trace", "rule", verdict="drop"), True),
        (Sighting("a", "bpf", "freed", function="ping_rcv+0xab/0xd0"), False),
        (Sighting("a", "bpf", "rx"), False),
    ],
)
def test_that_no_ping_socket_waits_is_no_end(sighting: Sighting, is_end: bool) -> None:
    """The ping that sent the request may have a raw socket, and its copy."""
    assert _has_ended([sighting]) is is_end
