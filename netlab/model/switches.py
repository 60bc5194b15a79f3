"""Switches below /proc/sys/net, in one spelling: ``net.ipv4.conf.eth0/100.rp_filter``.

As sysctl(8) reads names, the first separator decides which one it is; the other one then stands for
itself, as in the name of an interface that holds a dot.
"""

from __future__ import annotations

from collections.abc import Iterable


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
