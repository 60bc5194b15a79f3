"""The map of a node against the kernel, as judges see it, and against the map of its file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import Write
from tests.live.world import ROOT, done, inside, ip, netlab, settled, tool

LABS = {
    "home-router": ("router", "phone"),
    "docker-network": ("host", "app"),
    "kube-proxy": ("node1",),
    "bridge-filter": ("sw", "alice"),
    "netdev-ingress": ("gw",),
    "policy-routing": ("gw", "isp-a"),
    "vxlan-overlay": ("host1", "g1"),
    "ring": ("r1", "west"),
    "proxy-arp": ("node", "pod1"),
    "syn-flood": ("fw", "attacker"),
}
"""And the nodes that are looked at."""


def of_lab(lab: str, node: str) -> Any:
    return netlab("explain", lab, node, "--map", "--json").json


def named(stem: str, lab: str) -> str:
    _, rest = (ROOT / f"topologies/{stem}.yaml").read_text().split("\n", 1)
    return f"name: {lab}\n{rest}"


@pytest.mark.parametrize("stem", LABS)
def test_a_map_is_what_the_kernel_has_and_the_file_said(stem: str, write: Write, lab: str) -> None:
    file = write(named(stem, lab))
    planned = {n: netlab("explain", file, n, "--map", "--json").json for n in LABS[stem]}
    done("up", file)
    for node in LABS[stem]:
        found = _settled(lab, node, _without_what_is_learned(planned[node]))
        assert _chains(found) == _by_nft(lab, node)
        assert _routes(found) == _by_ip(lab, node)
        assert _without_what_is_learned(found) == _without_what_is_learned(planned[node])
        assert all(len(line) <= 100 for line in done("explain", lab, node, "--map").splitlines())


def _settled(lab: str, node: str, wanted: Any) -> Any:
    """Addresses that the kernel makes itself come late, and are tentative first."""
    return settled(
        lambda: of_lab(lab, node),
        lambda found: not _tentative(found) and _without_what_is_learned(found) == wanted,
    )


def _tentative(found: Any) -> bool:
    return any("tentative" in a for nic in found["nics"] for a in nic["addresses"])


def _chains(found: Any) -> set[tuple[str, str, str, str, int, str]]:
    return {
        (s["family"], s["table"], s["chain"], gate["hook"], s["priority"], s["policy"])
        for gate in found["gates"]
        for s in gate["stops"]
        if s["what"] == "chain"
    }


def _by_nft(lab: str, node: str) -> set[tuple[str, str, str, str, int, str]]:
    said = json.loads(tool("ip", "netns", "exec", f"{lab}.{node}", "nft", "-j", "list", "chains"))
    chains = [c["chain"] for c in said["nftables"] if "chain" in c]
    return {
        (c["family"], c["table"], c["name"], c["hook"], c["prio"], c["policy"])
        for c in chains
        if "hook" in c
    }


def _routes(found: Any) -> set[tuple[int, str, str]]:
    return {
        (table["version"], table["name"], route["to"].removesuffix("/32"))
        for table in found["tables"]
        for route in table["routes"]
    }


def _by_ip(lab: str, node: str) -> set[tuple[int, str, str]]:
    return {
        (version, route.get("table", "main"), route["dst"])
        for version in (4, 6)
        for route in ip(f"{lab}.{node}", f"-{version}", "route", "show", "table", "all")
        if route.get("table") != "local" and not route["dst"].startswith(("fe80:", "ff00:"))
    }


def _without_what_is_learned(found: Any) -> Any:
    bridges = [bridge | {"known": 0} for bridge in found["bridges"]]
    tables = [
        table | {"routes": [route | {"place": ""} for route in table["routes"]]}
        for table in found["tables"]
    ]
    gates = [
        gate | {"stops": [stop | {"place": Path(stop["place"]).name} for stop in gate["stops"]]}
        for gate in found["gates"]
    ]
    nics = [nic | {"mac": ""} for nic in found["nics"]]
    told = {name: v for name, v in found["switches"].items() if not name.startswith("net.bridge.")}
    return found | {
        "bridges": bridges, "tables": tables, "gates": gates, "nics": nics, "planned": False,
        "sockets": [], "unheard": False, "switches": told,
    }  # fmt: skip


WEB = """\
nodes:
  h1: {processes: {p: {run: [python3, -m, http.server, "80", --bind, 127.0.0.1], ready: {tcp: 80}}}}
  h2: {sysctls: {net.ipv4.conf.all.rp_filter: 1}}
links: [["h1:eth0 10.0.0.1/24", "h2:eth0 10.0.0.2/24"]]
"""


def test_sockets_switches_and_devices_are_those_of_now(write: Write, lab: str) -> None:
    """h1 ── h2"""
    file = write(WEB)
    assert "programs that wait" in done("explain", file, "h1", "--map")
    done("up", file)
    picture = done("explain", lab, "h1", "--map")
    assert "│ tcp  127.0.0.1:80 " in picture and "as its file says" not in picture
    assert "as its file says" in done("explain", file, "h1", "--map", "--planned")
    assert "net.ipv4.conf.eth0.rp_filter 1" in done("explain", lab, "h2", "--map")
    assert inside(lab, "h2", "ip", "link", "set", "eth0", "down").code == 0
    assert "eth0  veth  down " in done("explain", lab, "h2", "--map")
    assert "eth0  veth  no carrier " in done("explain", lab, "h1", "--map")
    entry = "10.0.0.9 lladdr 02:00:00:00:00:09 dev eth0"
    assert inside(lab, "h2", "ip", "neigh", "add", *entry.split()).code == 0
    assert "│ 10.0.0.9  02:00:00:00:00:09  eth0 " in done("explain", lab, "h2", "--map")
    assert inside(lab, "h1", "ip", "route", "add", "blackhole", "10.9.0.0/16").code == 0
    assert "│ main    blackhole 10.9.0.0/16 " in done("explain", lab, "h1", "--map")


def test_words_that_do_not_go_together(write: Write, lab: str) -> None:
    file = write(WEB)
    assert netlab("explain", file, "h1", "h2", "--map").code == 2
    assert netlab("explain", file, "h1").err.startswith("to whom?")
    wrong = netlab("explain", file, "h3", "--map")
    assert (wrong.code, wrong.err.startswith(f"lab {lab} has no node h3")) == (5, True)
