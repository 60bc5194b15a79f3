"""Up, changed, down, swept: each reads the journal, finds the road, and walks it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from netlab.errors import (
    UNWRITABLE,
    KernelRefused,
    LabBusy,
    LabNotFound,
    StateRefused,
    UsageError,
    unwritable,
)
from netlab.kernel import files
from netlab.lab import journal as journals
from netlab.lab import state as states
from netlab.lab.apply import Progress, apply, clear, clearing
from netlab.lab.glance import Header, Summary
from netlab.lab.journal import Journal, Writer
from netlab.plan.diff import Plan, diff
from netlab.resources import Inventory, Key
from netlab.resources.base import Stage, namespace_key
from netlab.resources.process import Supervisor

if TYPE_CHECKING:
    from netlab.kernel.port import Kernel, Machine
    from netlab.kernel.values import Held, Noted

ANOTHER_BOOT = states.ANOTHER_BOOT
BEFORE = "before"
"""The file beside the journal that tells what the machine was like; see ``clean``."""
LOOKED_FOR = frozenset({Stage.DEVICE, Stage.LINK, Stage.ADDRESS, Stage.ROUTE, Stage.FIREWALL})
NOTHING_MADE = "its start was cut short before anything was made"


class Wanted(NamedTuple):
    """A lab as its file wants it."""

    lab: str
    file: str
    """Absolute path."""
    digest: str
    """Of the file's text."""
    inventory: Inventory
    nodes: Mapping[str, str]
    """Node → kind."""
    links: int
    description: str = ""


class Road(NamedTuple):
    """Where a lab stands and the way to where it should stand."""

    current: Inventory
    plan: Plan
    is_new: bool
    """Whether nothing is there yet."""
    lost: tuple[str, ...] = ()
    """Namespaces that somebody else took away."""
    was_cut_short: bool = False
    """Whether an earlier change never ended."""


class Done(NamedTuple):
    """What a command has done, for people."""

    lab: str
    road: Road
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    summary: Summary = Summary()
    known: Journal | None = None
    """What the journal says now, where the lab is up."""


class Ground(NamedTuple):
    """Where labs are kept, and who is asked and told on the way."""

    machine: Machine
    state: str
    stop: Callable[[], bool] = lambda: False
    progress: Progress = lambda done, of: None


# reading


def read(ground: Ground, lab: str, *, for_down: bool = False) -> Journal | None:
    """What is known of a lab; None where there is none, or only what an earlier boot left."""
    raw = states.read_journal(ground.state, lab)
    try:
        found = None if raw is None else journals.read(raw, for_down=for_down)
    except StateRefused as refusal:
        place = f"{ground.state}/{lab}"
        way_out = f"to be rid of it, `ip netns del` each {lab}.…, then remove {place}"
        raise StateRefused(str(refusal), hint=f"{refusal.hint}; {way_out}") from refusal
    return found if found and found.header.boot == ground.machine.boot else None


def road(ground: Ground, wanted: Wanted) -> Road:
    """What ``up`` would do. Touches nothing."""
    return _road(ground, read(ground, wanted.lab), wanted.inventory)[1]


def _road(ground: Ground, found: Journal | None, inventory: Inventory) -> tuple[Plan, Road]:
    """What has to be cleared first, and the road from there."""
    if found is None:
        return (), Road(Inventory(), diff(Inventory(), inventory), True)
    there = _held(ground, found)
    lost = tuple(ns for ns in _namespaces(found) if ns not in there)
    missing = _missing(found, there)
    doubtful = _doubtful(found)
    gone = [*(namespace_key(n) for n in (*lost, *_marked(doubtful))), *missing]
    is_sure = found.summary is not None and not gone
    away, current = ((), found.inventory) if is_sure else clearing(found.inventory, doubtful, gone)
    plan = tuple(
        step._replace(why=missing[key]) if (key := step.subject.key) in missing else step
        for step in diff(current, inventory)
    )
    return away, Road(current, plan, not current, lost, found.summary is None)


