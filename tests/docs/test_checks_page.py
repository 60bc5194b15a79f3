"""docs/tests.md against the models: every sort, word of `expect` and key; its examples load."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from netlab.model.checks import SORTS
from netlab.model.checks_base import Sent, Tried, Within
from tests.live.world import ROOT
from tests.model.kinds import read, said

PAGE = (ROOT / "docs/tests.md").read_text()
ROWS = {row.split("`")[1].partition(":")[0]: row for row in PAGE.splitlines() if row[:3] == "| `"}
COMMON = {*Tried.model_fields, *Sent.model_fields, *Within.model_fields, "port"}

LAB = """
nodes:
  alice:
  gw: {processes: {httpd: sleep 9}}
  web:
links: [[alice, gw], [gw, web]]
"""


def test_every_sort_has_a_row() -> None:
    assert sorted(ROWS) == sorted(SORTS)


@pytest.mark.parametrize("sort", SORTS)
def test_a_row_tells_every_word_and_key(sort: str) -> None:
    fields = SORTS[sort].model_fields
    keys = {key for key in fields if key not in COMMON | {"expect"}}
    words = {w for w in get_args(fields["expect"].annotation) if isinstance(w, str)} \
        if "expect" in fields else set()  # fmt: skip
    assert {w for w in keys | words if w not in ROWS[sort]} == set()


def test_its_examples_load() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
    loaded = read(LAB + example)
    assert said(loaded) == []
    assert loaded.topology is not None and len(loaded.topology.tests) >= 6
