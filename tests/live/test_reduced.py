"""Containers that withhold something: what `doctor` and the commands say of it.

    a ── gw ── b        in mounts, processes and a network of their own (``tests/reduced.sh``)
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from netlab.kernel import names
from tests.live.conftest import Write
from tests.live.test_cli_user import AS_NOBODY, package
from tests.live.world import NETLAB, ROOT, Said, eventually

__all__ = ["package"]

LAB = """\
routing: static
nodes:
  a:
  b: {processes: {httpd: {run: [python3, -m, http.server, 80], ready: {tcp: 80}}}}
  gw: {kind: router, nat: {masquerade: eth1}}
links: [[a, gw], [gw, b]]
tests:
  - {ping: b, from: a}
  - {tcp: "b:80", from: a}
"""
TUN = "nodes: {a: {interfaces: {tun0: {kind: tun}}}}\n"
NEW = "nodes: {a: {files: {/netlab-new/file: {text: x}}}, b: }\nlinks: [[a, b]]\n"
PLAIN = "nodes: {a: , b: }\nlinks: [[a, b]]\n"

pytestmark = pytest.mark.usefixtures("host_unchanged")


def contained(script: str, *words: object, **more: str) -> Said:
    """A script of `sh` in such a container, where ``netlab`` is the command and $1 … the words."""
    command = f"netlab() {{ '{NETLAB[0]}' -m netlab \"$@\"; }}\n{script}"
    ended = subprocess.run(
        ["sh", "tests/reduced.sh", "sh", "-c", command, "sh", *map(str, words)],
        capture_output=True, text=True, timeout=120, cwd=ROOT, env={**os.environ, **more},
    )  # fmt: skip
    return Said(ended.returncode, ended.stdout, ended.stderr)


def without(capability: str, script: str, *words: object) -> Said:
    inner = f"netlab() {{ '{NETLAB[0]}' -m netlab \"$@\"; }}\n{script}"
    return contained(
        f"drop=-{capability}; inner=$1; shift\n"
        'exec setpriv --bounding-set=$drop --inh-caps=$drop sh -c "$inner" sh "$@"',
        inner, *words,
    )  # fmt: skip


def missing(said: Said) -> list[tuple[str, str]]:
    """What a doctor misses: name, what is to be switched on with the reason."""
    lines = [re.split(r"  +", line) for line in said.out.splitlines() if line.startswith("no ")]
    return [(line[1], " ".join(line[3:])) for line in lines]


# all that docs/ci.md names


def test_what_a_container_is_to_have_is_enough(write: Write, lab: str) -> None:
    file = write(LAB)
    said = contained(
        'netlab doctor >&2 && netlab up "$1" && netlab test "$2" && netlab trace "$2" a b --tcp 80'
        ' && netlab down "$2" && netlab up "$3" && netlab down tun', file, lab,
        _beside(file, TUN, "tun"),
    )  # fmt: skip
    assert said.code == 0, said
    assert missing(Said(0, said.err, "")) == []
    assert "2 passed" in said.out
    assert "foretold    answered, the same way ✓" in said.out
    assert said.out.splitlines()[-1].startswith("tun is down: 1 node")


def _beside(file: Path, text: str, name: str) -> Path:
    other = file.with_name(f"{name}.yaml")
    other.write_text(text)
    return other


WATCHED = "who_reads_it_is_the_end or (the_path_is_the_same and tracefs)"


def test_the_kernels_events_are_understood_there() -> None:
    """They have other numbers of processes than a container, and no names for its own."""
    files = [f"tests/live/test_trace_{name}.py" for name in ("kernel", "tiers")]
    said = contained(f'"$@" -k "{WATCHED}"', NETLAB[0], "-m", "pytest", "-q", *files, "-rs",
                     "-p", "no:cacheprovider")  # fmt: skip
    if "skipped" in said.out.splitlines()[-1]:
        pytest.skip(said.out)
    assert (said.code, said.out.splitlines()[-1].partition(",")[0]) == (0, "2 passed"), said.out


# one thing withheld


def test_without_raw_sockets(write: Write, lab: str) -> None:
    script = """\
