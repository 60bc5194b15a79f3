"""A written script on the real kernel, judged by ``ip -json``.

    ts<pid>.h1 (eth0 10.0.0.1) ──── (p1) ts<pid>.sw (br0, vx0)
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netlab.kernel.script import ScriptKernel
from netlab.kernel.values import NextHop, VethEnd
from tests.live.world import eventually

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

LAB = f"ts{os.getpid()}"
H1, SW = f"{LAB}.h1", f"{LAB}.sw"


def ask(ns: str, *words: str) -> Any:
    return json.loads(subprocess.check_output(["ip", "-n", ns, "-json", "-details", *words]))


def within(ns: str, *words: str) -> str:
    return subprocess.check_output(["ip", "netns", "exec", ns, *words], text=True)


def host() -> tuple[object, ...]:
    links = subprocess.check_output(["ip", "-brief", "link"], text=True)
    places = [Path("/etc/netns"), Path("/run/netns")]
    ours = sorted(str(p) for place in places for p in place.glob(f"{LAB}.*"))
    return links, ours, [m for m in Path("/proc/mounts").read_text().splitlines() if LAB in m]


def small_lab() -> ScriptKernel:
    kernel = ScriptKernel()
    for ns in (H1, SW):
        kernel.add_namespace(ns)
    kernel.write_hosts(LAB, "127.0.0.1 localhost\n10.0.0.1 h1\n")
    kernel.add_device(SW, "br0", "bridge", "02:00:00:00:00:0b", 0, True, {
        "forward_delay": 4, "ageing_time": 100, "stp_state": True,
    })
    kernel.add_device(SW, "vx0", "vxlan", "", 1450, True, {
        "id": 7, "dstport": 4789, "learning": False,
    })
    kernel.add_veth(
        VethEnd(H1, "eth0", "02:00:00:00:00:01", 1400, True), VethEnd(SW, "p1", "", 1400, True)
    )
    kernel.set_master(SW, "p1", "br0")
    kernel.set_port(SW, "p1", {"cost": 42, "isolated": True})
    kernel.add_fdb(SW, "vx0", "00:00:00:00:00:00", "192.0.2.1")
    kernel.add_fdb(SW, "vx0", "00:00:00:00:00:00", "192.0.2.2")
    return kernel


def with_layer_3(kernel: ScriptKernel) -> ScriptKernel:
    kernel.set_sysctl(H1, "net.ipv4.ip_forward", "1")
    kernel.set_sysctl(H1, "net.ipv4.tcp_rmem", "4096 8192 16384")
    kernel.add_address(H1, "eth0", "10.0.0.1/24")
    kernel.add_address(H1, "eth0", "10.1.0.1/31")
    kernel.add_address(H1, "eth0", "10.2.0.1/32")
    kernel.add_address(H1, "eth0", "fd00::1/64")
    ways = [NextHop("10.0.0.2", "eth0", 3), NextHop("10.0.0.3", "eth0", 1)]
    kernel.add_route(H1, "10.9.0.0/16", ways, "unicast", 254, 0, "", False)
    kernel.add_route(H1, "0.0.0.0/0", [NextHop("192.0.2.9", "eth0", 1, True)], "unicast", 100, 5,
                     "10.0.0.1", False)
    kernel.add_route(H1, "fd01::/64", [NextHop("fd00::2")], "unicast", 254, 0, "", False)
    kernel.add_route(H1, "fd02::/64", [], "blackhole", 254, 0, "", False)
    kernel.add_rule(H1, 4, {"from": "10.0.0.0/24", "table": 100, "priority": 9})
    kernel.add_neighbour(H1, "eth0", "10.0.0.2", "02:00:00:00:00:02", False)
    kernel.add_neighbour(H1, "eth0", "10.0.0.77", "", True)
    kernel.write_entry(H1, json.dumps({
        "resolv": "nameserver 10.0.0.53\n", "env": [["GREETING", "it's me"]],
        "files": [["/etc/passwd", "root:x:0:0::/:/bin/sh\n", 0o600]],
    }))
    kernel.run(H1, 'test "$GREETING $NETLAB_NODE" = "it\'s me h1" && grep -q h1 /etc/hosts')
    kernel.reset_sysctl(SW, "net.ipv4.conf.p1.rp_filter")
    return kernel


def run(script: Path, verb: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", script, verb], capture_output=True, text=True, timeout=60)


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Path]:
    before, path = host(), tmp_path / "lab.sh"
    path.write_text("exit 0")
    try:
        yield path
    finally:
        run(path, "down")
        for ns in (H1, SW):
            subprocess.run(["ip", "netns", "del", ns], capture_output=True)
    assert host() == before


def test_the_script_builds_the_lab_and_takes_it_down(script: Path) -> None:
    before = host()
    script.write_text(with_layer_3(small_lab()).script(LAB, "Host and switch."))
    assert subprocess.run(["sh", "-n", script]).returncode == 0
    up = run(script, "up")
    assert (up.returncode, up.stdout, up.stderr) == (0, "", "")

    eth0, lo = ask(H1, "link", "show", "eth0")[0], ask(H1, "link", "show", "lo")[0]
    assert (eth0["address"], eth0["mtu"]) == ("02:00:00:00:00:01", 1400)
    eventually(lambda: ask(H1, "link", "show", "eth0")[0]["operstate"] == "UP")
    assert "UP" in lo["flags"]
    bridge = ask(SW, "link", "show", "br0")[0]["linkinfo"]["info_data"]
    assert [bridge[k] for k in ("forward_delay", "ageing_time", "stp_state")] == [400, 10000, 1]
    port = ask(SW, "link", "show", "p1")[0]
    assert (port["master"], port["linkinfo"]["info_slave_data"]["cost"]) == ("br0", 42)
    assert port["linkinfo"]["info_slave_data"]["isolated"] is True
    fdb = subprocess.check_output(["bridge", "-n", SW, "fdb", "show", "dev", "vx0"], text=True)
    assert sorted(w for w in fdb.split() if w.startswith("192.")) == ["192.0.2.1", "192.0.2.2"]

    addresses = {
        a["local"]: (a.get("broadcast"), a.get("address"), a.get("tentative", False))
        for a in ask(H1, "address", "show", "eth0")[0]["addr_info"] if a["scope"] == "global"
    }
    assert addresses == {
        "10.0.0.1": ("10.0.0.255", None, False),
        "10.1.0.1": (None, None, False),
        "10.2.0.1": (None, None, False),
        "fd00::1": (None, None, False),
    }
    routes = {r["dst"]: r for r in ask(H1, "route", "show", "proto", "static")}
    assert [(h["gateway"], h["weight"]) for h in routes["10.9.0.0/16"]["nexthops"]] == [
        ("10.0.0.2", 3), ("10.0.0.3", 1)
    ]
    other = ask(H1, "route", "show", "table", "100")[0]
    assert (other["gateway"], other["metric"], other["prefsrc"], other["flags"]) == (
        "192.0.2.9", 5, "10.0.0.1", ["onlink"]
    )
    sixes = {r["dst"]: r["type"] for r in ask(H1, "-6", "route", "show", "proto", "static")}
    assert sixes == {"fd01::/64": "unicast", "fd02::/64": "blackhole"}
    assert [r["table"] for r in ask(H1, "rule", "show") if r["priority"] == 9] == ["100"]
    assert [n["lladdr"] for n in ask(H1, "neigh", "show", "nud", "permanent", "10.0.0.2")] == [
        "02:00:00:00:00:02"
    ]
    assert [n["dst"] for n in ask(H1, "neigh", "show", "proxy")] == ["10.0.0.77"]

    read = ["cat", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/tcp_rmem"]
    assert within(H1, *read) == "1\n4096\t8192\t16384\n"
    assert within(SW, "cat", "/proc/sys/net/ipv4/ip_forward") == "0\n"
    assert within(H1, "cat", "/etc/resolv.conf", "/etc/passwd", "/etc/hosts") == (
        "nameserver 10.0.0.53\nroot:x:0:0::/:/bin/sh\n127.0.0.1 localhost\n10.0.0.1 h1\n"
    )

    again = run(script, "up")
    assert (again.returncode, again.stderr) == (1, f"/run/netns/{H1} is there already\n")
    with subprocess.Popen(["ip", "netns", "exec", H1, "sleep", "60"]) as sleeper:
        eventually(lambda: within_pids(H1))
        down = run(script, "down")
        assert (down.returncode, down.stdout, down.stderr) == (0, "", "")
        assert sleeper.wait(5) == -9
    assert host() == before
    assert run(script, "down").returncode == 0


def within_pids(ns: str) -> list[str]:
    return subprocess.check_output(["ip", "netns", "pids", ns], text=True).split()


def test_a_command_that_fails_leaves_nothing(script: Path) -> None:
    before = host()
    kernel = small_lab()
    kernel.run(H1, "echo no >&2; exit 3")
    script.write_text(str(kernel))
    up = run(script, "up")
    assert (up.returncode, up.stdout, up.stderr) == (3, "", "no\n")
    assert host() == before


def test_a_namespace_that_is_there_already_is_left_alone(script: Path) -> None:
    subprocess.run(["ip", "netns", "add", SW], check=True)
    inode = Path(f"/run/netns/{SW}").stat().st_ino
    script.write_text(str(small_lab()))
    up = run(script, "up")
    assert (up.returncode, up.stderr) == (1, f"/run/netns/{SW} is there already\n")
    assert Path(f"/run/netns/{SW}").stat().st_ino == inode
    assert not Path(f"/run/netns/{H1}").exists()
