"""The state directory: full, missing, somebody else's; and /run/netns, there before or not."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.live.conftest import Write
from tests.live.life import namespaces, nothing_of
from tests.live.world import NETLAB, ROOT, done, netlab, program, tool

TEXT = """\
nodes: {a: {env: {A: b}}, b: }
links: [[a, b]]
"""


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state directory of one's own."""
    place = tmp_path / "state"
    monkeypatch.setenv("NETLAB_STATE", str(place))
    yield place
    monkeypatch.setenv("NETLAB_STATE", str(place))
    netlab("down", "--all")


@pytest.fixture
def disk(state: Path) -> Iterator[Path]:
    """The state directory is a small file system: 64 KiB."""
    state.mkdir(mode=0o755)
    tool("mount", "-t", "tmpfs", "-o", "size=64k,mode=0755", "netlab-test", str(state))
    yield state
    netlab("down", "--all")
    tool("umount", str(state))


def fill(disk: Path) -> None:
    with (disk / "ballast").open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass


FULL = "No space left on device"


def test_on_a_full_disk_nothing_comes_up(write: Write, lab: str, disk: Path) -> None:
    file = write(TEXT)
    fill(disk)
    said = netlab("up", file)
    assert (said.code, said.out) == (3, "")
    assert FULL in said.err
    assert (namespaces(lab), os.listdir(disk)) == ([], ["ballast"])
    (disk / "ballast").unlink()
    done("up", file)
    done("down", lab)


def test_a_disk_that_fills_up_on_the_way(write: Write, lab: str, disk: Path) -> None:
    """The first batch of 200 namespaces is written down, a later one is not."""
    nodes = "".join(f"  node-{n:03}: {{sysctls: {{net.ipv4.ip_forward: 1}}}}\n" for n in range(600))
    said = netlab("up", write(f"nodes:\n{nodes}"))
    assert (said.code, said.out) == (3, "")
    assert FULL in said.err
    assert "walking back" not in said.err
    assert (namespaces(lab), os.listdir(disk)) == ([], [])


def test_on_a_full_disk_a_lab_goes_down(write: Write, lab: str, disk: Path) -> None:
    done("up", write(TEXT))
    fill(disk)
    assert "is down" in done("down", lab)
    assert (namespaces(lab), os.listdir(disk)) == ([], ["ballast"])


def test_on_a_full_disk_a_lab_stays_as_it_is(write: Write, lab: str, disk: Path) -> None:
    done("up", write(TEXT))
    fill(disk)
    more = "".join(f", c{n}: " for n in range(200))
    said = netlab("up", write(TEXT.replace("b: }", f"b: {more}}}")))
    assert (said.code, said.out) == (3, "")
    assert FULL in said.err
    assert namespaces(lab) == [f"{lab}.a", f"{lab}.b"]
    (disk / "ballast").unlink()
    assert "is unchanged" in done("up", write(TEXT))
    done("down", lab)


def test_a_state_directory_that_cannot_be_trusted(write: Write, lab: str, state: Path) -> None:
    file, elsewhere = write(TEXT), state.parent / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    state.symlink_to(elsewhere)
    refused(file, lab, f"{state} is a symbolic link")
    state.unlink()
    state.write_text("")
    refused(file, lab, f"{state} is not what netlab would put there")
    state.unlink()
    state.mkdir(mode=0o755)
    os.chown(state, 12345, 12345)
    refused(file, lab, f"{state} belongs to user 12345")
    os.chown(state, 0, 0)
    state.chmod(0o777)
    refused(file, lab, f"{state} can be written to by others")
    state.chmod(0o755)
    (state / lab).symlink_to(elsewhere)
    refused(file, lab, f"{state}/{lab} is a symbolic link")
    (state / lab).unlink()
    (state / lab).mkdir(mode=0o755)
    (state / lab / "journal").symlink_to(elsewhere / "journal")
    refused(file, lab, f"{state}/{lab}/journal is a symbolic link")
    assert os.listdir(elsewhere) == []


def refused(file: Path, lab: str, words: str) -> None:
    for command in (["up", file], ["plan", file], ["down", lab]):
        said = netlab(*command)
        assert (said.code, said.out, said.err.partition("\n")[0]) == (3, "", words), command
    assert namespaces(lab) == []


def test_a_state_directory_below_one_that_is_missing(
    write: Write, lab: str, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETLAB_STATE", f"{state}/deep")
    said = program("up", write(TEXT))
    assert (said.code, said.out) == (3, "")
    assert f"{state}/deep cannot be made: No such file or directory" in said.err
    assert namespaces(lab) == []


def test_all_goes_down_and_is_swept_in_one_state_directory_only(
    write: Write, lab: str, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(TEXT)
    monkeypatch.delenv("NETLAB_STATE")
    done("up", file)
    monkeypatch.setenv("NETLAB_STATE", str(state))
    others = [f"{lab}-{n}" for n in range(3)]
    for name in others:
        write(f"name: {name}\n{TEXT}")
        done("up", file)
    assert done("gc") == "nothing to sweep\n"
    said = done("down", "--all")
    assert [f"{name} is down" in said for name in others] == [True] * 3
    assert lab not in done("down", "--all")
    assert not state.exists()
    assert len(namespaces(lab)) == 2
    monkeypatch.delenv("NETLAB_STATE")
    done("down", lab)
    assert nothing_of(lab)


BARE = """
mount -t tmpfs -o mode=0755 none /run
[ "$1" = absent ] || ip netns add zz
ls -A /run > /run/before
"$0" -m netlab up "$2" > /dev/null && ls -A /run /run/netns
"$0" -m netlab down "$3" > /dev/null && ls -A /run | diff /run/before -
"""


@pytest.mark.parametrize(("there", "others"), [("absent", []), ("there", ["zz"])])
def test_run_netns_is_as_it_was(write: Write, lab: str, there: str, others: list[str]) -> None:
    """In a mount namespace with a /run of its own."""
    command = ["unshare", "--mount", "sh", "-c", BARE, NETLAB[0], there, str(write(TEXT)), lab]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
    nodes = [f"{lab}.a", f"{lab}.b", *others]
    mark = ["netns.netlab"] if there == "absent" else []
    run = ["/run:", "before", "netlab", "netns", *mark]
    assert ended.stdout.split() == [*run, "/run/netns:", *nodes]
