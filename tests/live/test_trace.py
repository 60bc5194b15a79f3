"""`netlab trace` on labs that are up: what it says, what it refuses, what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from netlab.cli.trace import Options, chosen, lab_of, trace
from netlab.errors import MachineLacks
from netlab.kernel.visits import visiting
from netlab.trace.backends.base import CannotWatch, Scene, Watch
from netlab.trace.conclude import conclude
from netlab.trace.journey import Request, observe
from netlab.trace.model import Hook, Trace
from netlab.trace.request import Words, probe_of
from tests.live.causes import SWITCHED, chain, routed
from tests.live.conftest import Write
from tests.live.world import NETLAB, ROOT, Said, done, eventually, ip, netlab, program, tool
from tests.trace.kept import way
from tests.trace.reader import read
from tests.trace.record import NAT

WATCHERS = "conntrack,counters,nft-trace,taps"


@pytest.fixture
def office(write: Write, lab: str) -> str:
    """cli ── sw ── gw ── srv"""
    web = '          tcp dport 80 accept comment "web"\n'
    ping = '          meta l4proto icmp accept comment "ping"\n'
    done("up", write(NAT.replace(web, web + ping)))
    return lab


def traced(lab: str, *words: str) -> Said:
    return netlab("trace", lab, *words)


def test_a_story_is_told_node_by_node(office: str) -> None:
    said = traced(office, "cli", "srv", "--tcp", "23")
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0].startswith(f"{office}: tcp cli 10.1.0.2:")
    assert lines[2] == "✗ denied at gw, forward hook"
    assert [line[3:] for line in lines if line[:2] in ("├─", "└─")] == [
        "cli  host", "sw  switch", "gw  router",
    ]  # fmt: skip
    drop = next(line for line in lines if "●" in line)
    assert drop.split("●")[1].split()[:4] == ["tcp", "dport", "23", "counter"]
    assert drop.endswith(f"{office}.yaml:13")
    passed = [line.split("○")[1].split()[:3] for line in lines if "○" in line]
    assert passed[-3:] == [["ct", "state", "established,related"], ["tcp", "dport", "80"],
                           ["meta", "l4proto", "icmp"]]  # fmt: skip
    assert lines[-2].startswith("fix         change the rule")
    assert lines[-1] == "foretold    denied (nft-drop), the same way ✓"


def test_a_line_a_node_and_everything(office: str) -> None:
    brief = traced(office, "cli", "srv", "-q").out.splitlines()
    assert [line.split()[:2] for line in brief[3:]] == [
        ["→", "cli"], ["→", "sw"], ["→", "gw"], ["→", "srv"],
        ["←", "srv"], ["←", "gw"], ["←", "sw"], ["←", "cli"], ["foretold", "answered,"],
    ]  # fmt: skip
    everything = traced(office, "cli", "srv", "-v").out
    assert "everything that was seen" in everything
    assert "inet filter forward rule" in everything


@pytest.mark.parametrize("family", ["-4", "-6"])
@pytest.mark.parametrize("probe", [["--icmp"], ["--tcp", "80"], ["--udp", "53"]])
def test_each_protocol_is_answered_in_both_families(
    probe: list[str], family: str, write: Write, lab: str
) -> None:
    """cli ── gw ── srv"""
    done("up", write(routed()))
    words = [*probe, family, *(["--respond"] if probe != ["--icmp"] else []), "--tos", "8"]
    found = traced(lab, "cli", "srv", *words, "--expect", "answered", "--json").json
    assert [leg["kind"] for leg in found["legs"]] == ["forward", "reply"]
    assert {leg["disposition"] for leg in found["legs"]} == {"delivered"}
    assert [hop["node"] for hop in found["legs"][0]["hops"]] == ["cli", "gw", "srv"]
    assert found["legs"][0]["packet"]["tos"] == 8
    assert found["gaps"] == []


def test_a_syn_by_hand_goes_the_same_way(write: Write, lab: str) -> None:
    """cli ── gw ── srv"""
    done("up", write(routed()))
    for version in (4, 6):
        for answered, result in ((80, "connected"), (0, "ECONNREFUSED")):
            found = one(lab, Words("cli", "srv", tcp=80, version=version), answered, by_hand=True)
            assert found.probe.result == result
            assert [hop.node for hop in found.legs[1].hops] == ["srv", "gw", "cli"]


def one(lab: str, words: Words, respond: int = 0, **more: Any) -> Trace:
    terrain, identities, _ = lab_of(lab)
    with visiting(identities) as visits:
        request = Request(probe_of(words, terrain), respond, **more)
        return conclude(observe(terrain, request, visits, chosen(WATCHERS)))


def test_the_words_of_a_probe_are_in_its_packet(write: Write, lab: str) -> None:
    """cli ── gw ── srv"""
    done("up", write(routed()))
    words = ["--udp", "53", "--from-port", "4321", "--size", "400", "--ttl", "9", "--tos", "0x10"]
    words[-1] = "16"
    for df, told in (("--df", True), ("--no-df", False)):
        found = traced(lab, "cli", "srv", *words, df, "--wait", "0.2", "--json").json
        packet = found["legs"][0]["packet"]
        assert (packet["source_port"], packet["length"], packet["ttl"], packet["tos"]) == (
            4321, 400, 9, 16,
        )  # fmt: skip
        assert packet["dont_fragment"] == told


def test_an_address_on_the_link_alone_is_reached_by_its_device(write: Write, lab: str) -> None:
    """cli ── sw ── srv"""
    done("up", write(SWITCHED))
    links = ip(f"{lab}.srv", "-6", "address", "show", "eth0")
    found = [a for link in links for a in link.get("addr_info", ()) if a["scope"] == "link"]
    address = found[0]["local"]
    words = ["cli", "srv", "--to", f"{address}%eth0"]
    assert traced(lab, *words, "--expect", "answered").code == 0


def test_who_can_not_watch_is_missed_and_named(office: str) -> None:
    for name in ("taps", "nft-trace"):
        words = ["cli", "srv", "--tcp", "8080", "--to", "10.1.0.1", "--backends", name, "--json"]
        found = traced(office, *words).json
        assert found["backends"] == [[name, ""]]
        nodes = [hop["node"] for hop in found["legs"][0]["hops"]]
        assert nodes == ["cli", "sw", "gw", "srv"]


def test_where_nobody_sees_the_way_no_end_is_told(
    office: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(scene: Scene) -> Watch:
        raise CannotWatch("not today")

    blind = {name: replace(backend, watch=refuses) for name, backend in chosen("").items()}
    monkeypatch.setattr("netlab.cli.trace.chosen", lambda names, frames=False: blind)
    with pytest.raises(MachineLacks, match="nobody can watch packets here: bpf: not today"):
        trace(office, Words("cli", "srv"), Options())


def test_expectations_are_exit_codes(office: str) -> None:
    words = ["cli", "srv", "--tcp", "23", "--expect"]
    assert traced(office, *words, "denied").code == 0
    assert traced(office, *words, "nft-drop").code == 0
    failed = traced(office, *words, "answered")
    assert (failed.code, failed.err) == (1, "expected answered, it was denied\n")


# bad words


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["cli", "web"], 5, "has no node web"),
        (["clii", "srv"], 5, "did you mean cli?"),
        (["cli", "srv", "--tcp", "70000"], 2, "Invalid value for '--tcp'"),
        (["cli", "srv", "--tcp", "80", "--udp", "53"], 2, "not several"),
        (["cli", "sw"], 2, "sw has no address to send to"),
        (["sw", "srv"], 2, "sw is a switch: it has no address to send from"),
        (["cli", "srv", "-6"], 2, "srv has no IPv6 address"),
        (["cli", "srv", "--to", "web"], 2, "web is no address"),
        (["cli", "srv", "--expect", "deniedd"], 2, "did you mean denied?"),
        (["cli", "srv", "--backends", "taps,ears"], 2, "--backends ears"),
        (["cli", "srv", "-q", "-v"], 2, "one of -q, -v"),
        (["cli", "srv", "--ttl", "256"], 2, "Invalid value for '--ttl'"),
        (["cli", "srv", "--pcap", "/nowhere/x.pcapng"], 2, "No such file or directory"),
        (["cli", "srv", "--pcap", "x", "--backends", "nft-trace"], 2, "needs the backend taps"),
        (["cli", "srv", "--backends", "counters,conntrack"], 2, "nobody of these sees"),
        (["cli", "srv", "--backends", "tracefs"], 2, "these do: bpf, nft-trace, taps"),
    ],
)
def test_bad_words_get_a_sentence(
    words: list[str], code: int, sentence: str, office: str
) -> None:
    said = traced(office, *words)
    assert said.code == code and sentence in said.err, said


def test_a_lab_that_is_not_up_is_told(lab: str) -> None:
    said = traced(lab, "cli", "srv")
    assert said.code == 5 and f"no lab {lab} is up" in said.err


def test_a_port_that_is_taken_is_told(write: Write, lab: str) -> None:
    """cli ── sw ── srv"""
    text = SWITCHED.replace("cli: {}", f"cli: {{processes: {{p: {{run: {json.dumps(HOLDS)}, "
                            "ready: {log: ready}}}}")  # fmt: skip
    done("up", write(text))
    said = traced(lab, "cli", "srv", "--udp", "53", "--from-port", "4321")
    assert said.code == 4 and "cli cannot send from port 4321: Address already in use" in said.err


HOLDS = [
    sys.executable, "-c",
    "import socket, time; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('', 4321));"
    " print('ready', flush=True); time.sleep(600)",
]  # fmt: skip


def test_of_a_lab_half_down_what_is_left_is_traced(office: str) -> None:
    """srv is gone"""
    tool("ip", "netns", "del", f"{office}.srv")
    found = traced(office, "cli", "gw", "--json").json
    assert found["disposition"] == "answered"
    assert found["gaps"] == ["srv is gone: somebody deleted its namespace"]
    assert traced(office, "cli", "srv").code == 5


# a capture


def test_its_frames_are_a_capture(office: str, tmp_path: Path) -> None:
    file = tmp_path / "story.pcapng"
    words = ["cli", "srv", "--tcp", "8080", "--to", "10.1.0.1", "--respond-port", "80"]
    assert traced(office, *words, "--pcap", str(file)).code == 0
    found = read(file.read_bytes())
    names = found.interface_names
    assert sorted(names) == ["cli:eth0", "gw:lan", "gw:wan", "srv:eth0", "sw:cli", "sw:gw"]
    assert found.times == sorted(found.times) and len(found.packets) == 12
    assert found.names["10.1.0.1"] == ["gw"]
    sent, *_, got = found.packets
    assert names[sent.interface] == names[got.interface] == "cli:eth0"
    (asked,) = [p for p in found.packets if names[p.interface] == "gw:lan" and p.flags & 3 == 1]
    assert asked.comments[0] == "forward, hop 3 of 4: gw"
    assert any("destination 10.1.0.1:8080 → 203.0.113.2:80" in text for text in asked.comments)
    said = tool("tcpdump", "-nr", str(file), "tcp[tcpflags] == tcp-syn")
    assert len(said.splitlines()) == 6


# what it leaves


def held(lab: str, nodes: list[str]) -> list[str]:
    """What a trace could leave in a namespace: tables, and sockets of its own."""
    found = []
    for node in nodes:
        ns = f"{lab}.{node}"
        tables = tool("ip", "netns", "exec", ns, "nft", "list", "tables").splitlines()
        found += [f"{node}: {t}" for t in tables if "netlab_trace" in t]
        packets = tool("ip", "netns", "exec", ns, "cat", "/proc/net/packet").splitlines()[1:]
        found += [f"{node}: a packet socket" for _ in packets]
        ports = tool("ip", "netns", "exec", ns, "ss", "-Haun", "-at").splitlines()
        found += [f"{node}: {line.split()[0]}" for line in ports]
    return found


NODES = ["cli", "sw", "gw", "srv"]


def test_it_leaves_nothing(office: str) -> None:
    before = held(office, NODES), done("show", office, "gw", "--rules")
    words = [["--tcp", "80"], ["--udp", "53", "--respond"], ["--icmp"], ["--tcp", "23"]]
    for some in words:
        assert traced(office, "cli", "srv", *some).code == 0
    assert held(office, NODES) == before[0] == []


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_in_the_middle_it_leaves_nothing(how: signal.Signals, office: str) -> None:
    command = [*NETLAB, "trace", office, "cli", "10.1.0.77", "--wait", "60"]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    eventually(lambda: len([h for h in held(office, NODES) if "table" in h]) >= 2)
    shown = done("show", office, "gw", "--rules")
    assert "netlab_trace" not in shown, "they are no rules of the node"
    os.kill(child.pid, how)
    child.wait(20)
    eventually(lambda: held(office, NODES) == [])


def test_two_at_once_do_not_meet(office: str) -> None:
    command = [*NETLAB, "trace", office, "cli", "srv", "--tcp", "23", "--json", "--backends",
               WATCHERS]  # fmt: skip
    pair = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    for child in pair:
        found = json.loads(child.communicate(timeout=60)[0])
        assert found["cause"]["name"] == "nft-drop"
        assert [hop["node"] for hop in found["legs"][0]["hops"]] == ["cli", "sw", "gw"]


# under load


FLOOD = """
import socket, sys
s = socket.socket(type=socket.SOCK_DGRAM)
s.connect((sys.argv[1], 5555))
while True:
    try:
        s.send(b"x" * 64)
    except OSError:
        pass
