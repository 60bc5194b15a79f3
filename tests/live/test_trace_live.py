"""`netlab trace --live`: the lab's own packets, told one by one, and nothing left behind."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from netlab.trace.bpf import session
from tests.live.conftest import Write
from tests.live.world import NETLAB, ROOT, done, eventually, inside, netlab, tool

WHY_NOT = session.obstacle()
BPF = pytest.param("", id="all", marks=pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT))
LOWER = pytest.param("nft-trace,taps", id="rules and frames")
RULES = pytest.param("nft-trace", id="rules")
FRAMES = pytest.param("taps", id="frames")
PYTHON = ["python3", "-c"]

# a ── sw ── gw ── b: what a sends is masqueraded, and gw publishes port 80 of b as 8080
TEXT = """
routing: static
addressing: {ipv4: 10.77.0.0/16}
nodes:
  a:
  sw: {kind: switch}
  gw:
    kind: router
    routes: [{to: 198.51.100.0/24, type: blackhole}]
    nftables: |
      table inet filter {
        chain forward {
          type filter hook forward priority filter
          tcp dport 23 drop
        }
      }
    nat: {masquerade: wan, publish: [{on: lan, tcp: 8080, to: "b:80"}]}
  b: {processes: {httpd: {run: [python3, -m, http.server, "80"], ready: {tcp: 80}}}}
links:
- [a, sw]
- ["gw:lan 10.77.1.1/24", sw]
- ["gw:wan 10.77.2.1/24", "b 10.77.2.2/24"]
"""
RULE = 14
"""The line of the rule that drops."""

CONNECTS = """
import socket, sys
for to, port in zip(sys.argv[1::2], sys.argv[2::2]):
    s = socket.socket()
    s.settimeout(0.2)
    try:
        s.connect((to, int(port)))
    except OSError:
        pass
    s.close()
"""
SENDS = """
import socket, sys
s = socket.socket(type=socket.SOCK_DGRAM)
for to, port in zip(sys.argv[1::2], sys.argv[2::2]):
    s.sendto(b"hello", (to, int(port)))
"""
FLOODS = """
import socket
s = socket.socket(type=socket.SOCK_DGRAM)
while True:
    s.sendto(b"flood", ("10.77.2.2", 99))
"""


@dataclass
class Following:
    """A `netlab trace --live` that runs."""

    process: subprocess.Popen[str]
    lines: list[str]
    said: list[str]

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]

    def has_told(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first of which it holds."""
        eventually(lambda: any(map(holds, self.told())), 30)
        return next(filter(holds, self.told()))

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        code = self.process.wait(60)
        for thread in self._threads:
            thread.join(10)
        return code

    def __post_init__(self) -> None:
        ends = (self.process.stdout, self.lines), (self.process.stderr, self.said)
        self._threads = [Thread(target=_read, args=end, daemon=True) for end in ends]
        for thread in self._threads:
            thread.start()


def _read(file: Any, to: list[str]) -> None:
    for line in file:
        to.append(line.rstrip("\n"))


@contextmanager
def following(lab: str, text: str, *words: str) -> Iterator[Following]:
    command = [*NETLAB, "trace", lab, "--live", text, *words]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        found = Following(process, [], [])
        try:
            eventually(lambda: found.said or process.poll() is not None, 30)
            assert found.said and found.said[0].startswith(f"following packets of {lab}"), found
            yield found
        finally:
            if process.poll() is None:
                process.kill()


@pytest.fixture
def office(write: Write, lab: str) -> str:
    done("up", write(TEXT))
    return lab


def with_backends(names: str) -> list[str]:
    return ["--backends", names] if names else []


def flow(packet: dict[str, Any]) -> tuple[str, int, str]:
    first = next(leg for leg in packet["legs"] if leg["kind"] == "forward")["packet"]
    return first["protocol"], first["destination_port"], first["flags"]


