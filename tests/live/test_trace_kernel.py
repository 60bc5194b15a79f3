"""What the kernel itself tells of a probe: the way, times, programs; and what is left behind."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from netlab.cli.trace import chosen, lab_of
from netlab.kernel.visits import visiting
from netlab.trace.backends import catalog
from netlab.trace.bpf import btf, calls
from netlab.trace.bpf.btf import NoSuchType
from netlab.trace.bpf.calls import BpfRefused
from netlab.trace.bpf.types import Types
from netlab.trace.conclude import conclude
from netlab.trace.cookie import way_of
from netlab.trace.headers import parse
from netlab.trace.journey import Request, observe
from netlab.trace.model import Hook, Hop, Moment, Socket, Trace
from netlab.trace.record import Record
from netlab.trace.request import Words, probe_of
from tests.live.causes import chain, routed
from tests.live.conftest import Write
from tests.live.test_trace import FLOOD, shape
from tests.live.world import NETLAB, ROOT, done, eventually, netlab
from tests.trace.kept import hop, leg, way
from tests.trace.record import NAT

WHY_NOT = catalog()["bpf"].obstacle()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)

PROBES, FEW, PATIENCE = 50, 20, 20.0
"""Probes under a flood; the fewest, where the machine has much else to do; seconds for the rest."""
THERE = ["cli: · → eth0", "sw: cli → gw", "gw: lan → wan", "srv: eth0 → ·"]
BACK = ["srv: · → eth0", "gw: wan → lan", "sw: gw → cli", "cli: eth0 → ·"]


@pytest.fixture
def office(write: Write, lab: str) -> str:
    """cli ── sw ── gw, which translates ── srv"""
    done("up", write(NAT))
    return lab


def observed(lab: str, words: Words, respond: int = 0, watchers: str = "bpf") -> Record:
    terrain, identities, _ = lab_of(lab)
    with visiting(identities) as visits:
        request = Request(probe_of(words, terrain), respond)
        return observe(terrain, request, visits, chosen(watchers))


def one(lab: str, words: Words, respond: int = 0, watchers: str = "bpf") -> Trace:
    return conclude(observed(lab, words, respond, watchers))


# the way


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("probe", ["icmp", "tcp", "udp"])
def test_alone_it_shows_the_same_way_as_rules_and_frames(
    probe: str, version: int, write: Write, lab: str
) -> None:
    """cli ── gw ── srv"""
    done("up", write(routed(gw=chain("forward", "ct state new,established accept"))))
    ports: dict[str, Any] = {"icmp": True} if probe == "icmp" else {probe: 80}
    words = Words("cli", "srv", version=version, **ports)
    usual = one(lab, words, 80, "nft-trace,taps")
    alone = one(lab, words, 80, "bpf")
    assert alone.disposition == usual.disposition == "answered"
    assert [way(leg) for leg in alone.legs] == [way(leg) for leg in usual.legs]
    for found in alone.legs:
        passed = [[s.hook for s in h.steps if isinstance(s, Hook)] for h in found.hops]
        assert passed == [
            [s.hook for s in h.steps if isinstance(s, Hook)]
            for h in usual.legs[alone.legs.index(found)].hops
        ]  # fmt: skip


def test_times_are_told_with_everything(office: str) -> None:
    words = ["cli", "srv", "--tcp", "8080", "--to", "10.1.0.1", "--respond-port", "80", "-v"]
    said = netlab("trace", office, *words).out
    line = next(line for line in said.splitlines() if "ip nat pre" in line)
    assert re.search(r"prerouting  ip nat pre  accept  \(\d+\.\d µs\) +\d+\.\d µs$", line), line
    told = next(line for line in said.splitlines() if "route " in line and "dev wan" in line)
    assert re.search(r"203.0.113.2 → 203.0.113.0/24 dev wan +\d+\.\d µs$", told), told
    usual = netlab("trace", office, *words[:-1]).out
    assert "(0." not in usual and "· " not in usual


def test_what_is_left_out_of_frames_is_not_asked_for(office: str) -> None:
    """Packet sockets are not needed where the kernel tells of frames; a capture needs them."""
    found = netlab("trace", office, "cli", "srv", "--json").json
    assert "taps" not in dict(found["backends"]) and ["bpf", ""] in found["backends"]
    both = netlab("trace", office, "cli", "srv", "--backends", "bpf,taps", "--json").json
    assert both["backends"] == [["bpf", ""], ["taps", ""]]


# other packets


def test_of_many_probes_each_is_complete_and_nothing_is_anothers(office: str) -> None:
    command = ["ip", "netns", "exec", f"{office}.cli", sys.executable, "-c", FLOOD]
    floods = [subprocess.Popen([*command, to]) for to in ("203.0.113.2", "10.1.0.1")]
    shapes: Counter[tuple[Any, ...]] = Counter()
    foreign = 0
    try:
        enough = time.monotonic() + PATIENCE
        for number, port in enumerate(range(21000, 21000 + PROBES)):
            if number >= FEW and time.monotonic() > enough:
                break
            words = Words("cli", "srv", tcp=8080, to="10.1.0.1", from_port=port)
            record = observed(office, words, 80)
            assert record.gaps == ()
            foreign += sum(not _is_mine(s.network, record) for s in record.sightings if s.network)
            found = conclude(record)
            shapes[shape(_without_moments(found))] += 1
    finally:
        for flood in floods:
            flood.kill()
            flood.wait()
    assert foreign == 0
    assert len(shapes) == 1, shapes
    (told,) = shapes
    assert (told[0], told[1], told[3]) == ("answered", tuple(THERE), tuple(BACK))


def _is_mine(data: bytes, record: Record) -> bool:
    headers = parse(data)
    return headers is not None and way_of(headers, record.probe) is not None


def _without_moments(found: Trace) -> Trace:
    """A poll, a queue: what is told of these hangs on what else the CPUs have to do."""
    legs = [
        replace(leg, hops=tuple(
            replace(h, steps=tuple(s for s in h.steps if not isinstance(s, Moment)))
            for h in leg.hops
        ))
        for leg in found.legs
    ]  # fmt: skip
    return replace(found, legs=tuple(legs))


def test_two_at_once_have_their_programs_beside_each_other(office: str) -> None:
    """Two cannot have one priority at a hook."""
    command = [*NETLAB, "trace", office, "cli", "srv", "--tcp", "23", "--wait", "2", "--json",
               "--backends", "bpf"]  # fmt: skip
    pair = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    for child in pair:
        found = json.loads(child.communicate(timeout=90)[0])
        assert (found["cause"]["name"], found["gaps"]) == ("netfilter-drop", [])
        assert [h["node"] for h in found["legs"][0]["hops"]] == ["cli", "sw", "gw"]
        hooks = [s["hook"] for s in found["legs"][0]["hops"][2]["steps"] if s["kind"] == "hook"]
        assert hooks == ["prerouting", "forward"]


# programs


READS = """
import socket
s = socket.socket(type=socket.SOCK_DGRAM)
s.bind(("", 53))
print("ready", flush=True)
while True:
    s.recvfrom(2048)