def _doubtful(found: Journal) -> Plan:
    """None after a finished change: its last line confirms the batch before it."""
    return () if found.summary is not None else found.doubtful


def _marked(doubtful: Plan) -> Iterator[str]:
    """The namespaces in which a command may have run, or half of it: no line can be taken back."""
    return (s.subject.ns for s in doubtful if s.after and s.after.stage == Stage.COMMAND)


def lost_namespaces(ground: Ground, found: Journal) -> tuple[str, ...]:
    standing = ground.machine.standing(_identities(found))
    return tuple(ns for ns in _namespaces(found) if ns not in standing)


def _namespaces(found: Journal) -> list[str]:
    return [r.ns for r in found.inventory.values() if r.stage == Stage.NAMESPACE]


def _identities(found: Journal) -> dict[str, int]:
    """Of the namespaces that should be there."""
    return {ns: found.inodes[ns] for ns in _namespaces(found) if ns in found.inodes}


def _missing(found: Journal, there: Mapping[str, Held | None]) -> dict[Key, str]:
    """What somebody else took away or renamed, and how it is told."""
    return {
        key: lost
        for key, resource in found.inventory.items()
        if resource.stage in LOOKED_FOR and (lost := resource.lost(there))
    }


def missing(ground: Ground, found: Journal) -> Mapping[Key, str]:
    """What somebody else took away of a lab that is up, and how it is told."""
    return _missing(found, _held(ground, found))


def _held(ground: Ground, found: Journal) -> Mapping[str, Held | None]:
    from netlab.resources.network import tables

    every = found.inventory.values()
    ruled = {resource.ns for resource in every if resource.stage == Stage.FIREWALL}
    return ground.machine.held(_identities(found), tables(every), ruled)


# changing


def up(ground: Ground, wanted: Wanted) -> Done:
    """Bring the lab to what its file wants; a refusal leaves it as it was.

    Raises KernelRefused, CommandFailed, Interrupted, LabBusy, StateRefused, MachineLacks.
    """
    start = time.perf_counter()
    with writing(ground, wanted.lab, wanted) as (writer, found, kernel):
        _refuse_another_file(found, wanted)
        away, way = _road(ground, found, wanted.inventory)
        if found is not None:
            _refuse_from_inside(ground, _leaving(found, (*away, *way.plan)))
        refusals = clear(kernel, writer, away)
        if refusals:
            raise KernelRefused(f"what was left cannot be cleared: {'; '.join(refusals)}")
        is_same = found is not None and found.summary is not None and not (way.plan or away)
        if is_same and found is not None:
            _revive(kernel, found.inventory)
        if is_same and found is not None and found.header.digest == wanted.digest:
            return Done(wanted.lab, way, time.perf_counter() - start, (), _summary(found), found)
        noted = ground.machine.note() if way.is_new else None
        try:
            apply(
                kernel, writer, way.current, way.plan, stop=ground.stop, progress=ground.progress
            )
        except BaseException as failure:
            if not getattr(failure, "__notes__", ()):  # what could not be walked back stays known
                _record_return(writer, found, way)
            raise
        summary = _summed_up(wanted, found if not way.is_new else None)
        _confirm(kernel, writer, wanted, summary, way.is_new)
        if noted is not None:
            _keep(f"{ground.state}/{wanted.lab}", noted)
        header = Header(wanted.lab, ground.machine.boot, wanted.file, wanted.digest)
        inodes = {**(found.inodes if found else {}), **writer.inodes}
        known = Journal(header, wanted.inventory, inodes, (), summary)
    return Done(wanted.lab, way, time.perf_counter() - start, (), summary, known)


