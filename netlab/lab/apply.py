"""Walk a plan, batch by batch; walk back if the kernel refuses a step or somebody interrupts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

from netlab.errors import UNWRITABLE, CommandFailed, Interrupted, NetlabError
from netlab.lab.journal import reached
from netlab.plan.diff import Plan, Step, diff
from netlab.resources import Inventory, Key, Resource
from netlab.resources.base import Stage

if TYPE_CHECKING:
    from netlab.kernel.port import Kernel

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
            _write_down(kernel, record, batch)
            doubtful = batch
            _act(kernel, batch)
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
    stop it either, and is raised at the end. Nor does a full disk: the journal then names more
    than there is, and taking that down again is done.
    """
    return _brought_about(kernel, _WherePossible(record), plan)


def _brought_about(kernel: Kernel, record: Record, plan: Plan) -> list[str]:
    """Raises OSError where that cannot be recorded, before it is done."""
    refused: list[tuple[Step, Exception]] = []
    for batch in _batches(kernel, plan):
        missed = _do_anyhow(kernel, record, batch)
        if missed:  # at once: the next line confirms this one
            record.do(tuple(Step(step.after, step.before) for step, _ in missed), {})
        refused += missed
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
    _write_down(kernel, record, batch)
    _act(kernel, batch)


def _write_down(kernel: Kernel, record: Record, batch: Plan) -> None:
    """With the identities of its new namespaces, which have no names yet."""
    made = [
        s.after.ns
        for s in batch
        if s.after is not None and s.before is None and s.after.stage == Stage.NAMESPACE
    ]
    kernel.begin(next((s for s in batch if s.after and s.after.stage == Stage.NAMESPACE), None))
    inodes = dict(kernel.make_namespaces(made)) if made else {}
    record.do(batch, inodes)


def _act(kernel: Kernel, batch: Plan) -> None:
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
    """Nothing stops it: a second refusal becomes a note on the first, and the rest goes on.

    But where something is to stand at its end, it ends on a full disk: what the journal says is
    true then, and the next ``up`` goes on from there.
    """
    kernel.insist()
    way = record if start else _WherePossible(record)
    away, sure = clearing(current, doubtful)
    try:
        _note(failure, lambda: _brought_about(kernel, way, away))
        sure = _remembering(way, sure, start)
        _note(failure, lambda: _brought_about(kernel, way, diff(sure, start)))
    except OSError as problem:
        failure.add_note(f"it stands half-way, for nothing can be written down: {problem.strerror}")


def _note(failure: BaseException, walk: Callable[[], list[str]]) -> None:
    try:
        for refusal in walk():
            failure.add_note(f"walking back, {refusal}")
    except Exception as bug:
        if _is_of_the_disk(bug):
            raise
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
        record.do(tuple(Step(None, r) for r in ran), {})
    return Inventory([*sure.values(), *ran])


def _do_anyhow(kernel: Kernel, record: Record, batch: Plan) -> list[tuple[Step, Exception]]:
    """At once; if that is refused, step by step: whatever can be done is done.

    Raises OSError only where nothing can be recorded any more.
    """
    try:
        _do(kernel, record, batch)
        return []
    except Exception as problem:
        if _is_of_the_disk(problem):
            raise
        refused: list[tuple[Step, Exception]] = []
    for step in batch:
        try:
            if step.before is None and step.after is not None:  # the first try may have made it
                _do(kernel, record, (Step(step.after, None),))
            _do(kernel, record, (step,))
        except Exception as refusal:  # also a bug: what else can be done is done
            if _is_of_the_disk(refusal):
                raise
            refused.append((step, refusal))
    return refused


def _is_of_the_disk(problem: Exception) -> bool:
    return isinstance(problem, OSError) and problem.errno in UNWRITABLE


class _WherePossible:
    """On a full disk a record names more than there is: what only takes down needs none."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def do(self, steps: Plan, inodes: Mapping[str, int]) -> None:
        try:
            self._record.do(steps, inodes)
        except OSError as problem:
            if not _is_of_the_disk(problem):
                raise


class _Unrecorded:
    def do(self, steps: Plan, inodes: Mapping[str, int]) -> None:
        """Nobody wants to know."""


def _batches(kernel: Kernel, plan: Plan) -> Iterator[Plan]:
    """Each new namespace is held open until it has its name, and open files are limited.

    What is taken down has its own batches: a new namespace may take over the name of an old one.
    So have commands: while they run, only they are in doubt.
    """
    first, made, touched, most = 0, 0, 0, MOST_NAMESPACES
    if any(map(_makes_namespace, plan)):
        most = min(most, kernel.most_namespaces())
    for place, step in enumerate(plan):
        made += _makes_namespace(step)
        touched += step.subject.stage == Stage.NAMESPACE
        turns = place > first and plan[place - 1].after is None and step.after is not None
        begins = place > first and _runs(step) and not _runs(plan[place - 1])
        if place - first >= BATCH or made > most or (turns and touched) or begins:
            yield plan[first:place]
            first, made = place, int(_makes_namespace(step))
            touched = int(step.subject.stage == Stage.NAMESPACE)
    if first < len(plan):
        yield plan[first:]


def _makes_namespace(step: Step) -> bool:
    return step.after is not None and step.after.stage == Stage.NAMESPACE


def _runs(step: Step) -> bool:
    return step.after is not None and step.after.stage == Stage.COMMAND
