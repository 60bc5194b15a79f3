"""`netlab sockets` against what programs do, and against ss(8)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.live.conftest import Write
from tests.live.world import ROOT, done, eventually, netlab, tool

# a ── b, where nothing that a says is answered on tcp/81
TEXT = """
addressing: {ipv4: 10.0.0.0/24}
nodes:
  a:
  b:
    nftables: |
      table ip t {
        chain out {
          type filter hook output priority 0
          tcp sport 81 drop
        }
      }
links: [[a, b]]
"""

SERVER = """
import socket, sys
held = []
for port, backlog in ((80, 7), (81, 9)):
    s = socket.socket()
    s.bind(("", port))
    s.listen(backlog)
    held.append(s)
u = socket.socket(type=socket.SOCK_DGRAM)
u.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
u.bind(("", 53))
print("ready", flush=True)
sys.stdin.read()
"""

CLIENT = """
import socket, sys
held = [socket.create_connection(("b", 80)) for _ in range(3)]
held[0].sendall(b"x" * 500)
for _ in range(2):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(("b", 81))
    held.append(s)
u = socket.socket(type=socket.SOCK_DGRAM)
for _ in range(50):
    u.sendto(b"x" * 500, ("b", 53))
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def running(lab: str, node: str, code: str) -> Iterator[int]:
    """Its pid."""
    command = [sys.executable, "-m", "netlab", "exec", lab, node, "--", sys.executable, "-c", code]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid


def sockets(lab: str, node: str) -> list[dict[str, Any]]:
    (found,) = netlab("sockets", lab, node, "--json").json["nodes"]
    return list(found["sockets"])


def the(found: list[dict[str, Any]], **wanted: object) -> dict[str, Any]:
    (one,) = [s for s in found if wanted.items() <= s.items()]
    return one


def test_queues_windows_drops_and_whose_they_are(write: Write, lab: str) -> None:
    done("up", write(TEXT))
    with running(lab, "b", SERVER) as server, running(lab, "a", CLIENT) as client:
        there = eventually(lambda: found if _is_there(found := sockets(lab, "b")) else None)
        here = sockets(lab, "a")
        judged = tool("ip", "netns", "exec", f"{lab}.a", "ss", "-Htani", "dport", "=", ":80")
    listens = the(there, state="LISTEN", port=80)
    assert (listens["receive_queue"], listens["send_queue"], listens["pid"]) == (3, 7, server)
    assert listens["tcp"] is None
    deaf = the(there, state="LISTEN", port=81)
    assert (deaf["receive_queue"], deaf["half_open"]) == (0, 2)
    datagrams = the(there, protocol="udp", port=53)
    assert datagrams["memory"]["drops"] > 30
    assert 0 < datagrams["receive_queue"] <= datagrams["memory"]["receive"]
    read_by_nobody = the(there, state="ESTABLISHED", port=80, receive_queue=500)
    assert read_by_nobody["peer_node"] == "a"
    sender = the(here, state="ESTABLISHED", port=read_by_nobody["peer_port"])
    assert (sender["peer_node"], sender["pid"]) == ("b", client)
    assert (sender["tcp"]["sent"], sender["tcp"]["unacknowledged"]) == (501, 0)
    assert len([s for s in here if s["state"] == "SYN_SENT"]) == 2
    for one in here:
        if one["state"] == "ESTABLISHED":
            _held_against(one, judged)


def _is_there(found: list[dict[str, Any]]) -> bool:
    return the(found, state="LISTEN", port=81)["half_open"] == 2 and any(
        s["receive_queue"] == 500 for s in found if s["protocol"] == "tcp"
    )


LOST = """
addressing: {ipv4: 10.0.0.0/24}
nodes:
  a:
  b:
    nftables: |
      table ip t {
        chain in {
          type filter hook input priority 0
          tcp dport 80 @th,256,32 0x4c4f5354 drop
        }
      }
links: [[a, b]]
"""
"""A segment that begins with LOST never comes, however often it is sent."""

SENDER = """
import socket, sys
c = socket.create_connection(("b", 80))
c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
c.sendall(b"LOST")
c.sendall(b"x" * 500)
print("ready", flush=True)
sys.stdin.read()
"""


def test_what_waits_for_something_that_is_missing_is_out_of_order(write: Write, lab: str) -> None:
    done("up", write(LOST))
    with running(lab, "b", SERVER), running(lab, "a", SENDER):
        there = eventually(
            lambda: next(
                (s for s in sockets(lab, "b") if s["peer"] and s["tcp"]["out_of_order"]), None
            )
        )
        said = done("sockets", lab, "b")
    assert there["receive_queue"] == 0, "nothing that could be read"
    assert there["waits_out_of_order"] == there["memory"]["receive"] > 500
    assert f", {there['waits_out_of_order']} bytes wait" in said


def _held_against(one: dict[str, Any], judged: str) -> None:
    """Two lines of ss a connection."""
    lines = judged.splitlines()
    place = next(n for n, line in enumerate(lines) if f":{one['port']} " in line)
    words = dict(w.split(":", 1) for w in lines[place + 1].split() if ":" in w)
    tcp = one["tcp"]
    assert int(words["cwnd"]) == tcp["window"]
    assert int(words["mss"]) == tcp["segment"]
    assert int(words["pmtu"]) == tcp["path_mtu"]
    assert float(words["rtt"].partition("/")[0]) == tcp["rtt"]
    assert float(words["rto"]) == tcp["timeout"]
    assert tcp["congestion"] in lines[place + 1].split()


def test_words(write: Write, lab: str) -> None:
    done("up", write(TEXT))
    assert done("sockets", lab, "a") == "no socket in a\n"
    with running(lab, "b", SERVER) as server:
        head, words, *rows = done("sockets", lab, "b").splitlines()
        assert head == "b: 3 sockets"
        assert " ".join(words.split()) == "socket state local program accept queue SYN queue"
        assert [row.split() for row in rows if row] == [
            ["tcp", "LISTEN", "*:80", f"{_name()}/{server}", "0", "of", "7", "0"],
            ["tcp", "LISTEN", "*:81", f"{_name()}/{server}", "0", "of", "9", "0"],
            ["udp", "*:53", f"{_name()}/{server}"],
        ]
    assert netlab("sockets", lab, "x").code == 5
    assert netlab("sockets", "nowhere").code == 5


def _name() -> str:
    with open("/proc/self/comm") as file:
        mine = file.read().strip()
    return mine if mine.startswith("python") else "python3"
