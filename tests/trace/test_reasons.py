"""What the kernel's reasons are called."""

from __future__ import annotations

from netlab.trace.reasons import of


def test_where_the_kernel_gives_no_reason_its_function_tells() -> None:
    """IPv6 says nothing where IPv4 says NEIGH_FAILED."""
    silent = of("NOT_SPECIFIED", "neigh_invalidate+0x7e/0x140")
    assert silent == of("NEIGH_FAILED", "arp_error_report+0x1/0x2")
    assert of("NOT_SPECIFIED", "ip_error.part.0+0x1/0x2").words.startswith("a blackhole")
    assert of("NOT_SPECIFIED", "elsewhere+0x1/0x2").words == "the kernel does not say why"
    assert of("A_NEW_ONE").words == "a new one"
