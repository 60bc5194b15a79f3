"""Processes of a lab that is up: stopped, started, restarted by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches

from netlab.errors import CommandFailed, KernelRefused, LabNotFound
from netlab.kernel.port import Kernel
from netlab.lab.lifecycle import ANOTHER_BOOT, Ground, writing
from netlab.resources import Inventory
from netlab.resources.process import Process

Act = Callable[[Kernel, Sequence[Process]], None]


def stop(kernel: Kernel, processes: Sequence[Process]) -> None:
    """Each is asked to end, those that others wait for last."""
    for process in reversed(processes):
        kernel.begin(process)
        kernel.stop_process(process.home, process.name, process.rank, forget=False)
    kernel.flush()


def start(kernel: Kernel, processes: Sequence[Process]) -> None:
    """Returns when all are ready; one that runs goes on running."""
    for process in processes:
        kernel.begin(process)
        process.create(kernel)
    kernel.flush()


def restart(kernel: Kernel, processes: Sequence[Process]) -> None:
    stop(kernel, processes)
    start(kernel, processes)


def control(ground: Ground, lab: str, which: str, act: Act) -> tuple[str, ...]:
    """Do that to a process (``node/name``) or to all of a node; which they are.

    Raises LabNotFound, CommandFailed where one does not become ready, and see ``lifecycle.up``.
    """
    with writing(ground, lab, None) as (writer, found, kernel):
        if found is None:
            writer.remove()
            raise LabNotFound(f"no lab {lab} is up: {ANOTHER_BOOT}")
        processes = chosen(found.inventory, lab, which)
        try:
            act(kernel, processes)
        except (CommandFailed, KernelRefused) as failure:
            if isinstance(failure.token, Process):
                failure.args = (f"{node_of(failure.token)}/{failure.token.name} {failure}",)
            raise
    return tuple(f"{node_of(p)}/{p.name}" for p in processes)


def chosen(inventory: Inventory, lab: str, which: str) -> list[Process]:
    """By ``node``, ``node/name`` or "" for all; in the order of their starts."""
    held = [r for r in inventory.values() if isinstance(r, Process)]
    node, _, name = which.partition("/")
    found = [p for p in held if not node or (node_of(p) == node and name in ("", p.name))]
    if not found:
        known = [f"{node_of(p)}/{p.name}" for p in held]
        close = get_close_matches(which, [*known, *{n.partition("/")[0] for n in known}], 1)
        what = f"lab {lab} has no process {which}" if which else f"lab {lab} has no processes"
        raise LabNotFound(
            what + (f"; did you mean {close[0]}?" if close else ""),
            hint=f"its processes: {', '.join(known[:8])}" if known and not close else "",
        )
    return sorted(found, key=lambda p: p.rank)


def node_of(process: Process) -> str:
    return process.home.partition(".")[2]
