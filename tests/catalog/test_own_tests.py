"""The `tests:` of the labs in topologies/ pass, each on its own lab, which is gone afterwards."""

from __future__ import annotations

import pytest

from tests.catalog.witness import renamed
from tests.live.conftest import Write
from tests.live.world import ROOT, netlab

TESTED = sorted(
    path.stem for path in (ROOT / "topologies").glob("*.yaml") if "\ntests:" in path.read_text()
)


def test_there_are_some() -> None:
    assert {"two-hosts", "two-lans", "nat-gateway", "dmz-firewall"} <= {*TESTED}


@pytest.mark.parametrize("stem", TESTED)
def test_what_a_lab_says_of_itself_holds(stem: str, write: Write, lab: str) -> None:
    said = netlab("test", write(renamed(stem, lab)))
    assert said.code == 0, said
    assert netlab("show", lab).code == 5
