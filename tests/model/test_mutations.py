"""Valid topologies with something broken in them: the loader never raises."""

from copy import deepcopy
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netlab.model.load import Loaded
from tests.model.kinds import ROOT, read, said

GOOD = [file.read_text() for file in sorted((ROOT / "topologies").glob("*.yaml"))]
RICH = """\
defaults: {node: {sysctls: {net.core.somaxconn: 1}}, link: {mtu: 1400}}
groups: {g: {kind: router, env: {A: 1}}}
nodes:
  a: {group: g, interfaces: {x: {kind: vxlan, id: 3, fdb: [{remote: 10.0.0.1}]}}}
  b: &b
    files: {/x: {text: hi, mode: 0o644}}
    rules: [{from: 10.0.0.0/24, table: 9, priority: 3, fwmark: 1/3}]
    neighbours: [{to: 10.0.0.9, mac: "02:00:00:00:00:09", dev: eth0}]
    resolv_conf: {nameservers: [10.0.0.1]}
  c: {<<: *b, hosts: off}
  s: {kind: switch, stp: on, interfaces: {br0: {addresses: []}}}
links:
  - ["a:e 10.0.0.1/24", {node: b, interface: eth0, addresses: [10.0.0.2/24]}]
  - {endpoints: [c, s], mtu: 1500}
"""
TEXTS = [*GOOD, RICH]
ODD_TEXT = [
    *"{}[]:,-#&*!|>'\"%@`?~<\n\r\t\0 \ufeff\ud800\u2028é0a",
    *("<<: ", "*b", "&b ", "!!x ", "---\n", "...\n", "? ", "- ", ": ", "null", "on", "0x", "1:2"),
    *("\x07", "\x85", "9" * 400, "[" * 60, "{a: " * 60, "../..", "%YAML 9.9\n"),
]
ODD_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["", "lo", "br0", "a:", ":x", "a:e x", "default", "host", "veth", "x" * 40]),
    st.sampled_from([[], {}, [[]], [{}], [None], {"": None}, {"kind": []}, {"a": {"b": {}}}]),
)


def is_told(loaded: Loaded) -> None:
    """Whatever it is: a topology or a reason, and every reason can be said."""
    assert loaded.topology is not None or loaded.problems
    assert len(said(loaded)) == len(loaded.problems)
    for problem in loaded.problems:
        assert problem.line >= 1
        assert problem.column >= 1
        assert problem.message


@st.composite
def broken_text(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(text)))
        end = min(len(text), place + draw(st.integers(1, 12)))
        match draw(st.sampled_from(["cut", "repeat", "insert", "swap", "end"])):
            case "cut":
                text = text[:place] + text[end:]
            case "repeat":
                text = text[:end] + text[place:end] + text[end:]
            case "insert":
                text = text[:place] + draw(st.sampled_from(ODD_TEXT)) + text[place:]
            case "swap":
                lines = text.splitlines(keepends=True) or [""]
                one, other = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
                lines[one], lines[other] = lines[other], lines[one]
                text = "".join(lines)
            case "end":
                text = text[:place]
    return text


@st.composite
def broken_bytes(draw: st.DrawFn) -> bytes:
    raw = bytearray(draw(st.sampled_from(TEXTS)).encode())
    for _ in range(draw(st.integers(1, 4))):
        raw[draw(st.integers(0, len(raw) - 1))] = draw(st.integers(0, 255))
    return bytes(raw)


@st.composite
def broken_tree(draw: st.DrawFn) -> str:
    tree = yaml.safe_load(draw(st.sampled_from(TEXTS)))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(tree))
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        match draw(st.sampled_from(["odd", "move", "rename", "drop"])):
            case "odd":
                holder[key] = deepcopy(draw(ODD_VALUES))
            case "move":
                source, other = draw(st.sampled_from(places))
                # a copy: what holds itself is for the texts above
                holder[key] = yaml.safe_load(yaml.safe_dump(source[other]))
            case "rename" if isinstance(holder, dict):
                holder[draw(st.text(max_size=20))] = holder.pop(key)
            case _:
                del holder[key]
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=draw(st.booleans()))


def _places(tree: Any) -> Any:
    keys = list(tree) if isinstance(tree, dict) else range(len(tree))
    for key in keys:
        yield tree, key
        if isinstance(tree[key], dict | list):
            yield from _places(tree[key])


thorough = settings(
    max_examples=2000,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@thorough
@given(broken_text())
def test_broken_text(text: str) -> None:
    is_told(read(text))


@thorough
@given(broken_bytes())
def test_broken_bytes(raw: bytes) -> None:
    is_told(read(raw))


@thorough
@given(broken_tree())
def test_broken_trees(text: str) -> None:
    is_told(read(text))


@thorough
@given(st.text(max_size=200) | st.binary(max_size=200))
def test_noise(text: str | bytes) -> None:
    is_told(read(text))
