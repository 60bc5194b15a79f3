"""`netlab down`: one lab, or all that there are."""

from __future__ import annotations

from netlab.cli.which import lab_name, no_such_lab, renderer, state_directory
from netlab.errors import NetlabError
from netlab.kernel.machine import LinuxMachine
from netlab.lab import lifecycle, state
from netlab.lab.interrupt import watched
from netlab.lab.lifecycle import Done, Ground


def one(lab_or_file: str, wait: bool, json: bool) -> int:
    name = lab_name(lab_or_file)
    if name not in state.strays(state_directory()):
        no_such_lab(name)
    renderer(json).down([_take_down(_ground(), name, wait)])
    return 0


def every(wait: bool, json: bool) -> int:
    """One that cannot be taken down does not keep the others up."""
    ground = _ground()
    labs = state.labs(state_directory())
    if labs:
        ground.machine.admit()
    done: list[Done] = []
    failures: dict[str, NetlabError] = {}
    for lab in labs:
        try:
            done.append(_take_down(ground, lab, wait))
        except NetlabError as failure:
            failures[lab] = failure
    renderer(json).down(done, failures)
    return max((failure.exit_code for failure in failures.values()), default=0)


def _take_down(ground: Ground, lab: str, wait: bool) -> Done:
    with watched():  # what is begun is finished: half down is worse than a second's wait
        return lifecycle.down(ground, lab, wait=wait)


def _ground() -> Ground:
    return Ground(LinuxMachine(state_directory()), state_directory())
