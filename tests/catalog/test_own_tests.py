"""The `tests:` of every lab in topologies/ pass, each on its own lab, which is gone afterwards.

Of the labs with a mistake they say what works, and what somebody complains of.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.catalog.test_topologies import LACKS, PROGRAMS
from tests.live.conftest import Write
from tests.live.world import ROOT, netlab

PLACE = ROOT / "topologies"
FILES = sorted(PLACE.glob("*.yaml")) + sorted(PLACE.glob("broken/*.yaml"))
TOOLS = {"bridge": "iproute2", "ip": "iproute2", "nft": "nftables"}
"""What commands of tests are there for, and the package of each."""

each_lab = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


@each_lab
def test_a_lab_has_tests_that_may_fail(file: Path) -> None:
    tests = yaml.safe_load(file.read_text())["tests"]
    assert len(tests) >= 2
    if file.parent.name == "broken":
        (complaint,) = (test for test in tests if test.get("name") == "the complaint")
        assert complaint["expect"] in ("lost", "refused")


@each_lab
def test_what_a_lab_says_of_itself_holds(
    file: Path, write: Write, lab: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stem, text = file.stem, file.read_text()
    for program in (PROGRAMS.get(stem, "sh"), *(t for t in TOOLS if f"run: {t} " in text)):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed; `make test` installs it")
    monkeypatch.chdir(ROOT)  # the programs beside a lab are named as from there
    if file.with_suffix("").is_dir():
        shutil.copytree(file.with_suffix(""), tmp_path / stem)
    said = netlab("test", write(re.sub(r"\Aname: .*", f"name: {lab}", text)))
    if said.code and (missing := LACKS.search(said.err)):
        pytest.skip(missing[0])
    assert said.code == 0, said
    assert netlab("show", lab).code == 5
