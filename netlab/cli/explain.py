"""`netlab explain`: what a probe would meet, foretold; nothing is sent."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from netlab.cli.trace import lab_of
from netlab.cli.which import lab_name, nodes_of, renderer
from netlab.errors import LabNotFound, UsageError

if TYPE_CHECKING:
    from netlab.render.journey import Detail
    from netlab.trace.explain.state import World
    from netlab.trace.request import Words
    from netlab.trace.terrain import Terrain


class Options(NamedTuple):
    """Whose word is taken, and how it is told."""

    planned: bool
    """The file's, even where the lab is up."""
    expect: str
    detail: Detail
    json: bool


def explain(lab_or_file: str, words: Words, options: Options) -> int:
    """The exit code."""
    from netlab.trace.explain.foretell import foretell
    from netlab.trace.model import meets
    from netlab.trace.request import check_expected, probe_of

    if options.expect:
        check_expected(options.expect)
    if options.planned or not is_up(lab_or_file):
        world = of_file(lab_or_file)
        probe = probe_of(words, world.terrain)
    else:
        terrain, identities, gaps = lab_of(lab_or_file)
        probe = probe_of(words, terrain)
        world = of_lab(terrain, identities, gaps)
    found = foretell(world, probe)
    renderer(options.json).traced(found, options.detail, ())
    if options.expect and not meets(found, options.expect):
        print(f"expected {options.expect}, it is {found.disposition}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def stack(lab_or_file: str, node: str, planned: bool, json: bool) -> None:
    """`--map`: what one node has, as packets pass it."""
    from netlab.trace.explain.stack import stack_of
    from netlab.trace.request import spot_of

    planned = planned or not is_up(lab_or_file)
    if planned:
        world = of_file(lab_or_file)
        spot = spot_of(node, world.terrain)
        state, terrain, gaps = world.nodes[spot.name], world.terrain, world.gaps
    else:
        from netlab.kernel.visits import visiting
        from netlab.trace.explain import held

        terrain, identities, gaps = lab_of(lab_or_file)
        spot = spot_of(node, terrain)
        with visiting({spot.ns: identities[spot.ns]}) as visits:
            state = held.of_node(spot, visits)
    found = stack_of(state, terrain, planned=planned)
    renderer(json).stack(replace(found, gaps=(*gaps, *found.gaps)))


def is_up(lab_or_file: str) -> bool:
    """Of a file: whether a lab is up from it."""
    if lab_or_file.endswith((".yaml", ".yml")) or "/" in lab_or_file:
        try:
            nodes_of(lab_name(lab_or_file))
        except LabNotFound:
            return False
    return True


def of_lab(terrain: Terrain, identities: Mapping[str, int], gaps: tuple[str, ...]) -> World:
    """What the kernel holds for a lab that is up."""
    from netlab.kernel.visits import visiting
    from netlab.trace.explain import held

    with visiting(identities) as visits:
        return held.of_lab(terrain, visits, gaps)


def of_file(file: str) -> World:
    """What a topology file would make. Raises TopologyError, UsageError."""
    from netlab.cli.work import read
    from netlab.lab.glance import Header, Summary
    from netlab.lab.portrait import portrait
    from netlab.resources.base import Key
    from netlab.trace import terrain
    from netlab.trace.explain import planned

    if not file.endswith((".yaml", ".yml")) and "/" not in file:
        raise UsageError("--planned goes with a topology file", hint=f"{file} is a lab's name")
    found = read(file)
    wanted = found.wanted
    header = Header(wanted.lab, "", wanted.file, wanted.digest)
    summary = Summary(nodes=wanted.nodes, links=wanted.links)
    picture = portrait(header, summary, wanted.inventory, {})

    def place(key: Key) -> str:
        path = found.compiled.origins.get(key)
        line = found.loaded.place(path)[0] if path else 0
        return f"{found.loaded.file}:{line}" if line else ""

    return planned.of_plan(
        wanted.inventory, terrain.of_lab(picture, wanted.inventory), place
    )
