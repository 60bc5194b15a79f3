"""Walk a plan, batch by batch; walk back if the kernel refuses a step or somebody interrupts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from typing import Protocol

from netlab.errors import CommandFailed, Interrupted, NetlabError
from netlab.kernel.port import Kernel
from netlab.lab.journal import reached
from netlab.lab.state import UNWRITABLE
from netlab.plan.diff import Plan, Step, diff
from netlab.resources import Inventory, Key, Resource
from netlab.resources.base import Stage

BATCH = 2000
"""Steps: few enough to stop soon when asked to, many enough for large sends."""

MOST_NAMESPACES = 500
"""In one batch: each takes as long as ten other steps."""

Progress = Callable[[int, int], object]
"""Steps done, steps in all."""


class Record(Protocol):
    """Where steps are written down before they are done."""

    def do(self, steps: Plan, inodes: Mapping[str, int]) -> None: ...


def apply(
    kernel: Kernel,
    record: Record,
    start: Inventory,
    plan: Plan,
    *,
    stop: Callable[[], bool],
    progress: Progress,
) -> None:
    """Raises what stopped it, after everything has been brought back to ``start``.

    What could not be brought back is noted on it (``__notes__``), and in the journal.
    """
    done: list[Step] = []
    doubtful: Plan = ()
    try:
        for batch in _batches(kernel, plan):
            if stop():
                raise Interrupted("interrupted; everything is as it was before")
            doubtful = batch
            _do(kernel, record, batch)
            done += batch
            doubtful = ()
            progress(len(done), len(plan))
        if stop():
            raise Interrupted("interrupted; everything is as it was before")
    except BaseException as failure:  # also a bug: what was begun is taken back
        told: BaseException = failure
        if stop() and isinstance(failure, CommandFailed):
            told = Interrupted("interrupted; everything is as it was before")
        _walk_back(kernel, record, start, reached(start, tuple(done)), doubtful, told)
        if told is failure:
            raise
        raise told from None


def clear(kernel: Kernel, record: Record, plan: Plan) -> list[str]:
    """Take down, whatever the kernel says to single steps; what could not be done, in words.

    What was refused is recorded as not done, so that the next ``down`` finds it. A bug does not
    stop it either, and is raised at the end.
    """
    refused: list[tuple[Step, Exception]] = []
    for batch in _batches(kernel, plan):
        refused += _do_anyhow(kernel, record, batch)
    if refused:
        with suppress(OSError):  # on a full disk the record could say no more than it does
            record.do(tuple(Step(step.after, step.before) for step, _ in refused), {})
    for _, bug in refused:
        if not isinstance(bug, NetlabError | OSError):
            raise bug
    return [f"{step.subject.title}: {refusal}" for step, refusal in refused]


def clearing(
    current: Inventory, doubtful: Plan, lost: Collection[Key] = ()
) -> tuple[Plan, Inventory]:
    """The road away from what nobody can be sure of, and what surely stands at its end.

    Deleting what is not there is done, so all that doubtful steps speak of is deleted; of what is
    lost, the rest that it leaves behind; of a link, the end that is about to go by itself.
    """
    subjects = [r for step in doubtful for r in (step.before, step.after) if r is not None]
    feared = Inventory([*current.values(), *subjects])
    doomed = feared.standing_on({*(r.key for r in subjects), *lost, *_half_fallen(feared)})
    sure = Inventory(r for r in feared.values() if r.key not in doomed)
    return tuple(_either(diff(feared, sure), subjects)), sure


def _half_fallen(feared: Inventory) -> Iterator[Key]:
    """Links with one end in a namespace that is no more."""
    standing = feared.provided()
    return (key for key, r in feared.items() if not standing.issuperset(r.needs))


def _either(away: Plan, subjects: Collection[Resource]) -> Iterator[Step]:
    """What a doubtful step changes is there as it was or as it was to be: both are deleted."""
    faces: dict[Key, list[Resource]] = {}
    for resource in subjects:
        faces.setdefault(resource.key, []).append(resource)
    for step in away:
        yield from (Step(r, None) for r in faces.get(step.subject.key, ()) if r != step.before)
        yield step


def write(kernel: Kernel, plan: Plan) -> None:
    """Walk a plan where nothing is refused and nothing recorded, as for a script."""
    _do(kernel, _Unrecorded(), plan)


def _do(kernel: Kernel, record: Record, batch: Plan) -> None:
    made = [
        s.after.ns
        for s in batch
        if s.after is not None and s.before is None and s.after.stage == Stage.NAMESPACE
    ]
    kernel.begin(next((s for s in batch if s.after and s.after.stage == Stage.NAMESPACE), None))
    inodes = dict(kernel.make_namespaces(made)) if made else {}
    record.do(batch, inodes)
    for step in batch:
        kernel.begin(step)
        _take(kernel, step)
    kernel.flush()


def _take(kernel: Kernel, step: Step) -> None:
    if step.after is None:
        assert step.before is not None
        step.before.delete(kernel)
    elif step.before is None:
        step.after.create(kernel)
    else:
        step.after.update(kernel, step.before)


def _walk_back(
    kernel: Kernel,
    record: Record,
    start: Inventory,
    current: Inventory,
    doubtful: Plan,
    failure: BaseException,
) -> None:
    """Nothing stops it: a second refusal becomes a note on the first, and the rest goes on."""
    kernel.insist()
    away, sure = clearing(current, doubtful)
    _clear_noting(kernel, record, away, failure)
    sure = _remembering(record, sure, start)
    _clear_noting(kernel, record, diff(sure, start), failure)


def _clear_noting(kernel: Kernel, record: Record, plan: Plan, failure: BaseException) -> None:
    try:
        for refusal in clear(kernel, record, plan):
            failure.add_note(f"walking back, {refusal}")
    except Exception as bug:
        failure.add_note(f"walking back, {bug!r}")


def _remembering(record: Record, sure: Inventory, start: Inventory) -> Inventory:
    """With the commands that have run in namespaces which still stand: they are not run again."""
    there = sure.provided()
    ran = [
        r
        for key, r in start.items()
        if r.stage == Stage.COMMAND and key not in sure and there.issuperset(r.needs)
    ]
    if ran:
        with suppress(OSError):  # then the next `up` runs them again
            record.do(tuple(Step(None, r) for r in ran), {})
    return Inventory([*sure.values(), *ran])


def _do_anyhow(kernel: Kernel, record: Record, batch: Plan) -> list[tuple[Step, Exception]]:
    """At once; if that is refused, step by step: whatever can be done is done."""
    try:
        _do_anyway(kernel, record, batch)
        return []
    except Exception:
        refused: list[tuple[Step, Exception]] = []
    for step in batch:
        try:
            if step.before is None and step.after is not None:  # the first try may have made it
                _do_anyway(kernel, record, (Step(step.after, None),))
            _do_anyway(kernel, record, (step,))
        except Exception as refusal:  # also a bug: what else can be done is done
            refused.append((step, refusal))
    return refused


def _do_anyway(kernel: Kernel, record: Record, batch: Plan) -> None:
    """On a full disk nothing new is made, but what only takes down needs no record."""
    try:
        _do(kernel, record, batch)
    except OSError as problem:
        if problem.errno not in UNWRITABLE or any(step.after for step in batch):
            raise
        _do(kernel, _Unrecorded(), batch)


class _Unrecorded:
    def do(self, steps: Plan, inodes: Mapping[str, int]) -> None:
        """A journal, if there is one, still names what is gone; taking it down again is done."""


def _batches(kernel: Kernel, plan: Plan) -> Iterator[Plan]:
    """Each new namespace is held open until it has its name, and open files are limited.

    What is taken down has its own batches: a new namespace may take over the name of an old one.
    So have commands: while they run, only they are in doubt.
    """
    first, namespaces, most = 0, 0, min(MOST_NAMESPACES, kernel.most_namespaces())
    for place, step in enumerate(plan):
        namespaces += step.subject.stage == Stage.NAMESPACE
        turns = place > first and plan[place - 1].after is None and step.after is not None
        begins = place > first and _runs(step) and not _runs(plan[place - 1])
        if place - first >= BATCH or namespaces > most or (turns and namespaces) or begins:
            yield plan[first:place]
            first, namespaces = place, int(step.subject.stage == Stage.NAMESPACE)
    if first < len(plan):
        yield plan[first:]


def _runs(step: Step) -> bool:
    return step.after is not None and step.after.stage == Stage.COMMAND
