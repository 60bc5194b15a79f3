"""Whether a lab has left anything on its machine: what was noted before it, against what is now."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from netlab.errors import StateRefused, UsageError
from netlab.kernel import host
from netlab.kernel.host import Told
from netlab.kernel.values import Noted
from netlab.lab.lifecycle import BEFORE

DIRECTORY = "directory of a lab"


def before(state: str, lab: str) -> Noted:
    """What was noted when it came up. Raises UsageError where nothing was, StateRefused."""
    try:
        with open(f"{state}/{lab}/{BEFORE}") as file:
            found: dict[str, Any] = json.load(file)
        return found
    except FileNotFoundError:
        raise UsageError(
            f"nothing is known of this machine before {lab} came up",
            hint=f"`netlab down {lab}` takes it down all the same; of the next one it will be",
        ) from None
    except ValueError as problem:
        place = f"{state}/{lab}/{BEFORE}"
        raise StateRefused(f"{place} cannot be understood: {problem}", hint="remove it") from None


def differences(before: Noted, after: Noted, lab: str, netns: str) -> list[str]:
    """A sentence each. What bears the name of another lab is that lab's business."""
    others = {*before["labs"], *after["labs"]} - {lab}
    then, now = (_without(host.told(noted), others, netns) for noted in (before, after))
    then[DIRECTORY].pop(lab, None)  # it was made before anything was noted, to be the one writer
    found = [said for sort in then for said in _differing(sort, then[sort], now[sort])]
    known = {*host.unread(before)} ^ {*host.unread(after)}
    return found + [f"{name} cannot be compared: there were too many" for name in sorted(known)]


def _without(told: Told, others: set[str], netns: str) -> Told:
    """The directory of namespaces is a mount of its own as long as there are labs."""
    return {
        sort: {
            name: how
            for name, how in some.items()
            if name != netns and _lab_of(sort, name, netns) not in others
        }
        for sort, some in told.items()
    }


def _lab_of(sort: str, name: str, netns: str) -> str:
    """Whose name it bears, if it is one of those that labs give; see ``state`` and ``names``."""
    if sort in ("control group", DIRECTORY):
        return name
    if sort == "mount" and name.startswith(f"{netns}/"):
        name = name.removeprefix(f"{netns}/")
    elif sort != "namespace":
        return ""
    return name.partition(".")[0]


def _differing(sort: str, then: dict[str, str], now: dict[str, str]) -> Iterator[str]:
    for name in sorted(then.keys() | now.keys()):
        was, being = then.get(name), now.get(name)
        if was is None:
            yield f"{sort} {name} is new" + (f": {being}" if being else "")
        elif being is None:
            yield f"{sort} {name} is gone" + (f": it was {was}" if was else "")
        elif was != being:
            yield f"{sort} {name} was {was}, and is {being}"
