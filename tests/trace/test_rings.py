"""How much memory interfaces are listened at with."""

from __future__ import annotations

import pytest

from netlab.errors import MachineLacks
from netlab.kernel.ring import BLOCK
from netlab.trace.rings import FEWEST, MEMORY, MOST, room

PLENTY = 1 << 40
MEGABYTE = 1 << 20


def test_interfaces_share_the_memory_there_is_for_them() -> None:
    assert room(1, PLENTY) == room(0, PLENTY) == MOST
    assert room(16, PLENTY) * 16 * BLOCK == MEMORY
    assert room(1000, PLENTY) == FEWEST


def test_no_more_than_half_of_what_is_free_is_taken() -> None:
    for interfaces in (1, 7, 100):
        for free in (2 * MEGABYTE, 60 * MEGABYTE, 600 * MEGABYTE):
            if free >= interfaces * 4 * BLOCK:
                assert room(interfaces, free) * interfaces * BLOCK <= free // 2


def test_where_there_is_not_enough_it_is_told() -> None:
    with pytest.raises(MachineLacks) as failure:
        room(3000, 900 * MEGABYTE)
    assert str(failure.value) == "to listen at 3000 interfaces takes 750 MB, and 900 MB are free"
    assert failure.value.hint == "name those that you need: netlab capture LAB NODE:INTERFACE …"
