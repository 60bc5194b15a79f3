"""`netlab drops`: what falls is told, where, and why; and nothing of other namespaces."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from netlab.trace.bpf import session
from tests.live.conftest import Write
from tests.live.world import ROOT, done, eventually, inside, netlab, tool

WHY_NOT = session.obstacle()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)

# a ── gw ── b
TEXT = """
routing: static
addressing: {ipv4: 10.77.0.0/16}
nodes:
  a:
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
  b:
links: [[a, gw], [gw, b]]
"""

SENDS = """
import socket
u = socket.socket(type=socket.SOCK_DGRAM)
for to in (("b", 99), ("192.0.2.1", 9), ("198.51.100.1", 9)):
    u.sendto(b"hello", to)
t = socket.socket()
t.settimeout(0.1)
try:
    t.connect(("b", 23))
except OSError:
    print("not connected")
"""


@contextmanager
def watching(lab: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "netlab", "drops", lab, *words]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("watching what is dropped in")
        yield process
        if process.poll() is None:
            process.kill()


def send(lab: str) -> None:
    assert inside(lab, "a", sys.executable, "-c", SENDS).out == "not connected\n"


def test_each_drop_with_its_place_and_its_reason(write: Write, lab: str) -> None:
    done("up", write(TEXT))
    with watching(lab, "--json", "-f") as process:
        send(lab)
        wanted = {
            ("b", "eth0", "NO_SOCKET", "nobody listens on that port", "__udp4_lib_rcv"),
            ("gw", "eth0", "IP_INNOROUTES", "there is no route to its destination", "ip_error"),
            (
                "gw", "eth0", "NOT_SPECIFIED",
                "a blackhole, unreachable or prohibit route took it", "ip_error",
            ),
            (
                "gw", "eth0", "NETFILTER_DROP",
                "an nftables rule, a policy or NAT dropped it", "nft_do_chain",
            ),
        }  # fmt: skip
        found: dict[tuple[str, ...], str] = {}
        assert process.stdout is not None
        while not wanted.issubset(found):
            drop = json.loads(process.stdout.readline())
            function = drop["function"].partition("+")[0]
            found[
                drop["node"], drop["device"], drop["reason"], drop["meaning"]["words"], function
            ] = drop["text"]
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    texts = [found[key] for key in sorted(wanted)]
    assert all(text.startswith("IP a.") for text in texts)
    assert " > b.99: UDP, length 5" in texts[0]


RULES = """
routing: static
addressing: {ipv4: 10.77.0.0/16}
nodes:
  a:
  gw:
    kind: router
    nftables: |
      table inet filter {
        chain forward {
          type filter hook forward priority filter; policy drop;
          tcp dport 22 jump no
          udp dport 53 accept
        }
        chain no {
          counter reject with tcp reset
        }
      }
  b:
links: [[a, gw], [gw, b]]
"""
TRIES = """
import socket
u = socket.socket(type=socket.SOCK_DGRAM)
u.sendto(b"hello", ("b", 99))
for port in (22, 80):
    t = socket.socket()
    t.settimeout(0.1)
    try:
        t.connect(("b", port))
    except OSError:
        pass
"""


def test_the_rule_and_the_policy_that_dropped_it_are_named_with_their_lines(
    write: Write, lab: str
) -> None:
    done("up", write(RULES))
    with watching(lab, "--json", "-f") as process:
        inside(lab, "a", sys.executable, "-c", TRIES)
        assert process.stdout is not None
        found: dict[str, tuple[str, str, str]] = {}
        while not {"b.22", "b.80", "b.99"} <= found.keys():
            drop = json.loads(process.stdout.readline())
            if drop["reason"] == "NETFILTER_DROP":
                told = drop["chain"], drop["rule"], drop["place"].rpartition("/")[2]
                found[drop["text"].split(" > ")[1].partition(":")[0]] = told
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    assert found == {
        "b.22": (
            "inet filter no", "meta l4proto tcp counter reject with tcp reset", f"{lab}.yaml:16",
        ),
        **dict.fromkeys(
            ("b.80", "b.99"), ("inet filter forward", "policy drop", f"{lab}.yaml:10")
        ),
    }  # fmt: skip


def test_nothing_is_left_of_who_asked_for_rules(write: Write, lab: str) -> None:
    done("up", write(RULES))
    tables = ["ip", "netns", "exec", f"{lab}.gw", "nft", "list", "tables"]
    before = tool(*tables)
    for number in (signal.SIGINT, signal.SIGKILL):
        with watching(lab, "-f") as process:
            assert tool(*tables) != before
            process.send_signal(number)
            process.wait(10)
        eventually(lambda: tool(*tables) == before)


def test_it_ends_with_the_lab_whose_numbers_others_get(write: Write, lab: str) -> None:
    done("up", write(TEXT))
    with watching(lab, "-f") as process:
        done("down", lab)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err.splitlines()[0]) == (0, f"{lab} went down")


def test_other_nodes_are_not_told_of(write: Write, lab: str) -> None:
    done("up", write(TEXT))
    with watching(lab, "b", "--json", "-f") as process:
        send(lab)
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        while not first["text"].startswith("IP a."):
            first = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=10)
    nodes = {first["node"], *(json.loads(line)["node"] for line in rest.splitlines())}
    assert nodes == {"b"}


def test_it_ends_after_so_many_and_sums_up(write: Write, lab: str) -> None:
    done("up", write(TEXT))
    with watching(lab, "gw", "-c", "2") as process:
        send(lab)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert len(out.splitlines()) == 4
    assert err.splitlines()[0] == "2 packets dropped"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere"], 5, "no lab nowhere is up"),
        (["LAB", "x"], 5, "has no node x"),
        (["LAB", "--duration", "long"], 2, "--duration"),
        (["LAB", "-f", "--duration", "1s"], 2, "--follow has no end"),
        (["LAB", "-c", "0"], 2, "greater than or equal to 1"),
    ],
)
def test_wrong_words(words: list[str], code: int, said: str, write: Write, lab: str) -> None:
    done("up", write(TEXT))
    found = netlab("drops", *(lab if word == "LAB" else word for word in words))
    assert (found.code, said in found.err) == (code, True), found.err
