"""Whatever refuses a step, wherever: what was there stands again, and the journal says so.

The kernel is `ModelKernel`, which knows what there is; some of its steps are refused.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from netlab.errors import CommandFailed, Interrupted, KernelRefused
from netlab.lab import apply as room
from netlab.lab.apply import apply, clear, clearing
from netlab.lab.glance import Header
from netlab.lab.journal import Journal, Writer, read
from netlab.plan.diff import Plan, Step, diff
from netlab.resources import Inventory
from tests.plan.labs import all_labs, inventory
from tests.plan.model import ModelKernel, Thing

LABS = all_labs()
START, WANTED = inventory(LABS["router"]), inventory(LABS["policy-routing"])
FROM_NOTHING = diff(Inventory(), WANTED)
CHANGE = diff(START, WANTED)

Failure = Callable[[object], Exception]
FAILURES: dict[str, Failure] = {
    "a refusal": lambda token: KernelRefused("no", token=token),
    "a command": lambda token: CommandFailed("exit code 1"),
    "a bug": lambda token: AttributeError("a bug"),
    "an OSError": lambda token: OSError(errno.EPERM, "not permitted"),
}


class Stubborn(ModelKernel):
    """Refuses the steps of some places in its life.

    ``at_once`` or, as a kernel that is sent batches, at the flush: then the steps behind the
    refused one are still tried.
    """

    def __init__(self, held: ModelKernel | None = None) -> None:
        super().__init__()
        if held is not None:
            self.held, self._on, self.ran = dict(held.held), dict(held._on), list(held.ran)
        self.refuses: set[int] = set()
        self.failure: Failure = FAILURES["a refusal"]
        self.at_once = True
        self._steps = 0
        self._first: Exception | None = None
        self._is_refused = False

    def begin(self, token: object) -> None:
        super().begin(token)
        self._steps += isinstance(token, Step)
        self._is_refused = isinstance(token, Step) and self._steps in self.refuses
        if self._is_refused and self.at_once:
            self._is_refused = False
            raise self.failure(token)

    def flush(self) -> None:
        first, self._first = self._first, None
        self._is_refused = False
        if first is not None:
            raise first

    def _add(self, thing: Thing, value: Any, *needs: Thing, replace: bool = False) -> None:
        self._try(lambda: super(Stubborn, self)._add(thing, value, *needs, replace=replace))

    def _drop(self, thing: Thing) -> None:
        self._try(lambda: super(Stubborn, self)._drop(thing))

    def add_address(self, *words: Any) -> None:
        self._try(lambda: super(Stubborn, self).add_address(*words))

    def add_route(self, *words: Any) -> None:
        self._try(lambda: super(Stubborn, self).add_route(*words))

    def set_mtu(self, *words: Any) -> None:
        self._try(lambda: super(Stubborn, self).set_mtu(*words))

    def set_offload(self, *words: Any) -> None:
        self._try(lambda: super(Stubborn, self).set_offload(*words))

    def run(self, *words: Any) -> None:
        self._try(lambda: super(Stubborn, self).run(*words))

    def _try(self, act: Callable[[], object]) -> None:
        if self._is_refused:
            self._first = self._first or self.failure(self._token)
        elif self.at_once:
            act()
        else:
            try:
                act()
            except KernelRefused as refusal:
                self._first = self._first or refusal


def built(wanted: Inventory) -> Stubborn:
    kernel = Stubborn()
    room.write(kernel, diff(Inventory(), wanted))
    return kernel


def journal_of(directory: Path, start: Inventory) -> Writer:
    writer = Writer(str(directory), Header("l", "boot", "/l.yaml", ""))
    if start:
        writer.do(diff(Inventory(), start), {})
    return writer


def told(directory: Path) -> Journal:
    found = read((directory / "journal").read_bytes())
    assert found is not None
    return found


def go(
    kernel: ModelKernel, record: room.Record, start: Inventory, plan: Plan,
    stop: Callable[[], bool] = lambda: False,
) -> Exception | None:  # fmt: skip
    try:
        apply(kernel, record, start, plan, stop=stop, progress=lambda done, of: None)
    except Exception as failure:
        return failure
    return None


@pytest.fixture(params=[500, 7], ids=["one batch", "many batches"])
def batches(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "BATCH", request.param)


def test_the_labs_are_large_enough() -> None:
    assert (len(FROM_NOTHING), len(CHANGE)) > (45, 60)


@pytest.mark.usefixtures("batches")
@pytest.mark.parametrize("start", [Inventory(), START], ids=["from nothing", "a change"])
@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "at the flush"])
@pytest.mark.parametrize("why", FAILURES)
def test_after_a_failure_at_any_step_all_is_as_before(
    why: str, at_once: bool, start: Inventory, tmp_path: Path
) -> None:
    plan, before = diff(start, WANTED), built(start)
    for place in range(1, len(plan) + 1):
        directory = tmp_path / str(place)
        directory.mkdir()
        writer, kernel = journal_of(directory, start), Stubborn(before)
        kernel.refuses, kernel.at_once, kernel.failure = {place}, at_once, FAILURES[why]
        failure = go(kernel, writer, start, plan)
        writer.close()
        if failure is None:  # a step that does nothing to this kernel
            assert not at_once
            assert kernel.held == built(WANTED).held
            continue
        assert str(failure) == str(FAILURES[why](None))
        assert getattr(failure, "__notes__", []) == []
        assert kernel.held == before.held
        assert told(directory).inventory == start


class FullDisk:
    """A record whose n-th line, and perhaps all after it, has no room."""

    def __init__(self, writer: Writer, place: int, *, for_good: bool) -> None:
        self._writer, self._place, self._for_good = writer, place, for_good

    def do(self, steps: Sequence[Step], inodes: Mapping[str, int]) -> None:
        self._place -= 1
        if self._place == 0 or (self._place < 0 and self._for_good):
            raise OSError(errno.ENOSPC, "No space left on device")
        self._writer.do(steps, inodes)


@pytest.mark.parametrize("start", [Inventory(), START], ids=["from nothing", "a change"])
def test_after_a_disk_that_was_full_once_all_is_as_before(
    start: Inventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "BATCH", 7)
    plan, before = diff(start, WANTED), built(start)
    for place in range(1, -(-len(plan) // 7) + 1):
        directory = tmp_path / str(place)
        directory.mkdir()
        writer, kernel = journal_of(directory, start), Stubborn(before)
        failure = go(kernel, FullDisk(writer, place, for_good=False), start, plan)
        writer.close()
        assert isinstance(failure, OSError)
        assert getattr(failure, "__notes__", []) == []
        assert kernel.held == before.held
        assert told(directory).inventory == start


def test_on_a_disk_that_stays_full_all_that_was_made_is_taken_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "BATCH", 7)
    for place in range(1, -(-len(FROM_NOTHING) // 7) + 1):
        directory = tmp_path / str(place)
        directory.mkdir()
        writer, kernel = journal_of(directory, Inventory()), Stubborn()
        failure = go(kernel, FullDisk(writer, place, for_good=True), Inventory(), FROM_NOTHING)
        writer.close()
        assert isinstance(failure, OSError)
        assert getattr(failure, "__notes__", []) == []
        assert kernel.held == {}


@pytest.mark.parametrize("start", [Inventory(), START], ids=["from nothing", "a change"])
def test_whoever_asks_to_stop_finds_all_as_before(
    start: Inventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "BATCH", 7)
    plan, before = diff(start, WANTED), built(start)
    batches = -(-len(plan) // 7)
    for place in range(batches + 1):
        directory = tmp_path / str(place)
        directory.mkdir()
        writer, kernel = journal_of(directory, start), Stubborn(before)
        asked = iter([False] * place + [True] * 99)
        failure = go(kernel, writer, start, plan, lambda asked=asked: next(asked))  # type: ignore[misc]
        writer.close()
        assert isinstance(failure, Interrupted)
        assert kernel.held == before.held
        assert told(directory).inventory == start


# a second refusal, on the way back

RING, CHAIN = inventory(LABS["static ring"]), inventory(LABS["static chain"])


@pytest.mark.usefixtures("batches")
@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "at the flush"])
@pytest.mark.parametrize(("start", "wanted"), [(START, WANTED), (RING, CHAIN)])
def test_what_is_refused_only_once_on_the_way_back_is_done_all_the_same(
    start: Inventory, wanted: Inventory, at_once: bool, tmp_path: Path
) -> None:
    plan, before = diff(start, wanted), built(start)
    for later in range(1, 60, 3):
        directory = tmp_path / str(later)
        directory.mkdir()
        writer, kernel = journal_of(directory, start), Stubborn(before)
        kernel.refuses, kernel.at_once = {len(plan), len(plan) + later}, at_once
        failure = go(kernel, writer, start, plan)
        writer.close()
        assert failure is not None
        assert getattr(failure, "__notes__", []) == []
        assert kernel.held == before.held
        assert told(directory).inventory == start


class Clinging(Stubborn):
    """Gives nothing of one kind away: ``("address",)``, or one thing."""

    clings: tuple[Any, ...] = ("nothing",)
    says: Exception = KernelRefused("it stays")

    def _drop(self, thing: Thing) -> None:
        if thing[: len(self.clings)] == self.clings and thing in self.held:
            raise self.says
        super()._drop(thing)


def clinging(tmp_path: Path, says: Exception) -> tuple[Clinging, Exception]:
    """The router's namespace cannot be taken away again, after one of the last steps failed."""
    kernel, writer = Clinging(), journal_of(tmp_path, Inventory())
    kernel.refuses, kernel.clings, kernel.says = {len(FROM_NOTHING)}, ("ns", "l.gw"), says
    failure = go(kernel, writer, Inventory(), FROM_NOTHING)
    writer.close()
    assert failure is not None
    return kernel, failure


