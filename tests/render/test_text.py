"""Reports for people: aligned, fitted to the terminal, coloured only there."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import termios
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from netlab.cli import diagnosis
from netlab.errors import LabNotFound, NetlabError
from netlab.lab.glance import Summary
from netlab.lab.lifecycle import Done, Road
from netlab.plan.diff import Step
from netlab.render.base import Feature, LabLine
from netlab.render.json import JsonRenderer
from netlab.render.text import TextRenderer
from netlab.resources import Inventory
from netlab.resources.device import Veth
from tests.live.world import netlab

Report = Callable[[TextRenderer], None]


def plain(report: Report) -> str:
    out = io.StringIO()
    report(TextRenderer(out, out))
    return out.getvalue()


def on_a_terminal(report: Report, columns: int) -> str:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    with os.fdopen(theirs, "w") as out:
        report(TextRenderer(out, out))
    shown = b""
    with suppress(OSError):  # EIO: the other side is closed
        while True:
            shown += os.read(ours, 1 << 16)
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


FEATURES = [
    Feature("root", "making network namespaces", True, "sudo"),
    Feature("veth", "links between nodes", False, "CONFIG_VETH", "Operation not supported"),
    Feature("cgroup2", "ending all processes of a node at once", False, "CONFIG_CGROUPS",
            "no cgroup2 is mounted"),
]  # fmt: skip


def test_what_a_kernel_lacks_is_named_by_its_option() -> None:
    assert plain(lambda to: to.features("Linux 6.1", FEATURES)) == """\
Linux 6.1
     feature  what for                                missing is
yes  root     making network namespaces
no   veth     links between nodes                     CONFIG_VETH  (Operation not supported)
no   cgroup2  ending all processes of a node at once  CONFIG_CGROUPS  (no cgroup2 is mounted)
"""


def test_a_row_that_ends_in_nothing_is_shown_however_narrow_the_terminal_is() -> None:
    rows = [("x" * 50, ""), ("y", "z")]
    shown = on_a_terminal(lambda to: to._table(("first", "last"), rows), 40)
    assert "x" * 50 in shown



def test_the_last_column_is_wrapped_where_the_terminal_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    shown = on_a_terminal(lambda to: to.features("Linux 6.1", FEATURES[:2]), 70)
    assert shown == """\
Linux 6.1
     feature  what for                   missing is
yes  root     making network namespaces
no   veth     links between nodes        CONFIG_VETH  (Operation not
                                         supported)
"""


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def report(to: TextRenderer) -> None:
        to.swept(["swept"])
        to.labs([])

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert on_a_terminal(report, 80) == "swept\n\033[2mno lab is up\033[0m\n"
    assert plain(report) == "swept\nno lab is up\n"
    monkeypatch.setenv("TERM", "dumb")
    assert "\033" not in on_a_terminal(report, 80)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\033" not in on_a_terminal(report, 80)


def test_what_a_file_says_does_not_steer_the_terminal() -> None:
    lines = [LabLine("a", "up", 1, 0, 0.0, "/tmp/\033[2J\x07.yaml")]
    assert plain(lambda to: to.labs(lines)) == """\
lab  state  nodes  links  file
a    up     1      0      /tmp/\\x1b[2J\\x07.yaml
"""


def changed(count: int) -> Done:
    """A lab whose ``count`` links had their mtu lowered."""
    def veth(number: int, mtu: int) -> Veth:
        return Veth("l.gw", f"wan{number}", "l.web", f"eth{number}", "", "", mtu, mtu)

    plan = tuple(Step(veth(n, 1500), veth(n, 1400)) for n in range(count))
    return Done("l", Road(Inventory(), plan, False), 0.004, (), Summary())


def test_one_change_stands_on_the_line_of_its_lab() -> None:
    from netlab.lab.glance import Header
    from netlab.lab.portrait import portrait

    nothing = portrait(Header("l", "", "", ""), Summary(), Inventory(), {})
    assert plain(lambda to: to.up(changed(1), nothing)) == (
        "l: 1 step in 4 ms    ~ link gw:wan0 – web:eth0  mtu 1500 → 1400\n"
    )
    assert plain(lambda to: to.up(changed(2), nothing)) == """\
l: 2 steps in 4 ms
  ~ link gw:wan0 – web:eth0  mtu 1500 → 1400
  ~ link gw:wan1 – web:eth1  mtu 1500 → 1400
"""


def test_why_and_who_feels_it_follow_a_step() -> None:
    step = Step(None, changed(1).road.plan[0].after, "bridge br0 is made anew")
    road = Road(Inventory(), (step,), False, ("l.x",))
    assert plain(lambda to: to.planned("l", road, [("l.h1", "l.h2")])) == """\
l.x has been deleted by somebody else
l: 1 step, none taken yet
  + link gw:wan0 – web:eth0   (since bridge br0 is made anew; felt by h1, h2)
"""


def test_all_that_went_down_and_all_that_did_not_is_told() -> None:
    gone = Done("a", Road(Inventory(), (), False), 0.01, (), Summary(nodes={"h": "host"}))
    failures: dict[str, NetlabError] = {"b": LabNotFound("no lab b is up", hint="look")}
    assert plain(lambda to: to.down([gone], failures)) == (
        "a is down: 1 node in 10 ms\nno lab b is up\n  look\n"
    )
    assert plain(lambda to: to.down([], {})) == "no lab is up\n"
    out, err = io.StringIO(), io.StringIO()
    JsonRenderer(out, err).down([gone], failures)
    assert '"lab": "b",\n    "error": {' in out.getvalue()
    assert err.getvalue() == "b: no lab b is up\n"


def test_the_doctor_finds_what_this_kernel_has(tmp_path: Path) -> None:
    """What is proven here is needed by the live tests; what is not, is named by an option."""
    if os.geteuid():
        pytest.skip("needs root")
    said = netlab("doctor", "--json")
    features = {f["name"]: f for f in said.json["features"]}
    assert {"root", "veth", "bridge", "tun", "tap", "vxlan", "nftables", "cgroup2", "tracefs",
            "BPF", "user namespaces", "overlayfs"} <= features.keys()  # fmt: skip
    needed = [features[name]["present"] for name in diagnosis.ALWAYS]
    assert said.code == (0 if all(needed) else 3)
    assert all(f["option"] for f in features.values() if not f["present"])
    file = tmp_path / "x.yaml"
    file.write_text("nodes: {s: {kind: switch}, a: }\nlinks: [[a, s]]\n")
    asked = netlab("doctor", "--json", file).json["features"]
    assert {"root", "veth", "bridge"} <= {f["name"] for f in asked} < features.keys()
