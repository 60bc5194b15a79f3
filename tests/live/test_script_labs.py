"""A lab made by its script is the lab that netlab makes: every file of topologies/, node by node.

Both are asked the same questions, of iproute2, ethtool and /proc; down leaves nothing of either.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import Write
from tests.live.world import ROOT, done, inside, ip, tool

TOPOLOGIES = {
    file.stem: text
    for file in sorted(ROOT.glob("topologies/*.yaml"))
    if "processes:" not in (text := file.read_text())  # what daemons do is not the script's
}
TOPOLOGIES["every word"] = """\
name: every-word
nodes:
  r:
    kind: router
    interfaces:
      a:
        {mac: "02:00:00:00:00:01", mtu: 1400, offload: {tso: off, gro: on}, sysctls: {rp_filter: 2}}
      v.7: {addresses: [10.2.0.1/31, "fd02::1/64"], sysctls: {ipv6.neigh.gc_stale_time: 7}}
      down: {up: false, addresses: [10.3.0.1/24]}
      t0: {kind: tun, owner: 1234, group: 5678, multi_queue: true, addresses: [10.4.0.1/24]}
      t1: {kind: tap, mac: "02:00:00:00:00:02", mtu: 1300, addresses: ["fd04::1/64"]}
      x4: {kind: vxlan, id: 7, local: 10.1.0.1, port: 8472, learning: false, addresses: [],
           fdb: [{remote: 10.1.0.2}, {remote: 10.1.0.3},
                 {mac: "02:00:00:00:00:03", remote: 10.1.0.4}]}
      x6: {kind: vxlan, id: 8, remote: "fd01::2", local: "fd01::1", addresses: []}
    routes:
      - {to: default, via: 10.1.0.2, metric: 5, source: 10.1.0.1}
      - {to: 10.90.0.0/16, via: [{gateway: 10.1.0.2, weight: 3}, {gateway: 10.2.0.0, weight: 256}]}
      - {to: 10.91.0.0/16, via: 192.0.2.1, dev: a, onlink: true, table: 4000000000}
      - {to: 10.92.0.0/16, via: "fd01::2", dev: a}
      - {to: 10.93.0.0/16, dev: a}
      - {to: 10.94.0.0/16, type: blackhole}
      - {to: 10.95.0.0/16, type: prohibit, metric: 9}
      - {to: "fd90::/64", via: [{gateway: "fd01::2"}, {gateway: "fd02::2", weight: 2}]}
      - {to: "fd91::/64", via: "fd01::2", metric: 7, source: "fd01::1"}
      - {to: "fd92::/64", type: unreachable}
    rules:
      - {from: 10.0.0.0/8, to: 10.9.0.0/16, table: 100, priority: 1}
      - {iif: a, fwmark: 0x1/0xff, table: 4000000000, priority: 2}
      - {oif: a, tos: 16, type: unreachable, family: 4, priority: 3}
      - {ipproto: tcp, dport: 80, sport: 1024, table: 100, priority: 4}
      - {from: "fd00::/8", table: 254, suppress_prefixlength: 0, priority: 5}
      - {from: all, type: prohibit, family: 6, priority: 32000}
    neighbours:
      - {to: 10.1.0.9, mac: "02:00:00:00:00:09", dev: a}
      - {to: "fd01::9", mac: "02:00:00:00:00:09", dev: a}
      - {to: 10.1.0.10, dev: a, proxy: true}
      - {to: "fd01::10", dev: a, proxy: true}
    sysctls: {net.ipv4.tcp_rmem: 4096 8192 16384, net/ipv4/conf/v.7/arp_ignore: 1}
    nat: {masquerade: a, publish: [{on: a, tcp: 80-90, to: "10.2.0.0:1080-1090"}]}
    nftables: "table ip t { chain c { type filter hook input priority 0; counter; }; }"
  s:
    kind: switch
    stp: true
    ageing: 10
    forward_delay: 4
    priority: 4096
    interfaces:
      r: {bridge_port: {cost: 42, priority: 7, isolated: true}}
      h: {bridge_port: {learning: false, hairpin: true, flood: false}}
  h:
    hosts: false
    resolv_conf: {nameservers: [10.1.0.53], search: [example.org]}
    exec: ["ip link add made address 02:00:00:00:00:77 type bridge"]