def _confirm(
    kernel: Kernel, writer: Writer, wanted: Wanted, summary: Summary, is_new: bool
) -> None:
    """Write down that it is up. Where that cannot be, a new lab goes again; a changed one stays."""
    try:
        writer.up(summary, wanted.file, wanted.digest)
    except OSError as problem:
        if is_new:
            for refusal in clear(kernel, writer, diff(wanted.inventory, Inventory())):
                problem.add_note(f"walking back, {refusal}")
            if not hasattr(problem, "__notes__"):
                writer.remove()
        raise


def _keep(directory: str, noted: Noted) -> None:
    """What the machine was like before, for whoever asks on the way down. No lab fails for it."""
    with suppress(OSError, StateRefused):
        files.write(f"{directory}/{BEFORE}", json.dumps(noted))


def _revive(kernel: Kernel, inventory: Inventory) -> None:
    """A supervisor that was killed has another one take its place; its processes have gone on."""
    for resource in inventory.values():
        if isinstance(resource, Supervisor):
            kernel.begin(resource)
            resource.create(kernel)
    kernel.flush()


def _leaving(found: Journal, plan: Plan) -> dict[str, int]:
    """The namespaces that a plan takes down, and their inodes."""
    gone = {s.subject.ns for s in plan if s.subject.stage == Stage.NAMESPACE and not s.after}
    return {ns: inode for ns, inode in found.inodes.items() if ns in gone}


def _refuse_another_file(found: Journal | None, wanted: Wanted) -> None:
    if found is None or os.path.realpath(found.header.file) == os.path.realpath(wanted.file):
        return
    if os.path.exists(found.header.file):
        raise UsageError(
            f"a lab {wanted.lab} is up already, from {found.header.file}",
            hint=f"`netlab down {wanted.lab}` first, or give this one another name",
        )


def _record_return(writer: Writer, found: Journal | None, way: Road) -> None:
    """After the walk back the lab is what it was before, if it was anything."""
    if found is None or way.is_new:
        writer.remove()
    elif found.summary is not None and not way.lost:
        with suppress(OSError):
            writer.up(found.summary, found.header.file, found.header.digest)


def _summed_up(wanted: Wanted, before: Journal | None) -> Summary:
    since = before.summary.since if before and before.summary else time.time()
    return Summary(since, dict(wanted.nodes), wanted.links, wanted.description)


def _summary(found: Journal) -> Summary:
    return found.summary or Summary()


def down(ground: Ground, lab: str) -> Done:
    """Take everything down that the journal knows of. Raises LabNotFound, and see ``up``."""
    start = time.perf_counter()
    known = states.read_journal(ground.state, lab)
    if known is None:
        _discard(ground, lab)
        raise LabNotFound(f"no lab {lab} is up", hint="`netlab ls` tells which are")
    with writing(ground, lab, None, for_down=True) as (writer, found, kernel):
        if found is None:
            writer.remove()
            return Done(lab, Road(Inventory(), (), True), notes=(_why_nothing(known),))
        _refuse_from_inside(ground, found.inodes)
        everything = clearing(found.inventory, _doubtful(found), found.inventory.keys())[0]
        refusals = clear(kernel, writer, everything)
        if refusals:
            raise KernelRefused(
                f"{lab} is not wholly down: {refusals[0]}"
                + (f" (and {len(refusals) - 1} more)" if refusals[1:] else ""),
                hint="`netlab down` again takes down the rest",
            )
        writer.remove()
    road = Road(found.inventory, everything, False)
    return Done(lab, road, time.perf_counter() - start, (), _summary(found))


def _discard(ground: Ground, lab: str) -> None:
    """What a netlab left that was killed before its first step, or after its last."""
    ground.machine.admit()
    with states.held(ground.state, lab, create=False) as directory:
        if directory is not None and not os.path.lexists(f"{directory}/{states.JOURNAL}"):
            _empty(directory)
    ground.machine.tidy()


def _why_nothing(journal: bytes | None) -> str:
    """A journal whose first line is not whole is of a start that was cut short."""
    return ANOTHER_BOOT if journal and journals.read(journal) else NOTHING_MADE


