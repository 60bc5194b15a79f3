"""docs/ci.md and its recipes: what they name is used, and their commands do what they say."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from netlab.kernel import acts, capabilities, names
from netlab.kernel.probe import probe
from tests.live.world import ROOT

PAGE = (ROOT / "docs/ci.md").read_text()
RECIPES = ROOT / "docs/ci"
REDUCED = (ROOT / "tests/reduced.sh").read_text()


def rows(title: str) -> list[list[str]]:
    """The cells of the table under a title."""
    part = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


CAPABILITIES = {
    name: given
    for cell, _, given, _ in rows("Capabilities")
    for name in re.findall(r"CAP_\w+", cell)
}
"""By name: whether Docker gives it by itself."""
ADDED = {name.removeprefix("CAP_") for name, given in CAPABILITIES.items() if given == "no"}


def words_of(group: str) -> set[str]:
    found = re.search(f"^{group}='(.*)'$", REDUCED, re.M)
    assert found is not None
    return {f"CAP_{word.upper()}" for word in found[1].split()}


def test_the_tests_run_with_the_capabilities_of_the_page_and_no_others() -> None:
    groups = [words_of(group) for group in ("needed", "useful", "programs")]
    assert set().union(*groups) == CAPABILITIES.keys()
    assert words_of("needed") == capabilities.NEEDED.keys()
    assert "for name in $needed $useful $programs; do" in REDUCED
    first = [name for cell, *_ in rows("Capabilities")[:4] for name in re.findall(r"CAP_\w+", cell)]
    assert set(first) == words_of("needed")


def test_what_is_told_of_a_lack_is_what_is_said() -> None:
    table = [*rows("Capabilities"), *rows("Mounts and devices")]
    told = {name for *_, cell in table for name in _doctors(cell)}
    known = {finding.name for finding in probe()} | {"trace: tracefs"}
    assert told and told <= known
    for way in ("systempaths=unconfined", "--device /dev/net/tun"):
        assert any(way in said for said in acts.WAYS.values())
        assert way in PAGE
    assert "--security-opt apparmor=unconfined" in names.WAY_OUT
    assert f"`{capabilities.OWN_RUN}`" in PAGE


def _doctors(cell: str) -> list[str]:
    _, found, rest = cell.partition("doctor: ")
    return re.findall(r"`(.*?)`", rest.partition(";")[0]) if found else []


GITHUB = yaml.safe_load((RECIPES / "github.yml").read_text())
GITLAB = yaml.safe_load((RECIPES / "gitlab-ci.yml").read_text())["networks"]
RUNNER = tomllib.loads((RECIPES / "gitlab-runner.toml").read_text())["runners"][0]["docker"]
OPTIONS = {
    "github": GITHUB["jobs"]["container"]["container"]["options"],
    "run": (RECIPES / "run.sh").read_text(),
    "gitlab": " ".join(
        [f"--cap-add {name}" for name in RUNNER["cap_add"]]
        + [f"--security-opt {word}" for word in RUNNER["security_opt"]]
        + [f"--device {path}" for path in RUNNER["devices"]]
    ),
}


@pytest.mark.parametrize("recipe", OPTIONS)
def test_a_recipe_gives_what_the_page_names(recipe: str) -> None:
    options = OPTIONS[recipe]
    assert set(re.findall(r"--cap-add (\w+)", options)) == ADDED
    granted = {"apparmor=unconfined", "systempaths=unconfined"}
    assert set(re.findall(r"--security-opt (\S+)", options)) == granted
    assert re.findall(r"--device (\S+)", options) == ["/dev/net/tun"]
    assert all(f"`--security-opt {word}`" in PAGE for word in granted)


def test_the_image_is_made_of_what_is_there() -> None:
    lines = (RECIPES / "Dockerfile").read_text().splitlines()
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY ")]
    assert [path for paths in copied for path in paths if not (ROOT / path).exists()] == []
    (base,) = (line for line in lines if line.startswith("FROM "))
    version = re.search(r"python:3\.(\d+)-", base)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    least = re.fullmatch(r">=3\.(\d+)", project["requires-python"])
    assert version is not None and least is not None and int(version[1]) >= int(least[1])
    (pip,) = (line for line in lines if line.startswith("RUN pip "))
    needed = {path for paths in copied for path in paths}
    assert {"pyproject.toml", project["readme"], *project["license-files"]} <= needed
    assert "/src " in pip


STEPS = GITLAB["script"]


def test_all_recipes_do_the_same() -> None:
    inside, machine = (
        [step["run"] for step in GITHUB["jobs"][job]["steps"] if "run" in step]
        for job in ("container", "machine")
    )
    assert inside == STEPS
    assert [re.sub(r'^sudo "\$\(command -v (\w+)\)"', r"\1", line) for line in machine[1:]] == STEPS


def test_the_commands_of_the_recipes_work(tmp_path: Path) -> None:
    """In the container that ``make test-reduced`` has as well."""
    (tmp_path / "networks").mkdir()
    for language, path in (("yaml", "lab.yaml"), ("python", "networks/test_reach.py")):
        (text,) = re.findall(rf"```{language}\n# {path}\n(.*?)```", PAGE, re.S)
        (tmp_path / path).write_text(text)
    script = "\n".join(["set -eu", f'PATH="{Path(sys.executable).parent}:$PATH"', *STEPS])
    ended = subprocess.run(
        ["sh", str(ROOT / "tests/reduced.sh"), "sh", "-c", script],
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "1 passed" in ended.stdout.splitlines()[-1]
    assert 'failures="0"' in (tmp_path / "networks.xml").read_text()
    assert 'tests="1"' in (tmp_path / "tests.xml").read_text()
