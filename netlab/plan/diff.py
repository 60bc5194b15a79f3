"""The shortest road from one inventory to another."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from netlab.model.growing import growing
from netlab.resources import Inventory, Key, Resource, Stage


class Step(NamedTuple):
    """One change: ``before`` makes place for ``after``; both together are a change in place."""

    before: Resource | None
    after: Resource | None
    why: str = ""
    """What made it necessary, where that is something else than the resource's own change."""

    @property
    def subject(self) -> Resource:
        subject = self.after or self.before
        assert subject is not None, "a step changes something"
        return subject

    @property
    def sign(self) -> str:
        return "+" if self.before is None else "-" if self.after is None else "~"


Plan = tuple[Step, ...]


@growing()
def diff(current: Inventory, desired: Inventory) -> Plan:
    """Take down what is in the way, then change and build what is missing, foundations first."""
    fallen = {k for k, r in current.items() if k not in desired or not _stays(r, desired[k])}
    passed = _passed(current, desired, fallen)
    fallen |= passed
    doomed = current.standing_on(fallen)
    why = {**_reasons(current, fallen, doomed), **dict.fromkeys(passed, "another comes before it")}
    return (*_removals(current, doomed, desired, why), *_additions(current, desired, doomed, why))


def _stays(before: Resource, after: Resource) -> bool:
    return before == after or after.follows(before)


def _passed(current: Inventory, desired: Inventory, fallen: set[Key]) -> set[Key]:
    """What stands in a row before something that is wanted before it: it is made anew after it."""
    passed: set[Key] = set()
    wanted = _rows(desired, ()) if current else {}
    for row, keys in _rows(current, fallen).items():
        places = enumerate(zip(keys, wanted[row], strict=False))
        first = next((n for n, (is_there, should) in places if is_there != should), len(keys))
        passed.update(keys[first:])
    return passed


def _rows(inventory: Inventory, fallen: Collection[Key]) -> dict[Key, list[Key]]:
    rows: dict[Key, list[Key]] = {}
    for key, resource in inventory.items():
        if key not in fallen and (row := resource.row):
            rows.setdefault(row, []).append(key)
    return rows


def _removals(
    current: Inventory, doomed: set[Key], desired: Inventory, why: dict[Key, str]
) -> Iterator[Step]:
    gone = {p for key in doomed for p in current[key].provides}
    steps = []
    for key in reversed(list(current)):
        if key not in doomed:
            continue
        resource = current[key]
        falls_by_itself = bool(resource.falls_with) and gone.issuperset(resource.falls_with)
        if not falls_by_itself:
            steps.append(Step(resource, None, why.get(key, "")))
    yield from sorted(steps, key=_removal_place)


def _removal_place(step: Step) -> tuple[int, str, int]:
    """Processes first; what spans the lab last, by stage.

    The rest by namespace, so that each is entered once.
    """
    stage = step.subject.stage
    if stage <= Stage.LINK:
        return (1 + Stage.LINK - stage, "", 0)
    if stage == Stage.PROCESS:
        return (-1, "", -step.subject.turn)
    return (0, step.subject.ns, -stage)


def _additions(
    current: Inventory, desired: Inventory, doomed: set[Key], why: dict[Key, str]
) -> Iterator[Step]:
    steps = []
    for key, resource in desired.items():
        before = None if key in doomed else current.get(key)
        if before != resource:
            anew = resource.reason(current[key]) if key in doomed else ""
            steps.append(Step(before, resource, why.get(key, "") or anew))
    yield from sorted(steps, key=_addition_place)


def _addition_place(step: Step) -> tuple[int, str, int]:
    stage = step.subject.stage
    if stage <= Stage.LINK or stage >= Stage.PROCESS:
        return (int(stage), "", step.subject.turn)
    return (Stage.LINK + 1, step.subject.ns, int(stage))


def _reasons(current: Inventory, fallen: set[Key], doomed: set[Key]) -> dict[Key, str]:
    """For each that must go though nobody changed it: the thing below it that did."""
    reasons: dict[Key, str] = {}
    owner = {p: key for key in doomed for p in current[key].provides}
    for key in current:
        if key in doomed and key not in fallen:
            below = next((owner[n] for n in current[key].needs if n in owner), None)
            if below is not None:
                reasons[key] = reasons.get(below) or f"{current[below].words} is made anew"
    return reasons
