"""Indexes that netlab chooses: each once, and above those that the kernel may take itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netlab.kernel.indexes import FIRST, Indexes
from netlab.kernel.namespaces import Namespaces
from netlab.kernel.worker import Worker
from tests.kernel.messages import several


@pytest.fixture
def indexes(tmp_path: Path) -> Iterator[Indexes]:
    """Of a machine that has no namespaces under their names."""
    worker = Worker()
    yield Indexes(Namespaces(str(tmp_path), worker), worker)
    worker.close()


def test_a_fresh_namespace_has_a_loopback_and_nothing_else(indexes: Indexes) -> None:
    indexes.fresh("l.a")
    assert (indexes.of("l.a", "lo"), indexes.of("l.a", "eth0")) == (1, None)
    assert indexes.choose("l.a", "eth0") >= FIRST


def test_each_namespace_counts_for_itself(indexes: Indexes) -> None:
    indexes.fresh("l.a")
    indexes.fresh("l.b")
    assert indexes.choose("l.a", "eth0") == indexes.choose("l.b", "eth0")


@settings(several, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["choose", "forget", "doubt"]), st.sampled_from("abc"))))
def test_no_index_is_chosen_twice_whatever_is_forgotten_or_doubted(
    indexes: Indexes, steps: list[tuple[str, str]]
) -> None:
    indexes.fresh("l.a")
    chosen = []
    for verb, name in steps:
        if verb == "choose":
            chosen.append(indexes.choose("l.a", name))
            assert indexes.of("l.a", name) == chosen[-1]
        elif verb == "forget":
            indexes.forget("l.a", name)
            assert indexes.of("l.a", name) is None
        else:
            indexes.doubt()
    assert chosen == sorted(set(chosen))
    assert all(index >= FIRST for index in chosen)


def test_where_there_is_no_namespace_there_is_no_device(indexes: Indexes) -> None:
    assert indexes.of("l.gone", "lo") is None
    assert indexes.choose("l.gone", "eth0") >= FIRST
