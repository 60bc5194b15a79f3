"""Labs on the real kernel: each test has its own names, and the host must be as before."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.live.world import netlab, snapshot

_numbers = count(1)

# whoever runs the tests may ignore them (nohup, a job in the background), and programs inherit that
for _number in (signal.SIGHUP, signal.SIGINT):
    if signal.getsignal(_number) is signal.SIG_IGN:
        is_int = _number == signal.SIGINT
        signal.signal(_number, signal.default_int_handler if is_int else signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _root() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture
def prefix(worker_id: str) -> str:
    """Lab names of this test, and of no other one, begin so."""
    return f"t{worker_id.removeprefix('gw')[:2]}x{os.getpid() % 100000}n{next(_numbers)}"


@pytest.fixture
def host_unchanged(prefix: str) -> Iterator[None]:
    before = snapshot(prefix)
    yield
    assert snapshot(prefix) == before


Write = Callable[[str], Path]


@pytest.fixture
def write(host_unchanged: None, prefix: str, tmp_path: Path) -> Iterator[Write]:
    """Writes ``LAB.yaml`` whose lab has the test's own name; whatever of it is up, goes down."""
    file = tmp_path / f"{prefix}.yaml"

    def written(text: str) -> Path:
        file.write_text(text)
        return file

    yield written
    if os.path.lexists(f"/run/netlab/{prefix}"):
        netlab("down", prefix)


@pytest.fixture
def lab(prefix: str) -> str:
    """The name of the lab that ``write`` writes."""
    return prefix
