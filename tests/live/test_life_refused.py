"""A kernel that refuses one step, whichever it is: the host, or the lab, is as it was before.

    h1 ── sw ── gw ═══ far        gw and far: a vxlan, a bridge; far: a tun and a tap
    h2 ───┘
"""

from __future__ import annotations

import os
from typing import Any, Protocol

import pytest

from netlab.cli.work import Read, read
from netlab.kernel import links, netlink
from netlab.plan.diff import Step, diff
from netlab.resources import Inventory
from netlab.resources.namespace import Namespace
from tests.live.conftest import Write
from tests.live.life import seen
from tests.live.world import Said, done, netlab, snapshot

LAB = """\
routing: static
nodes:
  h1:
    sysctls: {net.ipv4.ping_group_range: "0 100", net.ipv4.ip_default_ttl: 33}
    rules:
      - {from: 10.5.0.0/16, table: 254, priority: 77}
      - {to: 10.6.0.0/16, type: prohibit, priority: 78}
    routes: [{to: 10.66.0.0/16, type: prohibit}]
    neighbours: [{to: 10.1.0.8, mac: "02:00:00:00:00:08", dev: eth0}]
    env: {LANG: C}
    files: {/etc/motd: {text: "hello"}}
    exec: ["test -d /proc", "ip link add mark addr 02:00:00:00:00:aa type bridge"]
  h2:
    neighbours: [{to: 10.1.0.9, mac: "02:00:00:00:00:09", dev: eth0}]
    interfaces: {eth0: {offload: {tso: off}}}
    resolv_conf: {nameservers: [10.1.0.1]}
  sw: {kind: switch}
  gw:
    kind: router
    interfaces:
      vx0: {kind: vxlan, id: 7, remote: 10.2.0.2, addresses: [10.7.0.1/24], mtu: 1400}
      br0: {kind: bridge, addresses: [10.8.0.1/24], ports: [p0]}
    rules: [{from: 10.1.0.0/24, table: 100, priority: 1000}]
    routes:
      - {to: default, type: blackhole, table: 100, metric: 500}
      - {to: 10.99.0.0/16, via: 10.2.0.2}
      - {to: 10.98.0.0/16, type: unreachable}
    sysctls: {net.ipv4.conf.all.rp_filter: 0}
  far:
    interfaces:
      vx0: {kind: vxlan, id: 7, addresses: [10.7.0.2/24], mtu: 1400, fdb: [{remote: 10.2.0.1}]}
      tun0: {kind: tun, addresses: [10.9.0.1/24]}
      tap0: {kind: tap, addresses: [10.10.0.1/24], sysctls: {rp_filter: 1}}
    neighbours: [{to: 10.2.0.77, dev: up, proxy: true}]
links:
  - ["h1:eth0 10.1.0.2/24", sw]
  - ["h2:eth0 10.1.0.3/24", sw]
  - ["gw:lan 10.1.0.1/24", sw]
  - ["gw:up 10.2.0.1/24", "far:up 10.2.0.2/24"]
  - [{node: gw, interface: p0, addresses: []}, {node: far, interface: p0, addresses: [10.8.0.2/24]}]
"""

CHANGES = (
    ("LANG: C", "LANG: C.UTF-8"),
    ('"hello"', '"good bye"'),
    ('"test -d /proc"', '"test -d /sys"'),
    ('type bridge"]', 'type bridge", "ip link show mark"]'),
    ("02:00:00:00:00:09", "02:00:00:00:00:0a"),
    ("id: 7, remote", "id: 8, remote"),
    ("br0: {kind: bridge", "br0: {kind: bridge, forward_delay: 4"),
    ("priority: 1000", "priority: 1001"),
    ("metric: 500", "metric: 501"),
    ("10.99.0.0/16", "10.97.0.0/16"),
    ("rp_filter: 0", "rp_filter: 2"),
    ("{remote: 10.2.0.1}", "{remote: 10.2.0.9}"),
    ("tun0: {kind: tun", "tun0: {kind: tun, mtu: 1300"),
    ("tap0: {kind: tap", "tap1: {kind: tap"),
    ("10.2.0.77", "10.2.0.78"),
    ("h2:eth0 10.1.0.3/24", "h3:eth0 10.1.0.4/24"),
    ("  h2:", "  h3:"),
    ("tso: off", "gro: off"),
    ('["gw:up 10.2', '{mtu: 1450, endpoints: ["gw:up 10.2'),
    ('far:up 10.2.0.2/24"]', 'far:up 10.2.0.2/24"]}'),
)


