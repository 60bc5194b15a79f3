"""The pytest plugin: labs as fixtures, and what a lab held when its test failed.

    @pytest.mark.topology("nat-gateway.yaml")
    def test_clients_get_out(lab):
        assert lab["alice"].tcp("web", 80) == "connected"

``lab`` is up for one test, or for all of a class, a module, a package or the session where the mark
has ``scope="module"``; then each test finds it as it was at its beginning. ``labs`` gives labs of a
session to whoever asks::

    def test_many(labs):
        lab = labs("nat-gateway.yaml")

Each has a name that no other test and no other worker (pytest-xdist) has. They go with pytest,
also when that is killed. Where the machine cannot make labs tests are skipped, with the reason.
Where a test fails, a directory tells all about its labs; see ``Lab.bundle``.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import count
from pathlib import Path
from traceback import format_exc
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from netlab.api import Lab

MARK = (
    "topology(file_text_or_data, scope='function'): the topology that the `lab` fixture brings up, "
    "and whether for one test, or for a 'class', 'module', 'package' or 'session'"
)
SCOPES: Mapping[str, type[pytest.Collector | pytest.Item]] = {
    "function": pytest.Item,
    "class": pytest.Class,
    "module": pytest.Module,
    "package": pytest.Package,
    "session": pytest.Session,
}
OFF = "off"
_numbers = count(1)

Topology = str | os.PathLike[str] | Mapping[str, Any]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("netlab")
    where = "where a directory about the labs of each failed test is written; off: none is"
    parser.addini("netlab_bundles", f"{where} (default: among pytest's temporary files)")
    group.addoption("--netlab-bundles", metavar="DIR", help=where)
    parser.addini("netlab_packets", "seconds of packets kept for it; 0: none (default: 10)")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARK)
    config.pluginmanager.register(_Labs(config), "netlab-labs")


class _Labs:
    """Those of a session, and which of them the test has that runs now."""

    def __init__(self, config: pytest.Config) -> None:
        self._bundles = config.getoption("--netlab-bundles") or config.getini("netlab_bundles")
        self._packets = _seconds(config.getini("netlab_packets") or "10")
        self._invoked = Path(config.invocation_params.dir)
        self._known: dict[object, Lab] = {}
        self._used: list[Lab] = []
        self.places: pytest.TempPathFactory | None = None

    def get(self, topology: Topology, beside: Path, until: pytest.Collector | pytest.Item) -> Lab:
        """One that is up until that ends; the same again for the same topology, reset."""
        key = repr(topology), beside, until
        lab = self._known.get(key)
        if lab is None:
            lab = self._known[key] = _opened(topology, beside)
            until.addfinalizer(lambda: self._known.pop(key).down())
        else:
            for sentence in lab.reset():
                warnings.warn(f"lab {lab.name} is not quite as it was: {sentence}", stacklevel=2)
        self._used.append(lab)
        if self._bundles != OFF and self._packets:
            self._record(lab)
        return lab

    def _record(self, lab: Lab) -> None:
        from netlab.errors import NetlabError

        try:
            lab.record(self._packets)
        except NetlabError as problem:  # a test needs no packets
            warnings.warn(f"no packets are kept of lab {lab.name}: {problem}", stacklevel=2)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self) -> None:
        self._used.clear()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        outcome: Any = yield
        report: pytest.TestReport = outcome.get_result()
        if report.failed and report.when != "teardown" and self._bundles != OFF:
            for lab in dict.fromkeys(self._used):
                report.sections.append(("netlab", self._bundle(lab, item, report)))

    def _bundle(self, lab: Lab, item: pytest.Item, report: pytest.TestReport) -> str:
        """Where it is, in a sentence; or why there is none: the test's own report matters more."""
        from netlab.errors import NetlabError

        said = [report.longreprtext, *(f"{title}\n{text}" for title, text in report.sections)]
        try:
            place = self._place(item)
            index = lab.bundle(place, title=item.nodeid, text="\n\n".join(said))
        except (NetlabError, OSError) as problem:
            return f"no bundle of lab {lab.name}: {problem}"
        except Exception:
            return f"no bundle of lab {lab.name}, by a mistake of netlab's:\n{format_exc()}"
        return f"all about lab {lab.name}: {index}"

    def _place(self, item: pytest.Item) -> Path:
        name = re.sub(r"[^\w.-]+", "-", item.name)[:60]
        if not self._bundles:
            assert self.places is not None, "whoever has a lab has asked for a place"
            return self.places.mktemp(f"netlab-{name}-")
        directory = Path(self._invoked, self._bundles)
        directory.mkdir(parents=True, exist_ok=True)
        for number in count(1):
            place = Path(directory, name if number == 1 else f"{name}-{number}")
            try:
                place.mkdir()
            except FileExistsError:
                continue
            return place
        raise AssertionError


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise pytest.UsageError(f"netlab_packets: {text!r} is no number of seconds") from None


@pytest.fixture(scope="session")
def _netlab_labs(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> _Labs:
    labs: _Labs | None = pytestconfig.pluginmanager.getplugin("netlab-labs")
    assert labs is not None
    labs.places = tmp_path_factory
    return labs


@pytest.fixture
def lab(request: pytest.FixtureRequest, _netlab_labs: _Labs) -> Lab:
    """The lab of the test's ``topology`` mark, up, and down after the test, or after its scope."""
    mark = request.node.get_closest_marker("topology")
    if mark is None or not mark.args:
        pytest.fail('which topology? @pytest.mark.topology("file.yaml")', pytrace=False)
    scope = mark.kwargs.get("scope", "function")
    if scope not in SCOPES:
        pytest.fail(f"topology(…, scope={scope!r}): there are {', '.join(SCOPES)}", pytrace=False)
    until = request.node.getparent(SCOPES[scope]) or request.node
    return _netlab_labs.get(mark.args[0], request.path.parent, until)


@pytest.fixture(scope="session")
def labs(request: pytest.FixtureRequest, _netlab_labs: _Labs) -> Callable[[Topology], Lab]:
    """Labs by their topology: each is brought up once in a session, and reset for each test."""
    here = Path(request.config.invocation_params.dir)
    return lambda topology: _netlab_labs.get(topology, here, request.session)


def _opened(topology: Topology, beside: Path) -> Lab:
    """Skips where the machine cannot, fails where the topology cannot be."""
    from netlab.api import Lab
    from netlab.errors import KernelRefused, MachineLacks, TopologyError, UsageError

    if isinstance(topology, str) and "\n" not in topology:
        topology = beside / topology
    name = f"{_prefix()}{next(_numbers)}"
    try:
        return Lab(topology, name=name).up()
    except MachineLacks as lacking:
        pytest.skip(_sentence(str(lacking), lacking.hint))
    except KernelRefused as refusal:
        reasons = Lab(topology, name=name).lacks()
        if not reasons:
            raise
        pytest.skip(_sentence("; ".join(reasons), refusal.hint))
    except (TopologyError, UsageError) as mistake:  # of the test's own: netlab's code tells nothing
        pytest.fail(_sentence(str(mistake), mistake.hint), pytrace=False)


def _sentence(reason: str, way_out: str) -> str:
    return f"{reason}; {way_out}" if way_out else reason


@cache
def _prefix() -> str:
    """Of the names of this process's labs; should it be killed, they go."""
    from netlab.cli import lease
    from netlab.cli.which import state_directory

    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    prefix = f"py{os.getpid()}{worker and f'-{worker}'}-"
    # a worker whose pytest was killed goes on for seconds
    lease.keep(state_directory(), prefix, (os.getpid(), *([os.getppid()] if worker else [])))
    return prefix
