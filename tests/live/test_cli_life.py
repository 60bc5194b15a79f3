"""The commands through the life of a lab, word by word.

    alice ── lan ── gw ── web
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.live.conftest import Write
from tests.live.world import NETLAB, ROOT, Said, done, netlab, program

TEXT = """\
description: A gateway.
nodes:
  alice: {sysctls: {net.ipv4.conf.all.rp_filter: 0}, env: {A: b}, exec: ["true"]}
  gw: {kind: router, rules: [{from: 10.0.0.0/24, table: 100, priority: 1000}]}
  web:
    files: {/etc/motd: {text: hi}}
    routes: [{to: default, via: 203.0.113.1}]
    neighbours: [{to: 203.0.113.9, mac: "02:00:00:00:00:09", dev: eth0}]
  lan: {kind: switch}
links:
  - [alice, lan]
  - ["gw:lan 192.168.1.1/24", lan]
  - endpoints: ["gw:wan 203.0.113.1/24", "web:eth0 203.0.113.2/24"]
    mtu: 1500
"""


def without_first(text: str) -> str:
    return text.partition("\n")[2]


def test_what_up_says(write: Write, lab: str) -> None:
    file = write(TEXT)
    assert netlab("up", "--dry-run", file) == netlab("plan", file)
    assert netlab("plan", file).out.startswith(f"{lab}: 24 steps, none taken yet\n")
    said = done("up", file)
    assert said.startswith(f"{lab} is up: 4 nodes, 3 links, 24 steps in ")
    assert without_first(said) == f"""\
  alice  host    eth0 192.168.1.2/24
  gw     router  lan 192.168.1.1/24   wan 203.0.113.1/24
  web    host    eth0 203.0.113.2/24
  lan    switch  alice gw
try  netlab exec {lab} alice -- ping web
"""
    assert done("up", file) == f"{lab} is unchanged: 4 nodes, 3 links\n"
    assert done("plan", file) == f"{lab} is unchanged\n"
    assert netlab("up", "--json", file).json["changed"] is False


def test_what_a_change_says(write: Write, lab: str) -> None:
    done("up", write(TEXT))
    file = write(TEXT.replace("mtu: 1500", "mtu: 1400"))
    step = "~ link gw:wan – web:eth0  mtu 1500 → 1400"
    assert done("plan", file) == f"{lab}: 1 step, none taken yet\n  {step}\n"
    assert netlab("plan", "--json", file).json == {
        "lab": lab, "new": False, "lost": [],
        "steps": [{
            "change": "change", "node": "gw", "what": "link gw:wan – web:eth0", "words": step,
            "why": "", "felt_by": [],
        }],
    }  # fmt: skip
    said = done("up", file)
    assert said.startswith(f"{lab}: 1 step in ")
    assert said.endswith(f" ms    {step}\n")


def test_a_plan_tells_why_and_who_feels_it(write: Write, lab: str) -> None:
    done("up", write(TEXT))
    moved = write(TEXT.replace("gw:lan 192.168.1.1/24", "gw:in 192.168.1.1/24"))
    assert done("plan", moved) == f"""\
{lab}: 5 steps, none taken yet
  - lan: port gw of br0   (since link gw:lan – lan:gw is made anew; felt by alice, gw)
  - link gw:lan – lan:gw   (felt by alice)
  + link gw:in – lan:gw   (felt by alice)
  + gw: address 192.168.1.1/24 dev in   (felt by alice)
  + lan: port gw of br0   (since link gw:lan – lan:gw is made anew; felt by alice, gw)
"""


def test_what_ls_and_show_say(write: Write, lab: str) -> None:
    file = write(TEXT)
    done("up", file)
    line = next(line for line in netlab("ls").out.splitlines() if line.startswith(f"{lab} "))
    assert line.split()[1:4] == ["up", "4", "3"]
    assert line.endswith(str(file))
    (entry,) = (entry for entry in netlab("ls", "--json").json if entry["lab"] == lab)
    assert (entry["state"], entry["nodes"], entry["links"], entry["description"]) == (
        "up", 4, 3, "A gateway.",
    )  # fmt: skip
    whole = netlab("show", "--json", lab).json
    macs = {(n["name"], i["name"]): i["mac"] for n in whole["nodes"] for i in n["interfaces"]}
    said = done("show", lab)
    assert said.startswith(f"{lab}: up for ")
    assert without_first(said) == f"""\
A gateway.
node   kind    interface  addresses       mtu   mac                to
alice  host    eth0       192.168.1.2/24  1500  {macs["alice", "eth0"]}  lan:alice
gw     router  lan        192.168.1.1/24  1500  {macs["gw", "lan"]}  lan:gw
               wan        203.0.113.1/24  1500  {macs["gw", "wan"]}  web:eth0
web    host    eth0       203.0.113.2/24  1500  {macs["web", "eth0"]}  gw:wan
lan    switch  br0                              {macs["lan", "br0"]}
               alice                      1500  {macs["lan", "alice"]}  alice:eth0 in br0
               gw                         1500  {macs["lan", "gw"]}  gw:lan in br0
