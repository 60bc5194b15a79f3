"""What the nodes of a lab that is up hold: asked of the kernel, in every node at once."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from netlab.kernel import state
from netlab.kernel.visits import Visits
from netlab.trace.explain.state import NodeState, World
from netlab.trace.terrain import Spot, Terrain


def of_lab(terrain: Terrain, visits: Visits, gaps: tuple[str, ...] = ()) -> World:
    """Raises KernelRefused, MachineLacks, OSError."""
    return World(terrain, _held(terrain.spots.values(), visits), gaps)


def of_node(spot: Spot, visits: Visits) -> NodeState:
    """One alone. Raises as ``of_lab``."""
    return _held([spot], visits)[spot.name]


def _held(spots: Collection[Spot], visits: Visits) -> dict[str, NodeState]:
    asks = {spot.ns: partial(state.read, spot.rules) for spot in spots}
    found = visits.each(asks)
    return {spot.name: NodeState(spot.name, spot.role, found[spot.ns]) for spot in spots}
