"""The line of the topology that a journey ended by."""

from __future__ import annotations

import pytest

from tests.live.conftest import Write
from tests.live.world import done, netlab

TEXT = """\
nodes:
  cli:
    routes:
      - {to: default, via: 10.1.0.1}
  gw:
    kind: router
    routes:
      - {to: 10.9.0.0/16, type: blackhole}
  srv:
    routes: [{to: default, via: 10.2.0.1}]
    sysctls:
      net.ipv4.icmp_echo_ignore_all: 1
links:
  - ["cli:eth0 10.1.0.2/24", "gw:a 10.1.0.1/24"]
  - ["gw:b 10.2.0.1/24", "srv:eth0 10.2.0.2/24"]
"""
"""cli ── gw ── srv"""


@pytest.mark.parametrize(
    ("target", "cause", "line"), [("10.9.0.1", "blackhole", 8), ("srv", "echo-ignored", 12)]
)
def test_a_cause_has_its_line(
    target: str, cause: str, line: int, write: Write, lab: str
) -> None:
    file = write(TEXT)
    done("up", file)
    found = netlab("trace", lab, "cli", target, "--json").json
    assert (found["cause"]["name"], found["cause"]["place"]) == (cause, f"{file}:{line}")
    routes = [
        step["place"]
        for hop in found["legs"][0]["hops"]
        for step in hop["steps"]
        if step["kind"] == "route"
    ]
    assert routes[0] == f"{file}:4"
    file.write_text("# another one now\n" + file.read_text())
    found = netlab("trace", lab, "cli", target, "--json").json
    assert (found["cause"]["name"], found["cause"]["place"]) == (cause, "")


def test_a_policy_has_the_line_of_its_chain(write: Write, lab: str) -> None:
    file = write(TEXT.replace("    kind: router\n", POLICY))
    done("up", file)
    found = netlab("trace", lab, "cli", "srv", "--tcp", "80", "--json").json
    assert (found["cause"]["name"], found["cause"]["place"]) == ("nft-policy", f"{file}:9")


POLICY = """    kind: router
    nftables: |
      table inet filter {
        chain forward {
          type filter hook forward priority filter; policy drop;
        }
      }
"""
