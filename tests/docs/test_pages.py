"""The documents are true: what the code writes is up to date, what they name is there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from docs.generate import pages
from tests.live.conftest import Write
from tests.live.world import ROOT, done, netlab

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = set(re.findall(r"^## netlab (\w+)", (ROOT / "docs/commands.md").read_text(), re.M))


@pytest.mark.parametrize("name", ["topology.md", "commands.md", "trace.md", "architecture.md"])
def test_a_written_document_is_up_to_date(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == pages()[name], "run `make docs`"


def test_every_module_is_in_the_drawing_of_the_house() -> None:
    drawing = (ROOT / "docs/architecture.md").read_text()
    modules = [p for p in (ROOT / "netlab").rglob("*.py") if p.name != "__init__.py"]
    assert [p.name for p in modules if not re.search(rf"^ +{p.name} +\S", drawing, re.M)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_is_there(page: Path) -> None:
    text = page.read_text()
    called = re.findall(r"^\$ (?:sudo )?netlab (\w+)", text, re.M)
    called += re.findall(r"`(?:sudo )?netlab ([a-z]+)[ `]", text)
    assert set(called) <= COMMANDS
    paths = re.findall(r"(?<![\w/])(?:topologies|docs|netlab|tests|demo)/[\w./-]*\w", text)
    assert [path for path in paths if not (ROOT / path).exists() and path not in MADE_UP] == []
    links = re.findall(r"\]\((?!http)([^)#]+)", text)
    assert [link for link in links if not (page.parent / link).exists()] == []
    targets = re.findall(r"(?:^\$ |`)(?:sudo )?make ([a-z]+)", text, re.M)
    made = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M)
    assert set(targets) <= set(made)


MADE_UP = {"netlab/devices/ifb.py", "netlab/nodes/edge.py"}
"""The worked examples of architecture.md, see below."""


def test_the_example_of_the_language_is_fine(write: Write) -> None:
    page = (ROOT / "docs/topology.md").read_text()
    (example,) = re.findall(r"```yaml\n(name: .*?)```", page, re.S)
    file = write(example.partition("\n")[2])
    assert netlab("check", file).err == ""
    done("up", file)


def test_the_kinds_of_the_worked_examples_work(tmp_path: Path, write: Write, lab: str) -> None:
    """h1 ── edge1, in a copy of the house"""
    shutil.copytree(ROOT / "netlab", tmp_path / "netlab")
    page = (ROOT / "docs/architecture.md").read_text()
    examples = dict(re.findall(r"```python\n# (netlab/\S+)\n(.*?)```", page, re.S))
    assert examples.keys() == MADE_UP
    for path, code in examples.items():
        (tmp_path / path).write_text(code)
    file = write(
        "nodes: {h1: {interfaces: {ifb0: {kind: ifb}}}, edge1: {kind: edge, loose: true}}\n"
        "links: [[h1, edge1]]\n"
    )
    checked = subprocess.run(
        [sys.executable, "-m", "netlab", "check", file],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    script = subprocess.run(
        [sys.executable, "-m", "netlab", "script", file],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert f"ip -n {lab}.h1 link add name ifb0 " in script
    assert "echo 2 > /proc/sys/net/ipv4/conf/all/rp_filter" in script