netlab doctor
netlab up "$1" > /dev/null
netlab exec "$2" a -- ping -c1 b; echo "exec $?"
netlab capture "$2" --count 1; echo "capture $?"
netlab trace "$2" a b --icmp; echo "trace $?"
netlab test "$2"; echo "test $?"
netlab down "$2" > /dev/null
"""
    said = without("net_raw", script, write(LAB), lab)
    told = "CAP_NET_RAW (Operation not permitted)"
    assert missing(said) == [("raw sockets", told), ("trace: taps", told)]
    way = "  root needs CAP_NET_RAW; a container needs --cap-add CAP_NET_RAW"
    assert [line for line in said.err.splitlines() if "tests" not in line] == [
        "netlab: a: ping: Operation not permitted: it is to have a capability that root has not "
        "here (getcap(8))",
        "a packet socket: the kernel refused: Operation not permitted",
        way,
        "a may not send this: Operation not permitted",
        way,
    ]
    for line in ("exec 126", "capture 4", "trace 3", "test 1"):
        assert line in said.out.splitlines()
    assert f"  why  an echo request takes a raw socket\n  fix{way}" in said.out
    assert "1 passed, 1 inconclusive" in said.out


def test_without_low_ports(write: Write) -> None:
    said = without("net_bind_service", 'netlab doctor; netlab up "$1"; echo "up $?"', write(LAB))
    assert missing(said) == [("low ports", "CAP_NET_BIND_SERVICE (Permission denied)")]
    assert "process httpd: ended with code 1 before it was ready; it said:" in said.err
    assert said.err.splitlines()[-1] == "PermissionError: [Errno 13] Permission denied"
    assert said.out.splitlines()[-1] == "up 4"


def test_without_chroot(write: Write, lab: str) -> None:
    script = """\
netlab doctor "$1"
netlab up "$1" > /dev/null
netlab exec "$2" a -- true; echo "exec $?"
netlab exec "$2" b -- true; echo "exec $?"
netlab down "$2" > /dev/null
"""
    said = without("sys_chroot", script, write(NEW), lab)
    assert missing(said) == [("chroot", "CAP_SYS_CHROOT (Operation not permitted: /)")]
    assert said.err == (
        "a file in / that the machine does not have needs chroot(2)\n"
        "  root needs CAP_SYS_CHROOT; a container needs --cap-add CAP_SYS_CHROOT\n"
    )
    assert said.out.splitlines()[-2:] == ["exec 3", "exec 0"]


def test_without_the_names_of_functions() -> None:
    """Whether they are hidden is also up to sysctls (kernel.kptr_restrict, perf_event_paranoid)."""
    said = without("syslog", "head -c 16 /proc/kallsyms; echo; netlab doctor")
    why = "(/proc/kallsyms hides addresses (sysctl kernel.kptr_restrict, CAP_SYSLOG))"
    hidden = [("trace: tracefs", why)] if said.out.startswith(16 * "0") else []
    assert missing(said) == hidden


BOTH = """\
netlab doctor "$1"; echo "doctor $?"
netlab up "$1"; echo "up $?"
ls -A /run | grep netlab"""


def test_with_a_run_that_is_read_only(write: Write) -> None:
    said = contained(f"mount -o remount,ro /run; {BOTH}", write(PLAIN))
    told = "mount -t tmpfs tmpfs /run (Read-only file system: /run)"
    assert missing(said) == [("/run", told)]
    assert said.out.splitlines()[-2:] == ["doctor 3", "up 3"]
    assert said.err == (
        "/run/netlab cannot be made: Read-only file system\n"
        "  mount -t tmpfs tmpfs /run; Docker: --tmpfs /run\n"
    )
    elsewhere = contained(f"mount -o remount,ro /run; {BOTH}", write(PLAIN),
                          NETLAB_STATE="/dev/shm/netlab")  # fmt: skip
    assert missing(elsewhere) == [("/run", told)]
    assert elsewhere.err == (
        f"/run/netns cannot be used: Read-only file system\n  {names.WAY_OUT}\n"
    )


def test_with_sysctls_that_are_read_only(write: Write, lab: str) -> None:
    file = write(PLAIN)
    bound = "mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys"
    said = contained(f"{bound}; {BOTH}", file)
    where = "/proc/sys is mounted read-only: /proc/sys/net/ipv4/ip_forward"
    assert missing(said) == [("sysctls", f"mount -o remount,rw /proc/sys ({where})")]
    assert said.out.splitlines()[-2:] == ["doctor 3", "up 4"]
    assert said.err == (
        f"{file}:1:12  a: namespace {lab}.a: the kernel refused: /proc/sys is mounted read-only "
        "(Read-only file system) [EROFS]\n"
        "  `mount -o remount,rw /proc/sys`; Docker: --security-opt systempaths=unconfined\n"
    )


def test_without_a_tun_device(write: Write) -> None:
    file = write(TUN)
    said = contained(f"umount /dev/net/tun; rm /dev/net/tun; {BOTH}", file)
    assert missing(said) == [("tun", "/dev/net/tun (No such file or directory: /dev/net/tun)")]
    assert said.out.splitlines()[-2:] == ["doctor 3", "up 4"]
    assert said.err == (
        f"{file}:1:32  a: tun tun0: the kernel refused: No such file or directory [ENOENT]\n"
        "  `modprobe tun`; a container needs --device /dev/net/tun\n"
    )


CGROUPS = {
    "umount /sys/fs/cgroup": "no cgroup2 is mounted",
    "mount -o remount,ro,bind /sys/fs/cgroup": "/sys/fs/cgroup cannot be written to",
    "mount -t tmpfs tmpfs /sys/fs/cgroup": "/sys/fs/cgroup cannot be written to",
}


@pytest.mark.parametrize("before", CGROUPS)
def test_without_control_groups_all_processes_end_as_well(
    write: Write, lab: str, before: str
) -> None:
    script = f"""\
{before}
netlab doctor
netlab up "$1" > /dev/null && netlab test "$2" > /dev/null; echo "test $?"
netlab exec "$2" a -- setsid -f sleep 60
netlab exec "$2" a -- setsid -f setpriv --reuid 65534 --clear-groups sleep 60
netlab down "$2" > /dev/null; echo "down $?"
cat /proc/[0-9]*/comm | grep -e sleep -e python
ls -A /run | grep net
"""
    said = contained(script, write(LAB), lab)
    why = CGROUPS[before]
    assert missing(said) == [("cgroup2", f"mount -t cgroup2 ({why})")]
    assert said.out.splitlines()[-2:] == ["test 0", "down 0"], said


def test_without_tracefs_all_is_watched(write: Write, lab: str) -> None:
    """It is mounted by whoever needs it, and nowhere in the tree."""
    script = """\
