"""The commands as an ordinary user, who may look at everything and change nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import Write
from tests.live.world import ROOT, Said, done

AS_NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
GOOD = "nodes: {a: , b: }\nlinks: [[a, b]]\n"
MAKING_NEEDS_ROOT = (
    "making network namespaces needs root\n"
    "  run it with sudo, or in a user namespace (`unshare --map-root-user …`, see docs/ci.md)\n"
)


@pytest.fixture(scope="module")
def package() -> Iterator[Path]:
    """netlab and what it stands on, where everybody may read (not below tmp_path)."""
    place = Path("/tmp") / f"netlab-user-{os.getpid()}"
    shutil.copytree(ROOT / "netlab", place / "netlab")
    site = sysconfig.get_paths()["purelib"]
    shutil.copytree(site, place / "site", ignore=shutil.ignore_patterns("mypy*", "ruff*", "pip*"))
    subprocess.run(["chmod", "-R", "a+rX", place], check=True)
    yield place
    shutil.rmtree(place)


@pytest.fixture
def user(package: Path, tmp_path: Path) -> Any:
    here = package / tmp_path.name
    here.mkdir(mode=0o777)
    here.chmod(0o777)
    (here / "good.yaml").write_text(GOOD)

    def call(*words: str | Path) -> Said:
        return as_nobody([python(), "-m", "netlab", *map(str, words)], here, package)

    return call


def as_nobody(words: list[str], here: Path, package: Path) -> Said:
    ended = subprocess.run(
        [*AS_NOBODY, *words],
        capture_output=True, text=True, timeout=60, cwd=here,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{package}:{package}/site"},
    )  # fmt: skip
    return Said(ended.returncode, ended.stdout, ended.stderr)


def python() -> str:
    """One that an ordinary user may start."""
    for found in (sys.executable, shutil.which("python3", path="/usr/bin:/usr/local/bin")):
        same = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
        tried = [*AS_NOBODY, found or "false", "-c", same]
        if found and subprocess.run(tried, capture_output=True).returncode == 0:
            return found
    pytest.skip("no Python that an ordinary user may start")


def test_who_may_not_make_namespaces_is_told_to_use_sudo(user: Any, write: Write, lab: str) -> None:
    file = write(GOOD)
    assert user("up", "good.yaml") == Said(3, "", MAKING_NEEDS_ROOT)
    assert not Path("/run/netlab/good").exists()
    done("up", file)
    for words in (["down", lab], ["down", "--all"], ["gc"]):
        assert user(*words) == Said(3, "", MAKING_NEEDS_ROOT)
    for words in (["exec", lab, "a", "--", "id"], ["exec", lab, "a", "id"], ["shell", lab, "a"]):
        assert user(*words) == Said(
            3, "", "a cannot be entered: Operation not permitted (setns)\n"
            "  run it with sudo\n",
        )  # fmt: skip
    assert user("exec", "--all", lab, "--", "id").code == 3
    for words in (["show", lab, "a", "--rules"], ["conntrack", lab], ["conntrack", lab, "--flush"]):
        needs = "to look into a namespace needs root\n  run it with sudo\n"
        assert user(*words) == Said(3, "", needs)


def test_looking_needs_no_root(user: Any, write: Write, lab: str) -> None:
    assert user("check", "good.yaml").out == "good.yaml: good is fine: 2 nodes, 1 link, 8 steps\n"
    for words in (
        ["plan", "good.yaml"], ["up", "--dry-run", "good.yaml"], ["script", "good.yaml"],
        ["schema"], ["kinds"], ["kinds", "router"], ["init", "mine"], ["--help"], ["--version"],
    ):  # fmt: skip
        said = user(*words)
        assert (said.code, said.err) == (0, "")
        assert said.out
    done("up", write(GOOD))
    assert f"{lab} " in user("ls").out
    assert user("show", lab).out.splitlines()[1:] == done("show", lab).splitlines()[1:]
    assert user("show", lab, "a").out == done("show", lab, "a")


def test_the_doctor_tells_what_root_would_change(user: Any) -> None:
    said = user("doctor")
    assert said.code == 3
    (line,) = (line for line in said.out.splitlines() if line.startswith("no   root"))
    assert line.endswith("sudo  (Operation not permitted)")


@pytest.mark.parametrize("target", ["demo", "test", "check"])
def test_make_says_in_one_sentence_what_to_do(target: str, package: Path) -> None:
    shutil.copy(ROOT / "Makefile", package / "Makefile")
    said = as_nobody(["make", "-s", target], package, package)
    assert said.code != 0
    assert said.out == (
        "netlab makes network namespaces, which needs root: "
        f"run 'sudo make {target}'\n"
    )
