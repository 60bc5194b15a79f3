"""What `netlab trace --teach` tells was measured: held against the kernel, on every tier."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from netlab.cli.trace import chosen, lab_of
from netlab.kernel.visits import visiting
from netlab.trace import taught
from netlab.trace.anatomy import Anatomy
from netlab.trace.backends import catalog
from netlab.trace.bpf.btf import NoSuchType
from netlab.trace.bpf.types import Types
from netlab.trace.conclude import conclude
from netlab.trace.journey import Request, observe
from netlab.trace.measured import Measured, measure
from netlab.trace.model import Trace
from netlab.trace.record import Record
from netlab.trace.request import Words, probe_of
from tests.live.causes import routed
from tests.live.conftest import Write
from tests.live.world import NETLAB, ROOT, done, netlab, tool

WHY_NOT = catalog()["bpf"].obstacle()
needs_bpf = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)

FLAT = """
nodes:
  a:
  b:
  c:
  sw: {kind: switch}
addressing: {ipv4: 10.0.0.0/24}
links: [[a, sw], [b, sw], [c, sw]]
"""
"""Three on a switch."""


def observed(lab: str, words: Words, respond: int = 0, watchers: str = "bpf,nft-trace") -> Record:
    terrain, identities, _ = lab_of(lab)
    with visiting(identities) as visits:
        request = Request(probe_of(words, terrain), respond, in_depth=True)
        return observe(terrain, request, visits, chosen(watchers))


def inside(here: Measured) -> Anatomy:
    assert here.now is not None and here.now.anatomy is not None
    return here.now.anatomy


def at(record: Record, found: Trace, kind: str, leg: int = 0) -> list[tuple[str, Measured]]:
    """With its node, every step of a kind that something was measured at."""
    return [
        (found.legs[leg].hops[hop].node, here)
        for (of, hop, step), here in measure(record, found).items()
        if of == leg and found.legs[leg].hops[hop].steps[step].kind == kind and here.now
    ]


@needs_bpf
def test_one_buffer_goes_through_the_nodes_until_one_has_to_write(write: Write, lab: str) -> None:
    """cli ── gw ── srv: TCP keeps a clone of its SYN, so gw copies it to lower the TTL."""
    done("up", write(routed()))
    record = observed(lab, Words("cli", "srv", tcp=80), 80)
    found = conclude(record)
    assert found.disposition == "answered"
    frames = {
        (kind, node): inside(here)
        for kind in ("tx", "rx") for node, here in at(record, found, kind)
    }  # fmt: skip
    sent, came = frames["tx", "cli"], frames["rx", "gw"]
    assert sent.memory == came.memory and came.shares == 2 and came.is_cloned
    assert (sent.headroom or 0) + 14 == came.headroom, "the Ethernet header"
    assert (sent.held or 0) - 14 == came.held
    assert sent.tailroom == came.tailroom
    left, arrived = frames["tx", "gw"], frames["rx", "srv"]
    assert left.memory == arrived.memory != came.memory
    assert left.shares == 1
    (said,) = [text for text in _said(record, found) if "Copy on write" in text]
    assert "2 buffers shared memory A, so the lowering of its TTL copied the bytes to B" in said


@needs_bpf
def test_the_sender_is_in_its_system_call_and_the_rest_in_a_softirq(
    write: Write, lab: str
) -> None:
    """cli ── gw ── srv"""
    done("up", write(routed()))
    record = observed(lab, Words("cli", "srv", udp=9))
    found = conclude(record)
    sockets = [inside(here) for _, here in at(record, found, "socket")]
    assert (sockets[0].context, sockets[0].program) == ("process", "netlab itself")
    contexts = [inside(here).context for _, here in at(record, found, "rx")]
    assert contexts == ["NET_RX"] * 2


@needs_bpf
def test_a_flood_shares_its_bytes(write: Write, lab: str) -> None:
    """a, b, c on one switch, which does not learn where b is."""
    done("up", write(FLAT))
    switch = ["ip", "netns", "exec", f"{lab}.sw", "ip", "link", "set", "dev"]
    tool(*switch, "b", "type", "bridge_slave", "learning", "off")
    tool(*switch, "br0", "type", "bridge", "fdb_flush")
    record = observed(lab, Words("a", "b", udp=9))
    found = conclude(record)
    ((node, here),) = at(record, found, "switched")
    assert (node, here.copies) == ("sw", 2)
    assert inside(here).shares == 2
    said = _said(record, found)
    assert any("2 buffers, one memory A: 2 shared it when the first left" in s for s in said)


@needs_bpf
def test_what_sockets_hold_is_what_the_kernel_measures(write: Write, lab: str) -> None:
    """cli ── gw ── srv"""
    done("up", write(routed()))
    record = observed(lab, Words("cli", "srv", tcp=80), 80)
    found = conclude(record)
    here = [m for m in measure(record, found).values() if m.listener]
    (listener,) = {m.listener for m in here if m.listener}
    assert (listener.receive_queue, listener.half_open) == (1, 0), "one waits to be accepted"
    mine = measure(record, found)[0, 0, 0].socket
    assert mine is not None and mine.tcp is not None
    algorithm = tool(
        "ip", "netns", "exec", f"{lab}.cli", "sysctl", "-n", "net.ipv4.tcp_congestion_control"
    )
    assert mine.tcp.congestion == algorithm.strip()
    assert (mine.state, mine.tcp.window, mine.tcp.out_of_order) == ("ESTABLISHED", 10, 0)
    assert mine.tcp.rtt is not None and 0 < mine.tcp.rtt < 1000


def _said(record: Record, found: Trace) -> list[str]:
    return list(taught.of(record, found).measured.values())


SERVER = """
import socket
s = socket.create_server(("", 7000))
print("ready", flush=True)
c, _ = s.accept()
while c.recv(1 << 20):
    pass
