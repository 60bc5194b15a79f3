"""A file as a topology, or all that is wrong with it."""

from pathlib import Path

import pytest

from netlab.errors import Problem
from netlab.model.load import load
from tests.model.kinds import DEVICES, LINKS, NODES, ROOT, read, said

GOOD = sorted((ROOT / "topologies").glob("*.yaml"))


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_a_good_file_has_no_problems(file: Path) -> None:
    loaded = read(file.read_bytes(), str(file))
    assert said(loaded) == []
    assert loaded.topology is not None
    assert loaded.topology.name == file.stem
    assert loaded.doubtful == frozenset()


def test_a_name_alone_is_a_host() -> None:
    topology = read("nodes: {alice: }\n", "some/where/tiny.yaml").topology
    assert topology is not None
    assert topology.name == "tiny"
    assert topology.nodes["alice"].kind == "host"


def test_a_stem_that_makes_no_name() -> None:
    assert said(read("nodes: {a: }\n", "My Lab.yaml")) == [
        "1:1  the file's name makes no lab's name: 'My Lab'; "
        "write `name:`, with small letters, digits and `-`, at most 31"
    ]
    assert said(read("name: mine\nnodes: {a: }\n", "My Lab.yaml")) == []


LAYERS = """\
defaults: {node: {kind: router, sysctls: {net.a.x: 1, net.a.y: 1}, exec: [one]}, link: {mtu: 1400}}
groups:
  g: {sysctls: {net.a.y: 2, net.a.z: 2}, exec: [two]}
nodes:
  a: {group: g, sysctls: {net.a.z: 3}}
  b: {kind: host}
links:
  - [a, b]
  - {endpoints: [a, b], mtu: 1300}
"""


def test_defaults_then_groups_then_the_node() -> None:
    loaded = read(LAYERS)
    assert said(loaded) == []
    assert loaded.topology is not None
    a, b = loaded.topology.nodes["a"], loaded.topology.nodes["b"]
    assert (a.kind, b.kind) == ("router", "host")
    assert a.sysctls == {"net.a.x": "1", "net.a.y": "2", "net.a.z": "3"}
    assert (a.exec, b.exec) == (("two",), ("one",))
    assert [link.mtu for link in loaded.topology.links] == [1400, 1300]


def test_a_merged_value_is_placed_where_it_was_written() -> None:
    loaded = read(LAYERS)
    places = {name: loaded.place(("nodes", "a", "sysctls", f"net.a.{name}")) for name in "xyz"}
    assert places == {"x": (1, 52), "y": (3, 26), "z": (5, 36)}
    assert loaded.problem(("nodes", "a", "exec", 0), "no") == Problem(
        3, 49, "groups.g.exec[0]", "no"
    )


def test_what_many_take_over_is_wrong_once_and_where_it_is_written() -> None:
    text = """\
defaults: {node: {hosts: 3}, link: {mtu: 1, speed: 2}}
groups: {g: {routes: [{to: x}], masq: 1}, idle: {exec: true}}
nodes: {a: {group: g}, b: {group: g}, c: {hosts: true}}
links: [[a, b], [b, c]]
"""
    assert said(read(text)) == [
        "1:26  defaults.node.hosts: `true` or `false` is meant here, not 3",
        "1:42  defaults.link.mtu: 1 is less than 68, the least there is",
        "1:45  defaults.link.speed: unknown key 'speed'; keys here: kind, endpoints, mtu",
        "2:28  groups.g.routes[0].to: 'x' is not a prefix (10.0.0.0/24); or 'default'",
        "2:33  groups.g.masq: unknown key 'masq'",
        "2:56  groups.idle.exec: a list is meant here, not true",
    ]


def test_a_group_may_hold_half_of_an_interface() -> None:
    text = """\
groups: {g: {interfaces: {vx: {id: 7, mtu: 1400}}}}
nodes: {a: {group: g, interfaces: {vx: {kind: vxlan, remote: 10.0.0.1}}}}
"""
    assert said(read(text)) == []


