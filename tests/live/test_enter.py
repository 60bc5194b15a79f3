"""Programs in nodes, on the real kernel.

    te<pid>.a (up to eth0)     te<pid>.b (empty)      each a namespace made by ``ip netns add``
"""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab.kernel import enter
from netlab.kernel.view import unshowable

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

LAB = f"te{os.getpid()}"

EXEC = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from netlab.kernel.enter import exec_command
lab, node, inode, state, *argv = sys.argv[1:]
exec_command(lab, node, int(inode), argv, state)
"""


class Lab:
    def __init__(self, state: Path) -> None:
        self.state = state
        self.inodes = {node: Path(f"/run/netns/{LAB}.{node}").stat().st_ino for node in "ab"}

    def entry(self, **entry: object) -> None:
        path = self.state / LAB / "nodes" / "a.json"
        path.write_text(json.dumps(entry))

    def words(self, *argv: str, node: str = "a", inode: int = 0) -> list[str]:
        number = str(inode or self.inodes[node])
        return [sys.executable, "-c", EXEC, LAB, node, number, str(self.state), *argv]

    def run(self, *argv: str, node: str = "a", **more: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # type: ignore[call-overload,no-any-return]
            self.words(*argv, node=node), capture_output=True, text=True, timeout=20, **more
        )

    def out(self, *argv: str) -> str:
        done = self.run(*argv)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def line(self, command: str, stop: bool = False) -> tuple[int, str]:
        place, path = str(self.state / LAB), f"/run/netns/{LAB}.a"
        return enter.run_line(place, path, "a", command, lambda: stop, self.inodes["a"])

    def many(self, *argv: str) -> tuple[dict[str, int], list[tuple[int, str]]]:
        said: list[tuple[int, str]] = []

        def write(fd: int, data: bytes) -> None:
            said.append((fd, data.decode()))

        return enter.run_many(LAB, self.inodes, argv, write, str(self.state)), said


def mounts() -> list[str]:
    """Of this machine, but for the namespaces of other tests that run beside this one."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [line for line in lines if LAB in line or " /run/netns" not in line]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    (tmp_path / LAB / "nodes").mkdir(parents=True)
    (tmp_path / LAB / "hosts").write_text("127.0.0.1 localhost\n10.0.0.1 a\n")
    before = mounts()
    for node in "ab":
        subprocess.run(["ip", "netns", "add", f"{LAB}.{node}"], check=True)
    subprocess.run(["ip", "-n", f"{LAB}.a", "link", "add", "eth0", "type", "bridge"], check=True)
    try:
        yield Lab(tmp_path)
    finally:
        for node in "ab":
            subprocess.run(["ip", "netns", "del", f"{LAB}.{node}"], check=True)
    left = sorted(path.name for path in (tmp_path / LAB).iterdir())
    assert left == ["hosts", "nodes"]
    assert mounts() == before


def test_a_program_sees_its_own_network_and_name(lab: Lab) -> None:
    assert lab.out("hostname") == "a\n"
    assert lab.out("ls", "/sys/class/net") == "eth0\nlo\n"
    assert lab.run("ls", "/sys/class/net", node="b").stdout == "lo\n"
    assert os.uname().nodename != "a"


def test_what_was_mounted_below_sys_is_still_there(lab: Lab) -> None:
    def below(text: str) -> set[str]:
        return {line for line in text.splitlines() if " /sys/" in line}

    inside = below(lab.out("cat", "/proc/self/mounts"))
    assert inside == below(Path("/proc/self/mounts").read_text())
    assert lab.out("ls", "/sys/fs/cgroup").split() == sorted(os.listdir("/sys/fs/cgroup"))


def test_names_come_from_the_lab_and_look_ups_end_at_once(lab: Lab) -> None:
    assert lab.out("cat", "/etc/hosts") == "127.0.0.1 localhost\n10.0.0.1 a\n"
    assert lab.out("cat", "/etc/resolv.conf") == enter.NO_RESOLVER
    lab.entry(hosts=False, resolv="nameserver 10.0.0.53\n")
    assert lab.out("cat", "/etc/hosts") == Path("/etc/hosts").read_text()
    assert lab.out("cat", "/etc/resolv.conf") == "nameserver 10.0.0.53\n"


