"""What somebody did by hand, or started: ``up`` heals it or says what to do, ``down`` ends it.

    a ── sw ── gw (t0)
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netlab.kernel import processes
from tests.live.conftest import Write
from tests.live.life import namespaces, nothing_of, numbers, seen
from tests.live.world import NETLAB, Said, done, eventually, inside, netlab, tool

TEXT = """\
routing: static
nodes:
  a: {exec: ["true"], files: {/etc/motd: {text: hello}}}
  sw: {kind: switch}
  gw: {kind: router, interfaces: {t0: {kind: tun, addresses: [10.9.0.1/24]}}}
links: [[a, sw], [gw, sw]]
"""


@pytest.fixture
def file(write: Write) -> Path:
    file = write(TEXT)
    done("up", file)
    return file


def test_down_needs_no_file(file: Path, lab: str) -> None:
    file.write_text("nodes: [")
    assert "is down" in done("down", lab)
    file.write_text(TEXT)
    done("up", file)
    file.unlink()
    assert "is down" in done("down", file)
    assert nothing_of(lab)


def test_down_goes_by_the_file_that_it_came_from(file: Path, lab: str) -> None:
    file.write_text(f"name: another\n{TEXT}")
    assert f"{lab} is down" in done("down", file)
    assert nothing_of(lab)


def test_a_renamed_file_takes_the_lab_over(file: Path, lab: str) -> None:
    new = file.rename(file.with_name("new.yaml"))
    new.write_text(f"name: {lab}\n{TEXT}")
    before = numbers(lab)
    done("up", new)
    assert numbers(lab) == before
    assert f"{lab} is down" in done("down", new)
    assert nothing_of(lab)


def test_twice_down_is_told(file: Path, lab: str) -> None:
    done("down", lab)
    assert netlab("down", lab).code == 5
    assert f"no lab {lab} is up" in netlab("down", lab).err


RULED = """\
routing: static
nodes:
  a: {}
  gw:
    kind: router
    nat: {masquerade: eth0}
    nftables: |
      table inet filter {
        chain forward { type filter hook forward priority filter; policy drop; }
      }
      table ip6 mine {
      }