"""


def test_who_reads_it_is_the_end(write: Write, lab: str) -> None:
    """cli ── gw ── srv"""
    done("up", write(routed()))
    command = ["ip", "netns", "exec", f"{lab}.srv", sys.executable, "-c", READS]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None and server.stdout.readline() == b"ready\n"
        found = one(lab, Words("cli", "srv", udp=53))
        name = Path(f"/proc/{server.pid}/comm").read_text().strip()
        server.kill()
    end = hop(leg(found, "forward"), "srv").steps[-1]
    assert isinstance(end, Socket)
    assert end.words == f"read by {name} (pid {server.pid})"
    assert end.time is not None


VPN = """
name: tunnel
nodes:
  home: {interfaces: {tun0: {kind: tun, addresses: [10.8.0.2/24]}}}
  net: {kind: router}
  office: {interfaces: {tun0: {kind: tun, addresses: [10.8.0.1/24]}}}
routing: static
links:
  - ["home:wan 198.51.100.2/24", "net:west 198.51.100.1/24"]
  - ["net:east 203.0.113.1/24", "office:wan 203.0.113.2/24"]
"""
CARRIES = """
import fcntl, os, select, socket, struct, sys
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", b"tun0", 0x1001))
udp = socket.socket(type=socket.SOCK_DGRAM)
udp.bind(("", 5555))
hidden = bytes(range(255, -1, -1))
print("ready", flush=True)
while True:
    ready, _, _ = select.select([tun, udp], [], [])
    if tun in ready:
        udp.sendto(os.read(tun, 65535).translate(hidden), (sys.argv[1], 5555))
    if udp in ready:
        os.write(tun, udp.recvfrom(65535)[0].translate(hidden))