"""
CLIENT = """
import socket, sys
c = socket.create_connection((sys.argv[1], 7000))
c.sendall(b"x" * 400_000)
"""


@needs_bpf
def test_a_large_buffer_goes_whole_through_every_device(write: Write, lab: str) -> None:
    """cli ── gw ── srv: what TCP sends in one go is cut by nobody on the way."""
    done("up", write(routed()))
    words = ["--live", "tcp dst port 7000 and greater 2000", "--first", "1", "--teach"]
    command = [*NETLAB, "trace", lab, *words]
    inside_of = [sys.executable, "-m", "netlab", "exec", lab]
    with ExitStack() as stack:
        live = stack.enter_context(
            subprocess.Popen(
                command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        )
        stack.callback(live.kill)
        assert live.stderr is not None and "following" in live.stderr.readline()
        server = stack.enter_context(
            subprocess.Popen(
                [*inside_of, "srv", "--", sys.executable, "-c", SERVER], cwd=ROOT,
                stdout=subprocess.PIPE,
            )
        )  # fmt: skip
        stack.callback(server.kill)
        assert server.stdout is not None and server.stdout.readline() == b"ready\n"
        client = [*inside_of, "cli", "--", sys.executable, "-c", CLIENT, "10.2.0.2"]
        subprocess.run(client, cwd=ROOT, check=True, timeout=60)
        told, _ = live.communicate(timeout=60)
    text = " ".join(re.sub(r"[│├└─]", " ", told).split())
    segments = re.search(r"It stands for (\d+) segments of 1448 bytes \(gso_size\)", text)
    assert segments is not None and int(segments[1]) > 1, told
    again = f"It stands for {segments[1]} segments of 1448 bytes (gso_size), in one buffer still."
    assert again in text, told


@needs_bpf
@pytest.mark.parametrize("mode", ["native", "generic"])
def test_where_xdp_stands(mode: str, write: Write, lab: str) -> None:
    """cli ── gw ── srv: native, before there is a buffer; generic, behind."""
    done("up", write(routed()))
    inside_of = ["ip", "netns", "exec", f"{lab}.srv"]
    attach = [*inside_of, sys.executable, "-m", "tests.live.xdp", "eth0", mode, "pass"]
    said = subprocess.run(attach, cwd=ROOT, capture_output=True, text=True)
    if said.returncode:
        pytest.skip(said.stderr.strip().rpartition("\n")[2])
    record = observed(lab, Words("cli", "srv", tcp=80), 80)
    found = conclude(record)
    assert found.disposition == "answered"
    assert [hop.node for hop in found.legs[0].hops] == ["cli", "gw", "srv"]
    left = next(inside(here) for node, here in at(record, found, "tx") if node == "gw")
    ((_, here),) = [(n, here) for n, here in at(record, found, "rx") if n == "srv"]
    came = next(step for step in found.legs[0].hops[2].steps if step.kind == "rx")
    text = taught.words(came, here)
    if mode == "native":
        assert inside(here).memory != left.memory
        assert here.by_gro and "the device's poll built a new buffer after XDP" in text
        assert "it saw the frame before there was this sk_buff" in text
    else:
        assert inside(here).memory == left.memory or "copied" in text
        assert text.endswith("eth0 has an XDP program (generic).")


# tiers, and kernels that have less


@needs_bpf
def test_only_who_is_taught_pays_for_it(write: Write, lab: str) -> None:
    """cli ── gw ── srv"""
    done("up", write(routed()))
    terrain, identities, _ = lab_of(lab)
    with visiting(identities) as visits:
        request = Request(probe_of(Words("cli", "srv", tcp=80), terrain))
        record = observe(terrain, request, visits, chosen("bpf"))
    assert all(s.anatomy is None for s in record.sightings)
    assert not any(facts.sockets for facts in record.facts.values())
    usual = netlab("trace", lab, "cli", "srv", "--tcp", "80").out
    assert "Here: " not in usual and "not measured" not in usual


@pytest.mark.parametrize("watchers", ["nft-trace,taps", "nft-trace", "taps", "tracefs,nft-trace"])
def test_without_bpf_it_teaches_what_is_known(watchers: str, write: Write, lab: str) -> None:
    """cli ── gw ── srv"""
    lacking = [
        f"{name}: {why}" for name in watchers.split(",") if (why := catalog()[name].obstacle())
    ]
    if lacking:
        pytest.skip(lacking[0])
    done("up", write(routed()))
    words = ["cli", "srv", "--tcp", "80", "--respond", "--teach", "--backends", watchers]
    said = done("trace", lab, *words)
    assert "A veth's driver makes no copy" in " ".join(re.sub(r"[│├└─]", " ", said).split())
    (line,) = [line for line in said.splitlines() if line.startswith("not measured: ")]
    assert line == (
        "not measured: how buffers lie in memory, on which CPU and in which context: bpf: it was"
        " not chosen"
    )
    assert "ESTABLISHED" in said


def older(monkeypatch: pytest.MonkeyPatch, cache: Path, absent: str) -> None:
    """A kernel without what begins so: tracepoints, members, enums."""

    def less(name: str) -> None:
        whole = getattr(Types, name)

        def answered(types: Types, question: str, *more: str) -> object:
            if question.startswith(absent):
                raise NoSuchType(f"there is no {question}")
            return whole(types, question, *more)

        monkeypatch.setattr(Types, name, answered)

    for name in ("way", "arguments", "names"):
        less(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))


OLDER = [
    ("softirq_", "which softirq runs, for --teach"),
    ("skb_shared_info.", "how buffers lie in memory, for --teach"),
    ("sk_buff.__cloned_offset", "how buffers lie in memory, for --teach"),
    ("sk_buff.end", "how buffers lie in memory, for --teach"),
    ("skb_drop_reason", "what reasons for a drop are called"),
    ("sk_buff._nfct", "what connection tracking takes it for"),
]


@needs_bpf
@pytest.mark.parametrize(("absent", "named"), OLDER, ids=[absent for absent, _ in OLDER])
def test_what_an_older_kernel_lacks_is_named_and_done_without(
    absent: str,
    named: str,
    write: Write,
    lab: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """cli ── gw ── srv"""
    done("up", write(routed()))
    older(monkeypatch, tmp_path / "cache", absent)
    words = ["cli", "srv", "--tcp", "80", "--respond", "--teach", "--backends", "bpf,nft-trace"]
    said = done("trace", lab, *words)
    assert "✓ answered" in said and "bpf ✓" in said
    assert "in a system call of netlab itself" in " ".join(said.split()) or absent == "softirq_"
    rows = netlab("doctor", "--json").json["features"]
    told = {r["what_for"]: r["detail"] for r in rows if r["name"] == "trace: bpf"}
    assert absent in told[named]