links: [[a, gw]]
"""


@pytest.mark.parametrize(
    ("hand", "told"),
    [
        ("flush ruleset", "tables inet filter, ip6 mine, inet netlab_nat were gone"),
        ("delete table ip6 mine", "table ip6 mine was gone"),
    ],
)
def test_rules_that_were_flushed_are_brought_back(
    write: Write, lab: str, hand: str, told: str
) -> None:
    file = write(RULED)
    done("up", file)
    before = inside(lab, "gw", "nft", "list", "ruleset").out
    assert "is unchanged" in done("up", file)
    assert inside(lab, "gw", "nft", *hand.split()).code == 0
    assert told in done("plan", file)
    assert told in done("up", file)
    assert inside(lab, "gw", "nft", "list", "ruleset").out == before
    assert "is unchanged" in done("up", file)


@pytest.mark.parametrize("gone", [["a"], ["sw"], ["gw"], ["a", "sw", "gw"]])
def test_a_deleted_namespace_is_healed(file: Path, lab: str, gone: list[str]) -> None:
    before = seen(lab)
    for node in gone:
        tool("ip", "netns", "del", f"{lab}.{node}")
    done("plan", file)
    done("up", file)
    assert seen(lab) == before
    for node in gone:
        tool("ip", "netns", "del", f"{lab}.{node}")
    done("down", lab)
    assert nothing_of(lab)


@contextmanager
def foreign(ns: str) -> Iterator[int]:
    """Somebody else's namespace in the place of the lab's; its inode."""
    with open(f"/run/netns/{ns}"):  # so that the number is not used anew
        tool("ip", "netns", "del", ns)
        tool("ip", "netns", "add", ns)
        yield os.stat(f"/run/netns/{ns}").st_ino
    tool("ip", "netns", "del", ns)


def test_somebody_elses_namespace_is_left_alone(file: Path, lab: str) -> None:
    ns = f"{lab}.a"
    with foreign(ns) as inode:
        said = netlab("up", file)
        assert (said.code, said.out) == (4, "")
        assert f"a: namespace {ns}: the kernel refused: File exists" in said.err
        assert f"`ip netns del {ns}`" in said.err
        assert netlab("exec", lab, "a", "--", "true").code == 3
        done("down", lab)
        assert os.stat(f"/run/netns/{ns}").st_ino == inode
        assert namespaces(lab) == [ns]
        assert json.loads(tool("ip", "-n", ns, "-json", "link"))[0]["ifname"] == "lo"
    assert nothing_of(lab)


def test_what_was_half_named_is_taken_away(file: Path, lab: str) -> None:
    ns = f"{lab}.a"
    tool("ip", "netns", "del", ns)
    Path(f"/run/netns/{ns}").touch(0o444)
    done("up", file)
    assert inside(lab, "a", "ping", "-c1", "-W2", "gw").code == 0
    tool("ip", "netns", "del", ns)
    Path(f"/run/netns/{ns}").touch(0o444)
    done("down", lab)
    assert nothing_of(lab)


@pytest.mark.parametrize(
    ("node", "words"),
    [
        ("a", "link del eth0"),
        ("a", "link set eth0 name mine"),
        ("gw", "link del t0"),
        ("sw", "link del br0"),
        ("sw", "link set gw name mine"),
    ],
)
def test_a_missing_device_is_healed(file: Path, lab: str, node: str, words: str) -> None:
    before = seen(lab)
    if "name" in words:
        tool("ip", "-n", f"{lab}.{node}", "link", "set", words.split()[2], "down")
    tool("ip", "-n", f"{lab}.{node}", *words.split())
    device = words.split()[-1 if "del" in words else 2]
    assert f"{device} was deleted or renamed by hand" in done("plan", file)
    done("up", file)
    assert seen(lab) == before
    assert "is unchanged" in done("up", file)
    tool("ip", "-n", f"{lab}.{node}", *words.split()) if "del" in words else None
    done("down", lab)
    assert nothing_of(lab)


def sleeper(*command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*command, "sleep", "1000"], stdin=subprocess.DEVNULL)


def started(lab: str, node: str) -> subprocess.Popen[bytes]:
    from tests.live.life import start

    child = start("exec", lab, node, "--", "sleep", "1000")
    eventually(lambda: is_in(child.pid, f"{lab}.{node}"), 20)
    return child  # type: ignore[return-value]


def is_in(pid: int, ns: str) -> bool:
    place = f"/proc/{pid}/ns/net"
    return os.stat(place).st_ino == os.stat(f"/run/netns/{ns}").st_ino and (
        Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sleep")
    )


def test_what_runs_in_a_node_ends_with_it(file: Path, lab: str) -> None:
    ours = started(lab, "a")
    judges = sleeper("ip", "netns", "exec", f"{lab}.gw")
    eventually(lambda: is_in(judges.pid, f"{lab}.gw"), 20)
    done("down", lab)
    assert (ours.wait(10), judges.wait(10)) == (-signal.SIGKILL, -signal.SIGKILL)


def test_what_runs_in_a_namespace_that_lost_its_name_ends_too(file: Path, lab: str) -> None:
    with started(lab, "a") as ours:
        tool("ip", "netns", "del", f"{lab}.a")
        done("down", lab)
        assert ours.wait(10) == -signal.SIGKILL


def test_a_number_used_anew_is_no_proof() -> None:
    """The kernel gives the inode of a namespace that is gone to the next one."""
    with sleeper("unshare", "--net") as other:
        here = os.stat("/proc/self/ns/net").st_ino
        inode = eventually(lambda: number_of(other.pid, here), 20)
        assert processes.end(set(), {inode: "lab.a"}) == 0
        assert other.poll() is None
        assert processes.end({inode}) == 1
        assert other.wait(10) == -signal.SIGKILL


def number_of(pid: int, here: int) -> int:
    found = os.stat(f"/proc/{pid}/ns/net").st_ino
    return found if found != here else 0


def test_who_holds_a_namespace_does_not_hold_up_down(file: Path, lab: str) -> None:
    """An open file, a second mount on the same name, a mount in another mount namespace."""
    ns = f"/run/netns/{lab}.a"
    with open(ns), sleeper("unshare", "--mount", "--propagation", "private") as apart:
        eventually(lambda: b"sleep" in Path(f"/proc/{apart.pid}/cmdline").read_bytes(), 20)
        tool("mount", "--bind", ns, ns)
        done("down", lab)
        assert nothing_of(lab)
        apart.kill()


def test_down_from_inside_is_refused(file: Path, lab: str) -> None:
    said = inside(lab, "a", *NETLAB, "down", lab)
    assert said == Said(
        2,
        "",
        f"this shell runs in {lab}.a, which is to be taken down\n"
        "  leave it first: taking the lab down ends all processes in its nodes\n",
    )
    assert "is unchanged" in done("up", file)


def test_a_change_from_inside_of_what_goes_is_refused(file: Path, lab: str) -> None:
    file.write_text(TEXT.replace("  a: {", "  b: {").replace("[a, sw]", "[b, sw]"))
    said = inside(lab, "a", *NETLAB, "up", str(file))
    assert (said.code, said.out) == (2, "")
    assert f"this shell runs in {lab}.a, which is to be taken down" in said.err
    assert inside(lab, "gw", *NETLAB, "up", str(file)).code == 0
    assert namespaces(lab) == [f"{lab}.b", f"{lab}.gw", f"{lab}.sw"]