"""


def test_a_program_that_hides_it_is_followed_through(write: Write, lab: str) -> None:
    """home ══ net ══ office, with a VPN that scrambles every byte"""
    done("up", write(VPN.replace("name: tunnel\n", "")))
    ends = {"home": "203.0.113.2", "office": "198.51.100.2"}
    carriers = [
        subprocess.Popen(
            ["ip", "netns", "exec", f"{lab}.{node}", sys.executable, "-c", CARRIES, other],
            stdout=subprocess.PIPE,
        )
        for node, other in ends.items()
    ]
    try:
        for carrier in carriers:
            assert carrier.stdout is not None and carrier.stdout.readline() == b"ready\n"
        found = one(lab, Words("home", "office", udp=53, to="10.8.0.1"), 53, "bpf,nft-trace")
        pids = [carrier.pid for carrier in carriers]
    finally:
        for carrier in carriers:
            carrier.kill()
            carrier.wait()
    assert found.disposition == "answered"
    there = leg(found, "forward")
    assert [h.node for h in there.hops] == ["home", "net", "office"]
    assert way(there)[1] == "net: west → east"
    steps = [s for h in there.hops for s in h.steps if s.kind == "tunnelled"]
    told = [(s.wrapped, s.program.partition(" ")[2]) for s in steps]  # type: ignore[union-attr]
    assert told == [(True, f"(pid {pids[0]})"), (False, f"(pid {pids[1]})")]


TBF = ["rate", "100mbit", "burst", "20kb", "latency", "50ms"]


def test_a_queue_is_told(write: Write, lab: str) -> None:
    """cli ── gw, which queues, and not only when it has to ── srv"""
    done("up", write(routed()))
    words = ["tc", "qdisc", "replace", "dev", "b", "root", "tbf", *TBF]
    subprocess.run(["ip", "netns", "exec", f"{lab}.gw", *words], check=True)
    found = one(lab, Words("cli", "srv", icmp=True))
    moments = [s for s in hop(leg(found, "forward"), "gw").steps if isinstance(s, Moment)]
    said = {m.what: m.words for m in moments}
    assert said["enqueued"] == "into the queue of b (tbf)"
    assert said["dequeued"] == "out of the queue of b"


def test_gro_is_told(write: Write, lab: str) -> None:
    """cli ── gw, which polls since it has GRO, of what does not come in large buffers ── srv"""
    gw, cli = "interfaces: {a: {offload: {gro: on}}}", "interfaces: {eth0: {offload: {tso: off}}}"
    done("up", write(routed(gw=gw, cli=cli)))
    found = one(lab, Words("cli", "srv", icmp=True))
    moments = [s for s in hop(leg(found, "forward"), "gw").steps if isinstance(s, Moment)]
    assert "given to GRO of a, which may join it to others" in [m.words for m in moments]
    assert way(leg(found, "forward")) == ["cli: · → eth0", "gw: a → b", "srv: eth0 → ·"]


# what it leaves


def bpf_of(pid: int) -> dict[str, set[int]]:
    """Programs, maps and links that a process holds, by their ids."""
    found: dict[str, set[int]] = {}
    try:
        files = os.listdir(f"/proc/{pid}/fdinfo")
        texts = [Path(f"/proc/{pid}/fdinfo/{name}").read_text() for name in files]
    except FileNotFoundError:
        return {}
    for kind, number in re.findall(r"(?m)^(prog|map|link)_id:\s+(\d+)$", "\n".join(texts)):
        found.setdefault(kind, set()).add(int(number))
    return found


def there_are(kind: str) -> set[int]:
    said = subprocess.run(["bpftool", "-j", kind], capture_output=True, check=True).stdout
    return {one["id"] for one in json.loads(said)}


@pytest.mark.skipif(not shutil.which("bpftool"), reason="bpftool is not installed")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_in_the_middle_it_leaves_no_program(how: signal.Signals, office: str) -> None:
    command = [*NETLAB, "trace", office, "cli", "10.1.0.77", "--wait", "60"]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    held = eventually(lambda: _whole(bpf_of(child.pid)), 30)
    assert all(held[kind] <= there_are(kind) for kind in ("prog", "map", "link"))
    child.send_signal(how)
    child.wait(20)
    eventually(lambda: not any(held[kind] & there_are(kind) for kind in held))


def _whole(held: dict[str, set[int]]) -> dict[str, set[int]]:
    """As soon as programs stand at the hooks of all four nodes."""
    return held if len(held.get("link", ())) >= 48 else {}


def test_after_a_trace_nothing_stands_before_any_packet(office: str) -> None:
    assert one(office, Words("cli", "srv", tcp=80)).disposition == "refused"
    assert bpf_of(os.getpid()) == {}


# what a kernel lacks, or does not allow


def older(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *absent: str) -> None:
    """A kernel without programs at hooks, without reasons, and without some tracepoints."""
    arguments, load = Types.arguments, calls.load_program

    def fewer(types: Types, tracepoint: str) -> tuple[str, ...]:
        if tracepoint in absent:
            raise NoSuchType(f"there is no tracepoint {tracepoint}")
        found = arguments(types, tracepoint)
        return found[:2] if tracepoint == "kfree_skb" else found

    def refused(kind: int, code: bytes, name: str = "", attach: int = 0) -> int:
        if kind == calls.NETFILTER:
            raise BpfRefused(errno.EINVAL, f"program {name}")
        return load(kind, code, name, attach)

    monkeypatch.setattr(Types, "arguments", fewer)
    monkeypatch.setattr(calls, "load_program", refused)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_what_an_older_kernel_does_not_tell_is_named_and_done_without(
    office: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usual = one(office, Words("cli", "srv", tcp=23), 0, "bpf,nft-trace")
    older(monkeypatch, tmp_path, "sock_recv_length", "fib_table_lookup")
    found = one(office, Words("cli", "srv", tcp=23), 0, "bpf,nft-trace")
    assert [way(leg) for leg in found.legs] == [way(leg) for leg in usual.legs]
    assert found.cause and usual.cause and found.cause.rule == usual.cause.rule
    (gap,) = found.gaps
    assert gap.startswith("bpf: this kernel does not tell ")
    for what in ("IPv4's routing decisions", "what netfilter's hooks do", "a program reads"):
        assert what in gap
    rows = netlab("doctor", "--json").json["features"]
    lacks = {r["what_for"]: r["detail"] for r in rows if r["name"] == "trace: bpf"}
    assert lacks["IPv4's routing decisions"] == "there is no tracepoint fib_table_lookup"
    assert lacks["what netfilter's hooks do"].endswith("Invalid argument")
    assert lacks["all of the reason why packets are dropped"] == (
        "kfree_skb has no enum skb_drop_reason"
    )


def test_without_types_the_others_watch(
    office: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def nothing(name: str) -> bytes:
        raise NoSuchType("the kernel tells nothing of its types")

    monkeypatch.setattr(btf, "read", nothing)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = netlab("trace", office, "cli", "srv", "--tcp", "23", "--json").json
    assert ["bpf", "the kernel tells nothing of its types"] in found["backends"]
    assert ["taps", ""] in found["backends"]
    assert found["cause"]["name"] == "nft-drop"
    rows = {r["name"]: r for r in netlab("doctor", "--json").json["features"]}
    assert rows["trace: bpf"]["detail"] == "the kernel tells nothing of its types"
    assert rows["trace: bpf"]["option"] == "CONFIG_DEBUG_INFO_BTF"


ROOTLESS = """
mount -t tmpfs none /run && mkdir /run/netns /run/netlab
"$0" -m netlab up "$1" > /dev/null && "$0" -m netlab trace "$1" cli srv --json
code=$?
"$0" -m netlab down "$1" > /dev/null
exit $code
"""


def test_who_may_not_use_bpf_is_told_and_the_others_watch(tmp_path: Path) -> None:
    """As a user without the machine's root: root of a user namespace alone."""
    file = tmp_path / "rootless.yaml"
    file.write_text(routed())
    inside = ["unshare", "--user", "--map-root-user", "--mount", "--net"]
    said = subprocess.run(
        [*inside, "sh", "-c", ROOTLESS, sys.executable, str(file)], cwd=ROOT, capture_output=True,
        text=True, timeout=90,
    )  # fmt: skip
    if "unshare" in said.stderr:
        pytest.skip(said.stderr)
    assert said.returncode == 0, said
    found = json.loads(said.stdout)
    reasons = dict(found["backends"])
    assert "Operation not permitted: BPF is for root, or for CAP_BPF" in reasons["bpf"]
    assert reasons["nft-trace"] == reasons["taps"] == ""
    assert found["disposition"] == "answered"


