"""What takes a lab down has every verb that it is asked for."""

from __future__ import annotations

from typing import Any, cast

from netlab.kernel.port import Kernel
from netlab.kernel.taker import Taker
from netlab.resources import wire
from netlab.resources.entry import Entry, Hosts
from netlab.resources.namespace import Namespace
from netlab.resources.process import Process, Supervisor

LASTING = (
    Namespace("l.a"), Hosts("l", ""), Entry("l.a"), Supervisor("l"), Process("l.a", "p", ("true",)),
)  # fmt: skip


class Asked:
    """Notes the verbs that it is asked for."""

    def __init__(self) -> None:
        self.verbs: set[str] = set()

    def __getattr__(self, verb: str) -> Any:
        self.verbs.add(verb)
        return lambda *words, **more: None


def test_it_takes_away_all_that_outlives_namespaces() -> None:
    outliving = {name for name, (_, outlives) in wire.KINDS.items() if outlives}
    assert {type(resource).__name__ for resource in LASTING} == outliving
    asked = Asked()
    for resource in LASTING:
        resource.delete(cast(Kernel, asked))
    assert len(asked.verbs) == len(LASTING)
    assert asked.verbs <= vars(Taker).keys()
