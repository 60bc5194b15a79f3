"""`down --assert-clean`: a lab that leaves nothing, and a machine that is not as it was."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from netlab.trace.bpf import calls
from netlab.trace.bpf.loaded import loaded
from tests.live.conftest import Write
from tests.live.world import ROOT, Said, done, eventually, netlab, tool

# a ── b, a switch between them, a process
TEXT = """
nodes:
  a: {processes: {sleeper: {run: [sleep, "60"]}}}
  sw: {kind: switch}
  b: {nftables: "table inet f { chain c { type filter hook input priority 0; } }"}
links: [[a, sw], [b, sw]]
"""

ALONE = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
ip link set lo up
"$PYTHON" -m netlab up "$FILE" >&2
eval "$MEANWHILE"
exec "$PYTHON" -m netlab down "$LAB" --assert-clean --json
"""


def alone(file: Path, lab: str, meanwhile: str = "") -> Said:
    """Up and down on a machine that has a network and a /run of its own, where nobody else is."""
    environment = {
        **os.environ, "FILE": str(file), "LAB": lab, "MEANWHILE": meanwhile or ":",
        "PYTHON": sys.executable,
    }  # fmt: skip
    command = ["unshare", "--net", "--mount", "--", "sh", "-c", ALONE]
    ended = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    return Said(ended.returncode, ended.stdout, ended.stderr)


def notes(said: Said) -> list[str]:
    """Without what others do on the machine meanwhile: processes they have in groups, traces."""
    theirs = ("control group ", "BPF program ", "tracefs instance ")
    return [note for note in said.json["notes"] if not note.startswith(theirs)]


def test_a_lab_leaves_nothing(write: Write, lab: str) -> None:
    found = alone(write(TEXT), lab)
    assert notes(found) == [], found
    assert not [note for note in found.json["notes"] if lab in note]
    assert found.code == int(bool(found.json["notes"]))


def test_all_that_is_not_as_it_was_is_named(write: Write, lab: str) -> None:
    by_hand = (
        "ip link add left0 mtu 1400 type veth peer name left1; ip link set left0 up;"
        "ip address add 198.51.100.1/24 dev left0; ip address add 127.0.0.9/32 dev lo;"
        "ip link set lo mtu 60000; ip netns add left; ip rule add priority 77 table 99;"
        "ip route add blackhole 203.0.113.0/24; nft add table inet left;"
        "nft add chain inet left c; echo 1 > /proc/sys/net/ipv4/ip_forward"
    )
    found = alone(write(TEXT), lab, by_hand)
    said = "\n".join(notes(found))
    assert found.code == 1, found
    for expected in (
        "namespace left is new: net:[",
        "link left0 is new: veth ",
        "link left1 is new: veth ",
        "link lo was up mtu 65536 00:00:00:00:00:00, and is up mtu 60000 00:00:00:00:00:00",
        "address 198.51.100.1/24 on left0 is new",
        "address 127.0.0.9/32 on lo is new",
        "route blackhole 203.0.113.0/24 is new",
        "rule IPv4 77: from all lookup 99 is new",
        "nftables table inet left is new",
        "nftables chain inet left c is new",
        "switch net.ipv4.ip_forward was 0, and is 1",
        "mount /run/netns/left is new: nsfs nsfs",
    ):
        assert expected in said, said


def test_in_words_and_only_for_a_lab_that_was_noted(
    write: Write, lab: str, host_unchanged: None
) -> None:
    file = write(TEXT)
    done("up", file)
    tool("ip", "netns", "add", f"{lab}-left")
    try:
        found = netlab("down", lab, "--assert-clean")
    finally:
        tool("ip", "netns", "delete", f"{lab}-left")
    assert found.code == 1
    assert f"{lab}: namespace {lab}-left is new: net:[" in found.out
    assert f"{lab} is down: 3 nodes" in found.out
    done("up", file)
    Path("/run/netlab", lab, "before").unlink()
    refused = netlab("down", lab, "--assert-clean")
    assert (refused.code, "nothing is known of this machine" in refused.err) == (2, True)
    assert lab in [line["lab"] for line in netlab("ls", "--json").json]
    done("down", lab)
    assert netlab("down", "--all", "--assert-clean").code == 2


def test_what_another_lab_does_meanwhile_is_that_ones_business(write: Write, lab: str) -> None:
    file = write(TEXT)
    other = file.with_name(f"{lab}o.yaml")
    other.write_text(TEXT)
    done("up", file)
    done("up", other)
    try:
        found = netlab("down", file, "--assert-clean", "--json")
    finally:
        done("down", f"{lab}o")
    assert not [note for note in found.json["notes"] if lab in note], found


def test_programs_of_netlab_are_found_in_the_kernel(prefix: str) -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    returns_0 = struct.pack("=BBhiBBhi", 0xB7, 0, 0, 0, 0x95, 0, 0, 0)
    try:
        fd = calls.load_program(calls.RAW_TRACEPOINT, returns_0, f"netlab_{prefix}")
    except OSError as refusal:
        pytest.skip(f"bpf(2): {refusal}")
    try:
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        name = f"netlab_{prefix}"[:15]
        assert name in [found for _, found in loaded(before)]
        assert name not in [found for _, found in loaded(now + 1)]
    finally:
        os.close(fd)
    eventually(lambda: name not in [found for _, found in loaded(before)])
