"""A lab in Python, by its owner's life, and for one command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from netlab import Lab
from netlab.errors import LabNotFound, TopologyError, UsageError
from tests.live.conftest import Write
from tests.live.world import ROOT, done, eventually, netlab, program, tool

# a ── gw ── b
TEXT = """
routing: static
nodes:
  a: {env: {WHO: alice}}
  gw:
    kind: router
    nftables: |
      table inet f {
        chain c {
          type filter hook forward priority 0
          ct state established accept
          tcp dport 23 drop
        }
      }
  b: {processes: {httpd: {run: [python3, -m, http.server, 80], ready: {tcp: 80}}}}
links: [[a, gw], [gw, b]]
"""


def labs() -> list[str]:
    return [line["lab"] for line in netlab("ls", "--json").json]


def test_a_lab_is_up_within_its_block_and_no_longer(prefix: str, host_unchanged: None) -> None:
    with Lab(TEXT, name=prefix) as lab:
        assert (lab.name, lab.nodes) == (prefix, ["a", "gw", "b"])
        assert labs().count(prefix) == 1
        a = lab["a"]
        assert (a.namespace, a.addresses) == (f"{prefix}.a", ["10.0.0.0", "fd00:10::"])
        assert a.tcp("192.0.2.1", 9) == "unreachable"
        assert [a.ping("b"), a.ping("b", version=6), a.ping("192.0.2.1", within=0.3)] == [
            True, True, False,
        ]  # fmt: skip
        assert [a.tcp("b", 80), a.tcp("b", 81), a.tcp("b", 80, version=6)] == [
            "connected", "refused", "refused",
        ]  # fmt: skip
        assert a.tcp("b", 23, within=0.3) == "denied"
        assert a.run("sh", "-c", "echo $WHO; cat", input="hello").stdout == "alice\nhello"
        with pytest.raises(subprocess.CalledProcessError):
            a.run("false")
        assert a.run("false", check=False).returncode == 1
        with a.popen("sleep", "60") as sleeping:
            sleeping.send_signal(signal.SIGTERM)
            assert sleeping.wait(10) == -signal.SIGTERM
        with pytest.raises(LabNotFound, match="no node x"):
            lab["x"]
        for asked in (lambda: a.ping("localhost"), lambda: a.tcp("localhost", 80),
                      lambda: a.pings(["localhost"])):  # fmt: skip
            with pytest.raises(LabNotFound, match="no node localhost"):
                asked()
        with pytest.raises(subprocess.CalledProcessError) as failed:
            a.run("sh", "-c", "echo why >&2; exit 3")
        assert (failed.value.returncode, failed.value.__notes__) == (3, ["a said: why"])
    assert prefix not in labs()


def test_a_link_goes_down_and_a_reset_gives_the_baseline_back(prefix: str) -> None:
    with Lab(TEXT, name=prefix) as lab:
        a = lab["a"]
        assert a.ping("b")
        cable = lab.link("gw", "b")
        cable.down()
        assert not a.ping("b", within=0.5)
        cable.up()
        assert a.ping("b")
        lab.link("gw:eth1", "b:eth0").down()
        assert a.tcp("b", 80, within=0.5) != "connected"
        lab.reset()
        assert a.tcp("b", 80) == "connected"
        assert netlab("conntrack", prefix, "gw", "--json").json["nodes"][0]["connections"]
        lab.reset()
        (node,) = netlab("conntrack", prefix, "gw", "--json").json["nodes"]
        assert node["connections"] == []
        neighbours = a.run("ip", "neigh").stdout.splitlines()
        assert [line for line in neighbours if "REACHABLE" in line or "STALE" in line] == []
        with pytest.raises(UsageError, match="no links between a and b"):
            lab.link("a", "b")


def test_a_reset_brings_flushed_rules_back(prefix: str) -> None:
    rules = "table ip f {\n chain c { type filter hook input priority 0; policy drop; }\n}\n"
    plain = {"nodes": {"x": None, "y": {"nftables": rules}}, "links": [["x", "y"]]}
    with Lab(plain, name=prefix) as lab:
        assert not lab["x"].ping("y", version=4, within=0.5)
        lab["y"].run("nft", "flush", "ruleset")
        assert lab["x"].ping("y", version=4)
        lab.reset()
        assert not lab["x"].ping("y", version=4, within=0.5)


def test_the_topology_may_be_a_file_or_plain_data(
    write: Write, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = {"nodes": {"x": None, "y": None}, "links": [["x", "y"]]}
    with Lab(plain, name=f"{prefix}y") as lab, Lab(write(TEXT)) as other:
        assert lab["x"].ping("y")
        assert other["a"].ping("b")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(TopologyError), Lab({"nodes": {"x": {"kind": "toaster"}}}, name=prefix):
        pass
    with pytest.raises(TopologyError):
        Lab({"nodes": {"x": {"kind": "toaster"}}}, name=prefix).up()
    assert list(tmp_path.glob("netlab-*")) == []
    with pytest.raises(UsageError, match="not up"):
        print(Lab(TEXT).name)


OWNS = """
import os, sys, time
from netlab import Lab
lab = Lab(sys.argv[1], name=sys.argv[2], owner=os.getpid()).up()
print("up", flush=True)
time.sleep(60)
"""


def test_a_lab_goes_with_its_owner_even_where_that_is_killed(
    write: Write, prefix: str, host_unchanged: None
) -> None:
    command = [sys.executable, "-c", OWNS, str(write(TEXT)), prefix]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        assert prefix in labs()
        process.send_signal(signal.SIGKILL)
    eventually(lambda: None if prefix in labs() or leases(prefix) else True)


def test_packets_of_a_lab_that_somebody_took_down_are_let_go(prefix: str, tmp_path: Path) -> None:
    with Lab(TEXT, name=prefix) as lab:
        lab.record()
        done("down", prefix)
        with pytest.raises(LabNotFound):
            lab.bundle(tmp_path / "bundle")
    packets = f"packets of {prefix}"
    eventually(lambda: packets not in [thread.name for thread in threading.enumerate()])


def leases(lab: str) -> list[str]:
    """Pids of those that wait for the lab's end."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"netlab.cli.lease" in words and lab.encode() in words:
            found.append(pid)
    return found


