"""A process of the topology: whether it runs, or has ended."""

from __future__ import annotations

from netlab.checks.base import Seen, Site, Sort
from netlab.model.checks import ProcessTest

ENDED = frozenset({"exited", "failed", "stopped"})


def attempt(test: ProcessTest, site: Site, within: float) -> Seen:
    found = site.machine.processes(site.terrain.lab).get((test.on, test.process))
    if found is None:
        return Seen(False, "nothing is known of it")
    met = found.state in ENDED if test.expect == "exited" else found.state == "running"
    ended = f", exit code {found.code}" if found.state in ENDED and found.code is not None else ""
    return Seen(met, f"its state: {found.state}{ended}")


sort = Sort(attempt=attempt, alone=True)
