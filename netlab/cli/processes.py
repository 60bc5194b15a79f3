"""`netlab logs`, `start`, `stop`, `restart`: the processes of a lab."""

from __future__ import annotations

import time
from collections.abc import Callable

from netlab.cli.which import lab_name, no_such_lab, renderer, state_directory
from netlab.cli.work import ground
from netlab.errors import UsageError
from netlab.kernel.supervisor import logs as kept
from netlab.kernel.supervisor import record
from netlab.lab import lifecycle, processes
from netlab.lab.interrupt import watched
from netlab.model.processes import seconds


def control(lab_or_file: str, which: str, verb: str, json: bool) -> None:
    acts = {"start": processes.start, "stop": processes.stop, "restart": processes.restart}
    lab = lab_name(lab_or_file)
    with watched() as stop:
        begun = time.perf_counter()
        names = processes.control(ground(stop), lab, which, acts[verb])
    renderer(json).controlled(lab, verb, names, time.perf_counter() - begun)


def logs(lab_or_file: str, which: str, follow: bool, since: str, json: bool) -> None:
    lab = lab_name(lab_or_file)
    found = lifecycle.read(ground(), lab)
    if found is None:
        no_such_lab(lab)
    chosen = processes.chosen(found.inventory, lab, which)
    lab_dir = f"{state_directory()}/{lab}"
    files = {
        f"{processes.node_of(p)}/{p.name}": record.path(
            lab_dir, processes.node_of(p), p.name, "log"
        )
        for p in chosen
    }
    put = renderer(json).log_line
    width = max(map(len, files))
    alone = len(files) == 1 and "/" in which

    def say(name: str) -> Callable[[str], None]:
        return lambda line: put(name, line, 0 if alone else width)

    kept.tell({path: say(name) for name, path in files.items()}, _time(since), follow=follow)


def _time(since: str) -> float:
    """Seconds since the epoch, of so long ago; 0.0 for all there is."""
    if not since:
        return 0.0
    try:
        return time.time() - seconds(since)
    except ValueError as problem:
        raise UsageError(f"--since: {problem}") from None
