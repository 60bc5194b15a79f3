"""Small labs to walk between, and the way from a text to what it compiles to."""
# ruff: noqa: E501 - a line of a topology is one line

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from textwrap import dedent

from netlab.cli.work import Read, read
from netlab.plan.compile import Compiled
from netlab.plan.diff import Plan, diff
from netlab.render.words import step_words
from netlab.resources import Inventory

ROOT = Path(__file__).parents[2]


def read_text(text: str, name: str = "l") -> Read:
    """As the file ``l.yaml``, beside the directories of topologies/. Raises TopologyError."""
    with tempfile.TemporaryDirectory() as directory:
        for beside in filter(Path.is_dir, ROOT.glob("topologies/*")):
            Path(directory, beside.name).symlink_to(beside)
        file = Path(directory, f"{name}.yaml")
        file.write_text(dedent(text))
        return read(str(file))


@cache
def compiled(text: str) -> Compiled:
    return read_text(text).compiled


def inventory(text: str) -> Inventory:
    return compiled(text).inventory


def told(text: str) -> list[str]:
    """Each resource as a step from nothing, in words."""
    return words(diff(Inventory(), inventory(text)))


def words(plan: Plan) -> list[str]:
    return [step_words(step) for step in plan]


def road(before: str, after: str) -> list[str]:
    """The steps between two texts, in words."""
    return words(diff(inventory(before), inventory(after)))


HAND_MADE = {
    "nothing much": "nodes: {a: }",
    "two hosts": 'nodes: {a: , b: }\nlinks: [["a:eth0 10.0.0.1/24", "b:eth0 10.0.0.2/24"]]',
    "other addresses": """
        nodes: {a: {routes: [{to: default, via: 10.0.0.9}]}, b: }
        links: [["a:eth0 10.0.0.3/24 10.0.0.4/24", "b:eth0 10.0.0.9/24 fd00::9/64"]]
    """,
    "small mtu": """
        nodes: {a: {interfaces: {eth0: {mac: "02:00:00:00:00:aa", offload: {gro: true, tso: false}}}}, b: }
        links: [{endpoints: ["a:eth0", "b:eth0"], mtu: 1000}]
    """,
    "router": """
        nodes:
          a: {routes: [{to: default, via: 10.0.0.2}, {to: default, via: "fd00::2"}]}
          b:
            kind: router
            interfaces: {eth1: {sysctls: {rp_filter: 1, ipv6.accept_ra: 0}}, lo: {addresses: [192.0.2.1/32]}}
            sysctls: {net.ipv4.conf.eth0.proxy_arp: 1, net.ipv4.conf.default.rp_filter: 2}
            routes:
              - {to: 10.5.0.0/16, via: [{gateway: 10.0.0.1, weight: 2}, {gateway: 10.0.1.1}]}
              - {to: 10.6.0.0/16, type: blackhole}
              - {to: 10.7.0.0/16, dev: eth1, source: 192.0.2.1, metric: 5}
              - {to: "fd05::/64", via: "fd00::1", table: 100}
            rules: [{from: 10.0.0.0/24, table: 100, priority: 1000}, {fwmark: 7, type: prohibit, priority: 9}]
            neighbours: [{to: 10.0.1.9, mac: "02:00:00:00:00:09", dev: eth1}, {to: 10.0.1.8, dev: eth1, proxy: true}]
          c: {files: {/etc/motd: hello}, env: {LANG: C}, exec: [date, "true", date]}
        links:
          - ["a:eth0 10.0.0.1/24 fd00::1/64", "b:eth0 10.0.0.2/24 fd00::2/64"]
          - ["b:eth1 10.0.1.2/24", "c:eth0 10.0.1.1/24"]
    """,
    "b switches": """
        nodes:
          a: {exec: ["true"]}
          b: {kind: switch, stp: true, priority: 4096, interfaces: {eth0: {bridge_port: {cost: 7}}}}
          c: {hosts: false}
        links: [["a:eth0", "b:eth0"], ["c:eth0", "b:eth1"]]
    """,
    "devices": """
        nodes:
          a:
            interfaces:
              vx: {kind: vxlan, id: 7, local: 10.0.0.1, learning: false, addresses: [], fdb: [{remote: 10.0.0.2}]}
              tap0: {kind: tap, owner: 5}
              br0: {kind: bridge, ports: [vx, tap0], ageing: 10, addresses: [10.9.0.1/24]}
          b:
            interfaces:
              vx: {kind: vxlan, id: 7, remote: 10.0.0.1, addresses: [10.9.0.2/24]}
              tun0: {kind: tun, addresses: [10.8.0.1/24], mtu: 1400, multi_queue: true}
        links: [["a:eth0 10.0.0.1/24", "b:eth0 10.0.0.2/24"]]
    """,
    "other devices": """
        nodes:
          a:
            interfaces:
              vx: {kind: vxlan, id: 8, local: 10.0.0.1, addresses: [], fdb: [{remote: 10.0.0.2}, {mac: "02:00:00:00:00:01", remote: 10.0.0.3}]}
              tap0: {kind: tap, addresses: [10.7.0.1/24]}
              br0: {kind: bridge, ports: [vx], ageing: 20, stp: true, addresses: [10.9.0.1/24]}
          b: {interfaces: {tun0: {kind: tun, addresses: [10.8.0.1/24], mtu: 1300, multi_queue: true}}}
        links: [["a:eth0 10.0.0.1/24", "b:eth0 10.0.0.2/24"]]
    """,
    "static ring": """
        routing: static
        nodes: {a: {kind: router}, b: {kind: router}, c: {kind: router}, d: {kind: router}, h: }
        links: [[a, b], [b, c], [c, d], [d, a], ["h:eth0 192.168.1.2/24", "a:lan 192.168.1.1/24"]]
    """,
    "static chain": """
        routing: static
        nodes:
          a: {kind: router}
          b: {kind: router, routes: [{to: default, dev: eth1}]}
          c: {kind: router, interfaces: {eth1: {up: false}}}
          d: {kind: router}
          h: {sysctls: {net.ipv6.conf.all.disable_ipv6: 1}}
        links: [[a, b], [b, c], ["c:eth1", d], ["h:eth0 192.168.1.2/24", "a:lan 192.168.1.1/24"]]
    """,
    "pods": """
        nodes:
          a: {routes: [{to: default, via: 169.254.1.1}, {to: 169.254.1.1/32, dev: eth0}]}
          b: {kind: router, interfaces: {eth0: {sysctls: {proxy_arp: 1}}}, routes: [{to: 10.0.0.1/32, dev: eth0}]}
        links: [["a:eth0 10.0.0.1/32", {node: b, interface: eth0, addresses: []}]]
    """,
    "moved pods": """
        nodes:
          a: {routes: [{to: default, via: 169.254.1.1}, {to: 169.254.1.1/32, dev: eth0}]}
          b: {kind: router, interfaces: {eth0: {sysctls: {proxy_arp: 1}}}, routes: [{to: 10.0.0.7/32, dev: eth0}]}
        links: [["a:eth0 10.0.0.7/32", {node: b, interface: eth0, addresses: []}]]
    """,
}  # fmt: skip


def all_labs() -> dict[str, str]:
    """By name; those of ``topologies/`` take the lab's name that all others have."""
    texts = {name: dedent(text) for name, text in HAND_MADE.items()}
    for file in sorted(ROOT.glob("topologies/*.yaml")):
        lines = [line for line in file.read_text().splitlines() if not line.startswith("name:")]
        texts[file.stem] = "\n".join(["name: l", *lines])
    return texts
