"""`netlab up`: the file is read while the kernel already makes namespaces for it."""

from __future__ import annotations

from collections.abc import Callable

from netlab.cli.which import renderer
from netlab.cli.work import Read, ahead, ground, located, read
from netlab.errors import NetlabError
from netlab.lab import lifecycle
from netlab.lab.interrupt import watched
from netlab.lab.lifecycle import Done, Ground
from netlab.lab.portrait import Portrait, portrait
from netlab.render.progress import progress


def up(file: str, json: bool, ttl: float = 0.0, owner: int = 0) -> None:
    """``ttl``: seconds after which the lab ends by itself; ``owner``: a process it ends with."""
    if owner:
        from netlab.cli import lease

        lease.check(owner)
    here = ground()
    try:
        topology = read(file, ahead(here, file))
        with watched() as stop:  # also while it is told: what is up is up
            done = _brought_up(here, topology, stop, json)
            if ttl or owner:
                from netlab.cli import lease

                lease.begin(here.state, done, [owner] if owner else [], ttl)
            renderer(json).up(done, lambda: _picture(here, done))
    finally:
        here.machine.close()


def _brought_up(here: Ground, topology: Read, stop: Callable[[], bool], json: bool) -> Done:
    with progress(not json) as tell:
        try:
            return lifecycle.up(here._replace(stop=stop, progress=tell), topology.wanted)
        except NetlabError as failure:
            raise located(failure, topology) from None


def _picture(here: Ground, done: Done) -> Portrait:
    known, running = done.known, here.machine.processes(done.lab)
    assert known is not None, "a lab that came up has a journal"
    return portrait(known.header, known.summary, known.inventory, known.inodes, (), running)