"""
    assert done("show", file) == said
    (gw,) = (node for node in whole["nodes"] if node["name"] == "gw")
    assert netlab("show", "--json", lab, "gw").json == {"lab": lab, **gw}


def test_what_show_says_of_a_node(write: Write, lab: str) -> None:
    done("up", write(TEXT))
    web = done("show", lab, "web").splitlines()
    inode = Path(f"/run/netns/{lab}.web").stat().st_ino
    assert web[0] == f"web: host, namespace {lab}.web (inode {inode})"
    assert web[3:] == [
        "routes       default via 203.0.113.1 dev eth0",
        "neighbours   203.0.113.9 lladdr 02:00:00:00:00:09 dev eth0",
        "files        /etc/motd",
    ]
    assert done("show", lab, "alice").splitlines()[3:] == [
        "sysctls      net.ipv4.conf.all.rp_filter = 0",
        "environment  A=b",
        "exec         true",
    ]
    assert "rules        IPv4 from 10.0.0.0/24 table 100 priority 1000" in done("show", lab, "gw")


def test_what_down_says(write: Write, lab: str) -> None:
    done("up", write(TEXT))
    assert done("down", "--wait", lab).startswith(f"{lab} is down: 4 nodes in ")
    again = netlab("down", lab)
    assert (again.code, again.out) == (5, "")
    assert again.err.startswith(f"no lab {lab} is up")
    done("up", write(TEXT))
    gone = netlab("down", "--json", lab).json
    assert (gone["lab"], gone["nodes"], gone["notes"]) == (lab, ["alice", "gw", "web", "lan"], [])


def test_all_go_down_though_one_cannot(
    write: Write, lab: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETLAB_STATE", str(tmp_path / "state"))
    done("up", write(TEXT))
    broken = tmp_path / "state" / f"{lab}-broken"
    broken.mkdir(0o755)
    (broken / "journal").write_text("{}\n")
    said = netlab("down", "--all", "--json")
    assert said.code == 3
    assert [(gone["lab"], gone.get("error", {}).get("kind")) for gone in said.json] == [
        (lab, None), (f"{lab}-broken", "StateRefused"),
    ]  # fmt: skip
    assert f"{lab}-broken  unreadable" in netlab("ls").out
    (broken / "journal").unlink()
    broken.rmdir()
    assert netlab("down", "--all") == Said(0, "no lab is up\n", "")


def test_what_gc_says(write: Write, lab: str) -> None:
    file = write(TEXT)
    done("up", file)
    subprocess.run(["ip", "netns", "del", f"{lab}.web"], check=True)
    assert f"{lab}.web has been deleted by somebody else" in done("plan", file)
    assert "its namespace has been deleted by somebody else" in done("show", lab, "web")
    assert f"{lab}: web deleted by hand; swept, `netlab up {file}` brings it back" in done("gc")
    assert lab not in done("gc")


def test_the_first_topology_comes_up(
    write: Write, lab: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert done("init", lab) == f"{lab}.yaml written; try  sudo netlab up {lab}.yaml\n"
    assert f"{lab} is up: 3 nodes, 2 links" in done("up", f"{lab}.yaml")
    assert program("exec", lab, "alice", "--", "ping", "-c1", "-W2", "bob").code == 0


def test_up_takes_a_topology_from_a_pipe(write: Write, lab: str) -> None:
    piped = f"name: {lab}\n{TEXT}"
    assert program("up", "-", input=piped).out.startswith(f"{lab} is up: 4 nodes")
    assert program("up", "-", input=piped).out == f"{lab} is unchanged: 4 nodes, 3 links\n"


def test_a_file_whose_name_is_no_text_is_no_trouble(
    write: Write, lab: str, tmp_path: Path
) -> None:
    file = os.fsencode(tmp_path) + b"/\xff.yaml"
    with open(file, "w") as topology:
        topology.write(f"name: {lab}\n{TEXT}")
    for words in (["up", file], ["up", file], ["ls"], ["show", file], ["down", file]):
        ended = subprocess.run([*NETLAB, *words], capture_output=True, cwd=ROOT, timeout=60)
        assert (ended.returncode, ended.stderr) == (0, b""), words


def complete(*words: str) -> list[str]:
    asked = {"COMP_WORDS": " ".join(("netlab", *words)), "COMP_CWORD": str(len(words))}
    return program(env={**os.environ, **asked, "_NETLAB_COMPLETE": "complete_bash"}).out.split()


def test_labs_and_nodes_are_completed(write: Write, lab: str) -> None:
    file = write(TEXT)
    done("up", file)
    for command in ("show", "down", "exec", "shell"):
        assert complete(command, lab[:-1]).count(lab) == 1
    assert complete("show", lab, "") == ["alice", "gw", "web", "lan"]
    assert complete("shell", lab, "a") == ["alice"]
    assert complete("exec", lab, "g") == ["gw"]
    assert complete("exec", str(file), "w") == ["web"]