def _refuse_from_inside(ground: Ground, inodes: Mapping[str, int]) -> None:
    inside = ground.machine.stands_in(inodes)
    if inside:
        raise UsageError(
            f"this shell runs in {inside}, which is to be taken down",
            hint="leave it first: taking the lab down ends all processes in its nodes",
        )


def sweep(ground: Ground, lab: str) -> str:
    """Clear what a reboot or a hand-deleted namespace left of a lab; what was done, in words."""
    try:
        return _swept(ground, lab)
    except LabNotFound:  # somebody else has swept it meanwhile
        return ""
    except LabBusy as busy:
        return f"{busy}; it is left alone"
    except StateRefused as refusal:
        return f"{lab}: {refusal}; it is left alone"


def _swept(ground: Ground, lab: str) -> str:
    known = states.read_journal(ground.state, lab)
    with writing(ground, lab, None) as (writer, found, kernel):
        if found is None:
            writer.remove()
            return f"{lab}: {_why_nothing(known)}; its files are swept"
        lost = lost_namespaces(ground, found)
        if not lost and found.summary is None:
            return (
                f"{lab}: left half-built; `netlab up` finishes it, `netlab down {lab}` clears it"
            )
        if not lost:
            return ""
        keys: list[Key] = [namespace_key(ns) for ns in lost]
        away, current = clearing(found.inventory, _doubtful(found), keys)
        everything = not any(r.stage == Stage.NAMESPACE for r in current.values())
        plan = diff(found.inventory, Inventory()) if everything else away
        for refusal in clear(kernel, writer, plan):
            return f"{lab}: {refusal}"
        if everything:
            writer.remove()
            return f"{lab}: its namespaces were deleted by hand; the rest is swept"
        gone = {ns.partition(".")[2] for ns in lost}
        before = _summary(found)
        left = {name: kind for name, kind in before.nodes.items() if name not in gone}
        writer.up(before._replace(nodes=left), found.header.file, "")
    names = ", ".join(sorted(gone))
    return f"{lab}: {names} deleted by hand; swept, `netlab up {found.header.file}` brings it back"


@contextmanager
def writing(
    ground: Ground, lab: str, wanted: Wanted | None, *, for_down: bool = False
) -> Iterator[tuple[Writer, Journal | None, Kernel]]:
    """Be the lab's writer: its journal, open; what it says; a kernel that owns its namespaces."""
    ground.machine.admit()
    try:
        with states.held(ground.state, lab, create=wanted is not None) as directory:
            if directory is None:
                raise LabNotFound(f"no lab {lab} is up", hint="`netlab ls` tells which are")
            machine = ground.machine
            with machine.taker(lab) if for_down else machine.kernel(lab, ground.stop) as kernel:
                yield from _opened(ground, lab, directory, wanted, kernel, for_down)
    except OSError as problem:
        if problem.errno not in UNWRITABLE:
            raise
        raise unwritable(ground.state, problem) from problem
    finally:
        ground.machine.tidy()


def _opened(
    ground: Ground,
    lab: str,
    directory: str,
    wanted: Wanted | None,
    kernel: Kernel,
    for_down: bool,
) -> Iterator[tuple[Writer, Journal | None, Kernel]]:
    found = read(ground, lab, for_down=for_down)
    if found is None:
        _empty(directory)
    else:
        kernel.own(found.inodes)
    file, digest = (wanted.file, wanted.digest) if wanted else ("", "")
    writer = Writer(directory, Header(lab, ground.machine.boot, file, digest))
    try:
        yield writer, found, kernel
    finally:
        writer.close()
        if not os.path.lexists(f"{directory}/journal"):
            _empty(directory)


def _empty(directory: str) -> None:
    """Of the files of a lab that is no more; its lock is the directory itself."""
    import shutil

    for entry in os.scandir(directory):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)
