"""In which order processes start, what makes them start anew, and what does not."""
# ruff: noqa: E501 - a process is one line

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.errors import TopologyError
from netlab.plan.diff import diff
from netlab.resources import Inventory
from netlab.resources.base import Stage
from netlab.resources.process import Process
from tests.plan.labs import inventory, read_text, road, told, words


def of(text: str) -> dict[str, Process]:
    """``node/name`` → the process."""
    found = [r for r in inventory(text).values() if isinstance(r, Process)]
    return {f"{p.home.partition('.')[2]}/{p.name}": p for p in found}


def ranks(text: str) -> dict[str, int]:
    return {name: process.rank for name, process in of(text).items()}


def findings(text: str) -> list[str]:
    with pytest.raises(TopologyError) as caught:
        read_text(text)
    return [f"{p.path}: {p.message}" + (f"; {p.hint}" if p.hint else "") for p in caught.value.problems]


def test_a_lab_without_processes_has_no_supervisor() -> None:
    assert [line for line in told("nodes: {a: }") if "process" in line] == []


def test_processes_start_when_all_else_is_up_and_before_exec_lines() -> None:
    text = "nodes: {a: {processes: {p: x}, exec: [last]}, b: }\nlinks: [['a 10.0.0.1/24', b]]"
    steps = told(text)
    assert steps[-2:] == ["+ a: process p: x", "+ a: exec last"]
    assert steps.index("+ supervisor of the lab's processes") < steps.index("+ link a:eth0 – b:eth0")


CHAIN = """
nodes:
  a: {processes: {one: x, three: {run: x, after: [b/two, one]}, alone: x}}
  b: {processes: {two: {run: x, after: a/one}}}
"""


def test_each_comes_after_what_it_waits_for_also_in_other_nodes() -> None:
    assert ranks(CHAIN) == {"a/one": 0, "b/two": 1, "a/three": 2, "a/alone": 0}
    started = [line for line in told(CHAIN) if "process " in line]
    assert started == [
        "+ a: process one: x", "+ a: process alone: x", "+ b: process two: x", "+ a: process three: x",
    ]  # fmt: skip
    stopped = [line for line in words(diff(inventory(CHAIN), Inventory())) if "process " in line]
    assert stopped == [
        "- a: process three: x", "- b: process two: x", "- a: process alone: x", "- a: process one: x",
    ]  # fmt: skip


@given(st.lists(st.lists(st.integers(0, 30), max_size=3), min_size=1, max_size=12))
def test_whatever_waits_for_what_the_order_holds(written: list[list[int]]) -> None:
    """Process n waits for processes before it, so that there is no circle."""
    after = {n: sorted({other % n for other in some}) if n else [] for n, some in enumerate(written)}
    lines = [f"p{n}: {{run: x, after: [{', '.join(f'a/p{m}' for m in some)}]}}" for n, some in after.items()]
    found = of(f"nodes: {{a: {{processes: {{{', '.join(lines)}}}}}}}")
    for n, some in after.items():
        assert found[f"a/p{n}"].rank == 1 + max((found[f"a/p{m}"].rank for m in some), default=-1)


def test_what_it_waits_for_must_be_there() -> None:
    text = "nodes: {a: {processes: {p: {run: x, after: [q, bob/httpd, bbo/httpd]}}}, bob: {processes: {http: x}}}"
    assert findings(text) == [
        "nodes.a.processes.p.after[0]: a has no process 'q'",
        "nodes.a.processes.p.after[1]: bob has no process 'httpd'; did you mean 'http'?",
        "nodes.a.processes.p.after[2]: unknown node 'bbo'; did you mean 'bob'?",
    ]


def test_a_circle_is_told_with_its_way() -> None:
    text = """
        nodes:
          a: {processes: {p: {run: x, after: b/q}, s: {run: x, after: s}}}
          b: {processes: {q: {run: x, after: [r, r]}, r: {run: x, after: a/p}, t: {run: x, after: q}}}
    """
    assert findings(text) == [
        "nodes.a.processes.p.after: a circle: a/p after b/q after b/r after a/p",
        "nodes.a.processes.s.after: a circle: a/s after a/s",
        "nodes.b.processes.q.after[0]: a circle: b/q after b/r after a/p after b/q",
        "nodes.b.processes.q.after[1]: a circle: b/q after b/r after a/p after b/q",
        "nodes.b.processes.r.after: a circle: b/r after a/p after b/q after b/r",
    ]


