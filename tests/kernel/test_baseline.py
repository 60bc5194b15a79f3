"""Names of switches as sysctl(8) reads them, and what a fresh namespace's device starts from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.kernel import baseline
from netlab.kernel.baseline import BASELINE, any_device, path_of
from tests.kernel.messages import several

PATHS = {
    "net.ipv4.ip_forward": "/proc/sys/net/ipv4/ip_forward",
    "net/ipv4/ip_forward": "/proc/sys/net/ipv4/ip_forward",
    "net.ipv4.conf.eth0.rp_filter": "/proc/sys/net/ipv4/conf/eth0/rp_filter",
    "net.ipv4.conf.eth0/100.rp_filter": "/proc/sys/net/ipv4/conf/eth0.100/rp_filter",
    "net/ipv4/conf/eth0.100/rp_filter": "/proc/sys/net/ipv4/conf/eth0.100/rp_filter",
    "net.core.somaxconn": "/proc/sys/net/core/somaxconn",
}
ELSEWHERE = [
    "", "net", "net.ipv4", "kernel.hostname", "vm/swappiness", "net/../kernel/hostname",
    "net.ipv4.//.kernel", "net/ipv4/./ip_forward", "net..ipv4", "/net/ipv4/ip_forward",
    "net/ipv4/", ".net.ipv4.ip_forward", "../net/ipv4/ip_forward", "net.ipv4.conf.//",
]  # fmt: skip


@pytest.mark.parametrize("name", PATHS)
def test_the_first_separator_decides_which_it_is(name: str) -> None:
    assert path_of(name) == PATHS[name]


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="those begin with net"):
        path_of(name)


@several
@given(st.text("netipv46./", max_size=20) | st.text(max_size=10).map("net.{}".format))
def test_no_name_leads_out_of_the_networks_switches(name: str) -> None:
    try:
        parts = path_of(name).split("/")
    except ValueError:
        return
    assert parts[:4] == ["", "proc", "sys", "net"]
    assert not {"", ".", ".."} & set(parts[4:])


@pytest.mark.parametrize(("name", "model"), [
    ("net.ipv4.conf.eth0.rp_filter", "net/ipv4/conf/default/rp_filter"),
    ("net/ipv6/conf/eth0.1/disable_ipv6", "net/ipv6/conf/default/disable_ipv6"),
    ("net.ipv4.conf.all.rp_filter", "net/ipv4/conf/all/rp_filter"),
    ("net.ipv4.neigh.eth0.proxy_delay", "net/ipv4/neigh/lo/proxy_delay"),
    ("net.ipv6.neigh.eth0.gc_stale_time", "net/ipv6/neigh/lo/gc_stale_time"),
    ("net.ipv4.neigh.default.gc_stale_time", "net/ipv4/neigh/lo/gc_stale_time"),
    ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
    ("net.ipv4.tcp_rmem", "net/ipv4/tcp_rmem"),
])  # fmt: skip
def test_a_devices_switch_starts_from_that_of_any_device(name: str, model: str) -> None:
    assert any_device(name) == model
    assert any_device(model) == model


def test_the_baseline_names_switches_once_as_sysctl_does() -> None:
    paths = [path_of(name) for name in BASELINE]
    assert len(set(paths)) == len(paths)
    assert all("/" not in name for name in BASELINE)


def test_a_switch_is_read_without_its_line_end() -> None:
    assert baseline.read("net.ipv4.ip_forward") in ("0", "1")