umount /sys/kernel/tracing
netlab doctor
netlab up "$1" > /dev/null; netlab trace "$2" a b --tcp 80; netlab down "$2" > /dev/null
"""
    said = contained(script, write(LAB), lab)
    assert missing(said) == []
    assert "foretold    answered, the same way ✓" in said.out


def test_where_mounts_are_forbidden_apparmor_is_thought_of() -> None:
    assert "apparmor=unconfined" in names.WAY_OUT


# no root at all

USER_NAMESPACE = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork"]


def python_of(package: Path) -> str:
    """One that an ordinary user may start, and start anew."""
    for found in (sys.executable, shutil.which("python3", path="/usr/bin:/usr/local/bin")):
        same = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
        tried = [*AS_NOBODY, "sh", "-c", 'exec "$0" -c "$1"', found or "false", same]
        if found and subprocess.run(tried, capture_output=True, cwd=package).returncode == 0:
            return found
    pytest.skip("no Python that an ordinary user may start")


def rootless(package: Path, script: str, *words: object) -> Said:
    """As an ordinary user, in a user namespace of its own."""
    command = f"netlab() {{ '{python_of(package)}' -m netlab \"$@\"; }}\n{script}"
    ended = subprocess.run(
        [*AS_NOBODY, *USER_NAMESPACE, "--kill-child", "sh", "-c", command, "sh", *map(str, words)],
        capture_output=True, text=True, timeout=120, cwd=package,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{package}:{package}/site"},
    )  # fmt: skip
    if said := re.search(r"unshare: (.*)", ended.stderr):
        pytest.skip(f"no user namespaces here: {said[1]}")
    return Said(ended.returncode, ended.stdout, ended.stderr)


OWN = "mount -t proc proc /proc; mount -t tmpfs tmpfs /run; ip link set lo up\n"


def test_a_lab_without_root(package: Path, lab: str) -> None:
    file = package / f"{lab}.yaml"
    file.write_text(LAB)
    script = f"""{OWN}