def after(changes: tuple[tuple[str, str], ...]) -> str:
    text = LAB
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


class Refusing(netlink.NetlinkKernel):
    """At one step it asks for one thing more, which Linux refuses: before the step, or after."""

    at = 0
    """The step, counted from 1; 0 for none."""
    late = False
    refused: Step | None = None

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._count = 0
        self._pending: Step | None = None
        self._are_made = False

    def make_namespaces(self, names: Any) -> Any:
        self._are_made = False
        self._count -= 1  # the step was announced, and will be taken now
        return super().make_namespaces(names)

    def begin(self, token: object) -> None:
        self._ask()
        super().begin(token)
        if isinstance(token, Step):
            self._count += 1
            if self._count == self.at and type(self).refused is None:
                self._pending = token
                if not self.late:
                    self._ask()

    def flush(self) -> None:
        self._ask()
        super().flush()

    def _ask(self) -> None:
        step, self._pending = self._pending, None
        if step is None:
            return
        type(self).refused = step
        if step.subject.ns and not isinstance(step.subject, Namespace):
            self._queue.add(step.subject.ns, links.set_mtu(987654, 1500))
        else:  # a namespace's name may not be there yet, or no more
            self._queue.add("", lambda: os.rmdir("/proc/self"))


class Refuse(Protocol):
    def __call__(self, number: int, late: bool) -> None: ...


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    def at(number: int, late: bool) -> None:
        monkeypatch.setattr(Refusing, "at", number)
        monkeypatch.setattr(Refusing, "late", late)
        monkeypatch.setattr(Refusing, "refused", None)

    at(0, False)
    monkeypatch.setattr(netlink, "NetlinkKernel", Refusing)
    return at


def complaint(topology: Read) -> str:
    """What the refusal must say: the place in the file, the node, the thing, the kernel's words."""
    step = Refusing.refused
    assert step is not None
    subject = step.subject
    path = topology.compiled.origins.get(subject.key)
    where = "{}:{}:{}  ".format(topology.loaded.file, *topology.loaded.place(path)) if path else ""
    node = subject.ns.partition(".")[2]
    is_inside = bool(node) and not isinstance(subject, Namespace)
    words = "No such device [ENODEV]" if is_inside else "Not a directory [ENOTDIR]"
    return f"{where}{f'{node}: ' if node else ''}{subject.words}: the kernel refused: {words}\n"


def test_a_refusal_of_any_step_leaves_the_host_as_it_was(
    write: Write, lab: str, refuse: Refuse
) -> None:
    file = write(LAB)
    before, topology = snapshot(lab), read(str(file))
    steps = len(diff(Inventory(), topology.wanted.inventory))
    assert steps >= 55
    for number in range(1, steps + 1):
        for late in (False, True):
            refuse(number, late)
            said = netlab("up", file)
            assert said == Said(4, "", complaint(topology)), number
            assert snapshot(lab) == before, number


def test_a_refusal_of_any_step_of_a_change_leaves_the_lab_as_it_was(
    write: Write, lab: str, refuse: Refuse
) -> None:
    file = write(LAB)
    done("up", file)
    before, old = seen(lab), read(str(file))
    write(after(CHANGES))
    new = read(str(file))
    steps = len(diff(old.wanted.inventory, new.wanted.inventory))
    assert steps >= 45
    for number in range(1, steps + 1):
        write(after(CHANGES))
        refuse(number, late=number % 2 == 0)
        assert netlab("up", file) == Said(4, "", complaint(new)), number
        assert seen(lab) == before, number
        write(LAB)
        refuse(0, late=False)
        assert "is unchanged" in done("plan", file), number
    write(after(CHANGES))
    done("up", file)
    changed = seen(lab)
    done("down", lab)
    done("up", file)
    assert seen(lab) == changed
