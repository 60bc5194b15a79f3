"""What programs in the nodes cannot be shown is told before anything is made."""
# ruff: noqa: E501 - a sentence is one line

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plan.test_check import findings

WAY_OUT = "choose another name, or say `hosts: false` in all nodes"


@pytest.mark.parametrize("name", ["localhost", "LocalHost", "ip6-loopback"])
def test_no_node_has_the_name_that_every_node_has_for_itself(name: str) -> None:
    assert findings(f"nodes:\n  {name}: {{}}\n  b:\n") == [
        f"2:{len(name) + 5}  nodes.{name}: in /etc/hosts {name} is every node's name for itself; {WAY_OUT}",
    ]


def test_names_in_etc_hosts_have_no_capitals() -> None:
    assert findings("nodes:\n  web: {}\n  db: {}\n  Web: {}\n  WEB: {}\n") == [
        f"4:8  nodes.Web: in /etc/hosts Web is the same name as web; {WAY_OUT}",
        f"5:8  nodes.WEB: in /etc/hosts WEB is the same name as web; {WAY_OUT}",
    ]


def test_where_no_node_has_names_of_others_any_will_do() -> None:
    text = "defaults: {node: {hosts: false}}\nnodes: {localhost: , web: , Web: }"
    assert findings(text) == []
    one = "defaults: {node: {hosts: false}}\nnodes: {localhost: , web: {hosts: true}}"
    assert [line.partition(" ")[0] for line in findings(one)] == ["2:20"]


def test_a_resolver_is_said_once() -> None:
    text = "nodes:\n  a: {resolv_conf: {search: [test]}, files: {/etc/resolv.conf: x}}\n"
    assert findings(text) == [
        "2:64  nodes.a.files./etc/resolv.conf: the node has two of them; either it or `resolv_conf`"
    ]
    assert findings("nodes: {a: {files: {/etc/resolv.conf: x, /etc/hosts: y}}}") == []


def test_a_file_stands_where_the_machine_can_show_one(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "other").write_text("")
    there = [f"{tmp_path}/{name}" for name in ("directory", "file/new", "other", "new/er/file")]
    new = "/proc/sys/net/netlab"
    files = "".join(f"   {path}: x\n" for path in (*there, new, "/proc/version"))
    assert findings(f"nodes:\n a:\n  files:\n{files}") == [
        f"4:{len(there[0]) + 6}  nodes.a.files.{there[0]}: {there[0]} is a directory",
        f"5:{len(there[1]) + 6}  nodes.a.files.{there[1]}: {tmp_path}/file is a file: {there[1]} cannot be below it",
        f"8:{len(new) + 6}  nodes.a.files.{new}: there is no {new}: nothing can be added to /proc",
    ]
