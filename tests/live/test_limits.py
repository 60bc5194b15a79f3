"""What is refused before anything is made is what this kernel would refuse, and nothing else is.

    LAB.a ──── LAB.b
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from netlab.kernel.baseline import path_of
from netlab.model.switches import OF_THE_MACHINE
from tests.live.conftest import Write
from tests.live.world import done, netlab

OPENS = """
import sys
for path in sys.argv[1:]:
    try:
        open(path, "w").close()
        print(path)
    except (FileNotFoundError, PermissionError):
        pass
"""


def test_switches_of_the_machine_cannot_be_set_in_a_namespace() -> None:
    paths = [path for path in map(path_of, sorted(OF_THE_MACHINE)) if Path(path).exists()]
    words = ["unshare", "-n", sys.executable, "-c", OPENS, *paths, path_of("net.core.somaxconn")]
    opened = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
    assert opened == "/proc/sys/net/core/somaxconn\n"
    assert len(paths) > 5  # in a container; outside one sees more than 20


def test_the_kernel_says_of_a_switch_why_not(write: Write) -> None:
    for name, why in {
        "net.ipv4.no_such_switch": "no namespace of this kernel has such a switch (No such file",
        "net.ipv4.conf.all.mc_forwarding": "it can only be read in a namespace (Permission denied)",
    }.items():
        said = netlab("up", write(f"nodes: {{a: {{sysctls: {{{name}: 1}}}}}}"))
        assert said.code == 4
        assert f":1:{25 + len(name)}  a: sysctl {name}=1: the kernel refused: {why}" in said.err


LARGEST = [
    "tap, mtu: 65521", "tun, mtu: 65535", "bridge, mtu: 65535", "vxlan, id: 1, mtu: 65535",
    "vxlan, id: 5, port: 1", 'vxlan, id: 5, local: "fd00::1", fdb: [{remote: "fd00::2"}]',
    "vxlan, id: 6, remote: 10.0.0.2, fdb: [{remote: 239.1.1.1}]",
]  # fmt: skip


@pytest.mark.parametrize("settings", LARGEST)
def test_what_is_not_refused_can_be(write: Write, lab: str, settings: str) -> None:
    devices = f"x: {{kind: {settings}}}, y: {{kind: vxlan, id: 5, addresses: []}}"
    done("up", write(f"nodes: {{a: {{interfaces: {{{devices}}}}}, b: }}\nlinks: [[a, b]]"))