links:
  - ["r:a 10.1.0.1/24 fd01::1/64", "s:r"]
  - ["h:eth0 10.1.0.2/24 fd01::2/64", "s:h"]
  - ["r:v.7", {node: h, interface: eth1, addresses: [10.2.0.0/31, "fd02::2/64"]}]
  - ["r:down", {node: h, interface: eth2, addresses: []}]
"""


@pytest.fixture
def script(write: Write, lab: str, tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "lab.sh"
    path.write_text("")
    yield path
    run(path, "down")
    assert list(Path("/etc/netns").glob(f"{lab}.*")) == []


def run(script: Path, verb: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", script, verb], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("which", TOPOLOGIES)
def test_a_script_makes_the_lab_that_netlab_makes(
    write: Write, lab: str, script: Path, which: str
) -> None:
    text = re.sub("^name: .*", f"name: {lab}", TOPOLOGIES[which], flags=re.MULTILINE)
    assert f"name: {lab}\n" in text
    file = write(text)
    if (beside := ROOT / "topologies" / which).is_dir():
        (file.parent / which).symlink_to(beside)
    done("up", file)
    nodes = sorted(path.name.partition(".")[2] for path in Path("/run/netns").glob(f"{lab}.*"))
    wanted = {node: portrait(f"{lab}.{node}") for node in nodes}
    seen = inside(lab, nodes[-1], "cat", "/etc/hosts", "/etc/resolv.conf").out
    done("down", lab)

    script.write_text(done("script", file))
    up = run(script, "up")
    assert (up.returncode, up.stdout, up.stderr) == (0, "", "")
    for node in nodes:
        assert portrait(f"{lab}.{node}") == wanted[node], node
    last = ("ip", "netns", "exec", f"{lab}.{nodes[-1]}", "cat", "/etc/hosts", "/etc/resolv.conf")
    assert tool(*last) == seen

    down = run(script, "down")
    assert (down.returncode, down.stdout, down.stderr) == (0, "", "")
    assert [*Path("/run/netns").glob(f"{lab}.*"), *Path("/etc/netns").glob(f"{lab}.*")] == []


FILES = """\
nodes:
  a:
    files:
      /etc/passwd: "root:x:0:0::/:/bin/sh\\n"
      /etc/netlab-new: "it's new\\n"
      /etc/netlab-new.d/deep/one: {text: "one\\n", mode: 0o640}
      /usr/share/netlab-new: "two\\n"
      /srv/netlab/new: "three\\n"
    exec: ["cat /srv/netlab/new > /dev/null"]
  b:
