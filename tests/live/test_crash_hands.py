"""What somebody did by hand behind netlab's back, the worst of it: said, healed or left alone.

    a ── gw
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab.kernel import libc
from netlab.kernel.supervisor.record import start_ticks
from tests.live.conftest import Write
from tests.live.crash import differing, look, nothing_is_left
from tests.live.life import namespaces
from tests.live.processes import pid as pid_of
from tests.live.world import NETLAB, ROOT, Said, done, eventually, inside, netlab, tool

TEXT = """\
nodes: {a: {files: {/etc/motd: {text: hello}}}, gw: {kind: router}}
links: [[a, gw]]
"""
BUSY = """\
nodes: {a: {processes: {p: {run: [sleep, "600"]}}}, b: }
links: [[a, b]]
"""


@pytest.fixture
def unmarked() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Programs that know nothing of netlab."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for one in started:
        one.kill()
        one.wait()


def sleeper(ns: str) -> subprocess.Popen[bytes]:
    """Somebody's program inside, by ``nsenter``: no mark, no mount, nothing of netlab's."""
    command = ["nsenter", f"--net=/run/netns/{ns}", "sleep", "600"]
    child = subprocess.Popen(command, env={"PATH": os.environ["PATH"]})
    eventually(lambda: Path(f"/proc/{child.pid}/cmdline").read_bytes().startswith(b"sleep\0"))
    return child


def test_a_foreign_program_in_a_node_ends_with_it(
    write: Write, lab: str, unmarked: list[subprocess.Popen[bytes]]
) -> None:
    file = write(TEXT)
    done("up", file)
    unmarked += [sleeper(f"{lab}.a"), sleeper(f"{lab}.gw")]
    write(TEXT.replace("a: {files", "b: {files").replace("[a, gw]", "[b, gw]"))
    done("up", file)
    assert unmarked[0].wait(10) == -signal.SIGKILL
    assert unmarked[1].poll() is None
    done("down", lab)
    assert unmarked[1].wait(10) == -signal.SIGKILL
    assert nothing_is_left(lab)


def test_a_foreign_program_in_a_node_whose_name_is_gone_goes_on(
    write: Write, lab: str, unmarked: list[subprocess.Popen[bytes]]
) -> None:
    """Nobody can tell any more that it was the lab's; nothing of the lab is left all the same."""
    file = write(TEXT)
    done("up", file)
    wanted = look(lab)
    unmarked.append(sleeper(f"{lab}.a"))
    tool("ip", "netns", "del", f"{lab}.a")
    done("up", file)
    assert differing(lab, wanted) == []
    assert inside(lab, "a", "ping", "-c1", "-W2", "gw").code == 0
    tool("ip", "netns", "del", f"{lab}.a")
    done("down", lab)
    assert unmarked[0].poll() is None
    assert nothing_is_left(lab)


def test_a_deleted_state_directory_of_a_lab_is_told_with_the_way_out(
    write: Write, lab: str
) -> None:
    file = write(TEXT)
    done("up", file)
    shutil.rmtree(f"/run/netlab/{lab}")
    assert lab not in done("ls")
    said = netlab("down", lab)
    assert (said.code, said.out) == (5, "")
    said = netlab("up", file)
    assert (said.code, said.out) == (4, "")
    assert f"`ip netns del {lab}.a` if nobody needs it" in said.err
    assert namespaces(lab) == [f"{lab}.a", f"{lab}.gw"]
    assert not os.path.lexists(f"/run/netlab/{lab}")
    for ns in namespaces(lab):
        tool("ip", "netns", "del", ns)
    done("up", file)
    assert inside(lab, "a", "ping", "-c1", "-W2", "gw").code == 0
    done("down", lab)


def is_deleted(directory: str) -> bool:
    """What notes how long a log is may write it in between."""
    shutil.rmtree(directory, ignore_errors=True)
    return not os.path.exists(directory)


def test_a_deleted_state_directory_of_a_lab_with_processes(write: Write, lab: str) -> None:
    file = write(BUSY)
    done("up", file)
    pid = pid_of(lab, "a/p")
    eventually(lambda: is_deleted(f"/run/netlab/{lab}"))
    for ns in namespaces(lab):
        tool("ip", "netns", "del", ns)
    done("up", file)
    assert pid_of(lab, "a/p") != pid
    done("down", lab)
    assert not os.path.exists(f"/proc/{pid}")
    assert nothing_is_left(lab)


def test_a_lost_hosts_file_or_entry_does_no_harm(write: Write, lab: str) -> None:
    file = write(TEXT)
    done("up", file)
    shutil.rmtree(f"/run/netlab/{lab}/nodes")
    os.unlink(f"/run/netlab/{lab}/hosts")
    assert "Traceback" not in inside(lab, "a", "true").err
    done("down", lab)
    assert nothing_is_left(lab)


BARE_RUN = """
mount -t tmpfs -o mode=0755 none /run
set -e
"$0" -m netlab up "$1" > /dev/null
umount -l /run/netns
"$0" -m netlab up "$1" 2>&1 | sed 's/ in .* ms//'
"$0" -m netlab exec "$2" a -- ping -c1 -W2 gw > /dev/null
"$0" -m netlab down "$2" > /dev/null
"$0" -m netlab up "$1" > /dev/null
umount -l /run/netns
"$0" -m netlab down "$2" 2>&1 | sed 's/ in .* ms//'
ls -A /run
"""