def nodes(packet: dict[str, Any]) -> list[str]:
    leg = next(leg for leg in packet["legs"] if leg["kind"] == "forward")
    return [hop["node"] for hop in leg["hops"]]


def syn(port: int) -> Callable[[dict[str, Any]], bool]:
    return lambda packet: flow(packet) == ("tcp", port, "S")


# what is told


@pytest.mark.parametrize("backends", [BPF, LOWER, RULES])
def test_a_packet_that_a_rule_drops_is_told_with_the_rules_line(
    backends: str, office: str
) -> None:
    with following(office, "tcp port 23", "--json", *with_backends(backends)) as live:
        inside(office, "a", *PYTHON, CONNECTS, "b", "23", "b", "80")
        found = live.has_told(syn(23))
        assert live.end() == 0
    assert (found["disposition"], found["place"]["node"]) == ("denied", "gw")
    assert (found["cause"]["name"], found["cause"]["rule"]["text"]) == (
        "nft-drop", "tcp dport 23 drop",
    )  # fmt: skip
    assert found["cause"]["place"].endswith(f"{office}.yaml:{RULE}")
    assert nodes(found) == ["a", "sw", "gw"]
    assert {flow(packet)[1] for packet in live.told()} == {23}


@pytest.mark.parametrize("backends", [BPF, LOWER, RULES, FRAMES])
def test_through_nat_it_is_one_packet_there_and_one_back(backends: str, office: str) -> None:
    with following(office, "tcp port 8080", "--json", *with_backends(backends)) as live:
        inside(office, "a", *PYTHON, CONNECTS, "10.77.1.1", "8080")
        there = live.has_told(syn(8080))
        back = live.has_told(lambda packet: flow(packet)[2] == "S.")
        live.end()
    assert nodes(there) == ["a", "sw", "gw", "b"]
    assert nodes(back) == ["b", "gw", "sw", "a"]
    for packet in (there, back):
        assert packet["disposition"] == "delivered"
        leg = next(leg for leg in packet["legs"] if leg["kind"] == "forward")
        (gw,) = [hop for hop in leg["hops"] if hop["node"] == "gw"]
        changed = [c["field"] for s in gw["steps"] if s["kind"] == "nat" for c in s["changes"]]
        assert {"source", "destination"} <= set(changed)


@pytest.mark.parametrize("backends", [BPF])
def test_each_end_has_its_cause(backends: str, office: str) -> None:
    """Only the kernel itself says that a packet came to nobody."""
    with following(office, "tcp or udp", "--dropped", "--json") as live:
        inside(office, "a", *PYTHON, CONNECTS, "b", "81", "b", "80")
        inside(office, "a", *PYTHON, SENDS, "b", "99", "198.51.100.1", "9", "192.0.2.1", "7")
        causes = {
            port: live.has_told(lambda p, port=port: flow(p)[1] == port)  # type: ignore[misc]
            for port in (81, 99, 9, 7)
        }
        live.end()
    told = {port: (p["cause"]["name"], p["place"]["node"]) for port, p in causes.items()}
    assert told == {
        81: ("no-listener-tcp", "b"), 99: ("no-listener-udp", "b"), 9: ("blackhole", "gw"),
        7: ("no-route", "gw"),
    }  # fmt: skip
    assert {flow(packet)[1] for packet in live.told()} <= {81, 99, 9, 7}
    assert all(packet["disposition"] != "delivered" for packet in live.told())
    assert causes[9]["cause"]["place"].endswith(f"{office}.yaml:9")


def test_a_line_a_packet_and_a_sum(office: str) -> None:
    with following(office, "tcp dst port 23 or tcp dst port 80") as live:
        inside(office, "a", *PYTHON, CONNECTS, "b", "23", "b", "80")
        eventually(lambda: any("a:" in x and "b:80 [S]" in x for x in live.lines))
        eventually(lambda: any("b:23 [S]" in x for x in live.lines))
        assert live.end() == 0
    denied = next(line for line in live.lines if "b:23 [S]" in line)
    assert denied.split("  ")[-1].endswith(f"{office}.yaml:{RULE}")
    assert "a → sw → gw  " in denied and "denied: tcp dport 23 drop" in denied
    assert any(" did not" in line for line in live.said)
    assert any("a rule of gw drops the packet" in line for line in live.said)