def test_files_cover_what_is_there_and_appear_where_nothing_was(lab: Lab) -> None:
    files = [
        ("/etc/passwd", "root:x:0:0::/:/bin/sh\n", 0o644),
        (f"/etc/{LAB}.conf", "new\n", 0o600),
        (f"/etc/{LAB}/deep/er", "below\n", 0o644),
        (f"/{LAB}/top", "above\n", 0o755),
    ]
    lab.entry(files=files)
    paths = [path for path, _, _ in files]
    assert lab.out("cat", *paths) == "".join(text for _, text, _ in files)
    assert lab.out("stat", "-c", "%a", *paths).split() == ["644", "600", "644", "755"]
    lab.out("sh", "-c", f"echo changed >> /etc/passwd; touch /etc/{LAB}.x /{LAB}/y; rm {paths[1]}")
    assert lab.out("cat", *paths) == "".join(text for _, text, _ in files)
    assert "changed" not in Path("/etc/passwd").read_text()
    assert not [n for place in ("/", "/etc") for n in os.listdir(place) if n.startswith(LAB)]


def test_a_new_root_keeps_all_that_was_mounted(lab: Lab) -> None:
    def points(text: str) -> set[str]:
        found = {line.split()[1] for line in text.splitlines()} - {"/etc/hosts", "/etc/resolv.conf"}
        return {p for p in found if LAB in p or not p.startswith("/run/netns/")}

    before = points(lab.out("cat", "/proc/self/mounts"))
    lab.entry(files=[[f"/{LAB}/top", "x", 0o644]])
    assert points(lab.out("cat", "/proc/self/mounts")) == before
    assert lab.out("sh", "-c", "echo $$ > /dev/null; readlink /proc/self/exe") != ""


def test_a_link_that_points_nowhere_becomes_the_file(lab: Lab, tmp_path: Path) -> None:
    link = tmp_path / "conf"
    link.symlink_to(tmp_path / "run" / "nowhere")
    lab.entry(files=[[str(link), "here\n", 0o644]])
    assert lab.out("cat", str(link)) == "here\n"
    assert link.is_symlink()
    assert not link.exists()


PLACES = [
    "/etc", "/etc/passwd/new", "/proc/version", "/proc/new", "/proc/sys/net/new", "/sys/new",
    "/sys/class/net/new", "/dev/null", "/dev/new", "/run/new", "/tmp/new/er", "/netlab-new/file",
]  # fmt: skip


@pytest.mark.parametrize("path", PLACES)
def test_what_is_known_to_be_unshowable_is_and_nothing_else(lab: Lab, path: str) -> None:
    lab.entry(files=[[path, "hello", 0o644]])
    shown = lab.run("cat", path)
    assert (shown.stdout != "hello") == (shown.returncode != 0) == bool(unshowable(path)), shown


def test_the_environment_is_the_callers_and_the_nodes(lab: Lab) -> None:
    lab.entry(env=[["GREETING", "good day"], ["LANG", "C"]])
    env = {**os.environ, "MINE": "kept", "LANG": "xx"}
    done = lab.run("env", env=env, cwd="/usr")
    inside = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    told = {"GREETING": "good day", "LANG": "C", "NETLAB_LAB": LAB, "NETLAB_NODE": "a"}
    assert inside == {**env, **told}
    assert lab.run("pwd", cwd="/usr").stdout == "/usr\n"


def test_exit_codes_and_signals_are_the_programs_own(lab: Lab) -> None:
    assert lab.run("sh", "-c", "exit 7").returncode == 7
    assert lab.run("sh", "-c", "kill -TERM $$").returncode == -signal.SIGTERM
    missing = lab.run("no-such-program")
    assert (missing.returncode, missing.stderr) == (
        127, "netlab: a: no-such-program: command not found\n"
    )
    refused = lab.run("/etc/hosts")
    assert (refused.returncode, refused.stderr) == (
        126, "netlab: a: /etc/hosts: Permission denied\n"
    )


def test_pythons_own_signal_choices_do_not_leak(lab: Lab) -> None:
    ignored = next(
        line.split()[1] for line in lab.out("cat", "/proc/self/status").splitlines()
        if line.startswith("SigIgn")
    )
    assert int(ignored, 16) & (1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1) == 0


def test_no_descriptor_is_left_open(lab: Lab) -> None:
    lab.entry(files=[[f"/etc/{LAB}.conf", "", 0o644], [f"/{LAB}/top", "", 0o644]])
    numbers = "import os; print(*sorted(map(int, os.listdir('/proc/self/fd'))))"
    inside, outside = lab.out(sys.executable, "-c", numbers), subprocess.check_output(
        [sys.executable, "-c", numbers], text=True
    )
    assert inside == outside