def test_without_the_privilege_to_enter_nodes_a_sentence_says_so(office: str) -> None:
    words = [*NETLAB, "trace", office, "cli", "srv"]
    said = subprocess.run(
        ["setpriv", "--bounding-set", "-sys_admin,-bpf", *words], cwd=ROOT, capture_output=True,
        text=True,
    )  # fmt: skip
    assert said.returncode == 3
    assert "CAP_SYS_ADMIN" in said.stderr and "Traceback" not in said.stderr


def test_where_files_run_out_chains_tell_of_the_rest_of_the_hooks(
    office: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = Words("cli", "srv", tcp=8080, to="10.1.0.1")
    usual = one(office, words, 80, "bpf,nft-trace")
    monkeypatch.setattr("netlab.trace.backends.bpf._room", lambda nodes: 30)
    found = one(office, words, 80, "bpf,nft-trace")
    assert found.gaps == (
        "bpf: the hooks of 2 nodes are not timed: too many open files (ulimit -n)",
    )
    assert [way(leg) for leg in found.legs] == [way(leg) for leg in usual.legs]
    for mine, theirs in zip(found.legs, usual.legs, strict=True):
        assert [_chains(h) for h in mine.hops] == [_chains(h) for h in theirs.hops]


def _chains(one: Hop) -> list[tuple[str, tuple[str, ...]]]:
    return [(s.hook, tuple(c.name for c in s.chains)) for s in one.steps if isinstance(s, Hook)]
