"""alice ── gw ── bob"""

from tests.live.conftest import Write
from tests.live.world import done, inside

TEXT = """\
routing: static
nodes: {alice: , bob: , gw: {kind: router}}
links: [[alice, gw], [bob, gw]]
"""


def test_up_ping_down(write: Write, lab: str) -> None:
    assert "is up: 3 nodes, 2 links" in done("up", write(TEXT))
    assert inside(lab, "alice", "ping", "-c1", "-W2", "bob").code == 0
    assert "is unchanged" in done("up", write(TEXT))
    assert "is down" in done("down", lab)
