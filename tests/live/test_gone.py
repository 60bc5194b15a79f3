"""Addresses and routes that somebody deleted come back with `up`; what was changed is left so.

    a ── r ── b (t)
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.conftest import Write
from tests.live.crash import differing, look
from tests.live.life import nothing_of
from tests.live.world import done, inside, tool

TEXT = """\
routing: static
nodes:
  a: {routes: [{to: 192.0.2.0/24, via: 10.0.0.2}, {to: 198.51.100.0/24, type: blackhole, table: 7}]}
  r: {kind: router}
  b: {interfaces: {t: {kind: tun, addresses: [10.8.0.1/24, "::ffff:1.2.3.4/128"]}}}
links:
  - ["a:eth0 10.0.0.1/24 10.0.0.9/24 fd00::1/64", "r:a 10.0.0.2/24 fd00::2/64"]
  - ["r:b 10.1.0.2/24 fd01::2/64", "b:eth0 10.1.0.1/24 fd01::1/64"]
"""


@pytest.fixture
def file(write: Write) -> Path:
    file = write(TEXT)
    done("up", file)
    return file


DELETED = {
    "a address del 10.0.0.1/24 dev eth0": "address 10.0.0.1/24 dev eth0",
    "a address del 10.0.0.9/24 dev eth0": "address 10.0.0.9/24 dev eth0",
    "a address del fd00::1/64 dev eth0": "address fd00::1/64 dev eth0",
    "a address flush dev eth0": "address fd00::1/64 dev eth0",
    "r address flush dev a": "address 10.0.0.2/24 dev a",
    "b address flush dev t": "address ::ffff:102:304/128 dev t",
    "a route del 192.0.2.0/24": "route 192.0.2.0/24 via 10.0.0.2 dev eth0",
    "a route flush table 7": "route blackhole 198.51.100.0/24 table 7",
    "a -4 route flush proto static": "1 static IPv4 route",
    "b -6 route flush proto static": "1 static IPv6 route",
}


@pytest.mark.parametrize("command", DELETED)
def test_what_was_deleted_comes_back(file: Path, lab: str, command: str) -> None:
    wanted = look(lab)
    node, *words = command.split()
    tool("ip", "-n", f"{lab}.{node}", *words)
    plan = done("plan", file)
    assert f"+ {node}: {DELETED[command]}   (since " in plan
    assert "gone" in plan
    done("up", file)
    assert differing(lab, wanted) == []
    assert "is unchanged" in done("up", file)
    assert inside(lab, "a", "ping", "-c1", "-W2", "b").code == 0


def test_what_went_while_a_link_was_down_comes_back(file: Path, lab: str) -> None:
    wanted = look(lab)
    for state in ("down", "up"):
        tool("ip", "-n", f"{lab}.a", "link", "set", "eth0", state)
    assert "+ a: address fd00::1/64 dev eth0   (since it was gone" in done("plan", file)
    done("up", file)
    assert differing(lab, wanted) == []


CHANGED = [
    "a ip link set eth0 down",
    "a ip link set eth0 mtu 1000",
    "a sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1",
    "a ip route replace 192.0.2.0/24 dev eth0",
    "a ip -6 route replace default via fd00::3",
    "a ip address add 10.0.0.7/24 dev eth0",
    "a ip route add 203.0.113.0/24 dev eth0",
]


@pytest.mark.parametrize("command", CHANGED)
def test_what_was_changed_or_added_is_left_so(file: Path, lab: str, command: str) -> None:
    """Nothing else could be done without taking away what somebody wanted there."""
    node, *words = command.split()
    tool("ip", "netns", "exec", f"{lab}.{node}", *words)
    left = look(lab)
    assert done("plan", file) == f"{lab} is unchanged\n"
    done("up", file)
    assert differing(lab, left) == []
    done("down", lab)
    assert nothing_of(lab)