def test_run_netns_unmounted_by_hand(write: Write, lab: str) -> None:
    """All the names are gone at once. In a mount namespace with a /run of its own."""
    file = write(TEXT)
    command = ["unshare", "--mount", "sh", "-c", BARE_RUN, NETLAB[0], str(file), lab]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
    *_, down, left = ended.stdout.splitlines()
    assert down == f"{lab} is down: 2 nodes"
    assert left == "mount"  # of mount(8)


@pytest.mark.parametrize("over", ["/proc/self/status", "/proc/self/ns/net"])
def test_something_else_is_mounted_over_a_name(write: Write, lab: str, over: str) -> None:
    """What cannot be seen has gone; what comes to light again is nobody's, which is told."""
    file, name = write(TEXT), f"/run/netns/{lab}.a"
    done("up", file)
    tool("mount", "--bind", over, name)
    try:
        said = netlab("up", file)
        assert (said.code, said.out) == (4, ""), said
        assert "Traceback" not in said.err
        assert netlab("exec", lab, "a", "--", "true").code == 3
    finally:
        libc.unmount(name)
    assert f"`ip netns del {lab}.a` if nobody needs it" in netlab("up", file).err
    tool("ip", "netns", "del", f"{lab}.a")
    done("up", file)
    done("down", lab)
    assert nothing_is_left(lab)


def test_a_renamed_interface_and_one_added_by_hand(write: Write, lab: str) -> None:
    """Somebody has moved the lab's aside and put another one in its place."""
    file = write(TEXT)
    done("up", file)
    wanted = look(lab)
    a = f"{lab}.a"
    tool("ip", "-n", a, "link", "set", "eth0", "down")
    tool("ip", "-n", a, "link", "set", "eth0", "name", "aside")
    assert "eth0 was deleted or renamed by hand" in done("plan", file)
    done("up", file)
    assert differing(lab, wanted) == []
    tool("ip", "-n", a, "link", "add", "mine", "type", "bridge")
    assert "is unchanged" in done("up", file)
    assert "mine" in tool("ip", "-n", a, "link")
    done("down", lab)
    assert nothing_is_left(lab)


# another boot


def test_what_an_earlier_boot_left_hurts_nothing_of_this_one(
    write: Write, lab: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    unmarked: list[subprocess.Popen[bytes]],
) -> None:  # fmt: skip
    """The journal and the records are of another boot; their names, inodes and pids are others'."""
    state = tmp_path / "state"
    monkeypatch.setenv("NETLAB_STATE", str(state))
    file, kept = write(BUSY), tmp_path / "kept"
    done("up", file)
    shutil.copytree(state / lab, kept, ignore=shutil.ignore_patterns("*.sock"))
    done("down", lab)
    ns = f"{lab}.a"
    tool("ip", "netns", "add", ns)
    inode = os.stat(f"/run/netns/{ns}").st_ino
    unmarked.append(sleeper(ns))
    theirs = unmarked[0].pid
    another_boot(kept, theirs, {ns: inode, f"{lab}.b": inode})

    def left(words: tuple[str | Path, ...]) -> Said:
        shutil.copytree(kept, state / lab, dirs_exist_ok=True)
        for place in (state, state / lab):
            place.chmod(0o755)
        return netlab(*words)

    swept = "the machine has been started anew since"
    assert swept in left(("gc",)).out
    assert not state.exists()
    assert swept in left(("down", lab)).out
    assert not state.exists()
    assert "lost" in left(("ls",)).out
    for words in (
        "show {}", "show {} a", "show {} a --rules", "exec {} a -- true", "exec --all {} -- true",
        "shell {} a", "conntrack {}", "logs {}", "stop {} a",
    ):  # fmt: skip
        said = left(tuple(words.format(lab).split()))
        assert (said.code, said.out) == (5, ""), said
        assert said.err.startswith(f"no lab {lab} is up: {swept}"), words
    said = left(("up", file))
    assert (said.code, said.out) == (4, ""), said
    assert f"`ip netns del {ns}` if nobody needs it" in said.err
    assert unmarked[0].poll() is None
    assert os.stat(f"/run/netns/{ns}").st_ino == inode
    tool("ip", "netns", "del", ns)
    assert left(("up", file)).code == 0
    assert pid_of(lab, "a/p") != theirs
    done("down", lab)
    assert unmarked[0].poll() is None
    assert not state.exists()


def another_boot(kept: Path, pid: int, inodes: dict[str, int]) -> None:
    header, *lines = (kept / "journal").read_text().splitlines()
    told = [json.dumps({**json.loads(header), "boot": "another"})]
    for line in map(json.loads, lines):
        told.append(json.dumps({**line, "inodes": inodes} if "inodes" in line else line))
    (kept / "journal").write_text("".join(f"{line}\n" for line in told))
    record = kept / "processes" / "a" / "p.json"
    known = json.loads(record.read_text())
    known |= {"pid": pid, "ticks": start_ticks(pid), "session": pid, "inode": min(inodes.values())}
    record.write_text(json.dumps(known))