def test_a_time_to_live_is_kept_and_who_waits_for_it_goes_with_the_lab(
    write: Write, lab: str
) -> None:
    file = write(TEXT)
    done("up", file, "--ttl", "1s")
    eventually(lambda: None if lab in labs() else True)
    done("up", file, "--ttl", "1h")
    eventually(lambda: len(leases(lab)) == 1)  # execve(2) gives a process its words late
    done("down", lab)
    eventually(lambda: None if leases(lab) else True)
    done("up", file)
    assert leases(lab) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--ttl", "soon"], "--ttl"),
        (["--owner-pid", "4194305"], "there is no process 4194305"),
        (["--owner-pid", "x"], "--owner-pid"),
    ],
)
def test_wrong_words_make_nothing(words: list[str], said: str, write: Write, lab: str) -> None:
    found = netlab("up", write(TEXT), *words)
    assert (found.code, said in found.err) == (2, True), found.err
    assert lab not in labs()


def test_a_lab_for_one_command(write: Write, lab: str, host_unchanged: None) -> None:
    file = write(TEXT)
    found = program("run", file, "--", "sh", "-c", "echo $NETLAB_LAB; exit 7")
    assert (found.code, found.out) == (7, f"{lab}\n")
    inside = program("run", "--in", "a", file, "sh", "-c", "echo $WHO; ip -o -4 addr show eth0")
    assert (inside.code, inside.out.split()[0], "10.0.0.0/31" in inside.out) == (0, "alice", True)
    assert program("run", file, "--", "sh", "-c", "kill -9 $$").code == 137
    assert program("run", file, "--", "no-such-command").code == 127
    takes_down = f"{sys.executable} -m netlab down $NETLAB_LAB; exit 9"
    assert program("run", file, "--", "sh", "-c", takes_down).code == 9
    assert program("run", file).code == 2
    assert program("run", "--in", "x", file, "--", "true").code == 2
    assert lab not in labs()
    done("up", file)
    refused = program("run", file, "--", "true")
    assert (refused.code, "is up already" in refused.err) == (2, True)
    assert lab in labs()


def test_a_killed_run_leaves_nothing(write: Write, lab: str, host_unchanged: None) -> None:
    command = [sys.executable, "-m", "netlab", "run", str(write(TEXT)), "--", "sh", "-c"]
    with subprocess.Popen(
        [*command, "echo up; exec sleep 611"], stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.send_signal(signal.SIGKILL)
    eventually(lambda: None if lab in labs() else True)
    eventually(lambda: None if "sleep 611" in tool("ps", "-eo", "args").splitlines() else True)
