"""Addresses that nobody wrote into the topology: leased, announced by a router, set by hand."""

from __future__ import annotations

from dataclasses import replace

from netlab.errors import NetlabError
from netlab.kernel.visits import Visits
from netlab.trace.explain import held
from netlab.trace.terrain import Spot, Terrain

UNUSABLE = frozenset({"tentative", "dadfailed"})


def looked_up(terrain: Terrain, visits: Visits) -> Terrain:
    """With what devices hold that the topology gives no address."""
    spots = {name: _looked_up(spot, visits) for name, spot in terrain.spots.items()}
    return replace(terrain, spots=spots) if spots != terrain.spots else terrain


def is_bare(spot: Spot) -> bool:
    return spot.role != "switch" and any(not d.addresses and not d.bridge for d in spot.devices)


def _looked_up(spot: Spot, visits: Visits) -> Spot:
    if not is_bare(spot):
        return spot
    try:
        own = [a.held for a in held.of_node(spot, visits).addresses]
    except (NetlabError, OSError):
        return spot
    devices = [
        device if device.addresses else replace(device, addresses=tuple(
            f"{a.address}/{a.length}" for a in own
            if a.device == device.name and a.scope == 0 and not UNUSABLE & {*a.flags}
        ))
        for device in spot.devices
    ]  # fmt: skip
    return replace(spot, devices=tuple(devices))