def lab(more: str = "", node: str = "", others: str = "") -> str:
    """Node a with processes p and q, in a directory that is always the same."""
    p = f"{{run: x, cwd: /{', ' if more else ''}{more}}}"
    return f"nodes: {{a: {{processes: {{p: {p}, q: {{run: [sleep, 1], cwd: /}}}}{node}}}{others}}}"


ANEW = {
    "command": ("run: y", ["- a: process p: x", "+ a: process p: y"]),
    "words instead of a line": ("run: [y, 'a b']", ["- a: process p: x", "+ a: process p: y 'a b'"]),
    "environment": ("env: {A: 1}", ["- a: process p: x", "+ a: process p: x (its environment changed)"]),
    "directory": ("cwd: /tmp", ["- a: process p: x", "+ a: process p: x (its directory changed)"]),
    "user": ("user: nobody", ["- a: process p: x", "+ a: process p: x (its user changed)"]),
}  # fmt: skip


@pytest.mark.parametrize("change", ANEW)
def test_what_makes_a_process_start_anew_says_so(change: str) -> None:
    written, expected = ANEW[change]
    key = written.partition(":")[0]
    after = lab().replace("run: x", written) if key == "run" else lab(written)
    after = after.replace(", cwd: /, cwd: /tmp", ", cwd: /tmp")
    assert _reasoned(lab(), after) == expected


def _reasoned(before: str, after: str) -> list[str]:
    steps = diff(inventory(before), inventory(after))
    return [f"{line} ({s.why})" if s.why else line for s, line in zip(steps, words(steps), strict=True)]


@pytest.mark.parametrize("node", ["env: {A: b}", "files: {/etc/motd: hi}", "resolv_conf: {nameservers: [10.0.0.1]}", "hosts: false"])
def test_what_a_process_sees_of_its_node_starts_all_of_the_node_anew(node: str) -> None:
    steps = _reasoned(lab(), lab(node=f", {node}"))
    assert [step for step in steps if "process" in step] == [
        "- a: process q: sleep 1", "- a: process p: x",
        "+ a: process p: x (its files or environment changed)",
        "+ a: process q: sleep 1 (its files or environment changed)",
    ]  # fmt: skip


IN_PLACE = {
    "ready: {tcp: 80}": "~ a: process p: x  ready none → tcp 80  within 0.0 → 10.0",
    "stop: QUIT": "~ a: process p: x  stop TERM → QUIT",
    "grace: 1.5s": "~ a: process p: x  grace 5.0 → 1.5",
    "restart: always": "~ a: process p: x  restart no → always",
    "log_size: 64K": "~ a: process p: x  log_size 1048576 → 65536",
    "after: q": "~ a: process p: x  rank 0 → 1",
}


@pytest.mark.parametrize("more", IN_PLACE)
def test_how_it_is_looked_after_changes_in_place(more: str) -> None:
    assert road(lab(), lab(more)) == [IN_PLACE[more]]


@pytest.mark.parametrize("others", [", b: ", ", b: {processes: {z: x}}"])
def test_other_nodes_do_not_touch_it(others: str) -> None:
    assert [line for line in road(lab(), lab(others=others)) if " a: process" in line] == []


def test_what_goes_is_stopped_before_anything_below_it() -> None:
    assert road(lab(), "nodes: {b: }") == [
        "- a: process q: sleep 1", "- a: process p: x", "- supervisor of the lab's processes",
        "- namespace l.a", "+ namespace l.b",
    ]  # fmt: skip


def test_processes_come_last_of_what_is_made() -> None:
    stages = [step.subject.stage for step in diff(Inventory(), inventory(lab(node=", exec: [x]")))]
    assert stages[-3:] == [Stage.PROCESS, Stage.PROCESS, Stage.COMMAND]
