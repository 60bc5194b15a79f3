"""The processes of a topology: in which order they start, and what each one sees."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from hashlib import blake2s
from typing import TypeAlias

from netlab.model.guess import meant
from netlab.model.processes import Process
from netlab.model.site import Path
from netlab.model.topology import Node, Topology
from netlab.resources import process as resources
from netlab.resources.base import Placed

Name: TypeAlias = tuple[str, str]
"""node, process"""


def processes(topology: Topology, directory: str) -> Iterator[Placed]:
    """With the supervisor, where there are any; ``directory`` is the topology's own."""
    ranks = _ranks(topology)
    if ranks:
        yield ("nodes",), resources.Supervisor(topology.name)
    for (node, name), rank in ranks.items():
        settings = topology.nodes[node]
        wanted = settings.processes[name]
        yield (
            ("nodes", node, "processes", name),
            resources.Process(
                f"{topology.name}.{node}",
                name,
                wanted.argv,
                tuple(wanted.env.items()),
                os.path.normpath(os.path.join(directory or "/", wanted.cwd)),
                wanted.user,
                _seen(settings),
                *_ready(wanted),
                wanted.stop,
                wanted.grace,
                wanted.restart,
                wanted.log_size,
                rank,
            ),
        )


def wrong_order(topology: Topology) -> Iterator[tuple[Path, str, str]]:
    """Where an ``after`` names nothing or leads back to itself: what is wrong, what is meant."""
    known = _after(topology)
    for (node, name), before in known.items():
        for place, other in enumerate(before):
            path = ("nodes", node, "processes", name, "after", place)
            if other not in known:
                yield path, *_unknown(other, topology)
            elif circle := _way_back(other, (node, name), known):
                way = " after ".join(map("/".join, [(node, name), *circle]))
                yield path, f"a circle: {way}", ""


def _unknown(missing: Name, topology: Topology) -> tuple[str, str]:
    node, name = missing
    if node not in topology.nodes:
        return f"unknown node {node!r}", meant(node, topology.nodes)
    return f"{node} has no process {name!r}", meant(name, topology.nodes[node].processes)


def _seen(node: Node) -> str:
    """Apart for other files, environment, resolver: a process sees what there was at its start."""
    seen = node.model_dump(include={"hosts", "resolv_conf", "env", "files"}, mode="json")
    return blake2s(json.dumps(seen, sort_keys=True).encode(), digest_size=8).hexdigest()


def _ready(wanted: Process) -> tuple[tuple[str, str] | tuple[()], float]:
    return (wanted.ready.way, wanted.ready.within) if wanted.ready else ((), 0.0)


def _after(topology: Topology) -> dict[Name, list[Name]]:
    return {
        (node, name): [_named(text, node) for text in wanted.after]
        for node, settings in topology.nodes.items()
        for name, wanted in settings.processes.items()
    }


def _named(text: str, node: str) -> Name:
    """``db`` is of the same node, ``node/db`` of another."""
    other, slash, name = text.partition("/")
    return (other, name) if slash else (node, text)


def _ranks(topology: Topology) -> dict[Name, int]:
    """How many must be ready one after the other before each; what is in a circle counts as 0."""
    after = _after(topology)
    ranks: dict[Name, int] = {}
    waiting = dict(after)
    while waiting:
        free = [n for n, before in waiting.items() if not any(b in waiting for b in before)]
        for name in free or list(waiting):
            ranks[name] = 1 + max((ranks.get(b, -1) for b in after[name]), default=-1)
        waiting = {n: before for n, before in waiting.items() if n not in ranks}
    return ranks


def _way_back(start: Name, end: Name, after: Mapping[Name, list[Name]]) -> list[Name]:
    """From one to the other along ``after``; empty where there is none."""
    ways = [[start]]
    seen = {start}
    for way in ways:
        if way[-1] == end:
            return way
        for other in after.get(way[-1], ()):
            if other not in seen:
                seen.add(other)
                ways.append([*way, other])
    return []
