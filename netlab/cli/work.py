"""From words on the command line to the rooms: which file, which machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from netlab.cli.which import state_directory
from netlab.errors import CommandFailed, KernelRefused, Problem, TopologyError, UsageError

if TYPE_CHECKING:
    from netlab.devices import DeviceKind
    from netlab.lab.lifecycle import Ground, Wanted
    from netlab.links import LinkKind
    from netlab.model.load import Loaded
    from netlab.nodes import NodeKind
    from netlab.plan.check import Finding
    from netlab.plan.compile import Compiled


MANY_NODES = 50
"""Below that nothing is won by beginning early."""

MOST_RULES = 16 << 20
"""Characters in a file of rules; one more shows that there are too many."""

STDIN = "/dev/stdin"
"""The file that is meant by `-`."""


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


def read(
    file: str, told: Callable[[object], object] = lambda data: None, *, name: str = ""
) -> Read:
    """Raises TopologyError with everything that is wrong, UsageError where there is no file.

    ``told``: see ``netlab.model.load.load``. ``name`` is the lab's instead of what the file says.
    """
    from hashlib import blake2b

    from netlab.lab.lifecycle import Wanted
    from netlab.model.load import load, spelt
    from netlab.plan.around import Around
    from netlab.plan.check import check
    from netlab.plan.compile import compile_topology

    file = STDIN if file == "-" else file
    text = _text(file)
    kinds = catalogs()
    loaded = load(
        text,
        file,
        nodes={name: kind.settings for name, kind in kinds.nodes.items()},
        devices={name: kind.settings for name, kind in kinds.devices.items()},
        links={name: kind.settings for name, kind in kinds.links.items()},
        told=told,
    )
    problems = list(loaded.problems)
    topology = loaded.topology
    if topology is None:
        raise TopologyError(file, tuple(problems))
    if name:
        topology = topology.model_copy(update={"name": name})
    directory = os.path.dirname(os.path.abspath(file))
    around = Around(
        file, directory, loaded.text_place, loaded.place, _rule_text, _unshowable
    )
    compiled = compile_topology(topology, kinds, around)
    problems += (
        Problem(m.line, m.column, spelt(m.path), m.message, m.hint, m.file)
        for m in compiled.misruled
    )
    for finding in check(topology, compiled, kinds.devices, around):
        if not _is_doubtful(finding, loaded):
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


def _rule_text(path: str) -> str:
    """Raises OSError, ValueError."""
    with open(path, encoding="utf-8") as file:
        return file.read(MOST_RULES + 1)


def _unshowable(path: str) -> str:
    from netlab.kernel.view import unshowable

    return unshowable(path)


def _is_doubtful(finding: Finding, loaded: Loaded) -> bool:
    """A node that could not be read says nothing about itself, so nothing more is said of it."""
    path = finding.path
    is_of_it = len(path) > 1 and path[0] == "nodes" and path[1] in loaded.doubtful
    return is_of_it or finding.about in loaded.doubtful


def _text(file: str) -> bytes:
    """No more than shows that it is too much: /dev/zero never ends."""
    from netlab.model.source import MOST_BYTES

    try:
        with open(file, "rb") as source:
            return source.read(4 * MOST_BYTES)
    except OSError as problem:
        raise UsageError(f"{file}: {problem.strerror}") from None


def ahead(ground: Ground, file: str) -> Callable[[object], None]:
    """For ``read``: where a new lab of many nodes is meant, their namespaces are begun with."""
    import re

    from netlab.lab.state import read_journal
    from netlab.model.words import LAB_NAME

    def told(data: object) -> None:
        whole = data if isinstance(data, dict) else {}
        nodes = whole.get("nodes")
        name = whole.get("name") or os.path.splitext(os.path.basename(file))[0]
        count = len(nodes) if isinstance(nodes, dict) else 0
        if count < MANY_NODES or not re.fullmatch(LAB_NAME, str(name)):
            return
        if read_journal(ground.state, name) is None:
            ground.machine.foresee(count)

    return told


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
    thing = f"{node}: {subject.title}" if node else subject.title
    failure.args = (f"{where}{thing}: {failure}",)
    return failure


def ground(
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], object] = lambda done, of: None,
) -> Ground:
    from netlab.kernel.machine import LinuxMachine
    from netlab.lab.lifecycle import Ground

    state = state_directory()
    return Ground(LinuxMachine(state), state, stop, progress)