links: [[a, b]]
"""
SHOWN = (
    "/etc/passwd /etc/netlab-new /etc/netlab-new.d/deep/one /usr/share/netlab-new /srv/netlab/new"
)


def test_a_script_shows_files_that_the_machine_has_not(
    write: Write, lab: str, script: Path
) -> None:
    file = write(FILES)
    look = ["sh", "-c", f"cat {SHOWN} /etc/hosts /etc/resolv.conf; stat -c '%a %n' {SHOWN}"]
    done("up", file)
    wanted = inside(lab, "a", *look)
    done("down", lab)
    script.write_text(done("script", file))
    up = run(script, "up")
    assert (up.returncode, up.stdout, up.stderr) == (0, "", "")
    assert tool("sh", str(script), "exec", f"{lab}.a", *look) == wanted.out
    assert tool("sh", str(script), "exec", f"{lab}.b", "cat", "/etc/hosts").endswith("b\n")
    assert [path for path in SHOWN.split()[1:] if Path(path).exists()] == []
    down = run(script, "down")
    assert (down.returncode, down.stdout, down.stderr) == (0, "", "")
    assert not Path("/run/netns-files").exists()


DAEMONS = {"dhcp-dns": ("dnsmasq", "busybox"), "ospf": ("bird", "birdc"), "web": ("nginx",)}


@pytest.mark.parametrize("which", DAEMONS)
def test_a_script_starts_the_processes_of_a_lab(
    write: Write, lab: str, script: Path, which: str
) -> None:
    if lacking := [name for name in DAEMONS[which] if not shutil.which(name)]:
        pytest.skip(f"no {', '.join(lacking)}")
    text = (ROOT / "topologies" / f"{which}.yaml").read_text()
    file = write(re.sub("^name: .*", f"name: {lab}", text, flags=re.MULTILINE))
    script.write_text(done("script", file))
    up = run(script, "up")
    assert (up.returncode, up.stdout, up.stderr) == (0, "", "")
    down = run(script, "down")
    assert (down.returncode, down.stdout, down.stderr) == (0, "", "")


# what is looked at: all but numbers that the kernel counts, and what comes with the carrier


def portrait(ns: str) -> dict[str, Any]:
    links = ip(ns, "address", "show")
    return {
        "links": {link["ifname"]: _link(link) for link in links},
        "ports": [_steady(port) for port in _bridge(ns, "link", "show")],
        "fdb": sorted(_entry(e) for e in _bridge(ns, "fdb", "show") if _is_written(e)),
        "routes": [
            _route(route)
            for family in ("-4", "-6")
            for route in ip(ns, family, "route", "show", "table", "all")
            if not str(route["dst"]).startswith(("fe80", "ff00"))
        ],
        "rules": [ip(ns, family, "rule", "show") for family in ("-4", "-6")],
        "neighbours": [
            ip(ns, family, "neigh", "show", *which)
            for family in ("-4", "-6")
            for which in (["nud", "permanent"], ["proxy"])
        ],
        "switches": _switches(ns),
        "nftables": tool("ip", "netns", "exec", ns, "nft", "-s", "list", "ruleset"),
        "offloads": {
            link["ifname"]: tool("ip", "netns", "exec", ns, "ethtool", "-k", link["ifname"])
            for link in links
            if link["ifname"] in ("a", "eth0")
        },
    }


COUNTED = re.compile("^link$|timer|index|netnsid|^state$|operstate|topology_change")

CARRIER = ("LOWER_UP", "NO-CARRIER", "linkdown", "dead")


def _steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _steady(v) for k, v in value.items() if not COUNTED.search(k)}
    if isinstance(value, list):
        return [_steady(v) for v in value if v not in CARRIER]
    return value


def _link(link: dict[str, Any]) -> Any:
    addresses = [
        {k: v for k, v in _steady(a).items() if k != "tentative"}
        for a in link["addr_info"]
        if not (a["family"] == "inet6" and a["scope"] == "link")
    ]
    return _steady(link) | {"addr_info": addresses}


def _route(route: dict[str, Any]) -> Any:
    steady = _steady(route)
    return sorted(steady.items(), key=str)


def _bridge(ns: str, *words: str) -> Any:
    return json.loads(tool("bridge", "-n", ns, "-json", "-details", *words) or "[]")


def _is_written(entry: dict[str, Any]) -> bool:
    is_group = int(entry["mac"][:2], 16) & 1
    return entry["state"] == "permanent" and not is_group


def _entry(entry: dict[str, Any]) -> str:
    return json.dumps(_steady(entry), sort_keys=True)


def _switches(ns: str) -> dict[str, str]:
    found = subprocess.run(
        ["ip", "netns", "exec", ns, "grep", "-rs", "", "/proc/sys/net/ipv4", "/proc/sys/net/ipv6"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    lines = (line.removeprefix("/proc/sys/").partition(":") for line in found.stdout.splitlines())
    return {name: value for name, _, value in lines if "fastopen_key" not in name}
