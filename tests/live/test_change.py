"""Changes of a running lab that Linux has its own mind about: all is as if built anew."""

from __future__ import annotations

import pytest

from tests.live.conftest import Write
from tests.live.life import seen
from tests.live.world import done, ip, program

CHANGES: dict[str, tuple[str, str]] = {
    # the first address of a subnet takes the others along (promote_secondaries)
    "the first of two addresses goes": ("10.0.0.1/24 10.0.0.2/24", "10.0.0.2/24"),
    "another address comes first": ("10.0.0.1/24 10.0.0.2/24", "10.0.0.3/24 10.0.0.1/24"),
    "two addresses change places": ("fd01::1/64 fd01::2/64", "fd01::2/64 fd01::1/64"),
    # with a device's last IPv4 address the routes over it go
    "the only address changes": ("d:eth0 10.0.3.1/32", "d:eth0 10.0.3.2/32"),
    "a link is made anew": ("02:00:00:00:00:01", "02:00:00:00:00:02"),
    "a host becomes a switch": ("c: {kind: host}", "c: {kind: switch}"),
    "a switch becomes a host": ("e: {kind: switch}", "e: {kind: host}"),
    "what new devices start from": ("default.rp_filter: 1", "default.rp_filter: 2"),
    "a switch of an interface goes": ("sysctls: {net.ipv4.conf.eth0.rp_filter: 2}", "sysctls: {}"),
    # the kernel writes these over the devices' own, and over what new devices start from
    "a switch of all goes": ("sysctls: {net.ipv6.conf.all.disable_ipv6: 1}", "sysctls: {}"),
    "a switch of all changes": ("all.forwarding: 0", "all.forwarding: 1"),
    "an interface is as all again": ("sysctls: {ipv6.disable_ipv6: 0}", "sysctls: {}"),
    "an offload goes": ("gro: true", "gro: false"),
}  # fmt: skip

LAB = """\
nodes:
  a:
    interfaces: {eth0: {mac: "02:00:00:00:00:01", offload: {gro: true}}}
    sysctls: {net.ipv4.conf.eth0.rp_filter: 2}
    routes:
      - {to: default, via: 169.254.1.1}
      - {to: 169.254.1.1/32, dev: eth0}
  b: {sysctls: {net.ipv4.conf.default.rp_filter: 1}}
  c: {kind: host}
  d: {routes: [{to: default, via: 169.254.1.1}, {to: 169.254.1.1/32, dev: eth0}]}
  e: {kind: switch}
  f:
    kind: switch
    interfaces: {eth0: {sysctls: {ipv6.disable_ipv6: 0}}}
    sysctls: {net.ipv6.conf.all.disable_ipv6: 1}
  g:
    interfaces: {eth0: {sysctls: {ipv6.forwarding: 0}}}
    sysctls: {net.ipv6.conf.all.forwarding: 0}
links:
  - ["a:eth0 10.0.0.1/24 10.0.0.2/24", "b:eth0 10.0.0.9/24"]
  - ["c:eth0", "b:eth1"]
  - ["d:eth0 10.0.3.1/32", {node: b, interface: eth2, addresses: []}]
  - ["e:eth0", "b:eth3"]
  - ["f:eth0", "g:eth0 fd01::1/64 fd01::2/64"]
"""


def everything(lab: str) -> list[str]:
    said = program("exec", lab, "--all", "--", "sh", "-c",
        "cd /proc/sys/net; cat ipv4/conf/*/rp_filter ipv6/conf/*/disable_ipv6;"
        " cat ipv6/conf/*/forwarding;"
        " ip -br address | sed -E 's/(@if[0-9]+)? +[A-Z]+//; s/fe80[^ ]*//; s/ +/ /g';"
        " for d in /sys/class/net/eth*; do ethtool -k ${d##*/} | grep generic; done",
    )  # fmt: skip
    assert said.code == 0, said
    return [*seen(lab), *sorted(said.out.splitlines())]


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_lab_is_like_one_built_anew(what: str, write: Write, lab: str) -> None:
    old, new = CHANGES[what]
    assert LAB.count(old) == 1
    done("up", write(LAB))
    done("up", write(LAB.replace(old, new)))
    changed = everything(lab)
    assert done("plan", write(LAB.replace(old, new))).strip().endswith("unchanged")
    done("down", lab)
    done("up", write(LAB.replace(old, new)))
    assert everything(lab) == changed


def test_a_gateway_is_reached_by_a_route_written_after_it(write: Write, lab: str) -> None:
    done("up", write(LAB))
    assert [r["gateway"] for r in ip(f"{lab}.a", "route") if r["dst"] == "default"] == [
        "169.254.1.1"
    ]