"""


def test_each_of_many_probes_is_exact_while_others_flood_the_way(office: str) -> None:
    flood = ["ip", "netns", "exec", f"{office}.cli", sys.executable, "-c", FLOOD, "10.1.0.1"]
    senders = [subprocess.Popen(flood) for _ in range(2)]
    try:
        shapes = Counter(
            # each from a port of its own: one that was used just before is tracked still
            shape(one(office, Words("cli", "srv", tcp=8080, to="10.1.0.1", from_port=port), 80))
            for port in range(20000, 20025)
        )
    finally:
        for sender in senders:
            sender.kill()
            sender.wait()
    assert len(shapes) == 1, shapes
    (told,) = shapes
    assert told[0] == "answered"
    assert told[1] == tuple(THERE)


THERE = ["cli: · → eth0", "sw: cli → gw", "gw: lan → wan", "srv: eth0 → ·"]


def shape(found: Trace) -> tuple[Any, ...]:
    """All but times and numbers that are others each time."""
    legs = []
    for leg in found.legs:
        steps = [
            (step.kind, [
                (c.name, c.verdict, tuple((r.handle, r.matched, r.verdict) for r in c.rules))
                for c in step.chains
            ] if isinstance(step, Hook) else [])
            for hop in leg.hops
            for step in hop.steps
        ]  # fmt: skip
        legs += [tuple(way(leg)), repr(steps)]
    return (str(found.disposition), *legs)


def test_in_a_lab_of_fifty_nodes_it_is_exact_as_well(write: Write, lab: str) -> None:
    """r0 ── r1 ── … ── r49"""
    nodes = "".join(f"  r{n}: {{kind: router}}\n" for n in range(50))
    links = "".join(f"  - [r{n}, r{n + 1}]\n" for n in range(49))
    done("up", write(f"routing: static\nnodes:\n{nodes}links:\n{links}"))
    shapes = Counter(shape(one(lab, Words("r0", "r49", icmp=True))) for _ in range(4))
    assert len(shapes) == 1, shapes
    (told,) = shapes
    assert told[0] == "answered"
    assert len(told[1]) == len(told[3]) == 50


def test_a_neighbour_that_is_waited_for_is_said(write: Write, lab: str) -> None:
    """cli ── sw ── srv"""
    done("up", write(SWITCHED))
    began = time.monotonic()
    said = traced(lab, "cli", "10.0.0.77")
    assert "waiting for 10.0.0.77, a neighbour of cli, to answer" in said.err
    assert time.monotonic() - began > 2
    assert program("trace", lab, "cli", "srv", "--expect", "answered").code == 0


@pytest.mark.parametrize("probe", [["--icmp"], ["--udp", "53", "--respond"], ["--tcp", "80"]])
@pytest.mark.parametrize("family", ["-4", "-6"])
def test_a_connection_is_found_by_either_direction(
    probe: list[str], family: str, write: Write, lab: str
) -> None:
    """cli ── gw, which tracks ── srv"""
    done("up", write(routed(gw=chain("forward", "ct state new,established accept"))))
    found = traced(lab, "cli", "srv", *probe, family, "--json").json
    told = [
        (step["state"], step["original"], step["reply"])
        for leg in found["legs"]
        for hop in leg["hops"]
        for step in hop["steps"]
        if step["kind"] == "conntrack"
    ]
    (first, there, back), (second, *same) = told
    assert (first, second) == ("new", "established")
    assert [there, back] == same and there.split(" → ") == back.split(" → ")[::-1] != ["", ""]


def test_a_table_that_a_rule_chose_is_told(write: Write, lab: str) -> None:
    """cli ── gw ── srv"""
    gw = (
        "rules: [{from: 10.1.0.0/24, table: 100, priority: 1000}],"
        " routes: [{to: default, via: 10.2.0.2, table: 100}]"
    )
    done("up", write(routed(gw=gw)))
    found = traced(lab, "cli", "srv", "--json").json
    (route,) = [s for s in found["legs"][0]["hops"][1]["steps"] if s["kind"] == "route"]
    assert (route["prefix"], route["via"], route["table"]) == ("default", "10.2.0.2", "100")
    assert route["rule"] == "1000: from 10.1.0.0/24 lookup 100"


def test_doctor_says_who_can_watch() -> None:
    rows = {f["name"]: f for f in netlab("doctor", "--json").json["features"]}
    assert {f"trace: {name}" for name in chosen("")} <= rows.keys()
    for name in ("nft-trace", "taps", "counters", "conntrack"):
        assert rows[f"trace: {name}"]["present"], rows[f"trace: {name}"]
    assert rows["trace"]["what_for"].startswith("tier ")


def test_who_may_not_watch_is_told_why() -> None:
    """As nobody, in a process of its own."""
    code = (
        "import os, sys; sys.path.insert(0, os.getcwd())\n"
        "from netlab.trace.backends import catalog\n"
        "found = {n: b.obstacle for n, b in catalog().items()}\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "print({n: found[n]() for n in ('nft-trace', 'taps')})\n"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert said.stdout.count("Operation not permitted") == 2, said
