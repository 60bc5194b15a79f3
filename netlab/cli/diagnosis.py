"""`netlab doctor`: what the machine has, against what a lab needs."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator

from netlab.cli.which import state_directory
from netlab.errors import MachineLacks
from netlab.render.base import Feature

ALWAYS = frozenset({"root", "/run", "veth", "sysctls"})

FORBIDDEN = os.strerror(errno.EPERM)


def diagnose(file: str | None) -> tuple[str, list[Feature], int]:
    """The kernel's name, its features, and the exit code: 3 where something needed is missing."""
    from netlab.kernel.probe import probe

    needed = ALWAYS if file is None else ALWAYS | _needs(file)
    features = [
        Feature(f.name, f.what_for, not f.refusal, f.option, f.refusal)
        for f in probe(state_directory())
        if file is None or f.name in needed
    ]
    features += _watchers() if file is None else []
    missing = [f for f in features if f.name in needed and not f.present]
    name = os.uname()
    return (
        f"{name.sysname} {name.release} {name.machine}",
        features,
        (MachineLacks.exit_code if missing else 0),
    )


def lacking(features: Iterable[Feature]) -> list[str]:
    """Those of a lab's needs that are missing: ``no tun here (/dev/net/tun): No such file …``."""
    return [
        f"no {f.name} here" + (f" ({f.option})" if f.option else "") + f": {f.detail}"
        for f in features
        if not f.present
    ]


def _watchers() -> Iterator[Feature]:
    """Who can watch a traced packet here, and how much that is together."""
    from netlab.trace.backends import catalog, obstacles, tier

    found, lacks = obstacles()
    for name, backend in catalog().items():
        told = found[name]
        option = backend.privilege if FORBIDDEN in told else backend.option
        yield Feature(f"trace: {name}", backend.about, not told, option, told)
        for what, why in lacks.get(name, {}).items():
            yield Feature(f"trace: {name}", what, False, "", why)
    able = {name for name, told in found.items() if not told}
    letter, words = tier(able)
    watches = any(backend.sees_ways for name, backend in catalog().items() if name in able)
    yield Feature("trace", f"tier {letter}: {words}", watches, "root")


def _needs(file: str) -> set[str]:
    """By the names of ``netlab.kernel.probe``."""
    from netlab.cli.work import read
    from netlab.kernel.view import nearest
    from netlab.resources.device import Device, Tun
    from netlab.resources.entry import Entry
    from netlab.resources.firewall import Firewall
    from netlab.resources.network import Address, Route, Routing, Rule

    needs: set[str] = set()
    for resource in read(file).compiled.inventory.values():
        match resource:
            case Firewall():
                needs.add("nftables")
            case Device():
                needs.add(resource.kind)
            case Tun():
                needs.add(resource.mode)
            case Rule():
                needs.add(f"rules IPv{resource.family}")
            case Route() if len(resource.hops) > 1:
                needs.add("multipath")
            case Routing() if any(len(hops) > 1 for hops, _ in resource.groups):
                needs.add("multipath")
            case Address() if ":" in resource.cidr:
                needs.add("IPv6")
            case Entry():
                absent = [path for path, _, _ in resource.files if not os.path.exists(path)]
                needs |= {"overlayfs"} if absent else set()
                needs |= {"chroot"} if "/" in map(nearest, absent) else set()
            case _:
                continue
    return needs
