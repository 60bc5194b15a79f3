"""`netlab bundle`: a lab written down in a directory, and what writes one where a test fails."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from netlab.bundle.index import Why
from netlab.bundle.recent import SNAPLEN, Recent
from netlab.bundle.write import Held, Packets, Scene, write
from netlab.cli.main import installed_version
from netlab.cli.trace import lab_of
from netlab.cli.which import state_directory
from netlab.errors import MachineLacks, UsageError
from netlab.kernel import conntrack, sockets
from netlab.kernel.supervisor import logs as kept
from netlab.kernel.supervisor import record
from netlab.kernel.traffic import traffic
from netlab.kernel.visits import Visits, visiting

if TYPE_CHECKING:
    from netlab.trace.terrain import Terrain

T = TypeVar("T")

MOST_LINES = 5000
"""The last ones of each process's log."""


def run(lab_or_file: str, directory: str, listen: float) -> None:
    """``listen``: seconds that packets are heard for. Raises UsageError."""
    check(directory)
    if not listen:
        made = bundle(lab_or_file, directory, Why())
    else:
        with listening(lab_or_file, listen) as recent:
            time.sleep(listen)
            made = bundle(lab_or_file, directory, Why(), recent)
    print(made)  # noqa: T201


def check(directory: str) -> None:
    """That a bundle can be written there. Raises UsageError."""
    with suppress(FileNotFoundError):
        try:
            if os.listdir(directory):
                raise UsageError(f"{directory} is not empty", hint="name a directory of its own")
        except NotADirectoryError:
            raise UsageError(f"{directory} is a file", hint="name a directory") from None


@contextmanager
def listening(lab_or_file: str, seconds: float) -> Iterator[Recent]:
    """The lab's packets are kept within the block, the last seconds of them."""
    with closing(heard(lab_or_file, seconds)) as recent:
        yield recent


def heard(lab_or_file: str, seconds: float) -> Recent:
    """From now on, until it is closed."""
    from netlab.cli.selection import Chosen

    terrain, identities, _ = lab_of(lab_or_file)
    return Recent(terrain.lab, identities, Chosen("", None, SNAPLEN).program, seconds)


def bundle(lab_or_file: str, directory: str, why: Why, recent: Recent | None = None) -> str:
    """The path of its index. ``recent`` ends with that. Raises NetlabError."""
    terrain, identities, gaps = lab_of(lab_or_file)
    packets = _packets(terrain, recent) if recent is not None else None
    with visiting(identities) as visits:
        scene = _scene(terrain, visits, why, gaps, packets)
    try:
        return write(directory, scene)
    except OSError as problem:
        raise UsageError(f"{directory}: {problem.strerror}") from problem


def _packets(terrain: Terrain, recent: Recent) -> Packets:
    from netlab.cli.capture import head_of
    from netlab.cli.listening import Names
    from netlab.cli.selection import Chosen

    frames = recent.stop()
    names = Names(terrain, recent.sources)
    head = head_of(terrain, names, Chosen("", None, SNAPLEN))
    return Packets(head, recent.sources, frames, names, recent.failure)


def _scene(
    terrain: Terrain,
    visits: Visits,
    why: Why,
    gaps: tuple[str, ...],
    packets: Packets | None,
) -> Scene:
    from netlab.cli.which import no_such_lab
    from netlab.cli.work import ground
    from netlab.lab import lifecycle
    from netlab.lab.addresses import owners
    from netlab.lab.portrait import portrait
    from netlab.trace.explain import held

    here, lab, more = ground(), terrain.lab, list(gaps)
    found = lifecycle.read(here, lab)
    if found is None:
        no_such_lab(lab)
    lost = lifecycle.lost_namespaces(here, found)
    running = here.machine.processes(lab)
    drawn = portrait(found.header, found.summary, found.inventory, found.inodes, lost, running)
    nodes = held.of_lab(terrain, visits).nodes
    carried = _each(terrain, visits, traffic, more)
    counted = _each(terrain, visits, _counted, more)
    tracked = _each(terrain, visits, conntrack.tracked, more)
    opened = _each(terrain, visits, sockets.held, more)
    text = ""
    with suppress(OSError), open(terrain.file, encoding="utf-8", errors="replace") as file:
        text = file.read()
    return Scene(
        drawn,
        why,
        _facts(terrain),
        {
            name: Held(
                state.holding, carried.get(name, {}), counted.get(name, {}), tracked.get(name),
                opened.get(name), _logs(lab, name),
            )
            for name, state in nodes.items()
        },
        owners(found.inventory),
        [f"{found.inventory[key].title}: {told}" for key, told in
         lifecycle.missing(here, found).items()],
        more,
        text,
        packets,
    )  # fmt: skip


def _facts(terrain: Terrain) -> Mapping[str, str]:
    system = os.uname()
    return {
        "written": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "topology": terrain.file,
        "machine": f"{system.sysname} {system.release} {system.machine}",
        "netlab": installed_version(),
    }


def _each(
    terrain: Terrain, visits: Visits, act: Callable[[], T], gaps: list[str]
) -> Mapping[str, T]:
    """By node; none where the kernel does not tell, which is then said."""
    try:
        found = visits.each({spot.ns: act for spot in terrain.spots.values()})
    except (MachineLacks, OSError) as problem:
        gaps.append(str(problem))
        return {}
    return {spot.name: found[spot.ns] for spot in terrain.spots.values()}


def _counted() -> Mapping[str, int]:
    """Without what is the whole machine's."""
    from netlab.trace.backends.counters import counts

    return {name: value for name, value in counts().items() if not name.startswith("Softnet.")}


def _logs(lab: str, node: str) -> dict[str, str]:
    directory = record.directory(f"{state_directory()}/{lab}", node)
    found: dict[str, str] = {}
    with suppress(FileNotFoundError):
        for name in sorted(os.listdir(directory)):
            process, dot, ending = name.rpartition(".")
            if dot and ending == "log":
                lines: deque[str] = deque(maxlen=MOST_LINES)
                kept.tell({f"{directory}/{name}": lines.append}, 0.0, follow=False)
                found[process] = "".join(f"{line}\n" for line in lines)
    return found
