"""What the nodes of a lab that is up hold: asked of the kernel, in every node at once."""

from __future__ import annotations

from functools import partial

from netlab.kernel import state
from netlab.kernel.visits import Visits
from netlab.trace.explain.state import NodeState, World
from netlab.trace.terrain import Terrain


def of_lab(terrain: Terrain, visits: Visits, gaps: tuple[str, ...] = ()) -> World:
    """Raises KernelRefused, MachineLacks, OSError."""
    asks = {spot.ns: partial(state.read, spot.rules) for spot in terrain.spots.values()}
    found = visits.each(asks)
    nodes = {
        name: NodeState(name, spot.role, found[spot.ns]) for name, spot in terrain.spots.items()
    }
    return World(terrain, nodes, gaps)
