"""`netlab down`: one lab, or all that there are."""

from __future__ import annotations

import time
from collections.abc import Callable

from netlab.cli.which import lab_name, no_such_lab, renderer, state_directory
from netlab.errors import NetlabError
from netlab.kernel.machine import LinuxMachine
from netlab.lab import lifecycle, state
from netlab.lab.interrupt import watched
from netlab.lab.lifecycle import Done, Ground


def one(lab_or_file: str, wait: bool, json: bool, assert_clean: bool = False) -> int:
    """The exit code; 1 where the machine is not as it was before, if that is asked."""
    name = lab_name(lab_or_file)
    if name not in state.strays(state_directory()):
        no_such_lab(name)
    ground = _ground()
    compare = _comparing(ground, name) if assert_clean else None
    done = _take_down(ground, name)
    if wait:
        done = _waited_for(ground, [done])[0]
    differences = compare() if compare is not None else ()
    show = renderer(json)  # loaded while the kernel cleans up
    show.down([done._replace(notes=(*done.notes, *differences))])
    return int(bool(differences))


def _comparing(ground: Ground, lab: str) -> Callable[[], tuple[str, ...]]:
    """What tells the differences once the lab is down; what was noted goes with it.

    Raises UsageError where nothing was.
    """
    from netlab.kernel import host
    from netlab.kernel.enter import NETNS
    from netlab.kernel.identity import inode
    from netlab.lab import clean
    from netlab.trace.bpf.loaded import loaded

    before = clean.before(ground.state, lab)
    known = lifecycle.read(ground, lab)
    inodes = {inode(told): ns for ns, told in known.inodes.items()} if known else {}

    def compare() -> tuple[str, ...]:
        return (
            *clean.differences(before, ground.machine.note(), lab, NETNS),
            *host.left(lab, inodes),
            *(f"BPF program {n} ({name}) is loaded" for n, name in loaded(before["time"])),
        )

    return compare


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
            done.append(_take_down(ground, lab))
        except NetlabError as failure:
            failures[lab] = failure
    renderer(json).down(_waited_for(ground, done) if wait else done, failures)
    return max((failure.exit_code for failure in failures.values()), default=0)


def _take_down(ground: Ground, lab: str) -> Done:
    with watched():  # what is begun is finished: half down is worse than a second's wait
        return lifecycle.down(ground, lab)


def _waited_for(ground: Ground, labs: list[Done]) -> list[Done]:
    """Until the kernel has cleaned up; it takes them one after the other, the last one tells."""
    start = time.perf_counter()
    if labs:
        with watched():
            ground.machine.settle()
    waited = time.perf_counter() - start
    return [done._replace(seconds=done.seconds + waited) for done in labs]


def _ground() -> Ground:
    return Ground(LinuxMachine(state_directory()), state_directory())
