"""`netlab trace`: from words to a probe, its story, and what was expected of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from netlab.cli.which import lab_name, no_such_lab, renderer, state_directory
from netlab.errors import LabNotFound, MachineLacks, UsageError

if TYPE_CHECKING:
    from netlab.kernel.visits import Visits
    from netlab.render.journey import Detail
    from netlab.trace.backends.base import Backend
    from netlab.trace.explain.foretell import Foreseen
    from netlab.trace.model import Probe, Trace
    from netlab.trace.record import Record
    from netlab.trace.request import Words
    from netlab.trace.terrain import Terrain


MOST_FORETOLD = 100
"""Nodes of which all is read before a probe, to foretell its way."""


@dataclass(frozen=True)
class Options:
    """How it is watched and told."""

    respond: int = 0
    """The port that is answered on in the target; 0 for none."""
    patience: float = 1.0
    backends: str = ""
    expect: str = ""
    pcap: str = ""
    detail: Detail = "usual"
    json: bool = False


def trace(lab_or_file: str, words: Words, options: Options) -> int:
    """The exit code."""
    from netlab.cli.places import located
    from netlab.kernel.visits import visiting
    from netlab.trace import taught
    from netlab.trace.compare import beside
    from netlab.trace.conclude import conclude
    from netlab.trace.journey import Request, observe
    from netlab.trace.model import meets
    from netlab.trace.request import check_expected, probe_of

    if options.expect:
        check_expected(options.expect)
    backends = chosen(options.backends, frames=bool(options.pcap))
    if not any(backend.sees_ways for backend in backends.values()):
        raise UsageError(
            f"--backends {options.backends}: where the packet is, nobody of these sees",
            hint=f"these do: {', '.join(n for n, known in chosen('').items() if known.sees_ways)}",
        )
    terrain, identities, gaps = lab_of(lab_or_file)
    probe = probe_of(words, terrain)
    teaches = options.detail == "teach" and not options.json
    request = Request(probe, options.respond, options.patience, in_depth=teaches)
    with visiting(identities) as visits:
        foretold = _foretold(terrain, probe, visits, options.respond)
        record = observe(terrain, request, visits, backends, say)
    if not any(record.watched(name) for name in backends if backends[name].sees_ways):
        raise MachineLacks(
            "nobody can watch packets here: "
            + "; ".join(f"{name}: {why}" for name, why in record.backends if why),
            hint="`netlab explain` foretells, and sends nothing; `netlab doctor` says who can",
        )
    record = replace(record, gaps=(*gaps, *record.gaps))
    found = located(conclude(record), terrain.digest)
    if foretold is not None:
        found = replace(found, foretold=beside(found, *foretold))
    if options.pcap:
        _write(options.pcap, record, found)
    measured = taught.of(record, found) if teaches else None
    renderer(options.json).traced(found, options.detail, record.sightings, measured)
    if options.expect and not meets(found, options.expect):
        print(f"expected {options.expect}, it was {found.disposition}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _foretold(
    terrain: Terrain, probe: Probe, visits: Visits, respond: int
) -> Foreseen | None:
    """From what the nodes hold before anything is sent, and who is going to answer; None in a lab
    of too many nodes.
    """
    from netlab.kernel.listeners import Listener
    from netlab.trace.explain import held
    from netlab.trace.explain.foretell import foreseen

    if len(terrain.spots) > MOST_FORETOLD:
        return None
    world = held.of_lab(terrain, visits)
    if respond and probe.target in world.nodes and probe.protocol != "icmp":
        address = "0.0.0.0" if probe.version == 4 else "::"
        world = world.with_listener(probe.target, Listener(probe.protocol, address, respond))
    return foreseen(world, probe)


def _write(path: str, record: Record, found: Trace) -> None:
    from netlab.render.journey import comments
    from netlab.trace.recorded import file_of

    if not record.watched("taps"):
        why = dict(record.backends).get("taps", "it was not chosen")
        raise UsageError(f"--pcap needs the backend taps, which sees frames: {why}")
    data = file_of(record, comments(found))
    try:
        with open(path, "wb") as file:
            file.write(data)
    except OSError as problem:
        raise UsageError(f"--pcap {path}: {problem.strerror}") from problem


def chosen(names: str, *, frames: bool = False) -> Mapping[str, Backend]:
    """All, or those that were named, with commas between; ``frames``: whole ones are wanted.

    Who is asked for watches, also where another one would tell the same.
    """
    from netlab.trace.backends import catalog

    known = catalog()
    if not names and frames:
        return known | {"taps": replace(known["taps"], instead_of="")}
    if not names:
        return known
    wanted = [name.strip() for name in names.split(",")]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise UsageError(
            f"--backends {unknown[0]}: nobody of that name watches",
            hint=f"there are: {', '.join(known)}",
        )
    return {n: replace(known[n], instead_of="") for n in known if n in wanted}


def lab_of(lab_or_file: str) -> tuple[Terrain, Mapping[str, int], tuple[str, ...]]:
    """A lab that is up, the identities of its namespaces, and what is missing of it."""
    from netlab.kernel.machine import LinuxMachine
    from netlab.lab import lifecycle
    from netlab.lab.portrait import portrait
    from netlab.trace.terrain import of_lab, without

    lab = lab_name(lab_or_file)
    here = lifecycle.Ground(LinuxMachine(state_directory()), state_directory())
    here.machine.admit()
    found = lifecycle.read(here, lab)
    if found is None:
        no_such_lab(lab)
    lost = lifecycle.lost_namespaces(here, found)
    terrain = of_lab(
        portrait(found.header, found.summary, found.inventory, found.inodes), found.inventory
    )
    gone = [name for name, spot in terrain.spots.items() if spot.ns in lost]
    gaps = [f"{name} is gone: somebody deleted its namespace" for name in gone]
    if found.summary is None:
        gaps.append(f"{lab} is half-built: `netlab up {found.header.file}` finishes it")
    terrain = replace(without(terrain, gone), digest=found.header.digest)
    if not terrain.spots:
        raise LabNotFound(f"of lab {lab} nothing is there any more", hint="`netlab gc` sweeps it")
    identities = {s.ns: found.inodes[s.ns] for s in terrain.spots.values() if s.ns in found.inodes}
    return terrain, identities, tuple(gaps)


def say(words: str) -> None:
    print(words, file=sys.stderr)  # noqa: T201
