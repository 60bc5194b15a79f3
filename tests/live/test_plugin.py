"""The pytest plugin, by tests that pytest runs in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.world import eventually, netlab, tool

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
DATA = {"nodes": {"p": None, "q": None}, "links": [["p", "q"]]}

@pytest.mark.topology("two.yaml")
def test_from_a_file(lab):
    assert lab["a"].ping("b")
    print("NAME", lab.name)

@pytest.mark.topology(TEXT)
@pytest.mark.parametrize("n", range(3))
def test_from_text(lab, n):
    assert lab["x"].ping("y")
    print("NAME", lab.name)

@pytest.mark.topology(DATA)
def test_from_data(lab):
    with lab["p"].popen("sleep", "60") as sleeping:
        sleeping.terminate()
    assert lab["q"].run("echo", "hello").stdout == "hello\\n"
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

@pytest.mark.topology(TEXT, scope="life")
def test_of_no_scope(lab):
    pass

@pytest.mark.topology("nodes: {x: }\\nlinks: [[x, z]]\\n")
def test_of_a_mistake(lab):
    pass

def test_of_no_file(labs):
    labs("three.yaml")
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


@pytest.mark.parametrize("workers", [(), ("-n", "4")])
def test_labs_as_fixtures(workers: tuple[str, ...], tmp_path: Path, host_unchanged: None) -> None:
    found = run(tmp_path, *workers, PYTEST_ADDOPTS="")
    last = found.stdout.splitlines()[-1]
    assert re.search(r"2 failed, 7 passed, 3 errors", last), found.stdout
    assert "which topology?" in found.stdout
    assert "there are function, class, module, package, session" in found.stdout
    assert "assert 'refused' == 'connected'" in found.stdout
    assert "lab.yaml:2:13  links[0][1]: unknown node 'z'" in found.stdout
    assert "three.yaml: No such file or directory" in found.stdout
    assert "netlab/api.py" not in found.stdout, "whose mistake it is needs none of netlab's code"
    names = re.findall(r"^NAME (\S+)", found.stdout, re.M)
    assert len(names) == len(set(names)) == 5
    shared = set(re.findall(r"^SHARED (\S+)", found.stdout, re.M))
    assert 1 <= len(shared) <= (4 if workers else 1)


FAILS = """
import pytest

@pytest.mark.topology("two.yaml")
def test_it(lab):
    print("from the test")
    assert lab["a"].ping("b")
    assert lab["a"].tcp("b", 81) == "connected"

def test_two(labs):
    assert labs("two.yaml")["a"].ping("b")
    assert labs({"nodes": {"p": None, "q": None}, "links": [["p", "q"]]}) is None

@pytest.mark.topology("two.yaml")
@pytest.mark.xfail
def test_that_may_fail(lab):
    assert False

@pytest.mark.topology("two.yaml")
def test_that_passes(lab):
    pass
"""


def fails(directory: Path, *words: str) -> tuple[str, list[Path]]:
    """What pytest says, and the indexes that it names."""
    (directory / "two.yaml").write_text(TOPOLOGY)
    (directory / "test_it.py").write_text(FAILS)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words]
    said = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=120)
    named = re.findall(r"^all about lab \S+: (.+)$", said.stdout, re.M)
    return said.stdout, [Path(name) for name in named]


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_of_a_failed_test_all_is_written_down(
    workers: tuple[str, ...], tmp_path: Path, host_unchanged: None
) -> None:
    place = tmp_path / "bundles"
    said, indexes = fails(tmp_path, *workers, "--netlab-bundles", str(place))
    assert len(indexes) == len({*indexes}) == 3, said
    assert {index.parent.name for index in indexes} == {"test_it", "test_two", "test_two-2"}
    assert {path.name for path in place.iterdir()} == {index.parent.name for index in indexes}
    first = (place / "test_it" / "index.md").read_text()
    assert first.splitlines()[0].endswith(": test_it.py::test_it")
    assert "assert 'refused' == 'connected'" in first
    assert "from the test" in first
    packets = tool("tcpdump", "-nr", str(place / "test_it" / "packets.pcapng"), "tcp port 81")
    assert "Flags [R" in packets
    assert (place / "test_it" / "nodes" / "b" / "links.txt").exists()


def test_bundles_are_kept_as_pytest_keeps_its_own_files_or_not_at_all(tmp_path: Path) -> None:
    base = f"--basetemp={tmp_path / 'base'}"
    _, indexes = fails(tmp_path, base, "-k", "test_it and not two and not that")
    assert [index.is_relative_to(tmp_path / "base") for index in indexes] == [True]
    _, none = fails(tmp_path, base, "--netlab-bundles", "off")
    assert none == []
    (tmp_path / "pytest.ini").write_text("[pytest]\nnetlab_packets = 0\nnetlab_bundles = kept\n")
    _, silent = fails(tmp_path, base, "-k", "test_two")
    assert [index.parent.parent for index in silent] == [tmp_path / "kept"] * 2
    assert not (silent[0].parent / "packets.pcapng").exists()


SCOPES = """
import pytest