def test_what_cannot_be_taken_back_is_noted_and_stays_in_the_journal(tmp_path: Path) -> None:
    kernel, failure = clinging(tmp_path, KernelRefused("it stays"))
    notes = failure.__notes__
    assert str(failure) == "no"
    assert notes == ["walking back, namespace l.gw: it stays"]
    found = told(tmp_path)
    assert [r.words for r in found.inventory.values()] == ["namespace l.gw"]
    assert ("ns", "l.gw") in kernel.held
    kernel.clings = ("nothing",)
    assert clear(kernel, Writer(str(tmp_path), found.header), clearing(
        found.inventory, found.doubtful, found.inventory.keys())[0]) == []  # fmt: skip
    assert kernel.held == {}
    assert told(tmp_path).inventory == Inventory()


def test_a_bug_on_the_way_back_stops_nothing(tmp_path: Path) -> None:
    kernel, failure = clinging(tmp_path, AttributeError("a bug"))
    assert str(failure) == "no"
    assert failure.__notes__ == ["walking back, AttributeError('a bug')"]
    assert {thing[1].partition(".")[2] for thing in kernel.held if thing[0] == "ns"} == {"gw"}


def test_taking_down_goes_on_after_a_refusal_and_tells_all_of_them(tmp_path: Path) -> None:
    kernel = Clinging(built(START))
    kernel.clings = ("ns",)
    writer = journal_of(tmp_path, START)
    assert clear(kernel, writer, diff(START, Inventory())) == [
        f"namespace l.{node}: it stays" for node in ("c", "b", "a")
    ]
    writer.close()
    assert {r.words for r in told(tmp_path).inventory.values()} == {
        f"namespace l.{node}" for node in "abc"
    }
