"""Three hundred nodes from one file.

    lan0 ── h0 … h29          gw joins the ten switches
    …
    lan9 ── h261 … h289
"""

from __future__ import annotations

import subprocess
from typing import Any

from tests.live.conftest import Write
from tests.live.life import journal, nothing_of, numbers
from tests.live.world import NETLAB, ROOT, done, inside, ip, snapshot

SWITCHES, HOSTS = 10, 289


def text(mtu: int = 1500) -> str:
    hosts = "".join(f"  h{n}: {{}}\n" for n in range(HOSTS))
    switches = "".join(f"  lan{n}: {{kind: switch}}\n" for n in range(SWITCHES))
    links = "".join(f"  - [h{n}, lan{n * SWITCHES // HOSTS}]\n" for n in range(1, HOSTS))
    trunks = "".join(f"  - [gw, lan{n}]\n" for n in range(SWITCHES))
    return (
        f"routing: static\nnodes:\n{hosts}{switches}  gw: {{kind: router}}\n"
        f"links:\n  - {{endpoints: [h0, lan0], mtu: {mtu}}}\n{links}{trunks}"
    )


def test_a_lab_of_three_hundred_nodes(write: Write, lab: str) -> None:
    file = write(text())
    before = snapshot(lab)
    assert "is up: 300 nodes, 299 links" in done("up", file)
    assert inside(lab, "h288", "ping", "-c1", "-W2", "h0").code == 0
    written, indexes = journal(lab), numbers(lab)
    assert len(indexes) == 300

    assert "is unchanged" in done("up", file)
    assert (journal(lab), numbers(lab)) == (written, indexes)

    write(text(mtu=1400))
    plan = done("plan", file)
    assert "1 step" in plan
    assert "~ link h0:eth0 – lan0:h0  mtu 1500 → 1400" in plan
    assert "felt by gw, h1, h10, h11" in plan
    assert "h28" in plan
    assert "h29" not in plan
    sent = [link["stats64"]["tx"]["packets"] for link in counted(f"{lab}.gw")]
    assert "1 step in" in done("up", file)
    assert numbers(lab) == indexes
    now = [link["stats64"]["tx"]["packets"] for link in counted(f"{lab}.gw")]
    assert all(after >= earlier > 0 for after, earlier in zip(now, sent, strict=True))
    assert {i["mtu"] for i in ip(f"{lab}.h0", "link", "show", "eth0")} == {1400}
    assert {i["mtu"] for i in ip(f"{lab}.h1", "link", "show", "eth0")} == {1500}

    assert "is down: 300 nodes" in done("down", lab)
    assert nothing_of(lab)
    assert snapshot(lab) == before


def counted(ns: str) -> list[dict[str, Any]]:
    return [link for link in ip(ns, "-statistics", "link") if link["ifname"] != "lo"]


def test_few_open_files_are_enough(write: Write, lab: str) -> None:
    """A lab may have many more nodes than a process may have files open."""
    file = write(text())
    few = ["prlimit", "--nofile=100:100", *NETLAB]
    for words in (["up", file], ["down", lab]):
        command = [*few, *words]
        ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)
        assert (ended.returncode, ended.stderr) == (0, "")
    assert nothing_of(lab)
