"""Walk a plan, batch by batch; walk back if the kernel refuses a step or somebody interrupts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from errno import EDQUOT, EIO, ENOSPC
from typing import Protocol

from netlab.errors import CommandFailed, Interrupted, KernelRefused, NetlabError
from netlab.kernel.port import Kernel
from netlab.lab.journal import reached
from netlab.plan.diff import Plan, Step, diff
from netlab.resources import Inventory
from netlab.resources.base import Stage

BATCH = 500
"""Steps: few enough to stop soon when asked to, many enough for large sends."""

MOST_NAMESPACES = 200
"""In one batch: each is held open until it has its name, and open files are limited."""

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
    """Raises what stopped it, after everything has been brought back to ``start``."""
    done: list[Step] = []
    doubtful: Plan = ()
    try:
        for batch in _batches(plan):
            if stop():
                raise Interrupted("interrupted; everything is as it was before")
            doubtful = batch
            _do(kernel, record, batch)
            done += batch
            doubtful = ()
            progress(len(done), len(plan))
        if stop():
            raise Interrupted("interrupted; everything is as it was before")
    except (KernelRefused, CommandFailed, Interrupted, OSError) as failure:
        if stop() and isinstance(failure, CommandFailed):
            failure = Interrupted("interrupted; everything is as it was before")
        _walk_back(kernel, record, start, reached(start, tuple(done)), doubtful, failure)
        raise failure from None


def heal(kernel: Kernel, record: Record, current: Inventory, doubtful: Plan) -> Inventory:
    """Take down whatever doubtful steps may have left half done; what surely stands then."""
    plan, sure = _clearing(current, doubtful)
    for batch in _batches(plan):
        _do(kernel, record, batch)
    return sure


def _clearing(current: Inventory, doubtful: Plan) -> tuple[Plan, Inventory]:
    """Deleting what is not there is done, so all that the steps speak of is deleted."""
    subjects = [r for step in doubtful for r in (step.before, step.after) if r is not None]
    feared = Inventory([*current.values(), *subjects])
    doomed = feared.standing_on({r.key for r in subjects})
    sure = Inventory(r for r in feared.values() if r.key not in doomed)
    return diff(feared, sure), sure


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
    clearing, sure = _clearing(current, doubtful)
    for plan in (clearing, diff(sure, start)):
        for batch in _batches(plan):
            try:
                _do_anyway(kernel, record, batch)
            except (NetlabError, OSError):
                _one_by_one(kernel, record, batch, failure)


def _one_by_one(kernel: Kernel, record: Record, batch: Plan, failure: BaseException) -> None:
    """A batch that was refused, again: whatever can be done is done."""
    for step in batch:
        try:
            _do_anyway(kernel, record, (step,))
        except (NetlabError, OSError) as refusal:
            failure.add_note(f"walking back, {step.subject.words}: {refusal}")


def _do_anyway(kernel: Kernel, record: Record, batch: Plan) -> None:
    """On a full disk nothing new is made, but what only takes down needs no record."""
    try:
        _do(kernel, record, batch)
    except OSError as problem:
        if problem.errno not in (ENOSPC, EDQUOT, EIO) or any(step.after for step in batch):
            raise
        _do(kernel, _Unrecorded(), batch)


class _Unrecorded:
    def do(self, steps: Plan, inodes: Mapping[str, int]) -> None:
        """The journal still names what is gone; taking it down again is done."""


def _batches(plan: Plan) -> Iterator[Plan]:
    first, namespaces = 0, 0
    for place, step in enumerate(plan):
        namespaces += step.subject.stage == Stage.NAMESPACE
        if place - first >= BATCH or namespaces > MOST_NAMESPACES:
            yield plan[first:place]
            first, namespaces = place, int(step.subject.stage == Stage.NAMESPACE)
    if first < len(plan):
        yield plan[first:]
