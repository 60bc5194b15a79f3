"""From words on the command line to the rooms: which lab, which file, which machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from netlab.errors import CommandFailed, KernelRefused, LabNotFound, TopologyError, UsageError

if TYPE_CHECKING:
    from netlab.devices import DeviceKind
    from netlab.lab.lifecycle import Ground, Wanted
    from netlab.links import LinkKind
    from netlab.model.load import Loaded
    from netlab.nodes import NodeKind
    from netlab.plan.compile import Compiled

STATE = "NETLAB_STATE"
"""The variable that moves the state directory, for tests and for machines without /run."""


def state_directory() -> str:
    from netlab.kernel.enter import STATE as usual

    return os.environ.get(STATE) or usual


@dataclass(frozen=True)
class Catalogs:
    """The kinds there are, by name."""

    nodes: Mapping[str, NodeKind]
    devices: Mapping[str, DeviceKind]
    links: Mapping[str, LinkKind]


@cache
def catalogs() -> Catalogs:
    from netlab import devices, links, nodes

    return Catalogs(nodes.catalog(), devices.catalog(), links.catalog())


@dataclass(frozen=True)
class Read:
    """A topology file, read and compiled without a fault."""

    loaded: Loaded
    compiled: Compiled
    wanted: Wanted


def read(file: str) -> Read:
    """Raises TopologyError with everything that is wrong, UsageError where there is no file."""
    from hashlib import blake2b

    from netlab.lab.lifecycle import Wanted
    from netlab.model.load import load
    from netlab.plan.check import check
    from netlab.plan.compile import compile_topology

    text = _text(file)
    kinds = catalogs()
    loaded = load(
        text,
        file,
        nodes={name: kind.settings for name, kind in kinds.nodes.items()},
        devices={name: kind.settings for name, kind in kinds.devices.items()},
        links={name: kind.settings for name, kind in kinds.links.items()},
    )
    problems = list(loaded.problems)
    topology = loaded.topology
    if topology is None:
        raise TopologyError(file, tuple(problems))
    compiled = compile_topology(topology, kinds)
    for finding in check(topology, compiled, kinds.devices):
        if not _is_doubtful(finding.path, loaded):
            problems.append(loaded.problem(finding.path, finding.message, finding.hint))
    if problems:
        raise TopologyError(file, tuple(problems))
    wanted = Wanted(
        topology.name,
        os.path.abspath(file),
        blake2b(text, digest_size=16).hexdigest(),
        compiled.inventory,
        {name: node.kind for name, node in topology.nodes.items()},
        len(topology.links),
        topology.description,
    )
    return Read(loaded, compiled, wanted)


def _is_doubtful(path: tuple[str | int, ...], loaded: Loaded) -> bool:
    """A node that could not be read says nothing about itself, so nothing more is said of it."""
    return len(path) > 1 and path[0] == "nodes" and path[1] in loaded.doubtful


def _text(file: str) -> bytes:
    try:
        with open(file, "rb") as source:
            return source.read()
    except OSError as problem:
        raise UsageError(f"{file}: {problem.strerror}") from None


def located(failure: Exception, read: Read) -> Exception:
    """A refusal with the node, the thing and the place in the file that asked for it."""
    from netlab.plan.diff import Step

    if not isinstance(failure, KernelRefused | CommandFailed) or not isinstance(
        failure.token, Step
    ):
        return failure
    subject = failure.token.subject
    path = read.compiled.origins.get(subject.key)
    line, column = read.loaded.place(path) if path else (0, 0)
    where = f"{read.loaded.file}:{line}:{column}  " if line else ""
    node = subject.ns.partition(".")[2]
    thing = f"{node}: {subject.words}" if node else subject.words
    failure.args = (f"{where}{thing}: {failure}",)
    return failure


def lab_name(lab_or_file: str) -> str:
    """A lab goes by its name, or by its file: the one it is up from, else what the file says."""
    if "/" not in lab_or_file and not lab_or_file.endswith((".yaml", ".yml")):
        return lab_or_file
    from netlab.lab import journal, state

    path = os.path.realpath(lab_or_file)
    for lab in state.labs(state_directory()):
        raw = state.read_journal(state_directory(), lab)
        found = journal.summary_of(raw) if raw else None
        if found and os.path.realpath(found[0].file) == path:
            return lab
    if not os.path.exists(lab_or_file):
        raise LabNotFound(f"no lab is up from {lab_or_file}", hint="`netlab ls` tells which are")
    return read(lab_or_file).wanted.lab


def ground(
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], object] = lambda done, of: None,
) -> Ground:
    from netlab.kernel.machine import LinuxMachine
    from netlab.lab.lifecycle import Ground

    state = state_directory()
    return Ground(LinuxMachine(state), state, stop, progress)


def inode_of(lab: str, node: str) -> int:
    """By which a node's namespace is known to be the lab's; the journal is searched, not read.

    Raises LabNotFound with what would be right.
    """
    from netlab.lab import state

    raw = state.read_journal(state_directory(), lab)
    if raw is None:
        raise LabNotFound(f"no lab {lab} is up{_meant(lab, state.labs(state_directory()))}")
    mark = f'"{lab}.{node}":'.encode()
    at = raw.rfind(mark)
    if at < 0:
        raise LabNotFound(f"lab {lab} has no node {node}{_meant(node, nodes_of(lab))}")
    start = at + len(mark)
    return int(raw[start : start + 20].lstrip().split(b",")[0].split(b"}")[0])


def nodes_of(lab: str) -> list[str]:
    """Of a lab that is up or half-built, in the file's order."""
    from netlab.lab import journal, state

    raw = state.read_journal(state_directory(), lab)
    found = journal.summary_of(raw) if raw else None
    if found is None or raw is None:
        raise LabNotFound(f"no lab {lab} is up{_meant(lab, state.labs(state_directory()))}")
    if found[1] is not None:
        return list(found[1].nodes)
    whole = journal.read(raw)
    held = whole.inventory.values() if whole else ()
    return [r.ns.partition(".")[2] for r in held if r.key[0] == "namespace"]


def _meant(word: str, known: list[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(word, known, 1)
    if close:
        return f"; did you mean {close[0]}?"
    return f" ({', '.join(known[:8])})" if known else ""