def test_it_ends_after_so_many_and_one_alone_is_told_in_full(office: str) -> None:
    with following(office, "tcp dst port 80", "--first", "2") as live:
        inside(office, "a", *PYTHON, CONNECTS, "b", "80", "b", "80")
        assert live.ended() == 0
    assert len(live.lines) == 2
    with following(office, "tcp dst port 80", "--first", "1") as live:
        inside(office, "a", *PYTHON, CONNECTS, "b", "80")
        assert live.ended() == 0
    assert any(line.startswith("→ forward  tcp") for line in live.lines)
    assert [line[3:] for line in live.lines if line[:2] in ("├─", "└─")] == [
        "a  host", "sw  switch", "gw  router", "b  host",
    ]  # fmt: skip


@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
def test_who_cannot_see_says_what_is_missing(office: str) -> None:
    with following(office, "icmp", "--backends", "taps") as live:
        eventually(lambda: len(live.said) == 3)
        live.end()
    assert [line.partition(" (")[0] for line in live.said[1:3]] == [
        "without bpf", "without nft-trace",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--live", "tcp prt 80"], "did you mean 'port'?"),
        (["--live", "arp"], "ARP is none"),
        (["a", "--live", "tcp"], "FROM is about a probe"),
        (["--live", "tcp", "--expect", "answered"], "--expect is about a probe"),
        (["--live", "tcp", "--backends", "conntrack"], "bpf, nft-trace, taps"),
        (["a", "b", "--dropped"], "go with --live"),
        (["a"], "--live FILTER for the lab's own packets"),
    ],
)
def test_wrong_words(words: list[str], said: str, office: str) -> None:
    found = netlab("trace", office, *words)
    assert (found.code, said in found.err) == (2, True), found.err


# what is lost, and what is left


@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
def test_under_a_flood_what_is_lost_is_counted_and_nothing_is_made_up(office: str) -> None:
    """The programs tell of more than can be read; of what was missed no cause is claimed."""
    command = ["ip", "netns", "exec", f"{office}.a", *PYTHON, FLOODS]
    with following(office, "", "--json") as live:
        floods = [subprocess.Popen(command) for _ in range(2)]
        try:
            eventually(lambda: len(live.lines) > 300, 60)
        finally:
            for flood in floods:
                flood.kill()
                flood.wait()
        live.end()
    told = [packet for packet in live.told() if flow(packet)[:2] == ("udp", 99)]
    dispositions = {packet["disposition"] for packet in told}
    assert dispositions <= {"refused", "unknown", "delivered", "dropped"}
    assert all(packet["gaps"] for packet in told if packet["disposition"] == "unknown")
    if any(packet["disposition"] == "unknown" for packet in told):
        assert any("not seen to the end" in line for line in live.said)
        assert any(w in " ".join(live.said) for w in ("came too fast", "too many at a time"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left(number: int, office: str) -> None:
    before = left(office)
    with following(office, "tcp") as live:
        assert left(office) != before
        live.end(number)
    eventually(lambda: left(office) == before)
    assert not any(Path("/sys/kernel/tracing/instances").glob("netlab_*"))


def test_it_ends_with_the_lab(office: str) -> None:
    with following(office, "tcp") as live:
        inside(office, "a", *PYTHON, CONNECTS, "b", "80")
        done("down", office)
        assert live.ended() == 0
    assert any(line == f"{office} went down" for line in live.said)


def left(lab: str) -> list[str]:
    """Tables of the lab's nodes."""
    found = [tool("ip", "netns", "exec", f"{lab}.{node}", "nft", "list", "tables")
             for node in ("a", "sw", "gw", "b")]  # fmt: skip
    return [line for text in found for line in text.splitlines()]
