"""A machine that lacks what netlab stands on: one sentence says what, and nothing is touched."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from netlab.kernel import libc, names
from netlab.kernel.names import WAY_OUT
from tests.live.conftest import Write
from tests.live.life import namespaces, nothing_of
from tests.live.world import NETLAB, ROOT, Said, done

TEXT = "nodes: {a: , b: }\nlinks: [[a, b]]\n"


def bare(words: list[str], *command: object) -> Said:
    """A command of netlab, started by another program."""
    whole = [*words, *NETLAB, *map(str, command)]
    ended = subprocess.run(whole, capture_output=True, text=True, cwd=ROOT, timeout=60)
    return Said(ended.returncode, ended.stdout, ended.stderr)


WITHOUT_PROC = ["unshare", "--mount", "sh", "-c", 'umount -l /proc && exec "$0" "$@"']
NO_PROC = "/proc is not mounted, or is not Linux's\n  mount -t proc proc /proc\n"


@pytest.mark.parametrize("words", ["up {}", "doctor", "doctor {}"])
def test_without_proc_nothing_begins(write: Write, lab: str, words: str) -> None:
    command = words.format(write(TEXT)).split()
    assert bare(WITHOUT_PROC, *command) == Said(3, "", NO_PROC)
    assert nothing_of(lab)


@pytest.mark.parametrize("command", ["ls", "gc"])
def test_without_proc_nothing_is_said_of_labs(write: Write, lab: str, command: str) -> None:
    done("up", write(TEXT))
    assert bare(WITHOUT_PROC, command) == Said(3, "", NO_PROC)
    assert len(namespaces(lab)) == 2


OTHER_PROC = "/proc is that of another pid namespace\n  mount -t proc proc /proc\n"


@pytest.mark.parametrize("words", ["up {}", "doctor", "doctor {}"])
def test_with_the_proc_of_others_nothing_begins(write: Write, lab: str, words: str) -> None:
    """Its numbers of processes are not ours."""
    command = words.format(write(TEXT)).split()
    alone = ["unshare", "--pid", "--fork", "--kill-child"]
    assert bare(alone, *command) == Said(3, "", OTHER_PROC)
    assert nothing_of(lab)
    alone += ["--mount-proc"]
    if command[0] == "doctor":
        assert bare(alone, *command).code == 0


CAPABILITIES = {
    "-sys_admin": "CAP_SYS_ADMIN",
    "-net_admin": "CAP_NET_ADMIN",
    "-all": "CAP_KILL CAP_NET_ADMIN CAP_SYS_PTRACE CAP_SYS_ADMIN",
    "-sys_ptrace": "CAP_SYS_PTRACE",
    "-kill": "CAP_KILL",
}


@pytest.mark.parametrize("dropped", CAPABILITIES)
def test_root_without_a_capability_is_told_which(write: Write, lab: str, dropped: str) -> None:
    file = write(TEXT)
    names = CAPABILITIES[dropped].split()
    words = ["setpriv", f"--bounding-set={dropped}", f"--inh-caps={dropped}"]
    ways = " ".join(f"--cap-add {name}" for name in names)
    why = f"root has no {' and no '.join(names)} here"
    told = f"{why}\n  a container needs --privileged or {ways}\n"
    assert bare(words, "up", file) == Said(3, "", told)
    assert nothing_of(lab)
    said = bare(words, "doctor", file)
    assert said.code == 3
    line = f"no  root     making network namespaces  {' '.join(names)}  (Operation not permitted)"
    assert line in said.out.splitlines()


OWN_RUN = """\
mount -t tmpfs -o mode=0755 none /run
{before}
"$0" -m netlab up "$1"
echo "exit $?"
ls -A /run
"""
IN_THE_WAY = {
    "mkdir /run/netns; mount -t tmpfs -o ro none /run/netns": "Read-only file system",
    "touch /run/netns": "File exists",
    "touch /run/file; ln -s file /run/netns": "File exists",
}


@pytest.mark.parametrize("before", IN_THE_WAY)
def test_where_no_namespace_can_be_named_it_is_said(write: Write, before: str) -> None:
    """In a mount namespace with a /run of its own."""
    script = OWN_RUN.format(before=before)
    command = ["unshare", "--mount", "sh", "-c", script, NETLAB[0], str(write(TEXT))]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert ended.stderr == f"/run/netns cannot be used: {IN_THE_WAY[before]}\n  {WAY_OUT}\n"
    assert ended.stdout.splitlines()[0] == "exit 3"
    assert "netlab" not in ended.stdout.split()


TWO = """\
mount -t tmpfs -o mode=0755 none /run
lab=$2
first() { NETLAB_STATE=/run/first "$PYTHON" -m netlab "$@" > /dev/null; }
other() { NETLAB_STATE=/run/other "$PYTHON" -m netlab "$@" > /dev/null; }
first up "$1"
sed "s/^/name: $lab-2\\n/;1q" "$1" > /run/other.yaml; tail -n +2 "$1" >> /run/other.yaml
other up /run/other.yaml
first down "$lab"; ls /run/netns | tr '\\n' ' '
other exec "$lab-2" a -- true; echo "exit $?"
other down "$lab-2"
ls -A /run
"""


def test_who_comes_last_tidies_up_whichever_state_directory(write: Write, lab: str) -> None:
    """The lab of one makes /run/netns; the lab of the other is there when that goes."""
    env = {**os.environ, "PYTHON": NETLAB[0]}
    command = ["unshare", "--mount", "sh", "-c", TWO, "sh", str(write(TEXT)), lab]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, env=env)
    assert (ended.returncode, ended.stderr) == (0, "")
    named = f"{lab}-2.a {lab}-2.b exit 0"
    assert ended.stdout.splitlines() == [named, "other.yaml"]


def is_mounted(path: Path) -> bool:
    return f" {path} " in Path("/proc/self/mounts").read_text()


def test_nobody_tidies_up_under_who_is_at_work(tmp_path: Path) -> None:
    """As another lab's `down` does between `prepare_directory` and the first name."""
    netns, state = tmp_path / "netns", tmp_path / "state"
    with names.in_use(str(netns)):
        names.tidy_directory(str(netns), str(state))
        assert is_mounted(netns)
    names.tidy_directory(str(netns), str(state))
    assert list(tmp_path.iterdir()) == []


def test_what_ip_netns_has_made_is_left_to_it(tmp_path: Path) -> None:
    netns = tmp_path / "netns"
    netns.mkdir()
    libc.mount(str(netns), str(netns), "none", libc.MS_BIND)
    with names.in_use(str(netns)):
        pass
    names.tidy_directory(str(netns), str(tmp_path / "state"))
    assert is_mounted(netns)
    libc.unmount(str(netns))
    assert list(tmp_path.iterdir()) == [netns]
