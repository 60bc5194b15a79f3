"""A lab written down, read by the judges; its last packets as tcpdump sees them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from netlab import Lab
from tests.live.conftest import Write
from tests.live.world import done, eventually, netlab, program, tool

# a ── sw ── gw ── b
TEXT = """
routing: static
nodes:
  a:
  sw: {kind: switch}
  gw:
    kind: router
    nftables: |
      table inet f {
        counter named { }
        set s { type ipv4_addr; counter; elements = { 10.0.1.1 } }
        chain c {
          type filter hook forward priority 0
          ip daddr @s counter name "named"
          ct state established counter accept
          tcp dport 23 counter drop
        }
      }
  b: {processes: {says: {run: [sh, -c, "echo I am here; exec sleep 60"], ready: {log: here}}}}
links: [[a, sw], [gw, sw], [gw, b]]
tests:
  - {ping: b, from: a}
  - {tcp: "b:23", from: a, within: 0.5s}
"""


def test_a_bundle_tells_what_was_there_and_what_was_sent(prefix: str, tmp_path: Path) -> None:
    with Lab(TEXT, name=prefix) as lab:
        lab.record()
        a = lab["a"]
        assert a.ping("b")
        assert a.tcp("b", 23, within=0.3) == "denied"
        lab["gw"].run("ip", "address", "delete", "10.0.1.0/31", "dev", "eth1")
        index = lab.bundle(tmp_path / "it", title="test_it", text="assert 1 == 2")
    assert index == tmp_path / "it" / "index.md"
    said = index.read_text()
    assert said.startswith(f"# {prefix}: test_it\n")
    assert "```\nassert 1 == 2\n```" in said
    assert "address 10.0.1.0/31" in said
    assert re.search(r"gw: a rule of inet f c has hit: tcp dport 23 counter packets [1-9]", said)
    links = re.findall(r"\]\(([^)]+)\)", said)
    assert [link for link in links if not (index.parent / link).is_file()] == []
    written = {str(f.relative_to(index.parent)) for f in index.parent.rglob("*") if f.is_file()}
    assert written == {*links, "index.md"}
    held = {name: (index.parent / "nodes" / "gw" / name).read_text() for name in (
        "links.txt", "routes.txt", "rules.nft", "conntrack.txt", "neighbours.txt")}  # fmt: skip
    assert "10.0.0.2/24" in held["links.txt"]
    assert "10.0.0.0/24 dev eth0 src 10.0.0.2" in held["routes.txt"]
    assert "tcp dport 23 counter packets" in held["rules.nft"]
    assert re.search(r"10\.0\.0\.1 +eth0", held["neighbours.txt"])
    assert (index.parent / "nodes" / "b" / "says.log").read_text() == "I am here\n"
    resolved = json.loads((index.parent / "lab.json").read_text())
    assert resolved["lab"] == prefix
    seen = tool("tcpdump", "-nr", str(index.parent / "packets.pcapng"), "icmp or tcp port 23")
    assert "10.0.0.1 > 10.0.1.1: ICMP echo request" in seen
    assert "10.0.1.1.23: Flags [S]" in seen
    assert "a > b: ICMP echo request" in (index.parent / "packets.txt").read_text()


def test_only_the_last_seconds_of_packets_are_kept_and_again_when_asked(
    prefix: str, tmp_path: Path
) -> None:
    with Lab(TEXT, name=prefix) as lab:
        lab.record(seconds=0.5)
        assert lab["a"].tcp("b", 23, within=0.1) == "denied"
        assert lab["a"].ping("192.0.2.1", within=0.7) is False
        assert lab["a"].ping("b")
        first = lab.bundle(tmp_path / "first").parent / "packets.pcapng"
        assert tool("tcpdump", "-nr", str(first), "tcp port 23") == ""
        assert "echo request" in tool("tcpdump", "-nr", str(first), "icmp")
        assert not (lab.bundle(tmp_path / "none").parent / "packets.pcapng").exists()
        lab.record()
        assert lab["a"].ping("b")
        again = lab.bundle(tmp_path / "again").parent / "packets.pcapng"
        assert "echo request" in tool("tcpdump", "-nr", str(again), "icmp")


def test_a_node_that_somebody_deleted_keeps_no_other_from_being_told(
    prefix: str, tmp_path: Path
) -> None:
    with Lab(TEXT, name=prefix) as lab:
        lab.record()
        assert lab["a"].ping("b")
        tool("ip", "netns", "delete", lab["gw"].namespace)
        index = lab.bundle(tmp_path / "it")
        said = index.read_text()
        assert "- gw is gone: somebody deleted its namespace\n" in said
        assert "- gw: it could not be looked at\n" in said
        assert (index.parent / "nodes" / "a" / "links.txt").exists()
        assert "echo request" in (index.parent / "packets.txt").read_text()
        lab.reset()
        assert lab["a"].ping("b")


def test_on_the_command_line(write: Write, lab: str, tmp_path: Path) -> None:
    file, place = write(TEXT), tmp_path / "place"
    done("up", file)
    listening = program("bundle", lab, str(place), "--listen", "300ms")
    assert (listening.code, listening.out) == (0, f"{place}/index.md\n")
    assert (place / "packets.pcapng").exists()
    again = netlab("bundle", lab, place)
    assert (again.code, "is not empty" in again.err) == (2, True)
    assert netlab("bundle", lab, file).code == 2
    assert netlab("bundle", "no-such-lab", tmp_path / "other").code == 5
    assert not (tmp_path / "other").exists()


def test_netlab_test_writes_one_where_something_fails(
    write: Write, lab: str, tmp_path: Path, host_unchanged: None
) -> None:
    file, place = write(TEXT), tmp_path / "place"
    passes = netlab("test", file, "--only", "ping", "--bundle", place)
    assert (passes.code, place.exists()) == (0, False), passes
    fails = netlab("test", file, "--bundle", place)
    assert (fails.code, f"all about it: {place}/index.md" in fails.err) == (1, True), fails
    said = (place / "index.md").read_text()
    assert said.startswith(f"# {lab}: 1 of 2 tests did not pass\n")
    assert "a → b:23 tcp" in said
    assert "tcp dport 23 counter packets" in said
    assert "Flags [S]" in tool("tcpdump", "-nr", str(place / "packets.pcapng"), "tcp port 23")
    assert netlab("test", file, "--bundle", place).code == 2


@pytest.fixture
def reset_lab(prefix: str) -> Lab:
    return Lab(TEXT, name=prefix)


def test_a_reset_gives_back_what_was_taken_by_hand(reset_lab: Lab) -> None:
    with reset_lab as lab:
        a, gw = lab["a"], lab["gw"]
        before = {name: wanted(lab, name) for name in ("a", "gw", "b")}
        assert a.ping("b")
        a.run("ip", "route", "delete", "default")
        gw.run("ip", "address", "flush", "dev", "eth0")
        lab["b"].run("ip", "link", "set", "eth0", "down")
        gw.run("ip", "link", "delete", "eth1")
        assert not a.ping("b", within=0.3)
        lab.reset()
        eventually(lambda: {name: wanted(lab, name) for name in before} == before)
        assert a.ping("b")
        assert a.ping("b", version=6)


def test_after_a_reset_nothing_is_counted_or_learned(reset_lab: Lab) -> None:
    with reset_lab as lab:
        a, gw, sw = lab["a"], lab["gw"], lab["sw"]
        assert a.ping("b")
        assert a.tcp("b", 23, within=0.2) == "denied"
        mac = json.loads(a.run("ip", "-json", "link", "show", "eth0").stdout)[0]["address"]
        assert f"{mac} dev a master br0" in sw.run("bridge", "fdb").stdout
        counted = gw.run("nft", "list", "ruleset").stdout
        assert re.search(r"counter named \{\s+packets [1-9]", counted), counted
        assert re.search(r"10\.0\.1\.1 counter packets [1-9]", counted), counted
        assert re.search(r"tcp dport 23 counter packets [1-9]", counted), counted
        a.run("ping", "-q", "-c", "5", "-i", "0.1", "-s", "1400", "10.0.1.1")
        assert gw.traffic()["eth1"].tx_bytes > 7000
        lab["b"].run("ip", "link", "set", "eth0", "down")  # nothing is sent meanwhile
        lab["a"].run("ip", "link", "set", "eth0", "down")
        lacks = lab.reset()
        assert lacks == ()
        rules = gw.run("nft", "list", "ruleset").stdout
        assert re.findall(r"packets (\d+) bytes (\d+)", rules) == [("0", "0")] * 4, rules
        assert gw.traffic()["eth1"].tx_bytes < 7000
        assert netlab("conntrack", lab.name, "gw", "--json").json["nodes"][0]["connections"] == []
        assert a.ping("b")


def wanted(lab: Lab, node: str) -> tuple[object, ...]:
    """Addresses and routes that the topology gives, as the judge sees them."""
    said = json.loads(lab[node].run("ip", "-json", "address").stdout)
    held = {(i["ifname"], a["local"]) for i in said for a in i["addr_info"] if a["scope"] != "link"}
    ways = lab[node].run("ip", "route").stdout.splitlines()
    return sorted(held), sorted(re.sub(r" linkdown| ?$", "", way) for way in ways)