EVERYTHING = """\
nodes:
  web: {kind: ruter}
  gw:
    routes:
      - {to: default, via: 10.0.0.1}
      - {to: 10.0.0.0/24, vai: 10.0.0.2}
    interfaces:
      tun0: {kind: tun, mtu: "1400"}
  sw: {kind: switch, stp: maybe}
  ok: {kind: router}
links:
  - [web, wbe]
  - ["gw:eth0", sw]
  - ["gw:eth0", ok]
  - {endpoints: [gw, ok], mut: 3}
experiments: []
"""


def test_all_problems_at_once() -> None:
    assert said(read(EVERYTHING)) == [
        "2:15  nodes.web.kind: unknown kind 'ruter'; "
        "did you mean 'router'? kinds: host, router, switch",
        "6:27  nodes.gw.routes[1].vai: unknown key 'vai'; did you mean 'via'?",
        "8:30  nodes.gw.interfaces.tun0.mtu: a whole number is meant here, not '1400'; "
        "without quotes",
        "9:27  nodes.sw.stp: `true` or `false` is meant here, not 'maybe'",
        "12:11  links[0][1]: unknown node 'wbe'; did you mean 'web'?",
        "14:6  links[2][0]: links[1] ends at gw:eth0 already",
        "15:27  links[3].mut: unknown key 'mut'; did you mean 'mtu'?",
        "16:1  experiments: unknown key 'experiments'; keys here: "
        "name, description, addressing, routing, nodes, links, tests, defaults, groups",
    ]


def test_the_rest_can_still_be_checked() -> None:
    loaded = read(EVERYTHING)
    assert loaded.topology is not None
    assert loaded.doubtful == {"web", "gw", "sw", "ok"}
    kinds = {name: node.kind for name, node in loaded.topology.nodes.items()}
    assert kinds == {"web": "host", "gw": "host", "sw": "switch", "ok": "router"}
    assert [link.endpoints[0].node for link in loaded.topology.links] == ["gw", "gw"]
    # links that were left out do not shift the places of the others
    assert loaded.place(("links", 1, "endpoints", 1, "node")) == (14, 17)
    assert loaded.problem(("links", 1, "mtu"), "no").path == "links[2]"


def test_an_end_in_its_short_and_in_its_long_form() -> None:
    text = """\
nodes: {a: , b: }
links:
  - endpoints: ["a:eth0 10.0.0.1/24", {node: b, interface: e, addresses: [10.0.0.2/24]}]
"""
    loaded = read(text)
    assert said(loaded) == []
    ends = ("links", 0, "endpoints")
    assert loaded.place((*ends, 0, "addresses", 0)) == (3, 17)
    assert loaded.place((*ends, 1, "addresses", 0)) == (3, 75)


def test_interfaces_that_need_no_link() -> None:
    text = """\
nodes:
  a: {interfaces: {lo: {addresses: [10.1.0.1/32]}, t: {kind: tun}, b: {kind: bridge}}}
  s: {kind: switch, interfaces: {br0: {addresses: [10.2.0.1/24]}}}
"""
    assert said(read(text)) == []


def test_octal_is_never_taken_for_decimal() -> None:
    text = "nodes: {a: {files: {/x: {text: hello, mode: MODE}}}}\n"
    right = read(text.replace("MODE", "0o644")).topology
    assert right is not None
    assert right.nodes["a"].files["/x"].mode == 0o644
    for mode in ("0644", "'0644'"):
        assert said(read(text.replace("MODE", mode))) == [
            "1:45  nodes.a.files./x.mode: a whole number is meant here, not '0644'; "
            "octal is written 0o644"
        ]


def test_the_kinds_are_those_passed_in() -> None:
    loaded = load(
        "nodes: {a: {kind: router}, b: {interfaces: {t: {}}}}\n",
        "few.yaml",
        nodes={"host": NODES["host"]},
        devices={"veth": DEVICES["veth"]},
        links=LINKS,
    )
    assert said(loaded) == [
        "1:19  nodes.a.kind: unknown kind 'router'; kinds: host",
        "1:45  nodes.b.interfaces.t: no link ends at b:t; "
        "name it in a link, as `b:t`, or give it a `kind`",
    ]


def test_a_thousand_misspelt_nodes_are_all_told() -> None:
    nodes = "".join(f"  node{n}:\n" for n in range(1000))
    links = "".join(f"  - [nde{n}, node{n}]\n" for n in range(1000))
    assert len(read(f"nodes:\n{nodes}links:\n{links}").problems) == 1000
