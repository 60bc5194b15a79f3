"""Every lab in topologies/: brought up, held against the kernel and its own description, gone."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.catalog.claims import CLAIMS
from tests.catalog.witness import Lab, renamed
from tests.live.conftest import Write
from tests.live.world import ROOT, done, ip, netlab, tool

STEMS = sorted(path.stem for path in (ROOT / "topologies").glob("*.yaml"))

PROGRAMS = {"dhcp-dns": "dnsmasq", "ospf": "bird", "slaac": "radvd", "web": "nginx"}
"""What a lab's processes are, where that is not Python or a shell."""

each_lab = pytest.mark.parametrize("stem", STEMS)


def test_every_lab_has_a_check() -> None:
    assert sorted(CLAIMS) == STEMS
    assert len(STEMS) >= 12


@pytest.fixture(autouse=True)
def _its_program(request: pytest.FixtureRequest) -> None:
    stem = request.node.callspec.params["stem"] if "write" in request.fixturenames else ""
    if stem in PROGRAMS and not shutil.which(PROGRAMS[stem]):
        pytest.skip(f"{PROGRAMS[stem]} is not installed; `make test` installs it")


@pytest.fixture(autouse=True)
def _what_lies_beside_it(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """The directory of a lab's name, with the files that it reads."""
    stem = request.node.callspec.params["stem"] if "write" in request.fixturenames else ""
    if stem and (ROOT / "topologies" / stem).is_dir():
        shutil.copytree(ROOT / "topologies" / stem, tmp_path / stem)


@each_lab
def test_a_lab_is_fine_and_described(stem: str) -> None:
    file = f"topologies/{stem}.yaml"
    (checked,) = netlab("check", ROOT / file, "--json").json
    assert (checked["lab"], checked["problems"]) == (stem, [])
    described = (ROOT / file).read_text().partition("\nnodes:")[0].partition("description:")[2]
    assert len(described.split()) >= 20
    for path in (word.strip("`,.") for word in described.split()):
        assert not path.startswith("topologies/") or (ROOT / path).exists()


LACKS = re.compile(r"this kernel lacks (CONFIG_\w+)")


def _up(write: Write, stem: str, lab: str) -> Path:
    """Its file, after it has come up; no test of it where the kernel cannot."""
    file = write(renamed(stem, lab))
    said = netlab("up", file)
    if said.code and (missing := LACKS.search(said.err)):
        pytest.skip(missing[0])
    assert said.code == 0, said
    return file


@each_lab
def test_the_kernel_has_what_show_says(stem: str, write: Write, lab: str) -> None:
    _up(write, stem, lab)
    shown = netlab("show", lab, "--json").json
    nodes = {node["namespace"]: node for node in shown["nodes"]}
    assert sorted(nodes) == sorted(_namespaces(lab))
    assert {ns: _inode(ns) for ns in nodes} == {ns: n["inode"] for ns, n in nodes.items()}
    kernel = {ns: {i["ifname"]: i for i in ip(ns, "address")} for ns in nodes}
    for ns, node in nodes.items():
        told = {i["name"]: i for i in node["interfaces"]}
        assert kernel[ns].keys() == told.keys() | {"lo"}
        for name, interface in told.items():
            assert _as_the_kernel(interface, kernel[ns][name]) == _as_shown(interface), (ns, name)
            assert _meets(interface, kernel[ns][name], lab, kernel), (ns, name)


def _namespaces(lab: str) -> list[str]:
    listed = json.loads(tool("ip", "-json", "netns") or "[]")
    return [n["name"] for n in listed if n["name"].startswith(f"{lab}.")]


def _inode(ns: str) -> int:
    return os.stat(Path("/run/netns", ns)).st_ino


def _as_shown(interface: dict[str, Any]) -> dict[str, Any]:
    kept = ("name", "mac", "mtu", "up", "addresses", "bridge")
    return {key: interface[key] for key in kept} | {"addresses": sorted(interface["addresses"])}


def _as_the_kernel(interface: dict[str, Any], link: dict[str, Any]) -> dict[str, Any]:
    """In the words of ``show``; what that leaves to the kernel is taken over."""
    addresses = [f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"]
                 if a["scope"] == "global" and "dynamic" not in a]  # fmt: skip
    return {
        "name": link["ifname"],
        "mac": link["address"] if interface["mac"] else "",
        "mtu": link["mtu"] if interface["mtu"] else 0,
        "up": "UP" in link["flags"],
        "addresses": sorted(addresses),
        "bridge": link.get("master", ""),
    }


def _meets(interface: dict[str, Any], link: dict[str, Any], lab: str, kernel: Any) -> bool:
    """Whether the other end is the one that is shown."""
    if not interface["peer"]:
        return "link_index" not in link
    node, _, name = interface["peer"].partition(":")
    return bool(link["link_index"] == kernel[f"{lab}.{node}"][name]["ifindex"])


@each_lab
def test_a_lab_is_what_its_description_claims(stem: str, write: Write, lab: str) -> None:
    _up(write, stem, lab)
    CLAIMS[stem](Lab(lab, stem))


@each_lab
def test_up_twice_changes_nothing_and_down_leaves_nothing(
    stem: str, write: Write, lab: str
) -> None:
    file = _up(write, stem, lab)
    before = _all_there(lab)
    assert f"{lab} is unchanged" in done("up", file)
    assert _all_there(lab) == before
    assert f"{lab} is down" in done("down", lab)
    assert _namespaces(lab) == []


def _all_there(lab: str) -> dict[str, Any]:
    """Namespaces and devices, each with the number that a new one of its name would not have."""
    return {
        ns: (_inode(ns), {i["ifname"]: i["ifindex"] for i in ip(ns, "link")})
        for ns in _namespaces(lab)
    }
