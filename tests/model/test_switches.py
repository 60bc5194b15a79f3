"""Switches have one name, however they are spelt."""

from __future__ import annotations

import pytest

from netlab.model.switches import device_of_switch, is_for_new_devices, spelt_switch


@pytest.mark.parametrize(("written", "one_name", "device", "for_new"), [
    ("net.ipv4.ip_forward", "net.ipv4.ip_forward", "", False),
    ("net/ipv4/ip_forward", "net.ipv4.ip_forward", "", False),
    ("net.ipv4.conf.eth0.rp_filter", "net.ipv4.conf.eth0.rp_filter", "eth0", False),
    ("net/ipv4/conf/eth0.7/rp_filter", "net.ipv4.conf.eth0/7.rp_filter", "eth0.7", False),
    ("net.ipv4.conf.eth0/7.rp_filter", "net.ipv4.conf.eth0/7.rp_filter", "eth0.7", False),
    ("net.ipv6.neigh.wan.gc_stale_time", "net.ipv6.neigh.wan.gc_stale_time", "wan", False),
    ("net.ipv4.conf.all.rp_filter", "net.ipv4.conf.all.rp_filter", "", False),
    ("net/ipv6/conf/default/accept_ra", "net.ipv6.conf.default.accept_ra", "", True),
    ("net.core.somaxconn", "net.core.somaxconn", "", False),
])  # fmt: skip
def test_a_switch_is_known_in_each_spelling(
    written: str, one_name: str, device: str, for_new: bool
) -> None:
    assert spelt_switch(written) == one_name
    assert spelt_switch(one_name) == one_name
    assert device_of_switch(one_name) == device
    assert is_for_new_devices(written) == for_new
