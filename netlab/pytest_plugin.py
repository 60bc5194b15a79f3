"""The pytest plugin: labs as fixtures.

    @pytest.mark.topology("nat-gateway.yaml")
    def test_clients_get_out(lab):
        assert lab["alice"].tcp("web", 80) == "connected"

``lab`` is up for one test. ``labs`` keeps labs for as long as its own scope, a session, and gives
them back as they were at their beginning::

    def test_many(labs):
        lab = labs("nat-gateway.yaml")

Each has a name that no other test and no other worker (pytest-xdist) has. They go with pytest,
also when that is killed. Where the machine cannot make labs tests are skipped, with the reason.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from netlab.api import Lab

MARK = "topology(file_or_text): the topology that the `lab` fixture brings up"
_numbers = count(1)

Topology = str | os.PathLike[str] | Mapping[str, Any]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARK)


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The lab of the test's ``topology`` mark, up, and down after the test."""
    mark = request.node.get_closest_marker("topology")
    if mark is None or not mark.args:
        pytest.fail('which topology? @pytest.mark.topology("file.yaml")', pytrace=False)
    with ExitStack() as stack:
        yield _open(stack, mark.args[0], request.path.parent)


@pytest.fixture(scope="session")
def labs(request: pytest.FixtureRequest) -> Iterator[Callable[[Topology], Lab]]:
    """Labs by their topology: each is brought up once in a session, and reset for each test."""
    with ExitStack() as stack:
        known: dict[str, Lab] = {}

        def get(topology: Topology) -> Lab:
            key = repr(topology)
            if key in known:
                known[key].reset()
            else:
                known[key] = _open(stack, topology, Path(request.config.invocation_params.dir))
            return known[key]

        yield get


def _open(stack: ExitStack, topology: Topology, beside: Path) -> Lab:
    """Raises pytest's skip where the machine cannot, TopologyError where the topology is wrong."""
    from netlab.api import Lab
    from netlab.errors import MachineLacks

    if isinstance(topology, str) and "\n" not in topology:
        topology = beside / topology
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    name = f"py{os.getpid()}{worker and f'-{worker}'}-{next(_numbers)}"
    try:
        return stack.enter_context(Lab(topology, name=name, owner=os.getpid()))
    except MachineLacks as lacking:
        pytest.skip(str(lacking))
