"""docs/json.md against what the commands print: no field is missing there, none is made up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tests.live.conftest import Write
from tests.live.world import ROOT, done, inside, netlab

TEXT = """\
nodes:
  h1:
    interfaces: {eth0: {offload: {gro: false}}}
    routes: [{to: default, via: 10.0.0.2}]
    rules: [{from: 10.0.0.0/24, table: 100, priority: 1000}]
    neighbours: [{to: 10.0.0.9, mac: "02:00:00:00:00:09", dev: eth0}]
    sysctls: {net.ipv4.ip_default_ttl: 63, net.ipv4.ip_forward: 1}
    nat: {masquerade: eth0}
    files: {/etc/motd: hello}
    env: {LANG: C.UTF-8}
    exec: ["true"]
  h2:
links: [["h1:eth0 10.0.0.1/24", "h2:eth0 10.0.0.2/24"]]
tests: [{ping: h2, from: h1}, {tcp: "h2:80", from: h1}]
"""
ROW = re.compile(r"^\| `([^`]+)` \| ([\w ]+) \|", re.M)
LISTED = {
    "lost[]", "notes[]", "steps[].felt_by[]", "processes[].*", "gaps[]", "error.notes[]", "[]",
    "nodes[].connections[].labels[]", "left_out[]", "limited[]",
}  # fmt: skip
"""Lists that are empty in a lab where all is well."""


def documented(title: str) -> dict[str, str]:
    """Field → type."""
    page = (ROOT / "docs/json.md").read_text()
    section = page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    assert section, title
    return dict(ROW.findall(section))


def held_against(title: str, document: Any) -> None:
    told = documented(title)
    seen = set(_fields(document, "", told))
    assert {(f, kind) for f, kind in seen if not _allows(told.get(f, ""), kind)} == set()
    assert told.keys() - {field for field, _ in seen} <= LISTED


def _allows(said: str, kind: str) -> bool:
    return said == "any" or kind in said.split(" or ")


def _fields(value: Any, path: str, told: dict[str, str]) -> Iterator[tuple[str, str]]:
    if f"{path}.*".lstrip(".") in told and value is None:
        yield f"{path}.*", "any"
    elif f"{path}.*".lstrip(".") in told and value:
        inner = value.values() if told[f"{path}.*".lstrip(".")] != "any" else [None]
        yield from ((f"{path}.*".lstrip("."), _kind(v) if v is not None else "any") for v in inner)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _fields(inner, f"{path}.{key}".lstrip("."), told)
    elif isinstance(value, list):
        for inner in value:
            yield from _fields(inner, f"{path}[]", told)
    else:
        yield path, _kind(value)


def _kind(value: Any) -> str:
    names = {bool: "switch", str: "text", int: "number", float: "number", type(None): "null"}
    return names[type(value)]


def test_what_is_printed_of_a_lab_is_documented(write: Write, lab: str) -> None:
    """h1 ── h2"""
    file = write(TEXT)
    held_against("plan", netlab("plan", file, "--json").json)
    held_against("plan", netlab("up", "--dry-run", file, "--json").json)
    up = netlab("up", file, "--json").json
    held_against("up", up)
    shown = netlab("show", lab, "--json").json
    assert up["up"] == shown
    held_against("show LAB", shown)
    node = netlab("show", lab, "h1", "--json").json
    held_against("show LAB NODE", node)
    assert {"lab": lab} | shown["nodes"][0] == node
    held_against("ls", [line for line in netlab("ls", "--json").json if line["lab"] == lab])
    held_against("trace", netlab("trace", lab, "h1", "h2", "--tcp", "80", "--json").json)
    held_against("test", netlab("test", lab, "--json").json)
    golden = file.with_name("golden.json")
    done("matrix", lab, "--save", golden)
    golden.write_text(golden.read_text().replace('"is": "answered"', '"is": "denied"', 1))
    held_against("matrix", netlab("matrix", lab, "--against", golden, "--json").json)
    held_against("down", netlab("down", lab, "--json").json)


FILTERED = """\
nodes:
  h1:
    sysctls: {net.netfilter.nf_conntrack_acct: 1}
    nftables: |
      table ip t {
        chain c { type filter hook output priority 0; ct state new counter; accept; }
      }
  h2:
links: [["h1:eth0 10.0.0.1/24", "h2:eth0 10.0.0.2/24"]]
"""


def test_what_is_printed_of_rules_and_connections_is_documented(write: Write, lab: str) -> None:
    """h1 ── h2"""
    done("up", write(FILTERED))
    assert inside(lab, "h1", "ping", "-c1", "-W2", "10.0.0.2").code == 0
    held_against("show LAB NODE --rules", netlab("show", lab, "h1", "--rules", "--json").json)
    whole = netlab("conntrack", lab, "--json").json
    held_against("conntrack", whole)
    assert [n["node"] for n in whole["nodes"]] == ["h1", "h2"]
    one = netlab("show", lab, "h1", "--conntrack", "--json").json
    assert _without_time(one["nodes"]) == _without_time(whole["nodes"][:1])
    held_against("conntrack --flush", netlab("conntrack", lab, "--flush", "--json").json)


def _without_time(nodes: Any) -> Any:
    return [c | {"timeout": 0} for node in nodes for c in node["connections"]]


def test_what_is_printed_without_a_lab_is_documented() -> None:
    wrong = ROOT / "tests/bad/mtu-low.yaml"
    held_against("check", netlab("check", ROOT / "topologies/lan.yaml", wrong, "--json").json)
    held_against("doctor", netlab("doctor", "--json").json)
    held_against("kinds", netlab("kinds", "--json").json)
    held_against("A failure", netlab("up", wrong, "--json").json)


def test_every_command_with_json_is_documented() -> None:
    page = (ROOT / "docs/json.md").read_text()
    titles = re.findall(r"\w+", " ".join(re.findall(r"^## (.+)", page, re.M)))
    offered = re.findall(r"`NETLAB_(\w+)_JSON`", (ROOT / "docs/commands.md").read_text())
    assert offered
    assert {name.lower() for name in offered} <= set(titles)
