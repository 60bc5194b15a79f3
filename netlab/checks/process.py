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
    lines = site.machine.last_words(site.terrain.lab, test.on, test.process)
    evidence = tuple(f"{test.on}/{test.process} said: {line}" for line in lines)
    return Seen(met, f"its state: {found.state}{ended}", evidence=() if met else evidence)


sort = Sort(attempt=attempt, alone=True)
