"""Many times up and down in one process: nothing grows."""

from __future__ import annotations

import gc
import os
import resource
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.live.conftest import Write
from tests.live.world import done, eventually, tool

TEXT = """\
routing: static
nodes: {a: , sw: {kind: switch}, gw: {kind: router, interfaces: {t0: {kind: tun}}}}
links: [[a, sw], [gw, sw]]
"""


def held() -> tuple[int, int, int]:
    """Open files, threads, and the names that this namespace has for other ones (nsids)."""
    threads = eventually(lambda: None if "namespaces" in names() else len(names()))
    nsids = tool("ip", "netns", "list-id").splitlines()
    return len(os.listdir("/proc/self/fd")), threads, len(nsids)


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def resident() -> int:
    """In KiB."""
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * resource.getpagesize() // 1024


def test_two_hundred_rounds_leave_nothing_in_the_process(write: Write, lab: str) -> None:
    file = write(TEXT)

    def rounds(count: int) -> None:
        for _ in range(count):
            done("up", file)
            done("down", lab)

    rounds(10)
    gc.collect()
    before, memory = held(), resident()
    rounds(190)
    gc.collect()
    assert held() == before
    assert resident() - memory < 4096
    tool("ip", "netns", "list")
    done("up", file)
    done("down", lab, "--wait")
    ours = {os.stat("/proc/self/ns/net").st_ino}
    eventually(lambda: set(networks()) == ours)


def networks() -> Iterator[int]:
    """Of each thread that has not ended meanwhile."""
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            yield os.stat(task / "ns/net").st_ino
