"""The pytest plugin, by tests that pytest runs in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.world import eventually, netlab

TOPOLOGY = """
nodes: {a: , b: }
links: [[a, b]]
"""

TESTS = '''
import pytest

TEXT = """
nodes: {x: , y: , sw: {kind: switch}}
links: [[x, sw], [y, sw]]
"""

@pytest.mark.topology("two.yaml")
def test_from_a_file(lab):
    assert lab["a"].ping("b")
    print("NAME", lab.name)

@pytest.mark.topology(TEXT)
@pytest.mark.parametrize("n", range(3))
def test_from_text(lab, n):
    assert lab["x"].ping("y")
    print("NAME", lab.name)

def test_shared(labs):
    lab = labs(TEXT)
    lab.link("x", "sw").down()
    print("SHARED", lab.name)

def test_shared_again(labs):
    lab = labs(TEXT)
    assert lab["x"].ping("y")
    print("SHARED", lab.name)

@pytest.mark.topology("two.yaml")
def test_that_fails(lab):
    assert lab["a"].tcp("b", 80) == "connected"

def test_without_a_mark(lab):
    pass
'''


def run(directory: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    (directory / "two.yaml").write_text(TOPOLOGY)
    (directory / "test_it.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", *words]
    return subprocess.run(
        command, cwd=directory, env={**os.environ, **more}, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip


def mine(pid: int) -> list[str]:
    return [line["lab"] for line in netlab("ls", "--json").json if f"py{pid}" in line["lab"]]


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_labs_as_fixtures(workers: tuple[str, ...], tmp_path: Path, host_unchanged: None) -> None:
    found = run(tmp_path, *workers, PYTEST_ADDOPTS="")
    last = found.stdout.splitlines()[-1]
    assert re.search(r"1 failed, 6 passed, 1 error", last), found.stdout
    assert "which topology?" in found.stdout
    assert "assert 'refused' == 'connected'" in found.stdout
    names = re.findall(r"^NAME (\S+)", found.stdout, re.M)
    assert len(names) == len(set(names)) == 4
    shared = set(re.findall(r"^SHARED (\S+)", found.stdout, re.M))
    assert 1 <= len(shared) <= (2 if workers else 1)


KILLED = """
import os, time

def test_it(labs):
    lab = labs("two.yaml")
    print("PID", os.getpid(), flush=True)
    time.sleep(60)
"""


def test_of_a_killed_pytest_nothing_is_left(tmp_path: Path, host_unchanged: None) -> None:
    (tmp_path / "two.yaml").write_text(TOPOLOGY)
    (tmp_path / "test_it.py").write_text(KILLED)
    command = [sys.executable, "-m", "pytest", "-s", "-q", "-p", "no:cacheprovider"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("PID"):
                break
        assert len(mine(process.pid)) == 1
        process.send_signal(signal.SIGKILL)
    eventually(lambda: None if mine(process.pid) else True)


def test_where_labs_cannot_be_made_tests_are_skipped_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text(TOPOLOGY)
    (tmp_path / "test_it.py").write_text(
        "import pytest\n@pytest.mark.topology('two.yaml')\ndef test_it(lab): pass\n"
    )
    found = subprocess.run(
        ["setpriv", "--bounding-set", "-sys_admin", sys.executable, "-m", "pytest", "-rs",
         "-p", "no:cacheprovider"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "1 skipped" in found.stdout, found.stdout + found.stderr
    assert "CAP_SYS_ADMIN" in found.stdout
