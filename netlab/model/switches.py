"""Switches below /proc/sys/net, in one spelling: ``net.ipv4.conf.eth0/100.rp_filter``.

As sysctl(8) reads names, the first separator decides which one it is; the other one then stands for
itself, as in the name of an interface that holds a dot.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache


@lru_cache(1024)  # most nodes have the same ones
def switch_parts(name: str) -> tuple[str, ...]:
    slash, dot = name.find("/"), name.find(".")
    if slash >= 0 and not 0 <= dot < slash:
        return tuple(name.split("/"))
    return tuple(part.replace("/", ".") for part in name.split("."))


def switch_of(parts: Iterable[str]) -> str:
    return ".".join(part.replace(".", "/") for part in parts)


def spelt_switch(name: str) -> str:
    return switch_of(switch_parts(name))


def device_of_switch(name: str) -> str:
    """The interface that a switch belongs to; "" for one of the namespace."""
    parts = switch_parts(name)
    is_of_device = len(parts) > 4 and parts[2] in ("conf", "neigh")
    return parts[3] if is_of_device and parts[3] not in ("all", "default") else ""


def is_for_new_devices(name: str) -> bool:
    """Whether it says what devices made later start from."""
    return switch_parts(name)[2:4] == ("conf", "default")


FOR_ALL = {
    ("ipv4", "forwarding"): ("net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding"),
    ("ipv6", "forwarding"): ("net.ipv6.conf.all.forwarding",),
    ("ipv6", "disable_ipv6"): ("net.ipv6.conf.all.disable_ipv6",),
}
"""What the kernel writes over that switch of all devices and of `default` (ip-sysctl.rst)."""


def for_all(name: str) -> tuple[str, ...]:
    """The switches that, when they are set, set this one of a device or of `default` as well."""
    parts = switch_parts(name)
    is_one = len(parts) == 5 and parts[2] == "conf" and parts[3] != "all"
    return FOR_ALL.get((parts[1], parts[4]), ()) if is_one else ()


def for_new(name: str) -> str:
    """The switch that this one of a device starts from; lo is there before it can be said."""
    parts = switch_parts(name)
    starts = len(parts) == 5 and parts[2] == "conf" and parts[3] != "lo"
    return switch_of((*parts[:3], "default", parts[4])) if starts else ""


OF_THE_MACHINE = frozenset(
    f"net.{room}.{name}"
    for room, names in {
        "core": "bpf_jit_enable bpf_jit_harden bpf_jit_kallsyms bpf_jit_limit busy_poll busy_read"
        " default_qdisc dev_weight message_burst message_cost netdev_budget netdev_budget_usecs"
        " netdev_max_backlog rmem_default rmem_max rps_sock_flow_entries wmem_default wmem_max",
        "ipv4": "fib_sync_mem inet_peer_maxttl inet_peer_minttl inet_peer_threshold tcp_max_orphans"
        " tcp_mem udp_mem",
        "ipv4.route": "gc_elasticity gc_interval gc_min_interval gc_thresh gc_timeout max_size",
        "netfilter": "nf_conntrack_buckets nf_conntrack_max nf_log_all_netns",
    }.items()
    for name in names.split()
)
"""Switches that a namespace lacks or can only read (Linux 6.18); of others the kernel tells."""