netlab doctor "$1"; echo "doctor $?"
netlab up "$1"
netlab exec "$2" a -- ping -c1 -W2 b > /dev/null; echo "exec $?"
netlab test "$2"
netlab trace "$2" a b --tcp 80 | tail -1
netlab down "$2"
ls -A /run
"""
    said = rootless(package, script, file, lab)
    lines = said.out.splitlines()
    assert missing(said) == []
    assert "doctor 0" in lines
    assert "exec 0" in lines
    assert "2 passed" in said.out
    assert "foretold    answered, the same way ✓" in lines
    assert lines[-1].startswith(f"{lab} is down: 3 nodes")


def test_files_of_nodes_without_root(package: Path, lab: str) -> None:
    file = package / f"{lab}.yaml"
    file.write_text("nodes: {a: {files: {/etc/motd: {text: hello}, /etc/netlab-new: {text: x}}}}\n")
    script = OWN + 'netlab up "$1" && netlab exec "$2" a -- cat /etc/motd /etc/netlab-new'
    said = rootless(package, script, file, lab)
    assert said.out.endswith("hellox"), said


OWN_RUN = "  a user namespace needs a /run of its own: mount -t tmpfs tmpfs /run\n"


def test_without_root_the_machines_run_is_in_the_way(package: Path, lab: str) -> None:
    file = package / f"{lab}.yaml"
    file.write_text(PLAIN)
    script = 'mount -t proc proc /proc; netlab doctor "$1"; netlab up "$1"'
    said = rootless(package, script, file)
    assert [name for name, _ in missing(said)] == ["/run"]
    assert said.err.endswith(OWN_RUN)
    assert said.err.count("\n") == 2


def test_without_root_a_tun_device_may_be_out_of_reach(package: Path, lab: str) -> None:
    if os.stat("/dev/net/tun").st_mode & 0o006 == 0o006:
        pytest.skip("everybody may open /dev/net/tun here")
    file = package / f"{lab}.yaml"
    file.write_text(TUN)
    said = rootless(package, OWN + 'netlab doctor "$1"; netlab up "$1"', file)
    assert missing(said) == [("tun", "/dev/net/tun (Permission denied: /dev/net/tun)")]
    assert said.err == (
        f"{file}:1:32  a: tun tun0: the kernel refused: Permission denied [EACCES]\n"
        "  `modprobe tun`; a container needs --device /dev/net/tun\n"
    )


# one after the other


def test_a_container_that_was_started_anew(write: Write, lab: str, tmp_path: Path) -> None:
    """Its files are as they were, and its namespaces have gone, in the same boot of the machine."""
    file = write(LAB)
    kept = f"mount --bind '{tmp_path / 'run'}' /run\n"
    (tmp_path / "run").mkdir()
    assert contained(kept + 'netlab up "$1"', file).code == 0
    script = """\
netlab show "$2" | grep -c '(lost)'
netlab exec "$2" a -- true; echo "exec $?"
netlab up "$1" > /dev/null && netlab test "$2" && netlab down "$2" > /dev/null; echo "down $?"
"""
    said = contained(kept + script, file, lab)
    assert said.out.splitlines()[:2] == ["3", "exec 3"]
    assert "2 passed" in said.out
    assert said.out.splitlines()[-1] == "down 0"
    assert contained(kept + 'netlab up "$1" > /dev/null', file).code == 0
    said = contained(kept + "netlab gc", file)
    assert said.out == f"{lab}: its namespaces were deleted by hand; the rest is swept\n"
    assert list((tmp_path / "run").iterdir()) == []


# several at once


def test_nobody_sweeps_what_another_container_still_watches(write: Write, lab: str) -> None:
    """Trace buffers are the machine's; the numbers of processes are a container's own."""
    holding = subprocess.Popen(
        ["sh", "tests/reduced.sh", NETLAB[0], "-c", HOLDS],
        stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    with holding:
        assert holding.stdout is not None and holding.stdin is not None
        name = holding.stdout.readline().strip()
        if not name.startswith("netlab-"):
            pytest.skip(f"tracefs: {name}")
        contained(f"'{NETLAB[0]}' -c \"{SWEEPS}\"")
        holding.stdin.write("go on\n")
        holding.stdin.flush()
        assert holding.stdout.readline() == "1\n"
    assert holding.returncode == 0
    eventually(lambda: name not in _instances())


SWEEPS = "from netlab.trace.tracefs.instance import Instance; Instance((), {}).close()"
HOLDS = """
import os, sys
from netlab.trace.tracefs.instance import Instance
try:
    held = Instance(["skb/kfree_skb"], {})
except OSError as problem:
    sys.exit(print(problem.strerror, flush=True))
print(os.path.basename(held._name), flush=True)
sys.stdin.readline()
print(held._text("events/skb/kfree_skb/enable", held._name).strip(), flush=True)
held.close()
"""


def _instances() -> list[str]:
    from netlab.trace.tracefs.instance import mounted

    root = mounted()
    try:
        return os.listdir(f"/proc/self/fd/{root}/instances")
    finally:
        os.close(root)