pytestmark = pytest.mark.topology("two.yaml", scope="module")

def test_first(lab):
    lab.link("a", "b").down()
    lab["b"].run("ip", "address", "flush", "dev", "eth0")
    print("MODULE", lab.name)

def test_second(lab):
    assert lab["a"].ping("b")
    print("MODULE", lab.name)

@pytest.mark.topology("two.yaml", scope="class")
class TestOfAClass:
    def test_third(self, lab):
        print("CLASS", lab.name)

    def test_fourth(self, lab):
        print("CLASS", lab.name)

@pytest.mark.topology("two.yaml", scope="class")
class TestOfAnotherClass:
    def test_fifth(self, lab):
        print("CLASS", lab.name)

def test_sixth(lab):
    from netlab.lab.state import labs
    from netlab.cli.which import state_directory
    print("MODULE", lab.name)
    mine = lab.name.rpartition("-")[0]
    print("UP", sum(name.startswith(mine) for name in labs(state_directory())))
"""


def test_a_lab_may_be_for_a_module_or_a_class(tmp_path: Path, host_unchanged: None) -> None:
    (tmp_path / "two.yaml").write_text(TOPOLOGY)
    (tmp_path / "test_it.py").write_text(SCOPES)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120).stdout
    assert "6 passed" in said, said
    assert len(set(re.findall(r"^MODULE (\S+)", said, re.M))) == 1
    third, fourth, fifth = re.findall(r"^CLASS (\S+)", said, re.M)
    assert third == fourth != fifth
    assert "UP 1\n" in said


KILLED = """
import os, time

def test_it(labs):
    lab = labs("two.yaml")
    with open(os.environ["NOTE"] + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.rename(file.name, os.environ["NOTE"])
    time.sleep(60)
"""


@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_of_a_killed_pytest_nothing_is_left(
    workers: tuple[str, ...], tmp_path: Path, host_unchanged: None
) -> None:
    """With workers it is their parent that is killed, and they go on for a while."""
    (tmp_path / "two.yaml").write_text(TOPOLOGY)
    (tmp_path / "test_it.py").write_text(KILLED)
    note = tmp_path / "pid"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *workers]
    environment = {**os.environ, "NOTE": str(note), "PYTEST_ADDOPTS": ""}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL
    ) as process:
        worker = int(eventually(lambda: note.exists() and note.read_text()))
        assert (worker == process.pid) == (not workers)
        assert len(mine(worker)) == 1
        process.send_signal(signal.SIGKILL)
    eventually(lambda: None if mine(worker) else True)


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


def test_what_a_topology_needs_and_the_machine_lacks_is_a_reason_to_skip(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "DATA = {'nodes': {'a': {'interfaces': {'tun0': {'kind': 'tun'}}}}}\n"
        "@pytest.mark.topology(DATA)\ndef test_it(lab): pass\n"
    )
    script = 'mount -t tmpfs tmpfs /dev/net; exec "$0" -m pytest -rs -p no:cacheprovider'
    found = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, sys.executable],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert "1 skipped" in found.stdout, found.stdout + found.stderr
    assert "no tun here (/dev/net/tun): No such file" in found.stdout
