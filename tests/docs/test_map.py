"""docs/map.md and docs/json.md against what `netlab explain --map` prints."""

from __future__ import annotations

import re

import pytest

from tests.docs.test_json import held_against
from tests.live.conftest import Write
from tests.live.world import ROOT, done, netlab

PICTURES = re.findall(
    r"^\$ netlab explain (topologies/\S+) (\w+) --map\n(.*?)^```$",
    (ROOT / "docs/map.md").read_text(), re.M | re.S,
)  # fmt: skip


def test_there_are_pictures() -> None:
    assert len(PICTURES) == 2


@pytest.mark.parametrize(("file", "node", "picture"), PICTURES, ids=lambda text: text[:40])
def test_a_picture_is_what_is_drawn(file: str, node: str, picture: str) -> None:
    assert done("explain", str(ROOT / file), node, "--map") == picture


RICH = """\
nodes:
  h1: {}
  gw:
    kind: router
    interfaces:
      br: {kind: bridge, ports: [a, vx], addresses: [10.9.0.1/24]}
      vx: {kind: vxlan, id: 7, remote: 10.0.0.9, addresses: []}
      a: {bridge_port: {isolated: true}}
    routes: [{to: default, via: 10.0.0.2}]
    rules: [{from: 10.9.0.0/24, table: 100, priority: 1000}]
    neighbours: [{to: 10.0.0.9, mac: "02:00:00:00:00:09", dev: b}]
    nftables: |
      table netdev t {
        chain c { type filter hook ingress device "b" priority 0; ip ttl 1 drop; }
      }
      table inet f { chain c { type filter hook input priority 0; ct state new accept; } }
    processes: {p: {run: [sleep, "60"], ready: {tcp: 80}}}
links:
  - ["h1:eth0 10.9.0.2/24", {node: gw, interface: a, addresses: []}]
  - ["gw:b 10.0.0.1/24", "h1:eth1 10.0.0.2/24"]
"""


def test_the_document_of_a_map_is_documented(write: Write) -> None:
    """h1 ══ gw"""
    held_against("explain --map", netlab("explain", write(RICH), "gw", "--map", "--json").json)
