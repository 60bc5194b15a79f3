"""Every lab in topologies/broken/: its complaint is true, a trace names why, the answer mends."""

from __future__ import annotations

import re

import pytest

from tests.catalog.broken import PLACE, STEMS, WORKS, broken
from tests.live.conftest import Write
from tests.live.world import ROOT, done, eventually, inside, netlab

AFRESH = "start afresh"
"""So says an answer where the mistake outlives its mending, in what nodes have learned."""

each_lab = pytest.mark.parametrize("stem", STEMS)


def test_the_documents_list_them_all() -> None:
    readme, page = (ROOT / "README.md").read_text(), (ROOT / "docs/broken.md").read_text()
    rows = re.findall(r"^\| \[[\w-]+\]\(topologies/broken/(.+).yaml\) \| (.+) \|$", readme, re.M)
    assert dict(rows) == {stem: broken(stem).words for stem in STEMS}
    causes = dict(re.findall(r"^\| \[([\w-]+)\]\(.+\) \| .+ \| `([\w-]+)` \|$", page, re.M))
    assert causes == {stem: broken(stem).cause for stem in STEMS}
    assert len(STEMS) >= 12


@each_lab
def test_a_lab_complains_and_keeps_its_answer_to_itself(stem: str) -> None:
    lab = broken(stem)
    (checked,) = netlab("check", PLACE / f"{stem}.yaml", "--json").json
    assert (checked["lab"], checked["problems"]) == (stem, [])
    assert lab.words and len(lab.description.split()) >= 40
    assert lab.found_by == [*lab.question, "--expect", lab.cause]
    assert lab.cause not in lab.description
    assert len(lab.answer.split()) >= 40


@each_lab
def test_it_is_so_and_found_and_mended(stem: str, write: Write, lab: str) -> None:
    told = broken(stem)
    node, _, *command = told.complaint
    done("up", write(_named(told.topology, lab)))
    assert inside(lab, node, *command).code != 0
    assert [w for w in WORKS.get(stem, ()) if inside(lab, *w.split()).code] == []
    found = netlab("trace", lab, *told.found_by, "--json")
    assert (found.code, found.json["cause"]["name"]) == (0, told.cause), found.json["cause"]
    assert netlab("explain", lab, *told.found_by).code == 0
    if AFRESH in told.answer:
        done("down", lab)
    done("up", write(_named(told.mended(), lab)))
    eventually(lambda: inside(lab, node, *command).code == 0, 10)
    assert netlab("trace", lab, *told.found_by).code == 1


def _named(text: str, lab: str) -> str:
    first, rest = text.split("\n", 1)
    assert first.startswith("name: ")
    return f"name: {lab}\n{rest}"