def test_what_is_piped_in_streams(lab: Lab) -> None:
    with subprocess.Popen(
        lab.words("cat"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as cat:
        assert cat.stdin
        assert cat.stdout
        for word in (b"one\n", b"two\n"):
            cat.stdin.write(word)
            assert cat.stdout.read(4) == word
        cat.stdin.close()
        assert cat.wait(10) == 0


def test_a_terminal_stays_a_terminal(lab: Lab) -> None:
    said = b""

    def read(fd: int) -> bytes:
        nonlocal said
        data = os.read(fd, 1024)
        said += data
        return data

    pid, master = pty.fork()
    if not pid:
        words = lab.words("sh", "-c", "test -t 0 && test -t 1 && echo terminal; kill -INT $$")
        os.execv(words[0], words)
    try:
        while read(master):
            pass
    except OSError:  # EIO: the other side is closed
        pass
    assert (said, os.waitpid(pid, 0)[1]) == (b"terminal\r\n", signal.SIGINT)
    os.close(master)


def test_a_shell_is_the_callers(lab: Lab) -> None:
    code = EXEC.replace("exec_command", "exec_shell").replace("argv, state", "state")
    words = [sys.executable, "-c", code, LAB, "a", str(lab.inodes["a"]), str(lab.state)]
    for shell in ("/bin/sh", "/no/such/shell"):
        done = subprocess.run(
            words, env={**os.environ, "SHELL": shell}, input="hostname; echo $-; exit 4\n",
            capture_output=True, text=True, timeout=20, start_new_session=True,
        )
        name, flags = done.stdout.splitlines()
        assert (done.returncode, name, "i" in flags) == (4, "a", True)


def test_a_foreign_or_missing_namespace_is_refused(lab: Lab) -> None:
    from netlab.errors import LabNotFound, StateRefused

    with pytest.raises(StateRefused, match="is not the namespace that netlab made for a"):
        enter.enter(LAB, "a", lab.inodes["b"], str(lab.state))
    with pytest.raises(LabNotFound, match=f"lab {LAB} has no node c up"):
        enter.enter(LAB, "c", 1, str(lab.state))


def test_a_line_tells_its_code_and_all_it_said(lab: Lab) -> None:
    assert lab.line("hostname; echo oops >&2; exit 3") == (3, "a\noops\n")
    assert lab.line("kill -9 $$") == (137, "")
    code, said = lab.line("head -c 100000 /dev/zero | tr '\\0' x; echo end")
    assert (code, len(said), said[-5:]) == (0, enter.KEPT_OUTPUT, "xend\n")


def test_a_line_does_not_wait_for_what_it_left_running(lab: Lab) -> None:
    begun = time.monotonic()
    assert lab.line("sleep 3 & echo gone") == (0, "gone\n")
    assert time.monotonic() - begun < 2


def test_a_line_is_stopped_with_all_that_it_started(lab: Lab) -> None:
    mark = f"9{os.getpid()}"
    assert lab.line(f"sleep {mark} | sleep {mark}", stop=True) == (137, "")
    commands = [p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline") if p.exists()]
    assert f"sleep\0{mark}\0".encode() not in commands


def test_several_nodes_speak_behind_their_names(lab: Lab) -> None:
    codes, said = lab.many("sh", "-c", "hostname; echo bad >&2; printf end; [ $(hostname) = a ]")
    assert codes == {"a": 0, "b": 1}
    assert sorted(said) == [
        (1, "a | a\n"), (1, "a | end\n"), (1, "b | b\n"), (1, "b | end\n"),
        (2, "a | bad\n"), (2, "b | bad\n"),
    ]


def test_several_nodes_are_told_to_stop(lab: Lab) -> None:
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    codes, said = lab.many("sh", "-c", "trap 'echo bye; exit 5' TERM; sleep 20 & wait")
    assert codes == {"a": 5, "b": 5}
    assert sorted(said) == [(1, "a | bye\n"), (1, "b | bye\n")]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_more_nodes_than_files_may_be_open_take_turns(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netlab.kernel.children._most_at_once", lambda: 1)
    assert lab.many("true") == ({"a": 0, "b": 0}, [])


def test_starting_a_program_takes_hardly_longer_than_starting_python(lab: Lab) -> None:
    def median(words: list[str]) -> float:
        times = []
        for _ in range(15):
            begun = time.perf_counter()
            subprocess.run(words, check=True)
            times.append(time.perf_counter() - begun)
        return sorted(times)[7]

    assert median(lab.words("true")) < 3 * median([sys.executable, "-c", "pass"])
