"""`down --wait`: when it returns, the devices are gone too, not only the names."""

from __future__ import annotations

import os
import threading

from netlab.kernel import libc
from tests.live.conftest import Write
from tests.live.world import done

LEAVES = 150


def devices_in(fd: int) -> list[str]:
    found: list[str] = []

    def look() -> None:
        libc.setns(fd, libc.CLONE_NEWNET)
        with open("/proc/thread-self/net/dev") as file:
            found.extend(line.partition(":")[0].strip() for line in list(file)[2:])

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return found


def test_with_wait_the_far_ends_are_gone_where_somebody_holds_a_namespace(
    write: Write, lab: str
) -> None:
    nodes = "".join(f"  h{n}:\n" for n in range(LEAVES))
    links = "".join(f"  - [h{n}, hub]\n" for n in range(LEAVES))
    done("up", str(write(f"addressing: none\nnodes:\n  hub:\n{nodes}links:\n{links}")))
    hub = os.open(f"/run/netns/{lab}.hub", os.O_RDONLY)
    try:
        assert len(devices_in(hub)) == LEAVES + 1
        done("down", lab, "--wait")
        assert devices_in(hub) == ["lo"]
    finally:
        os.close(hub)
